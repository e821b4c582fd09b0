//! Link adaptation: what receivers report of the channel, and what became of earlier segments → the mode of
//! frames and the step of the MCS ladder.
//!
//! Two loops, the worst receiver deciding in both:
//! 1. *Inner, from CSI.* A receiver's SNRs per resource block become one effective SNR for each modulation
//!    (that of a flat channel worth as much), and the fastest step whose threshold lies a margin below it is
//!    taken.
//! 2. *Outer, from delivery.* What a receiver reports may be wrong by a few dB (estimation, ageing,
//!    interference between pilots): an offset for each receiver corrects it, moved up a little by each coded
//!    segment that was delivered at the first try and down much more by each that could not be corrected. It
//!    stands still where Δup · (1 − p) = Δdown · p, so p is the segment error rate that it settles at
//!    (K. I. Pedersen et al., "Frequency domain scheduling for OFDMA with limited and noisy channel feedback",
//!    IEEE VTC 2007 Fall, §III; common practice in LTE and NR as OLLA).
//!
//! Segments in frames that were not heard at all tell nothing of the step. For those there is the mode: robust
//! frames are chosen where the SNR is near what normal ones need, and where a message is not heard twice.

use std::{collections::BTreeMap, time::Instant};

use semcast_common::{
    message::{BASE_LEVEL, PROTECTION_DB},
    wire::ModeChoice,
};
use semcast_phy::{
    mode::{ControlRate, Mode, Protection},
    modulation::mcs::Mcs,
};

/// Distance kept from a step's threshold (at which one block in a hundred fails): room for the channel
/// estimate's error and for blocks longer than those the thresholds were measured with.
const MARGIN_DB: f32 = 1.5;
/// Content of fewer bytes than this makes coded blocks that need up to 2 dB more than the thresholds tell,
/// and so few symbols that a robust step costs nothing.
const SHORT_BYTES: usize = 200;
const SHORT_MARGIN_DB: f32 = 2.0;
/// SNR that is assumed when nobody reports one: a robust step that a short-range link always has.
pub const DEFAULT_SNR_DB: f32 = 5.0;
/// With an effective SNR less [`MARGIN_DB`] below this, frames are robust: normal ones open at −3 dB.
const ROBUST_BELOW_DB: f32 = -3.0;
/// Distance kept between what receivers report and where a control block of some rate opens: a lost one takes the
/// whole frame with it, analog payloads that would have survived included, and reports may be seconds old.
const CONTROL_MARGIN_DB: f32 = 5.0;
/// How far below the SNR that they were made for symbols that are sent as they are should still make a picture.
const BASE_DB: f32 = 10.0;
/// Below this threshold, in dB, steps are so slow that protection costs more than it is worth.
const BASE_ENOUGH_DB: f32 = -2.9;
/// A lost segment is cut anew for a step this far down the ladder.
const STEPS_DOWN: u8 = 2;
/// What three transmissions of a segment, combined, are worth: 10·log10(3) = 4.8 dB of energy, less the margin
/// that the third would need by itself.
const COMBINING_GAIN_DB: f32 = 4.0;
/// Rounds in which a receiver heard no frame at all, after which frames are robust and steps the lowest.
const SILENT_ROUNDS: u8 = 2;

/// Segment error rate of first transmissions that the outer loop settles at. Below the 10 % that suits a link
/// which repeats within milliseconds: here a repetition costs a round over the control link.
pub const TARGET_ERROR_RATE: f32 = 0.05;
/// How far one segment that could not be corrected moves the offset down, in dB.
const DOWN_DB: f32 = 0.5;
/// How far one that was delivered moves it up.
const UP_DB: f32 = DOWN_DB * TARGET_ERROR_RATE / (1.0 - TARGET_ERROR_RATE);
/// A message counts as at most so many segments: they share a step and a channel, so more tell no more.
const MOST_WEIGHT: f32 = 4.0;
/// Bounds of the offset: below, more than any report is off by; above, little more than the margin.
const LEAST_OFFSET_DB: f32 = -6.0;
const MOST_OFFSET_DB: f32 = 2.0;
/// Without news the offset halves in this time: the link it was learnt on is no more.
const HALF_LIFE_S: f32 = 60.0;

/// How a round goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// How robust its frames are.
    pub mode: Mode,
    /// Step of its coded segments.
    pub mcs: Mcs,
}

