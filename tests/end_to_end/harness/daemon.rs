//! A daemon under test: started, killed, listened to.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, ChildStdin, Stdio},
};

use serde_json::{Map, Value};
use tokio::sync::{oneshot, watch};

use super::{program, within};

/// A process that is ready. Killed when dropped; its log is shown if the test has failed.
pub struct Daemon {
    name: &'static str,
    child: Child,
    /// The process ends when this is closed, should the test be killed.
    input: Option<ChildStdin>,
    addresses: Map<String, Value>,
    log: watch::Receiver<String>,
}

impl Daemon {
    /// Starts `semcast NAME ARGUMENTS…` and waits until it says that it is ready.
    pub async fn start<S: AsRef<std::ffi::OsStr>>(name: &'static str, arguments: &[S]) -> Self {
        let mut child = program()
            .arg(name)
            .arg("--until-input-closes")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable runs");
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("standard output"));
        let mut errors = BufReader::new(child.stderr.take().expect("standard error"));
        let (write_log, log) = watch::channel(String::new());
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while errors.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                write_log.send_modify(|log| log.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
        });
        let (say_ready, ready) = oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // Nobody waits any more if the test has ended: then there is nothing to do.
            let _ = output.read_line(&mut line).map(|_| say_ready.send(line));
            let _ = output.read_to_end(&mut Vec::new());
        });
        let mut daemon = Self { name, child, input, addresses: Map::new(), log };
        let line = within(name, ready).await.unwrap_or_default();
        match serde_json::from_str(&line) {
            Ok(Value::Object(addresses)) => daemon.addresses = addresses,
            _ => panic!("the {name} said {line:?} instead of its addresses"),
        }
        daemon
    }

    /// An address that it announced.
    pub fn address(&self, which: &str) -> SocketAddr {
        let address = self.addresses.get(which).and_then(Value::as_str).and_then(|text| text.parse().ok());
        address.unwrap_or_else(|| panic!("the {} has no address {which:?}", self.name))
    }

    /// All addresses that it announced.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.values().filter_map(|value| value.as_str()?.parse().ok()).collect()
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Checks that it still runs.
    #[track_caller]
    pub fn expect_alive(&mut self) {
        let ended = self.child.try_wait().expect("the state of a process");
        assert!(ended.is_none(), "the {} ended: {ended:?}", self.name);
    }

    /// Waits until its log contains a text.
    pub async fn log_says(&self, text: &str) {
        let mut log = self.log.clone();
        let found = within(text, log.wait_for(|log| log.contains(text))).await.is_ok();
        assert!(found, "the {} ended and never said {text:?}", self.name);
    }

    /// Asks it to end and waits until it has.
    pub async fn finish(&mut self) {
        drop(self.input.take());
        let child = &mut self.child;
        let ended = within("the end of a process", async {
            loop {
                if let Some(status) = child.try_wait().expect("the state of a process") {
                    return status;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        let status = ended.await;
        assert!(status.success(), "the {} ended with {status}", self.name);
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    #[expect(clippy::print_stderr, reason = "shown by the test runner when a test fails")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("log of the {}:\n{}", self.name, self.log.borrow().as_str());
        }
    }
}
