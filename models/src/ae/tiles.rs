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

/// A rectangle of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// From top to bottom.
    pub rows: Span,
    /// From left to right.
    pub columns: Span,
}

/// Cuts a picture of `across` × `down` blocks into tiles, row by row; see [`spans`].
pub fn tiles(across: usize, down: usize, core: usize, reach: usize) -> Vec<Tile> {
    let columns = spans(across, core, reach);
    spans(down, core, reach)
        .into_iter()
        .flat_map(|rows| columns.iter().map(move |&columns| Tile { rows, columns }))
        .collect()
}

impl Tile {
    /// Copies the part that is kept of the channels of a tile into those of a whole picture, which is `across` blocks wide;
    /// a block has `unit` × `unit` values.
    pub fn keep(&self, tile: &[f32], whole: &mut [f32], across: usize, unit: usize) {
        let Self { rows, columns } = self;
        let (tile_width, whole_width) = (columns.length * unit, across * unit);
        let tile_plane = rows.length * unit * tile_width;
        let channels = tile.len() / tile_plane;
        let whole_plane = whole.len() / channels;
        let (left, length) = ((columns.keep_start - columns.start) * unit, columns.keep_length * unit);
        for (tile, whole) in tile.chunks_exact(tile_plane).zip(whole.chunks_exact_mut(whole_plane)) {
            for row in 0..rows.keep_length * unit {
                let source = ((rows.keep_start - rows.start) * unit + row) * tile_width + left;
                let target = (rows.keep_start * unit + row) * whole_width + columns.keep_start * unit;
                whole[target..target + length].copy_from_slice(&tile[source..source + length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_put_together_are_the_whole() {
        let (across, down, unit, channels) = (23, 17, 2, 3);
        let (width, height) = (across * unit, down * unit);
        let whole: Vec<f32> = (0..channels * width * height).map(|value| value as f32).collect();
        let mut copy = vec![0.0; whole.len()];
        for tile in tiles(across, down, 5, 2) {
            let Tile { rows, columns } = tile;
            let seen: Vec<f32> = (0..channels)
                .flat_map(|channel| (0..rows.length * unit).map(move |row| (channel, row)))
                .flat_map(|(channel, row)| {
                    let start = (channel * height + rows.start * unit + row) * width + columns.start * unit;
                    whole[start..start + columns.length * unit].to_vec()
                })
                .collect();
            tile.keep(&seen, &mut copy, across, unit);
        }
        assert_eq!(copy, whole);
    }

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
