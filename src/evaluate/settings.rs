//! Settings: flags → what is to be run, checked before anything runs.

use std::sync::Arc;

use semcast_common::{
    config::{Allocation, Config, Overrides},
    intent::{Importance, Intent, Keep, Purpose, Raster},
    message::SystemId,
};
use semcast_models::sct::correction::Switch;
use semcast_models::sct::segmentation::{Choice, ClassifierFiles};
use semcast_models::{DeviceChoice, ae::weights::digest_of as model_digest_of, model_digest, sct};
use semcast_phy::{
    channel::{ChannelConfig, Profile},
    numerology::Numerology,
};

use super::{Args, Code, Feedback, pictures::PictureSet, summary::Metric, task, trial::Trial};
use crate::{air::air_config, cbr::Cbr, exit::Failure, flags, metrics::LpipsWeights};

const SNR_DB_RANGE: std::ops::RangeInclusive<f64> = -30.0..=60.0;

/// Reads an SNR.
pub fn snr_db(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(snr_db) if SNR_DB_RANGE.contains(&snr_db) => Ok(snr_db),
        _ => Err(format!("must be a number of dB from {} to {}", SNR_DB_RANGE.start(), SNR_DB_RANGE.end())),
    }
}

/// Everything that a run needs to know.
pub struct Settings {
    pub systems: Vec<SystemId>,
    pub snrs_db: Vec<f64>,
    pub cbrs: Vec<Cbr>,
    pub channels: Vec<Profile>,
    pub pictures: PictureSet,
    pub seeds: u64,
    pub ideal: bool,
    pub told_snr_db: Option<f64>,
    pub feedback: Feedback,
    pub max_resends: u8,
    /// Airtime for all rounds, if they go on for so long.
    pub budget_ms: Option<u32>,
    pub code: Code,
    /// Names of the classes, if they were given.
    pub class_names: Vec<String>,
    pub allocation: Allocation,
    pub intent: Intent,
    pub segmentation: Choice,
    pub correction: Switch,
    /// Weights of the machine mode, if they are not the usual ones.
    pub machine: Option<Arc<[u8]>>,
    pub threads: usize,
    pub device: DeviceChoice,
    /// Files of LPIPS, and their digest if it is measured.
    pub lpips: LpipsWeights,
    pub lpips_digest: Option<String>,
    /// The grid of the radio.
    pub numerology: Numerology,
    /// Impairments; profile, SNR and seed are others in each trial.
    pub channel: ChannelConfig,
}

/// Grid and impairments: those of the file, if one is named, under the flags.
fn radio(args: &Args) -> anyhow::Result<(Numerology, ChannelConfig)> {
    let (numerology, channel) = match &args.config {
        Some(path) => {
            let config = Config::load(Some(path), std::iter::empty(), &Overrides::new())?;
            (flags::numerology(&config)?, air_config(&config)?.channel)
        }
        None => {
            let numerology = flags::numerology(&Config::default())?;
            let occupied_fraction = numerology.occupied_fraction();
            (numerology, ChannelConfig { occupied_fraction, ..ChannelConfig::default() })
        }
    };
    let channel = ChannelConfig {
        doppler_hz: args.doppler.unwrap_or(channel.doppler_hz),
        cfo_hz: args.cfo.unwrap_or(channel.cfo_hz),
        sampling_offset_ppm: args.clock_offset.unwrap_or(channel.sampling_offset_ppm),
        ..channel
    };
    Ok((numerology, channel))
}

