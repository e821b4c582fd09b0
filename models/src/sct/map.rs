//! The map: what the receiver must know of a picture's regions before anything of them means something.
//!
//! It is the first feature of a message and its most robust one. With it alone a picture of regions of one colour each
//! and of slow changes can be made; without it nothing has a place.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | bits 0–3: version, 2; bit 4: 0 modular, 1 integrated; bit 5: 0 for people, 1 for a machine; bit 6: 1 with a thumbnail; bit 7: zero |
//! | 1 | number of regions, 1 to 12 |
//! | 7 each | regions of falling importance: class (255 for none); importance of a block over the picture's mean, 8 · log₂ + 128; mean red, green, blue, with a thumbnail that of what it leaves, halved, about 128; two bytes of the system, see below |
//! | to the end | range coded: region of every block; of the integrated system, rate of every cell; thumbnail (as in [`crate::ae::base`]) |
//!
//! The two bytes of a region are 255, 255 if it is not sent; else of the modular system the step of its quantiser, 0 to 127,
//! and the number of its channels less one; of the integrated system its power, 256 · log₂, little endian as a signed number,
//! −32768 for a region without any values (65535 stands for a power that does not occur).
//!
//! A block is told by bits that follow what they see: whether it is of the region of its left neighbour, else of the one above
//! it, else which. A cell is what a region has in a square of [`Grid`], with sides half as long again; cells are counted square by square and in each
//! by region. Its rate is told by whether it is that of the same region's last cell, else which.

use semcast_common::intent::Purpose;

use super::analysis::{Analysis, MAX_REGIONS, Region};
use crate::ModelError;
use crate::ae::base::{read_thumbnail, write_thumbnail};
use crate::ae::basis::BLOCK;
use crate::ae::network::CHANNELS;
use crate::ae::rates::Grid;
use crate::ae::thumbnail::Thumbnail;
use crate::coder::{AdaptiveBit, Decoder, Encoder};

/// Greatest number of a quantiser's step.
pub const MAX_STEP: u8 = 127;

const VERSION: u8 = 2;
const INTEGRATED: u8 = 1 << 4;
const FOR_MACHINE: u8 = 1 << 5;
const WITH_THUMBNAIL: u8 = 1 << 6;
const REGION_BYTES: usize = 7;
const NO_CLASS: u8 = u8::MAX;
const UNSENT: [u8; 2] = [255, 255];
const SILENT: i16 = i16::MIN;
/// Bits of a rate.
const RATE_BITS: usize = 3;

/// How the colours of regions are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourScale {
    /// What stands for planes of zeros.
    pub zero: [u8; 3],
    /// Steps of what is written from zero to one.
    pub steps: f32,
}

impl ColourScale {
    /// Of planes about the picture's mean colour; beside a thumbnail, of what it leaves of them, which may be as far from zero as black
    /// from white, either way.
    pub fn new(mean: [u8; 3], beside_thumbnail: bool) -> Self {
        if beside_thumbnail {
            Self { zero: [128; 3], steps: 127.0 }
        } else {
            Self { zero: mean, steps: 255.0 }
        }
    }
}

/// How the values of a region are quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiser {
    /// The step's number, at most [`MAX_STEP`].
    pub step: u8,
    /// Channels that are written, 1 to [`CHANNELS`].
    pub channels: usize,
}

/// How a region is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coding {
    /// Not at all.
    Unsent,
    /// As quantised values.
    Modular(Quantiser),
    /// As symbols, which are values of this mean square scaled to unit power; none if all values are zero.
    Integrated(Option<f32>),
}

/// A region, as the receiver knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapRegion {
    /// Its class, if one is known.
    pub class: Option<u8>,
    /// Importance of a block of it over the picture's mean, to an eighth of an octave.
    pub density: f32,
    /// Mean colour; if there is a thumbnail, that of what it leaves of the picture. Written as [`ColourScale`] says.
    pub colour: [u8; 3],
    /// How it is sent.
    pub coding: Coding,
}

/// The map of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Blocks from left to right.
    pub across: usize,
    /// Blocks from top to bottom.
    pub down: usize,
    /// Region of each block, row by row.
    pub of_block: Vec<u8>,
    /// Regions of falling importance.
    pub regions: Vec<MapRegion>,
    /// Of the integrated system: rate of each cell that is sent, an index into [`crate::ae::rates::RATES`].
    pub rates: Vec<u8>,
    /// Whom the picture is for.
    pub purpose: Purpose,
    /// The slow changes of the picture, unless the values tell them.
    pub thumbnail: Option<Thumbnail>,
}