impl Link {
    /// For an SNR that somebody knows or assumes.
    pub fn for_snr(snr_db: f32, margin_db: f32) -> Self {
        Self { mode: mode_for(snr_db), mcs: Mcs::select(snr_db, margin_db) }
    }

    /// For a step that somebody has chosen: frames are those of the lowest SNR that it is meant for.
    pub fn for_step(mcs: Mcs) -> Self {
        Self { mode: mode_for(mcs.threshold_db() + MARGIN_DB), mcs }
    }

    /// With the mode that the user has chosen, if any.
    pub fn with(self, choice: ModeChoice) -> Self {
        let mode = match choice {
            ModeChoice::Auto => self.mode,
            ModeChoice::Normal => Mode::Normal,
            ModeChoice::Robust => Mode::Robust,
        };
        Self { mode, ..self }
    }

    /// What the worse of two links needs.
    fn worse(self, other: Self) -> Self {
        let robust = self.mode == Mode::Robust || other.mode == Mode::Robust;
        Self { mode: if robust { Mode::Robust } else { Mode::Normal }, mcs: self.mcs.min(other.mcs) }
    }
}

/// What a receiver reports of the channel as one SNR, in dB.
fn effective_snr_db(report: &Report) -> Option<f32> {
    let snr_db = report.snr_db_per_rb.as_ref().filter(|snr_db| !snr_db.is_empty())?;
    Some(Mcs::LOWEST.effective_snr_db(snr_db))
}

/// What analog symbols are to expect, in dB: the SNR of the worst receiver, if all have reported one.
pub fn expected_snr_db(reports: &[Report]) -> Option<f32> {
    let snr_db: Option<Vec<f32>> = reports.iter().map(effective_snr_db).collect();
    snr_db?.into_iter().reduce(f32::min)
}

fn mode_for(snr_db: f32) -> Mode {
    if snr_db - MARGIN_DB < ROBUST_BELOW_DB { Mode::Robust } else { Mode::Normal }
}

/// SNR at which control blocks open: that of the QPSK step of the ladder with the same or the next higher code rate.
fn opens_db(protection: Protection) -> f32 {
    let rate = 1.0 / protection.control_expansion() as f64;
    Mcs::all().find(|mcs| mcs.code_rate() >= rate).map_or(f32::INFINITY, Mcs::threshold_db)
}

/// The margin for content of so many bytes, in dB.
pub fn margin_db(content_bytes: usize) -> f32 {
    if content_bytes < SHORT_BYTES { MARGIN_DB + SHORT_MARGIN_DB } else { MARGIN_DB }
}

/// The step of features on a level of protection, where `mcs` is the link's own: the fastest whose threshold lies as far below
/// that of the link's as [`PROTECTION_DB`] says. For what symbols that are sent as they are depend on, 10 dB below, or where that
/// is less than −2.9 dB, there or as far below as the most important feature otherwise.
pub fn protected(mcs: Mcs, level: usize) -> Mcs {
    if level == BASE_LEVEL {
        let threshold_db = (mcs.threshold_db() - BASE_DB).max(BASE_ENOUGH_DB);
        return Mcs::select(threshold_db.min(mcs.threshold_db() - PROTECTION_DB[0]), 0.0);
    }
    let margin_db = PROTECTION_DB.get(level).copied().unwrap_or(0.0);
    if margin_db > 0.0 { Mcs::select(mcs.threshold_db(), margin_db) } else { mcs }
}

/// The step for sending again what `mcs` lost.
pub fn more_robust(mcs: Mcs) -> Mcs {
    Mcs::from_index(mcs.index().saturating_sub(STEPS_DOWN)).unwrap_or(mcs)
}

/// The frames that ask receivers for a report, until all have: a normal one, then, as they may be too deep in the noise
/// for that, a robust one. Where the last frame was robust, only such.
pub fn sounding_modes(choice: ModeChoice, last: Mode) -> &'static [Mode] {
    match choice {
        ModeChoice::Normal => &[Mode::Normal],
        ModeChoice::Robust => &[Mode::Robust],
        ModeChoice::Auto if last == Mode::Robust => &[Mode::Robust],
        ModeChoice::Auto => &[Mode::Normal, Mode::Robust],
    }
}

