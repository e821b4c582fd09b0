//! Percentiles over repeated transmissions.

use serde::Serialize;

use super::{Latency, Report, Table, number};

/// Nearest-rank percentiles: the smallest value such that p % of all values are no greater.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many values.
    pub count: usize,
    /// Median.
    pub p50: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %.
    pub p99: f64,
}

impl Percentiles {
    /// Of all values that are not NaN; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (percent * sorted.len()).div_ceil(100).max(1);
            sorted.get(rank - 1).copied()
        };
        Some(Self { count: sorted.len(), p50: rank(50)?, p95: rank(95)?, p99: rank(99)? })
    }
}

/// Percentiles of every stage, in ms; `None` for a stage that was never measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Content to semantic message.
    pub encode: Option<Percentiles>,
    /// Semantic message to samples.
    pub modulate: Option<Percentiles>,
    /// First sample sent to last sample received.
    pub air: Option<Percentiles>,
    /// Samples to segments.
    pub demodulate: Option<Percentiles>,
    /// Segments to content.
    pub decode: Option<Percentiles>,
    /// Content to content.
    pub total: Option<Percentiles>,
}

impl LatencySummary {
    /// Over the latencies of these reports.
    pub fn of(reports: &[Report]) -> Self {
        let stage = |of: fn(&Latency) -> f64| Percentiles::of(reports.iter().map(|r| of(&r.latency_ms)));
        Self {
            encode: stage(|latency| latency.encode),
            modulate: stage(|latency| latency.modulate),
            air: stage(|latency| latency.air),
            demodulate: stage(|latency| latency.demodulate),
            decode: stage(|latency| latency.decode),
            total: stage(|latency| latency.total),
        }
    }

    /// As a table for the terminal, one row a stage.
    pub fn table(&self) -> String {
        let mut table = Table::new(["stage", "p50 ms", "p95 ms", "p99 ms", "runs"]);
        for (name, stage) in [
            ("encode", self.encode),
            ("modulate", self.modulate),
            ("air", self.air),
            ("demodulate", self.demodulate),
            ("decode", self.decode),
            ("total", self.total),
        ] {
            let cell = |of: fn(&Percentiles) -> f64| number(stage.as_ref().map_or(f64::NAN, of), 2);
            let runs = stage.map_or(0, |stage| stage.count).to_string();
            table.row([name.into(), cell(|p| p.p50), cell(|p| p.p95), cell(|p| p.p99), runs]);
        }
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parts, setting};
    use super::super::{Quality, Report};
    use super::*;

    #[test]
    fn nearest_rank() {
        let hundred = Percentiles::of((1..=100).rev().map(f64::from)).unwrap();
        assert_eq!((hundred.p50, hundred.p95, hundred.p99), (50.0, 95.0, 99.0));
        let three = Percentiles::of([3.0, f64::NAN, 1.0, 2.0]).unwrap();
        assert_eq!((three.count, three.p50, three.p95, three.p99), (3, 2.0, 3.0, 3.0));
        assert_eq!(Percentiles::of([f64::NAN]), None);
    }

    #[test]
    fn a_stage_never_measured_shows_as_unknown() {
        let (transmitter, _) = parts();
        let report = Report::merge(&setting(), &transmitter, None, Quality::default());
        let summary = LatencySummary::of(&[report]);
        assert_eq!(summary.total, None);
        let table = summary.table();
        assert!(table.lines().any(|line| line.starts_with("encode") && line.contains("10.00")), "{table}");
        assert!(table.lines().any(|line| line.starts_with("total") && line.contains('–')), "{table}");
    }
}
