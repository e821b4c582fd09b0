//! The channel that published curves assume: payload symbols alone, nothing to find and nothing to estimate.
//!
//! Symbols lie on the subcarriers of one OFDM symbol after the other. The receiver knows the channel's response and the
//! noise exactly, and gets sizes, powers and all side information for nothing. Analog symbols arrive as they are;
//! bytes go through the same codes and constellations as on the real link, on the fastest step of the ladder whose
//! threshold lies [`MARGIN_DB`] below the SNR; or, with [`Code::Capacity`], as many of them as Shannon's capacity allows arrive
//! intact by no code at all.

use bytes::Bytes;
use num_complex::Complex32;
use semcast_common::{
    message::{Payload, ReceivedFeature, ReceivedMessage, SemanticMessage, protection_levels},
    segmentation::interleaving::{deinterleave, interleave},
};
use semcast_phy::{
    channel::{Channel, ChannelConfig, Profile},
    coding::transport_block::{TransportBlockDecoder, TransportBlockEncoder},
    modulation::mcs::Mcs,
    numerology::{Numerology, SUBCARRIERS_PER_RB},
    ofdm::Ofdm,
};
use semcast_transmitter::{link_adaptation::protected, planner::MAX_SEGMENT_BYTES};

use super::{
    Code, Feedback,
    chain::Delivery,
    trial::{Cost, Trial},
};

/// How many bytes a symbol carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// By a step of the ladder.
    Step(Mcs),
    /// Bits a symbol, by no code that exists.
    Bits(f64),
}

impl Rate {
    /// Capacity of a complex symbol over white noise: C. E. Shannon, 1948, theorem 17.
    fn capacity(snr_db: f64) -> Self {
        Self::Bits((1.0 + 10f64.powf(snr_db / 10.0)).log2())
    }
}

/// Distance from a step's threshold, at which one block in a hundred fails: as far as lost pictures are few.
pub const MARGIN_DB: f32 = 0.25;
/// Gains below this are no channel at all.
const LEAST_GAIN: f32 = 1e-12;

/// The codes and the grid, kept from trial to trial.
pub struct Ideal {
    numerology: Numerology,
    ofdm: Ofdm,
    encoder: TransportBlockEncoder,
    decoder: TransportBlockDecoder,
}

/// A trial's channel.
struct Air {
    response: Response,
    noise: Channel,
    noise_variance: f32,
}

/// The gains that symbols meet, one after the other.
struct Response {
    propagation: Channel,
    impulse: Vec<Complex32>,
    gains: Vec<Complex32>,
    next: usize,
}

impl Ideal {
    /// With the grid of the radio.
    pub fn new(numerology: Numerology) -> Self {
        Self {
            numerology,
            ofdm: Ofdm::new(numerology),
            encoder: TransportBlockEncoder::new(),
            decoder: TransportBlockDecoder::new(),
        }
    }

