//! Scrambling: bits or LLRs → the same, whitened by a Gold sequence.
//!
//! Long runs in the payload would otherwise make symbols that repeat, and thus peaks of power.
//!
//! Reference: 3GPP TS 38.211 V18.6.0, §5.2.1 (length-31 Gold sequence, N_C = 1600).

/// Steps that are thrown away, so that similar seeds give unlike sequences.
const DISCARDED_BITS: usize = 1600;

/// The pseudo-random sequence c(n) for an initial value.
#[derive(Clone, Debug)]
pub struct GoldSequence {
    /// The next 31 values of each register, the very next in the lowest bit.
    first: u32,
    second: u32,
    /// Bits that were made ahead, the very next in the lowest bit.
    ready: u32,
    left: u32,
}

impl GoldSequence {
    /// Bits that one step makes: the feedback reaches 3 places ahead of the 31 known ones.
    const STEP: u32 = 28;

    /// The sequence for c_init = `seed`, of which 31 bits count.
    pub fn new(seed: u32) -> Self {
        let mut sequence = Self { first: 1, second: seed & 0x7FFF_FFFF, ready: 0, left: 0 };
        for _ in 0..DISCARDED_BITS / Self::STEP as usize {
            sequence.refill();
        }
        sequence.left = 0;
        for _ in 0..DISCARDED_BITS % Self::STEP as usize {
            sequence.next_bit();
        }
        sequence
    }

    /// c(n), and on to the next.
    #[inline]
    pub fn next_bit(&mut self) -> bool {
        if self.left == 0 {
            self.refill();
        }
        let bit = self.ready & 1 == 1;
        self.ready >>= 1;
        self.left -= 1;
        bit
    }

    /// Advances both registers by 28 places.
    fn refill(&mut self) {
        self.ready = (self.first ^ self.second) & ((1 << Self::STEP) - 1);
        self.left = Self::STEP;
        // x1(n + 31) = x1(n + 3) + x1(n); x2(n + 31) = x2(n + 3) + x2(n + 2) + x2(n + 1) + x2(n).
        let first = self.first ^ (self.first >> 3);
        let second = self.second ^ (self.second >> 1) ^ (self.second >> 2) ^ (self.second >> 3);
        let advance = |register: u32, feedback: u32| {
            (register >> Self::STEP) | ((feedback & ((1 << Self::STEP) - 1)) << (31 - Self::STEP))
        };
        self.first = advance(self.first, first);
        self.second = advance(self.second, second);
    }
}

/// Flips the bits where the sequence is one.
pub fn scramble_bits(seed: u32, bits: &mut [u8]) {
    let mut sequence = GoldSequence::new(seed);
    for bit in bits {
        *bit ^= u8::from(sequence.next_bit());
    }
}

/// Turns the signs where the sequence is one; the inverse of [`scramble_bits`] on soft values.
pub fn scramble_llrs(seed: u32, llrs: &mut [f32]) {
    let mut sequence = GoldSequence::new(seed);
    for llr in llrs {
        *llr = f32::from_bits(llr.to_bits() ^ (u32::from(sequence.next_bit()) << 31));
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
    fn descrambling_soft_values_undoes_scrambling_bits() {
        let original: Vec<u8> = (0..500).map(|i| (i / 7 % 2) as u8).collect();
        let mut bits = original.clone();
        scramble_bits(77, &mut bits);
        assert_ne!(bits, original);
        let mut llrs: Vec<f32> = bits.iter().map(|&bit| 3.0 - 6.0 * f32::from(bit)).collect();
        scramble_llrs(77, &mut llrs);
        let decided: Vec<u8> = llrs.iter().map(|&llr| u8::from(llr < 0.0)).collect();
        assert_eq!(decided, original);
    }
}
