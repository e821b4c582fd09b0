//! Measures the thresholds of the MCS ladder: the SNR at which one in a hundred transport blocks is lost.
//!
//! ```text
//! cargo run --release -p semcast-phy --example mcs_thresholds -- [PAYLOAD_BYTES] [FRAMES] [INDEX]
//! ```
//!
//! AWGN, 20 decoder iterations, 500 bytes, up to 6000 frames or 60 errors a point, and all rungs unless
//! given. The noise is seeded, so that two runs print the same.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "settings come from the command line")]

use semcast_phy::curves::{McsTrial, error_rate, snr_for_error_rate};
use semcast_phy::modulation::mcs::Mcs;

const TARGET: f64 = 1e-2;
const STEP_DB: f64 = 0.2;
const ENOUGH_ERRORS: u64 = 60;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let payload_bytes = numbers.first().copied().unwrap_or(500);
    let frames = numbers.get(1).map_or(6000, |&frames| frames as u64);
    let only = numbers.get(2);
    println!("payload {payload_bytes} bytes, up to {frames} frames a point");
    println!("index  modulation and rate   bit/symbol  threshold dB  step dB");
    let mut previous: Option<f64> = None;
    for mcs in Mcs::all() {
        if only.is_some_and(|&only| only != usize::from(mcs.index())) {
            continue;
        }
        let capacity_db = 10.0 * (mcs.spectral_efficiency().exp2() - 1.0).log10();
        let mut trial = McsTrial::new(mcs, payload_bytes);
        let threshold_db = snr_for_error_rate(TARGET, capacity_db + 0.4, STEP_DB, |snr_db| {
            error_rate(&mut trial, snr_db, mcs.index().into(), frames, ENOUGH_ERRORS)
        });
        let threshold_db = threshold_db.expect("every rung works at some SNR");
        let step = previous.map_or(0.0, |previous| threshold_db - previous);
        println!(
            "{:5}  {:20}  {:10.3}  {threshold_db:12.2}  {step:7.2}",
            mcs.index(),
            mcs.to_string(),
            mcs.spectral_efficiency()
        );
        previous = Some(threshold_db);
    }
}
