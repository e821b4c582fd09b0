//! Progress on standard error, with the time that is left: a bar on a terminal, else a line now and then.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines.
const PAUSE: Duration = Duration::from_secs(20);

/// How far a run is.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    said: Instant,
    known: usize,
    done: usize,
    all: usize,
}

impl Progress {
    /// A run of `all` trials, of which some are known.
    pub fn new(known: usize, all: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new((all - known) as u64);
            let style = ProgressStyle::with_template("{pos}/{len} trials [{bar:30}] {elapsed}, {eta} left");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        let progress = Self { bar, started: Instant::now(), said: Instant::now(), known, done: 0, all };
        progress.say(&format!("{} trials, {known} of them known", progress.all));
        progress
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if self.said.elapsed() >= PAUSE {
            self.said = Instant::now();
            let left = self.all - self.known - self.done;
            let seconds = self.started.elapsed().as_secs_f64() * left as f64 / self.done as f64;
            let done = self.known + self.done;
            self.say(&format!("{done}/{} trials, {:.1} min left", self.all, seconds / 60.0));
        }
    }

    /// All are.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        // Nobody listening is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
