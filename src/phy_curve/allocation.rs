//! What giving the best resource blocks to the most important segments gains.

use semcast_phy::allocation::{
    Strategy,
    trial::{TrialOptions, compare},
};

use super::{Figure, Run};

const STRATEGIES: [(&str, Strategy); 4] = [
    ("importance", Strategy::Importance),
    ("random", Strategy::Random { seed: 1 }),
    ("equal", Strategy::Equal),
    ("inverse", Strategy::Inverse),
];

pub fn run(run: &Run) -> anyhow::Result<()> {
    let options = TrialOptions::default();
    let seeds = run.frames(200);
    let outcomes = compare(&options, &STRATEGIES.map(|(_, strategy)| strategy), seeds)?;
    let ours = outcomes.first().copied().unwrap_or_default().most_important;
    for ((name, _), outcome) in STRATEGIES.iter().zip(&outcomes) {
        let theirs = outcome.most_important;
        run.print(
            Figure::new("allocation", *name)
                .rounded("snr_db", options.mean_snr_db, 2)
                .with("seeds", seeds)
                .rounded("important_mse", theirs.mean_zero_forcing(), 5)
                .rounded("important_mse_mmse", theirs.mean_mmse(), 5)
                .rounded("important_bler", theirs.block_error_rate(), 5)
                .rounded("all_mse_mmse", outcome.all.mean_mmse(), 5)
                .rounded("all_bler", outcome.all.block_error_rate(), 5)
                .rounded("mse_ratio", theirs.mean_zero_forcing() / ours.mean_zero_forcing(), 2)
                .rounded("mse_mmse_ratio", theirs.mean_mmse() / ours.mean_mmse(), 2)
                .rounded("bler_ratio", theirs.block_error_rate() / ours.block_error_rate(), 2),
        )?;
    }
    Ok(())
}