    /// Sends a message over the trial's channel. `encode` makes it for a step of the ladder and the SNR to be expected.
    pub fn send(
        &mut self,
        trial: &Trial,
        channel: ChannelConfig,
        encode: impl FnOnce(Rate, f32) -> anyhow::Result<Result<SemanticMessage, String>>,
    ) -> anyhow::Result<Delivery> {
        let mut cost = Cost::default();
        let rate = if trial.code == Code::Capacity {
            Rate::capacity(trial.snr_db)
        } else if trial.feedback == Feedback::Ideal && trial.told_snr_db.is_none() {
            // What the channel will be like is known, too.
            let mut response = self.response(channel.clone())?;
            let subcarriers = 0..self.numerology.subcarriers();
            let powers: Vec<f32> = subcarriers.map(|_| self.gain(&mut response).norm_sqr()).collect();
            let snr_db: Vec<f32> = powers
                .chunks_exact(SUBCARRIERS_PER_RB)
                .map(|block| block.iter().sum::<f32>() / block.len() as f32)
                .map(|power| trial.snr_db as f32 + 10.0 * power.max(LEAST_GAIN).log10())
                .collect();
            Rate::Step(Mcs::select_for_blocks(&snr_db, MARGIN_DB))
        } else {
            Rate::Step(Mcs::select(trial.planned_snr_db() as f32, MARGIN_DB))
        };
        let message = match encode(rate, trial.planned_snr_db() as f32)? {
            Ok(message) => message,
            Err(reason) => return Ok(Delivery { received: Err(reason), cost }),
        };
        let mut air = Air {
            noise: Channel::new(
                ChannelConfig { profile: Profile::Awgn, occupied_fraction: 1.0, ..still(channel.clone()) },
                self.numerology.sample_rate_hz,
            )?,
            response: self.response(channel)?,
            noise_variance: 10f64.powf(-trial.snr_db / 10.0) as f32,
        };
        let mut features = Vec::with_capacity(message.features.len());
        let (mut total, mut missing) = (0, 0);
        for (feature, level) in message.features.iter().zip(protection_levels(&message.features)) {
            features.push(match &feature.payload {
                Payload::Analog(symbols) => {
                    let mut sent = interleave(symbols);
                    let noise_variance = self.cross(&mut air, &mut sent);
                    total += symbols.len();
                    cost.payload_symbols += symbols.len() as u64;
                    ReceivedFeature::Analog {
                        symbols: deinterleave(&sent),
                        noise_variance: deinterleave(&noise_variance),
                    }
                }
                Payload::Digital(bytes) => {
                    let (received, lost, symbols) = match rate {
                        Rate::Step(mcs) => {
                            cost.mcs = mcs.to_string();
                            self.coded(&mut air, protected(mcs, level), bytes)?
                        }
                        Rate::Bits(bits) => {
                            cost.mcs = "capacity".into();
                            (bytes.clone(), Vec::new(), (8.0 * bytes.len() as f64 / bits).ceil() as usize)
                        }
                    };
                    total += bytes.len();
                    missing += lost.iter().map(std::ops::Range::len).sum::<usize>();
                    cost.payload_symbols += symbols as u64;
                    ReceivedFeature::Digital { bytes: received, missing: lost }
                }
            });
        }
        cost.missing = missing as f64 / total.max(1) as f64;
        let received = ReceivedMessage {
            system: message.system,
            model: message.model,
            side: message.side.clone(),
            features,
        };
        Ok(Delivery { received: Ok(received), cost })
    }

