//! Children: the processes that `loopback` and `measure` start from this same executable.
//!
//! Each tells its addresses in one line of JSON on standard output when it is ready, and ends when its
//! standard input is closed, so none outlives the process that started it, however that one ends.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context;
use semcast_common::{config::VARIABLE_PREFIX, telemetry::LOG_VARIABLE};
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};

/// How long a process may take until it is ready: networks are loaded and shaders compiled.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a process may take to end when it is asked to.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A process that is ready.
pub struct Process {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    addresses: Map<String, Value>,
}

impl Process {
    /// Starts `semcast NAME ARGUMENTS…` and waits until it is ready. Its log goes to `log`.
    pub async fn start(name: &'static str, arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        let executable = std::env::current_exe().context("cannot find this program's own file")?;
        let file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(executable);
        // The configuration that the arguments name has them in it already, below the flags.
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if text.starts_with(VARIABLE_PREFIX) && text != LOG_VARIABLE {
                command.env_remove(&variable);
            }
        }
        let mut child = command
            .arg(name)
            .arg("--until-input-closes")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the {name}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("a process without standard output")?;
        let mut line = String::new();
        let mut reader = BufReader::new(output);
        let read = tokio::time::timeout(READY_TIMEOUT, reader.read_line(&mut line)).await;
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        match read {
            Ok(Ok(1..)) => {}
            Ok(Ok(0)) => anyhow::bail!("the {name} ended before it was ready:\n{}", said().trim_end()),
            Ok(Err(error)) => return Err(error).with_context(|| format!("cannot hear the {name}")),
            Err(_) => {
                anyhow::bail!("the {name} was not ready after {READY_TIMEOUT:?}:\n{}", said().trim_end())
            }
        }
        let addresses = match serde_json::from_str(&line) {
            Ok(Value::Object(addresses)) => addresses,
            _ => anyhow::bail!("the {name} said {line:?} instead of its addresses"),
        };
        Ok(Self { name, child, input, addresses })
    }

    /// An address that the process announced.
    pub fn address(&self, which: &str) -> anyhow::Result<String> {
        let address = self.addresses.get(which).and_then(Value::as_str);
        address.map(str::to_owned).with_context(|| format!("the {} has no address {which:?}", self.name))
    }

    /// Asks the process to end, and makes sure that it does.
    pub async fn end(mut self) {
        drop(self.input.take());
        if tokio::time::timeout(END_TIMEOUT, self.child.wait()).await.is_err() {
            tracing::warn!(process = self.name, "does not end, is killed");
            // It may have ended meanwhile, which is as good.
            let _ = self.child.kill().await;
        }
    }
}
