//! What a device has done and what went wrong, counted; for logs, at most a line a second.

use std::fmt;
use std::time::{Duration, Instant};

/// Counts of one direction of a device since it was first opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceStatistics {
    /// Samples that went in or out.
    pub samples: u64,
    /// Bursts that were handed over whole.
    pub bursts: u64,
    /// Times the device ran out of samples within a burst.
    pub underflows: u64,
    /// Times samples were dropped because they were not read in time.
    pub overflows: u64,
    /// Bursts whose time had passed.
    pub late: u64,
    /// Samples known to be missing.
    pub missing_samples: u64,
    /// Samples that lay beyond the converter's range.
    pub clipped: u64,
    /// Errors of the device's link, such as packets out of order.
    pub corrupted: u64,
    /// Times the device was lost.
    pub lost: u64,
}

impl fmt::Display for DeviceStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "samples {} bursts {} underflows {} overflows {} late {} missing {} clipped {} corrupted {} lost {}",
            self.samples,
            self.bursts,
            self.underflows,
            self.overflows,
            self.late,
            self.missing_samples,
            self.clipped,
            self.corrupted,
            self.lost
        )
    }
}

impl DeviceStatistics {
    /// What a user should know of: all but samples and bursts.
    fn troubles(&self) -> [u64; 7] {
        [
            self.underflows,
            self.overflows,
            self.late,
            self.missing_samples,
            self.clipped,
            self.corrupted,
            self.lost,
        ]
    }
}

/// Says when new troubles are worth a line.
#[derive(Debug, Default)]
pub struct Reporter {
    told: DeviceStatistics,
    at: Option<Instant>,
}

impl Reporter {
    /// Interval between lines.
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Whether the counts have troubles that were not told, and the last line is long enough ago.
    pub fn due(&mut self, statistics: &DeviceStatistics, now: Instant) -> bool {
        let rested = self.at.is_none_or(|at| now.saturating_duration_since(at) >= Self::INTERVAL);
        let due = rested && statistics.troubles() != self.told.troubles();
        if due {
            self.told = *statistics;
            self.at = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_told_once_and_not_too_often() {
        let (mut reporter, now) = (Reporter::default(), Instant::now());
        let mut statistics = DeviceStatistics { samples: 5, bursts: 1, ..DeviceStatistics::default() };
        assert!(!reporter.due(&statistics, now), "all is well");
        statistics.overflows = 1;
        assert!(reporter.due(&statistics, now));
        assert!(!reporter.due(&statistics, now + Duration::from_secs(2)), "told already");
        statistics.overflows = 2;
        assert!(reporter.due(&statistics, now + Duration::from_secs(2)));
        statistics.overflows = 3;
        assert!(!reporter.due(&statistics, now + Duration::from_millis(2500)), "too soon");
        assert!(reporter.due(&statistics, now + Duration::from_secs(3)));
    }
}
