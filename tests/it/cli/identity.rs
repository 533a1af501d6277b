//! Commands of the operator for the KageSecur dialect, on a real database.

use std::io::Write;
use std::process::Stdio;

use sceau::api::access::secret::{Domain, Pepper, empreinte};
use sceau::ledger::Ledger;
use sceau::ledger::accounts::Role;
use sceau::ledger::kagesecur::documents::Document;
use sceau::ledger::kagesecur::identities::Identity;
use sceau_verifier::Digest;
use time::macros::datetime;

use crate::cli::command::Place;
use crate::support::{Database, database};

struct Desk {
    database: Database,
    ledger: Ledger,
    place: Place,
}

async fn desk() -> Desk {
    let database = database().await;
    let place = Place::new().with("SCEAU_DATABASE_URL", &database.url).with("SCEAU_AUTH__PEPPER", "pepper");
    place.file("pepper", "5a".repeat(32));
    let ledger = Ledger::connect(&database.url, 2).expect("a URL");
    Desk { database, ledger, place }
}

impl Desk {
    /// Who logs in with this.
    async fn who(&self, empreinte: &str) -> Option<Identity> {
        let hash = Pepper::from_bytes([0x5a; 32]).keyed(Domain::Empreinte, empreinte.as_bytes());
        self.ledger.identities(&[hash]).await.expect("asked").pop()
    }

