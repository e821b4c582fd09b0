//! The worker: one thread that takes jobs and does all the work between content and radio.
//!
//! sound → encode → plan → modulate → radio → wait for receipts → send again what was lost, a few times at most.
//! It blocks on the radio and on the models, so it is a thread and no task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use num_complex::Complex32;
use semcast_common::{
    clock::unix_us,
    config::Allocation,
    content::Content,
    message::SystemId,
    wire::{
        ContentKind, ControlMessage, Failed, FailureCode, MessageAnnounced, MessageSent, ModeChoice,
        ReceiverPart, SendOptions, SendReport, SendStage, TransmitterPart, TransmitterTimings,
    },
};
use semcast_models::{OpenDevice, System};
use semcast_phy::{
    mode::{ControlRate, Mode},
    modulation::mcs::Mcs,
    radio::{RadioError, RadioSink},
    transmit::Modulator,
};
use tokio::sync::mpsc;

use crate::{
    allocation::Allocator,
    cost::{Elements, budget},
    jobs::Job,
    link_adaptation::{self, Link, LinkAdaptation, Report},
    metrics::Metrics,
    planner::{FrameDraft, OutgoingMessage},
    receipts::{Feedback, Verdicts, Waiting},
    receivers::Receivers,
    refining::{LatencyBudget, MOST_ROUNDS},
    rounds::Rounds,
};

/// Silence between the frames of a message, in samples.
pub const GAP_SAMPLES: usize = 64;
/// How long a sounding frame may take to bring a report.
const SOUNDING_TIMEOUT: Duration = Duration::from_millis(1500);

/// What the worker needs to know.
pub struct WorkerSettings {
    /// System for jobs that name none.
    pub system: SystemId,
    /// Net channel bandwidth ratio for jobs that name none.
    pub cbr: f64,
    /// SNR to prepare messages for, in dB, instead of what receivers report.
    pub design_snr_db: Option<f64>,
    /// How robust frames are, for jobs that do not say.
    pub frames: ModeChoice,
    /// Rounds of resending for jobs that name none.
    pub max_resends: u8,
    /// How resource blocks are given to the features of a message.
    pub allocation: Allocation,
    /// Resource blocks of the grid.
    pub resource_blocks: usize,
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// Which transmitter process this is.
    pub transmitter: u16,
    /// What is counted.
    pub metrics: Metrics,
}

/// The worker's state.
pub struct Worker<Radio> {
    settings: WorkerSettings,
    systems: Vec<Box<dyn System>>,
    device: OpenDevice,
    modulator: Modulator,
    radio: Radio,
    receivers: Arc<Receivers>,
    feedback: Receiver<(u64, Feedback)>,
    adaptation: LinkAdaptation,
    /// Mode of the last frame: the channel is likely to be as it was.
    last_mode: Mode,
    next_message: u16,
    next_frame: u16,
    samples: Vec<Complex32>,
}

/// What has gone out for a job so far.
#[derive(Default)]
struct Spent {
    elements: Elements,
    samples: u64,
    frames: u32,
    resent: u32,
    /// Modes of the message's frames, as they changed.
    modes: Vec<Mode>,
    modulate: Duration,
    first_sample_unix_us: u64,
    last_sample_unix_us: u64,
}

/// How a message goes out.
struct Plan {
    /// Its first round.
    link: Link,
    /// SNR that its symbols are expected to meet, dB, as far as it is known.
    expected_db: Option<f32>,
    /// Who chooses the mode.
    mode: ModeChoice,
    /// Distance from thresholds, in dB.
    margin_db: f32,
    /// Whether the link was chosen by what receivers report, so that delivery tells how good the choice was.
    adapted: bool,
    /// Whether nothing is known of the channel: if nobody hears the first round, it is sounded.
    blind: bool,
    /// Rounds of resending.
    rounds: u8,
    /// Time for all rounds: while it lasts they go on, and what arrived badly is sent again.
    budget: Option<Duration>,
}

