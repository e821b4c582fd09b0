//! One polar code: its length, which inputs carry bits, and which outputs are sent.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.3.1 (length), §5.3.1.2 (information set), §5.4.1.1 (sub-block
//! interleaving and the inputs that rate matching freezes), §5.4.1.2 (bit selection).

use std::ops::Range;

use super::schedule::Schedule;
use super::sequence::RELIABILITY;
use crate::coding::CodingError;
use crate::coding::segmentation::MAX_CODED_BITS;

/// n_min of §5.3.1.
const MIN_LOG_LENGTH: u32 = 5;

/// n_max of §5.3.1, as in uplink.
const MAX_LOG_LENGTH: u32 = 10;

/// From how many bits on there are no parity-check bits among the inputs (§6.3.1.3.1).
const MIN_INFORMATION_BITS: usize = 26;

/// Sub-blocks of the interleaver.
pub(super) const SUB_BLOCKS: usize = 32;

/// The sub-block interleaver pattern P(i), Table 5.4.1.1-1.
const SUB_BLOCK_PATTERN: [u8; SUB_BLOCKS] = [
    0, 1, 2, 4, 3, 5, 6, 7, 8, 16, 9, 17, 10, 18, 11, 19, 12, 20, 13, 21, 14, 22, 15, 23, 24, 25, 26, 28, 27,
    29, 30, 31,
];

/// The code that carries K bits, CRC included, in E coded bits.
#[derive(Clone, Debug)]
pub struct PolarCode {
    coded_bits: usize,
    length: usize,
    information_set: Vec<u16>,
    /// Interleaved bit that is sent first.
    start: usize,
    /// Interleaved bits that are not sent because they are zero.
    shortened: Range<usize>,
    schedule: Schedule,
}

impl PolarCode {
    /// The code for `information_bits` bits, 26 to 1024, sent as `coded_bits` bits.
    ///
    /// # Errors
    /// [`CodingError::Length`] for other numbers of information bits, [`CodingError::CodedBits`] if there
    /// are fewer coded bits than information bits, or more than [`MAX_CODED_BITS`].
    pub fn new(information_bits: usize, coded_bits: usize) -> Result<Self, CodingError> {
        if !(MIN_INFORMATION_BITS..=1 << MAX_LOG_LENGTH).contains(&information_bits) {
            return Err(CodingError::Length {
                what: "information bits of a polar code",
                expected: information_bits.clamp(MIN_INFORMATION_BITS, 1 << MAX_LOG_LENGTH),
                actual: information_bits,
            });
        }
        if !(information_bits..=MAX_CODED_BITS).contains(&coded_bits) {
            return Err(CodingError::CodedBits {
                coded_bits,
                minimum: information_bits,
                modulation_order: 1,
            });
        }
        let length = 1usize << log_length(information_bits, coded_bits);
        let unsent = length.saturating_sub(coded_bits);
        // K/E <= 7/16: puncturing.
        let punctures = 16 * information_bits <= 7 * coded_bits;
        let (start, shortened) =
            if punctures { (unsent, length..length) } else { (0, length - unsent..length) };

        let mut frozen = [false; 1 << MAX_LOG_LENGTH];
        let not_sent = if punctures { 0..start } else { shortened.clone() };
        for index in not_sent {
            frozen[interleaved(index, length)] = true;
        }
        if punctures && unsent > 0 {
            let known = if 4 * coded_bits >= 3 * length {
                (3 * length - 2 * coded_bits).div_ceil(4)
            } else {
                (9 * length - 4 * coded_bits).div_ceil(16)
            };
            frozen[..known].fill(true);
        }
        let mut information_set: Vec<u16> = RELIABILITY
            .into_iter()
            .rev()
            .filter(|&index| usize::from(index) < length && !frozen[usize::from(index)])
            .take(information_bits)
            .collect();
        information_set.sort_unstable();
        let schedule = Schedule::new(length, &information_set);
        Ok(Self { coded_bits, length, information_set, start, shortened, schedule })
    }

