//! Rounds: one message on its way, and what goes out in each round.
//!
//! In: the message, the link that was chosen for it, and after each round what receivers lack. Out: the frames of the
//! next round. It knows neither clock nor radio: the worker sends what it is given here, and so does who
//! measures the chain in one process.

use std::time::Instant;

use semcast_common::wire::ModeChoice;
use semcast_phy::{
    mode::{ControlRate, Mode, Protection},
    transmit::Modulator,
};

use crate::{
    allocation::Allocator,
    link_adaptation::{Descent, Link, LinkAdaptation, Report},
    planner::{FrameDraft, OutgoingMessage},
    resending::{Lack, Piece},
};

/// A message between its first frame and its last.
pub struct Rounds {
    message: OutgoingMessage,
    choice: ModeChoice,
    descent: Descent,
    mode: Mode,
    pieces: Vec<Piece>,
}

impl Rounds {
    /// A message of which all is to go out by `link`; `margin_db`: the distance from thresholds that the link was
    /// chosen with, `choice`: who chooses the mode.
    pub fn new(message: OutgoingMessage, link: Link, choice: ModeChoice, margin_db: f32) -> Self {
        let pieces = message.all(link.mcs);
        Self { message, choice, descent: Descent::new(choice, link, margin_db), mode: link.mode, pieces }
    }

    /// The message.
    pub fn message(&self) -> &OutgoingMessage {
        &self.message
    }

    /// The mode of this round.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The frames of this round, with control blocks of some rate; none where the grid is too narrow for them, or nothing
    /// of the message is asked for. Frames that should be robust, and have no room, are normal ones, and robust
    /// otherwise, if the mode is left to us.
    pub fn frames(
        &mut self,
        control: ControlRate,
        modulator: &Modulator,
        allocator: Option<&Allocator>,
    ) -> Vec<FrameDraft> {
        let protection = Protection { mode: self.mode, control };
        let frames = self.message.frames(&self.pieces, protection, modulator, allocator);
        if !frames.is_empty() || self.mode != Mode::Robust || self.choice != ModeChoice::Auto {
            return frames;
        }
        self.mode = Mode::Normal;
        self.message.frames(&self.pieces, self.mode, modulator, allocator)
    }

    /// After a round that was not enough: the next one brings what is lacking, by a link that is no faster.
    pub fn lacking(&mut self, lack: &Lack, adaptation: &LinkAdaptation, reports: &[Report], now: Instant) {
        let resending = self.descent.next(lack.unheard, adaptation, reports, now);
        self.pieces = self.message.again(lack, &resending);
        self.mode = resending.mode;
    }

    /// After [`lacking`](Self::lacking): the next round also brings what arrived worse than its importance asks for, as far as so
    /// many resource elements go. Returns whether it brings anything.
    pub fn refine(&mut self, lack: &Lack, elements: usize) -> bool {
        let weak = self.message.weak(lack);
        // All of a weak feature goes again, what is missing of it included.
        self.pieces.retain(|piece| !weak.iter().any(|weak| weak.range().feature == piece.range().feature));
        self.pieces.extend(weak);
        self.pieces = self.message.limited(std::mem::take(&mut self.pieces), elements);
        !self.pieces.is_empty()
    }
}
