//! A calibration: what is measured in which order, and its figures.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::session::Session;
use super::sweep::{Fit, Point, fit, mean, median, noise_figure_db, usable};
use crate::mode::Mode;
use crate::numerology::Numerology;
use crate::radio::RadioError;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Probes at the usual level.
    pub probes: usize,
    /// Probes at each level of the sweep.
    pub probes_a_level: usize,
    /// Step of the sweep in dB, above 0.
    pub step_db: f64,
    /// How far it goes down, in dB.
    pub span_db: f64,
    /// Power at the receiver's input at the usual level, in dBm, if it is known.
    pub input_dbm: Option<f64>,
    /// Centre frequency in Hz, if it is known.
    pub frequency_hz: Option<f64>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            probes: 20,
            probes_a_level: 5,
            step_db: 3.0,
            span_db: 45.0,
            input_dbm: None,
            frequency_hz: None,
        }
    }
}

/// What a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Probes sent at the usual level, and of these the intact ones.
    pub probes: usize,
    /// Of these, the intact ones.
    pub intact: usize,
    /// Median carrier offset in Hz.
    pub cfo_hz: Option<f64>,
    /// Largest deviation of a probe's from it, in Hz.
    pub cfo_spread_hz: Option<f64>,
    /// The carrier offset as parts per million of the frequency, if that is known.
    pub cfo_ppm: Option<f64>,
    /// Median offset of the sampling clock in ppm; positive: the receiver's is fast.
    pub clock_offset_ppm: Option<f64>,
    /// Mean SNR in dB.
    pub snr_db: Option<f64>,
    /// EVM in percent.
    pub evm_percent: Option<f64>,
    /// The sweep of levels, highest first.
    pub levels: Vec<Point>,
    /// Levels at which every probe arrived, in dB.
    pub usable_db: Option<(f64, f64)>,
    /// What limits the link at the top and at the bottom.
    pub fit: Option<Fit>,
    /// Power at the receiver's input that was assumed, in dBm.
    pub input_dbm: Option<f64>,
    /// Noise figure in dB, if that power was given.
    pub noise_figure_db: Option<f64>,
    /// A sweep of the receiver's gain at the usual level, where it has one.
    pub gains: Vec<Point>,
    /// Gains at which every probe arrived and the EVM is at most √2 of the best, in dB.
    pub usable_gain_db: Option<(f64, f64)>,
    /// Samples that were lost before the receiver.
    pub lost_samples: u64,
    /// Frames that were heard and not sent.
    pub strangers: u64,
}

impl Calibration {
    /// Takes in a sweep of the receiver's gain, `level_db` of each point being the gain.
    pub fn add_gains(&mut self, gains: Vec<Point>) {
        let best = gains
            .iter()
            .filter(|point| point.works())
            .filter_map(|point| point.evm_percent)
            .fold(f64::INFINITY, f64::min);
        let good: Vec<Point> = gains
            .iter()
            .cloned()
            .map(|mut point| {
                if point.evm_percent.is_none_or(|evm| evm > best * std::f64::consts::SQRT_2) {
                    point.intact = 0;
                }
                point
            })
            .collect();
        self.usable_gain_db = usable(&good);
        self.gains = gains;
    }

    /// Measures.
    ///
    /// # Errors
    /// [`RadioError`] of the transmitting radio.
    pub fn measure(session: &mut Session, numerology: &Numerology, plan: &Plan) -> Result<Self, RadioError> {
        let readings = session.probe(Mode::Normal, 0.0, plan.probes)?;
        let first = Point::new(0.0, plan.probes, &readings);
        let cfo_hz = median(readings.iter().map(|reading| reading.cfo_hz));
        let spread =
            |middle: f64| readings.iter().map(|reading| (reading.cfo_hz - middle).abs()).fold(0.0, f64::max);
        let mut levels = Vec::new();
        let mut deaf = 0;
        let steps = (plan.span_db / plan.step_db.max(0.1)) as usize;
        // Two levels in a row at which nothing arrives are the end.
        for step in 0..=steps {
            let level_db = 0.0 - plan.step_db * step as f64;
            let heard = session.probe(Mode::Normal, level_db, plan.probes_a_level)?;
            let point = Point::new(level_db, plan.probes_a_level, &heard);
            deaf = if point.intact == 0 { deaf + 1 } else { 0 };
            levels.push(point);
            if deaf == 2 {
                break;
            }
        }
        let fit = fit(&levels);
        let occupied_hz = numerology.subcarriers() as f64 * numerology.subcarrier_spacing_hz();
        Ok(Self {
            probes: plan.probes,
            intact: first.intact,
            cfo_hz,
            cfo_spread_hz: cfo_hz.map(spread),
            cfo_ppm: plan.frequency_hz.zip(cfo_hz).map(|(frequency, cfo)| 1e6 * cfo / frequency),
            clock_offset_ppm: median(readings.iter().map(|reading| reading.clock_offset_ppm)),
            snr_db: mean(readings.iter().map(|reading| reading.snr_db)),
            evm_percent: first.evm_percent,
            usable_db: usable(&levels),
            levels,
            fit,
            input_dbm: plan.input_dbm,
            noise_figure_db: plan
                .input_dbm
                .zip(fit)
                .map(|(input, fit)| noise_figure_db(input, fit.noise_snr_db, occupied_hz)),
            gains: Vec::new(),
            usable_gain_db: None,
            lost_samples: session.lost_samples(),
            strangers: session.strangers(),
        })
    }
}

/// A number with its unit, or a dash.
fn shown(value: Option<f64>, digits: usize, unit: &str) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.digits$} {unit}"))
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: String| writeln!(f, "{name:<28}{value}");
        line("probes intact", format!("{} of {}", self.intact, self.probes))?;
        line("carrier offset", shown(self.cfo_hz, 1, "Hz"))?;
        line("  largest deviation", shown(self.cfo_spread_hz, 1, "Hz"))?;
        line("  of the frequency", shown(self.cfo_ppm, 3, "ppm"))?;
        line("clock offset", shown(self.clock_offset_ppm, 2, "ppm"))?;
        line("SNR", shown(self.snr_db, 2, "dB"))?;
        line("EVM", shown(self.evm_percent, 2, "%"))?;
        line("EVM floor", shown(self.fit.map(|fit| fit.evm_floor_percent), 2, "%"))?;
        line("SNR against noise alone", shown(self.fit.map(|fit| fit.noise_snr_db), 2, "dB"))?;
        let usable =
            self.usable_db.map_or_else(|| "–".into(), |(low, high)| format!("{low:.0} to {high:.0} dB"));
        line("usable levels", usable)?;
        if !self.gains.is_empty() {
            let usable = self
                .usable_gain_db
                .map_or_else(|| "–".into(), |(low, high)| format!("{low:.0} to {high:.0} dB"));
            line("usable receive gain", usable)?;
        }
        line("input power (assumed)", shown(self.input_dbm, 1, "dBm"))?;
        line("noise figure", shown(self.noise_figure_db, 2, "dB"))?;
        line("samples lost", self.lost_samples.to_string())?;
        for (name, points) in [("level dB", &self.levels), (" gain dB", &self.gains)] {
            if points.is_empty() {
                continue;
            }
            writeln!(f, "\n{name}  intact   SNR dB   EVM %")?;
            for point in points {
                let number =
                    |value: Option<f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.2}"));
                writeln!(
                    f,
                    "{:>8.0}  {:>2} of {:<2} {:>7} {:>7}",
                    point.level_db,
                    point.intact,
                    point.sent,
                    number(point.snr_db),
                    number(point.evm_percent)
                )?;
            }
        }
        Ok(())
    }
}
