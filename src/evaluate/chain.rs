//! The real chain in one process: what the transmitter's worker plans, the modulator, the channel, the demodulator, and
//! what the receiver combines and puts together. Only sockets, clocks and threads are left out: the receiver
//! knows what came over the air and nothing else.

use std::time::{Duration, Instant};

use num_complex::Complex32;
use semcast_common::{
    message::{ReceivedMessage, SemanticMessage},
    wire::{ChannelState, MessageSent, ModeChoice},
};
use semcast_phy::{
    channel::{Channel, ChannelConfig},
    mode::{ControlRate, Mode},
    modulation::mcs::Mcs,
    receive::Demodulator,
    transmit::Modulator,
};
use semcast_receiver::{
    combining::Combiner,
    listener::HeardFrame,
    reception::{Action, Reception, ReceptionSummary},
};
use semcast_transmitter::{
    allocation::Allocator,
    cost::Elements,
    link_adaptation::{self, Link, LinkAdaptation, Report},
    planner::{FrameDraft, OutgoingMessage},
    refining::{LatencyBudget, MOST_ROUNDS},
    resending::Lack,
    rounds::Rounds,
    worker::GAP_SAMPLES,
};

use super::{
    Feedback,
    settings::Settings,
    trial::{Cost, Trial},
};

/// Silence before the first frame, in samples: at least so much, and less than twice that, by the seed.
const SILENCE_SAMPLES: u64 = 2000;
/// The one message of a trial, its transmitter, and the session of the receiver.
const MESSAGE: u16 = 1;
const TRANSMITTER: u16 = 1;
const RECEIVER: u64 = 1;
/// Longer than the receiver waits for frames of a round, and shorter than it keeps a message that nobody finishes.
const WAIT: Duration = Duration::from_secs(5);

/// What came of a message.
pub struct Delivery {
    /// What arrived, or why nothing did.
    pub received: Result<ReceivedMessage, String>,
    /// What it took.
    pub cost: Cost,
}

/// Both ends of the link, kept from trial to trial for their plans and buffers.
pub struct Chain {
    modulator: Modulator,
    demodulator: Demodulator,
    samples: Vec<Complex32>,
    heard: Vec<Complex32>,
    /// What the receiver must have behind a frame to be done with it: the search for a robust preamble takes more than
    /// the end of the frame does.
    tail_samples: usize,
}

/// A trial on the air.
struct OnAir<'a> {
    chain: &'a mut Chain,
    channel: Channel,
    combiner: Combiner,
    next_frame: u16,
    last_mode: Mode,
    elements: Elements,
    /// Samples of all frames.
    samples: u64,
    cost: Cost,
    /// What the receiver last said of the channel.
    reports: Vec<Report>,
}

/// How a message goes out.
struct Plan {
    rounds: Rounds,
    /// The step whose success the receipts of the first round tell of, if it was chosen by a report.
    learning: Option<Mcs>,
    /// Whether nothing is known of the channel: if nobody hears the first round, it is sounded.
    blind: bool,
    now: Instant,
}

impl Chain {
    /// Both ends with the settings of the radio.
    pub fn new(settings: &Settings) -> Self {
        let numerology = settings.numerology;
        Self {
            modulator: Modulator::new(numerology),
            demodulator: Demodulator::new(numerology),
            samples: Vec::new(),
            heard: Vec::new(),
            tail_samples: 16 * numerology.fft_size + 20_000,
        }
    }

