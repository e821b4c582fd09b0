//! Silence around a burst, for devices that lose its beginning and its end.
//!
//! A HackRF takes whole buffers of 131,072 samples: a part of one is never sent (SoapyHackRF#35), the first four of a
//! transmission may be lost (SoapyHackRF#21, hackrf#703), and so may the last (hackrf#1139). So a burst goes out behind five
//! buffers of silence, is filled up to a whole one, and followed by one more.

use std::fmt;

use super::plan::Capabilities;

/// Silence around a burst, in buffers of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Padding {
    /// Buffers before the burst.
    before: usize,
    /// Whether the burst ends with a buffer, and another follows.
    whole_buffers: bool,
}

/// Samples of silence around one burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Before it.
    pub before: usize,
    /// Behind it.
    pub after: usize,
}

impl Padding {
    /// None at all.
    pub const NONE: Self = Self { before: 0, whole_buffers: false };

    /// So many buffers before each burst and one behind; for 0 none at all.
    pub fn of(buffers: usize) -> Self {
        Self { before: buffers, whole_buffers: buffers > 0 }
    }

    /// What a device is known to need: one that is half duplex and keeps no time is a HackRF or works like one.
    pub fn needed_by(device: &Capabilities) -> Self {
        if device.full_duplex || device.has_time { Self::NONE } else { Self::of(5) }
    }

    /// Whether the device must be stopped and started for each burst, for want of an end of burst.
    pub fn restarts(&self) -> bool {
        self.whole_buffers
    }

    /// The silence around a burst of `samples`, with buffers of `buffer` samples.
    pub fn around(&self, samples: usize, buffer: usize) -> Silence {
        let buffer = buffer.max(1);
        if !self.whole_buffers {
            return Silence { before: self.before * buffer, after: 0 };
        }
        Silence { before: self.before * buffer, after: samples.next_multiple_of(buffer) - samples + buffer }
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.before, self.whole_buffers) {
            (0, false) => f.write_str("as they are, with an end of burst"),
            (before, false) => write!(f, "behind {before} buffers of silence"),
            (before, true) => {
                write!(f, "filled up to whole buffers, behind {before} of silence and with one after them")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_burst_is_whole_buffers_with_one_to_lose_at_the_end() {
        for samples in [1, 131_071, 131_072, 131_073, 1_000_000] {
            let silence = Padding::of(5).around(samples, 131_072);
            let total = silence.before + samples + silence.after;
            assert_eq!(silence.before, 5 * 131_072);
            assert_eq!(total % 131_072, 0, "{samples}");
            assert!((131_072..2 * 131_072).contains(&silence.after), "{samples}");
        }
    }

    #[test]
    fn without_padding_nothing_is_added() {
        assert_eq!(Padding::NONE.around(77, 4096), Silence { before: 0, after: 0 });
        assert_eq!(Padding::of(0), Padding::NONE);
    }
}
