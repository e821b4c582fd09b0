//! Planning: ranges of a message → frames that carry them.
//!
//! In: the message, which pieces of it to send (all of it at first, later what receivers miss), the mode of
//! frames, and how many resource elements a frame offers. Out: frames, filled one after the other, the most
//! important features first. A fresh range is cut wherever a frame ends; a segment that goes again stays as it
//! was cut, so that receivers can combine the two ([`crate::resending`]).

use bytes::Bytes;
use num_complex::Complex32;
use semcast_common::{
    message::{Payload, SemanticMessage},
    segmentation::{
        MessageHeader, PartRange,
        header::{HeaderError, Part},
        interleaving::interleave,
    },
    wire::MessageReceipt,
};
use semcast_phy::{
    allocation::Record,
    framing::{Frame, MAX_PAYLOAD_SYMBOLS, MAX_SEGMENTS, Segment},
    mode::{Mode, Protection},
    modulation::mcs::Mcs,
    transmit::Modulator,
};

use crate::{
    allocation::Allocator,
    link_adaptation::{Resending, Tally},
    resending::{Lack, Piece, SentSegments},
};

/// Payload symbols of a full frame: about 20 ms at the default numerology, so that preamble, header and control block
/// cost little. The receiver follows the channel within a frame; what a longer one risks is the more that a lost
/// preamble takes with it.
pub const FRAME_SYMBOLS: usize = 280;
/// Most bytes of one coded segment: one loss costs at most this much.
pub const MAX_SEGMENT_BYTES: usize = 8192;
/// A frame with less room than this left is closed.
const LEAST_ELEMENTS: usize = 256;
/// A coded segment is cut shorter than this only if no more bytes are left: its CRC and the loss of a short code
/// would cost more than a frame that ends a little early.
const LEAST_BYTES: usize = 24;

/// A message that is ready to be sent, whole or in parts.
pub struct OutgoingMessage {
    header: MessageHeader,
    importances: Vec<f32>,
    payloads: Vec<Payload>,
    sent: SentSegments,
}

/// A frame without its number.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameDraft {
    /// How robust it is.
    pub protection: Protection,
    /// Control bytes.
    pub control: Bytes,
    /// Which resource blocks carry which segment.
    pub allocation: Option<Record>,
    /// Segments.
    pub segments: Vec<Segment>,
}

impl FrameDraft {
    /// A frame without payload, for the reports on the channel that it brings.
    pub fn sounding(mode: Mode) -> Self {
        Self { protection: mode.into(), control: Bytes::new(), allocation: None, segments: Vec::new() }
    }

    /// The frame, under its number.
    pub fn frame(&self, number: u16, transmitter: u16) -> Frame {
        Frame {
            mode: self.protection.mode,
            control_rate: self.protection.control,
            number,
            transmitter,
            control: self.control.clone(),
            allocation: self.allocation.clone(),
            segments: self.segments.clone(),
        }
    }
}

/// A segment with the range that it holds and the resource elements that it takes.
struct Cut {
    range: PartRange,
    segment: Segment,
    elements: usize,
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
        Ok(Self { header, importances, payloads, sent: SentSegments::default() })
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

    /// Everything, to be sent for the first time.
    pub fn all(&self, mcs: Mcs) -> Vec<Piece> {
        let features = self.header.features.iter().zip(0..);
        let whole = features.map(|(shape, feature)| PartRange { feature, start: 0, end: shape.length() });
        self.by_importance(whole.map(|range| Piece::Fresh(range, mcs)).collect())
    }

    /// What receivers lack, to be sent again.
    pub fn again(&self, lack: &Lack, resending: &Resending) -> Vec<Piece> {
        self.by_importance(self.sent.again(lack, resending))
    }

    /// What became of the coded segments of the first round, by a receipt for it.
    pub fn tally(&self, receipt: &MessageReceipt) -> Tally {
        self.sent.tally(receipt)
    }