/// Which of the two systems a map is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Regions are bytes.
    Modular,
    /// Regions are symbols.
    Integrated,
}

/// The cells of the integrated system: what each region has in each square of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// Cell of each block; [`usize::MAX`] where its region is not sent.
    pub of_block: Vec<usize>,
    /// Region of each cell.
    pub region: Vec<u8>,
    /// Blocks in each cell.
    pub sizes: Vec<usize>,
}

impl Cells {
    /// The cells of the regions that are sent.
    pub fn new(across: usize, down: usize, of_block: &[u8], sent: impl Fn(u8) -> bool) -> Self {
        // Larger squares than `ae` has: a region is alike in itself, and every rate costs bits of the map.
        let grid = Grid::coarse(across, down);
        let grid = Grid { side: grid.side * 3 / 2, ..grid };
        let mut sizes = vec![0; grid.cells() * MAX_REGIONS];
        let number = |block: usize| grid.cell(block) * MAX_REGIONS + usize::from(of_block[block]);
        let blocks = (0..of_block.len()).filter(|&block| sent(of_block[block]));
        blocks.for_each(|block| sizes[number(block)] += 1);
        let mut cells = Self { of_block: Vec::new(), region: Vec::new(), sizes: Vec::new() };
        let mut places = vec![usize::MAX; sizes.len()];
        for (number, size) in sizes.into_iter().enumerate().filter(|&(_, size)| size > 0) {
            places[number] = cells.sizes.len();
            cells.region.push((number % MAX_REGIONS) as u8);
            cells.sizes.push(size);
        }
        cells.of_block = (0..of_block.len()).map(|block| places[number(block)]).collect();
        cells
    }
}

impl Map {
    /// A map of regions of which nothing is said yet but what they are.
    pub fn of(
        analysis: &Analysis,
        colours: &[[u8; 3]],
        thumbnail: Option<Thumbnail>,
        purpose: Purpose,
    ) -> Self {
        let regions = analysis.regions.iter().zip(analysis.densities()).zip(colours);
        let region = |((region, density), &colour): ((&Region, f32), &[u8; 3])| MapRegion {
            class: region.class,
            density,
            colour,
            coding: Coding::Unsent,
        };
        Self {
            across: analysis.across,
            down: analysis.down,
            of_block: analysis.of_block.clone(),
            regions: regions.map(region).collect(),
            rates: Vec::new(),
            purpose,
            thumbnail,
        }
    }

    /// How the colours of the regions are written, for a picture of a mean colour.
    pub fn colour_scale(&self, mean: [u8; 3]) -> ColourScale {
        ColourScale::new(mean, self.thumbnail.is_some())
    }

    /// Whether a region is sent.
    pub fn is_sent(&self, region: u8) -> bool {
        self.regions.get(usize::from(region)).is_some_and(|region| region.coding != Coding::Unsent)
    }

    /// The regions that are sent, in the order of their features.
    pub fn sent(&self) -> impl Iterator<Item = usize> {
        (0..self.regions.len()).filter(|&region| self.regions[region].coding != Coding::Unsent)
    }

    /// The cells of the integrated system.
    pub fn cells(&self) -> Cells {
        Cells::new(self.across, self.down, &self.of_block, |region| self.is_sent(region))
    }

    /// To bytes.
    pub fn to_bytes(&self, kind: Kind) -> Vec<u8> {
        let machine = if self.purpose == Purpose::Machine { FOR_MACHINE } else { 0 };
        let thumbnail = if self.thumbnail.is_some() { WITH_THUMBNAIL } else { 0 };
        let mut bytes = vec![of_kind(kind) | machine | thumbnail];
        bytes.push(self.regions.len() as u8);
        for region in &self.regions {
            bytes.push(region.class.unwrap_or(NO_CLASS));
            bytes.push((8.0 * region.density.max(1.0e-6).log2() + 128.0).round() as u8);
            bytes.extend(region.colour);
            bytes.extend(match region.coding {
                Coding::Unsent => UNSENT,
                Coding::Modular(quantiser) => [quantiser.step.min(MAX_STEP), (quantiser.channels - 1) as u8],
                Coding::Integrated(power) => power.map_or(SILENT, level).to_le_bytes(),
            });
        }
        let mut encoder = Encoder::default();
        let mut models = LabelModels::default();
        for (block, &region) in self.of_block.iter().enumerate() {
            let near = Near::of(&self.of_block, block, self.across);
            near.write(&mut encoder, &mut models, region, self.regions.len());
        }
        if kind == Kind::Integrated {
            let cells = self.cells();
            let mut models = RateModels::default();
            for (&region, &rate) in cells.region.iter().zip(&self.rates) {
                models.write(&mut encoder, usize::from(region), rate);
            }
        }
        if let Some(thumbnail) = &self.thumbnail {
            write_thumbnail(&mut encoder, thumbnail);
        }
        bytes.extend(encoder.finish());
        bytes
    }

