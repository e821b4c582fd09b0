//! Crops over a random link, as `sct-integrated` and `sct-modular` send them: analog values with noise, or quantised ones
//! without; regions that are lost.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand::rngs::StdRng;

use super::super::channel::{Draw, Setting, draw_blocks};
use super::super::pictures::{Crops, GROUP};
use super::regions::{self, Chances, Regions};
use crate::ae::basis::BLOCK;
use crate::ae::network::{CHANNELS, UNKNOWN};
use crate::ae::rates::{RATES, gain};
use crate::sct::modular::{NOISE, ROUNDING};

/// Side of a cell of one rate, blocks: about what a picture of 768 × 512 pixels has.
const CELL: usize = 4;
/// Share of the groups whose values are quantised, and of those of which only the channels that would be sent as symbols arrive.
const QUANTISED: f64 = 0.4;
const CUT: f64 = 0.15;
/// Share of the groups whose thumbnails travel by themselves, as they do unless symbols are few.
const THUMBNAILS: f64 = 0.85;
/// Range of the logarithm to base 2 of the step of a coefficient: from some 37 dB down to what is sent at CBR 1/48.
const LOG_STEP: std::ops::Range<f32> = -3.2..1.2;

/// Crops and what the link does to them.
pub struct Batch {
    /// What the encoder gets: the crops less what the map tells of them.
    pub crops: Crops,
    /// The crops as they are, values of 0 to 1.
    pub whole: Vec<f32>,
    channel: Draw,
    /// Of quantised blocks, the step of their coefficients; zero for analog ones.
    steps: Vec<f32>,
    /// What arrives if it was quantised: one, else zero.
    kept: Vec<f32>,
    /// Of each block, whether it is lost and the region of its crop.
    fates: Vec<(bool, usize)>,
}

/// What the decoder gets, `[B, CHANNELS, h, w]` each.
pub struct Received {
    /// Values.
    pub values: Tensor<4>,
    /// Variance of the noise on them, [`UNKNOWN`] where nothing came.
    pub variance: Tensor<4>,
}

impl Batch {
    /// Crops over random links.
    pub fn draw(crops: Crops, chances: Chances, rng: &mut StdRng) -> Self {
        let groups = crops.groups;
        let settings: Vec<Setting> = (0..groups).map(|_| Setting::random(rng)).collect();
        let steps: Vec<f32> = (0..groups)
            .map(|_| if rng.random_bool(QUANTISED) { rng.random_range(LOG_STEP).exp2() } else { 0.0 })
            .collect();
        Self::with_steps(crops, THUMBNAILS, &settings, &steps, chances, rng)
    }

    /// Crops over one link, analog, some regions lost.
    pub fn over(crops: Crops, setting: Setting, chances: Chances, rng: &mut StdRng) -> Self {
        let groups = crops.groups;
        Self::with_steps(crops, 1.0, &vec![setting; groups], &vec![0.0; groups], chances, rng)
    }

    /// Crops whose coefficients are quantised by a step, of which all arrive that would be written.
    pub fn quantised(crops: Crops, step: f32, rng: &mut StdRng) -> Self {
        let groups = crops.groups;
        let settings = vec![Setting::awgn(RATES[RATES.len() - 1], 0.0); groups];
        Self::with_steps(crops, 1.0, &settings, &vec![step; groups], Chances::NONE, rng)
    }

    /// `thumbnails`: share of the groups whose thumbnails travel by themselves; `steps`: for each group, that of its
    /// coefficients; zero for analog values.
    fn with_steps(
        crops: Crops,
        thumbnails: f64,
        settings: &[Setting],
        steps: &[f32],
        chances: Chances,
        rng: &mut StdRng,
    ) -> Self {
        let whole = crops.whole();
        let crops = crops.without_thumbnails_where(|| rng.random_bool(thumbnails));
        let places = crops.side / BLOCK;
        let Regions { blocks, of_block } =
            regions::draw(settings, &crops.activity(CELL), places, chances, rng);
        let channel = draw_blocks(settings, &blocks, rng);
        let of_group = GROUP * places * places;
        let cut: Vec<bool> = steps.iter().map(|_| rng.random_bool(CUT)).collect();
        let mut kept = vec![0.0; channel.sent.len()];
        for (at, kept) in kept.iter_mut().enumerate() {
            let block = at / (CHANNELS * places * places) * places * places + at % (places * places);
            let channel_of = at / (places * places) % CHANNELS;
            let there =
                channel_of < blocks[block].arriving && (!cut[block / of_group] || channel.sent[at] > 0.0);
            *kept = f32::from(u8::from(there));
        }
        // What is sent with more power is, if quantised, quantised more finely.
        let steps = blocks
            .iter()
            .enumerate()
            .map(|(at, block)| steps[at / of_group] * gain(block.symbols) / block.amplitude);
        let fates = blocks.iter().map(|block| block.arriving == 0).zip(of_block).collect();
        Self { channel, steps: steps.collect(), kept, fates, crops, whole }
    }

