//! The committed description of every checked query is what the database says of it now.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Column, Either, Executor, SqlSafeStr};

use crate::support::database;

#[tokio::test]
async fn committed_query_data_is_current() {
    let database = database().await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).expect(".sqlx is committed") {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a readable file");
        let kept: Value = serde_json::from_str(&text).expect("JSON");
        let query = kept["query"].as_str().expect("a query").to_owned();
        let now = (&database.pool).describe(AssertSqlSafe(query.clone()).into_sql_str()).await.expect(&query);
        let columns: Vec<Value> = now
            .columns()
            .iter()
            .map(|column| json!([column.name(), serde_json::to_value(column.type_info()).expect("a type")]))
            .collect();
        let kept_columns: Vec<Value> = kept["describe"]["columns"]
            .as_array()
            .expect("columns")
            .iter()
            .map(|column| json!([column["name"], column["type_info"]]))
            .collect();
        assert_eq!(columns, kept_columns, "run migrations/prepare; columns of: {query}");
        let Some(Either::Left(parameters)) = now.parameters() else { panic!("Postgres names parameter types") };
        let kept_parameters = kept["describe"]["parameters"]["Left"].as_array().expect("parameters").len();
        assert_eq!(parameters.len(), kept_parameters, "run migrations/prepare; parameters of: {query}");
        // What a query says itself (`name?`, `name!`) counts; what is inferred beside that depends on the planner's mood.
        for (place, column) in now.columns().iter().enumerate() {
            if !column.name().ends_with(['?', '!']) {
                let kept = &kept["describe"]["nullable"][place];
                assert_eq!(
                    json!(now.nullable[place]),
                    *kept,
                    "run migrations/prepare; nullability of {} in: {query}",
                    column.name()
                );
            }
        }
        seen += 1;
    }
    assert!(seen > 30, "{seen} queries");
}

#[tokio::test]
async fn every_table_and_column_says_what_it_is() {
    let database = database().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "select c.relname || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
           and c.relname <> '_sqlx_migrations'
           and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)
         order by 1",
    )
    .fetch_all(&database.pool)
    .await
    .expect("an answer");
    assert_eq!(silent, [] as [String; 0], "add comments");
}