    /// K: bits that the code carries, CRC included.
    pub fn information_bits(&self) -> usize {
        self.information_set.len()
    }

    /// E: bits that are sent.
    pub fn coded_bits(&self) -> usize {
        self.coded_bits
    }

    /// N: inputs and outputs of the polar transform.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Inputs of the transform that carry bits, in ascending order.
    pub fn information_set(&self) -> &[u16] {
        &self.information_set
    }

    /// Interleaved bit that is sent first; the others follow in a circle.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Interleaved bits that are known to be zero.
    pub(super) fn shortened(&self) -> Range<usize> {
        self.shortened.clone()
    }

    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }
}

/// n of §5.3.1.
fn log_length(information_bits: usize, coded_bits: usize) -> u32 {
    let ceil_log2 = |value: usize| value.next_power_of_two().trailing_zeros();
    let log_coded = ceil_log2(coded_bits);
    // E <= 9/8 · 2^(⌈log2 E⌉ - 1) and K/E < 9/16.
    let little_more = 16 * coded_bits <= 9 << log_coded && 16 * information_bits < 9 * coded_bits;
    let enough = if little_more { log_coded - 1 } else { log_coded };
    // R_min = 1/8.
    let lowest_rate = ceil_log2(8 * information_bits);
    enough.min(lowest_rate).clamp(MIN_LOG_LENGTH, MAX_LOG_LENGTH)
}

/// J(n) of §5.4.1.1: the output of the transform that is the interleaved bit `index`.
pub(super) fn interleaved(index: usize, length: usize) -> usize {
    let size = length / SUB_BLOCKS;
    usize::from(SUB_BLOCK_PATTERN[index / size]) * size + index % size
}

/// How many codes are kept.
const KEPT_CODES: usize = 8;

/// The codes that were used last, so that a code is not worked out for every block.
#[derive(Clone, Debug, Default)]
pub(super) struct RecentCodes {
    codes: Vec<PolarCode>,
    /// Which one is given up next.
    oldest: usize,
}

