//! Gray mapping: groups of 2, 4, 6 or 8 bits → complex symbols of unit mean power.
//!
//! Even bits of a group choose the real part and odd bits the imaginary part. On each axis the first
//! bit is the sign, and every further one tells on which side of the middle of what is left.
//!
//! Reference: 3GPP TS 38.211 V18.6.0, §5.1.3 to §5.1.6.

use num_complex::Complex32;

use crate::coding::bits::pack_byte;

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

    /// Distance of the innermost levels from zero that gives unit mean power: 1/√2, 1/√10, 1/√42, 1/√170.
    pub const fn amplitude(self) -> f32 {
        match self {
            Self::Qpsk => std::f32::consts::FRAC_1_SQRT_2,
            Self::Qam16 => 0.316_227_77,
            Self::Qam64 => 0.154_303_35,
            Self::Qam256 => 0.076_696_5,
        }
    }

    /// Appends the symbols of `bits`; a last group that is not full is left out.
    pub fn map(self, bits: &[u8], symbols: &mut Vec<Complex32>) {
        match self {
            Self::Qpsk => look_up(&QPSK, bits, symbols),
            Self::Qam16 => look_up(&QAM16, bits, symbols),
            Self::Qam64 => look_up(&QAM64, bits, symbols),
            Self::Qam256 => look_up(&QAM256, bits, symbols),
        }
    }
}

static QPSK: [Complex32; 1 << 2] = points(Modulation::Qpsk);
static QAM16: [Complex32; 1 << 4] = points(Modulation::Qam16);
static QAM64: [Complex32; 1 << 6] = points(Modulation::Qam64);
static QAM256: [Complex32; 1 << 8] = points(Modulation::Qam256);

/// The points of a constellation in the order of their bits, read as a number.
const fn points<const POINTS: usize>(modulation: Modulation) -> [Complex32; POINTS] {
    let mut points = [Complex32::new(0.0, 0.0); POINTS];
    let mut label = 0;
    while label < POINTS {
        // The last bit of the label belongs to the imaginary part.
        let pairs = modulation.bits_per_symbol() / 2;
        points[label] = Complex32::new(
            modulation.amplitude() * level(label >> 1, pairs),
            modulation.amplitude() * level(label, pairs),
        );
        label += 1;
    }
    points
}

/// The odd integer that every second bit of `label`, the lowest one the last, stands for as §5.1 nests them:
/// (1 − 2b₀)(2^(n−1) − (1 − 2b₁)(2^(n−2) − … (1 − 2b_(n−1)))).
const fn level(label: usize, pairs: u8) -> f32 {
    let (mut inner, mut power, mut pair) = (0.0, 1.0, 0);
    while pair < pairs {
        inner = if label >> (2 * pair) & 1 == 1 { inner - power } else { power - inner };
        power *= 2.0;
        pair += 1;
    }
    inner
}

fn look_up<const POINTS: usize>(points: &[Complex32; POINTS], bits: &[u8], symbols: &mut Vec<Complex32>) {
    match const { POINTS.trailing_zeros() } {
        2 => symbols.extend(bits.as_chunks::<2>().0.iter().map(|group| points[label(group)])),
        4 => symbols.extend(bits.as_chunks::<4>().0.iter().map(|group| points[label(group)])),
        6 => symbols.extend(bits.as_chunks::<6>().0.iter().map(|group| points[label(group)])),
        _ => symbols.extend(bits.as_chunks::<8>().0.iter().map(|group| points[label(group)])),
    }
}

/// The bits of a symbol as a number, the first bit the highest.
#[inline(always)]
fn label<const ORDER: usize>(group: &[u8; ORDER]) -> usize {
    if ORDER <= 4 {
        return group.iter().fold(0, |label, &bit| label << 1 | usize::from(bit & 1));
    }
    let mut octet = [0; 8];
    octet[8 - ORDER..].copy_from_slice(group);
    usize::from(pack_byte(&octet))
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
            assert!((power - 1.0).abs() < 1e-6, "{modulation:?} {power}");
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
