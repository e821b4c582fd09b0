//! A frame whose contents the measuring end knows, and what its reception tells.
//!
//! It carries analog QPSK symbols, for the error vector magnitude, and a coded segment, for whether the link works at all.

use bytes::Bytes;
use num_complex::Complex32;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::framing::{Frame, ReceivedSegment, Segment};
use crate::link_trial::half_rate_qpsk;
use crate::mode::Mode;
use crate::receive::ReceivedFrame;

/// Analog symbols of a probe: so many that the drift of the clocks shows within it.
const SYMBOLS: usize = 9000;
/// Bytes of its coded segment.
const BYTES: usize = 200;
/// What the layer above carries: tells probes from other frames.
const MARK: &[u8] = b"semcast probe";

/// What the reception of one probe says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Es/N0 as the receiver estimates it, in dB.
    pub snr_db: f64,
    /// Carrier offset in Hz.
    pub cfo_hz: f64,
    /// Offset of the sampling clock in parts per million; positive: the receiver's is fast, as in `docs/CONVENTIONS.md`.
    pub clock_offset_ppm: f64,
    /// Error vector power over signal power of the analog symbols (the square of the EVM), against what was sent.
    pub error_power: f64,
    /// Whether the coded segment came through intact.
    pub intact: bool,
}

impl Reading {
    /// Root mean square error vector magnitude as a share of the signal's.
    pub fn evm(&self) -> f64 {
        self.error_power.sqrt()
    }
}

fn random(number: u16) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(0x0070_726f_6265_0000 | u64::from(number))
}

fn symbols(number: u16) -> Vec<Complex32> {
    let mut random = random(number);
    let part =
        |bit: bool| if bit { std::f32::consts::FRAC_1_SQRT_2 } else { -std::f32::consts::FRAC_1_SQRT_2 };
    (0..SYMBOLS)
        .map(|_| {
            let bits = random.next_u64();
            Complex32::new(part(bits & 1 << 20 != 0), part(bits & 1 << 40 != 0))
        })
        .collect()
}

fn payload(number: u16) -> Bytes {
    let mut bytes = vec![0; BYTES];
    random(!number).fill_bytes(&mut bytes);
    bytes.into()
}

/// The probe with a number.
pub fn frame(number: u16, mode: Mode, transmitter: u16) -> Frame {
    let coded =
        Segment::Coded { mcs: half_rate_qpsk().index(), redundancy_version: 0, bytes: payload(number) };
    Frame {
        mode,
        number,
        transmitter,
        control: Bytes::from_static(MARK),
        segments: vec![Segment::Analog { symbols: symbols(number) }, coded],
        ..Frame::default()
    }
}

/// Reads a received frame; `None` if it is no probe of this transmitter.
pub fn read(frame: &ReceivedFrame, transmitter: u16) -> Option<Reading> {
    if frame.control != MARK || frame.header.transmitter != transmitter {
        return None;
    }
    let [ReceivedSegment::Analog { symbols: received, .. }, ReceivedSegment::Coded { decoded, .. }] =
        &frame.segments[..]
    else {
        return None;
    };
    let sent = symbols(frame.header.number);
    if received.len() != sent.len() {
        return None;
    }
    let error: f64 = received.iter().zip(&sent).map(|(a, b)| f64::from((a - b).norm_sqr())).sum();
    Some(Reading {
        snr_db: f64::from(frame.channel.snr_db),
        cfo_hz: frame.channel.cfo_hz,
        clock_offset_ppm: frame.channel.clock_offset_ppm,
        error_power: error / sent.len() as f64,
        intact: decoded.as_ref().is_ok_and(|bytes| *bytes == payload(frame.header.number)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Channel, ChannelConfig};
    use crate::numerology::Numerology;
    use crate::receive::Demodulator;
    use crate::transmit::Modulator;

    fn reading(config: ChannelConfig, number: u16) -> Reading {
        let numerology = Numerology::default();
        let mut samples = vec![Complex32::default(); 3000];
        Modulator::new(numerology).modulate(&frame(number, Mode::Normal, 9), &mut samples).expect("a frame");
        let config = ChannelConfig { occupied_fraction: numerology.occupied_fraction(), ..config };
        let mut channel = Channel::new(config, numerology.sample_rate_hz).expect("a channel");
        let mut received = Vec::new();
        channel.process(&samples, &mut received);
        channel.flush(20_000, &mut received);
        let mut readings = Vec::new();
        Demodulator::new(numerology).push(&received, &mut |frame| readings.extend(read(&frame, 9)));
        assert_eq!(readings.len(), 1);
        readings[0]
    }

    #[test]
    fn the_error_vector_is_what_the_noise_makes_it() {
        for snr_db in [10.0, 20.0, 30.0] {
            let (snr, cfo_hz, sampling_offset_ppm) = (Some(snr_db), 5000.0, 10.0);
            let config =
                ChannelConfig { snr_db: snr, cfo_hz, sampling_offset_ppm, ..ChannelConfig::default() };
            let reading = reading(config, 3);
            let evm_db = -10.0 * reading.error_power.log10();
            // Estimation adds a little to the noise.
            assert!((evm_db - snr_db).abs() < 0.7, "{snr_db} dB: EVM {evm_db} dB");
            assert!(
                (reading.snr_db - snr_db).abs() < 0.5 && (reading.cfo_hz - 5000.0).abs() < 100.0,
                "{reading:?}"
            );
            assert!((reading.clock_offset_ppm - 10.0).abs() < 3.0 && reading.intact, "{reading:?}");
        }
    }

    #[test]
    fn frames_of_others_are_no_probes() {
        let reading = reading(ChannelConfig::default(), 65_535);
        assert!(reading.evm() < 0.01 && reading.intact, "{reading:?}");
        assert!(symbols(1) != symbols(2) && payload(1) != payload(2));
    }
}
