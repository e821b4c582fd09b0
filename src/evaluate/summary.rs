//! Summary: trials → means with confidence intervals, by channel, rate, system and SNR.
//!
//! The mean is over all pictures and seeds. Its 95 % interval is Student's: over the means of the pictures, as seeds of one
//! picture tell little of another; with a single picture over its seeds. The 10th percentile is over all trials; of LPIPS, where
//! more is worse, it is the 90th.

use std::collections::BTreeMap;

use semcast_common::message::SystemId;
use semcast_models::metrics::ClassQuality;
use semcast_phy::channel::Profile;
use serde::Serialize;

use crate::cbr::Cbr;

use super::{
    settings::Settings,
    trial::{Metrics, Record},
};

/// A figure of a picture's quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Psnr,
    Ssim,
    MsSsim,
    MsSsimDb,
    Lpips,
    /// Of a machine, over the blocks of a picture.
    TaskAccuracy,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Psnr, Self::Ssim, Self::MsSsim, Self::MsSsimDb, Self::Lpips, Self::TaskAccuracy];

    /// In files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Psnr => "psnr_db",
            Self::Ssim => "ssim",
            Self::MsSsim => "ms_ssim",
            Self::MsSsimDb => "ms_ssim_db",
            Self::Lpips => "lpips",
            Self::TaskAccuracy => "task_accuracy",
        }
    }

    /// For people, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psnr => "PSNR, dB",
            Self::Ssim => "SSIM",
            Self::MsSsim => "MS-SSIM",
            Self::MsSsimDb => "MS-SSIM, dB",
            Self::Lpips => "LPIPS",
            Self::TaskAccuracy => "task accuracy",
        }
    }

    /// Decimals that are worth showing.
    pub fn decimals(self) -> usize {
        match self {
            Self::Psnr | Self::MsSsimDb => 2,
            Self::Ssim | Self::MsSsim | Self::Lpips => 4,
            Self::TaskAccuracy => 3,
        }
    }

    /// Where among the sorted trials the bad tenth ends: distances are bad when they are large.
    fn bad_share(self) -> f64 {
        if self == Self::Lpips { 0.9 } else { 0.1 }
    }

    fn of(self, metrics: &Metrics) -> Option<f64> {
        match self {
            Self::Psnr => Some(metrics.psnr_db),
            Self::Ssim => Some(metrics.ssim),
            Self::MsSsim => Some(metrics.ms_ssim),
            Self::MsSsimDb => Some(metrics.ms_ssim_db),
            Self::Lpips => metrics.lpips,
            Self::TaskAccuracy => metrics.task_accuracy,
        }
    }
}

/// One channel at one rate: what is shown together.
pub struct Group<'a> {
    pub channel: &'a Profile,
    pub cbr: &'a Cbr,
    /// By system, then by SNR.
    pub rows: Vec<Row>,
}

/// All trials of a system at an SNR.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub system: SystemId,
    pub model: String,
    pub snr_db: f64,
    pub trials: usize,
    pub pictures: usize,
    pub metrics: BTreeMap<&'static str, Statistic>,
    /// By the number of the class; empty without labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<u8, ClassMeans>,
    /// Share of messages of which no picture could be made.
    pub lost: f64,
    pub cbr_net: f64,
    pub cbr_gross: Option<f64>,
    /// Symbols that carry no payload, over those that do.
    pub overhead: Option<f64>,
    pub encode_ms: f64,
    /// Over what was decoded.
    pub decode_ms: Option<f64>,
}

/// Quality of a class over the trials whose pictures have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClassMeans {
    pub trials: usize,
    /// Share of the pixels of these pictures.
    pub share: f64,
    pub psnr_db: f64,
    pub lpips: Option<f64>,
}

/// A class counts in a picture of which it is at least this share.
pub const LEAST_SHARE: f64 = 0.002;

/// A figure over trials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistic {
    pub mean: f64,
    /// Half of the 95 % confidence interval of the mean; `None` where there is one trial.
    pub confidence_95: Option<f64>,
    /// The 10th percentile over trials, from the bad end.
    pub percentile_10: f64,
}