    async fn count(&self, table: &str) -> i64 {
        let statement = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(statement).fetch_one(&self.database.pool).await.expect("counted")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_gets_an_identity_and_another() {
    let desk = desk().await;
    let place = &desk.place;
    place.run(&["account", "create", "acme"]).ends(0);
    place.file("clef", "mot de passe é\n");
    let run = place.run(&["account", "identity", "acme", "--clef-file", "clef"]);
    assert_eq!(run.ends(0).stdout, "acme logs in as acme\n");
    let first = empreinte("acme", "mot de passe é");
    assert_eq!(desk.who(&first).await.expect("an identity").identifiant, "acme");

    // Another name and clef, from standard input: the first opens nothing any more.
    let mut child = place
        .command(&["account", "identity", "acme", "--identifiant", "Acme SA", "--clef-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    child.stdin.take().expect("a pipe").write_all(b"other").expect("written");
    assert!(child.wait().expect("ended").success());
    assert!(desk.who(&first).await.is_none());
    let second = empreinte("Acme SA", "other");
    assert_eq!(desk.who(&second).await.expect("an identity").identifiant, "Acme SA");

    // An empreinte that exists already, as the former system has it.
    place.run(&["account", "create", "notary", "--role", "manager"]).ends(0);
    place.file("taken", &second);
    place.run(&["account", "identity", "notary", "--empreinte-file", "taken"]).ends(1).briefly().says(&["another account"]);
    place.file("empreinte", format!("{}\n", "ab".repeat(32)));
    place.run(&["account", "identity", "notary", "--empreinte-file", "empreinte"]).ends(0);
    assert_eq!(desk.who(&"ab".repeat(32)).await.expect("an identity").role, Role::Manager);

    place.file("upper", "AB".repeat(32));
    place.file("empty", "\n");
    for (arguments, why) in [
        (&["notary", "--empreinte-file", "upper"] as &[&str], "upper: an empreinte is 64 lower-case hex digits"),
        (&["notary", "--clef-file", "empty"], "the clef is empty"),
        (&["notary", "--clef-file", "none"], "none"),
        (&["nobody", "--clef-file", "clef"], "no active account named nobody"),
        (&["notary", "--identifiant", "a\u{1b}b", "--clef-file", "clef"], "identifiant"),
    ] {
        let run = place.run(&[&["account", "identity"], arguments].concat());
        run.ends(1).briefly().says(&[why]);
        assert!(!run.stderr.contains("mot de passe"), "{}", run.stderr);
    }
    place.run(&["account", "identity", "acme"]).ends(2);
    place.run(&["account", "identity", "acme", "--clef-file", "clef", "--empreinte-file", "empreinte"]).ends(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_and_subscriptions_are_said_and_taken_back() {
    let desk = desk().await;
    let place = &desk.place;
    for (name, role) in [("notary", "manager"), ("acme", "client")] {
        place.run(&["account", "create", name, "--role", role]).ends(0);
    }
    place.file("clef", "x");
    place.run(&["account", "identity", "acme", "--clef-file", "clef"]).ends(0);
    for _ in 0..2 {
        assert_eq!(place.run(&["account", "client", "notary", "acme"]).ends(0).stdout, "notary acts for acme\n");
    }
    for pair in [["acme", "notary"], ["notary", "notary"], ["notary", "nobody"], ["nobody", "acme"]] {
        place.run(&["account", "client", pair[0], pair[1]]).ends(1).briefly().says(&["there is no manager named"]);
    }
    assert_eq!(desk.count("account_clients").await, 1);
    place.run(&["account", "client", "notary", "acme", "--remove"]).ends(0);
    place.run(&["account", "client", "notary", "acme", "--remove"]).ends(1).briefly().says(&["acme is no client of notary"]);

    let identity = empreinte("acme", "x");
    let run = place.run(&["account", "subscription", "acme", "--until", "2027-12-31T23:59:59Z"]);
    assert_eq!(run.ends(0).stdout, "acme may submit until 2027-12-31T23:59:59Z\n");
    let until = desk.who(&identity).await.expect("there").subscribed_until;
    assert_eq!(until, Some(datetime!(2027-12-31 23:59:59 UTC)));
    place.run(&["account", "subscription", "acme", "--unlimited"]).ends(0);
    assert_eq!(desk.who(&identity).await.expect("there").subscribed_until, None);
    place.run(&["account", "subscription", "nobody", "--unlimited"]).ends(1).briefly();
    for arguments in
        [&["acme"] as &[&str], &["acme", "--until", "tomorrow"], &["acme", "--until", "2027-12-31T00:00:00Z", "--unlimited"]]
    {
        place.run(&[&["account", "subscription"], arguments].concat()).ends(2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_documents_move_in() {
    let desk = desk().await;
    let place = &desk.place;
    let (a, b, c) = ("aa".repeat(32), "bb".repeat(32), "cc".repeat(32));
    place.file(
        "accounts.csv",
        format!("\u{feff}identifiant,empreinte,gestionnaire\n\"Étude, notaire\",{a},true\r\nclient,{b},false\n"),
    );
    let run = place.run(&["account", "import", "accounts.csv"]);
    assert_eq!(run.ends(0).stdout, "2 accounts made, 0 were there already\n");
    let notary = desk.who(&a).await.expect("moved in");
    assert_eq!((&*notary.identifiant, notary.role), ("Étude, notaire", Role::Manager));
    assert_eq!(place.run(&["account", "import", "accounts.csv"]).ends(0).stdout, "0 accounts made, 2 were there already\n");

    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    let lines = format!(
        "identifiant,hash,fileName,date\n\"Étude, notaire\",{one},acte.pdf,2021-10-27T08:12:51.783Z\nclient,{two},b,2020-01-01T00:00:00+01:00\n"
    );
    place.file("documents.csv", &lines);
    assert_eq!(place.run(&["account", "import", "documents.csv"]).ends(0).stdout, "2 documents accepted, 0 were there already\n");
    assert_eq!(place.run(&["account", "import", "documents.csv"]).ends(0).stdout, "0 documents accepted, 2 were there already\n");
    // The former system's date stands beside the proof, which is as old as its acceptance here.
    let proof = desk.ledger.proof(notary.account, &one).await.expect("asked").expect("accepted");
    let declared = desk.ledger.declared_date(notary.account, &one).await.expect("asked");
    assert_eq!(declared, Some(datetime!(2021-10-27 08:12:51.783 UTC)));
    assert!(proof.received_at > datetime!(2026-01-01 00:00 UTC));
    assert_eq!(proof.detail.file_name.as_deref(), Some("acte.pdf"));
    let doubled = Digest::of(one.to_string().as_bytes());
    let found = desk.ledger.document(notary.account, &doubled).await.expect("asked");
    assert!(matches!(found, Document::Known { digest, .. } if digest == one));
    place.file("other.csv", lines.replace("2020-01-01", "2019-01-01"));
    place.run(&["account", "import", "other.csv"]).ends(0).says(&["1 were declared before with another date"]);

    // What is bad is named by its line, and nothing of the file is taken.
    let before = (desk.count("accounts").await, desk.count("proofs").await);
    let new = "dd".repeat(32);
    for (content, parts) in [
        (
            format!("identifiant,empreinte\nx,{new}\nx,{c}\ny,{new}\n"),
            &["line 3: the identifiant stands on line 2", "line 4: the empreinte stands on line 2", "2 bad lines"] as &[&str],
        ),
        (format!("identifiant,empreinte\nx,{new}\nclient,{c}\n"), &["line 3: an account of that name exists"]),
        (format!("identifiant,empreinte\nx,{new}\nz,{b}\n"), &["line 3: another account has this empreinte"]),
        (
            format!("identifiant,empreinte\nx,{}\n\n ,{new}\ny,{new},true\n", new.to_uppercase()),
            &["line 2: an empreinte is 64", "line 4: an identifiant has", "line 5: 3 columns where 2 belong"],
        ),
        (format!("identifiant,empreinte,gestionnaire\nx,{new},oui\n"), &["line 2: gestionnaire is true or false"]),
        (
            format!(
                "identifiant,hash,fileName,date\nclient,{new},n,2021-01-01T00:00:00Z\nnobody,{new},n,2021-01-01T00:00:00Z\nclient,{new},n,2021-01-01T00:00:00Z\nclient,{c},n,2999-01-01T00:00:00Z\nclient,{c},,2021-01-01T00:00:00Z\nclient,x,n,2021-01-01T00:00:00Z\nclient,{c},n,2021\n"
            ),
            &[
                "line 3: no account has this identifiant",
                "line 4: the same document stands on line 2",
                "line 5: the date lies in the future",
                "line 6: a fileName has",
                "line 7: a hash is 64",
                "line 8: a moment looks like",
                "6 bad lines; nothing was imported",
            ],
        ),
        ("nom,empreinte\n".into(), &["the first line must be"]),
        (String::new(), &["the first line must be"]),
    ] {
        place.file("bad.csv", content);
        place.run(&["account", "import", "bad.csv"]).ends(1).says(parts);
    }
    place.file("bad.csv", [b"identifiant,empreinte\nx\xff,".as_slice(), new.as_bytes(), b"\n"].concat());
    place.run(&["account", "import", "bad.csv"]).ends(1).says(&["line 2: not UTF-8"]);
    place.run(&["account", "import", "none.csv"]).ends(1).briefly().says(&["none.csv"]);
    assert_eq!((desk.count("accounts").await, desk.count("proofs").await), before);
}
