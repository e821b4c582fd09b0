//! Which regions a picture has, and how much each matters.

use crate::ae::network::CHANNELS;

/// Most regions of a picture.
pub const MAX_REGIONS: usize = 12;

/// Blocks for each region, at least.
const LEAST_BLOCKS: usize = 24;
/// Rounds of clustering.
const ROUNDS: usize = 8;
/// How much a place counts against busyness and colour.
const PLACE: f32 = 1.5;
/// Noise under which a value tells nothing: that of a picture at 34 dB.
const FLOOR: f32 = 4.0e-4;

/// The regions of a picture of `across` × `down` blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Blocks from left to right.
    pub across: usize,
    /// Blocks from top to bottom.
    pub down: usize,
    /// The region of each block, row by row.
    pub of_block: Vec<u8>,
    /// 1 to [`MAX_REGIONS`] regions of falling importance, each with at least one block.
    pub regions: Vec<Region>,
}

/// A semantic feature vector: what belongs together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// The class that a segmentation network saw in it.
    pub class: Option<u8>,
    /// The sum of the importance map over its blocks, ≥ 0.
    pub importance: f32,
}

impl Analysis {
    /// From a region and an importance for each block; regions are ordered, and those without a block left out.
    pub fn new(
        across: usize,
        down: usize,
        of_block: &[u8],
        importance: &[f32],
        class: impl Fn(u8) -> Option<u8>,
    ) -> Self {
        let mut found: Vec<(u8, f32)> = Vec::new();
        for (&region, &importance) in of_block.iter().zip(importance) {
            let importance = if importance.is_finite() { importance.max(0.0) } else { 0.0 };
            match found.iter_mut().find(|(known, _)| *known == region) {
                Some((_, sum)) => *sum += importance,
                None => found.push((region, importance)),
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let place = |region: &u8| found.iter().position(|(known, _)| known == region).unwrap_or(0) as u8;
        Self {
            across,
            down,
            of_block: of_block.iter().map(place).collect(),
            regions: found
                .iter()
                .map(|&(region, importance)| Region { class: class(region), importance })
                .collect(),
        }
    }

    /// Blocks of each region.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.regions.len()];
        self.of_block.iter().for_each(|&region| sizes[usize::from(region)] += 1);
        sizes
    }

    /// Importance of each region for a block of it, over the mean of the picture.
    pub fn densities(&self) -> Vec<f32> {
        let sum: f32 = self.regions.iter().map(|region| region.importance).sum();
        let mean = sum / self.of_block.len().max(1) as f32;
        let density = |(region, size): (&Region, usize)| {
            if mean > 0.0 { region.importance / size.max(1) as f32 / mean } else { 1.0 }
        };
        self.regions.iter().zip(self.sizes()).map(density).collect()
    }
}

/// The number of a class by its name.
pub fn class_by_name(_name: &str) -> Option<u8> {
    None
}

/// The regions of a picture, from the `values` of its blocks (channel by channel) and the variance of each channel: clusters
/// of blocks that are alike in place, busyness and colour; a block's importance is the entropy of its values.
pub fn analyse(values: &[f32], variance: &[f32], across: usize, down: usize) -> Analysis {
    let blocks = across * down;
    let mut entropy = vec![0.0_f32; blocks];
    for (channel, values) in values.chunks_exact(blocks).enumerate().take(CHANNELS) {
        let worth = variance[channel];
        for (sum, value) in entropy.iter_mut().zip(values) {
            *sum += 0.5 * (1.0 + worth * value * value / FLOOR).log2();
        }
    }
    let most = (blocks / LEAST_BLOCKS).clamp(1, MAX_REGIONS);
    let mean = entropy.iter().sum::<f32>() / blocks as f32 + 1.0e-3;
    let points: Vec<[f32; 6]> = (0..blocks)
        .map(|block| {
            let colour = |channel: usize| {
                let at = channel * blocks + block;
                values.get(at).map_or(0.0, |value| value / variance[channel].sqrt().max(1.0e-6))
            };
            [
                PLACE * (block % across) as f32 / across as f32,
                PLACE * (block / across) as f32 / down as f32,
                entropy[block] / mean,
                0.3 * colour(0).clamp(-3.0, 3.0),
                0.15 * colour(1).clamp(-3.0, 3.0),
                0.15 * colour(2).clamp(-3.0, 3.0),
            ]
        })
        .collect();
    let distance = |a: &[f32; 6], b: &[f32; 6]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let nearest = |point: &[f32; 6], centres: &[[f32; 6]]| {
        let by = |at: &usize| distance(point, &centres[*at]);
        (0..centres.len()).min_by(|a, b| by(a).total_cmp(&by(b))).unwrap_or(0) as u8
    };
    let mut centres: Vec<[f32; 6]> = (0..most).map(|at| points[(2 * at + 1) * blocks / (2 * most)]).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0_f32; 6], 0_u32); most];
        for point in &points {
            let sum = &mut sums[usize::from(nearest(point, &centres))];
            sum.0.iter_mut().zip(point).for_each(|(sum, value)| *sum += value);
            sum.1 += 1;
        }
        for (centre, (sum, count)) in centres.iter_mut().zip(sums) {
            if count > 0 {
                *centre = sum.map(|value| value / count as f32);
            }
        }
    }
    let of_block: Vec<u8> = points.iter().map(|point| nearest(point, &centres)).collect();
    Analysis::new(across, down, &of_block, &entropy, |_| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_a_region_and_importances_fall() {
        for (across, down) in [(1, 1), (48, 32), (7, 9), (300, 2)] {
            let blocks = across * down;
            let values: Vec<f32> =
                (0..CHANNELS * blocks).map(|at| ((at * 7919 % 1000) as f32 - 500.0) / 3000.0).collect();
            let analysis = analyse(&values, &[0.1; CHANNELS], across, down);
            assert!((1..=MAX_REGIONS).contains(&analysis.regions.len()));
            assert!(analysis.sizes().iter().all(|&size| size > 0));
            assert!(analysis.regions.windows(2).all(|pair| pair[0].importance >= pair[1].importance));
            let sizes = analysis.sizes();
            let mean: f32 = analysis.densities().iter().zip(&sizes).map(|(d, &size)| d * size as f32).sum();
            assert!((mean / blocks as f32 - 1.0).abs() < 1e-3);
        }
    }
}
