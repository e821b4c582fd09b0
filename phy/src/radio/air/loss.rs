//! Datagrams that are lost on their way to a receiver: one by one, or several in a row.
//!
//! Two states (Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39(5), 1960): in the bad one
//! every datagram is lost, in the good one none. With a share p and a mean run of b, bad → good has the probability 1/b
//! and good → bad p/((1 − p)·b), each time a datagram is due; b = 1/(1 − p) makes losses independent.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::radio::RadioError;

const LOSS_STREAM: u64 = 0x6c6f_7373_6c6f_7373;

/// What happens to datagrams between the air and its receivers. The default loses none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkFaults {
    /// Share of datagrams that are lost, 0 to 0.9.
    pub loss: f64,
    /// Mean number lost in a row, 1 to 1000; anything below 1/(1 − loss) stands for independent losses.
    pub loss_burst: f64,
}

impl Default for LinkFaults {
    fn default() -> Self {
        Self { loss: 0.0, loss_burst: 1.0 }
    }
}

impl LinkFaults {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`RadioError::OutOfRange`] names the field and its range.
    pub fn validate(&self) -> Result<(), RadioError> {
        for (name, value, high, low, allowed) in [
            ("loss", self.loss, 0.9, 0.0, "0 to 0.9"),
            ("loss_burst", self.loss_burst, 1000.0, 1.0, "1 to 1000"),
        ] {
            if !(low..=high).contains(&value) {
                return Err(RadioError::OutOfRange { name, value, allowed });
            }
        }
        Ok(())
    }
}

/// Draws for one receiver which datagrams are lost.
#[derive(Debug, Clone)]
pub(super) struct Losses {
    faults: LinkFaults,
    bad: bool,
    generator: Xoshiro256PlusPlus,
}

impl Losses {
    /// The draws of a seed.
    pub fn new(faults: LinkFaults, seed: u64) -> Self {
        Self { faults, bad: false, generator: Xoshiro256PlusPlus::seed_from_u64(seed ^ LOSS_STREAM) }
    }

    /// Other faults from now on.
    pub fn set(&mut self, faults: LinkFaults) {
        self.faults = faults;
    }

    /// Whether the next datagram is lost.
    pub fn next_is_lost(&mut self) -> bool {
        let LinkFaults { loss, loss_burst } = self.faults;
        if loss <= 0.0 {
            self.bad = false;
            return false;
        }
        let run = loss_burst.max(1.0 / (1.0 - loss));
        let leave = if self.bad { 1.0 / run } else { loss / ((1.0 - loss) * run) };
        let draw = (self.generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        self.bad ^= draw < leave;
        self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_and_runs_are_those_set() {
        for (loss, loss_burst, expected_run) in [(0.05, 1.0, 1.0 / 0.95), (0.05, 8.0, 8.0), (0.5, 3.0, 3.0)] {
            let faults = LinkFaults { loss, loss_burst };
            let mut losses = Losses::new(faults, 4);
            let lost: Vec<bool> = (0..400_000).map(|_| losses.next_is_lost()).collect();
            let share = lost.iter().filter(|&&lost| lost).count() as f64 / lost.len() as f64;
            let runs = lost.chunk_by(|a, b| a == b).filter(|run| run[0]).count() as f64;
            let run = share * lost.len() as f64 / runs;
            assert!((share / loss - 1.0).abs() < 0.06, "{faults:?}: share {share}");
            assert!((run / expected_run - 1.0).abs() < 0.06, "{faults:?}: runs of {run}");
        }
    }

    #[test]
    fn out_of_range_names_the_range() {
        let message = LinkFaults { loss: 2.0, loss_burst: 1.0 }.validate().expect_err("too much").to_string();
        assert!(message.contains("loss is 2") && message.contains("0 to 0.9"), "{message}");
        assert!(LinkFaults { loss: 0.1, loss_burst: f64::NAN }.validate().is_err());
    }
}
