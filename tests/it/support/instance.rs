//! The real process, as an operator starts it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One `sceau serve` with its settings and its log. Killed when dropped.
pub struct Instance {
    child: Child,
    log: PathBuf,
}

impl Instance {
    /// Starts `sceau serve` with `arguments`; its log is `<name>.log` beside the settings.
    pub fn start(settings: &Path, name: &str, arguments: &[&str]) -> Self {
        let log = settings.with_file_name(format!("{name}.log"));
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&log).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sceau"));
        // Knobs of the tests are no settings.
        std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("SCEAU_")).for_each(|name| {
            command.env_remove(name);
        });
        let child = command
            .args(["serve", "--config"])
            .arg(settings)
            .args(arguments)
            .env("SCEAU_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("sceau starts");
        Self { child, log }
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The log's lines that have this message.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        let said = self.said();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// How it ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("a child")
    }

    /// Asks it to stop, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        super::process::signal(self.child.id(), "TERM");
        self.ended()
    }

    /// Waits until `url` answers 200.
    pub async fn ready(&mut self, url: &str) {
        let http = reqwest::Client::new();
        let deadline = Instant::now() + Duration::from_secs(120);
        while !http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none() && Instant::now() < deadline, "{url} does not become ready ({ended:?}):\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Settings of a service without TLS that seals each second, and the file of its pepper. `more` is added at the end.
pub fn settings(home: &Path, name: &str, database_url: &str, ports: [u16; 2], more: &str) -> PathBuf {
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let (token, pepper) = (file("token.pem", crate::api::kit::TOKEN_KEY), file("pepper", &"5c".repeat(32)));
    let [api, metrics] = ports;
    let text = format!(
        "database_url = {database_url:?}\ndatabase_connections = 5\norigin = \"instance.test\"\n[http]\n\
         listen = \"127.0.0.1:{api}\"\npublic_url = \"http://instance.test\"\nplain = true\n[auth]\ntoken_key = {token:?}\n\
         pepper = {pepper:?}\n[seal]\nschedule = \"* * * * * *\"\n[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n{more}"
    );
    file(name, &text)
}