/// Results, by what is shown together.
pub fn groups<'a>(settings: &'a Settings, records: &[&Record]) -> Vec<Group<'a>> {
    let mut groups = Vec::new();
    for channel in &settings.channels {
        let name = channel.to_string();
        for cbr in &settings.cbrs {
            let mut rows = Vec::new();
            for &system in &settings.systems {
                for &snr_db in &settings.snrs_db {
                    let of_row: Vec<&Record> = records
                        .iter()
                        .filter(|record| {
                            let trial = &record.trial;
                            (trial.channel == name && trial.cbr == cbr.value())
                                && (trial.system == system && trial.snr_db == snr_db)
                        })
                        .copied()
                        .collect();
                    rows.extend(Row::of(&of_row));
                }
            }
            groups.push(Group { channel, cbr, rows });
        }
    }
    groups
}

impl Row {
    /// `None` without trials.
    fn of(records: &[&Record]) -> Option<Self> {
        let first = records.first()?;
        let count = records.len() as f64;
        let mean = |of: &dyn Fn(&Record) -> f64| records.iter().map(|record| of(record)).sum::<f64>() / count;
        let decoded: Vec<f64> = records.iter().filter_map(|record| record.outcome.decode_ms).collect();
        let symbols = |of: &dyn Fn(&Record) -> Option<u64>| -> Option<f64> {
            records.iter().map(|record| of(record).map(|symbols| symbols as f64)).sum()
        };
        let payload = symbols(&|record| Some(record.outcome.cost.payload_symbols)).unwrap_or(0.0);
        let total = symbols(&|record| record.outcome.cost.total_symbols);
        let mut pictures: Vec<(&str, &str)> = records.iter().map(|record| picture(record)).collect();
        pictures.sort_unstable();
        pictures.dedup();
        Some(Self {
            system: first.trial.system,
            model: first.trial.model.clone(),
            snr_db: first.trial.snr_db,
            trials: records.len(),
            pictures: pictures.len(),
            metrics: Metric::ALL
                .into_iter()
                .filter_map(|metric| Some((metric.key(), Statistic::of(records, metric)?)))
                .collect(),
            classes: classes(records),
            lost: mean(&|record| f64::from(u8::from(record.outcome.lost.is_some()))),
            cbr_net: mean(&|record| record.outcome.cbr_net),
            cbr_gross: total.map(|_| mean(&|record| record.outcome.cbr_gross.unwrap_or(0.0))),
            overhead: total.filter(|_| payload > 0.0).map(|total| total / payload - 1.0),
            encode_ms: mean(&|record| record.outcome.encode_ms),
            decode_ms: (!decoded.is_empty()).then(|| decoded.iter().sum::<f64>() / decoded.len() as f64),
        })
    }
}

fn picture(record: &Record) -> (&str, &str) {
    (&record.trial.picture, &record.trial.picture_digest)
}

/// Means by class.
fn classes(records: &[&Record]) -> BTreeMap<u8, ClassMeans> {
    let mut of_class: BTreeMap<u8, Vec<&ClassQuality>> = BTreeMap::new();
    for quality in records.iter().flat_map(|record| &record.outcome.classes) {
        if quality.share >= LEAST_SHARE {
            of_class.entry(quality.class).or_default().push(quality);
        }
    }
    let means = |qualities: Vec<&ClassQuality>| {
        let count = qualities.len() as f64;
        let mean = |of: &dyn Fn(&ClassQuality) -> f64| qualities.iter().map(|q| of(q)).sum::<f64>() / count;
        ClassMeans {
            trials: qualities.len(),
            share: mean(&|quality| quality.share),
            psnr_db: mean(&|quality| quality.psnr_db),
            lpips: qualities.iter().map(|quality| quality.lpips).sum::<Option<f64>>().map(|sum| sum / count),
        }
    };
    of_class.into_iter().map(|(class, qualities)| (class, means(qualities))).collect()
}

impl Statistic {
    fn of(records: &[&Record], metric: Metric) -> Option<Self> {
        let mut all = Vec::with_capacity(records.len());
        let mut by_picture: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for record in records {
            let value = metric.of(&record.outcome.metrics)?;
            all.push(value);
            by_picture.entry(picture(record)).or_default().push(value);
        }
        let samples = if by_picture.len() > 1 {
            by_picture.values().map(|values| values.iter().sum::<f64>() / values.len() as f64).collect()
        } else {
            all.clone()
        };
        all.sort_by(f64::total_cmp);
        Some(Self {
            mean: all.iter().sum::<f64>() / all.len() as f64,
            confidence_95: half_interval(&samples),
            percentile_10: percentile(&all, metric.bad_share()),
        })
    }
}

