//! The waterfall: one message's steps one after the other, from content to content.
//!
//! [`Timeline`] has the moments of one transmission, [`Waterfall`] the percentiles over many and the bars. Its stages
//! follow each other without gaps and add up to the total; work that overlaps them (frames modulated while earlier
//! ones are on the air, frames demodulated while later ones are) is in [`Latency`](super::Latency).

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{Clocks, Percentiles, Report, Table, finite_or_null, nan, number};
use crate::wire::{ReceiverTimings, TransmitterTimings};

/// Characters of the longest bar.
const BAR: usize = 48;

/// Moments of one transmission, in ms since the content was there. Those at the receiver are corrected by the offset
/// between the clocks. NaN, or `null` in JSON, if not known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The encoder began.
    #[serde(with = "finite_or_null", default = "nan")]
    pub encode: f64,
    /// It was done.
    #[serde(with = "finite_or_null", default = "nan")]
    pub encoded: f64,
    /// The first sample went to the radio.
    #[serde(with = "finite_or_null", default = "nan")]
    pub first_sample: f64,
    /// The last samples arrived.
    #[serde(with = "finite_or_null", default = "nan")]
    pub last_sample: f64,
    /// The last frame was demodulated.
    #[serde(with = "finite_or_null", default = "nan")]
    pub demodulated: f64,
    /// The decoder began.
    #[serde(with = "finite_or_null", default = "nan")]
    pub decode: f64,
    /// The content was there.
    #[serde(with = "finite_or_null", default = "nan")]
    pub decoded: f64,
}

impl Default for Timeline {
    /// Nothing is known.
    fn default() -> Self {
        let unknown = f64::NAN;
        Self {
            encode: unknown,
            encoded: unknown,
            first_sample: unknown,
            last_sample: unknown,
            demodulated: unknown,
            decode: unknown,
            decoded: unknown,
        }
    }
}

impl Timeline {
    /// From what both ends noted.
    pub(super) fn new(sent: &TransmitterTimings, received: Option<&ReceiverTimings>, clocks: Clocks) -> Self {
        let start = i128::from(sent.started_unix_us);
        let here = |unix_us: u64| (i128::from(unix_us) - start) as f64 / 1e3;
        let there = |of: fn(&ReceiverTimings) -> u64| {
            let at = received.and_then(|timings| clocks.at_transmitter(of(timings)));
            at.map_or(f64::NAN, |at| (at - start) as f64 / 1e3)
        };
        let encode = here(sent.encode_started_unix_us);
        let decoded = there(|timings| timings.decoded_unix_us);
        Self {
            encode,
            encoded: encode + f64::from(sent.encode_ms),
            first_sample: here(sent.first_sample_unix_us),
            last_sample: there(|timings| timings.last_sample_unix_us),
            demodulated: there(|timings| timings.demodulated_unix_us),
            decode: decoded - received.map_or(f64::NAN, |timings| f64::from(timings.decode_ms)),
            decoded,
        }
    }

    /// Name, beginning and end of each stage.
    fn stages(&self) -> [(&'static str, f64, f64); 8] {
        [
            ("prepare", 0.0, self.encode),
            ("encode", self.encode, self.encoded),
            ("modulate", self.encoded, self.first_sample),
            ("air", self.first_sample, self.last_sample),
            ("demodulate", self.last_sample, self.demodulated),
            ("wait", self.demodulated, self.decode),
            ("decode", self.decode, self.decoded),
            ("total", 0.0, self.decoded),
        ]
    }
}

/// A stage over many transmissions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// When it began, in ms since the content was there.
    pub start_ms: Option<Percentiles>,
    /// How long it took, in ms.
    pub duration_ms: Option<Percentiles>,
}

/// All stages over many transmissions. In this order:
///
/// | stage | from | to |
/// |---|---|---|
/// | prepare | the content is there | the encoder begins: it is read, the channel sounded if need be |
/// | encode | | content is a semantic message |
/// | modulate | | the first sample goes to the radio |
/// | air | | the last samples of the message's last frame arrive; rounds of resending are in here |
/// | demodulate | | that frame is demodulated |
/// | wait | | the decoder begins |
/// | decode | | the content is there |
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waterfall {
    /// How many transmissions.
    pub transmissions: usize,
    /// The stages, and the total last.
    pub stages: Vec<Stage>,
    /// How far the receiver's clock was ahead of the transmitter's, in µs; `null` if it was not estimated.
    pub clock_offset_us: Option<Percentiles>,
    /// The uncertainty of that, in µs.
    pub clock_uncertainty_us: Option<Percentiles>,
}

impl Waterfall {
    /// Over these reports.
    pub fn of(reports: &[Report]) -> Self {
        let names = Timeline::default().stages().map(|(name, ..)| name);
        let percentiles = |stage: usize, of: fn(f64, f64) -> f64| {
            Percentiles::of(reports.iter().map(|report| {
                let (_, start, end) = report.timeline_ms.stages()[stage];
                of(start, end)
            }))
        };
        let stages = names.into_iter().enumerate().map(|(stage, name)| Stage {
            name,
            start_ms: percentiles(stage, |start, _| start),
            duration_ms: percentiles(stage, |start, end| end - start),
        });
        let clocks = || reports.iter().filter_map(|report| report.clock);
        Self {
            transmissions: reports.len(),
            stages: stages.collect(),
            clock_offset_us: Percentiles::of(clocks().map(|clock| clock.offset_us as f64)),
            clock_uncertainty_us: Percentiles::of(clocks().map(|clock| clock.uncertainty_us as f64)),
        }
    }