    /// Bytes in blocks as the planner cuts them → bytes, the ranges of them that are lost, symbols.
    fn coded(
        &mut self,
        air: &mut Air,
        mcs: Mcs,
        bytes: &Bytes,
    ) -> anyhow::Result<(Bytes, Vec<std::ops::Range<usize>>, usize)> {
        let modulation = mcs.modulation();
        let order = modulation.bits_per_symbol();
        let mut received = vec![0; bytes.len()];
        let mut lost: Vec<std::ops::Range<usize>> = Vec::new();
        let mut total = 0;
        let (mut bits, mut symbols, mut llrs) = (Vec::new(), Vec::new(), Vec::new());
        for start in (0..bytes.len()).step_by(MAX_SEGMENT_BYTES) {
            let end = bytes.len().min(start + MAX_SEGMENT_BYTES);
            let elements = mcs.symbols_for_bytes(end - start);
            bits.clear();
            self.encoder.encode(&bytes[start..end], elements * usize::from(order), order, 0, &mut bits)?;
            symbols.clear();
            modulation.map(&bits, &mut symbols);
            total += symbols.len();
            let noise_variance = self.cross(air, &mut symbols);
            llrs.clear();
            modulation.demap_all(&symbols, &noise_variance, &mut llrs);
            match self.decoder.decode(&llrs, end - start, order, 0) {
                Ok(block) => received[start..end].copy_from_slice(&block.payload),
                Err(_) => match lost.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => lost.push(start..end),
                },
            }
        }
        Ok((received.into(), lost, total))
    }

    /// Sends symbols; they are equalised in place. Returns the noise variance of each.
    fn cross(&mut self, air: &mut Air, symbols: &mut Vec<Complex32>) -> Vec<f32> {
        let gains: Vec<Complex32> = symbols.iter().map(|_| self.gain(&mut air.response)).collect();
        let sent: Vec<Complex32> = symbols.iter().zip(&gains).map(|(symbol, gain)| symbol * gain).collect();
        symbols.clear();
        air.noise.process(&sent, symbols);
        let mut noise_variance = Vec::with_capacity(symbols.len());
        for (symbol, gain) in symbols.iter_mut().zip(&gains) {
            let power = gain.norm_sqr();
            if power > LEAST_GAIN {
                *symbol /= gain;
                noise_variance.push(air.noise_variance / power);
            } else {
                *symbol = Complex32::default();
                noise_variance.push(f32::INFINITY);
            }
        }
        noise_variance
    }

    fn response(&self, channel: ChannelConfig) -> anyhow::Result<Response> {
        let noiseless = ChannelConfig { snr_db: None, ..still(channel) };
        Ok(Response {
            propagation: Channel::new(noiseless, self.numerology.sample_rate_hz)?,
            impulse: Vec::new(),
            gains: vec![Complex32::default(); self.numerology.subcarriers()],
            next: self.numerology.subcarriers(),
        })
    }

    /// The gain that the next symbol meets: from one impulse at the start of each OFDM symbol.
    fn gain(&mut self, response: &mut Response) -> Complex32 {
        if response.next == response.gains.len() {
            response.next = 0;
            response.impulse.clear();
            response.propagation.process(&[Complex32::new(1.0, 0.0)], &mut response.impulse);
            response.propagation.flush(self.numerology.symbol_samples() - 1, &mut response.impulse);
            let taps = &response.impulse[..self.numerology.fft_size];
            self.ofdm.response(0, taps, &mut response.gains);
        }
        response.next += 1;
        response.gains[response.next - 1]
    }
}

/// Without the offsets of carrier and clock, which an ideal receiver has taken out.
fn still(channel: ChannelConfig) -> ChannelConfig {
    ChannelConfig { cfo_hz: 0.0, sampling_offset_ppm: 0.0, ..channel }
}

#[cfg(test)]
mod tests {
    use semcast_common::message::{Feature, ModelDigest, SystemId};

    use super::*;

    fn trial(snr_db: f64) -> Trial {
        Trial { ideal: true, ..crate::evaluate::summary::tests::record("a.png", snr_db, 30.0).trial }
    }

    fn channel(profile: &str, snr_db: f64, seed: u64) -> ChannelConfig {
        let profile = profile.parse().expect(profile);
        ChannelConfig { profile, snr_db: Some(snr_db), seed, cfo_hz: 5000.0, ..ChannelConfig::default() }
    }

    fn message(payload: Payload) -> SemanticMessage {
        SemanticMessage {
            system: SystemId::Ae,
            model: ModelDigest::default(),
            side: Bytes::new(),
            features: vec![Feature { importance: 1.0, payload }],
        }
    }

    /// The noise is what the receiver is told, whatever the channel; over seeds, its gain is one.
    #[test]
    fn symbols_meet_the_noise_that_the_receiver_knows() {
        let mut ideal = Ideal::new(Numerology::default());
        let symbols: Vec<Complex32> = (0..9000).map(|i| Complex32::from_polar(1.0, i as f32)).collect();
        for profile in ["awgn", "rayleigh", "tdl-c:300"] {
            let mut gain = 0.0;
            for seed in 0..200 {
                let sent = message(Payload::Analog(symbols.clone()));
                let delivery =
                    ideal.send(&trial(7.0), channel(profile, 7.0, seed), |_, _| Ok(Ok(sent))).expect("sent");
                let received = delivery.received.expect("symbols always arrive");
                let ReceivedFeature::Analog { symbols: got, noise_variance } = &received.features[0] else {
                    panic!("symbols came back as bytes")
                };
                let errors = got.iter().zip(&symbols).map(|(got, sent)| (got - sent).norm_sqr());
                let told: f32 = errors.zip(noise_variance).map(|(error, variance)| error / variance).sum();
                assert!((told / 9000.0 - 1.0).abs() < 0.05, "{profile}, seed {seed}: {}", told / 9000.0);
                gain +=
                    noise_variance.iter().map(|variance| 10f32.powf(-0.7) / variance).sum::<f32>() / 9000.0;
                assert_eq!(delivery.cost.payload_symbols, 9000);
            }
            let tolerance = if profile == "awgn" { 1e-4 } else { 0.2 };
            assert!((gain / 200.0 - 1.0).abs() < tolerance, "{profile}: {}", gain / 200.0);
        }
    }

