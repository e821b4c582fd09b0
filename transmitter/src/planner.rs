//! Planning: ranges of a message → frames that carry them.
//!
//! In: the message, which ranges of which features to send (all of them at first, later what a receiver
//! misses), the MCS of coded segments, and how many resource elements a frame offers. Out: frames, filled
//! one after the other, the most important features first. A range is cut wherever a frame ends, so a
//! range can be sent again in other pieces, with another MCS.

use bytes::Bytes;
use num_complex::Complex32;
use semcast_common::{
    message::{Payload, SemanticMessage},
    segmentation::{
        MessageHeader, PartRange,
        header::{HeaderError, Part},
        interleaving::interleave,
    },
};
use semcast_phy::{
    framing::{MAX_SEGMENTS, Segment},
    modulation::mcs::Mcs,
    transmit::Modulator,
};

/// Payload symbols of a full frame: about 11 ms at the default numerology, short enough for the channel
/// to stand still, long enough for preamble and header to cost little.
pub const FRAME_SYMBOLS: usize = 140;
/// Most bytes of one coded segment: one loss costs at most this much.
pub const MAX_SEGMENT_BYTES: usize = 8192;
/// A frame with less room than this left is closed.
const LEAST_ELEMENTS: usize = 256;

/// A message that is ready to be sent, whole or in parts.
pub struct OutgoingMessage {
    header: MessageHeader,
    importances: Vec<f32>,
    payloads: Vec<Payload>,
}

/// A frame without its number.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameDraft {
    /// Control bytes.
    pub control: Bytes,
    /// Segments.
    pub segments: Vec<Segment>,
}

impl OutgoingMessage {
    /// Prepares a message under a number.
    pub fn new(number: u16, message: SemanticMessage) -> Result<Self, HeaderError> {
        let header = MessageHeader::new(number, &message)?;
        let importances = message.features.iter().map(|feature| feature.importance).collect();
        let payloads = message
            .features
            .into_iter()
            .map(|feature| match feature.payload {
                Payload::Analog(symbols) => Payload::Analog(interleave(&symbols)),
                digital => digital,
            })
            .collect();
        Ok(Self { header, importances, payloads })
    }

    /// The header that frames of this message carry.
    pub fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// Bytes of all coded features.
    pub fn coded_bytes(&self) -> usize {
        self.payloads
            .iter()
            .map(|payload| match payload {
                Payload::Digital(bytes) => bytes.len(),
                Payload::Analog(_) => 0,
            })
            .sum()
    }

    /// Everything, most important first.
    pub fn all(&self) -> Vec<PartRange> {
        let mut order: Vec<usize> = (0..self.payloads.len()).collect();
        order.sort_by(|&a, &b| self.importances[b].total_cmp(&self.importances[a]));
        order
            .into_iter()
            .map(|feature| PartRange {
                feature: feature as u8,
                start: 0,
                end: self.header.features[feature].length(),
            })
            .collect()
    }

    /// Frames that carry `ranges`. Ranges outside the message are left out.
    pub fn frames(
        &self,
        ranges: &[PartRange],
        mcs: Mcs,
        redundancy_version: u8,
        modulator: &Modulator,
    ) -> Vec<FrameDraft> {
        let mut frames = Vec::new();
        let mut open = OpenFrame::default();
        for range in ranges {
            let Some(shape) = self.header.features.get(usize::from(range.feature)) else { continue };
            let end = range.end.min(shape.length());
            let mut start = range.start;
            while start < end {
                let count = open.parts.len() + 1;
                let room = modulator
                    .capacity(FRAME_SYMBOLS, count, self.header.encoded_len(count))
                    .saturating_sub(open.elements);
                let left = (end - start) as usize;
                let piece = if count > MAX_SEGMENTS {
                    None
                } else {
                    self.piece(range.feature, start, left, room, mcs, redundancy_version)
                };
                match piece {
                    Some((segment, length, elements)) if open.is_empty() || room >= LEAST_ELEMENTS => {
                        open.parts.push(Part { feature: range.feature, start });
                        open.segments.push(segment);
                        open.elements += elements;
                        start += length;
                    }
                    _ if open.is_empty() => break,
                    _ => frames.push(self.close(std::mem::take(&mut open))),
                }
            }
        }
        if !open.is_empty() {
            frames.push(self.close(open));
        }
        frames
    }

    /// The largest segment from `start` on that fits `room` resource elements; its length in bytes or
    /// symbols, and in resource elements.
    fn piece(
        &self,
        feature: u8,
        start: u32,
        left: usize,
        room: usize,
        mcs: Mcs,
        redundancy_version: u8,
    ) -> Option<(Segment, u32, usize)> {
        let start = start as usize;
        match &self.payloads[usize::from(feature)] {
            Payload::Analog(symbols) => {
                let length = left.min(room);
                let symbols: Vec<Complex32> = symbols.get(start..start + length)?.to_vec();
                (length > 0).then_some((Segment::Analog { symbols }, length as u32, length))
            }
            Payload::Digital(bytes) => {
                let length = left.min(mcs.bytes_for_symbols(room)).min(MAX_SEGMENT_BYTES);
                if length == 0 {
                    return None;
                }
                let bytes = bytes.slice(start..start + length);
                let segment = Segment::Coded { mcs: mcs.index(), redundancy_version, bytes };
                Some((segment, length as u32, mcs.symbols_for_bytes(length)))
            }
        }
    }