    /// Indented JSON, with a line feed at its end.
    pub fn to_json(&self) -> String {
        // Finite numbers and texts only: this cannot fail.
        let mut json = serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("\"{error}\""));
        json.push('\n');
        json
    }

    /// Bars for the terminal: each stage where it mostly begins, █ for its 50th percentile, ░ on to its 95th.
    pub fn chart(&self) -> String {
        let end = |of: fn(&Percentiles) -> f64| {
            self.stages.iter().filter_map(move |stage| {
                Some(stage.start_ms.as_ref()?.p50 + of(stage.duration_ms.as_ref()?))
                    .filter(|end| end.is_finite())
            })
        };
        let scale = BAR as f64 / end(|percentiles| percentiles.p95).fold(f64::MIN_POSITIVE, f64::max);
        let mut table = Table::new(["stage", "p50 ms", "p95 ms", "begins"]);
        for stage in &self.stages {
            let cell = |figures: &Option<Percentiles>, of: fn(&Percentiles) -> f64| {
                number(figures.as_ref().map_or(f64::NAN, of), 2)
            };
            table.row([
                stage.name.into(),
                cell(&stage.duration_ms, |p| p.p50),
                cell(&stage.duration_ms, |p| p.p95),
                cell(&stage.start_ms, |p| p.p50),
            ]);
        }
        let table = table.to_string();
        let width = table.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        // Behind the header and the line under it, a row a stage.
        for (index, line) in table.lines().enumerate() {
            let bar =
                index.checked_sub(2).and_then(|stage| self.stages[stage].bar(scale)).unwrap_or_default();
            let row = format!("{line:<width$}  {bar}");
            text.push_str(row.trim_end());
            text.push('\n');
        }
        if let (Some(offset), Some(uncertainty)) = (&self.clock_offset_us, &self.clock_uncertainty_us) {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "receiver's clock ahead by {:+.0} µs, ± {:.0} µs (p50; p95 {:.0} µs)",
                offset.p50, uncertainty.p50, uncertainty.p95
            );
        }
        text
    }
}

impl Stage {
    fn bar(&self, scale: f64) -> Option<String> {
        let (start, duration) = (self.start_ms.as_ref()?, self.duration_ms.as_ref()?);
        // A float-to-integer `as` saturates, and takes what is below zero for zero.
        let column = |ms: f64| (((ms * scale).round()) as usize).min(BAR);
        let from = column(start.p50);
        let half = column(start.p50 + duration.p50).max(from);
        let most = column(start.p50 + duration.p95).max(half);
        let bar = if half == from && duration.p50 > 0.0 { "▏".into() } else { "█".repeat(half - from) };
        Some(format!("{}{bar}{}", " ".repeat(from), "░".repeat(most - half)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parts, setting};
    use super::super::{Quality, Report};
    use super::*;

    fn report(setting: &super::super::Setting) -> Report {
        let (transmitter, receiver) = parts();
        Report::merge(setting, &transmitter, Some(&receiver), Quality::default())
    }

    #[test]
    fn stages_follow_each_other_and_add_up() {
        let report = report(&setting());
        let stages = report.timeline_ms.stages();
        let total = stages[7].2;
        assert_eq!(total, report.latency_ms.total);
        let sum: f64 = stages[..7].iter().map(|(_, start, end)| end - start).sum();
        assert!((sum - total).abs() < 1e-6, "{stages:?}");
        for pair in stages[..7].windows(2) {
            assert_eq!(pair[0].2, pair[1].1, "{pair:?}");
            assert!(pair[0].1 <= pair[0].2, "{pair:?}");
        }
    }

    #[test]
    fn nothing_crosses_from_one_unknown_clock_to_the_other() {
        let mut setting = setting();
        setting.clocks = Clocks::Unknown;
        let report = report(&setting);
        assert_eq!((report.timeline_ms.encode, report.timeline_ms.encoded), (1.0, 11.0));
        assert!(report.timeline_ms.last_sample.is_nan() && report.latency_ms.total.is_nan());
        assert!(report.latency_ms.air.is_nan() && report.clock.is_none());
        assert_eq!(report.latency_ms.decode, 20.0);
        let waterfall = Waterfall::of(&[report]);
        assert_eq!(waterfall.stages[3].duration_ms, None);
        assert!(waterfall.chart().lines().any(|line| line.starts_with("air") && line.contains('–')));
    }

    #[test]
    fn bars_lie_where_the_stages_do() {
        let waterfall = Waterfall::of(&[report(&setting()), report(&setting())]);
        let chart = waterfall.chart();
        let bar = |name: &str| {
            let line = chart
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_else(|| panic!("{name} in {chart}"));
            let columns: Vec<usize> = line
                .chars()
                .enumerate()
                .filter(|(_, letter)| "█▏".contains(*letter))
                .map(|(at, _)| at)
                .collect();
            (columns[0], columns[columns.len() - 1])
        };
        assert_eq!(bar("total").1 - bar("total").0, BAR - 1, "{chart}");
        assert!(bar("encode").1 < bar("decode").0, "{chart}");
        assert_eq!(bar("decode").1, bar("total").1, "{chart}");
        assert!(chart.contains("ahead by +500 µs, ± 40 µs"), "{chart}");
        let json: serde_json::Value = serde_json::from_str(&waterfall.to_json()).unwrap();
        assert_eq!(json["stages"][6]["name"], "decode");
        assert_eq!(json["stages"][6]["duration_ms"]["p95"], 20.0);
        assert_eq!((&json["transmissions"], &json["clock_offset_us"]["p50"]), (&2.into(), &500.0.into()));
    }
}