type Outcome<T> = Result<T, Failed>;

impl<Radio: RadioSink> Worker<Radio> {
    /// A worker that has not begun.
    pub fn new(
        settings: WorkerSettings,
        systems: Vec<Box<dyn System>>,
        device: OpenDevice,
        modulator: Modulator,
        radio: Radio,
        receivers: Arc<Receivers>,
        feedback: Receiver<(u64, Feedback)>,
    ) -> Self {
        Self {
            settings,
            systems,
            device,
            modulator,
            radio,
            receivers,
            feedback,
            adaptation: LinkAdaptation::default(),
            last_mode: Mode::default(),
            next_message: 0,
            next_frame: 0,
            samples: Vec::new(),
        }
    }

    /// Does jobs until the queue is closed or `stop` is raised.
    pub fn run(mut self, mut jobs: mpsc::Receiver<Job>, stop: &AtomicBool) {
        for system in &mut self.systems {
            if let Err(error) = system.warm_up() {
                tracing::warn!(system = %system.id(), %error, "warming up failed");
            }
        }
        while let Some(job) = jobs.blocking_recv() {
            for _ in 0..job.submit.options.repeat {
                if stop.load(Ordering::Relaxed) {
                    let failed = Failed::new(FailureCode::Unavailable, "the transmitter stops");
                    job.answer(ControlMessage::Failed(failed));
                    return;
                }
                match self.send(&job) {
                    Ok(report) => {
                        self.settings.metrics.sent(&report);
                        job.answer(ControlMessage::SendReport(Box::new(report)));
                    }
                    Err(failed) => {
                        self.settings.metrics.failed(&failed);
                        tracing::warn!(reason = %failed, "a submission failed");
                        job.answer(ControlMessage::Failed(failed));
                        break;
                    }
                }
                if job.answers.is_closed() {
                    break;
                }
            }
        }
    }

    fn send(&mut self, job: &Job) -> Outcome<SendReport> {
        let (started, started_unix_us) = (Instant::now(), unix_us());
        let options = &job.submit.options;
        let content = job.content().map_err(|error| Failed::new(FailureCode::Content, error.to_string()))?;
        let mut notes = Vec::new();
        let index = self.choose_system(options, &content, &mut notes)?;
        let mut spent = Spent::default();
        let margin_db = link_adaptation::margin_db(job.body.len());
        let plan = self.plan(options, margin_db, index, &mut spent)?;
        let mcs = plan.link.mcs;

        job.progress(SendStage::Encode, 0.0);
        let (encoding, encode_started_unix_us) = (Instant::now(), unix_us());
        let budget = budget(options.cbr.unwrap_or(self.settings.cbr), &content, mcs, plan.expected_db);
        let message = self.systems[index]
            .encode(&content, budget, &options.intent)
            .map_err(|error| Failed::new(FailureCode::Options, error.to_string()))?;
        let encode = encoding.elapsed();
        job.progress(SendStage::Encode, 1.0);

        let number = self.next_message;
        self.next_message = number.wrapping_add(1);
        let (system, model) = (message.system, message.model);
        let outgoing = OutgoingMessage::new(number, message)
            .map_err(|error| Failed::new(FailureCode::Internal, error.to_string()))?;
        let coded_bytes = outgoing.coded_bytes();
        let rounds = Rounds::new(outgoing, plan.link, plan.mode, plan.margin_db);
        let session = u32::from(self.settings.transmitter);
        self.forget_feedback();
        self.receivers.broadcast(&ControlMessage::Announced(MessageAnnounced {
            message_id: number,
            session,
            system,
            refined: plan.budget.is_some(),
        }));
        let delivered = self.deliver(job, rounds, &plan, &mut spent);
        if delivered.is_err() {
            self.receivers.broadcast(&ControlMessage::Abandoned { message_id: number, session });
        }
        let (receiver, clock) = match delivered? {
            Some((session, part)) => {
                (Some(part), self.receivers.clock_offset(session, started, Instant::now()))
            }
            None => (None, None),
        };

        Ok(SendReport {
            transmitter: TransmitterPart {
                message_id: number,
                session,
                system,
                model,
                content: ContentKind::of(&content),
                bytes_source: job.body.len() as u64,
                bytes_coded: coded_bytes as u64,
                symbols_payload: spent.elements.payload,
                overhead: spent.elements.overhead,
                airtime_ms: 1e3 * spent.samples as f64 / self.settings.sample_rate_hz,
                mcs: if coded_bytes == 0 { String::new() } else { mcs.to_string() },
                mode: in_words(&spent.modes),
                frames_sent: spent.frames,
                resends: spent.resent,
                device: self.device.description.clone(),
                timings: TransmitterTimings {
                    encode_ms: milliseconds(encode),
                    modulate_ms: milliseconds(spent.modulate),
                    started_unix_us,
                    encode_started_unix_us,
                    first_sample_unix_us: spent.first_sample_unix_us,
                    last_sample_unix_us: spent.last_sample_unix_us,
                },
            },
            receiver,
            clock,
            notes,
        })
    }

