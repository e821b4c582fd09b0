//! Times of work that is repeated, on a machine that has other things to do.

use std::time::{Duration, Instant};

/// Fewest repetitions, however long they take.
const FEWEST: u32 = 3;
/// What a piece of work should take at least, so that reading the clock counts for nothing, and at most, so
/// that many repetitions are not interrupted.
const PIECE: Duration = Duration::from_micros(100);

/// How often to repeat.
#[derive(Clone, Copy)]
pub enum Effort {
    /// For so many seconds.
    Seconds(f64),
    /// So many times, so that every run does the same work.
    Repetitions(u32),
}

/// The pieces of a repetition, each with the shortest time that it took so far.
#[derive(Default)]
pub struct Laps {
    best: Vec<Duration>,
    next: usize,
}

impl Laps {
    /// Does the next piece. Every repetition has the same ones.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        let taken = start.elapsed();
        match self.best.get_mut(self.next) {
            Some(best) => *best = taken.min(*best),
            None => self.best.push(taken),
        }
        self.next += 1;
        result
    }
}

/// What was measured.
#[derive(Clone, Copy)]
pub struct Best {
    /// Time of a repetition: the sum of the shortest times of its pieces.
    pub seconds: f64,
    /// How often it was done.
    pub repetitions: u32,
}

/// Repeats as often as wanted.
pub fn repeat(effort: Effort, mut repetition: impl FnMut(&mut Laps)) -> Best {
    let mut laps = Laps::default();
    let start = Instant::now();
    let mut repetitions = 0;
    while match effort {
        Effort::Seconds(seconds) => repetitions < FEWEST || start.elapsed().as_secs_f64() < seconds,
        Effort::Repetitions(count) => repetitions < count,
    } {
        laps.next = 0;
        repetition(&mut laps);
        repetitions += 1;
    }
    Best { seconds: laps.best.iter().sum::<Duration>().as_secs_f64().max(1e-9), repetitions }
}

/// Repeats a call that takes little as often as wanted; the time is that of one call.
pub fn repeat_call(effort: Effort, mut call: impl FnMut()) -> Best {
    let calls = match effort {
        Effort::Seconds(_) => calls_of_a_piece(&mut call),
        Effort::Repetitions(_) => 1,
    };
    let best = repeat(effort, |laps| laps.time(|| (0..calls).for_each(|_| call())));
    Best { seconds: best.seconds / f64::from(calls), ..best }
}

/// Calls that take as long as a piece of work should.
fn calls_of_a_piece(mut call: impl FnMut()) -> u32 {
    let mut calls = 1;
    loop {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        if start.elapsed() >= PIECE || calls >= 1 << 20 {
            return calls;
        }
        calls *= 2;
    }
}
