//! The race: trials on threads, with results that depend neither on how many nor on the order.
//!
//! What a thread takes is a heat: one picture by one system at one rate, over all channels, SNRs and seeds. Within it a
//! picture is encoded once for each budget, and bytes that arrived whole are decoded and compared once.

use std::{
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::Instant,
};

use semcast_common::{
    content::{Content, Picture},
    intent::Intent,
    message::{Payload, ReceivedMessage, SemanticMessage},
};
use semcast_models::metrics::{ClassQuality, PictureMetrics};
use semcast_models::{Budget, ModelError, OpenDevice, System, SystemOptions};
use semcast_phy::{channel::ChannelConfig, modulation::mcs::Mcs};
use semcast_transmitter::cost::budget;

use super::{
    chain::{Chain, Delivery},
    ideal::{Ideal, Rate},
    pictures::{Entry, Loaded},
    progress::Progress,
    settings::Settings,
    store::Store,
    task::Task,
    trial::{MOST_DB, Metrics, Outcome, Record, Trial},
};

/// The grey of what is compared where no picture arrived.
const GREY: u8 = 128;

/// Runs the trials that the store does not have, and adds them to it.
pub fn run(settings: &Settings, trials: &[Trial], store: &mut Store) -> anyhow::Result<()> {
    let heats = heats(settings, trials, store);
    let left: usize = heats.iter().map(|heat| heat.trials.len()).sum();
    let mut progress = Progress::new(trials.len() - left, trials.len());
    if left == 0 {
        return Ok(());
    }
    let device = semcast_models::open_device(settings.device)?;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (results, done) = mpsc::channel::<anyhow::Result<Record>>();
    std::thread::scope(|scope| {
        for _ in 0..settings.threads.min(heats.len()) {
            let results = results.clone();
            let (heats, device, next, stop) = (&heats, &device, &next, &stop);
            scope.spawn(move || {
                let mut runner = match Runner::new(settings, device) {
                    Ok(runner) => runner,
                    Err(error) => {
                        let _ = results.send(Err(error));
                        return;
                    }
                };
                while let Some(heat) = heats.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = runner.heat(heat, stop, &results) {
                        // Whoever waits has gone only after an error of its own.
                        let _ = results.send(Err(error));
                        return;
                    }
                }
            });
        }
        drop(results);
        for record in done {
            let added = record.and_then(|record| store.add(&record));
            if let Err(error) = added {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
            progress.step();
        }
        progress.finish();
        Ok(())
    })
}

/// Trials that share a picture, a system and a rate.
struct Heat<'a> {
    picture: &'a Entry,
    trials: Vec<&'a Trial>,
}

fn heats<'a>(settings: &'a Settings, trials: &'a [Trial], store: &Store) -> Vec<Heat<'a>> {
    let same = |a: &Trial, b: &Trial| {
        (&a.picture_digest, &a.picture, a.system, a.cbr) == (&b.picture_digest, &b.picture, b.system, b.cbr)
    };
    let mut heats: Vec<Heat> = Vec::new();
    for trial in trials.iter().filter(|trial| !store.has(trial)) {
        match heats.last_mut() {
            Some(heat) if same(heat.trials[0], trial) => heat.trials.push(trial),
            _ => {
                let wanted =
                    |entry: &&Entry| entry.digest == trial.picture_digest && entry.name == trial.picture;
                let Some(picture) = settings.pictures.pictures.iter().find(wanted) else { continue };
                heats.push(Heat { picture, trials: vec![trial] });
            }
        }
    }
    heats
}

/// One thread's share of everything.
struct Runner<'a> {
    settings: &'a Settings,
    device: &'a OpenDevice,
    systems: Vec<Box<dyn System>>,
    chain: Chain,
    ideal: Ideal,
    metrics: PictureMetrics,
    task: Option<Task>,
}

/// What a heat has encoded, and what came of it where it arrived whole.
struct Encoded {
    budget: Budget,
    message: Result<SemanticMessage, String>,
    encode_ms: f64,
    whole: Option<(Quality, f64)>,
}

/// How near a received picture is, as a whole and by class.
#[derive(Clone)]
struct Quality {
    metrics: Metrics,
    classes: Vec<ClassQuality>,
}

