//! Gray mapping: groups of 2, 4, 6 or 8 bits → complex symbols of unit mean power.
//!
//! Even bits of a group choose the real part and odd bits the imaginary part. On each axis the first
//! bit is the sign, and every further one tells on which side of the middle of what is left.
//!
//! Reference: 3GPP TS 38.211 V18.6.0, §5.1.3 to §5.1.6.

use num_complex::Complex32;

/// The square constellations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Modulation {
    /// 2 bits a symbol.
    Qpsk,
    /// 4 bits a symbol.
    Qam16,
    /// 6 bits a symbol.
    Qam64,
    /// 8 bits a symbol.
    Qam256,
}

impl Modulation {
    /// All of them, the most robust first.
    pub const ALL: [Self; 4] = [Self::Qpsk, Self::Qam16, Self::Qam64, Self::Qam256];

    /// Bits of a symbol, the modulation order Q_m.
    pub const fn bits_per_symbol(self) -> u8 {
        match self {
            Self::Qpsk => 2,
            Self::Qam16 => 4,
            Self::Qam64 => 6,
            Self::Qam256 => 8,
        }
    }

    /// Distance of the innermost levels from zero that gives unit mean power.
    pub fn amplitude(self) -> f32 {
        let power: f32 = match self {
            Self::Qpsk => 2.0,
            Self::Qam16 => 10.0,
            Self::Qam64 => 42.0,
            Self::Qam256 => 170.0,
        };
        power.sqrt().recip()
    }

    /// Appends the symbols of `bits`; a last group that is not full is left out.
    pub fn map(self, bits: &[u8], symbols: &mut Vec<Complex32>) {
        let amplitude = self.amplitude();
        let groups = bits.chunks_exact(self.bits_per_symbol().into());
        symbols.extend(groups.map(|group| {
            let axis = |first: usize| amplitude * level(group.iter().skip(first).step_by(2));
            Complex32::new(axis(0), axis(1))
        }));
    }
}

/// The odd integer that the bits of one axis stand for, as §5.1 nests them:
/// (1 − 2b₀)(2^(n−1) − (1 − 2b₁)(2^(n−2) − … (1 − 2b_(n−1)))).
fn level<'a>(bits: impl DoubleEndedIterator<Item = &'a u8>) -> f32 {
    let mut power = 1.0;
    bits.rev().fold(0.0, |inner, &bit| {
        let value = (power - inner) * (1.0 - 2.0 * f32::from(bit & 1));
        power *= 2.0;
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn all_groups(modulation: Modulation) -> Vec<u8> {
        let order = modulation.bits_per_symbol();
        (0..1u16 << order)
            .flat_map(|value| (0..order).rev().map(move |bit| (value >> bit & 1) as u8))
            .collect()
    }

    #[test]
    fn mean_power_is_one_and_points_are_distinct() {
        for modulation in Modulation::ALL {
            let mut symbols = Vec::new();
            modulation.map(&all_groups(modulation), &mut symbols);
            assert_eq!(symbols.len(), 1 << modulation.bits_per_symbol());
            let power = symbols.iter().map(|s| s.norm_sqr()).sum::<f32>() / symbols.len() as f32;
            assert!((power - 1.0).abs() < 1e-5, "{modulation:?} {power}");
            for (index, symbol) in symbols.iter().enumerate() {
                assert!(
                    symbols[..index].iter().all(|other| (other - symbol).norm() > modulation.amplitude())
                );
            }
        }
    }

    #[test]
    fn neighbours_on_an_axis_differ_in_one_bit() {
        for modulation in Modulation::ALL {
            let order = usize::from(modulation.bits_per_symbol());
            let bits = all_groups(modulation);
            let mut symbols = Vec::new();
            modulation.map(&bits, &mut symbols);
            for (a, first) in symbols.iter().enumerate() {
                for (b, second) in symbols.iter().enumerate() {
                    if ((first - second).norm() / modulation.amplitude() - 2.0).abs() < 0.01 {
                        let groups = bits[a * order..][..order].iter().zip(&bits[b * order..][..order]);
                        assert_eq!(groups.filter(|(x, y)| x != y).count(), 1);
                    }
                }
            }
        }
    }

    /// The formulas of §5.1.4 and §5.1.6 written out for one group each.
    #[test]
    fn formulas_of_the_standard() {
        let mut symbols = Vec::new();
        Modulation::Qam16.map(&[0, 1, 1, 0], &mut symbols);
        Modulation::Qam256.map(&[1, 0, 0, 1, 1, 1, 0, 1], &mut symbols);
        let unit = 1.0 / 10f32.sqrt();
        assert!((symbols[0] - Complex32::new(3.0 * unit, -unit)).norm() < 1e-6);
        // Real: −(8 − (4 + (2 − 1))) = −3; imaginary: 8 + (4 + (2 + 1)) = 15.
        let unit = 1.0 / 170f32.sqrt();
        assert!((symbols[1] - Complex32::new(-3.0 * unit, 15.0 * unit)).norm() < 1e-6);
    }
}
