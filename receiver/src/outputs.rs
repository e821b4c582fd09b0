//! Outputs: content → files, and news → `watch` clients.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use semcast_common::{
    clock::unix_us,
    content::{Content, file},
    control::{ControlConnection, ControlError},
    wire::{Arrived, ControlMessage, Event, EventLevel, Status},
};
use tokio::sync::broadcast;

use crate::reception::MessageKey;

/// News that a `watch` client may be behind; a slower one skips some.
pub const MAX_NEWS: usize = 16;

/// Something that `watch` clients are told.
#[derive(Clone, Debug)]
pub enum News {
    /// Content arrived, with its raw bytes.
    Arrived(Box<Arrived>, Bytes),
    /// Something happened.
    Event(Event),
    /// The receiver stands otherwise than before.
    Status(Status),
}

/// An event of now.
pub fn event(level: EventLevel, text: impl Into<String>) -> News {
    News::Event(Event::new(unix_us(), level, text))
}

/// The raw bytes of content: RGB of a picture, text, or classes and confidences.
pub fn raw(content: &Content) -> Bytes {
    match content {
        Content::Picture(picture) => Bytes::copy_from_slice(picture.rgb()),
        Content::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        Content::Labels(labels) => labels.to_bytes().into(),
    }
}

/// Writes content into a folder, as a PNG, a text or, for what a picture shows, JSON; returns its path.
pub fn save(folder: &Path, key: MessageKey, content: &Content) -> std::io::Result<PathBuf> {
    let (extension, bytes) = match content {
        Content::Picture(picture) => {
            ("png", file::encode_png(picture).map_err(|error| std::io::Error::other(error.to_string()))?)
        }
        Content::Text(text) => ("txt", text.clone().into_bytes()),
        Content::Labels(labels) => ("json", labels.to_json().into_bytes()),
    };
    std::fs::create_dir_all(folder)?;
    let path =
        folder.join(format!("{}-{:04x}-{:05}.{extension}", unix_us() / 1000, key.transmitter, key.message));
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// Serves one `watch` client until it goes.
pub async fn serve(
    mut connection: ControlConnection,
    mut news: broadcast::Receiver<News>,
    status: Status,
) -> Result<(), ControlError> {
    let sender = connection.sender();
    let content = match connection.receive().await? {
        None => return Ok(()),
        Some(received) => match received.message {
            ControlMessage::Watch(watch) => watch.content,
            other => return Err(ControlError::Protocol(format!("{} instead of Watch", other.name()))),
        },
    };
    sender.send(&ControlMessage::Status(status)).await?;
    loop {
        tokio::select! {
            received = connection.receive() => if received?.is_none() {
                return Ok(());
            },
            item = news.recv() => match item {
                Ok(News::Arrived(arrived, bytes)) if content => {
                    sender.send_with_body(&ControlMessage::Arrived(*arrived), bytes).await?;
                }
                Ok(News::Arrived(arrived, _)) => {
                    let arrived = Arrived { length: 0, ..*arrived };
                    sender.send(&ControlMessage::Arrived(arrived)).await?;
                }
                Ok(News::Status(status)) => sender.send(&ControlMessage::Status(status)).await?,
                Ok(News::Event(event)) => sender.send(&ControlMessage::Event(event)).await?,
                Err(broadcast::error::RecvError::Lagged(skipped)) => {
                    tracing::warn!(skipped, "a watch client is too slow and missed news");
                }
                Err(broadcast::error::RecvError::Closed) => {
                    connection.finish().await;
                    return Ok(());
                }
            },
        }
    }
}