    /// From bytes that may be anything, for a picture of so many blocks.
    pub fn parse(bytes: &[u8], kind: Kind, across: usize, down: usize) -> Result<Self, ModelError> {
        let wrong = |text: String| ModelError::Damaged(format!("the map of the regions: {text}"));
        let Some((&[first, count], rest)) = bytes.split_first_chunk::<2>() else {
            return Err(wrong(format!("{} bytes", bytes.len())));
        };
        let expected = of_kind(kind);
        let count = usize::from(count);
        if first & !(FOR_MACHINE | WITH_THUMBNAIL) != expected || !(1..=MAX_REGIONS).contains(&count) {
            return Err(wrong(format!(
                "version {first} with {count} regions, not {expected} with 1 to {MAX_REGIONS}"
            )));
        }
        let Some((described, coded)) = rest.split_at_checked(REGION_BYTES * count) else {
            return Err(wrong(format!("{} bytes for {count} regions", bytes.len())));
        };
        let region = |bytes: &[u8]| {
            let coding = match ([bytes[5], bytes[6]], kind) {
                (UNSENT, _) => Coding::Unsent,
                ([step, channels], Kind::Modular) => Coding::Modular(Quantiser {
                    step: step.min(MAX_STEP),
                    channels: (usize::from(channels) + 1).min(CHANNELS),
                }),
                (power, Kind::Integrated) => match i16::from_le_bytes(power) {
                    SILENT => Coding::Integrated(None),
                    level => Coding::Integrated(Some((f32::from(level) / 256.0).clamp(-60.0, 60.0).exp2())),
                },
            };
            MapRegion {
                class: (bytes[0] != NO_CLASS).then_some(bytes[0]),
                density: ((f32::from(bytes[1]) - 128.0) / 8.0).exp2(),
                colour: [bytes[2], bytes[3], bytes[4]],
                coding,
            }
        };
        let mut decoder = Decoder::new(coded, false);
        let mut map = Self {
            across,
            down,
            of_block: Vec::with_capacity(across * down),
            regions: described.chunks_exact(REGION_BYTES).map(region).collect(),
            rates: Vec::new(),
            purpose: if first & FOR_MACHINE == 0 { Purpose::People } else { Purpose::Machine },
            thumbnail: None,
        };
        let mut models = LabelModels::default();
        for block in 0..across * down {
            let near = Near::of(&map.of_block, block, across);
            let region = near.read(&mut decoder, &mut models, count);
            map.of_block.push(region.ok_or_else(|| wrong("regions of blocks that do not exist".into()))?);
        }
        if kind == Kind::Integrated {
            let mut models = RateModels::default();
            for region in map.cells().region {
                let rate = models.read(&mut decoder, usize::from(region));
                map.rates.push(rate.ok_or_else(|| wrong("rates that do not exist".into()))?);
            }
        }
        if first & WITH_THUMBNAIL != 0 {
            let thumbnail = read_thumbnail(&mut decoder, across * BLOCK, down * BLOCK);
            map.thumbnail = Some(thumbnail.ok_or_else(|| wrong("a thumbnail that makes no sense".into()))?);
        }
        Ok(map)
    }
}

/// The first byte of a map of a system, for people.
fn of_kind(kind: Kind) -> u8 {
    VERSION | if kind == Kind::Integrated { INTEGRATED } else { 0 }
}

/// A power to a 256th of an octave, as it is sent; never that of no power, nor what stands for not sent.
fn level(power: f32) -> i16 {
    let level = (256.0 * power.max(f32::MIN_POSITIVE).log2()).round().clamp(-15_000.0, 15_000.0) as i16;
    if level.to_le_bytes() == UNSENT { level - 1 } else { level }
}

/// A power, as the receiver reads it.
pub fn rounded_power(power: f32) -> f32 {
    (f32::from(level(power)) / 256.0).exp2()
}