    fn by_importance(&self, mut pieces: Vec<Piece>) -> Vec<Piece> {
        let importance = |piece: &Piece| {
            self.importances.get(usize::from(piece.range().feature)).copied().unwrap_or(f32::NEG_INFINITY)
        };
        pieces.sort_by(|a, b| importance(b).total_cmp(&importance(a)));
        pieces
    }

    /// Frames that carry `pieces`, and remembers how they were cut. Ranges outside the message are left out.
    /// No frame at all where a whole one has no room for one of them: the grid is too narrow for this mode.
    ///
    /// With an allocator every frame has a share of every feature, and says which resource blocks carry which.
    pub fn frames(
        &mut self,
        pieces: &[Piece],
        protection: impl Into<Protection>,
        modulator: &Modulator,
        allocator: Option<&Allocator>,
    ) -> Vec<FrameDraft> {
        let protection = protection.into();
        // Parts of one feature matter alike: nothing is gained by choosing among their resource blocks.
        let allocator = allocator.filter(|_| self.payloads.len() > 1);
        let mut frames = Vec::new();
        let mut open = OpenFrame::default();
        let symbols = self.frame_symbols(protection, modulator);
        let spread = allocator.map(|_| self.spread(pieces, protection, modulator, symbols));
        for piece in spread.as_deref().unwrap_or(pieces) {
            let mut range = piece.range();
            let Some(shape) = self.header.features.get(usize::from(range.feature)) else { continue };
            range.end = range.end.min(shape.length());
            while range.start < range.end {
                let count = open.parts.len() + 1;
                let room = modulator
                    .capacity(protection, symbols, count, self.header.encoded_len(count))
                    .saturating_sub(open.elements);
                let cut = if open.is_empty() {
                    self.cut(piece, range, room, true)
                } else if count <= MAX_SEGMENTS && room >= LEAST_ELEMENTS {
                    self.cut(piece, range, room, false)
                } else {
                    None
                };
                match cut {
                    Some(cut) => {
                        if let Segment::Coded { mcs, redundancy_version, .. } = cut.segment
                            && let Some(mcs) = Mcs::from_index(mcs)
                        {
                            self.sent.record(cut.range, mcs, redundancy_version);
                        }
                        range.start = cut.range.end;
                        open.push(cut);
                    }
                    None if open.is_empty() => return Vec::new(),
                    None => frames.push(self.close(std::mem::take(&mut open), protection, allocator)),
                }
            }
        }
        if !open.is_empty() {
            frames.push(self.close(open, protection, allocator));
        }
        frames
    }

    /// Payload symbols of a full frame: more on a grid so narrow that the control block would take most of it.
    fn frame_symbols(&self, protection: Protection, modulator: &Modulator) -> usize {
        let room = |symbols| modulator.capacity(protection, symbols, 1, self.header.encoded_len(1));
        let mut symbols = FRAME_SYMBOLS;
        // Twice the symbols have more than three times the room.
        while 2 * symbols <= MAX_PAYLOAD_SYMBOLS && 3 * room(symbols) < room(2 * symbols) {
            symbols *= 2;
        }
        symbols
    }

    /// The next segment of a piece, of which `range` is left, for a frame with `room` resource elements left;
    /// `None` if it has to wait for another frame, or, where the frame is `empty`, cannot be sent at all.
    fn cut(&self, piece: &Piece, range: PartRange, room: usize, empty: bool) -> Option<Cut> {
        let (start, left) = (range.start as usize, (range.end - range.start) as usize);
        let ending = |length: usize| PartRange { end: range.start + length as u32, ..range };
        let (mcs, whole) = match *piece {
            Piece::Fresh(_, mcs) => (mcs, None),
            Piece::Again(as_sent, mcs, version) => (mcs, (as_sent == range).then_some(version)),
        };
        match &self.payloads[usize::from(range.feature)] {
            Payload::Analog(symbols) => {
                let length = left.min(room);
                let symbols: Vec<Complex32> = symbols.get(start..start + length)?.to_vec();
                let segment = Segment::Analog { symbols };
                (length > 0).then(|| Cut { range: ending(length), segment, elements: length })
            }
            Payload::Digital(bytes) => {
                let fits = mcs.symbols_for_bytes(left) <= room && left <= MAX_SEGMENT_BYTES;
                let (length, redundancy_version) = match whole {
                    Some(version) if fits => (left, version),
                    // A frame of its own has room for it, unless it was cut for another mode.
                    Some(_) if !empty => return None,
                    _ => (left.min(mcs.bytes_for_symbols(room)).min(MAX_SEGMENT_BYTES), 0),
                };
                if length == 0 || (length < LEAST_BYTES.min(left) && !empty) {
                    return None;
                }
                let segment = Segment::Coded {
                    mcs: mcs.index(),
                    redundancy_version,
                    bytes: bytes.slice(start..start + length),
                };
                Some(Cut { range: ending(length), segment, elements: mcs.symbols_for_bytes(length) })
            }
        }
    }

