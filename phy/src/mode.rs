//! The two modes of a frame: a short one for ordinary links, and one that is heard far below the noise.
//!
//! A mode fixes what a receiver cannot be told by the frame itself: how long the chirps and the training
//! are, how many symbols the header takes, how dense the pilots stand, how the control block is coded. The
//! receiver recognises it by the chirps.

use serde::{Deserialize, Serialize};

use crate::numerology::Numerology;

/// Least samples of each chirp of the robust mode: together 21 dB above the noise of one sample at −15 dB.
const ROBUST_CHIRP: usize = 2048;

/// How robust a frame's preamble, header, control block and pilots are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Short: opens at −3 dB.
    #[default]
    Normal,
    /// Long: opens at −13 dB.
    Robust,
}

impl Mode {
    /// Both modes.
    pub const ALL: [Self; 2] = [Self::Normal, Self::Robust];

    /// Samples of each of the preamble's two chirps.
    pub fn chirp_samples(self, numerology: &Numerology) -> usize {
        match self {
            Self::Normal => numerology.fft_size,
            Self::Robust => ROBUST_CHIRP.max(2 * numerology.fft_size),
        }
    }

    /// Copies of the training symbol in the preamble.
    pub fn training_symbols(self) -> usize {
        match self {
            Self::Normal => 2,
            Self::Robust => 8,
        }
    }

    /// OFDM symbols of the header: enough for its 88 bits at the SNR at which the mode opens.
    pub fn header_symbols(self, numerology: &Numerology) -> usize {
        let elements: usize = match self {
            Self::Normal => 320,
            Self::Robust => 4096,
        };
        elements.div_ceil(numerology.subcarriers()).max(2)
    }

    /// Distance of the pilots of one symbol, in subcarriers: at least four pilots in a symbol.
    pub fn pilot_spacing(self, numerology: &Numerology) -> usize {
        let most = match self {
            Self::Normal => 24,
            Self::Robust => 6,
        };
        most.min(numerology.subcarriers() / 4)
    }
}

/// How fast a control block is coded, two bits of the frame's header: 0 is as robust as the frame's mode, 3 the
/// fastest, for a transmitter that knows its receivers to be far above where the mode opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlRate(u8);

impl ControlRate {
    /// As robust as the mode.
    pub const ROBUST: Self = Self(0);

    /// All rates, the most robust first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..4).map(Self)
    }

    /// From the header's two bits; others are left out.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 3)
    }

    /// The header's two bits.
    pub fn bits(self) -> u8 {
        self.0
    }
}

/// How well what comes before the segments is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Preamble, header and pilots.
    pub mode: Mode,
    /// The control block.
    pub control: ControlRate,
}

impl From<Mode> for Protection {
    /// A mode with the control block that goes with it.
    fn from(mode: Mode) -> Self {
        Self { mode, control: ControlRate::ROBUST }
    }
}

impl Protection {
    /// Coded bits for each bit of the control block.
    pub fn control_expansion(self) -> usize {
        let expansions = match self.mode {
            Mode::Normal => [6, 4, 3, 2],
            Mode::Robust => [64, 32, 16, 8],
        };
        expansions[usize::from(self.control.0)]
    }
}
