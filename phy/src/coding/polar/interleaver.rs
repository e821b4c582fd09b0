//! The order in which the selected bits are sent.
//!
//! They are written into the rows of a triangle and read from its columns. Without this, neighbouring bits of
//! the code, which are the first to be combined, would share a QAM symbol and its weak places: that costs
//! up to 1.8 dB (20 bytes, 256-QAM at rate 2/3).
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.4.1.3.

/// Calls `visit` with the place of each sent bit among the `coded_bits` selected ones.
#[inline(always)]
pub(super) fn for_each_sent(coded_bits: usize, mut visit: impl FnMut(usize)) {
    let side = side(coded_bits);
    for column in 0..side {
        let mut place = column;
        for row in 0..side - column {
            if place >= coded_bits {
                break;
            }
            visit(place);
            // Each row is one shorter than the one above.
            place += side - row;
        }
    }
}

/// T: the least number with T (T + 1) / 2 >= E.
fn side(coded_bits: usize) -> usize {
    let side = ((8 * coded_bits + 1).isqrt() - 1) / 2;
    side + usize::from(side * (side + 1) / 2 < coded_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(coded_bits: usize) -> Vec<usize> {
        let mut order = Vec::new();
        for_each_sent(coded_bits, |place| order.push(place));
        order
    }

    #[test]
    fn columns_of_a_triangle() {
        // 0 1 2 3
        // 4 5 6
        // 7 8
        // 9
        assert_eq!(order(10), [0, 4, 7, 9, 1, 5, 8, 2, 6, 3]);
        assert_eq!(order(8), [0, 4, 7, 1, 5, 2, 6, 3]);
    }

    #[test]
    fn every_bit_is_sent_once() {
        for coded_bits in (1..600).chain([4095, 4096, 65_536]) {
            let mut order = order(coded_bits);
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..coded_bits));
        }
    }
}
