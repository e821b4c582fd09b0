//! Runs of the executable that end by themselves.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use semcast_common::content::{Picture, file};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::within;

/// The executable, without any settings from the environment of the tests.
pub fn program() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_semcast"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SEMCAST_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a run left behind.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Finished {
    /// Checks the exit code; shows all that was said if it is another one.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.output, self.errors);
        self
    }

    /// Checks that the error message names all of these.
    #[track_caller]
    pub fn expect_errors(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.errors.contains(part), "{part:?} is not in: {}", self.errors);
        }
        self
    }
}

/// Runs a command to its end.
pub async fn run(command: std::process::Command) -> Finished {
    let what = format!("{command:?}");
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = within(&what, command.output()).await.expect("the executable runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) }
}

/// A finished `semcast loopback` and its files.
pub struct Loopback {
    folder: TempDir,
    pub finished: Finished,
    sent: Option<Picture>,
}

/// Runs `semcast loopback` on the CPU, with a picture or with content that `flags` name.
pub async fn loopback(picture: Option<&Picture>, flags: &[&str]) -> Loopback {
    loopback_under(&[], picture, flags).await
}

/// The same, with settings in the environment.
pub async fn loopback_under(
    environment: &[(&str, &str)],
    picture: Option<&Picture>,
    flags: &[&str],
) -> Loopback {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = program();
    command.envs(environment.iter().copied());
    command.arg("loopback").args(["--device", "cpu"]).args(flags);
    command.arg("--output").arg(folder.path()).arg("--report").arg(folder.path().join("report.json"));
    if let Some(picture) = picture {
        let path = folder.path().join("sent.png");
        std::fs::write(&path, file::encode_png(picture).expect("a picture file")).expect("a file");
        command.arg(path);
    }
    let mut finished = run(command).await;
    for name in ["transmitter.log", "receiver.log", "air.log"] {
        if let Ok(log) = std::fs::read_to_string(folder.path().join(name)) {
            finished.errors += &format!("{name}:\n{log}");
        }
    }
    Loopback { folder, finished, sent: picture.cloned() }
}

impl Loopback {
    /// Checks that it went well.
    #[track_caller]
    pub fn expect_arrival(self) -> Self {
        Self { finished: self.finished.expect_code(0), ..self }
    }

    /// The path of a file that it wrote.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The bytes of a file that it wrote.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        read(&self.path(name))
    }

    /// A picture that it wrote.
    pub fn picture(&self, name: &str) -> Picture {
        file::decode_picture(&self.bytes(name)).expect("a picture")
    }

    /// The report.
    pub fn report(&self) -> Value {
        serde_json::from_slice(&self.bytes("report.json")).expect("a report in JSON")
    }

    /// A number of the report, such as `psnr_db` or `latency_ms/total`.
    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        let report = self.report();
        let number = report.pointer(&format!("/{name}")).and_then(Value::as_f64);
        number.unwrap_or_else(|| panic!("no number {name} in {report:#}"))
    }

    /// The PSNR between what was sent and what arrived, measured here.
    pub fn measured_psnr_db(&self) -> f64 {
        super::psnr_db(self.sent.as_ref().expect("a picture was sent"), &self.picture("received.png"))
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