    /// Number of crops.
    pub fn count(&self) -> usize {
        self.crops.groups * GROUP
    }

    /// Blocks along a side of a crop.
    pub fn places(&self) -> usize {
        self.crops.side / BLOCK
    }

    /// What the encoder gets, about zero, `[B, 3, side, side]`; `device` is one that does not differentiate.
    pub fn pictures(&self, device: &Device) -> Tensor<4> {
        let shape = [self.count(), 3, self.crops.side, self.crops.side];
        Tensor::from_data(TensorData::new(self.crops.values.clone(), shape), device)
    }

    /// What the map tells of the crops, `[B, 3, side, side]`: added, values are of 0 to 1.
    pub fn told(&self, device: &Device) -> Tensor<4> {
        let shape = [self.count(), 3, self.crops.side, self.crops.side];
        let whole = Tensor::from_data(TensorData::new(self.whole.clone(), shape), device);
        whole - self.pictures(device)
    }

    /// The same on the average of each block, `[B, 3, h, w]`.
    pub fn colours(&self, device: &Device) -> Tensor<4> {
        let (planes, places) = (3 * self.count(), self.places());
        let told = self.told(device).reshape([planes * places, BLOCK, places, BLOCK]);
        told.mean_dim(3).mean_dim(1).reshape([self.count(), 3, places, places])
    }

    /// One for each block that is lost, `[B, 1, h, w]`.
    pub fn lost(&self, device: &Device) -> Tensor<4> {
        let lost: Vec<f32> = self.fates.iter().map(|(lost, _)| f32::from(u8::from(*lost))).collect();
        Tensor::from_data(TensorData::new(lost, [self.count(), 1, self.places(), self.places()]), device)
    }

    /// The crops with every block in the mean colour of its region, which the map of a picture tells; as [`Self::pictures`].
    pub fn painted(&self, device: &Device) -> Tensor<4> {
        let (side, places) = (self.crops.side, self.places());
        let mut values = self.crops.values.clone();
        let of_crops = self.fates.chunks_exact(places * places);
        for (planes, fates) in values.chunks_exact_mut(3 * side * side).zip(of_crops) {
            let region = |at: usize| fates[at / side / BLOCK * places + at % side / BLOCK].1;
            for plane in planes.chunks_exact_mut(side * side) {
                let mut sums = vec![(0.0_f64, 0_usize); places * places];
                for (at, value) in plane.iter().enumerate() {
                    let (sum, count) = &mut sums[region(at)];
                    (*sum, *count) = (*sum + f64::from(*value), *count + 1);
                }
                for (at, value) in plane.iter_mut().enumerate() {
                    let (sum, count) = sums[region(at)];
                    *value = (sum / count.max(1) as f64) as f32;
                }
            }
        }
        Tensor::from_data(TensorData::new(values, [self.count(), 3, side, side]), device)
    }

    /// Mean square error of each group of crops.
    pub fn errors(&self, arrived: Tensor<4>, pictures: Tensor<4>) -> Tensor<1> {
        let groups = self.crops.groups;
        let values = GROUP * 3 * self.crops.side * self.crops.side;
        (arrived - pictures).square().reshape([groups, values]).mean_dim(1).reshape([groups])
    }

