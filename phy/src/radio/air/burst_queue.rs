//! Bursts on their way from transmitters to the engine.

use std::collections::VecDeque;

use num_complex::Complex32;

/// Samples that the engine gets in one piece, at most, but for a single datagram's.
const PIECE_SAMPLES: usize = 8192;

/// What the engine takes from a queue, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Start,
    Samples(Vec<Complex32>),
    End,
}

/// A queue of bursts.
#[derive(Debug, Default)]
pub(super) struct BurstQueue {
    items: VecDeque<Item>,
    samples: u64,
    /// Whether a burst has been begun by [`Self::pull`] but not ended.
    playing: bool,
}

impl BurstQueue {
    /// Samples in it.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// A burst begins.
    pub fn start(&mut self) {
        self.items.push_back(Item::Start);
    }

    /// The burst ends.
    pub fn end(&mut self) {
        self.items.push_back(Item::End);
    }

    /// Where the next `count` samples go.
    pub fn piece(&mut self, count: usize) -> &mut Vec<Complex32> {
        let fits = matches!(self.items.back(), Some(Item::Samples(piece))
            if piece.len() + count <= PIECE_SAMPLES);
        if !fits {
            self.items.push_back(Item::Samples(Vec::with_capacity(PIECE_SAMPLES)));
        }
        match self.items.back_mut() {
            Some(Item::Samples(piece)) => piece,
            _ => unreachable!("pushed above if it was not there"),
        }
    }

    /// So many were put there.
    pub fn count_in(&mut self, count: usize) {
        self.samples += count as u64;
    }

    /// The last burst is given up: what waits of it is dropped, and what has gone out ends here.
    pub fn give_up(&mut self) {
        while let Some(item) = self.items.pop_back() {
            match item {
                Item::Samples(piece) => self.samples -= piece.len() as u64,
                Item::Start => return,
                Item::End => {
                    self.items.push_back(Item::End);
                    break;
                }
            }
        }
        self.items.push_back(Item::End);
    }

    /// The next item.
    pub fn take(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if let Item::Samples(piece) = &item {
            self.samples -= piece.len() as u64;
        }
        Some(item)
    }

    /// Whether a burst can begin: all of it waits, or at least `head` samples.
    fn is_ready(&self, head: u64) -> bool {
        self.items.front() == Some(&Item::Start) && (self.samples >= head || self.items.contains(&Item::End))
    }

    /// Whether samples are due now: of a burst that has begun, or of one that can.
    pub fn is_due(&self, head: u64) -> bool {
        self.playing || self.is_ready(head)
    }

    /// Moves on in time by the length of `out`, which is silence before, and puts there what is sent meanwhile. Returns the
    /// samples of bursts, and the samples that a burst should have had but had not brought in time.
    pub fn pull(&mut self, out: &mut [Complex32], head: u64) -> (usize, usize) {
        let (mut at, mut sent) = (0, 0);
        while at < out.len() && self.is_due(head) {
            match self.items.front_mut() {
                Some(Item::Start) => {
                    self.playing = true;
                    self.items.pop_front();
                }
                Some(Item::End) => {
                    self.playing = false;
                    self.items.pop_front();
                }
                Some(Item::Samples(piece)) => {
                    let count = piece.len().min(out.len() - at);
                    out[at..at + count].copy_from_slice(&piece[..count]);
                    if count == piece.len() {
                        self.items.pop_front();
                    } else {
                        piece.drain(..count);
                    }
                    self.samples -= count as u64;
                    at += count;
                    sent += count;
                }
                None => return (sent, out.len() - at),
            }
        }
        (sent, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(queue: &mut BurstQueue, values: std::ops::Range<i32>) {
        let count = values.len();
        queue.piece(count).extend(values.map(|n| Complex32::new(n as f32, 0.0)));
        queue.count_in(count);
    }

    fn pull(queue: &mut BurstQueue, count: usize) -> (Vec<i32>, usize) {
        let mut out = vec![Complex32::default(); count];
        let (_, late) = queue.pull(&mut out, 8);
        (out.iter().map(|x| x.re as i32).collect(), late)
    }

    #[test]
    fn a_burst_begins_with_its_head_or_its_end_and_the_next_follows_on_it() {
        let mut queue = BurstQueue::default();
        queue.start();
        put(&mut queue, 1..6);
        assert_eq!(pull(&mut queue, 4), (vec![0; 4], 0), "five of eight are no head");
        put(&mut queue, 6..10);
        assert_eq!(pull(&mut queue, 4), (vec![1, 2, 3, 4], 0));
        queue.end();
        queue.start();
        put(&mut queue, 50..52);
        queue.end();
        assert_eq!(pull(&mut queue, 9), (vec![5, 6, 7, 8, 9, 50, 51, 0, 0], 0));
        assert_eq!(queue.samples(), 0);
    }

    #[test]
    fn what_is_not_there_in_time_is_counted() {
        let mut queue = BurstQueue::default();
        queue.start();
        put(&mut queue, 1..10);
        assert_eq!(pull(&mut queue, 12), (vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0], 3));
        assert_eq!(pull(&mut queue, 2), (vec![0, 0], 2));
        put(&mut queue, 20..21);
        queue.end();
        assert_eq!(pull(&mut queue, 3), (vec![20, 0, 0], 0));
    }
}