impl<'a> Runner<'a> {
    fn new(settings: &'a Settings, device: &'a OpenDevice) -> anyhow::Result<Self> {
        let backbone = settings.lpips.backbone(device)?;
        Ok(Self {
            settings,
            device,
            systems: Vec::new(),
            chain: Chain::new(settings),
            ideal: Ideal::new(settings.numerology),
            metrics: PictureMetrics::new(settings.lpips.on(backbone.as_ref())?),
            task: Task::new(settings, device)?,
        })
    }

    fn heat(
        &mut self,
        heat: &Heat,
        stop: &AtomicBool,
        results: &mpsc::Sender<anyhow::Result<Record>>,
    ) -> anyhow::Result<()> {
        let loaded = heat.picture.load()?;
        let truth = self.task.as_ref().zip(loaded.labels.as_ref()).map(|(task, labels)| task.truth(labels));
        let mut encodings = Vec::new();
        for &trial in &heat.trials {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let outcome = self.trial(trial, &loaded, truth.as_deref(), &mut encodings)?;
            let record = Record { id: trial.id(), trial: trial.clone(), outcome };
            if results.send(Ok(record)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn trial(
        &mut self,
        trial: &Trial,
        loaded: &Loaded,
        truth: Option<&[u8]>,
        encodings: &mut Vec<Encoded>,
    ) -> anyhow::Result<Outcome> {
        let Self { settings, device, systems, chain, ideal, metrics: measures, task } = self;
        let judge = Judge { measures, loaded, task: task.as_ref().zip(truth) };
        let original = loaded.picture()?;
        let system = system(trial, systems, settings, device)?;
        let channel = ChannelConfig {
            profile: trial.channel.parse()?,
            snr_db: Some(trial.snr_db),
            seed: trial.channel_seed(),
            ..settings.channel.clone()
        };
        let mut used = 0;
        let adapts = system.adapts_to_channel();
        let mut encode = |rate: Rate, expected_db: Option<f32>| {
            // Those who must know the channel know it by the step; equal budgets share one encoding.
            let expected_db = expected_db.filter(|_| !adapts);
            let budget = match rate {
                Rate::Step(mcs) => budget(trial.cbr, &loaded.content, mcs, expected_db),
                Rate::Bits(bits) => {
                    let symbols = (trial.cbr * original.values() as f64) as usize;
                    let bytes = (symbols as f64 * bits / 8.0) as usize;
                    Budget { snr_db: expected_db, ..Budget::new(symbols, bytes) }
                }
            };
            used = match encodings.iter().position(|encoded| encoded.budget == budget) {
                Some(known) => known,
                None => {
                    encodings.push(encode(system.as_mut(), &loaded.content, budget, &settings.intent)?);
                    encodings.len() - 1
                }
            };
            Ok(encodings[used].message.clone())
        };
        let Delivery { received, cost } = if trial.ideal {
            ideal.send(trial, channel, |rate, expected_db| encode(rate, Some(expected_db)))?
        } else {
            let encode = |mcs: Mcs, expected_db| encode(Rate::Step(mcs), expected_db);
            chain.send(settings, trial, channel, loaded.file_bytes, adapts, encode)?
        };
        let encoded = &mut encodings[used];
        let (quality, decode_ms, lost) = match received {
            Err(reason) => (judge.nothing()?, None, Some(reason)),
            Ok(message) => match (encoded.whole.clone(), encoded.arrived_whole(&message)) {
                (Some((quality, decode_ms)), true) => (quality, Some(decode_ms), None),
                (_, whole) => {
                    let started = Instant::now();
                    match system.decode(&message) {
                        Err(error) => (judge.nothing()?, None, Some(error.to_string())),
                        Ok(decoded) => {
                            let decode_ms = 1e3 * started.elapsed().as_secs_f64();
                            let quality = judge.measure(&decoded.content)?;
                            if whole {
                                encoded.whole = Some((quality.clone(), decode_ms));
                            }
                            (quality, Some(decode_ms), None)
                        }
                    }
                }
            },
        };
        let values = original.values() as f64;
        Ok(Outcome {
            lost,
            metrics: quality.metrics,
            classes: quality.classes,
            cbr_net: cost.payload_symbols as f64 / values,
            cbr_gross: cost.total_symbols.map(|symbols| symbols as f64 / values),
            cost,
            encode_ms: encoded.encode_ms,
            decode_ms,
        })
    }
}

impl Encoded {
    /// Whether what arrived is bytes alone, and all of them: then nothing of the channel is left in it.
    fn arrived_whole(&self, received: &ReceivedMessage) -> bool {
        use semcast_common::message::ReceivedFeature::Digital;
        self.message.as_ref().is_ok_and(|sent| {
            sent.features.len() == received.features.len()
                && sent.features.iter().zip(&received.features).all(|(sent, received)| {
                    match (&sent.payload, received) {
                        (Payload::Digital(sent), Digital { bytes, missing }) => {
                            missing.is_empty() && sent == bytes
                        }
                        _ => false,
                    }
                })
        })
    }
}

/// The trial's system, made and warmed up when it is first wanted.
fn system<'a>(
    trial: &Trial,
    systems: &'a mut Vec<Box<dyn System>>,
    settings: &Settings,
    device: &OpenDevice,
) -> anyhow::Result<&'a mut Box<dyn System>> {
    let index = match systems.iter().position(|system| system.id() == trial.system) {
        Some(index) => index,
        None => {
            let options = SystemOptions {
                segmentation: settings.segmentation.clone(),
                correction: settings.correction,
                machine: settings.machine.clone(),
                ..SystemOptions::default()
            };
            let mut system = semcast_models::system(trial.system, device, &options)?;
            system.warm_up()?;
            systems.push(system);
            systems.len() - 1
        }
    };
    Ok(&mut systems[index])
}

/// A budget that is too small for anything means that nothing is sent; any other failure ends the run.
fn encode(
    system: &mut dyn System,
    content: &Content,
    budget: Budget,
    intent: &Intent,
) -> anyhow::Result<Encoded> {
    let started = Instant::now();
    let message = match system.encode(content, budget, intent) {
        Ok(message) => Ok(message),
        Err(error @ ModelError::Budget { .. }) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    Ok(Encoded { budget, message, encode_ms: 1e3 * started.elapsed().as_secs_f64(), whole: None })
}

/// Compares what arrived with what was sent.
struct Judge<'a> {
    measures: &'a PictureMetrics,
    loaded: &'a Loaded,
    /// And the class of each block, if there are labels.
    task: Option<(&'a Task, &'a [u8])>,
}

impl Judge<'_> {
    /// How near a received picture is, or what was told of it.
    fn measure(&self, received: &Content) -> anyhow::Result<Quality> {
        let task_accuracy = match self.task {
            Some((task, truth)) => task.accuracy(truth, received)?,
            None => None,
        };
        let quality = match received {
            Content::Picture(picture) => self.compare(picture)?,
            // There is no picture to look at.
            Content::Labels(_) => {
                Quality { classes: Vec::new(), ..self.compare(&grey(self.loaded.picture()?)?)? }
            }
            Content::Text(_) => anyhow::bail!("a picture was sent and a text arrived"),
        };
        Ok(Quality { metrics: Metrics { task_accuracy, ..quality.metrics }, ..quality })
    }

    /// Where nothing arrived, grey is compared, and no block is right.
    fn nothing(&self) -> anyhow::Result<Quality> {
        let quality = self.compare(&grey(self.loaded.picture()?)?)?;
        let task_accuracy = self.task.map(|_| 0.0);
        Ok(Quality { metrics: Metrics { task_accuracy, ..quality.metrics }, ..quality })
    }

    fn compare(&self, received: &Picture) -> anyhow::Result<Quality> {
        let original = self.loaded.picture()?;
        let metrics = Metrics::from(&self.measures.measure(original, received)?);
        let mut classes = match &self.loaded.labels {
            Some(labels) => self.measures.by_class(original, received, labels)?,
            None => Vec::new(),
        };
        // As of whole pictures: no infinity in a mean.
        classes.iter_mut().for_each(|class| class.psnr_db = class.psnr_db.min(MOST_DB));
        Ok(Quality { metrics, classes })
    }
}

/// What is compared where no picture arrived.
fn grey(original: &Picture) -> anyhow::Result<Picture> {
    Ok(Picture::new(original.width(), original.height(), vec![GREY; original.rgb().len()])?)
}