/// Half of Student's 95 % interval for the mean of these.
fn half_interval(samples: &[f64]) -> Option<f64> {
    if samples.len() < 2 {
        return None;
    }
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let variance = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some(student_975(samples.len() - 1) * (variance / count).sqrt())
}

/// Quantile 0.975 of Student's distribution: from the tables up to 30 degrees of freedom, then by the first terms of its
/// expansion around the normal one (Abramowitz and Stegun, 26.7.5), right to 0.001.
fn student_975(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    let normal = 1.959_964_f64;
    match TABLE.get(freedom.wrapping_sub(1)) {
        Some(&quantile) => quantile,
        None => normal + (normal.powi(3) + normal) / (4.0 * freedom as f64),
    }
}

/// By linear interpolation between sorted values.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::evaluate::{
        Feedback,
        trial::{Cost, Outcome, Trial},
    };

    /// The result of a trial with a picture at an SNR.
    pub fn record(picture: &str, snr_db: f64, psnr_db: f64) -> Record {
        let trial = Trial {
            version: Trial::version(),
            system: SystemId::Ae,
            model: "00".into(),
            picture: picture.into(),
            picture_digest: "11".into(),
            cbr: 1.0 / 48.0,
            snr_db,
            told_snr_db: None,
            channel: "awgn".into(),
            doppler_hz: 0.0,
            cfo_hz: 0.0,
            clock_offset_ppm: 0.0,
            seed: 1,
            ideal: false,
            feedback: Feedback::None,
            max_resends: 0,
            budget_ms: None,
            radio: String::new(),
            allocation: semcast_common::config::Allocation::default(),
            intent: String::new(),
            lpips_weights: None,
            code: Default::default(),
            labels_digest: None,
            task: None,
        };
        let cost = Cost { payload_symbols: 900, total_symbols: Some(1000), ..Cost::default() };
        let outcome = Outcome {
            lost: None,
            metrics: Metrics {
                psnr_db,
                ssim: 0.9,
                ms_ssim: 0.95,
                ms_ssim_db: 13.01,
                lpips: None,
                task_accuracy: None,
            },
            classes: Vec::new(),
            cost,
            cbr_net: 0.02,
            cbr_gross: Some(0.022),
            encode_ms: 5.0,
            decode_ms: Some(4.0),
        };
        Record { id: trial.id(), trial, outcome }
    }

    #[test]
    fn the_interval_is_over_pictures_and_the_percentile_over_trials() {
        let records =
            [("a", 30.0), ("a", 32.0), ("b", 33.0), ("b", 37.0)].map(|(name, psnr)| record(name, 10.0, psnr));
        let row = Row::of(&records.each_ref()).expect("trials");
        let psnr = row.metrics["psnr_db"];
        assert_eq!((row.trials, row.pictures, psnr.mean), (4, 2, 33.0));
        // Means 31 and 35: deviation √8, over √2 pictures, times 12.706.
        assert!((psnr.confidence_95.expect("two pictures") - 25.412).abs() < 1e-3);
        assert!((psnr.percentile_10 - 30.6).abs() < 1e-9);
        assert!((row.overhead.expect("frames") - 1.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn one_picture_is_judged_by_its_seeds_and_one_trial_not_at_all() {
        let records = [30.0, 31.0, 32.0].map(|psnr| record("a", 10.0, psnr));
        let psnr = Row::of(&records.each_ref()).expect("trials").metrics["psnr_db"];
        assert!((psnr.confidence_95.expect("three seeds") - 4.303 / 3f64.sqrt()).abs() < 1e-9);
        let alone = Row::of(&[&records[0]]).expect("a trial").metrics["psnr_db"];
        assert_eq!(alone, Statistic { mean: 30.0, confidence_95: None, percentile_10: 30.0 });
    }

    #[test]
    fn quantiles_go_on_beyond_the_table() {
        for (freedom, expected) in [(1, 12.706), (30, 2.042), (40, 2.021), (120, 1.980), (100_000, 1.960)] {
            assert!((student_975(freedom) - expected).abs() < 0.002, "{freedom}: {}", student_975(freedom));
        }
    }
}