    /// Cuts pieces of several features so that each of the frames to come has its share of every one.
    fn spread(
        &self,
        pieces: &[Piece],
        protection: Protection,
        modulator: &Modulator,
        symbols: usize,
    ) -> Vec<Piece> {
        let features = self.payloads.len().min(MAX_SEGMENTS);
        let room = modulator.capacity(protection, symbols, features, self.header.encoded_len(features));
        if room < features * LEAST_ELEMENTS {
            // Too narrow for a share of each.
            return pieces.to_vec();
        }
        let elements = |piece: &Piece| {
            let range = piece.range();
            let length = range.end.saturating_sub(range.start) as usize;
            match (piece, self.payloads.get(usize::from(range.feature))) {
                (Piece::Fresh(_, mcs) | Piece::Again(_, mcs, _), Some(Payload::Digital(bytes))) => {
                    // About: what cutting and CRCs cost is not known yet.
                    (8.0 * length.min(bytes.len()) as f64 / mcs.spectral_efficiency()) as usize
                }
                (_, Some(Payload::Analog(symbols))) => length.min(symbols.len()),
                (_, None) => 0,
            }
        };
        let total: usize = pieces.iter().map(elements).sum();
        let frames = total.div_ceil(room).max(1) as u64;
        let mut spread = Vec::with_capacity(pieces.len() * frames as usize);
        for frame in 0..frames {
            for piece in pieces {
                match *piece {
                    Piece::Fresh(range, mcs) => {
                        let length = self
                            .header
                            .features
                            .get(usize::from(range.feature))
                            .map_or(0, |shape| range.end.min(shape.length()).saturating_sub(range.start));
                        let share = |frame: u64| (u64::from(length) * frame / frames) as u32;
                        let (start, end) = (range.start + share(frame), range.start + share(frame + 1));
                        if start < end {
                            spread.push(Piece::Fresh(PartRange { start, end, ..range }, mcs));
                        }
                    }
                    again if frame == 0 => spread.push(again),
                    Piece::Again(..) => {}
                }
            }
        }
        spread
    }