    /// The system of a job: the wanted one, or one that content and all receivers can do.
    fn choose_system(
        &self,
        options: &SendOptions,
        content: &Content,
        notes: &mut Vec<String>,
    ) -> Outcome<usize> {
        let wanted = options.system.unwrap_or(self.settings.system);
        let usable = |system: &dyn System| {
            system.accepts(content) && self.receivers.without(system.id(), system.model()).is_empty()
        };
        let Some(index) = self.systems.iter().position(|system| system.id() == wanted) else {
            let text = format!("this transmitter does not have the system {wanted}");
            return Err(Failed::new(FailureCode::Options, text));
        };
        if usable(self.systems[index].as_ref()) {
            return Ok(index);
        }
        let system = &self.systems[index];
        let reason = if system.accepts(content) {
            let lacking = self.receivers.without(wanted, system.model()).join(", ");
            format!("{wanted} with model {} is unknown to {lacking}", system.model())
        } else {
            format!("{wanted} cannot send this kind of content")
        };
        let Some(index) = self.systems.iter().position(|system| usable(system.as_ref())) else {
            let text = format!("{reason}, and no other system fits");
            return Err(Failed::new(FailureCode::Options, text));
        };
        let note = format!("{reason}: sent with {} instead", self.systems[index].id());
        tracing::info!("{note}");
        // Who names no system leaves the choice to the content.
        if options.system.is_some() || system.accepts(content) {
            notes.push(note);
        }
        Ok(index)
    }

    /// How the message of a job goes out, made by a system.
    fn plan(
        &mut self,
        options: &SendOptions,
        margin_db: f32,
        system: usize,
        spent: &mut Spent,
    ) -> Outcome<Plan> {
        let mode = options.frames.unwrap_or(self.settings.frames);
        let rounds = options.max_resends.unwrap_or(self.settings.max_resends);
        let plan = |link: Link, adapted, expected_db| Plan {
            link: link.with(mode),
            expected_db,
            mode,
            margin_db,
            adapted,
            blind: false,
            rounds,
            budget: options.budget_ms.map(|budget_ms| Duration::from_millis(budget_ms.into())),
        };
        if let Some(index) = options.mcs {
            let mcs = Mcs::from_index(index).ok_or_else(|| {
                let most = Mcs::COUNT - 1;
                Failed::new(FailureCode::Options, format!("there is no MCS {index}: 0 to {most}"))
            })?;
            return Ok(plan(Link::for_step(mcs), false, None));
        }
        if let Some(snr_db) = options.design_snr_db.or(self.settings.design_snr_db) {
            return Ok(plan(Link::for_snr(snr_db as f32, margin_db), false, Some(snr_db as f32)));
        }
        let adapts = self.systems[system].adapts_to_channel();
        if !adapts && rounds > 0 && !all_reported(&self.receivers.channel_reports()) {
            // It goes out as it would anyhow; its own frames bring the reports, or silence tells.
            let link =
                Link { mode: self.last_mode, ..self.adaptation.choose(&[], margin_db, Instant::now()) };
            return Ok(Plan { blind: true, ..plan(link, false, None) });
        }
        self.sound(link_adaptation::sounding_modes(mode, self.last_mode), spent)?;
        let reports = self.receivers.channel_reports();
        self.adaptation.retain(&reports);
        let link = self.adaptation.choose(&reports, margin_db, Instant::now());
        tracing::debug!(mode = in_words(&[link.mode]), mcs = %link.mcs, receivers = reports.len(), "link chosen");
        Ok(plan(link, true, link_adaptation::expected_snr_db(&reports)))
    }

