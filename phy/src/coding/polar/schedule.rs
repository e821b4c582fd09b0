//! The decoding tree of a code as a list of steps, in which subtrees that decode at once are leaves.
//!
//! A node of stage s stands for 2^s consecutive inputs. Its left half is decoded first, then its right half.
//!
//! Reference: S. A. Hashemi, C. Condo, W. J. Gross, "Fast and flexible successive-cancellation list decoders
//! for polar codes", IEEE Trans. Signal Process. 65(21), 2017, for the kinds of leaves.

/// What to do next. `stage` is that of the node, `offset` its first input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// LLRs of the left half.
    Left { stage: u8 },
    /// LLRs of the right half, given the bits of the left one.
    Right { stage: u8, offset: u16 },
    /// Bits of the node from those of its halves.
    Combine { stage: u8, offset: u16 },
    /// The left half is frozen: cost of that alone, without keeping LLRs.
    FrozenLeft { stage: u8 },
    /// LLRs of the right half when the left one is zero.
    RightOfZero { stage: u8 },
    /// Bits of the node when its left half is zero.
    CombineZero { stage: u8, offset: u16 },
    /// All inputs are frozen ("rate 0").
    Frozen { stage: u8, offset: u16 },
    /// Only the last input carries a bit: a repetition code.
    Repetition { stage: u8, offset: u16 },
    /// Only the first input is frozen: a single parity check.
    Parity { stage: u8, offset: u16 },
    /// Every input carries a bit ("rate 1").
    Free { stage: u8, offset: u16 },
}

/// The steps that decode a code.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    steps: Vec<Step>,
}

impl Schedule {
    /// The steps for a code of `length` bits; the inputs of `information_set` (ascending) carry bits.
    pub fn new(length: usize, information_set: &[u16]) -> Self {
        let mut schedule = Self::default();
        schedule.visit(information_set, length.trailing_zeros() as u8, 0);
        schedule
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn visit(&mut self, information_set: &[u16], stage: u8, offset: u16) {
        let length = 1usize << stage;
        let half = length as u16 / 2;
        let kind = Kind::of(information_set, offset, length);
        match kind {
            Kind::Frozen => self.steps.push(Step::Frozen { stage, offset }),
            Kind::Repetition => self.steps.push(Step::Repetition { stage, offset }),
            Kind::Parity => self.steps.push(Step::Parity { stage, offset }),
            Kind::Free => self.steps.push(Step::Free { stage, offset }),
            Kind::Branch if Kind::of(information_set, offset, length / 2) == Kind::Frozen => {
                // Before the first bit there is one path, and no use for its cost.
                if information_set[0] < offset {
                    self.steps.push(Step::FrozenLeft { stage });
                }
                self.steps.push(Step::RightOfZero { stage });
                self.visit(information_set, stage - 1, offset + half);
                self.steps.push(Step::CombineZero { stage, offset });
            }
            Kind::Branch => {
                self.steps.push(Step::Left { stage });
                self.visit(information_set, stage - 1, offset);
                self.steps.push(Step::Right { stage, offset });
                self.visit(information_set, stage - 1, offset + half);
                self.steps.push(Step::Combine { stage, offset });
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Frozen,
    Repetition,
    Parity,
    Free,
    Branch,
}

impl Kind {
    fn of(information_set: &[u16], offset: u16, length: usize) -> Self {
        let first = information_set.partition_point(|&index| index < offset);
        let inside = &information_set[first..];
        let count = inside.partition_point(|&index| usize::from(index) < usize::from(offset) + length);
        let inside = &inside[..count];
        match inside {
            [] => Self::Frozen,
            [only] if usize::from(*only) + 1 == usize::from(offset) + length => Self::Repetition,
            _ if count == length => Self::Free,
            [first, ..] if count + 1 == length && *first > offset => Self::Parity,
            _ => Self::Branch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_the_extended_hamming_code() {
        // 8 bits, inputs 3, 5, 6, 7: a repetition, then a single parity check.
        let schedule = Schedule::new(8, &[3, 5, 6, 7]);
        let expected = [
            Step::Left { stage: 3 },
            Step::Repetition { stage: 2, offset: 0 },
            Step::Right { stage: 3, offset: 0 },
            Step::Parity { stage: 2, offset: 4 },
            Step::Combine { stage: 3, offset: 0 },
        ];
        assert_eq!(schedule.steps(), expected);
    }

    #[test]
    fn frozen_halves_cost_only_once_there_are_paths() {
        let steps = Schedule::new(8, &[2, 6, 7]).steps;
        assert_eq!(
            steps,
            [
                Step::Left { stage: 3 },
                Step::RightOfZero { stage: 2 },
                Step::Left { stage: 1 },
                Step::Repetition { stage: 0, offset: 2 },
                Step::Right { stage: 1, offset: 2 },
                Step::Frozen { stage: 0, offset: 3 },
                Step::Combine { stage: 1, offset: 2 },
                Step::CombineZero { stage: 2, offset: 0 },
                Step::Right { stage: 3, offset: 0 },
                Step::FrozenLeft { stage: 2 },
                Step::RightOfZero { stage: 2 },
                Step::Free { stage: 1, offset: 6 },
                Step::CombineZero { stage: 2, offset: 4 },
                Step::Combine { stage: 3, offset: 0 },
            ]
        );
    }
}