impl Settings {
    /// Checks the flags and looks at the pictures.
    pub fn new(args: &Args) -> anyhow::Result<Self> {
        let (numerology, channel) = radio(args)?;
        if args.budget_ms.is_some() && args.feedback == Feedback::None {
            return Err(Failure::Usage("--budget-ms is for --feedback ideal".into()).into());
        }
        let channels = profiles(&args.channel)?;
        for profile in &channels {
            let config = ChannelConfig { profile: profile.clone(), ..channel.clone() };
            config.validate(numerology.sample_rate_hz)?;
        }
        if args.code == Code::Capacity && !(args.ideal && channels == [Profile::Awgn]) {
            let text = "--code capacity is for --ideal over --channel awgn alone";
            return Err(Failure::Usage(text.into()).into());
        }
        let device = match args.device.device.as_deref() {
            None | Some("auto") => DeviceChoice::Auto,
            Some("wgpu") => DeviceChoice::Wgpu,
            Some(_) => DeviceChoice::Cpu,
        };
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Self {
            systems: distinct(&args.systems),
            snrs_db: distinct(&args.snr),
            cbrs: distinct(&args.cbr),
            channels,
            pictures: PictureSet::find(&args.pictures, args.labels.as_deref(), limit)?,
            seeds: args.seeds,
            ideal: args.ideal,
            told_snr_db: args.told_snr,
            feedback: args.feedback,
            max_resends: if args.feedback == Feedback::None { 0 } else { args.max_resends },
            budget_ms: args.budget_ms,
            code: args.code,
            class_names: args.label_names.as_deref().map(names).transpose()?.unwrap_or_default(),
            allocation: args.allocation,
            intent: args.semantics.intent()?,
            segmentation: args.segmentation.choice()?,
            correction: args.regions.switch(),
            machine: args.regions.machine()?,
            threads: args.threads.map_or_else(processors, usize::from),
            device,
            lpips_digest: args.lpips.digest()?,
            lpips: args.lpips.clone(),
            numerology,
            channel,
        })
    }

    /// What is to be kept of a picture and who cuts it into regions, as far as it is not as usual.
    pub fn intent_in_words(&self) -> String {
        let usual = Choice::default();
        let Choice { network, weights, classifier } = &self.segmentation;
        let mut words = vec![in_words(&self.intent)];
        if *network != usual.network {
            words.push(format!("segmentation {}", network.map_or("none", |network| network.name())));
        }
        words.extend(weights.iter().map(|weights| format!("by {}", model_digest_of(weights))));
        words.extend(classifier.iter().map(|files| match files {
            ClassifierFiles::Ncnn(_, bytes) | ClassifierFiles::Checkpoint(bytes) => {
                format!("classifier {}", model_digest_of(bytes))
            }
        }));
        words.retain(|words| !words.is_empty());
        words.join(", ")
    }

    /// Grid and impairments, as far as they are not as usual and have no fields of their own.
    pub fn radio_in_words(&self) -> String {
        let (numerology, usual) = (self.numerology, ChannelConfig::default());
        let mut words = Vec::new();
        if flags::numerology(&Config::default()).is_ok_and(|usual| usual != numerology) {
            words.push(format!(
                "FFT {}, cyclic prefix {}, {} resource blocks, {} samples/s",
                numerology.fft_size,
                numerology.cyclic_prefix,
                numerology.resource_blocks,
                numerology.sample_rate_hz
            ));
        }
        let mut part = |name: &str, value: serde_json::Result<serde_json::Value>, usual: bool| {
            if let Some(value) = value.ok().filter(|_| !usual) {
                words.push(format!("{name} {value}"));
            }
        };
        let ChannelConfig {
            transmitter,
            front_end,
            interferers,
            dropouts_per_s,
            dropout_ms,
            delay_samples,
            ..
        } = &self.channel;
        part("transmitter", serde_json::to_value(transmitter), *transmitter == usual.transmitter);
        part("receiver", serde_json::to_value(front_end), *front_end == usual.front_end);
        part("interferers", serde_json::to_value(interferers), *interferers == usual.interferers);
        let dropouts = serde_json::to_value([dropouts_per_s, dropout_ms]);
        part("dropouts per s and ms", dropouts, *dropouts_per_s == usual.dropouts_per_s);
        part("delay in samples", serde_json::to_value(delay_samples), *delay_samples == usual.delay_samples);
        words.join(", ")
    }

    /// Digest of the weights of a system; of those that repair what was lost, of both.
    fn model(&self, system: SystemId) -> String {
        let model = model_digest(system).to_string();
        match (system, self.correction) {
            (SystemId::SctModular | SystemId::SctIntegrated, Switch::On) => {
                format!("{model}+{}", model_digest_of(sct::weights::CORRECTION))
            }
            _ => model,
        }
    }

    /// By what a machine's task is judged and who does it, if it is measured.
    fn task(&self) -> Option<String> {
        task::classes_of(&self.class_names)?;
        let head = self.machine.as_deref().unwrap_or(sct::weights::MACHINE);
        Some(format!("{} by {}", self.class_names.join(", "), model_digest_of(head)))
    }

    /// The figures that are measured. What is for a machine is not looked at.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> {
        let (lpips, task) = (self.lpips_digest.is_some(), self.task().is_some());
        let machine = self.intent.purpose == Purpose::Machine;
        Metric::ALL.into_iter().filter(move |metric| match metric {
            Metric::TaskAccuracy => task,
            _ if machine => false,
            Metric::Lpips => lpips,
            _ => true,
        })
    }

    /// All trials: picture by picture, and of each rate those of one system together, as they share encodings.
    pub fn trials(&self) -> Vec<Trial> {
        let mut trials = Vec::new();
        for picture in &self.pictures.pictures {
            for cbr in &self.cbrs {
                for &system in &self.systems {
                    for channel in &self.channels {
                        for &snr_db in &self.snrs_db {
                            for seed in 1..=self.seeds {
                                trials.push(Trial {
                                    version: Trial::version(),
                                    system,
                                    model: self.model(system),
                                    picture: picture.name.clone(),
                                    picture_digest: picture.digest.clone(),
                                    cbr: cbr.value(),
                                    snr_db,
                                    told_snr_db: self.told_snr_db,
                                    channel: channel.to_string(),
                                    doppler_hz: self.channel.doppler_hz,
                                    cfo_hz: self.channel.cfo_hz,
                                    clock_offset_ppm: self.channel.sampling_offset_ppm,
                                    seed,
                                    ideal: self.ideal,
                                    feedback: self.feedback,
                                    max_resends: self.max_resends,
                                    budget_ms: self.budget_ms,
                                    radio: self.radio_in_words(),
                                    allocation: self.allocation,
                                    intent: self.intent_in_words(),
                                    lpips_weights: self.lpips_digest.clone(),
                                    code: self.code,
                                    labels_digest: picture.labels_digest.clone(),
                                    task: self.task(),
                                });
                            }
                        }
                    }
                }
            }
        }
        trials
    }
}