    fn close(&self, open: OpenFrame) -> FrameDraft {
        let header = MessageHeader { parts: open.parts, ..self.header.clone() };
        FrameDraft { control: header.to_bytes(), segments: open.segments }
    }
}

#[derive(Default)]
struct OpenFrame {
    parts: Vec<Part>,
    segments: Vec<Segment>,
    elements: usize,
}

impl OpenFrame {
    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use semcast_common::{
        message::{Feature, ModelDigest, SystemId},
        segmentation::Assembly,
    };
    use semcast_phy::{framing::Frame, numerology::Numerology};

    use super::*;

    fn message(lengths: &[(bool, usize)]) -> OutgoingMessage {
        let features = lengths
            .iter()
            .enumerate()
            .map(|(index, &(analog, length))| Feature {
                importance: index as f32,
                payload: if analog {
                    Payload::Analog((0..length).map(|i| Complex32::new(i as f32, 1.0)).collect())
                } else {
                    Payload::Digital((0..length).map(|i| i as u8).collect())
                },
            })
            .collect();
        let message = SemanticMessage {
            system: SystemId::Ae,
            model: ModelDigest::default(),
            side: Bytes::from_static(&[1, 2, 3]),
            features,
        };
        OutgoingMessage::new(9, message).expect("a message within all limits")
    }

    /// Puts frames together as a receiver would that lost nothing.
    fn assemble(outgoing: &OutgoingMessage, frames: &[FrameDraft]) -> Assembly {
        let mut assembly = Assembly::new(outgoing.header().clone());
        for frame in frames {
            let header = MessageHeader::parse(&frame.control).expect("control bytes of our own");
            assert!(header.same_message(outgoing.header()));
            assert_eq!(header.parts.len(), frame.segments.len());
            for (part, segment) in header.parts.iter().zip(&frame.segments) {
                match segment {
                    Segment::Coded { bytes, .. } => assembly.add_digital(part.feature, part.start, bytes),
                    Segment::Analog { symbols } => {
                        assembly.add_analog(part.feature, part.start, symbols, &vec![0.1; symbols.len()]);
                    }
                }
            }
        }
        assembly
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn frames_carry_everything_and_can_be_sent(
            lengths in proptest::collection::vec((any::<bool>(), 1usize..60_000), 1..6),
            index in 0u8..35,
        ) {
            let mut modulator = Modulator::new(Numerology::default());
            let outgoing = message(&lengths);
            let mcs = Mcs::from_index(index).expect("a step of the ladder");
            let frames = outgoing.frames(&outgoing.all(), mcs, 0, &modulator);
            prop_assert!(assemble(&outgoing, &frames).complete());
            for draft in &frames {
                let frame = Frame {
                    number: 0,
                    transmitter: 0,
                    control: draft.control.clone(),
                    segments: draft.segments.clone(),
                };
                let mut samples = Vec::new();
                modulator.modulate(&frame, &mut samples).expect("a frame that fits");
                let symbols = samples.len() / Numerology::default().symbol_samples();
                prop_assert!(symbols <= FRAME_SYMBOLS + 8, "{} symbols", symbols);
            }
        }

        #[test]
        fn only_what_is_asked_for_is_sent_again(start in 0u32..9000, length in 1u32..9000) {
            let modulator = Modulator::new(Numerology::default());
            let outgoing = message(&[(false, 10_000), (true, 10_000)]);
            let wanted = PartRange { feature: 1, start, end: start + length };
            let frames = outgoing.frames(&[wanted], Mcs::LOWEST, 0, &modulator);
            let lacking: u32 = assemble(&outgoing, &frames).missing(100).iter().map(|gap| gap.end - gap.start).sum();
            prop_assert_eq!(lacking, 20_000 - (start + length).min(10_000) + start);
        }
    }

    #[test]
    fn a_receiver_that_heard_nothing_may_ask_for_more_than_there_is() {
        let modulator = Modulator::new(Numerology::default());
        let outgoing = message(&[(true, 100)]);
        let everything: Vec<_> =
            (0..64).map(|feature| PartRange { feature, start: 0, end: u32::MAX }).collect();
        let frames = outgoing.frames(&everything, Mcs::LOWEST, 0, &modulator);
        assert_eq!(frames, outgoing.frames(&outgoing.all(), Mcs::LOWEST, 0, &modulator));
    }

    #[test]
    fn the_most_important_feature_comes_first() {
        let outgoing = message(&[(false, 10), (true, 10), (false, 10)]);
        let order: Vec<_> = outgoing.all().iter().map(|range| range.feature).collect();
        assert_eq!(order, [2, 1, 0]);
    }
}
