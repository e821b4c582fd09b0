//! Semantic analysis: a picture → regions, each a semantic feature vector with a score.
//!
//! In → out: a picture, what is to matter, perhaps a segmentation network → for each block of 16 × 16 pixels the region that
//! it belongs to, and for each region its class, if it has one, and its score.
//!
//! Blocks whose class a network knows are of the region of that class, wherever they are. The other blocks are cut into
//! [`superpixels`], and those that look alike are merged into [`clusters`]: so a picture of which nobody knows anything has
//! regions too. All of it happens on a reduced picture, whose size is bounded.

pub mod clusters;
pub mod reduced;
pub mod superpixels;

use semcast_common::content::Picture;
use semcast_common::intent::{Intent, Keep};

use super::importance;
use super::segmentation::Segmenter;
use crate::ModelError;
use crate::ae::basis::BLOCK;
use clusters::Features;
use reduced::resized;
use semcast_common::content::classes::{CLASSES, COUNT, OTHER};
use superpixels::{lab, slic};

/// Most regions of a picture.
pub const MAX_REGIONS: usize = 12;
/// Pixels of the reduced picture along the side of a block, the first that keeps it small enough.
const SIDES: [usize; 3] = [4, 2, 1];
/// Pixels of the reduced picture, at most, where there is a choice.
const MAX_REDUCED: usize = 400_000;
/// Blocks of a superpixel, about, and most superpixels.
const SUPERPIXEL_BLOCKS: usize = 8;
const MAX_SUPERPIXELS: usize = 240;
/// A class that is not worth a region of its own has less than this share of all blocks.
const LEAST_SHARE: f32 = 0.004;
/// How often a place counts that shows what matters, so that nobody is cut at the border of a block: a fifth of a block is enough.
const EMPHASIS: usize = 4;
/// Most regions of what has no class, beside such as have one.
const MOST_UNKNOWN: usize = 5;

/// A part of a picture that is sent as one semantic feature vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// A number of [`semcast_common::content::classes::CLASSES`]; none where no network knows it.
    pub class: Option<u8>,
    /// The sum of the importance of its blocks, at least zero.
    pub importance: f32,
}

/// The regions of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// Blocks from left to right.
    pub across: usize,
    /// Blocks from top to bottom.
    pub down: usize,
    /// The region of each block, row by row.
    pub of_block: Vec<u8>,
    /// 1 to [`MAX_REGIONS`] regions of at least one block each, the most important first.
    pub regions: Vec<Region>,
}

impl Analysis {
    /// From the region and the importance of each block, row by row, and the class of each region: scores are added up, the most
    /// important region becomes the first, and those without a block are left out.
    pub fn new(across: usize, of_block: &[u8], importance: &[f32], classes: &[Option<u8>]) -> Self {
        let mut scores = vec![(0.0_f64, 0_usize); classes.len()];
        for (&region, &value) in of_block.iter().zip(importance) {
            let (score, blocks) = &mut scores[usize::from(region)];
            *score += if value.is_finite() { f64::from(value.max(0.0)) } else { 0.0 };
            *blocks += 1;
        }
        let mut order: Vec<usize> = (0..classes.len()).filter(|&region| scores[region].1 > 0).collect();
        order.sort_by(|&a, &b| scores[b].0.total_cmp(&scores[a].0).then(a.cmp(&b)));
        let mut place = vec![0_u8; classes.len()];
        order.iter().enumerate().for_each(|(to, &from)| place[from] = to as u8);
        let region = |&from: &usize| Region { class: classes[from], importance: scores[from].0 as f32 };
        Self {
            across,
            down: of_block.len() / across.max(1),
            of_block: of_block.iter().map(|&region| place[usize::from(region)]).collect(),
            regions: order.iter().map(region).collect(),
        }
    }

    /// Blocks of each region.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.regions.len()];
        self.of_block.iter().for_each(|&region| sizes[usize::from(region)] += 1);
        sizes
    }

    /// Importance a block of each region; the mean over the blocks of the picture is one.
    pub fn densities(&self) -> Vec<f32> {
        let total: f32 = self.regions.iter().map(|region| region.importance).sum();
        let mean = total / self.of_block.len().max(1) as f32;
        let density = |(region, size): (&Region, usize)| region.importance / (size.max(1) as f32 * mean);
        let densities = self.regions.iter().zip(self.sizes()).map(density);
        if mean > 0.0 { densities.collect() } else { vec![1.0; self.regions.len()] }
    }

    /// How much the densities differ: their standard deviation over the blocks, with a mean of one.
    pub fn spread(&self) -> f32 {
        let blocks = self.of_block.len().max(1) as f32;
        let squares = self.densities().into_iter().zip(self.sizes());
        let variance: f32 = squares.map(|(density, size)| size as f32 * (density - 1.0).powi(2)).sum();
        (variance / blocks).sqrt()
    }
}

