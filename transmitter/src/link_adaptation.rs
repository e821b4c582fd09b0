//! Link adaptation: what receivers report of the channel → the step of the MCS ladder.
//!
//! The worst receiver decides. Its SNRs per resource block become one effective SNR for each modulation
//! (that of a flat channel worth as much), and the fastest step whose threshold lies a margin below it is
//! taken.

use semcast_phy::modulation::mcs::Mcs;

/// Distance kept from a step's threshold (at which one block in a hundred fails): room for the channel
/// estimate's error and for blocks longer than those the thresholds were measured with.
const MARGIN_DB: f32 = 1.5;
/// Content of fewer bytes than this makes coded blocks that need up to 2 dB more than the thresholds tell,
/// and so few symbols that a robust step costs nothing.
const SHORT_BYTES: usize = 200;
const SHORT_MARGIN_DB: f32 = 2.0;
/// SNR that is assumed when nobody reports one: a robust step that a short-range link always has.
pub const DEFAULT_SNR_DB: f32 = 5.0;
/// A round of resending goes this many steps down the ladder.
const STEPS_DOWN: u8 = 2;

/// The margin for content of so many bytes, in dB.
pub fn margin_db(content_bytes: usize) -> f32 {
    if content_bytes < SHORT_BYTES { MARGIN_DB + SHORT_MARGIN_DB } else { MARGIN_DB }
}

/// The step for reports of SNR per resource block, one list a receiver.
pub fn choose(reports: &[Vec<f32>], margin_db: f32) -> Mcs {
    reports
        .iter()
        .filter(|report| !report.is_empty())
        .map(|report| Mcs::select_for_blocks(report, margin_db))
        .min()
        .unwrap_or_else(|| Mcs::select(DEFAULT_SNR_DB, margin_db))
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
        let choose = |reports: &[Vec<f32>]| choose(reports, MARGIN_DB);
        assert_eq!(choose(&[good.clone(), bad.clone()]), choose(std::slice::from_ref(&bad)));
        assert!(choose(&[good]).index() > choose(&[bad]).index());
    }

    #[test]
    fn without_reports_the_step_is_robust() {
        assert_eq!(choose(&[], 1.0), choose(&[vec![DEFAULT_SNR_DB; 25]], 1.0));
        assert_eq!(choose(&[Vec::new()], 1.0), choose(&[], 1.0));
    }

    #[test]
    fn a_short_text_is_sent_more_robustly() {
        let reports = [vec![15.0; 25]];
        assert!(choose(&reports, margin_db(15)) < choose(&reports, margin_db(5000)));
    }

    #[test]
    fn resending_never_goes_up_the_ladder() {
        let mut mcs = choose(&[vec![30.0; 25]], MARGIN_DB);
        for _ in 0..40 {
            let next = more_robust(mcs);
            assert!(next.index() <= mcs.index());
            mcs = next;
        }
        assert_eq!(mcs.index(), 0);
    }
}