    /// Sends a message over the trial's channel. `encode` makes it for a step of the ladder and the SNR to be expected; `file_bytes`: the length of
    /// what the user would have submitted; `adapts`: whether its system must know the channel first.
    pub fn send(
        &mut self,
        settings: &Settings,
        trial: &Trial,
        channel: ChannelConfig,
        file_bytes: usize,
        adapts: bool,
        encode: impl FnOnce(Mcs, Option<f32>) -> anyhow::Result<Result<SemanticMessage, String>>,
    ) -> anyhow::Result<Delivery> {
        let silence = SILENCE_SAMPLES + channel.seed % SILENCE_SAMPLES;
        let channel = Channel::new(channel, settings.numerology.sample_rate_hz)?;
        self.demodulator.restart(0);
        let mut air = OnAir {
            chain: self,
            channel,
            combiner: Combiner::default(),
            next_frame: 0,
            last_mode: Mode::Normal,
            elements: Elements::default(),
            samples: 0,
            cost: Cost::default(),
            reports: Vec::new(),
        };
        if trial.feedback == Feedback::Ideal {
            air.reports.push(Report { session: RECEIVER, snr_db_per_rb: None });
        }
        air.silence(silence as usize, &mut Vec::new());
        let margin_db = link_adaptation::margin_db(file_bytes);
        let mut adaptation = LinkAdaptation::default();
        // Time stands still, as it does between the bursts of a fast air.
        let now = Instant::now();
        let told = trial.feedback != Feedback::Ideal || trial.told_snr_db.is_some();
        let blind = !told && !adapts && trial.max_resends > 0;
        let adapted = !told && !blind;
        let (link, expected_db) = if adapted {
            air.sound(link_adaptation::sounding_modes(ModeChoice::Auto, air.last_mode))?;
            let expected_db = link_adaptation::expected_snr_db(&air.reports);
            (adaptation.choose(&air.reports, margin_db, now), expected_db)
        } else if blind {
            // It goes out as it would anyhow; its own frames bring the reports, or silence tells.
            (Link { mode: air.last_mode, ..adaptation.choose(&[], margin_db, now) }, None)
        } else {
            let planned_db = trial.planned_snr_db() as f32;
            (Link::for_snr(planned_db, margin_db), Some(planned_db))
        };
        let received = match encode(link.mcs, expected_db)? {
            Err(reason) => Err(reason),
            Ok(message) => {
                let outgoing = OutgoingMessage::new(MESSAGE, message)?;
                if outgoing.coded_bytes() > 0 {
                    air.cost.mcs = link.mcs.to_string();
                }
                let rounds = Rounds::new(outgoing, link, ModeChoice::Auto, margin_db);
                let learning = adapted.then_some(link.mcs);
                let plan = Plan { rounds, learning, blind, now };
                air.deliver(settings, trial, plan, &mut adaptation)?
            }
        };
        let mut cost = air.cost;
        let Elements { payload, overhead } = air.elements;
        cost.payload_symbols = payload;
        cost.total_symbols = Some(payload + overhead.total());
        cost.overhead = Some(overhead);
        Ok(Delivery { received, cost })
    }
}

