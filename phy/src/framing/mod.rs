//! Framing: what a frame is, and how its parts lie on the OFDM grid.
//!
//! A frame is `[preamble][header][payload]` in one of two [`Mode`]s. Everything a receiver must know stands in
//! the frame: the header ([`header`], most robust) tells the length of the control block and the number of
//! payload symbols; the control block ([`control`], robust) lists the segments and carries up to
//! [`MAX_CONTROL_BYTES`] for the layer above; the segments follow, coded bytes and analog symbols side by
//! side. [`grid`] lays resource elements out beside the comb pilots.

pub mod control;
pub mod grid;
pub mod header;

use bytes::Bytes;
use num_complex::Complex32;
use thiserror::Error;

use crate::{
    allocation::{LayoutError, Record},
    coding::CodingError,
    mode::{ControlRate, Mode, Protection},
};

/// Most OFDM symbols of payload in a frame: bounds a receiver's memory and the channel's ageing.
pub const MAX_PAYLOAD_SYMBOLS: usize = 560;
/// Most bytes of the layer above in a control block.
pub const MAX_CONTROL_BYTES: usize = 1536;
/// Most segments in a frame.
pub const MAX_SEGMENTS: usize = 64;

/// A frame to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// How robust its preamble, header and pilots are.
    pub mode: Mode,
    /// How fast its control block is coded.
    pub control_rate: ControlRate,
    /// Running number of the transmitter's frames.
    pub number: u16,
    /// Which transmitter process this is: drawn at its start, so that a restart is noticed.
    pub transmitter: u16,
    /// Bytes for the layer above, sent robustly.
    pub control: Bytes,
    /// Which resource blocks carry which segment; `None`: one after the other over the whole band.
    pub allocation: Option<Record>,
    /// What the frame carries, at most [`MAX_SEGMENTS`].
    pub segments: Vec<Segment>,
}

impl Frame {
    /// How well what comes before the segments is protected.
    pub fn protection(&self) -> Protection {
        Protection { mode: self.mode, control: self.control_rate }
    }
}

/// Part of a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// Bytes, coded and modulated by the MCS ladder.
    Coded {
        /// Index in the ladder.
        mcs: u8,
        /// Redundancy version, 0 to 3.
        redundancy_version: u8,
        /// 1 to 65535 bytes.
        bytes: Bytes,
    },
    /// Complex symbols of unit mean power, sent as they are.
    Analog {
        /// 1 to 2²⁴ − 1 symbols.
        symbols: Vec<Complex32>,
    },
}

/// What a segment is, without what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentShape {
    /// Coded bytes.
    Coded {
        /// Index in the ladder.
        mcs: u8,
        /// Redundancy version, 0 to 3.
        redundancy_version: u8,
        /// Payload bytes.
        bytes: usize,
    },
    /// Analog symbols.
    Analog {
        /// Number of symbols.
        symbols: usize,
    },
}

impl Segment {
    /// The shape of this segment.
    pub fn shape(&self) -> SegmentShape {
        match self {
            Self::Coded { mcs, redundancy_version, bytes } => {
                SegmentShape::Coded { mcs: *mcs, redundancy_version: *redundancy_version, bytes: bytes.len() }
            }
            Self::Analog { symbols } => SegmentShape::Analog { symbols: symbols.len() },
        }
    }
}

/// What arrived of a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum ReceivedSegment {
    /// Coded bytes: `None` when the code could not correct them.
    Coded {
        /// Index in the ladder.
        mcs: u8,
        /// Redundancy version, 0 to 3.
        redundancy_version: u8,
        /// Number of bytes that were sent.
        length: usize,
        /// The bytes, or what is known of their coded bits.
        decoded: Result<Bytes, SoftBits>,
    },
    /// Equalised symbols.
    Analog {
        /// The symbols, scaled to the transmitter's.
        symbols: Vec<Complex32>,
        /// Noise variance of each.
        noise_variance: Vec<f32>,
    },
}

/// LLRs of a coded segment that could not be corrected, descrambled, in the order of the transmitted bits: to be
/// combined with another transmission of the same bytes
/// ([`decode_combined`](crate::coding::transport_block::TransportBlockDecoder::decode_combined)).
#[derive(Clone, Debug, PartialEq)]
pub struct SoftBits(pub Vec<f32>);

/// What a frame costs on the air, in resource elements (complex symbols), by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCost {
    /// Segments: the net cost.
    pub payload: usize,
    /// Chirps and training symbols: what the OFDM symbols of their duration (rounded up) could have carried.
    pub preamble: usize,
    /// The header.
    pub header: usize,
    /// The control block.
    pub control: usize,
    /// Pilots among header and payload.
    pub pilots: usize,
    /// Nothing: what is left of the last symbol, or of resource blocks that an allocation does not fill.
    pub padding: usize,
    /// Duration in samples.
    pub samples: usize,
}

impl FrameCost {
    /// Complex symbols that the whole frame could have carried: its duration in OFDM symbols times all
    /// subcarriers. The gross cost.
    pub fn total(&self) -> usize {
        self.payload + self.preamble + self.header + self.control + self.pilots + self.padding
    }
}

/// Why a frame cannot be sent.
#[derive(Debug, Error)]
pub enum FramingError {
    /// More segments than the control block lists.
    #[error("{0} segments in a frame: at most {MAX_SEGMENTS}")]
    Segments(usize),
    /// More control bytes than fit.
    #[error("{0} control bytes in a frame: at most {MAX_CONTROL_BYTES}")]
    Control(usize),
    /// A segment is empty or too long for its length field.
    #[error("segment of {0} bytes or symbols: coded 1 to 65535 bytes, analog 1 to 16777215 symbols")]
    Length(usize),
    /// There is no such MCS.
    #[error("MCS {0} does not exist")]
    Mcs(u8),
    /// The frame would be longer than a receiver accepts.
    #[error("frame of {0} payload symbols: at most {MAX_PAYLOAD_SYMBOLS}")]
    TooLong(usize),
    /// The allocation is for another number of segments or resource blocks.
    #[error("the allocation is not for this frame's segments and resource blocks")]
    Allocation,
    /// The allocation gives no layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The channel code refused.
    #[error(transparent)]
    Coding(#[from] CodingError),
}
