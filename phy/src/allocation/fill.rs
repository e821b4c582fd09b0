//! Filling: blocks in order, segments in order → how many elements of each segment lie in each block.
//!
//! First every segment, the most important first, fills the blocks from where the one before it stopped,
//! and may open as many new ones as it was given. What does not fit then goes, in the same order of
//! segments, into the blocks that are left. So every block is full before the next is touched, the last
//! one aside, and nothing is left over while there is room.

/// Elements of one segment in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Take {
    pub segment: usize,
    pub block: usize,
    pub elements: usize,
}

/// The blocks from the first that has room on.
pub(super) struct Cursor<'a> {
    blocks: &'a [u16],
    columns: &'a [usize],
    next: usize,
    /// Elements that are taken in block `next`.
    used: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `blocks`; `columns` holds the elements of every block, by its index.
    pub fn new(blocks: &'a [u16], columns: &'a [usize]) -> Self {
        let mut cursor = Self { blocks, columns, next: 0, used: 0 };
        cursor.skip_full();
        cursor
    }

    fn skip_full(&mut self) {
        while self.block().is_some_and(|block| self.used >= self.columns[block]) {
            self.next += 1;
            self.used = 0;
        }
    }

    /// The block at hand.
    pub fn block(&self) -> Option<usize> {
        self.blocks.get(self.next).map(|&block| usize::from(block))
    }

    /// Whether nothing lies in the block at hand.
    pub fn fresh(&self) -> bool {
        self.used == 0
    }

    /// Takes up to `wanted` elements of the block at hand; returns the block and how many.
    pub fn take(&mut self, wanted: usize) -> Option<(usize, usize)> {
        let block = self.block()?;
        let elements = wanted.min(self.columns[block] - self.used);
        self.used += elements;
        self.skip_full();
        Some((block, elements))
    }
}

/// Fills the blocks; `segments` is their order, `limits` and `elements` go by the segments' index.
///
/// Returns the number of elements that found no room.
pub(super) fn fill(
    blocks: &[u16],
    columns: &[usize],
    segments: &[u8],
    limits: &[u16],
    elements: &[usize],
    takes: &mut Vec<Take>,
) -> usize {
    takes.clear();
    let mut cursor = Cursor::new(blocks, columns);
    let mut left = [0; super::record::MAX_RANKS];
    for own in [true, false] {
        for &segment in segments {
            let segment = usize::from(segment);
            let rest = &mut left[segment];
            if own {
                *rest = elements[segment];
            }
            let mut opened = 0;
            while *rest > 0 {
                if own && cursor.fresh() {
                    if opened == limits[segment] {
                        break;
                    }
                    opened += 1;
                }
                let Some((block, taken)) = cursor.take(*rest) else { break };
                takes.push(Take { segment, block, elements: taken });
                *rest -= taken;
            }
        }
    }
    left.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(limits: &[u16], elements: &[usize]) -> (usize, Vec<(usize, usize, usize)>) {
        let mut takes = Vec::new();
        let segments: Vec<u8> = (0..elements.len() as u8).collect();
        let left = fill(&[2, 0, 3, 1], &[10, 10, 10, 0], &segments, limits, elements, &mut takes);
        (left, takes.iter().map(|take| (take.segment, take.block, take.elements)).collect())
    }

    #[test]
    fn segments_follow_each_other_through_the_blocks() {
        let (left, takes) = filled(&[9, 9, 9], &[12, 3, 15]);
        assert_eq!(left, 0);
        assert_eq!(takes, [(0, 2, 10), (0, 0, 2), (1, 0, 3), (2, 0, 5), (2, 1, 10)]);
    }

    #[test]
    fn what_exceeds_its_blocks_goes_behind_all_others() {
        let (left, takes) = filled(&[1, 1, 0], &[15, 4, 12]);
        assert_eq!(left, 1);
        assert_eq!(takes, [(0, 2, 10), (1, 0, 4), (2, 0, 6), (0, 1, 5), (2, 1, 5)]);
    }
}