/// Regions of the neighbours that are known.
#[derive(Clone, Copy)]
struct Near {
    left: Option<u8>,
    above: Option<u8>,
    context: usize,
}

#[derive(Default)]
struct LabelModels {
    as_left: [AdaptiveBit; 12],
    as_above: [AdaptiveBit; 12],
    digits: [AdaptiveBit; 16],
}

impl Near {
    fn of(known: &[u8], block: usize, across: usize) -> Self {
        let (row, column) = (block / across, block % across);
        let at = |there: bool, back: usize| {
            if there { known.get(block.wrapping_sub(back)).copied() } else { None }
        };
        let left = at(column > 0, 1);
        let above = at(row > 0, across);
        let corner = at(row > 0 && column > 0, across + 1);
        let right = at(row > 0 && column + 1 < across, across.wrapping_sub(1));
        let same = |a: Option<u8>, b: Option<u8>| usize::from(a.is_some() && a == b);
        let missing = usize::from(left.is_none() || above.is_none());
        let context = if missing == 1 {
            8 + same(left, corner) + same(above, right)
        } else {
            same(left, above) + 2 * same(above, right) + 4 * same(left, corner)
        };
        Self { left, above, context }
    }

    fn write(self, encoder: &mut Encoder, models: &mut LabelModels, region: u8, count: usize) {
        if let Some(left) = self.left {
            encoder.adaptive(region == left, &mut models.as_left[self.context]);
            if region == left {
                return;
            }
        }
        if let Some(above) = self.above.filter(|above| Some(*above) != self.left) {
            encoder.adaptive(region == above, &mut models.as_above[self.context]);
            if region == above {
                return;
            }
        }
        if count > 1 {
            tree(4, &mut models.digits, |model, bit| {
                let bit = region >> bit & 1 == 1;
                encoder.adaptive(bit, model);
                Some(bit)
            });
        }
    }

    fn read(self, decoder: &mut Decoder, models: &mut LabelModels, count: usize) -> Option<u8> {
        if let Some(left) = self.left
            && decoder.adaptive(&mut models.as_left[self.context])?
        {
            return Some(left);
        }
        if let Some(above) = self.above.filter(|above| Some(*above) != self.left)
            && decoder.adaptive(&mut models.as_above[self.context])?
        {
            return Some(above);
        }
        if count == 1 {
            return Some(0);
        }
        let region = tree(4, &mut models.digits, |model, _| decoder.adaptive(model))?;
        Some(region).filter(|&region| usize::from(region) < count)
    }
}

/// A number of `bits` bits, the highest first, each with a model that depends on those before it.
fn tree(
    bits: usize,
    models: &mut [AdaptiveBit],
    mut step: impl FnMut(&mut AdaptiveBit, usize) -> Option<bool>,
) -> Option<u8> {
    let mut node = 1;
    for bit in (0..bits).rev() {
        node = 2 * node + usize::from(step(models.get_mut(node)?, bit)?);
    }
    Some((node - (1 << bits)) as u8)
}

/// Rates, by what the same region had last.
#[derive(Default)]
struct RateModels {
    last: [u8; MAX_REGIONS],
    same: [AdaptiveBit; 2],
    digits: [[AdaptiveBit; 1 << RATE_BITS]; 1 << RATE_BITS],
    was_same: [bool; MAX_REGIONS],
}

impl RateModels {
    fn write(&mut self, encoder: &mut Encoder, region: usize, rate: u8) {
        let last = self.last[region];
        encoder.adaptive(rate == last, &mut self.same[usize::from(self.was_same[region])]);
        if rate != last {
            tree(RATE_BITS, &mut self.digits[usize::from(last)], |model, bit| {
                let bit = rate >> bit & 1 == 1;
                encoder.adaptive(bit, model);
                Some(bit)
            });
        }
        (self.last[region], self.was_same[region]) = (rate, rate == last);
    }