    #[test]
    fn bytes_arrive_at_the_snr_that_they_are_meant_for_and_not_far_below() {
        let mut ideal = Ideal::new(Numerology::default());
        let bytes: Bytes = (0..20_000u32).map(|i| ((i * i) >> 3) as u8).collect();
        for (delivered, lost) in [(10.0, 0.0), (8.0, 1.0)] {
            let told = Trial { told_snr_db: Some(10.0), ..trial(delivered) };
            let sent = message(Payload::Digital(bytes.clone()));
            let delivery =
                ideal.send(&told, channel("awgn", delivered, 3), |_, _| Ok(Ok(sent))).expect("sent");
            let received = delivery.received.expect("something");
            let ReceivedFeature::Digital { bytes: got, missing } = &received.features[0] else {
                panic!("bytes came back as symbols")
            };
            assert_eq!(delivery.cost.missing, lost, "{delivered} dB");
            if lost == 0.0 {
                assert_eq!((got, missing.len()), (&bytes, 0));
            } else {
                assert_eq!((missing.len(), &missing[0]), (1, &(0..bytes.len())), "{delivered} dB");
            }
        }
    }

    #[test]
    fn at_capacity_bytes_arrive_and_take_what_shannon_says() {
        let at_capacity = Trial { code: Code::Capacity, ..trial(10.0) };
        let bytes: Bytes = vec![7; 1000].into();
        let mut rate = None;
        let delivery = Ideal::new(Numerology::default())
            .send(&at_capacity, channel("awgn", 10.0, 1), |chosen, expected_db| {
                assert_eq!(expected_db, 10.0);
                rate = Some(chosen);
                Ok(Ok(message(Payload::Digital(bytes.clone()))))
            })
            .expect("sent");
        assert_eq!(rate, Some(Rate::Bits(11f64.log2())));
        // 8000 bits of 3.459 a symbol.
        assert_eq!(delivery.cost.payload_symbols, 2313);
        let received = delivery.received.expect("bytes").features.remove(0);
        assert_eq!(received, ReceivedFeature::Digital { bytes, missing: Vec::new() });
    }

    /// Two systems in the same race meet the same gain.
    #[test]
    fn the_gain_of_a_channel_follows_from_its_seed_alone() {
        let mut ideal = Ideal::new(Numerology::default());
        let mut variances = [4.0, 19.0].map(|snr_db| {
            let sent = message(Payload::Analog(vec![Complex32::new(1.0, 0.0); 10]));
            let delivery = ideal
                .send(&trial(snr_db), channel("rayleigh", snr_db, 9), |_, _| Ok(Ok(sent)))
                .expect("sent");
            match delivery.received.expect("symbols").features.remove(0) {
                ReceivedFeature::Analog { noise_variance, .. } => {
                    noise_variance[0] * 10f32.powf(snr_db as f32 / 10.0)
                }
                ReceivedFeature::Digital { .. } => panic!("symbols came back as bytes"),
            }
        });
        variances.sort_by(f32::total_cmp);
        assert!((variances[1] / variances[0] - 1.0).abs() < 1e-3, "{variances:?}");
    }
}
