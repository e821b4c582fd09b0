//! Planning: ranges of a message → frames that carry them.
//!
//! In: the message, which pieces of it to send (all of it at first, later what receivers miss), the mode of
//! frames, and how many resource elements a frame offers. Out: frames, filled one after the other, the most
//! important features first. A fresh range is cut wherever a frame ends; a segment that goes again stays as it
//! was cut, so that receivers can combine the two ([`crate::resending`]).

use bytes::Bytes;
use num_complex::Complex32;
use semcast_common::{
    message::{BASE_LEVEL, Payload, SemanticMessage, protection_levels},
    segmentation::{
        MessageHeader, PartRange,
        header::{FeatureShape, HeaderError, Part},
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
    link_adaptation::{Resending, Tally, protected},
    refining::ASKED_DB,
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
    /// Protection of each feature.
    levels: Vec<usize>,
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
        let importances: Vec<f32> = message.features.iter().map(|feature| feature.importance).collect();
        let levels = protection_levels(&message.features);
        let payloads = message
            .features
            .into_iter()
            .map(|feature| match feature.payload {
                Payload::Analog(symbols) => Payload::Analog(interleave(&symbols)),
                digital => digital,
            })
            .collect();
        Ok(Self { header, levels, importances, payloads, sent: SentSegments::default() })
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

    /// Everything, to be sent for the first time; `mcs`: the link's own step, which the least important features take.
    pub fn all(&self, mcs: Mcs) -> Vec<Piece> {
        let features = self.header.features.iter().zip(0..);
        let piece = |(shape, feature): (&FeatureShape, u8)| {
            let range = PartRange { feature, start: 0, end: shape.length() };
            Piece::Fresh(range, protected(mcs, self.level(feature)))
        };
        self.by_importance(features.map(piece).collect())
    }

    /// The protection of a feature, by its importance among all.
    pub fn level(&self, feature: u8) -> usize {
        self.levels.get(usize::from(feature)).copied().unwrap_or(BASE_LEVEL - 1)
    }

    /// What receivers lack, to be sent again.
    pub fn again(&self, lack: &Lack, resending: &Resending) -> Vec<Piece> {
        self.by_importance(self.sent.again(lack, resending))
    }

    /// Analog features that arrived worse than their importance asks for, whole: those first whose lack, by importance, is
    /// greatest.
    pub fn weak(&self, lack: &Lack) -> Vec<Piece> {
        let mut weak: Vec<(f32, Piece)> = Vec::new();
        for ((shape, snr_db), feature) in self.header.features.iter().zip(&lack.worst_snr_db).zip(0..) {
            if let (FeatureShape::Analog { symbols }, Some(snr_db)) = (shape, snr_db) {
                let lacks_db = ASKED_DB[self.level(feature)] - snr_db;
                let range = PartRange { feature, start: 0, end: *symbols };
                if lacks_db > 0.0 {
                    let importance = self.importances.get(usize::from(feature)).copied().unwrap_or(0.0);
                    weak.push((importance * lacks_db, Piece::Fresh(range, Mcs::LOWEST)));
                }
            }
        }
        weak.sort_by(|a, b| b.0.total_cmp(&a.0));
        weak.into_iter().map(|(_, piece)| piece).collect()
    }

    /// The first of these pieces, as far as so many resource elements go.
    pub fn limited(&self, pieces: Vec<Piece>, elements: usize) -> Vec<Piece> {
        let mut left = elements;
        let mut limited = Vec::new();
        for piece in pieces {
            let range = piece.range();
            let takes = self.elements(&piece);
            if takes <= left {
                left -= takes;
                limited.push(piece);
            } else if let (Piece::Fresh(_, mcs), Some(Payload::Analog(_))) =
                (piece, self.payloads.get(usize::from(range.feature)))
                && left > 0
            {
                limited.push(Piece::Fresh(PartRange { end: range.start + left as u32, ..range }, mcs));
                left = 0;
            }
        }
        limited
    }

    /// About how many resource elements a piece takes: what cutting and CRCs cost is not known yet.
    fn elements(&self, piece: &Piece) -> usize {
        let range = piece.range();
        let length = range.end.saturating_sub(range.start) as usize;
        match (piece, self.payloads.get(usize::from(range.feature))) {
            (Piece::Fresh(_, mcs) | Piece::Again(_, mcs, _), Some(Payload::Digital(bytes))) => {
                (8.0 * length.min(bytes.len()) as f64 / mcs.spectral_efficiency()) as usize
            }
            (_, Some(Payload::Analog(symbols))) => length.min(symbols.len()),
            (_, None) => 0,
        }
    }

    /// What became of the coded segments of the first round, by a receipt for it.
    pub fn tally(&self, receipt: &MessageReceipt) -> Tally {
        // What is protected far beyond the link's own step tells nothing of it.
        self.sent.tally(receipt, |feature| self.level(feature) != BASE_LEVEL)
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
        // Parts of one feature matter alike: nothing is gained by choosing among their resource blocks. What it depends on is
        // safe anywhere.
        let alike = self.levels.iter().filter(|level| **level != BASE_LEVEL).count() < 2;
        let allocator = allocator.filter(|_| !alike);
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

    /// Whether a feature is of use only as a whole: the most important of several, if it is coded.
    fn is_indivisible(&self, feature: u8) -> bool {
        let coded = matches!(self.payloads.get(usize::from(feature)), Some(Payload::Digital(_)));
        coded && [0, BASE_LEVEL].contains(&self.level(feature))
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
        let total: usize = pieces.iter().map(|piece| self.elements(piece)).sum();
        let frames = total.div_ceil(room).max(1) as u64;
        let mut spread = Vec::with_capacity(pieces.len() * frames as usize);
        for frame in 0..frames {
            for piece in pieces {
                match *piece {
                    // Nothing else means anything without it, and it means nothing in part: the fewer frames it
                    // depends on, the better.
                    Piece::Fresh(range, _) if self.is_indivisible(range.feature) => {
                        if frame == 0 {
                            spread.push(*piece);
                        }
                    }
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
mod tests;