/// The lines of a file.
fn names(path: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Content(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

/// What is to be kept of a picture: what is not as usual, maps by their digest.
fn in_words(intent: &Intent) -> String {
    let digest = |raster: &Raster| {
        let bytes = [&raster.width.to_le_bytes()[..], &raster.height.to_le_bytes(), &raster.values].concat();
        model_digest_of(&bytes).to_string()
    };
    let usual = Intent::default();
    let mut words = Vec::new();
    if intent.preserve != usual.preserve {
        words.push(format!("mode {}", intent.preserve.name()));
    }
    if intent.purpose != usual.purpose {
        words.push(format!("for {}", intent.purpose.name()));
    }
    match &intent.importance {
        Importance::Mix => {}
        Importance::Entropy => words.push("importance entropy".into()),
        Importance::Saliency => words.push("importance saliency".into()),
        Importance::Gradcam => words.push("importance gradcam".into()),
        Importance::Map(map) => words.push(format!("importance {}", digest(map))),
        Importance::Parts(_) => words.push(format!("importance {}", intent.importance.describe())),
    }
    match &intent.keep {
        None => {}
        Some(Keep::Classes(names)) => words.push(format!("keep {}", names.join("+"))),
        Some(Keep::Mask(mask)) => words.push(format!("keep {}", digest(mask))),
    }
    words.join(", ")
}

/// Without what is there twice.
fn distinct<T: Clone + PartialEq>(list: &[T]) -> Vec<T> {
    let mut distinct: Vec<T> = Vec::new();
    for item in list {
        if !distinct.contains(item) {
            distinct.push(item.clone());
        }
    }
    distinct
}

/// Channels by name. Taps have commas themselves; what begins with a digit is one more of them.
fn profiles(list: &str) -> anyhow::Result<Vec<Profile>> {
    let mut names: Vec<String> = Vec::new();
    for part in list.split(',').map(str::trim) {
        match names.last_mut() {
            Some(name)
                if name.starts_with("taps:") && part.starts_with(|first: char| first.is_ascii_digit()) =>
            {
                *name = format!("{name},{part}");
            }
            _ => names.push(part.into()),
        }
    }
    let profiles = names
        .iter()
        .map(|name| name.parse::<Profile>().map_err(|error| Failure::Usage(format!("--channel: {error}"))));
    Ok(distinct(&profiles.collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_told_by_what_is_unusual() {
        assert_eq!(in_words(&Intent::default()), "");
        let intent = Intent {
            preserve: semcast_common::intent::Preserve::Selective,
            keep: Some(Keep::Classes(vec!["person".into(), "car".into()])),
            ..Intent::default()
        };
        assert_eq!(in_words(&intent), "mode selective, keep person+car");
        let map = |value| Importance::Map(Raster { width: 1, height: 1, values: vec![value] });
        let words = |value| in_words(&Intent { importance: map(value), ..Intent::default() });
        assert_ne!(words(1), words(2));
    }

    #[test]
    fn taps_keep_their_commas() {
        let channels = profiles("awgn, taps:0/0,500/-3,1200/-9/rayleigh,tdl-a:100,awgn").expect("channels");
        let names: Vec<_> = channels.iter().map(Profile::to_string).collect();
        assert_eq!(names, ["awgn", "taps:0/0,500/-3,1200/-9/rayleigh", "tdl-a:100"]);
        for text in ["", "awgn,", "fog", "12"] {
            let error = profiles(text).expect_err(text).to_string();
            assert!(error.contains("tdl-a"), "{error}");
        }
    }

    #[test]
    fn an_snr_outside_of_its_range_is_refused() {
        assert_eq!(snr_db("-30"), Ok(-30.0));
        for text in ["-31", "61", "NaN", "ten"] {
            assert!(snr_db(text).expect_err(text).contains("-30 to 60"));
        }
    }
}