impl RecentCodes {
    /// As [`PolarCode::new`].
    pub fn get(&mut self, information_bits: usize, coded_bits: usize) -> Result<&PolarCode, CodingError> {
        let known = self
            .codes
            .iter()
            .position(|code| code.information_bits() == information_bits && code.coded_bits == coded_bits);
        let place = match known {
            Some(place) => place,
            None => {
                let code = PolarCode::new(information_bits, coded_bits)?;
                if self.codes.len() < KEPT_CODES {
                    self.codes.push(code);
                    self.codes.len() - 1
                } else {
                    let place = self.oldest;
                    self.oldest = (place + 1) % KEPT_CODES;
                    self.codes[place] = code;
                    place
                }
            }
        };
        Ok(&self.codes[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_a_permutation_with_the_digest_of_the_standards_table() {
        let mut sorted = RELIABILITY;
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(index, &value)| usize::from(value) == index));
        // FNV-1a of the 1024 numbers as big-endian 16-bit words, from an independent copy of the table.
        let digest = RELIABILITY
            .iter()
            .flat_map(|value| value.to_be_bytes())
            .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
            });
        assert_eq!(digest, DIGEST);
    }

    const DIGEST: u64 = 0xE220_6E0D_F9E0_6A01;

    /// If i's binary digits are a subset of j's, then j is at least as reliable as i on every channel.
    #[test]
    fn the_sequence_respects_the_order_that_holds_on_every_channel() {
        let mut rank = [0; 1024];
        for (place, &index) in RELIABILITY.iter().enumerate() {
            rank[usize::from(index)] = place;
        }
        for index in 0..1024 {
            for digit in 0..10 {
                assert!(rank[index] <= rank[index | 1 << digit]);
            }
        }
    }

    /// Worked out by hand from §5.3.1.
    #[test]
    fn lengths() {
        for (information_bits, coded_bits, length) in [
            (32, 32, 32),
            (32, 64, 64),
            // Up to 9/8 of a power of two, the lower power with repetition ...
            (32, 72, 64),
            (32, 73, 128),
            // ... but not at rates of 9/16 and more.
            (40, 72, 64),
            (41, 72, 128),
            (164, 512, 512),
            (164, 576, 512),
            (164, 577, 1024),
            // R_min: 32 · 8 = 256.
            (32, 65_536, 256),
            (33, 65_536, 512),
            (200, 65_536, 1024),
            (1000, 1000, 1024),
        ] {
            let code = PolarCode::new(information_bits, coded_bits).unwrap();
            assert_eq!(code.length(), length, "K {information_bits}, E {coded_bits}");
        }
    }

    /// A code of 32 bits without rate matching: the last 26 entries below 32 of the table.
    #[test]
    fn information_set_of_a_small_code() {
        let code = PolarCode::new(26, 32).unwrap();
        // Below 32 the table begins 0, 1, 2, 4, 8, 16, 3, ...
        let frozen: Vec<u16> = (0..32).filter(|index| !code.information_set().contains(index)).collect();
        assert_eq!(frozen, [0, 1, 2, 4, 8, 16]);
    }

    /// K = 28, E = 60 of N = 64: J(60..64) = 60..64 are shortened, since 28/60 > 7/16.
    #[test]
    fn shortening_freezes_what_is_not_sent() {
        let code = PolarCode::new(28, 60).unwrap();
        assert_eq!((code.length(), code.start(), code.shortened()), (64, 0, 60..64));
        assert!(code.information_set().iter().all(|&index| index < 60));
    }

    /// K = 26, E = 60 of N = 64: J(0..4) = 0..4 are punctured, and ⌈48 - 30⌉ = 18 inputs frozen.
    #[test]
    fn puncturing_freezes_the_first_inputs() {
        let code = PolarCode::new(26, 60).unwrap();
        assert_eq!((code.length(), code.start(), code.shortened()), (64, 4, 64..64));
        assert!(code.information_set().iter().all(|&index| index >= 18));
    }

    /// Table 5.4.1.1-1 for N = 64: pairs of bits move together, 3 and 4 change places, 8 to 23 interlace.
    #[test]
    fn sub_blocks_move_as_a_whole() {
        let places: Vec<usize> = (0..64).map(|index| interleaved(index, 64)).collect();
        assert_eq!(places[..12], [0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 10, 11]);
        assert_eq!(places[16..24], [16, 17, 32, 33, 18, 19, 34, 35]);
        assert_eq!(places[52..], [52, 53, 56, 57, 54, 55, 58, 59, 60, 61, 62, 63]);
    }

    /// Shortening only works if the outputs that are left out are zero whatever is sent.
    #[test]
    fn every_code_has_its_bits_and_shortened_outputs_are_zero() {
        for information_bits in (26..=1024).step_by(7) {
            for coded_bits in (information_bits..2500).step_by(11) {
                let code = PolarCode::new(information_bits, coded_bits).unwrap();
                assert_eq!(code.information_bits(), information_bits);
                for index in code.shortened() {
                    let output = interleaved(index, code.length());
                    assert!(
                        code.information_set().iter().all(|&input| output & usize::from(input) != output)
                    );
                }
            }
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        assert!(matches!(PolarCode::new(25, 100), Err(CodingError::Length { .. })));
        assert!(matches!(PolarCode::new(1025, 2000), Err(CodingError::Length { .. })));
        assert!(matches!(PolarCode::new(64, 63), Err(CodingError::CodedBits { minimum: 64, .. })));
        assert!(matches!(PolarCode::new(64, usize::MAX), Err(CodingError::CodedBits { .. })));
    }

    #[test]
    fn recent_codes_are_the_ones_asked_for() {
        let mut codes = RecentCodes::default();
        for round in 0..3 {
            for information_bits in 30..45 {
                let code = codes.get(information_bits, 100 + round).unwrap();
                assert_eq!((code.information_bits(), code.coded_bits()), (information_bits, 100 + round));
            }
        }
        assert!(codes.get(2, 100).is_err());
    }
}
