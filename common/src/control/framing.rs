//! Frames on the stream: `u32` little endian length, message, body.
//!
//! No I/O here: bytes are pushed in as they come, in pieces of any size, and messages come out.

use bytes::{Buf, Bytes, BytesMut};

use super::ControlError;
use crate::wire::{self, ControlMessage, MAX_MESSAGE_BYTES, Role, WireError};

/// A message with the body that followed it (mostly none).
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The message.
    pub message: ControlMessage,
    /// The bytes that followed it, [`ControlMessage::body_bytes`] of them.
    pub body: Bytes,
}

/// The frame of a message, without the body.
pub fn encode_frame(message: &ControlMessage) -> Result<Vec<u8>, WireError> {
    let bytes = wire::encode(message)?;
    let length = u32::try_from(bytes.len()).map_err(|_| WireError::TooLong(bytes.len()))?;
    let mut frame = Vec::with_capacity(4 + bytes.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&bytes);
    Ok(frame)
}

/// What frames a decoder lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// A greeting or the answer to one.
    Greeting,
    /// What `from` may say to `to`.
    Dialogue { from: Role, to: Role },
}

/// Turns the bytes of a stream into messages.
///
/// Holds no more than one message, its body and the last piece that was pushed; a body's memory grows with
/// the bytes that arrive, not with the length that was announced.
#[derive(Debug)]
pub struct FrameDecoder {
    expect: Expect,
    buffer: BytesMut,
    body: Option<(ControlMessage, usize, BytesMut)>,
}

impl FrameDecoder {
    /// A decoder that expects a greeting ([`ControlMessage::Hello`], `Welcome` or `Refused`) first.
    pub fn new() -> Self {
        Self { expect: Expect::Greeting, buffer: BytesMut::new(), body: None }
    }

    /// After the greeting: expects what `from` may say to `to`.
    pub fn greeted(&mut self, from: Role, to: Role) {
        self.expect = Expect::Dialogue { from, to };
    }

    /// The next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether the stream may end here: between frames.
    pub fn is_between_frames(&self) -> bool {
        self.buffer.is_empty() && self.body.is_none()
    }

    fn check(&self, message: &ControlMessage) -> Result<(), ControlError> {
        let allowed = match self.expect {
            Expect::Greeting => matches!(
                message,
                ControlMessage::Hello(_) | ControlMessage::Welcome(_) | ControlMessage::Refused(_)
            ),
            Expect::Dialogue { from, to } => message.may_go(from, to),
        };
        if allowed {
            return Ok(());
        }
        Err(ControlError::Protocol(match self.expect {
            Expect::Greeting => format!("{} before the greeting", message.name()),
            Expect::Dialogue { from, to } => format!("{} from a {from} to a {to}", message.name()),
        }))
    }

    /// The next message, if all of it is there. After an error the stream makes no sense any more.
    pub fn next_message(&mut self) -> Result<Option<Received>, ControlError> {
        if self.body.is_none() {
            let Some(header) = self.buffer.first_chunk::<4>() else { return Ok(None) };
            let length = u32::from_le_bytes(*header) as usize;
            if length > MAX_MESSAGE_BYTES {
                return Err(WireError::TooLong(length).into());
            }
            let Some(bytes) = self.buffer.get(4..4 + length) else { return Ok(None) };
            let message = wire::decode(bytes)?;
            self.check(&message)?;
            self.buffer.advance(4 + length);
            // `decode` has checked it against the limit for the message.
            let body_bytes = usize::try_from(message.body_bytes())
                .map_err(|_| ControlError::Protocol("body longer than memory".into()))?;
            self.body = Some((message, body_bytes, BytesMut::new()));
        }
        let Some((_, wanted, body)) = &mut self.body else { return Ok(None) };
        let take = (*wanted - body.len()).min(self.buffer.len());
        body.extend_from_slice(&self.buffer[..take]);
        self.buffer.advance(take);
        if body.len() < *wanted {
            return Ok(None);
        }
        Ok(self.body.take().map(|(message, _, body)| Received { message, body: body.freeze() }))
    }
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{SendOptions, Submit, SubmitKind};
    use proptest::prelude::*;

    fn submit(length: u64) -> ControlMessage {
        ControlMessage::Submit(Submit { kind: SubmitKind::Text, options: SendOptions::default(), length })
    }

    fn at_transmitter() -> FrameDecoder {
        let mut decoder = FrameDecoder::new();
        decoder.greeted(Role::SendClient, Role::Transmitter);
        decoder
    }

    #[test]
    fn oversize_is_refused_before_it_is_there() {
        let mut decoder = at_transmitter();
        decoder.push(&u32::MAX.to_le_bytes());
        assert!(matches!(decoder.next_message(), Err(ControlError::Wire(WireError::TooLong(_)))));
    }

    #[test]
    fn an_announced_body_takes_no_memory_until_it_comes() {
        let mut decoder = at_transmitter();
        decoder.push(&encode_frame(&submit(wire::MAX_SUBMIT_BYTES)).unwrap());
        assert!(decoder.next_message().unwrap().is_none());
        let (_, _, body) = decoder.body.as_ref().unwrap();
        assert_eq!(body.capacity(), 0);
        assert!(encode_frame(&submit(wire::MAX_SUBMIT_BYTES + 1)).is_err());
    }

    #[test]
    fn messages_of_the_wrong_role_are_refused() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&encode_frame(&submit(0)).unwrap());
        assert!(decoder.next_message().unwrap_err().to_string().contains("before the greeting"));
        let mut decoder = FrameDecoder::new();
        decoder.greeted(Role::Receiver, Role::Transmitter);
        decoder.push(&encode_frame(&submit(0)).unwrap());
        assert!(decoder.next_message().unwrap_err().to_string().contains("Submit from a receiver"));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_messages(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..5),
            piece in 1usize..50,
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend(encode_frame(&submit(body.len() as u64)).unwrap());
                stream.extend(body);
            }
            let mut decoder = at_transmitter();
            let mut seen = Vec::new();
            for piece in stream.chunks(piece) {
                decoder.push(piece);
                while let Some(received) = decoder.next_message().unwrap() {
                    seen.push(received.body.to_vec());
                }
            }
            prop_assert!(decoder.is_between_frames());
            prop_assert_eq!(seen, bodies);
        }

        #[test]
        fn rubbish_never_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut decoder = at_transmitter();
            for piece in pieces {
                decoder.push(&piece);
                if decoder.next_message().is_err() {
                    break;
                }
            }
        }
    }
}
