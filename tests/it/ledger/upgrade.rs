//! What migrations do to rows that older ones wrote.

use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::support;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Applies the migrations up to this one.
async fn migrate(pool: &PgPool, newest: i64) {
    let until = MIGRATIONS.iter().filter(|migration| migration.version <= newest).cloned().collect();
    Migrator::with_migrations(until).run(pool).await.expect("the migrations apply");
}

/// 0019 put the leaf of an erased proof in its digest's place, 0026 puts a byte before it, and does so with nothing else.
#[tokio::test]
async fn leaves_of_proofs_erased_before_move_out_of_the_digests_way() {
    let database = support::bare_database().await;
    migrate(&database.pool, 25).await;
    let rows = "
        create function pg_temp.bytes(byte text, count integer) returns bytea language sql return decode(repeat(byte, count), 'hex');
        insert into accounts (name, role) values ('one', 'partner'), ('other', 'partner');
        insert into validators (account_id, validator_id) select a.id, v.id from accounts a, accounts v where a.id <> v.id;
        select accept_proofs(array_agg(id order by name), array[pg_temp.bytes('d1', 32), pg_temp.bytes('1f', 32)],
          array[pg_temp.bytes('5a', 16), pg_temp.bytes('5b', 16)], array[null, null]::jsonb[])
          from accounts where name in ('one', 'other');
        insert into validations (id, account_id, digest, round, salt, approvals_needed, received_at, state, settled_at)
          select gen_random_uuid(), a.id, pg_temp.bytes('1f', 32), w.round, pg_temp.bytes(w.salt, 16), 1, now(), 'refused', now()
            from (values ('one', 1, '00'), ('one', 2, '5c'), ('other', 1, '5d')) as w (name, round, salt) join accounts a using (name);
        insert into erasures (account_id, number, digest, leaf, erased_by)
          select id, 1, pg_temp.bytes('d1', 32), pg_temp.bytes('1f', 32), name from accounts where name = 'one';
        update proofs set digest = pg_temp.bytes('1f', 32), salt = null where digest = pg_temp.bytes('d1', 32)";
    sqlx::raw_sql(rows).execute(&database.pool).await.expect("rows as they were");
    migrate(&database.pool, i64::MAX).await;

    let (place, digest) = (format!("00{}", "1f".repeat(32)), "1f".repeat(32));
    let proofs = "select a.name, encode(p.digest, 'hex') from proofs p join accounts a on a.id = p.account_id order by 1";
    let proofs: Vec<(String, String)> = sqlx::query_as(proofs).fetch_all(&database.pool).await.expect("the proofs");
    assert_eq!(proofs, [("one".to_owned(), place.clone()), ("other".to_owned(), digest.clone())]);
    let waited =
        "select a.name, encode(v.digest, 'hex') from validations v join accounts a on a.id = v.account_id order by 1, v.round";
    let waited: Vec<(String, String)> = sqlx::query_as(waited).fetch_all(&database.pool).await.expect("the documents");
    assert_eq!(waited, [("one".to_owned(), place), ("one".to_owned(), digest.clone()), ("other".to_owned(), digest)]);
}