/// Everything that an analysis found, for those who want to see it.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The regions.
    pub analysis: Analysis,
    /// The class of each block; [`OTHER`] where none is known.
    pub classes: Vec<u8>,
    /// The importance of each block that the scores are sums of; its mean is one.
    pub importance: Vec<f32>,
}

/// The regions of a picture. `entropy`: of each block, as [`importance::entropy`] measures it; `segmenter`: without one, no
/// block has a class.
pub fn analyse(
    picture: &Picture,
    entropy: &[f32],
    intent: &Intent,
    segmenter: Option<&Segmenter>,
) -> Result<Analysis, ModelError> {
    inspect(picture, entropy, intent, segmenter).map(|inspection| inspection.analysis)
}

/// As [`analyse`], with all that it found on the way.
pub fn inspect(
    picture: &Picture,
    entropy: &[f32],
    intent: &Intent,
    segmenter: Option<&Segmenter>,
) -> Result<Inspection, ModelError> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (across, down) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
    if entropy.len() != across * down {
        return Err(ModelError::Internal(format!(
            "the entropy of {} blocks was given for a picture of {across} x {down}",
            entropy.len()
        )));
    }
    let asked_for = match &intent.keep {
        Some(Keep::Classes(names)) => importance::numbers(names)?,
        _ => Vec::new(),
    };
    if !asked_for.is_empty() && segmenter.is_none() {
        let text = "classes are to be kept, and nothing tells what the picture shows: name a network with --segmentation";
        return Err(ModelError::Choice(text.into()));
    }
    let protected = |class: usize| match &intent.keep {
        Some(Keep::Classes(_)) => asked_for.contains(&(class as u8)),
        _ => CLASSES[class].prior > 1.0,
    };
    let weights = std::array::from_fn(|class| if protected(class) { EMPHASIS } else { 1 });
    let classes = match segmenter {
        Some(segmenter) => segmenter.segment(picture)?.weighed(width, height, BLOCK, &weights),
        None => vec![OTHER; across * down],
    };
    let importance = importance::measure(picture, entropy, &classes, intent, segmenter)?;
    let mask = match &intent.keep {
        Some(keep @ Keep::Mask(_)) => Some(importance::kept(keep, &classes, across, down)?),
        _ => None,
    };
    let cut = Cut { picture, across, classes: &classes, protected: &protected };
    let analysis = match &mask {
        // What is kept and what is not have no region in common.
        Some(mask) if mask.contains(&true) && mask.contains(&false) => {
            let half = |side: bool| -> Vec<bool> { mask.iter().map(|&kept| kept == side).collect() };
            let (inner, mut regions) = cut.regions(&half(true), MAX_REGIONS / 2);
            let (outer, others) = cut.regions(&half(false), MAX_REGIONS / 2);
            let first = regions.len() as u8;
            regions.extend(others);
            let pairs = inner.into_iter().zip(outer).zip(mask);
            let of_block = pairs.map(|((inner, outer), &kept)| if kept { inner } else { first + outer });
            Analysis::new(across, &of_block.collect::<Vec<u8>>(), &importance, &regions)
        }
        _ => {
            let (of_block, regions) = cut.regions(&vec![true; across * down], MAX_REGIONS);
            Analysis::new(across, &of_block, &importance, &regions)
        }
    };
    Ok(Inspection { analysis, classes, importance })
}

/// What is cut into regions.
struct Cut<'a> {
    picture: &'a Picture,
    across: usize,
    classes: &'a [u8],
    /// Whether a class keeps a region of its own, however small.
    protected: &'a dyn Fn(usize) -> bool,
}

