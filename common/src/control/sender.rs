//! The sending half of a connection: a queue, and the task that writes it to the stream.

use std::sync::Arc;

use bytes::Bytes;
use quinn::SendStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::framing::encode_frame;
use super::{ControlError, HANDSHAKE_TIMEOUT};
use crate::wire::{ControlMessage, Role};

/// Messages that wait to be sent before `send` waits too.
const QUEUE: usize = 64;
/// Bytes of bodies that wait to be sent before `send` waits too: one of the largest fits.
const QUEUE_BODY_BYTES: usize = 128 << 20;

enum Outgoing {
    Frame { frame: Vec<u8>, body: Bytes, _room: OwnedSemaphorePermit },
    Finish(oneshot::Sender<()>),
}

/// The sending half. Clones send on the same connection, each message whole.
#[derive(Clone, Debug)]
pub struct ControlSender {
    queue: mpsc::Sender<Outgoing>,
    room: Arc<Semaphore>,
    from: Role,
    to: Role,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outgoing")
    }
}

impl ControlSender {
    /// Starts the task that writes to `stream`; it keeps `permit` until it has ended.
    pub(super) fn start(
        stream: SendStream,
        from: Role,
        to: Role,
        permit: Option<Arc<OwnedSemaphorePermit>>,
    ) -> Self {
        let (queue, outgoing) = mpsc::channel(QUEUE);
        let room = Arc::new(Semaphore::new(QUEUE_BODY_BYTES));
        tokio::spawn(write_queue(stream, outgoing, room.clone(), permit));
        Self { queue, room, from, to }
    }

    /// The frame of a message that may be sent with this body, and how many bytes of room the body takes.
    fn frame(&self, message: &ControlMessage, body: &Bytes) -> Result<(Vec<u8>, u32), ControlError> {
        if !message.may_go(self.from, self.to) {
            let what = format!("{} from a {} to a {}", message.name(), self.from, self.to);
            return Err(ControlError::Protocol(what));
        }
        if body.len() as u64 != message.body_bytes() {
            return Err(ControlError::Protocol(format!(
                "{} announces a body of {} bytes, not {}",
                message.name(),
                message.body_bytes(),
                body.len()
            )));
        }
        let frame = encode_frame(message)?;
        // `encode_frame` has checked the length of the body against its limit, which is below 4 GiB.
        Ok((frame, u32::try_from(body.len()).unwrap_or(u32::MAX)))
    }

    /// Queues a message without a body; waits while the queue is full.
    pub async fn send(&self, message: &ControlMessage) -> Result<(), ControlError> {
        self.send_with_body(message, Bytes::new()).await
    }

    /// Queues a message and its body; waits while the queue is full.
    pub async fn send_with_body(&self, message: &ControlMessage, body: Bytes) -> Result<(), ControlError> {
        let (frame, bytes) = self.frame(message, &body)?;
        let room = self.room.clone().acquire_many_owned(bytes).await.map_err(|_| ControlError::Closed)?;
        let outgoing = Outgoing::Frame { frame, body, _room: room };
        self.queue.send(outgoing).await.map_err(|_| ControlError::Closed)
    }

    /// Queues a message without a body if there is room at once; see [`ControlSender::try_send_with_body`].
    pub fn try_send(&self, message: &ControlMessage) -> Result<bool, ControlError> {
        self.try_send_with_body(message, Bytes::new())
    }

    /// Queues a message and its body if there is room at once. `Ok(false)` if there is none, and the message
    /// is dropped: for what a slow peer may miss.
    pub fn try_send_with_body(&self, message: &ControlMessage, body: Bytes) -> Result<bool, ControlError> {
        let (frame, bytes) = self.frame(message, &body)?;
        if self.is_closed() {
            return Err(ControlError::Closed);
        }
        let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) else { return Ok(false) };
        match self.queue.try_send(Outgoing::Frame { frame, body, _room: room }) {
            Ok(()) => Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ControlError::Closed),
        }
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Ends the sending direction and waits until everything queued is sent and the peer has it; the last
    /// of these waits ends after [`HANDSHAKE_TIMEOUT`], the first one lasts as long as the peer takes to
    /// read. Clones can send nothing afterwards.
    pub async fn finish(self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Outgoing::Finish(done)).await.is_ok() {
            // An error means that the connection broke, which is an end too.
            let _ = wait.await;
        }
    }
}

struct CloseOnDrop(Arc<Semaphore>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn write_queue(
    mut stream: SendStream,
    mut queue: mpsc::Receiver<Outgoing>,
    room: Arc<Semaphore>,
    _permit: Option<Arc<OwnedSemaphorePermit>>,
) {
    // However this task ends, whoever waits for room must not wait for ever.
    let _close_room = CloseOnDrop(room);
    let mut done = None;
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            Outgoing::Frame { frame, body, _room } => {
                let mut chunks = [Bytes::from(frame), body];
                if let Err(error) = stream.write_all_chunks(&mut chunks).await {
                    tracing::debug!(%error, "control link: sending ended");
                    return;
                }
            }
            Outgoing::Finish(sender) => {
                done = Some(sender);
                break;
            }
        }
    }
    queue.close();
    if stream.finish().is_ok() {
        // Either the peer has it all, or it is gone, or it takes too long: the stream ends in any case.
        let _ = tokio::time::timeout(HANDSHAKE_TIMEOUT, stream.stopped()).await;
    }
    if let Some(done) = done {
        let _ = done.send(());
    }
}