impl OnAir<'_> {
    /// Asks for a report on the channel, as the worker does: with frames of these modes, until there is one.
    fn sound(&mut self, modes: &[Mode]) -> anyhow::Result<()> {
        for &mode in modes {
            if self.reports.iter().all(|report| report.snr_db_per_rb.is_some()) {
                break;
            }
            self.emit(&[FrameDraft::sounding(mode)])?;
        }
        Ok(())
    }

    /// Sends the message, again what is missing as far as there is feedback, and tells what the receiver hands to
    /// its decoder.
    fn deliver(
        &mut self,
        settings: &Settings,
        trial: &Trial,
        plan: Plan,
        adaptation: &mut LinkAdaptation,
    ) -> anyhow::Result<Result<ReceivedMessage, String>> {
        let Plan { mut rounds, learning, blind, now } = plan;
        let mut reception = Reception::default();
        let blocks = settings.numerology.resource_blocks;
        let sample_rate_hz = settings.numerology.sample_rate_hz;
        let budget = trial.budget_ms.map(|budget_ms| {
            reception.announced_refined(TRANSMITTER, MESSAGE);
            (LatencyBudget::new(Duration::from_millis(budget_ms.into()), now), self.samples)
        });
        let most = if budget.is_some() { MOST_ROUNDS } else { trial.max_resends };
        for round in 0..=most {
            let allocator = Allocator::new(trial.allocation, MESSAGE, &self.reports, blocks);
            let control = if round == 0 && learning.is_some() {
                adaptation.control_rate(rounds.mode(), &self.reports, now)
            } else {
                ControlRate::ROBUST
            };
            let drafts = rounds.frames(control, &self.chain.modulator, allocator.as_ref());
            if drafts.is_empty() {
                break;
            }
            if round > 0 {
                self.cost.resent += drafts.len() as u32;
            }
            let mut actions = Vec::new();
            for heard in self.emit(&drafts)? {
                // Nobody else is on the air: a frame that makes no sense is one that was heard wrong.
                match reception.frame(&heard, now) {
                    Ok(more) => actions.extend(more),
                    Err(error) => tracing::warn!(error, "a frame that nobody sent"),
                }
            }
            let sent = MessageSent {
                message_id: MESSAGE,
                session: u32::from(TRANSMITTER),
                last_frame: self.next_frame.wrapping_sub(1),
                frames: u32::from(self.next_frame),
                last: round == most,
            };
            if trial.feedback == Feedback::Ideal {
                actions.extend(reception.sent(sent, now));
            }
            let linked = trial.feedback == Feedback::Ideal;
            actions.extend(reception.tick(now + WAIT, now, linked));
            let mut lack = Lack::default();
            for action in actions {
                if let Action::Receipt(receipt) = action {
                    if let Some(mcs) = learning.filter(|_| round == 0) {
                        adaptation.learn(RECEIVER, mcs, rounds.message().tally(&receipt), now);
                    }
                    lack.add(receipt);
                } else if let Some(ended) = self.ended(action) {
                    return Ok(ended);
                }
            }
            if lack.missing.is_empty() && budget.is_none() {
                break;
            }
            if blind && lack.unheard && rounds.mode() == Mode::Normal {
                self.sound(&[Mode::Robust])?;
            }
            rounds.lacking(&lack, adaptation, &self.reports, now);
            if let Some((budget, samples_before)) = &budget {
                // Time is what the air takes; answers come at once.
                let airtime = (self.samples - samples_before) as f64 / sample_rate_hz;
                let per_second = self.elements.payload as f64 / airtime.max(1e-9);
                let airtime = Duration::from_secs_f64(airtime);
                let left = budget.elements_left(now, airtime, Duration::ZERO, per_second);
                if !rounds.refine(&lack, left) {
                    let actions = reception.sent(MessageSent { last: true, ..sent }, now);
                    if let Some(ended) = actions.into_iter().find_map(|action| self.ended(action)) {
                        return Ok(ended);
                    }
                    break;
                }
            }
        }
        self.cost.missing = 1.0;
        Ok(Err("no frame of it was heard".into()))
    }

    /// What became of the message, if this ends it: what there is to decode, or why there is nothing.
    fn ended(&mut self, action: Action) -> Option<Result<ReceivedMessage, String>> {
        match action {
            Action::Decode(work) if !work.0.intermediate => {
                let (summary, message) = *work;
                self.note(&summary);
                Some(Ok(message))
            }
            Action::Lost(lost) => Some(Err(lost.reason)),
            _ => None,
        }
    }

    fn note(&mut self, summary: &ReceptionSummary) {
        self.cost.snr_db_estimated = Some(f64::from(summary.snr_db));
        self.cost.missing = summary.missing as f64 / (summary.arrived + summary.missing).max(1) as f64;
    }

    /// Frames → what the receiver hears.
    fn emit(&mut self, drafts: &[FrameDraft]) -> anyhow::Result<Vec<HeardFrame>> {
        let mut heard = Vec::new();
        for draft in drafts {
            let frame = draft.frame(self.next_frame, TRANSMITTER);
            self.next_frame = self.next_frame.wrapping_add(1);
            self.last_mode = draft.protection.mode;
            let mut samples = std::mem::take(&mut self.chain.samples);
            samples.clear();
            let cost = self.chain.modulator.modulate(&frame, &mut samples)?;
            samples.resize(samples.len() + GAP_SAMPLES, Complex32::default());
            self.cost.frames += 1;
            self.elements.add(&cost, draft.segments.is_empty());
            self.samples += cost.samples as u64;
            self.chain.heard.clear();
            self.channel.process(&samples, &mut self.chain.heard);
            self.chain.samples = samples;
            self.demodulate(&mut heard);
        }
        self.silence(self.chain.tail_samples, &mut heard);
        Ok(heard)
    }

    fn silence(&mut self, samples: usize, heard: &mut Vec<HeardFrame>) {
        self.chain.heard.clear();
        self.channel.flush(samples, &mut self.chain.heard);
        self.demodulate(heard);
    }

    /// What has come out of the channel → frames, as the receiver's listener makes them.
    fn demodulate(&mut self, heard: &mut Vec<HeardFrame>) {
        let first = heard.len();
        self.chain.demodulator.push(&self.chain.heard, &mut |frame| {
            heard.push(HeardFrame {
                frame,
                segments_combined: 0,
                first_sample_unix_us: 0,
                last_sample_unix_us: 0,
                done_unix_us: 0,
                demodulate: Duration::ZERO,
            });
        });
        for heard in &mut heard[first..] {
            heard.segments_combined = self.combiner.combine(&mut heard.frame);
            let channel = &heard.frame.channel;
            // As it would cross the control link.
            let state = ChannelState::new(0, &channel.snr_db_per_rb, channel.snr_db, channel.cfo_hz as f32);
            for report in &mut self.reports {
                report.snr_db_per_rb = Some(state.snr_db_per_rb().collect());
            }
        }
    }
}