    /// Sends the encoder's values, whose variances over natural pictures are `variance`, `[CHANNELS]`.
    pub fn send(&self, values: Tensor<4>, variance: Tensor<1>, device: &Device) -> Received {
        let (groups, count, places) = (self.crops.groups, self.count(), self.places());
        let shape = [count, CHANNELS, places, places];
        let tensor = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), device);
        // Mean power of a sent value, over each group: the unit of the noise.
        let shares = TensorData::new(self.channel.sent_share.clone(), [groups, 1]);
        let power = (values.clone() * tensor(&self.channel.sent))
            .square()
            .reshape([groups, GROUP * CHANNELS * places * places])
            .mean_dim(1)
            / Tensor::from_data(shares, device);
        let power = power.add_scalar(1e-8).repeat_dim(1, GROUP).reshape([count, 1, 1, 1]);
        let unknown = |arrives: &Tensor<4>| arrives.clone().sub_scalar(1.0).mul_scalar(-UNKNOWN);
        let arrives = tensor(&self.channel.arrives);
        let noise = tensor(&self.channel.noise) * power.clone().sqrt();
        let analog = Received {
            variance: tensor(&self.channel.variance) * power + unknown(&arrives),
            values: values.clone() * arrives + noise,
        };
        if self.steps.iter().all(|&step| step == 0.0) {
            return analog;
        }
        let steps = TensorData::new(self.steps.clone(), [count, 1, places, places]);
        let steps = Tensor::<4>::from_data(steps, device);
        // One where quantised.
        let quantised = steps.clone().sign();
        // A value of variance v is a coefficient of variance v²; steps above zero, also where they are not used.
        let step = (steps + quantised.clone().neg().add_scalar(1.0))
            / variance.clone().sqrt().reshape([1, CHANNELS, 1, 1]);
        // Nothing tells the encoder what bytes cost: it learns from symbols alone.
        let values = values.detach();
        let exact = values.clone() / step.clone();
        let whole = exact.clone().abs().add_scalar(ROUNDING).floor();
        let zero = whole.clone().sign().neg().add_scalar(1.0);
        let read = exact.clone().sign() * whole;
        let told = zero.mul_scalar(NOISE.1 - NOISE.0).add_scalar(NOISE.0) * step.clone().square();
        let kept = tensor(&self.kept);
        let digital =
            Received { values: read * step * kept.clone(), variance: told * kept.clone() + unknown(&kept) };
        let other = quantised.clone().neg().add_scalar(1.0);
        Received {
            values: digital.values * quantised.clone() + analog.values * other.clone(),
            variance: digital.variance * quantised + analog.variance * other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn crops() -> Crops {
        let side = 64;
        let values = (0..GROUP * 3 * side * side).map(|at| (at * 31 % 101) as f32 / 100.0 - 0.5).collect();
        Crops { values, means: vec![[0.5; 3]], groups: 1, side }
    }

    fn mean(tensor: Tensor<4>) -> f32 {
        tensor.mean().into_scalar()
    }

    #[test]
    fn quantised_values_are_as_far_off_as_their_steps_are_wide_and_lie_on_them() {
        let device = Device::flex();
        let mut rng = StdRng::seed_from_u64(1);
        let mut batch =
            Batch::with_steps(crops(), 1.0, &[Setting::awgn(128, 15.0)], &[0.25], Chances::NONE, &mut rng);
        batch.kept.fill(1.0);
        device.seed(1);
        let shape = [GROUP, CHANNELS, 4, 4];
        let values = Tensor::random(shape, burn::tensor::Distribution::Normal(0.0, 0.5), &device);
        let received = batch.send(values.clone(), Tensor::ones([CHANNELS], &device), &device);
        let step = TensorData::new(batch.steps.clone(), [GROUP, 1, 4, 4]);
        let step = Tensor::<4>::from_data(step, &device);
        let steps = received.values.clone() / step.clone();
        assert!(mean((steps.clone() - steps.round()).abs()) < 1e-3);
        let error = mean(((received.values - values) / step.clone()).square());
        assert!((0.07..0.11).contains(&error), "{error} instead of about a twelfth");
        let told = mean(received.variance / step.square());
        assert!(told > NOISE.1 && told < NOISE.0, "{told}");
    }

    #[test]
    fn painting_keeps_the_mean_and_leaves_one_colour_a_region() {
        let device = Device::flex();
        let batch =
            Batch::over(crops(), Setting::awgn(48, 1.0), Chances::NONE, &mut StdRng::seed_from_u64(4));
        let (painted, pictures) = (batch.painted(&device), batch.pictures(&device));
        assert!((mean(painted.clone()) - mean(pictures)).abs() < 1e-5);
        let values: Vec<f32> = painted.into_data().iter::<f32>().collect();
        for (first, second) in [((0, 0), (15, 9)), ((16, 48), (31, 63))] {
            let at = |(y, x): (usize, usize)| values[y * 64 + x];
            assert_eq!(at(first), at(second));
        }
        assert_eq!(mean(batch.lost(&device)), 0.0);
    }

    #[test]
    fn of_a_lost_region_nothing_arrives_or_what_comes_before_its_end() {
        let device = Device::flex();
        let all = Chances { damaged: 1.0, lost: 1.0 };
        for step in [0.0, 0.25] {
            let mut seen = [false; 2];
            for seed in 0..8 {
                let mut rng = StdRng::seed_from_u64(seed);
                let batch =
                    Batch::with_steps(crops(), 1.0, &[Setting::awgn(48, 1.0)], &[step], all, &mut rng);
                let values = Tensor::ones([GROUP, CHANNELS, 4, 4], &device);
                let received = batch.send(values, Tensor::ones([CHANNELS], &device), &device);
                let lost: Vec<f32> = batch.lost(&device).into_data().iter::<f32>().collect();
                let variance: Vec<f32> = received.variance.into_data().iter::<f32>().collect();
                for (block, lost) in lost.iter().enumerate() {
                    let of = |channel| variance[(block / 16 * CHANNELS + channel) * 16 + block % 16];
                    let known: Vec<bool> = (0..CHANNELS).map(|channel| of(channel) < UNKNOWN).collect();
                    let count = known.iter().filter(|known| **known).count();
                    assert!(count < CHANNELS && known[..count].iter().all(|known| *known), "{known:?}");
                    assert_eq!(count == 0, *lost == 1.0);
                    seen[usize::from(count > 0)] = true;
                }
            }
            assert_eq!(seen, [true; 2]);
        }
    }
}