    fn close(&self, open: OpenFrame, protection: Protection, allocator: Option<&Allocator>) -> FrameDraft {
        let allocation = allocator.and_then(|allocator| {
            let importance = |part: &Part| self.importances.get(usize::from(part.feature)).copied();
            let segments: Vec<_> = open
                .parts
                .iter()
                .zip(&open.segments)
                .map(|(part, segment)| (importance(part).unwrap_or(0.0), segment))
                .collect();
            allocator.record(&segments)
        });
        let header = MessageHeader { parts: open.parts, ..self.header.clone() };
        FrameDraft { protection, control: header.to_bytes(), allocation, segments: open.segments }
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

    fn push(&mut self, cut: Cut) {
        self.parts.push(Part { feature: cut.range.feature, start: cut.range.start });
        self.segments.push(cut.segment);
        self.elements += cut.elements;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use semcast_common::{
        config::Allocation,
        message::{Feature, ModelDigest, SystemId},
        segmentation::Assembly,
        wire::ModeChoice,
    };
    use semcast_phy::{
        framing::{ReceivedSegment, SegmentShape},
        numerology::Numerology,
        receive::Demodulator,
    };

    use super::*;
    use crate::link_adaptation::{Descent, Link, LinkAdaptation, Report};

    fn sendable(draft: &FrameDraft) -> Frame {
        draft.frame(0, 0)
    }

    fn receipt(missing: Vec<PartRange>, uncorrected: Vec<PartRange>) -> MessageReceipt {
        MessageReceipt {
            message_id: 9,
            session: 1,
            missing,
            uncorrected,
            frames: 1,
            snr_db: 0.0,
            complete: false,
        }
    }

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
            index in 0..Mcs::COUNT as u8,
            robust in any::<bool>(),
        ) {
            let mode = if robust { Mode::Robust } else { Mode::Normal };
            let mut modulator = Modulator::new(Numerology::default());
            let mut outgoing = message(&lengths);
            let mcs = Mcs::from_index(index).expect("a step of the ladder");
            let frames = outgoing.frames(&outgoing.all(mcs), mode, &modulator, None);
            prop_assert!(assemble(&outgoing, &frames).complete());
            // The longest and the last: a low step makes hundreds.
            for draft in frames.iter().take(2).chain(frames.last()) {
                let mut samples = Vec::new();
                let cost = modulator.modulate(&sendable(draft), &mut samples).expect("a frame that fits");
                prop_assert!(cost.payload > 0);
            }
        }

        /// Whatever receivers ask for: frames hold what is missing of the message, and can be sent.
        #[test]
        fn resending_brings_all_that_is_missing(
            lengths in proptest::collection::vec((any::<bool>(), 1usize..20_000), 1..4),
            rounds in proptest::collection::vec(
                (proptest::collection::vec((0u8..4, 0u32..20_000, 1u32..20_000, any::<bool>()), 1..4), any::<bool>()),
                1..5,
            ),
            index in 6u8..30,
        ) {
            let mut modulator = Modulator::new(Numerology::default());
            let mut outgoing = message(&lengths);
            let mcs = Mcs::from_index(index).expect("a step of the ladder");
            let first = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, None);
            prop_assert!(!first.is_empty());
            for (asked, robust) in rounds {
                let range = |&(feature, start, length, _): &(u8, u32, u32, bool)| {
                    PartRange { feature, start, end: start + length }
                };
                let missing = PartRange::union(asked.iter().map(range).collect());
                let failed = asked.iter().filter(|asked| asked.3).map(range).collect();
                let mut lack = Lack::default();
                lack.add(receipt(missing.clone(), PartRange::union(failed)));
                let mode = if robust { Mode::Robust } else { Mode::Normal };
                let resending = Resending { mode, ceiling: mcs, combinable: mcs };
                let pieces = outgoing.again(&lack, &resending);
                let frames = outgoing.frames(&pieces, mode, &modulator, None);
                let left = assemble(&outgoing, &frames).missing(1000);
                for range in missing {
                    prop_assert!(!left.iter().any(|left| left.overlaps(&range)), "{:?} of {:?}", range, left);
                }
                if let Some(draft) = frames.first() {
                    modulator.modulate(&sendable(draft), &mut Vec::new()).expect("a frame that fits");
                }
            }
        }

