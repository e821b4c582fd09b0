//! The link as `loopback`, `measure`, `send` and `watch` see it: a client of the transmitter, and one of the
//! receiver.

use std::{io::IsTerminal, path::Path, time::Duration};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use semcast_common::{
    content::{Content, Labels, Picture},
    control::{ControlClient, ControlConnection, Identity, Peers},
    report::{Clocks, Quality, Report, Setting},
    wire::{
        Arrived, ContentKind, ControlMessage, EventLevel, Hello, Progress, Role, SendOptions, SendReport,
        SendStage, Submit, SubmitKind, Watch,
    },
};

use crate::exit::Failure;

/// How long both ends may take to find each other.
const LINK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long content may take from the transmitter's report to the `watch` client.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(20);

/// What is to be sent: the bytes as they are submitted.
pub struct Submission {
    /// What the bytes are.
    pub kind: SubmitKind,
    /// A picture file, or text.
    pub bytes: Bytes,
}

impl Submission {
    /// A picture file. Whether it is one, and of which size, is looked at by the transmitter.
    pub fn picture_file(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::Content(format!("cannot read {}: {error}", path.display())))?;
        Ok(Self { kind: SubmitKind::PictureFile, bytes: bytes.into() })
    }

    /// A text.
    pub fn text(text: String) -> Self {
        Self { kind: SubmitKind::Text, bytes: text.into_bytes().into() }
    }

    /// A file with text.
    pub fn text_file(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Content(format!("cannot read {}: {error}", path.display())))?;
        Ok(Self::text(text))
    }

    /// The content, for comparison.
    pub fn content(&self) -> anyhow::Result<Content> {
        Ok(match self.kind {
            SubmitKind::PictureFile => {
                Content::Picture(semcast_common::content::file::decode_picture(&self.bytes)?)
            }
            SubmitKind::Text => Content::text(std::str::from_utf8(&self.bytes)?)?,
        })
    }
}

/// Connects as a `send` client.
pub async fn sender(address: &str, identity: &Identity, peers: &Peers) -> anyhow::Result<ControlConnection> {
    Ok(ControlClient::new(address, identity, peers, Hello::new(Role::SendClient, "send"))?.connect().await?)
}

/// Connects as a `watch` client that wants content.
pub async fn watcher(address: &str, identity: &Identity, peers: &Peers) -> anyhow::Result<ControlConnection> {
    let client = ControlClient::new(address, identity, peers, Hello::new(Role::WatchClient, "watch"))?;
    let connection = client.connect().await?;
    connection.send(&ControlMessage::Watch(Watch { content: true })).await?;
    Ok(connection)
}

/// Waits until the receiver hears the air and, if it is to, talks to the transmitter.
pub async fn wait_until_up(watcher: &mut ControlConnection, feedback: bool) -> anyhow::Result<()> {
    let mut seen = semcast_common::wire::Status::default();
    let waiting = async {
        loop {
            match watcher.receive().await? {
                None => anyhow::bail!("the receiver has closed the connection"),
                Some(received) => {
                    if let ControlMessage::Status(status) = received.message {
                        seen = status;
                        if status.hearing && (status.linked || !feedback) {
                            return Ok(());
                        }
                    }
                }
            }
        }
    };
    match tokio::time::timeout(LINK_TIMEOUT, waiting).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Unavailable(format!(
            "the link is not up after {LINK_TIMEOUT:?}: receiver hears the air: {}, talks to the transmitter: {}",
            seen.hearing, seen.linked
        ))
        .into()),
    }
}

/// Submits content and waits for one report.
pub async fn submit(
    sender: &mut ControlConnection,
    submission: &Submission,
    options: SendOptions,
) -> anyhow::Result<SendReport> {
    let submit = Submit { kind: submission.kind, options, length: submission.bytes.len() as u64 };
    sender.send_with_body(&ControlMessage::Submit(submit), submission.bytes.clone()).await?;
    report(sender).await
}

/// Waits for the next report; shows progress meanwhile.
pub async fn report(sender: &mut ControlConnection) -> anyhow::Result<SendReport> {
    let display = Display::new();
    loop {
        let Some(received) = sender.receive().await? else {
            return Err(Failure::Unavailable("the transmitter has closed the connection".into()).into());
        };
        match received.message {
            ControlMessage::Progress(progress) => display.show(progress),
            ControlMessage::SendReport(report) => return Ok(*report),
            ControlMessage::Failed(failed) => return Err(failed.into()),
            _ => {}
        }
    }
}

/// The report of a transmission by processes that somebody else has started: of the channel this end knows nothing but what the
/// receiver says, and of the content nothing at all.
pub fn remote_report(sent: &SendReport) -> Report {
    let setting = Setting {
        seed: 0,
        channel: "unknown".into(),
        snr_db: f64::NAN,
        clocks: Clocks::estimated_or(sent.clock, Clocks::Unknown),
    };
    Report::merge(&setting, &sent.transmitter, sent.receiver.as_ref(), Quality::default())
}

/// Something that arrived at the receiver.
pub struct Arrival {
    /// What the receiver says of it.
    pub arrived: Arrived,
    /// The content.
    pub content: Content,
}

/// Waits for the next content; events are logged. `None` when the receiver has gone.
pub async fn next_arrival(watcher: &mut ControlConnection) -> anyhow::Result<Option<Arrival>> {
    while let Some(received) = watcher.receive().await? {
        match received.message {
            ControlMessage::Arrived(arrived) => {
                let content = content(arrived.content, received.body)?;
                return Ok(Some(Arrival { arrived, content }));
            }
            ControlMessage::Event(event) if event.level == EventLevel::Warning => {
                tracing::warn!("receiver: {}", event.text);
            }
            ControlMessage::Event(event) => tracing::info!("receiver: {}", event.text),
            _ => {}
        }
    }
    Ok(None)
}

/// Waits for the content of a message that the transmitter has reported.
pub async fn arrival(watcher: &mut ControlConnection, report: &SendReport) -> anyhow::Result<Arrival> {
    let wanted = (report.transmitter.session, report.transmitter.message_id);
    let waiting = async {
        loop {
            match next_arrival(watcher).await? {
                Some(arrival)
                    if (arrival.arrived.part.session, arrival.arrived.message_id) == wanted
                        && !arrival.arrived.intermediate =>
                {
                    return Ok(arrival);
                }
                Some(_) => {}
                None => anyhow::bail!("the receiver has closed the connection"),
            }
        }
    };
    match tokio::time::timeout(ARRIVAL_TIMEOUT, waiting).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Delivery("the receiver got nothing that it could decode".into()).into()),
    }
}

fn content(kind: ContentKind, body: Bytes) -> anyhow::Result<Content> {
    Ok(match kind {
        ContentKind::Picture { width, height } => Content::Picture(Picture::new(width, height, body.into())?),
        ContentKind::Text { .. } => Content::text(String::from_utf8(body.into())?)?,
        ContentKind::Labels { width, height } => Content::Labels(Labels::from_bytes(width, height, &body)?),
    })
}

/// Progress on the terminal; silent where standard error is none.
struct Display(Option<ProgressBar>);

impl Display {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(100);
        if let Ok(style) = ProgressStyle::with_template("{msg:<8} [{bar:30}] {percent:>3} % {elapsed}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    fn show(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_message(progress.stage.to_string());
            bar.set_position((progress.fraction.clamp(0.0, 1.0) * 100.0) as u64);
            if progress.stage == SendStage::Confirm {
                bar.tick();
            }
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
