//! Measures the thresholds of the MCS ladder: the SNR at which one in a hundred transport blocks is lost.
//!
//! ```text
//! cargo run --release -p semcast-phy --example mcs_thresholds -- [PAYLOAD_BYTES] [FRAMES]
//! ```
//!
//! AWGN, 20 decoder iterations, 500 bytes and up to 3000 frames a point unless given. The noise is
//! seeded, so that two runs print the same.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]
#![expect(clippy::disallowed_methods, reason = "settings come from the command line")]

use num_complex::Complex32;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use semcast_phy::coding::transport_block::{TransportBlockDecoder, TransportBlockEncoder};
use semcast_phy::modulation::mcs::Mcs;

const TARGET: f64 = 1e-2;
const STEP_DB: f64 = 0.2;
const ENOUGH_ERRORS: usize = 60;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument =
        |default: usize| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let payload_bytes = argument(500);
    let frames = argument(3000);
    let mut link = Link::new(payload_bytes);
    println!("payload {payload_bytes} bytes, up to {frames} frames a point");
    println!("index  modulation and rate   bit/symbol  threshold dB  step dB");
    let mut previous: Option<f64> = None;
    for mcs in Mcs::all() {
        let threshold_db = link.threshold_db(mcs, frames);
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

/// One transmitter, one receiver, and white noise between them.
struct Link {
    encoder: TransportBlockEncoder,
    decoder: TransportBlockDecoder,
    payload: Vec<u8>,
    bits: Vec<u8>,
    symbols: Vec<Complex32>,
    variances: Vec<f32>,
    llrs: Vec<f32>,
}

impl Link {
    fn new(payload_bytes: usize) -> Self {
        Self {
            encoder: TransportBlockEncoder::new(),
            decoder: TransportBlockDecoder::new(),
            payload: (0..payload_bytes).map(|i| (i * 151 + i / 256 + 3) as u8).collect(),
            bits: Vec::new(),
            symbols: Vec::new(),
            variances: Vec::new(),
            llrs: Vec::new(),
        }
    }

    /// Steps up from a hopeless SNR until the target is met, and interpolates the logarithm.
    fn threshold_db(&mut self, mcs: Mcs, frames: usize) -> f64 {
        let capacity_db = 10.0 * (mcs.spectral_efficiency().exp2() - 1.0).log10();
        let mut snr_db = capacity_db;
        let mut before: Option<(f64, f64)> = None;
        loop {
            let rate = self.frame_error_rate(mcs, snr_db, frames);
            if rate <= TARGET {
                let Some((above_db, above)) = before else { return snr_db };
                let rate = rate.max(0.3 / frames as f64);
                let fraction = (above / TARGET).ln() / (above / rate).ln();
                return above_db + fraction * (snr_db - above_db);
            }
            before = Some((snr_db, rate));
            snr_db += STEP_DB;
        }
    }

    fn frame_error_rate(&mut self, mcs: Mcs, snr_db: f64, frames: usize) -> f64 {
        let mut random =
            Xoshiro256PlusPlus::seed_from_u64(u64::from(mcs.index()) << 32 | (snr_db * 100.0) as u32 as u64);
        let order = mcs.modulation().bits_per_symbol();
        let symbols = mcs.symbols_for_bytes(self.payload.len());
        let noise_variance = 10f64.powf(-snr_db / 10.0) as f32;
        let deviation = (noise_variance / 2.0).sqrt();
        self.bits.clear();
        self.symbols.clear();
        self.encoder
            .encode(&self.payload, symbols * usize::from(order), order, 0, &mut self.bits)
            .expect("the ladder gives sizes that fit");
        mcs.modulation().map(&self.bits, &mut self.symbols);
        self.variances.clear();
        self.variances.resize(symbols, noise_variance);
        let clean = self.symbols.clone();
        let mut errors = 0;
        for frame in 0..frames {
            for (noisy, clean) in self.symbols.iter_mut().zip(&clean) {
                let noise =
                    Complex32::new(StandardNormal.sample(&mut random), StandardNormal.sample(&mut random));
                *noisy = clean + noise * deviation;
            }
            self.llrs.clear();
            mcs.modulation().demap_all(&self.symbols, &self.variances, &mut self.llrs);
            errors += usize::from(self.decoder.decode(&self.llrs, self.payload.len(), order, 0).is_err());
            if errors >= ENOUGH_ERRORS {
                return errors as f64 / (frame + 1) as f64;
            }
        }
        errors as f64 / frames as f64
    }
}