/// A connected receiver, and the SNR per resource block that it reported, if that still counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its session on the control link.
    pub session: u64,
    /// In dB, lowest frequency first; `None` if it has not reported for a while.
    pub snr_db_per_rb: Option<Vec<f32>>,
}

/// What became of a message's coded segments at their first transmission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Delivered.
    pub delivered: u32,
    /// Heard, but beyond correction.
    pub failed: u32,
}

/// The offset of one receiver, see the module's description.
#[derive(Clone, Copy, Debug)]
struct OuterLoop {
    offset_db: f32,
    updated: Instant,
}

impl OuterLoop {
    fn offset_db(&self, now: Instant) -> f32 {
        let age_s = now.saturating_duration_since(self.updated).as_secs_f32();
        self.offset_db * (-age_s / HALF_LIFE_S).exp2()
    }

    fn learn(&mut self, tally: Tally, now: Instant) {
        let (delivered, failed) = (tally.delivered as f32, tally.failed as f32);
        let count = delivered + failed;
        if count == 0.0 {
            return;
        }
        let weight = count.min(MOST_WEIGHT) / count;
        let moved = weight * (UP_DB * delivered - DOWN_DB * failed);
        self.offset_db = (self.offset_db(now) + moved).clamp(LEAST_OFFSET_DB, MOST_OFFSET_DB);
        self.updated = now;
    }
}

/// What is known of all receivers' links beyond their reports.
#[derive(Default)]
pub struct LinkAdaptation {
    loops: BTreeMap<u64, OuterLoop>,
}

impl LinkAdaptation {
    /// The link for a message: the fastest that every receiver has.
    ///
    /// With no receiver at all it is the one for [`DEFAULT_SNR_DB`]. A receiver that is connected but silent
    /// (it did not even answer a robust sounding frame) gets that step in robust frames: what it hears of
    /// them, if anything, brings the report for the next round.
    pub fn choose(&self, reports: &[Report], margin_db: f32, now: Instant) -> Link {
        let default = Link::for_snr(DEFAULT_SNR_DB, margin_db);
        reports
            .iter()
            .map(|report| match &report.snr_db_per_rb {
                Some(snr_db) if !snr_db.is_empty() => {
                    let offset_db = self.offset_db(report.session, now);
                    Link {
                        mode: mode_for(Mcs::LOWEST.effective_snr_db(snr_db) + offset_db),
                        mcs: Mcs::select_for_blocks(snr_db, margin_db - offset_db),
                    }
                }
                _ => Link { mode: Mode::Robust, ..default },
            })
            .reduce(Link::worse)
            .unwrap_or(default)
    }

    /// How fast control blocks may go out in a mode: as robust as the mode unless all receivers have reported
    /// an SNR well above what a faster rate needs.
    pub fn control_rate(&self, mode: Mode, reports: &[Report], now: Instant) -> ControlRate {
        let snr_db = |report: &Report| {
            let reported_db = effective_snr_db(report)?;
            Some(reported_db + self.offset_db(report.session, now))
        };
        let worst_db = reports.iter().map(|report| snr_db(report).unwrap_or(f32::NEG_INFINITY));
        let Some(worst_db) = worst_db.reduce(f32::min) else { return ControlRate::ROBUST };
        ControlRate::all()
            .rev()
            .find(|&control| worst_db >= opens_db(Protection { mode, control }) + CONTROL_MARGIN_DB)
            .unwrap_or(ControlRate::ROBUST)
    }

    /// A receiver has told what became of a message whose step was chosen here.
    pub fn learn(&mut self, session: u64, mcs: Mcs, mut tally: Tally, now: Instant) {
        if usize::from(mcs.index()) + 1 == Mcs::COUNT {
            // There is no faster step: that all goes well says nothing of how far it would.
            tally.delivered = 0;
        }
        self.loops.entry(session).or_insert(OuterLoop { offset_db: 0.0, updated: now }).learn(tally, now);
    }

    /// Forgets all receivers but these.
    pub fn retain(&mut self, reports: &[Report]) {
        self.loops.retain(|session, _| reports.iter().any(|report| report.session == *session));
    }

    fn offset_db(&self, session: u64, now: Instant) -> f32 {
        self.loops.get(&session).map_or(0.0, |outer| outer.offset_db(now))
    }
}