impl Cut<'_> {
    /// The region of each block of those that are `inside` (of the others, zero), and the class of each region.
    fn regions(&self, inside: &[bool], most: usize) -> (Vec<u8>, Vec<Option<u8>>) {
        let mut counts = [0_usize; COUNT];
        for (&class, _) in self.classes.iter().zip(inside).filter(|(_, inside)| **inside) {
            counts[usize::from(class)] += 1;
        }
        let blocks: usize = counts.iter().sum();
        let mut own: Vec<usize> = (1..COUNT)
            .filter(|&class| {
                let worth = counts[class] as f32 >= LEAST_SHARE * blocks as f32;
                counts[class] > 0 && (worth || (self.protected)(class))
            })
            .collect();
        // The last places go to what has no class; until there is room, the smallest class that nobody asks for goes there.
        let known: usize = own.iter().map(|&class| counts[class]).sum();
        let room = if known < blocks { most - 1 } else { most };
        own.sort_by_key(|&class| (!(self.protected)(class), std::cmp::Reverse(counts[class])));
        own.truncate(if own.len() > room { most - 1 } else { room });
        let mut of_block = vec![0_u8; self.classes.len()];
        let mut rest = vec![false; self.classes.len()];
        for (at, &class) in self.classes.iter().enumerate().filter(|(at, _)| inside[*at]) {
            match own.iter().position(|&own| own == usize::from(class)) {
                Some(region) => of_block[at] = region as u8,
                None => rest[at] = true,
            }
        }
        let mut regions: Vec<Option<u8>> = own.iter().map(|&class| Some(class as u8)).collect();
        if rest.contains(&true) {
            let most = (most - own.len()).min(if own.is_empty() { most } else { MOST_UNKNOWN });
            let (clusters, count) = self.clusters(&rest, most);
            for (at, cluster) in clusters.into_iter().enumerate().filter(|(at, _)| rest[*at]) {
                of_block[at] = (own.len() + cluster) as u8;
            }
            regions.extend(std::iter::repeat_n(None, count));
        }
        (of_block, regions)
    }

    /// Cuts blocks by how they look; tells the cluster of each of them, and how many there are.
    fn clusters(&self, rest: &[bool], most: usize) -> (Vec<usize>, usize) {
        let (width, height) = (self.picture.width() as usize, self.picture.height() as usize);
        let (across, down) = (self.across, rest.len() / self.across);
        let small = |side: &usize| rest.len() * side * side <= MAX_REDUCED;
        let side = SIDES.into_iter().find(small).unwrap_or(1);
        let to = |pixels: usize, blocks: usize| (pixels * side).div_ceil(BLOCK).clamp(1, blocks * side);
        let (columns, rows) = (to(width, across), to(height, down));
        let lab = lab(&resized(self.picture, columns, rows));
        let wanted = (rest.len() / SUPERPIXEL_BLOCKS).clamp(1, MAX_SUPERPIXELS);
        let (labels, count) = slic(&lab, columns, wanted);
        // A block is of the superpixel of its middle pixel.
        let mut sums = vec![([0.0_f64; 6], 0_usize); count];
        let mut superpixel = vec![0_usize; rest.len()];
        for block in (0..rest.len()).filter(|&block| rest[block]) {
            let (row, column) = (block / across, block % across);
            let span = |at: usize, end: usize| (at * side).min(end - 1)..((at + 1) * side).min(end);
            let (xs, ys) = (span(column, columns), span(row, rows));
            let middle = |span: &std::ops::Range<usize>| span.start + (span.len() - 1) / 2;
            superpixel[block] = labels[middle(&ys) * columns + middle(&xs)] as usize;
            let (features, blocks) = &mut sums[superpixel[block]];
            let look = look(&lab, columns, &xs, &ys);
            let place = [column as f32 / across as f32, row as f32 / down as f32];
            let all = look.into_iter().chain(place);
            features.iter_mut().zip(all).for_each(|(sum, value)| *sum += f64::from(value));
            *blocks += 1;
        }
        let groups: Vec<(Features, usize)> = sums
            .into_iter()
            .map(|(sums, blocks)| (sums.map(|sum| (sum / blocks.max(1) as f64) as f32), blocks))
            .collect();
        let (of, count) = clusters::merge(&groups, most);
        (superpixel.into_iter().map(|superpixel| of[superpixel]).collect(), count)
    }
}

/// Mean lightness and colour of a block, and how its lightness varies.
fn look(
    lab: &[[f32; 3]],
    width: usize,
    xs: &std::ops::Range<usize>,
    ys: &std::ops::Range<usize>,
) -> [f32; 4] {
    let pixels = || ys.clone().flat_map(|y| &lab[y * width..][xs.clone()]);
    let count = (xs.len() * ys.len()) as f32;
    let mean = [0, 1, 2].map(|channel| pixels().map(|pixel| pixel[channel]).sum::<f32>() / count);
    let variance = pixels().map(|pixel| (pixel[0] - mean[0]).powi(2)).sum::<f32>() / count;
    [mean[0], mean[1], mean[2], variance.sqrt()]
}

#[cfg(test)]
mod tests;
