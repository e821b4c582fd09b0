//! Measures what the LDPC codes need for a frame error rate of 1e-2 against the reference decoder's figures.
//!
//! ```text
//! cargo run --release -p semcast-phy --example code_thresholds -- [ITERATIONS] [ERRORS] [CODE]
//! ```
//!
//! QPSK over white noise, 20 iterations and 200 errors a point unless given; `CODE` is a line of the table,
//! counted from 0. The noise is seeded, so that two runs print the same.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "settings come from the command line")]

use semcast_phy::curves::{CodeTrial, REFERENCE, error_rate, snr_for_error_rate};

const TARGET: f64 = 1e-2;
const STEP_DB: f64 = 0.1;

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let iterations = numbers.first().map_or(20, |&iterations| iterations as usize);
    let errors = numbers.get(1).copied().unwrap_or(200);
    let only = numbers.get(2).map(|&line| line as usize);
    println!("graph     K      E  rate   Eb/N0 dB  reference  difference  SNR dB");
    for (index, (block, reference_db)) in REFERENCE.into_iter().enumerate() {
        if only.is_some_and(|only| only != index) {
            continue;
        }
        let mut trial = CodeTrial::new(block, iterations).expect("a code of the table");
        let from_db = block.snr_db(reference_db - 0.5);
        let snr_db = snr_for_error_rate(TARGET, from_db, STEP_DB, |snr_db| {
            error_rate(&mut trial, snr_db, 1, errors * 200, errors)
        });
        let snr_db = snr_db.expect("every code works at some SNR");
        let eb_n0_db = block.eb_n0_db(snr_db);
        println!(
            "{:5?}  {:4}  {:5}  {:.3}  {eb_n0_db:8.2}  {reference_db:9.2}  {:10.2}  {snr_db:6.2}",
            block.base_graph,
            block.information_bits,
            block.coded_bits,
            block.rate(),
            eb_n0_db - reference_db
        );
    }
}
