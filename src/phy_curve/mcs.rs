//! The rungs of the MCS ladder over white noise, with the channel known.

use std::ops::AddAssign;

use semcast_phy::{
    curves::{ErrorCount, McsTrial, Trial, error_rate},
    modulation::mcs::Mcs,
};

use super::{Figure, Run, crew::Crew, threshold_db};

const PAYLOAD_BYTES: usize = 500;
const STEP_DB: f64 = 0.2;
/// Frames that share a seed.
const FRAMES_PER_SEED: u64 = 8;

pub fn run(run: &Run) -> anyhow::Result<()> {
    let frames = run.frames(4000);
    for mcs in Mcs::all() {
        let mut crew = Crew::new(run.threads, || Ok(McsTrial::new(mcs, PAYLOAD_BYTES)))?;
        let tabled_db = f64::from(mcs.threshold_db());
        let found = threshold_db(tabled_db - 0.7, STEP_DB, |snr_db| {
            let count = count(&mut crew, run, snr_db, frames)?;
            run.print(
                Figure::new("mcs", mcs.to_string())
                    .with("index", mcs.index())
                    .rounded("snr_db", snr_db, 2)
                    .with("frames", count.frames)
                    .with("errors", count.errors)
                    .with("undetected", count.undetected)
                    .rounded("fer", count.rate(), 6),
            )?;
            Ok(count)
        })?;
        let figure = Figure::new("threshold", mcs.to_string())
            .with("index", mcs.index())
            .rounded("bits_per_symbol", mcs.spectral_efficiency(), 3)
            .rounded("snr_db", found.unwrap_or(f64::NAN), 2)
            .rounded("tabled_db", tabled_db, 2);
        run.print(figure)?;
    }
    Ok(())
}

/// Errors at an SNR: in so many frames, or in fewer where they come often.
pub fn count<W: Trial + Send>(
    crew: &mut Crew<W>,
    run: &Run,
    snr_db: f64,
    frames: u64,
) -> anyhow::Result<ErrorCount> {
    let seeds = run.first_seed..run.first_seed + frames.div_ceil(FRAMES_PER_SEED);
    let enough = (frames / 50).max(20);
    let sum = crew.run_until(
        seeds,
        |sum: &Sum| sum.0.errors >= enough,
        |trial, seed| Ok(Sum(error_rate(trial, snr_db, seed, FRAMES_PER_SEED, FRAMES_PER_SEED + 1))),
    )?;
    Ok(sum.0)
}

#[derive(Default)]
struct Sum(ErrorCount);

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0 + other.0;
    }
}
