//! The main job as a newcomer and an auditor see it: `sceau dev` from nothing to a verdict, and receipts that are checked
//! after everything has stopped, by two programs that share nothing.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process;
use crate::support::service::lasting_port;

struct Dev {
    child: Child,
    folder: PathBuf,
    output: PathBuf,
}

impl Dev {
    fn start(home: &Path, files: &Path, ports: [u16; 5]) -> Self {
        let (folder, output) = (home.join("stack"), home.join("output"));
        let log = std::fs::File::create(&output).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_sceau"))
            .args(["dev", "--port", &ports[0].to_string(), "--rpc-port", &ports[1].to_string()])
            .args(["--kagesecur-port", &ports[2].to_string(), "--metrics-port", &ports[3].to_string()])
            .args(["--core-port", &ports[4].to_string(), "--folder"])
            .arg(&folder)
            .arg("--prove")
            .arg(files)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("sceau starts");
        Self { child, folder, output }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.output).expect("its output")
    }

    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(240);
        while !self.said().contains(text) {
            assert!(self.child.try_wait().expect("a child").is_none(), "sceau dev ended:\n{}", self.said());
            assert!(Instant::now() < deadline, "no {text:?}:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn interrupt(mut self) -> String {
        process::signal(self.child.id(), "INT");
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}:\n{}", self.said());
        self.said()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Only where the test fails half-way: the servers end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn verifier() -> PathBuf {
    // `sceau dev` has built it beside itself.
    Path::new(env!("CARGO_BIN_EXE_sceau")).with_file_name("sceau-verify")
}

fn check(program: &Path, arguments: &[&str], file: &Path, receipt: &Path, block_hash: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).arg(file).arg(receipt).args(["--block-hash", block_hash, "--json"]);
    command.output().expect("a verifier runs")
}

/// Both verifiers' exit status and code, which must be the same.
fn verdict(file: &Path, receipt: &Path, block_hash: &str) -> (i32, String) {
    let second = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check.py");
    let answers =
        [check(&verifier(), &[], file, receipt, block_hash), check(Path::new("python3"), &[second], file, receipt, block_hash)]
            .map(|output| {
                let answer: Value = serde_json::from_slice(&output.stdout)
                    .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
                (output.status.code().expect("an exit status"), answer["code"].as_str().expect("a code").to_owned())
            });
    assert_eq!(answers[0], answers[1], "sceau-verify and check.py disagree on {}", receipt.display());
    let [answer, _] = answers;
    answer
}

/// Both verifiers' exit status and outcome for the one promise in a folder, which must be the same.
fn kept(folder: &Path, file: &Path, receipt: &Path, block_hash: &str) -> (i32, String) {
    let named = |prefix: &str| {
        let found = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
        found.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
    };
    let (promise, keys) = (named("promise-").expect("a promise"), named("keys-").expect("keys"));
    let second = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check.py");
    let answers = [(verifier(), None), ("python3".into(), Some(second))].map(|(program, script)| {
        let mut command = Command::new(program);
        command.args(script).arg("--promise").arg(&promise).arg("--keys").arg(&keys).arg(file);
        let output = command.arg("--receipt").arg(receipt).args(["--block-hash", block_hash, "--json"]).output();
        let output = output.expect("a verifier runs");
        let answer: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().expect("an exit status"), answer["outcome"].as_str().unwrap_or_default().to_owned())
    });
    assert_eq!(answers[0], answers[1], "sceau-verify and check.py disagree on {}", promise.display());
    let [answer, _] = answers;
    answer
}