/// What a round of resending may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resending {
    /// How robust its frames are.
    pub mode: Mode,
    /// Fastest step for what is cut anew.
    pub ceiling: Mcs,
    /// Fastest step of segments that combining can still save: those above are cut anew at once.
    pub combinable: Mcs,
}

/// One message's way down, round by round; never up again.
pub struct Descent {
    choice: ModeChoice,
    first: Mcs,
    mode: Mode,
    ceiling: Mcs,
    margin_db: f32,
    silent_rounds: u8,
}

impl Descent {
    /// A message whose first round goes out by `link`.
    pub fn new(choice: ModeChoice, link: Link, margin_db: f32) -> Self {
        Self { choice, first: link.mcs, mode: link.mode, ceiling: link.mcs, margin_db, silent_rounds: 0 }
    }

    /// After a round that was not enough. `unheard`: a receiver asks for everything, having heard no frame.
    pub fn next(
        &mut self,
        unheard: bool,
        adaptation: &LinkAdaptation,
        reports: &[Report],
        now: Instant,
    ) -> Resending {
        let fresh: Vec<Report> = reports.iter().filter(|r| r.snr_db_per_rb.is_some()).cloned().collect();
        let mut combinable = self.first;
        if !fresh.is_empty() {
            let current = adaptation.choose(&fresh, self.margin_db, now);
            let link = Link { mode: self.mode, mcs: self.ceiling }.worse(current).with(self.choice);
            (self.mode, self.ceiling) = (link.mode, link.mcs);
            combinable = combinable.min(adaptation.choose(&fresh, -COMBINING_GAIN_DB, now).mcs);
        }
        self.silent_rounds = if unheard { self.silent_rounds.saturating_add(1) } else { 0 };
        if self.silent_rounds >= SILENT_ROUNDS {
            let link = Link { mode: Mode::Robust, mcs: Mcs::LOWEST }.with(self.choice);
            (self.mode, self.ceiling, combinable) = (link.mode, link.mcs, Mcs::LOWEST);
        }
        Resending { mode: self.mode, ceiling: self.ceiling, combinable }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn report(session: u64, snr_db: f32) -> Report {
        Report { session, snr_db_per_rb: Some(vec![snr_db; 25]) }
    }

    fn choose(reports: &[Report], margin_db: f32) -> Link {
        LinkAdaptation::default().choose(reports, margin_db, Instant::now())
    }

    #[test]
    fn the_worst_receiver_decides() {
        let (good, bad) = ([report(1, 25.0)], [report(2, 5.0)]);
        let both = [good.clone(), bad.clone()].concat();
        assert_eq!(choose(&both, 1.5), choose(&bad, 1.5));
        assert!(choose(&good, 1.5).mcs > choose(&bad, 1.5).mcs);
        let deep = choose(&[report(1, 25.0), report(2, -10.0)], 1.5);
        assert_eq!((deep.mode, deep.mcs), (Mode::Robust, choose(&[report(2, -10.0)], 1.5).mcs));
    }

    #[test]
    fn protection_lowers_the_step_by_its_distance() {
        for mcs in Mcs::all() {
            let steps: Vec<Mcs> = (0..PROTECTION_DB.len()).map(|level| protected(mcs, level)).collect();
            assert!(steps.is_sorted() && steps.last() == Some(&mcs));
            for (step, distance_db) in steps.iter().zip(PROTECTION_DB) {
                let enough = step.threshold_db() <= mcs.threshold_db() - distance_db;
                assert!(enough || *step == Mcs::LOWEST, "{mcs}: {step}");
            }
        }
    }

    #[test]
    fn what_symbols_depend_on_survives_where_they_do() {
        for (link_db, survives_db) in [(10.5, 0.0), (20.5, 10.0), (1.5, -2.9), (-3.0, -6.0)] {
            let base = protected(Mcs::select(link_db, 0.25), BASE_LEVEL);
            assert!(base.threshold_db() <= survives_db, "{link_db} dB: {base}");
            assert!(base.threshold_db() > survives_db - 2.5, "{link_db} dB: {base}");
        }
    }

    #[test]
    fn without_receivers_the_link_is_a_normal_one_of_a_robust_step() {
        assert_eq!(choose(&[], 1.0), choose(&[report(1, DEFAULT_SNR_DB)], 1.0));
        assert_eq!(choose(&[], 1.0).mode, Mode::Normal);
    }

    #[test]
    fn a_receiver_that_is_silent_gets_robust_frames() {
        for snr_db_per_rb in [None, Some(Vec::new())] {
            let silent = Report { session: 1, snr_db_per_rb };
            let link = choose(&[silent, report(2, 20.0)], 1.0);
            assert_eq!(link, Link { mode: Mode::Robust, mcs: choose(&[], 1.0).mcs });
        }
    }

    #[test]
    fn control_blocks_are_fast_only_where_all_receivers_are_known_to_hear_them() {
        let (adaptation, now) = (LinkAdaptation::default(), Instant::now());
        let expansion = |mode, reports: &[Report]| {
            let control = adaptation.control_rate(mode, reports, now);
            Protection { mode, control }.control_expansion()
        };
        let silent = Report { session: 3, snr_db_per_rb: None };
        assert_eq!(expansion(Mode::Normal, &[]), 6);
        assert_eq!(expansion(Mode::Normal, &[report(1, 20.0), silent]), 6);
        assert_eq!(expansion(Mode::Normal, &[report(1, 20.0), report(2, 0.0)]), 6);
        assert_eq!(expansion(Mode::Normal, &[report(1, 20.0), report(2, 4.5)]), 3);
        assert_eq!(expansion(Mode::Normal, &[report(1, 20.0), report(2, 10.0)]), 2);
        assert_eq!(expansion(Mode::Robust, &[report(1, -10.0)]), 64);
        assert_eq!(expansion(Mode::Robust, &[report(1, -4.0)]), 32);
    }

    #[test]
    fn the_mode_is_robust_where_normal_frames_may_not_open() {
        for snr_db in [-13.0, -10.0, -5.0, -2.0] {
            assert_eq!(choose(&[report(1, snr_db)], 1.5).mode, Mode::Robust, "{snr_db} dB");
            assert_eq!(Link::for_snr(snr_db, 1.5).mode, Mode::Robust, "{snr_db} dB");
        }
        for snr_db in [-1.0, 0.0, 10.0] {
            assert_eq!(choose(&[report(1, snr_db)], 3.5).mode, Mode::Normal, "{snr_db} dB");
        }
        assert_eq!(Link::for_step(Mcs::LOWEST).mode, Mode::Robust);
        assert_eq!(Link::for_step(Mcs::select(5.0, 0.0)).mode, Mode::Normal);
        assert_eq!(Link::for_step(Mcs::LOWEST).with(ModeChoice::Normal).mode, Mode::Normal);
    }

    #[test]
    fn a_short_text_is_sent_more_robustly() {
        let reports = [report(1, 15.0)];
        assert!(choose(&reports, margin_db(15)).mcs < choose(&reports, margin_db(5000)).mcs);
    }

    #[test]
    fn the_step_for_resending_never_goes_up_the_ladder() {
        let mut mcs = choose(&[report(1, 30.0)], MARGIN_DB).mcs;
        for _ in 0..60 {
            let next = more_robust(mcs);
            assert!(next <= mcs);
            mcs = next;
        }
        assert_eq!(mcs, Mcs::LOWEST);
    }

    /// Segment errors as the thresholds describe them: 1 % there, and ten times as many for every 0.4 dB less.
    fn fails(true_snr_db: f32, mcs: Mcs, random: &mut StdRng) -> bool {
        let error_rate = 10f32.powf(-2.0 - (true_snr_db - mcs.threshold_db()) / 0.4);
        random.random::<f32>() < error_rate
    }

    /// Segment error rate over the last messages of many, at an SNR that is reported wrong by `error_db`.
    fn error_rate_after_learning(error_db: f32, segments: u32) -> f32 {
        let mut random = StdRng::seed_from_u64(7);
        let mut adaptation = LinkAdaptation::default();
        let now = Instant::now();
        let (mut sent, mut failed) = (0, 0);
        for message in 0..4000 {
            // The channel moves a little, as any does: a ladder of steps blurs into a slope.
            let true_snr_db = 12.0 + random.random_range(-1.0..1.0);
            let reports = [report(5, true_snr_db + error_db)];
            let mcs = adaptation.choose(&reports, MARGIN_DB, now).mcs;
            let lost = (0..segments).filter(|_| fails(true_snr_db, mcs, &mut random)).count() as u32;
            adaptation.learn(5, mcs, Tally { delivered: segments - lost, failed: lost }, now);
            if message >= 500 {
                sent += segments;
                failed += lost;
            }
        }
        failed as f32 / sent as f32
    }

    #[test]
    fn the_outer_loop_finds_the_target_error_rate_under_optimistic_reports() {
        for segments in [1, 3, 20] {
            let rate = error_rate_after_learning(3.0, segments);
            assert!(
                (0.6 * TARGET_ERROR_RATE..1.5 * TARGET_ERROR_RATE).contains(&rate),
                "{rate} with {segments} segments a message"
            );
        }
        assert!(error_rate_after_learning(-1.0, 3) < 1.5 * TARGET_ERROR_RATE);
    }

    #[test]
    fn the_offset_is_bounded_and_fades() {
        let mut adaptation = LinkAdaptation::default();
        let now = Instant::now();
        let mcs = Mcs::select(10.0, 0.0);
        for _ in 0..100 {
            adaptation.learn(1, mcs, Tally { delivered: 0, failed: 1000 }, now);
            adaptation.learn(2, mcs, Tally { delivered: u32::MAX, failed: 0 }, now);
            adaptation.learn(3, mcs, Tally::default(), now);
        }
        assert_eq!(adaptation.offset_db(1, now), LEAST_OFFSET_DB);
        assert_eq!(adaptation.offset_db(2, now), MOST_OFFSET_DB);
        assert_eq!(adaptation.offset_db(3, now), 0.0);
        let later = now + Duration::from_secs_f32(HALF_LIFE_S);
        assert!((adaptation.offset_db(1, later) - LEAST_OFFSET_DB / 2.0).abs() < 1e-3);
        adaptation.retain(&[report(2, 0.0)]);
        assert_eq!(adaptation.offset_db(1, now), 0.0);
    }

    #[test]
    fn what_goes_well_on_the_fastest_step_says_nothing() {
        let mut adaptation = LinkAdaptation::default();
        let fastest = Mcs::all().next_back().expect("a ladder");
        adaptation.learn(1, fastest, Tally { delivered: 10, failed: 0 }, Instant::now());
        assert_eq!(adaptation.offset_db(1, Instant::now()), 0.0);
    }

    #[test]
    fn a_message_that_is_not_heard_twice_falls_to_robust_frames_and_the_lowest_step() {
        let (adaptation, now) = (LinkAdaptation::default(), Instant::now());
        let link = Link::for_snr(12.0, MARGIN_DB);
        // What was reported before the link broke may still count.
        for reports in [vec![], vec![report(1, 12.0)]] {
            let mut descent = Descent::new(ModeChoice::Auto, link, MARGIN_DB);
            let once = descent.next(true, &adaptation, &reports, now);
            assert_eq!((once.mode, once.ceiling), (Mode::Normal, link.mcs));
            let twice = descent.next(true, &adaptation, &reports, now);
            let lowest = Resending { mode: Mode::Robust, ceiling: Mcs::LOWEST, combinable: Mcs::LOWEST };
            assert_eq!(twice, lowest);
            let heard = descent.next(false, &adaptation, &reports, now);
            assert_eq!((heard.mode, heard.ceiling), (Mode::Robust, Mcs::LOWEST), "never up again");
        }
        let mut forced = Descent::new(ModeChoice::Normal, link, MARGIN_DB);
        forced.next(true, &adaptation, &[], now);
        let twice = forced.next(true, &adaptation, &[], now);
        assert_eq!((twice.mode, twice.ceiling), (Mode::Normal, Mcs::LOWEST));
    }

    #[test]
    fn a_report_that_comes_with_the_first_round_brings_the_second_down() {
        let (adaptation, now) = (LinkAdaptation::default(), Instant::now());
        let mut descent = Descent::new(ModeChoice::Auto, Link::for_snr(12.0, MARGIN_DB), MARGIN_DB);
        let next = descent.next(false, &adaptation, &[report(1, -8.0)], now);
        assert_eq!(next.mode, Mode::Robust);
        assert_eq!(next.ceiling, Mcs::select_for_blocks(&[-8.0; 25], MARGIN_DB));
        assert_eq!(next.combinable, Mcs::select_for_blocks(&[-8.0; 25], -COMBINING_GAIN_DB));
        assert!(next.ceiling < next.combinable);
    }
}
