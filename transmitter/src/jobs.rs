//! Jobs: a submission on its way from a `send` client to the worker, and the answers on their way back.

use bytes::Bytes;
use semcast_common::{
    content::{Content, ContentError, file},
    control::{ControlConnection, ControlError},
    wire::{ControlMessage, Failed, FailureCode, Progress, SendStage, Submit, SubmitKind},
};
use tokio::sync::mpsc;

/// Jobs that may wait; one more is refused.
pub const MAX_WAITING: usize = 16;
/// Answers that may wait for a client that does not read.
const MAX_ANSWERS: usize = 64;

/// A submission with the way back to its client.
pub struct Job {
    /// What to send, and how.
    pub submit: Submit,
    /// The picture file or the text.
    pub body: Bytes,
    /// Takes progress, reports and failures. Closed when the client has gone.
    pub answers: mpsc::Sender<ControlMessage>,
}

impl Job {
    /// The content of the submission.
    pub fn content(&self) -> Result<Content, ContentError> {
        match self.submit.kind {
            SubmitKind::PictureFile => file::decode_picture(&self.body).map(Content::Picture),
            SubmitKind::Text => match std::str::from_utf8(&self.body) {
                Ok(text) => Content::text(text),
                Err(error) => Err(ContentError::Format(error.to_string())),
            },
        }
    }

    /// Tells the client how far it is; a slow client misses some of it.
    pub fn progress(&self, stage: SendStage, fraction: f32) {
        // A full queue or a client that has gone is no reason to stop sending.
        let _ = self.answers.try_send(ControlMessage::Progress(Progress { stage, fraction }));
    }

    /// Gives the client an answer that it must not miss. For the worker's thread.
    pub fn answer(&self, message: ControlMessage) {
        if self.answers.blocking_send(message).is_err() {
            tracing::info!("the send client has gone before its report");
        }
    }
}

/// Serves one `send` client: submissions in, answers out, until it goes.
pub async fn serve(mut connection: ControlConnection, jobs: mpsc::Sender<Job>) -> Result<(), ControlError> {
    let sender = connection.sender();
    let (answers, mut answered) = mpsc::channel(MAX_ANSWERS);
    loop {
        tokio::select! {
            received = connection.receive() => match received? {
                None => return Ok(()),
                Some(received) => if let ControlMessage::Submit(submit) = received.message {
                    let job = Job { submit, body: received.body, answers: answers.clone() };
                    job.progress(SendStage::Queued, 0.0);
                    if jobs.try_send(job).is_err() {
                        let text = format!("{MAX_WAITING} submissions wait already; try again later");
                        let failed = Failed::new(FailureCode::Unavailable, text);
                        sender.send(&ControlMessage::Failed(failed)).await?;
                    }
                }
            },
            Some(answer) = answered.recv() => sender.send(&answer).await?,
        }
    }
}