        #[test]
        fn only_what_is_asked_for_is_sent_again(start in 0u32..9000, length in 1u32..9000) {
            let modulator = Modulator::new(Numerology::default());
            let mut outgoing = message(&[(false, 10_000), (true, 10_000)]);
            let wanted = PartRange { feature: 1, start, end: start + length };
            let frames = outgoing.frames(&[Piece::Fresh(wanted, Mcs::LOWEST)], Mode::Normal, &modulator, None);
            let lacking: u32 = assemble(&outgoing, &frames).missing(100).iter().map(|gap| gap.end - gap.start).sum();
            prop_assert_eq!(lacking, 20_000 - (start + length).min(10_000) + start);
        }
    }

    #[test]
    fn a_receiver_that_heard_nothing_may_ask_for_more_than_there_is() {
        let modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&[(true, 100), (false, 300)]);
        let mcs = Mcs::select(10.0, 0.0);
        let first = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, None);
        let everything = (0..64).map(|feature| PartRange { feature, start: 0, end: u32::MAX }).collect();
        let mut lack = Lack::default();
        lack.add(receipt(everything, Vec::new()));
        let resending = Resending { mode: Mode::Normal, ceiling: mcs, combinable: mcs };
        let pieces = outgoing.again(&lack, &resending);
        assert_eq!(outgoing.frames(&pieces, Mode::Normal, &modulator, None), first);
    }

    #[test]
    fn a_lost_segment_goes_again_with_the_same_number_of_coded_bits() {
        let modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&[(false, 30_000)]);
        let mcs = Mcs::select(8.0, 0.0);
        let first = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, None);
        let segments = |frames: &[FrameDraft]| -> Vec<_> {
            let of = |frame: &FrameDraft| frame.segments.iter().map(Segment::shape).collect::<Vec<_>>();
            frames.iter().flat_map(of).collect()
        };
        let everything = vec![PartRange { feature: 0, start: 0, end: 30_000 }];
        let mut lack = Lack::default();
        lack.add(receipt(everything.clone(), everything));
        let resending = Resending { mode: Mode::Normal, ceiling: mcs, combinable: mcs };
        let pieces = outgoing.again(&lack, &resending);
        let second = outgoing.frames(&pieces, Mode::Normal, &modulator, None);
        let with_version_2: Vec<_> = segments(&first)
            .into_iter()
            .map(|shape| match shape {
                SegmentShape::Coded { mcs, bytes, .. } => {
                    SegmentShape::Coded { mcs, bytes, redundancy_version: 2 }
                }
                analog => analog,
            })
            .collect();
        assert_eq!(segments(&second), with_version_2);
    }

    /// The receiver asks for everything, twice: what then goes out is all of it, in robust frames, on the lowest
    /// step.
    #[test]
    fn a_message_that_nobody_hears_falls_to_robust_frames() {
        let modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&[(false, 300)]);
        let link = Link::for_snr(12.0, 1.5);
        let mut descent = Descent::new(ModeChoice::Auto, link, 1.5);
        let (adaptation, now) = (LinkAdaptation::default(), std::time::Instant::now());
        outgoing.frames(&outgoing.all(link.mcs), link.mode, &modulator, None);
        let mut shapes = Vec::new();
        for _ in 0..2 {
            let everything = (0..64).map(|feature| PartRange { feature, start: 0, end: u32::MAX }).collect();
            let mut lack = Lack::default();
            lack.add(MessageReceipt { frames: 0, ..receipt(everything, Vec::new()) });
            assert!(lack.unheard);
            let resending = descent.next(lack.unheard, &adaptation, &[], now);
            let pieces = outgoing.again(&lack, &resending);
            let frames = outgoing.frames(&pieces, resending.mode, &modulator, None);
            assert!(assemble(&outgoing, &frames).complete());
            shapes.push((frames[0].protection.mode, frames[0].segments[0].shape()));
        }
        let (once, twice) = (shapes[0], shapes[1]);
        let as_before = SegmentShape::Coded { mcs: link.mcs.index(), redundancy_version: 0, bytes: 300 };
        assert_eq!(once, (Mode::Normal, as_before));
        assert_eq!(twice.0, Mode::Robust);
        assert!(matches!(twice.1, SegmentShape::Coded { mcs: 0, redundancy_version: 0, .. }), "{twice:?}");
    }

    #[test]
    fn a_narrow_grid_carries_robust_frames_or_none() {
        for resource_blocks in [2, 6, 12] {
            let numerology = Numerology { resource_blocks, ..Numerology::default() };
            let mut modulator = Modulator::new(numerology);
            let mut outgoing = message(&[(false, 100), (true, 500)]);
            let frames = outgoing.frames(&outgoing.all(Mcs::LOWEST), Mode::Robust, &modulator, None);
            assert!(frames.is_empty() || assemble(&outgoing, &frames).complete());
            assert!(resource_blocks == 2 || !frames.is_empty(), "{resource_blocks} resource blocks");
            for draft in &frames {
                modulator.modulate(&sendable(draft), &mut Vec::new()).expect("a frame that fits");
            }
        }
    }

    #[test]
    fn the_most_important_feature_comes_first() {
        let outgoing = message(&[(false, 10), (true, 10), (false, 10)]);
        let order: Vec<_> = outgoing.all(Mcs::LOWEST).iter().map(|piece| piece.range().feature).collect();
        assert_eq!(order, [2, 1, 0]);
    }

    #[test]
    fn one_feature_is_cut_where_frames_end_and_nowhere_else() {
        let modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&[(true, 200_000)]);
        let reports = [Report { session: 1, snr_db_per_rb: Some(vec![10.0; 25]) }];
        let allocator = Allocator::new(Allocation::Importance, 1, &reports, 25);
        assert!(allocator.is_some());
        let pieces = outgoing.all(Mcs::LOWEST);
        let frames = outgoing.frames(&pieces, Mode::Normal, &modulator, allocator.as_ref());
        assert!(frames.len() > 2);
        assert!(frames.iter().all(|frame| frame.segments.len() == 1 && frame.allocation.is_none()));
    }

    #[test]
    fn with_an_allocation_every_frame_has_a_share_of_every_feature() {
        let mut modulator = Modulator::new(Numerology::default());
        let mut outgoing = message(&[(true, 80_000), (false, 18_000), (true, 60_000)]);
        let snr_db = (0..25).map(|rb| 10.0 + rb as f32 / 3.0).collect();
        let reports = [Report { session: 1, snr_db_per_rb: Some(snr_db) }];
        let allocator = Allocator::new(Allocation::Importance, 1, &reports, 25);
        let mcs = Mcs::select(10.0, 1.5);
        let frames = outgoing.frames(&outgoing.all(mcs), Mode::Normal, &modulator, allocator.as_ref());
        assert!(assemble(&outgoing, &frames).complete());
        assert!(frames.len() >= 3);
        let mut received = 0;
        let mut demodulator = Demodulator::new(Numerology::default());
        for (index, draft) in frames.iter().enumerate() {
            let header = MessageHeader::parse(&draft.control).expect("control bytes of our own");
            let features: std::collections::BTreeSet<_> =
                header.parts.iter().map(|part| part.feature).collect();
            // The last frame takes what cutting left over.
            assert!(features.len() == 3 || index + 1 == frames.len(), "frame {index}: {features:?}");
            if features.len() == 3 {
                let order = draft.allocation.as_ref().expect("there is something to choose").order();
                assert_eq!(header.parts[usize::from(order[0])].feature, 2, "the most important first");
            }
            let mut samples = Vec::new();
            modulator.modulate(&sendable(draft), &mut samples).expect("a frame that fits");
            samples.resize(samples.len() + 20_000, Complex32::default());
            demodulator.push(&samples, &mut |frame| {
                received += 1;
                for (sent, got) in draft.segments.iter().zip(&frame.segments) {
                    match (sent, got) {
                        (Segment::Coded { bytes, .. }, ReceivedSegment::Coded { decoded, .. }) => {
                            assert_eq!(decoded.as_ref(), Ok(bytes));
                        }
                        (Segment::Analog { symbols }, ReceivedSegment::Analog { symbols: got, .. }) => {
                            // Index and real part are the same number, up to the noise of the arithmetic.
                            let error: f32 = symbols.iter().zip(got).map(|(a, b)| (a - b).norm_sqr()).sum();
                            let power: f32 = symbols.iter().map(|a| a.norm_sqr()).sum();
                            assert!(error < 1e-3 * power, "{error} of {power}");
                        }
                        _ => panic!("a segment has become another one"),
                    }
                }
            });
        }
        assert_eq!(received, frames.len());
    }
}
