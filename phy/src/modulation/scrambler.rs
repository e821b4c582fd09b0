//! Scrambling: bits or LLRs → the same, whitened by a Gold sequence.
//!
//! Long runs in the payload would otherwise make symbols that repeat, and thus peaks of power.
//!
//! Reference: 3GPP TS 38.211 V18.6.0, §5.2.1 (length-31 Gold sequence, N_C = 1600).

use crate::coding::bits::unpack_byte;
use crate::simd::{Instructions, dispatched};

/// Steps that are thrown away, so that similar seeds give unlike sequences.
const DISCARDED_BITS: usize = 1600;

/// Bits that one step makes.
const WORD: usize = u64::BITS as usize;

/// The pseudo-random sequence c(n) for an initial value.
///
/// Squaring a polynomial over GF(2) twice spreads its terms by four, so that the registers also obey
/// x₁(n + 124) = x₁(n + 12) + x₁(n) and x₂(n + 124) = x₂(n + 12) + x₂(n + 8) + x₂(n + 4) + x₂(n). With 128
/// values known, 64 more follow at once.
#[derive(Clone, Debug)]
pub struct GoldSequence {
    /// The next 128 values of each register, the very next in the lowest bit.
    first: u128,
    second: u128,
    /// Bits for [`Self::next_bit`] that were made ahead, the very next in the lowest bit.
    ready: u64,
    left: usize,
}

impl GoldSequence {
    /// The sequence for c_init = `seed`, of which 31 bits count.
    pub fn new(seed: u32) -> Self {
        let mut sequence = Self {
            first: extend(1, |x| x ^ (x >> 3)),
            second: extend(seed & 0x7FFF_FFFF, |x| x ^ (x >> 1) ^ (x >> 2) ^ (x >> 3)),
            ready: 0,
            left: 0,
        };
        const { assert!(DISCARDED_BITS.is_multiple_of(WORD)) };
        for _ in 0..DISCARDED_BITS / WORD {
            sequence.next_word();
        }
        sequence
    }

    /// The next 64 bits of the sequence, the very next in the lowest bit. Bits that [`Self::next_bit`] has
    /// made ahead are passed over.
    #[inline]
    pub fn next_word(&mut self) -> u64 {
        let word = (self.first ^ self.second) as u64;
        let first = (self.first >> 4) ^ (self.first >> 16);
        let second = (self.second >> 4) ^ (self.second >> 8) ^ (self.second >> 12) ^ (self.second >> 16);
        self.first = (self.first >> WORD) | (first << WORD);
        self.second = (self.second >> WORD) | (second << WORD);
        word
    }

    /// c(n), and on to the next.
    #[inline]
    pub fn next_bit(&mut self) -> bool {
        if self.left == 0 {
            self.ready = self.next_word();
            self.left = WORD;
        }
        let bit = self.ready & 1 == 1;
        self.ready >>= 1;
        self.left -= 1;
        bit
    }
}

/// The first 128 values of a register of 31 bits; `feedback` makes 28 more of the 31 known ones.
fn extend(register: u32, feedback: impl Fn(u32) -> u32) -> u128 {
    const STEP: u32 = 28;
    let mask = (1u32 << STEP) - 1;
    let (mut register, mut values) = (register, 0);
    for start in (0..u128::BITS).step_by(STEP as usize) {
        values |= u128::from(register & mask) << start;
        register = (register >> STEP) | ((feedback(register) & mask) << (31 - STEP));
    }
    values
}

/// Flips the bits where the sequence is one.
pub fn scramble_bits(seed: u32, bits: &mut [u8]) {
    let mut sequence = GoldSequence::new(seed);
    for bits in bits.chunks_mut(WORD) {
        let word = sequence.next_word();
        let (octets, rest) = bits.as_chunks_mut::<8>();
        for (octet, flips) in octets.iter_mut().zip(word.to_le_bytes()) {
            let flips = u64::from_le_bytes(*unpack_byte(flips.reverse_bits()));
            *octet = (u64::from_le_bytes(*octet) ^ flips).to_le_bytes();
        }
        let done = octets.len() * 8;
        for (index, bit) in rest.iter_mut().enumerate() {
            *bit ^= (word >> (done + index)) as u8 & 1;
        }
    }
}

/// Turns the signs where the sequence is one; the inverse of [`scramble_bits`] on soft values.
pub fn scramble_llrs(seed: u32, llrs: &mut [f32]) {
    turn_signs(Instructions::detect(), &mut GoldSequence::new(seed), llrs);
}

dispatched! {
    fn turn_signs(sequence: &mut GoldSequence, llrs: &mut [f32]) {
        for llrs in llrs.chunks_mut(WORD) {
            let word = sequence.next_word();
            for (llrs, word) in llrs.chunks_mut(32).zip([word as u32, (word >> 32) as u32]) {
                for (index, llr) in llrs.iter_mut().enumerate() {
                    *llr = f32::from_bits(llr.to_bits() ^ ((word << (31 - index)) & (1 << 31)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §5.2.1 as it is written.
    fn direct(seed: u32, count: usize) -> Vec<bool> {
        let total = DISCARDED_BITS + count + 31;
        let (mut first, mut second) = (vec![false; total], vec![false; total]);
        first[0] = true;
        for (index, bit) in second.iter_mut().take(31).enumerate() {
            *bit = seed >> index & 1 == 1;
        }
        for n in 0..total - 31 {
            first[n + 31] = first[n + 3] ^ first[n];
            second[n + 31] = second[n + 3] ^ second[n + 2] ^ second[n + 1] ^ second[n];
        }
        (0..count).map(|n| first[n + DISCARDED_BITS] ^ second[n + DISCARDED_BITS]).collect()
    }

    #[test]
    fn sequence_equals_the_definition() {
        for seed in [0, 1, 0x1234_5678, 0x7FFF_FFFF, u32::MAX] {
            let mut sequence = GoldSequence::new(seed);
            let bits: Vec<bool> = (0..1000).map(|_| sequence.next_bit()).collect();
            assert_eq!(bits, direct(seed & 0x7FFF_FFFF, 1000), "seed {seed:#x}");
        }
    }

    #[test]
    fn words_and_bits_are_the_same_sequence() {
        let (mut words, mut bits) = (GoldSequence::new(5), GoldSequence::new(5));
        for _ in 0..10 {
            let word = words.next_word();
            assert!((0..64).all(|index| bits.next_bit() == (word >> index & 1 == 1)));
        }
    }

    #[test]
    fn descrambling_soft_values_undoes_scrambling_bits() {
        let original: Vec<u8> = (0..531).map(|i| (i / 7 % 2) as u8).collect();
        let mut bits = original.clone();
        scramble_bits(77, &mut bits);
        assert_ne!(bits, original);
        let llrs: Vec<f32> = bits.iter().map(|&bit| 3.0 - 6.0 * f32::from(bit)).collect();
        for instructions in Instructions::all_available() {
            let mut llrs = llrs.clone();
            turn_signs(instructions, &mut GoldSequence::new(77), &mut llrs);
            let decided: Vec<u8> = llrs.iter().map(|&llr| u8::from(llr < 0.0)).collect();
            assert_eq!(decided, original);
        }
    }
}
