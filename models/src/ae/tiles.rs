//! Large pictures in pieces: rectangles that overlap by the reach of the network, so that no seam can be seen and
//! memory stays bounded.

/// A range of blocks along one axis: what is computed, and which part of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First block computed.
    pub start: usize,
    /// Blocks computed.
    pub length: usize,
    /// First block kept.
    pub keep_start: usize,
    /// Blocks kept.
    pub keep_length: usize,
}

/// Cuts `total` blocks into spans that keep at most `core` each and compute `reach` more on each side, as far as the
/// picture goes. A picture of at most `core + 2 · reach` blocks is one span.
pub fn spans(total: usize, core: usize, reach: usize) -> Vec<Span> {
    if total <= core + 2 * reach {
        return vec![Span { start: 0, length: total, keep_start: 0, keep_length: total }];
    }
    (0..total)
        .step_by(core)
        .map(|keep_start| {
            let keep_length = core.min(total - keep_start);
            let start = keep_start.saturating_sub(reach);
            let end = (keep_start + keep_length + reach).min(total);
            Span { start, length: end - start, keep_start, keep_length }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_every_block_once_and_see_their_surroundings() {
        for total in [1, 5, 84, 85, 200, 1024] {
            let spans = spans(total, 64, 10);
            let mut next = 0;
            for span in spans {
                assert_eq!(span.keep_start, next);
                next += span.keep_length;
                assert!(span.start == 0 || span.keep_start - span.start == 10);
                let end = span.start + span.length;
                assert!(end == total || end - next == 10);
                assert!(span.length <= 84);
            }
            assert_eq!(next, total);
        }
    }
}
