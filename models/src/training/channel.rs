//! A random channel for each group of crops: how many symbols are sent, how noisy each is, and which are lost.
//!
//! Symbols are spread over the air by a permutation, so neighbours in a code meet unrelated noise: fading and losses
//! are drawn for each symbol on its own, from a law drawn for each group.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

use super::pictures::GROUP;
use crate::ae::adaptation::{Adaptation, knots_of};
use crate::ae::network::UNKNOWN;
use crate::ae::rates::{RATES, Rates, gain};

/// SNR drawn at random, dB.
const SNR_DB: std::ops::Range<f32> = -5.0..20.0;
/// Share of the groups whose encoder is told an SNR that has nothing to do with theirs.
const MISTOLD: f64 = 0.15;
/// Standard deviation of what the others are told, dB.
const TOLD_SPREAD_DB: f32 = 1.0;

/// What happens to the values of a batch, in units of the mean power of a sent value. All are
/// `[groups · GROUP, channels, h, w]`.
pub struct Draw {
    /// Amplitude with which a value is sent; zero where it is not.
    pub sent: Vec<f32>,
    /// One where a value arrives.
    pub arrives: Vec<f32>,
    /// The noise on it, as the decoder sees it with the amplitude taken back; zero where nothing arrives.
    pub noise: Vec<f32>,
    /// The variance of that noise; zero where nothing arrives.
    pub variance: Vec<f32>,
    /// Share of the values of each group that is sent.
    pub sent_share: Vec<f32>,
    /// Rate of each block, an index into those of the transform; `[groups · GROUP, h, w]`.
    pub rates: Vec<usize>,
    /// What the encoder is told of the SNR of each group, dB.
    pub told_db: Vec<f32>,
}

/// Settings of one group.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Rates of the transform that is trained; one for all groups of a batch.
    pub rates: &'static Rates,
    /// Complex symbols a block, on the average.
    pub symbols: usize,
    /// How strongly the rate follows the activity of a part of the picture; zero for one rate everywhere.
    pub adaptation: f32,
    /// SNR, dB.
    pub snr_db: f32,
    /// What the encoder is told of it, dB.
    pub told_db: f32,
    /// Ratio of the steady to the scattered power of the fading (Rician K); infinite for none.
    pub rician: f32,
    /// Share of the symbols that is lost.
    pub lost: f32,
}

/// Values that arrived.
pub struct Passed {
    /// Values with their noise; zero where nothing arrived.
    pub received: Tensor<4>,
    /// The noise variance that the decoder is told; [`UNKNOWN`] where nothing arrived.
    pub variance: Tensor<4>,
    /// One where a value arrived.
    pub arrives: Tensor<4>,
}

impl Draw {
    /// Sends the values of a batch, `[groups · GROUP, channels, h, w]`. The unit of the noise is the mean power of a sent
    /// value, over each group. Values are sent with the amplitudes that `adaptation` gives them, if there is one.
    pub fn pass(&self, code: Tensor<4>, adaptation: Option<&Adaptation>) -> Passed {
        let (shape, device) = (code.dims(), code.device());
        let [count, channels, height, width] = shape;
        let groups = self.sent_share.len();
        let tensor =
            |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &device);
        let shares = Tensor::<1>::from_data(TensorData::new(self.sent_share.clone(), [groups]), &device);
        let amplitude = adaptation.map(|adaptation| self.amplitudes(adaptation, shape, &device));
        let sent = code.clone() * tensor(&self.sent);
        let sent = match &amplitude {
            Some(amplitude) => sent * amplitude.clone(),
            None => sent,
        };
        let power = sent.square().reshape([groups, GROUP * channels * height * width]).mean_dim(1)
            / shares.reshape([groups, 1]);
        let power = power.add_scalar(1e-8).repeat_dim(1, GROUP).reshape([count, 1, 1, 1]);
        let arrives = tensor(&self.arrives);
        let unknown = arrives.clone().sub_scalar(1.0).mul_scalar(-UNKNOWN);
        let (mut noise, mut variance) =
            (tensor(&self.noise) * power.clone().sqrt(), tensor(&self.variance) * power);
        if let Some(amplitude) = amplitude {
            noise = noise / amplitude.clone();
            variance = variance / amplitude.square();
        }
        Passed { received: code * arrives.clone() + noise, variance: variance + unknown, arrives }
    }

    /// The amplitude that each value has besides that of its block.
    fn amplitudes(&self, adaptation: &Adaptation, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let [count, channels, height, width] = shape;
        let places = height * width;
        let table = adaptation.amplitudes(self.knots(device)); // [B, RATES, CHANNELS]
        let mut chosen = vec![0.0_f32; count * RATES.len() * places];
        for (block, rate) in self.rates.iter().enumerate() {
            chosen[(block / places * RATES.len() + rate) * places + block % places] = 1.0;
        }
        let chosen = Tensor::<3>::from_data(TensorData::new(chosen, [count, RATES.len(), places]), device);
        table.swap_dims(1, 2).matmul(chosen).reshape([count, channels, height, width])
    }

    /// What the encoder is told of the SNR of each crop, as [`knots_of`] has it.
    pub fn knots(&self, device: &Device) -> Tensor<2> {
        knots_of(self.told_db.iter().flat_map(|told_db| [*told_db; GROUP]), device)
    }
}