    fn read(&mut self, decoder: &mut Decoder, region: usize) -> Option<u8> {
        let last = self.last[region];
        let rate = if decoder.adaptive(&mut self.same[usize::from(self.was_same[region])])? {
            last
        } else {
            tree(RATE_BITS, &mut self.digits[usize::from(last)], |model, _| decoder.adaptive(model))?
        };
        (self.last[region], self.was_same[region]) = (rate, rate == last);
        Some(rate)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ae::rates::RATES;

    pub(crate) fn patches(across: usize, down: usize, regions: usize) -> Vec<u8> {
        (0..across * down).map(|at| ((at % across / 7 + at / across / 5 * 3) % regions) as u8).collect()
    }

    fn map(across: usize, down: usize, count: usize, kind: Kind) -> Map {
        let coding = |region: usize| match kind {
            _ if region % 5 == 3 => Coding::Unsent,
            Kind::Modular => Coding::Modular(Quantiser { step: 9 * region as u8, channels: 20 * region + 1 }),
            Kind::Integrated if region == 0 => Coding::Integrated(None),
            Kind::Integrated => Coding::Integrated(Some(0.25)),
        };
        let region = |at: usize| MapRegion {
            class: at.is_multiple_of(2).then_some(at as u8),
            density: 2.0,
            colour: [at as u8, 7, 255],
            coding: coding(at),
        };
        let mut map = Map {
            across,
            down,
            of_block: patches(across, down, count),
            regions: (0..count).map(region).collect(),
            rates: Vec::new(),
            purpose: if count.is_multiple_of(2) { Purpose::Machine } else { Purpose::People },
            thumbnail: (!count.is_multiple_of(3)).then(|| Thumbnail::flat(across * BLOCK, down * BLOCK)),
        };
        let levels = map.thumbnail.iter_mut().flat_map(|thumbnail| &mut thumbnail.levels);
        levels.enumerate().for_each(|(at, level)| *level = (at % 9) as i16 - 3);
        if kind == Kind::Integrated {
            map.rates = (0..map.cells().sizes.len()).map(|cell| (cell * 5 / 3 % 8) as u8).collect();
        }
        map
    }

    #[test]
    fn maps_come_back_and_are_small() {
        for kind in [Kind::Modular, Kind::Integrated] {
            for (across, down, count) in [(1, 1, 1), (48, 32, 12), (13, 7, 3), (1, 30, 2), (30, 1, 5)] {
                let map = map(across, down, count, kind);
                let bytes = map.to_bytes(kind);
                assert_eq!(Map::parse(&bytes, kind, across, down).unwrap(), map);
                assert!(bytes.len() < 450, "{} bytes for {across}x{down}", bytes.len());
            }
        }
    }

    #[test]
    fn powers_of_all_sizes_are_sent_as_powers() {
        for power in [0.0, 1e-30, 0.9999, 0.99730, 1.0, 7.3, 1e30] {
            let bytes = level(power).to_le_bytes();
            assert!(bytes != UNSENT && i16::from_le_bytes(bytes) != SILENT, "{power}");
        }
        assert!((rounded_power(0.3) / 0.3 - 1.0).abs() < 0.01);
    }

    #[test]
    fn cells_cover_what_is_sent() {
        let map = map(48, 32, 12, Kind::Integrated);
        let cells = map.cells();
        let sent = map.of_block.iter().filter(|&&region| map.is_sent(region)).count();
        assert_eq!(cells.sizes.iter().sum::<usize>(), sent);
        for (block, &cell) in cells.of_block.iter().enumerate() {
            assert_eq!(cell == usize::MAX, !map.is_sent(map.of_block[block]));
            assert!(cell == usize::MAX || cells.region[cell] == map.of_block[block]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 1_u8..13,
            across in 1_usize..40, down in 1_usize..40, integrated in any::<bool>(),
        ) {
            let kind = if integrated { Kind::Integrated } else { Kind::Modular };
            let mut likely = vec![if integrated { VERSION | INTEGRATED } else { VERSION }, count];
            likely.extend(&bytes);
            for bytes in [bytes, likely] {
                if let Ok(map) = Map::parse(&bytes, kind, across, down) {
                    prop_assert_eq!(map.of_block.len(), across * down);
                    prop_assert!(map.of_block.iter().all(|&region| usize::from(region) < map.regions.len()));
                    prop_assert_eq!(map.rates.len(), if integrated { map.cells().sizes.len() } else { 0 });
                    prop_assert!(map.rates.iter().all(|&rate| usize::from(rate) < RATES.len()));
                }
            }
        }

        #[test]
        fn flipped_bits_parse_or_fail(at in 0usize..300, bit in 0u8..8, keep in 0usize..400) {
            for kind in [Kind::Modular, Kind::Integrated] {
                let mut bytes = map(30, 20, 9, kind).to_bytes(kind);
                bytes.truncate(keep);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
                let _ = Map::parse(&bytes, kind, 30, 20);
            }
        }
    }
}