/// The demo account logs in, registers and verifies with the client written from the dialect's page.
fn speaks_kagesecur(home: &Path, told: &Value) {
    let (clef, file) = (home.join("clef"), home.join("pièce.txt"));
    let identity = &told["accounts"][0]["kagesecur"];
    std::fs::write(&clef, identity["clef"].as_str().expect("a clef")).expect("a file");
    std::fs::write(&file, "contenu").expect("a file");
    let run = |command: &[&str]| {
        let output = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kagesecur/client.py"))
            .args(["--url", told["kagesecur_url"].as_str().expect("an address")])
            .args(["--ca", told["ca_cert"].as_str().expect("a certificate")])
            .args(["--identifiant", identity["identifiant"].as_str().expect("a name")])
            .arg("--session")
            .arg(home.join("session"))
            .arg("--clef-file")
            .arg(&clef)
            .args(command)
            .arg(&file)
            .output()
            .expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    assert_eq!(run(&["login"])["resultat"], "Connecté");
    assert_eq!(run(&["write", "sceau.localhost"])["resultat"]["pièce.txt"], true);
    assert_eq!(run(&["verify"])["resultat"], "Votre document est enregistré.");
}

#[test]
fn real_files_are_proved_and_their_receipts_outlive_the_service() {
    let home = tempfile::tempdir().expect("a folder");
    let files = home.path().join("files");
    std::fs::create_dir_all(files.join("sub")).expect("a folder");
    for (name, content) in [("contrat.txt", "signé à Paris\n".as_bytes()), ("sub/empty", b""), ("photo.bin", &[0xff; 100_000])]
    {
        std::fs::write(files.join(name), content).expect("a file");
    }
    let ports = [(); 5].map(|()| lasting_port());

    let mut dev = Dev::start(home.path(), &files, ports);
    dev.wait_for("Ready.");
    let said = dev.said();
    assert!(said.contains("3 of 3 files verified by sceau-verify"), "{said}");
    assert!(said.contains("VERIFIED"), "{said}");

    let told: Value = serde_json::from_slice(&std::fs::read(dev.folder.join("dev.json")).expect("dev.json")).expect("JSON");
    for name in ["api_url", "ca_cert", "rpc_url", "chain_id", "registry", "accounts"] {
        assert!(!told[name].is_null(), "{name}");
    }
    speaks_kagesecur(home.path(), &told);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dev.folder.join("dev.json")).expect("it").permissions());
    assert_eq!(mode & 0o777, 0o600);

    // A certificate, with the program a partner has.
    let certificate = home.path().join("certificate.pdf");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let partner = &told["accounts"][0];
    let run = Command::new(env!("CARGO_BIN_EXE_sceau"))
        .args(["certificate", "--lang", "en", "-o"])
        .args([&certificate, &files.join("contrat.txt")])
        .env("SCEAU_API_URL", text(&told["api_url"]))
        .env("SCEAU_CA_CERT", text(&told["ca_cert"]))
        .env("SCEAU_CONSUMER_KEY", text(&partner["consumer_key"]))
        .env("SCEAU_CONSUMER_SECRET", text(&partner["consumer_secret"]))
        .output()
        .expect("sceau runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    // The operator's word, kept with the program a partner has: submitting again is answered like the first time.
    let promises = home.path().join("promises");
    let run = Command::new(env!("CARGO_BIN_EXE_sceau"))
        .args(["submit", "--promises"])
        .args([&promises, &files.join("contrat.txt"), &files.join("photo.bin")])
        .env("SCEAU_API_URL", text(&told["api_url"]))
        .env("SCEAU_CA_CERT", text(&told["ca_cert"]))
        .env("SCEAU_CONSUMER_KEY", text(&partner["consumer_key"]))
        .env("SCEAU_CONSUMER_SECRET", text(&partner["consumer_secret"]))
        .output()
        .expect("sceau runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    // A second stack on the same ports is one clear error.
    let other = home.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    let mut busy = Dev::start(&other, &files, ports);
    assert_eq!(busy.child.wait().expect("a child").code(), Some(1));
    let refused = busy.said();
    assert!(refused.lines().count() == 1 && refused.contains(&ports[0].to_string()) && refused.contains("--port"), "{refused}");

    let folder = dev.folder.clone();
    dev.interrupt();
    assert!(std::net::TcpStream::connect(("127.0.0.1", ports[1])).is_err(), "the chain has ended too");

    // The service is gone. What the auditor has: file, receipt, and a block's hash.
    for name in ["contrat.txt", "sub/empty", "photo.bin"] {
        let (file, receipt) = (files.join(name), folder.join("demo").join(format!("{name}.sceau.json")));
        let bytes = std::fs::read(&receipt).expect("a receipt");
        let parsed: Value = serde_json::from_slice(&bytes).expect("JSON");
        let block_hash = parsed["anchors"][0]["block_hash"].as_str().expect("a hash").to_owned();
        assert_eq!(verdict(&file, &receipt, &block_hash), (0, "ok".into()), "{name}");
        if name == "contrat.txt" {
            assert_eq!(verdict(&file, &certificate, &block_hash), (0, "ok".into()), "the receipt inside the certificate");
            assert_eq!(kept(&promises, &file, &receipt, &block_hash), (0, "kept".into()));
            let other = files.join("sub/empty");
            assert_eq!(kept(&promises, &other, &receipt, &block_hash), (1, "given".into()), "not promised there");
            let inside = crate::certificate::attachments(&std::fs::read(&certificate).expect("a certificate"));
            assert_eq!(inside["receipt.json"].1, bytes);
        }

        // Another byte in the file.
        let altered = home.path().join("altered");
        let mut content = std::fs::read(&file).expect("a file");
        content.push(b'x');
        std::fs::write(&altered, content).expect("a file");
        assert_eq!(verdict(&altered, &receipt, &block_hash).0, 1, "{name}");
        // Another block.
        let other_block = format!("0x{}", "1".repeat(64));
        assert_eq!(verdict(&file, &receipt, &other_block).0, 1, "{name}");

        // Another byte anywhere in the receipt: every one with the fast verifier in-process, some with both programs.
        let document = sceau_verifier::Digest::of(&std::fs::read(&file).expect("a file"));
        let trust = sceau_verifier::Trust { block_hashes: [block_hash.parse().expect("a hash")].into(), ..Default::default() };
        let report = |bytes: &[u8]| sceau_verifier::verify::verify_bytes(&document, bytes, &trust);
        assert_eq!(report(&bytes).verdict, sceau_verifier::Verdict::Verified);
        for place in 0..bytes.len() {
            let mut wrong = bytes.clone();
            // Stays a digit, letter or sign most of the time, so that more than the syntax is put to the test.
            wrong[place] ^= 1;
            let answer = report(&wrong);
            assert_eq!(answer.verdict, sceau_verifier::Verdict::Invalid, "{name}: byte {place}: {:?}", answer.code);
            if place % (bytes.len() / 8) == 0 {
                let wrong_receipt = home.path().join("wrong.json");
                std::fs::write(&wrong_receipt, &wrong).expect("a file");
                assert_eq!(verdict(&file, &wrong_receipt, &block_hash).0, 1, "{name}: byte {place}");
            }
        }
    }

    // A second start goes on where the first was: same accounts, same registry, and a new file goes into a next batch.
    std::fs::write(files.join("later.txt"), "later").expect("a file");
    let mut dev = Dev::start(home.path(), &files, [(); 5].map(|()| lasting_port()));
    dev.wait_for("Ready.");
    let again: Value = serde_json::from_slice(&std::fs::read(dev.folder.join("dev.json")).expect("dev.json")).expect("JSON");
    assert_eq!((&again["accounts"], &again["registry"]), (&told["accounts"], &told["registry"]));
    let said = dev.interrupt();
    assert!(said.contains("4 of 4 files verified by sceau-verify"), "{said}");
}