impl Setting {
    /// Noise alone.
    pub fn awgn(symbols: usize, snr_db: f32) -> Self {
        Self {
            rates: &RATES,
            symbols,
            adaptation: 0.0,
            snr_db,
            told_db: snr_db,
            rician: f32::INFINITY,
            lost: 0.0,
        }
    }

    /// Drawn as training of `ae`'s own transform needs it.
    pub fn random(rng: &mut StdRng) -> Self {
        Self::random_over(&RATES, rng)
    }

    /// Drawn as training of a transform needs it: on the average, from its second rate to its last.
    pub fn random_over(rates: &'static Rates, rng: &mut StdRng) -> Self {
        let (least, most) = (rates[1], rates[rates.len() - 1]);
        let wanted = rng.random_range((least as f32).ln()..=(most as f32).ln()).exp();
        let snr_db = rng.random_range(SNR_DB);
        let normal: f32 = StandardNormal.sample(rng);
        let told_db = if rng.random_bool(MISTOLD) {
            rng.random_range(SNR_DB)
        } else {
            snr_db + TOLD_SPREAD_DB * normal
        };
        Self {
            rates,
            symbols: (wanted.round() as usize).clamp(least, most),
            adaptation: if rng.random_bool(0.8) { rng.random_range(0.3..1.2) } else { 0.0 },
            snr_db,
            told_db,
            rician: if rng.random_bool(0.3) {
                10.0_f32.powf(rng.random_range(-1.0..1.0))
            } else {
                f32::INFINITY
            },
            lost: if rng.random_bool(0.15) { rng.random_range(0.0..0.6_f32) } else { 0.0 },
        }
    }
}

/// How a block is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Complex symbols.
    pub symbols: usize,
    /// Amplitude of its values.
    pub amplitude: f32,
    /// Channels that arrive at most, the most important ones: all, or fewer if its region lost its end.
    pub arriving: usize,
}

/// Complex symbols of each block of a group, by the activity of its part of the picture.
pub fn symbols(setting: &Setting, activity: &[f32]) -> Vec<usize> {
    let rates = setting.rates;
    let mean = activity.iter().map(|value| value.ln()).sum::<f32>() / activity.len() as f32;
    let rate = |value: &f32| {
        if setting.adaptation == 0.0 {
            return setting.symbols;
        }
        let wanted = (setting.symbols as f32).ln() + setting.adaptation * (value.ln() - mean);
        let distance = |rate: &usize| ((*rate as f32).ln() - wanted).abs();
        rates.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(rates[0])
    };
    activity.iter().map(rate).collect()
}

/// Draws the channel of a batch; `activity` holds a positive value for each block of each crop.
pub fn draw(settings: &[Setting], activity: &[f32], rng: &mut StdRng) -> Draw {
    let of_group = activity.len() / settings.len().max(1);
    let groups = settings.iter().zip(activity.chunks_exact(of_group.max(1)));
    let blocks: Vec<Block> = groups
        .flat_map(|(setting, activity)| symbols(setting, activity))
        .map(|symbols| Block { symbols, amplitude: gain(symbols), arriving: usize::MAX })
        .collect();
    draw_blocks(settings, &blocks, rng)
}