    /// If a receiver has not reported on the channel of late: sends a frame without payload in each of these modes,
    /// one after the other, and waits until all have.
    fn sound(&mut self, modes: &[Mode], spent: &mut Spent) -> Outcome<()> {
        for &mode in modes {
            if all_reported(&self.receivers.channel_reports()) {
                return Ok(());
            }
            self.forget_feedback();
            self.emit(&FrameDraft::sounding(mode), spent)?;
            let deadline = Instant::now() + SOUNDING_TIMEOUT;
            while !all_reported(&self.receivers.channel_reports()) && Instant::now() < deadline {
                // Only the registry counts here.
                let _ = self.feedback.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }

    fn forget_feedback(&self) {
        while self.feedback.try_recv().is_ok() {}
    }

    /// Sends a message, again what is missing, and waits for a receiver to decode it.
    fn deliver(
        &mut self,
        job: &Job,
        mut rounds: Rounds,
        plan: &Plan,
        spent: &mut Spent,
    ) -> Outcome<Option<(u64, ReceiverPart)>> {
        let mut verdicts = Verdicts::of(self.receivers.sessions());
        let message_id = rounds.message().header().message;
        let session = u32::from(self.settings.transmitter);
        // Sounding frames may have gone out before the content was encoded.
        spent.first_sample_unix_us = 0;
        spent.modes.clear();
        let budget = plan.budget.map(|budget| (LatencyBudget::new(budget, Instant::now()), spent.samples));
        let most = if budget.is_some() { MOST_ROUNDS } else { plan.rounds };
        for round in 0..=most {
            let stage = if round == 0 { SendStage::Send } else { SendStage::Resend };
            // Reports may have come meanwhile.
            let reports = self.receivers.channel_reports();
            let blocks = self.settings.resource_blocks;
            let allocator = Allocator::new(self.settings.allocation, message_id, &reports, blocks);
            let control = if round == 0 && plan.adapted {
                self.adaptation.control_rate(rounds.mode(), &reports, Instant::now())
            } else {
                // Somebody else knows the channel, or what was known has proved wrong.
                ControlRate::ROBUST
            };
            let drafts = rounds.frames(control, &self.modulator, allocator.as_ref());
            if drafts.is_empty() && round > 0 {
                // Asked for is only what the message does not have.
                break;
            }
            if drafts.is_empty() {
                let text = "the radio grid has too few resource blocks for such frames: try --frames normal";
                return Err(Failed::new(FailureCode::Options, text));
            }
            for (index, draft) in drafts.iter().enumerate() {
                job.progress(stage, index as f32 / drafts.len() as f32);
                self.emit(draft, spent)?;
                spent.frames += 1;
            }
            spent.resent += if round == 0 { 0 } else { drafts.len() as u32 };
            job.progress(stage, 1.0);
            let last = round == most;
            let sent = MessageSent {
                message_id,
                session,
                last_frame: self.next_frame.wrapping_sub(1),
                frames: spent.frames,
                last,
            };
            self.receivers.broadcast(&ControlMessage::Sent(sent));
            if verdicts.waiting.is_empty() && verdicts.decoded.is_none() {
                return Ok(None);
            }
            job.progress(SendStage::Confirm, 0.0);
            // What became of a segment tells of the step only at its first transmission.
            let learning = (round == 0 && plan.adapted).then_some(plan.link.mcs);
            let asked = Instant::now();
            let waiting = Waiting { last, refined: budget.is_some(), learning };
            let lack = verdicts.wait(&self.feedback, &mut self.adaptation, rounds.message(), waiting);
            if lack.missing.is_empty() && (budget.is_none() || verdicts.waiting.is_empty()) {
                break;
            }
            if plan.blind && lack.unheard && rounds.mode() == Mode::Normal && plan.mode == ModeChoice::Auto {
                self.sound(&[Mode::Robust], spent)?;
            }
            let reports = self.receivers.channel_reports();
            rounds.lacking(&lack, &self.adaptation, &reports, Instant::now());
            if let Some((budget, samples_before)) = &budget {
                let seconds = |samples: u64| samples as f64 / self.settings.sample_rate_hz;
                let airtime = seconds(spent.samples - samples_before);
                let per_second = spent.elements.payload as f64 / airtime.max(1e-9);
                let airtime = Duration::from_secs_f64(airtime);
                let now = Instant::now();
                if !rounds.refine(&lack, budget.elements_left(now, airtime, asked.elapsed(), per_second)) {
                    self.receivers.broadcast(&ControlMessage::Sent(MessageSent { last: true, ..sent }));
                    let waiting = Waiting { last: true, refined: true, learning: None };
                    verdicts.wait(&self.feedback, &mut self.adaptation, rounds.message(), waiting);
                    break;
                }
            }
            let (ranges, unheard) = (lack.missing.len(), lack.unheard);
            tracing::info!(message_id, round, ranges, unheard, "sending again what is missing");
        }
        match verdicts {
            Verdicts { decoded: Some(decoded), .. } => Ok(Some(decoded)),
            Verdicts { undecodable: Some(undecodable), .. } => {
                let text = format!("the receiver cannot decode the message: {}", undecodable.reason);
                Err(Failed::new(FailureCode::Delivery, text))
            }
            _ => Err(Failed::new(FailureCode::Delivery, "no receiver confirmed the message in time")),
        }
    }

    /// Modulates a frame and hands it to the radio.
    fn emit(&mut self, draft: &FrameDraft, spent: &mut Spent) -> Outcome<()> {
        let frame = draft.frame(self.next_frame, self.settings.transmitter);
        self.next_frame = self.next_frame.wrapping_add(1);
        let modulating = Instant::now();
        self.samples.clear();
        let cost = self
            .modulator
            .modulate(&frame, &mut self.samples)
            .map_err(|error| Failed::new(FailureCode::Internal, error.to_string()))?;
        self.samples.resize(self.samples.len() + GAP_SAMPLES, Complex32::default());
        spent.modulate += modulating.elapsed();
        self.last_mode = frame.mode;
        if spent.modes.last() != Some(&frame.mode) {
            spent.modes.push(frame.mode);
        }
        if spent.first_sample_unix_us == 0 {
            spent.first_sample_unix_us = unix_us();
        }
        self.radio.send_burst(&self.samples).map_err(|error| match error {
            RadioError::Stopped => Failed::new(FailureCode::Unavailable, "the transmitter stops"),
            other => Failed::new(FailureCode::Radio, other.to_string()),
        })?;
        spent.last_sample_unix_us = unix_us();
        spent.samples += cost.samples as u64;
        spent.elements.add(&cost, frame.segments.is_empty());
        Ok(())
    }
}

fn all_reported(reports: &[Report]) -> bool {
    reports.iter().all(|report| report.snr_db_per_rb.is_some())
}

/// `normal`, `robust`, or `normal, then robust`.
fn in_words(modes: &[Mode]) -> String {
    let word = |mode: &Mode| match mode {
        Mode::Normal => "normal",
        Mode::Robust => "robust",
    };
    modes.iter().map(word).collect::<Vec<_>>().join(", then ")
}

fn milliseconds(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e3
}
