//! Link adaptation: what receivers report of the channel → the step of the MCS ladder.
//!
//! The worst receiver decides. Its SNRs per resource block become one effective SNR for each modulation
//! (that of a flat channel worth as much), and the fastest step whose threshold lies a margin below it is
//! taken.

use semcast_phy::modulation::mcs::Mcs;

/// Distance kept from a step's threshold (at which one block in a hundred fails): room for the channel
/// estimate's error and for blocks longer than those the thresholds were measured with.
pub const MARGIN_DB: f32 = 1.5;
/// SNR that is assumed when nobody reports one: a robust step that a short-range link always has.
pub const DEFAULT_SNR_DB: f32 = 5.0;
/// A round of resending goes this many steps down the ladder.
const STEPS_DOWN: u8 = 2;

/// The step for reports of SNR per resource block, one list a receiver.
pub fn choose(reports: &[Vec<f32>]) -> Mcs {
    reports
        .iter()
        .filter(|report| !report.is_empty())
        .map(|report| Mcs::select_for_blocks(report, MARGIN_DB))
        .min()
        .unwrap_or_else(|| Mcs::select(DEFAULT_SNR_DB, MARGIN_DB))
}

/// The step for sending again what `mcs` lost.
pub fn more_robust(mcs: Mcs) -> Mcs {
    Mcs::from_index(mcs.index().saturating_sub(STEPS_DOWN)).unwrap_or(mcs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_receiver_decides() {
        let good = vec![25.0; 25];
        let bad = vec![5.0; 25];
        assert_eq!(choose(&[good.clone(), bad.clone()]), choose(&[bad.clone()]));
        assert!(choose(&[good]).index() > choose(&[bad]).index());
    }

    #[test]
    fn without_reports_the_step_is_robust() {
        assert_eq!(choose(&[]), choose(&[vec![DEFAULT_SNR_DB; 25]]));
        assert_eq!(choose(&[Vec::new()]), choose(&[]));
    }

    #[test]
    fn resending_never_goes_up_the_ladder() {
        let mut mcs = choose(&[vec![30.0; 25]]);
        for _ in 0..40 {
            let next = more_robust(mcs);
            assert!(next.index() <= mcs.index());
            mcs = next;
        }
        assert_eq!(mcs.index(), 0);
    }
}