/// Draws the channel of a batch whose `blocks`, row by row of each crop, are sent as they say.
pub fn draw_blocks(settings: &[Setting], blocks: &[Block], rng: &mut StdRng) -> Draw {
    let channels = settings.first().map_or(0, |setting| 2 * setting.rates[setting.rates.len() - 1]);
    let places = blocks.len() / (settings.len() * GROUP).max(1);
    let values = blocks.len() * channels;
    let mut out = Draw {
        sent: vec![0.0; values],
        arrives: vec![0.0; values],
        noise: vec![0.0; values],
        variance: vec![0.0; values],
        sent_share: Vec::with_capacity(settings.len()),
        rates: Vec::with_capacity(blocks.len()),
        told_db: settings.iter().map(|setting| setting.told_db).collect(),
    };
    let mut normal = || -> f32 { StandardNormal.sample(rng) };
    let mut at = 0;
    for (setting, blocks) in settings.iter().zip(blocks.chunks_exact((GROUP * places).max(1))) {
        let rate = |block: &Block| setting.rates.iter().position(|&rate| rate >= block.symbols);
        out.rates.extend(blocks.iter().map(|block| rate(block).unwrap_or(setting.rates.len() - 1)));
        let sent: usize = blocks.iter().map(|block| block.symbols).sum();
        out.sent_share.push((2 * sent) as f32 / (channels * blocks.len()) as f32);
        let mean_variance = 10.0_f32.powf(-setting.snr_db / 10.0);
        let scattered = if setting.rician.is_finite() { 1.0 / (1.0 + setting.rician) } else { 0.0 };
        for blocks in blocks.chunks_exact(places) {
            for pair in 0..channels / 2 {
                for (place, &Block { symbols, amplitude, arriving }) in blocks.iter().enumerate() {
                    if pair >= symbols {
                        continue;
                    }
                    let both = [at + 2 * pair * places + place, at + (2 * pair + 1) * places + place];
                    both.iter().for_each(|&index| out.sent[index] = amplitude);
                    if 2 * pair >= arriving {
                        continue;
                    }
                    // One source of randomness is enough.
                    if setting.lost > 0.0 && uniform(normal()) < setting.lost {
                        continue;
                    }
                    let fading = if scattered > 0.0 {
                        let (steady, spread) = ((1.0 - scattered).sqrt(), (scattered / 2.0).sqrt());
                        ((steady + spread * normal()).powi(2) + (spread * normal()).powi(2)).max(0.003)
                    } else {
                        1.0
                    };
                    let variance = mean_variance / (fading * amplitude * amplitude);
                    for index in both {
                        out.arrives[index] = 1.0;
                        out.variance[index] = variance;
                        out.noise[index] = variance.sqrt() * normal();
                    }
                }
            }
            at += channels * places;
        }
    }
    out
}

/// A normal value to a uniform one in 0..1 (logistic approximation of the normal distribution, within 0.01).
fn uniform(normal: f32) -> f32 {
    1.0 / (1.0 + (-1.702 * normal).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn noise_has_the_power_that_was_asked_for() {
        let draw = draw(&[Setting::awgn(48, 3.0)], &[1.0; 16 * GROUP], &mut StdRng::seed_from_u64(1));
        let arrived: f32 = draw.arrives.iter().sum();
        assert_eq!(arrived as usize, GROUP * 96 * 16);
        let power: f32 = draw.noise.iter().map(|value| value * value).sum::<f32>() / arrived;
        assert!((power - 10.0_f32.powf(-0.3)).abs() < 0.03, "{power}");
    }

    #[test]
    fn losses_come_in_the_share_that_was_asked_for() {
        let setting = Setting { lost: 0.25, ..Setting::awgn(128, 10.0) };
        let draw = draw(&[setting], &[1.0; 64 * GROUP], &mut StdRng::seed_from_u64(2));
        let arrived = draw.arrives.iter().sum::<f32>() / draw.arrives.len() as f32;
        assert!((arrived - 0.75).abs() < 0.03, "{arrived}");
    }

    #[test]
    fn busy_parts_get_more_symbols() {
        let setting = Setting { adaptation: 1.0, ..Setting::awgn(36, 10.0) };
        let symbols = symbols(&setting, &[0.5, 1.0, 2.0]);
        assert_eq!(symbols, [16, 36, 72]);
    }
}
