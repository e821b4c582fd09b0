//! Allocation over a frequency-selective channel: what it is for.

use semcast_phy::allocation::{
    Strategy,
    trial::{Outcome, TrialOptions, compare},
};

const STRATEGIES: [Strategy; 4] =
    [Strategy::Importance, Strategy::Random { seed: 0 }, Strategy::Equal, Strategy::Inverse];

/// Analog: mean squared error after the MMSE and after the zero-forcing equaliser; coded: lost blocks.
fn figures(outcome: &Outcome) -> [f64; 3] {
    let errors = &outcome.most_important;
    [errors.mean_mmse(), errors.mean_zero_forcing(), errors.block_error_rate()]
}

#[test]
fn the_most_important_quarter_suffers_a_third_of_the_errors_at_most() {
    let outcomes = compare(&TrialOptions::default(), &STRATEGIES, 200).expect("options can be planned");
    let ours = figures(&outcomes[0]);
    for (strategy, outcome) in STRATEGIES.iter().zip(&outcomes).skip(1) {
        for (ours, theirs) in ours.iter().zip(figures(outcome)) {
            assert!(*ours <= theirs / 3.0, "{strategy:?}: {ours} against {theirs}");
        }
    }
}

#[test]
fn what_the_most_important_gain_the_others_do_not_lose_as_a_whole() {
    let outcomes = compare(&TrialOptions::default(), &STRATEGIES, 50).expect("options can be planned");
    let [ours, random, ..] = outcomes[..] else { unreachable!("one outcome a strategy") };
    assert_eq!((ours.all.blocks, ours.most_important.blocks), (400, 100));
    assert!(ours.all.mean_mmse() < 1.1 * random.all.mean_mmse());
}
