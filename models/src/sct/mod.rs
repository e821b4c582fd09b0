//! The systems `sct-modular` and `sct-integrated`: semantics-guided source and channel coding (paper 004). A picture is cut into
//! regions, each with an importance, and what matters most travels best.
//!
//! In → out: picture → map and regions, as features of falling importance → what arrived of them → picture. Any of the regions
//! may be lost, whole or in part, and none harms another; with the map alone, each is of its mean colour beside the slow changes of the picture.
//!
//! The values of a picture are those of the network of [`crate::ae`], with weights of its own: its decoder takes each value with its
//! noise variance, and conceals what is not known.
//!
//! - [`segmentation`]: networks that know what a place of a picture shows. [`importance`]: how much each block matters.
//! - [`analysis`]: blocks → regions and their importance. [`preserving`]: which of them are sent. [`graphic`]: labels of places ↔
//!   a vector graphic.
//! - [`map`], [`side`]: what the receiver must know first.
//! - [`modular`]: values → bytes, by [`tables`]. [`integrated`]: values → symbols.
//! - [`colour`]: which values tell the colour of a region of which no more is known. [`correction`]: what repairs lost regions
//!   at the receiver, from their [`surroundings`]. [`machine`]: what tells a machine what the picture shows.
//! - [`weights`]: the numbers.
//!
//! Y. Lyu et al.: Semantics-guided source and channel coding, paper 004 of the sources named in the README.

pub mod analysis;
pub mod colour;
pub mod correction;
pub mod graphic;
pub mod importance;
pub mod integrated;
pub mod machine;
pub mod map;
pub mod modular;
pub mod preserving;
pub mod segmentation;
pub mod side;
pub mod surroundings;
pub mod tables;
pub mod weights;

use bytes::Bytes;
use semcast_common::content::{Content, Picture};
use semcast_common::intent::{Intent, Purpose};
use semcast_common::message::{
    BASE_LEVEL, Feature, ModelDigest, Payload, ReceivedFeature, ReceivedMessage, SemanticMessage, SystemId,
    protection_level,
};
use semcast_common::segmentation::header::MAX_ANALOG_SYMBOLS;

use crate::ae::adaptation::ASSUMED_DB;
use crate::ae::base;
use crate::ae::basis::BLOCK;
use crate::ae::network::{CHANNELS, UNKNOWN};
use crate::ae::planes::Planes;
use crate::ae::rates::send_all;
use crate::ae::thumbnail::Thumbnail;
use crate::ae::transform::{Code, Convolutional, Transform, values};
use crate::ae::weights::from_bytes;
use crate::repetition::{gather, mean_trust};
use crate::{Budget, Decoded, ModelError, OpenDevice, System, SystemOptions, check_origin};
use analysis::Analysis;
use correction::Correction;
use machine::Machine;
use map::{Coding, ColourScale, Map, Quantiser};
use modular::{Candidate, Layout};
use segmentation::Segmenter;
use side::Side;
use tables::Tables;

pub use map::Kind;

/// How much more important than the first region the map is.
const MAP_IMPORTANCE: f32 = 1.25;
/// How far blocks of a region are from its mean colour: part of a channel's variance.
const COLOUR_ERROR: f32 = 0.3;
/// A thumbnail takes at most one in so many of the symbols, or of the bytes of the modular system.
const THUMBNAIL_SHARE: usize = 8;
/// Rounds of fitting rates to a budget that the map takes a part of.
const FITTING_ROUNDS: usize = 4;

/// One of the systems `sct-modular` and `sct-integrated`.
pub struct Sct {
    kind: Kind,
    transform: Convolutional,
    tables: Tables,
    /// Channels that tell colour.
    colours: Vec<usize>,
    segmenter: Option<Segmenter>,
    correction: Option<Correction>,
    machine: Machine,
    digest: ModelDigest,
}

/// What is known of a picture's values after a message, or a part of it, has arrived.
pub struct Known {
    /// Size and mean colour.
    pub side: Side,
    /// The regions; none if the map is lost.
    pub map: Option<Map>,
    /// Values with their noise variance, [`UNKNOWN`] where nothing arrived.
    pub code: Code,
    /// How much of each region arrived, 0 to 1; 0 for those that were not sent.
    pub arrived: Vec<f32>,
}

impl Kind {
    /// The system.
    pub fn system(self) -> SystemId {
        match self {
            Self::Modular => SystemId::SctModular,
            Self::Integrated => SystemId::SctIntegrated,
        }
    }
}

impl Sct {
    /// With the weights that come with the program.
    pub fn new(kind: Kind, options: &SystemOptions, device: &OpenDevice) -> Result<Self, ModelError> {
        let unread = |what: &str, error: String| {
            ModelError::Internal(format!("the {what} of {} do not load: {error}", kind.system()))
        };
        let bytes = weights::DEFAULT.to_vec();
        let digest = weights::digest(kind, &bytes);
        let network = from_bytes(bytes, &device.device).map_err(|error| unread("weights", error))?;
        let colours = colour::channels(&network, &device.device);
        let colours =
            (0..).zip(values(colours)?).filter(|(_, tells)| *tells > 0.0).map(|(channel, _)| channel);
        let colours = colours.collect();
        let tables = Tables::parse(tables::DEFAULT).map_err(|error| unread("tables", error))?;
        let segmenter = options.segmentation.open(device)?;
        let transform = Convolutional::new(network, device)?;
        let correction = match options.correction {
            correction::Switch::Off => None,
            correction::Switch::On => {
                let bytes = weights::CORRECTION.to_vec();
                Some(Correction::with_weights(bytes, transform.variance(), device)?)
            }
        };
        let machine =
            options.machine.as_ref().map_or_else(|| weights::MACHINE.to_vec(), |bytes| bytes.to_vec());
        let machine = Machine::with_weights(machine, transform.variance(), device)?;
        Ok(Self { kind, transform, tables, colours, segmenter, correction, machine, digest })
    }

    /// Picture → features of falling importance: the map, then the regions that are sent.
    fn features(
        &self,
        picture: &Picture,
        budget: Budget,
        intent: &Intent,
    ) -> Result<(Side, Vec<Feature>), ModelError> {
        let (mut planes, mean) = Planes::of(picture, BLOCK);
        match self.take_thumbnail(&mut planes, budget) {
            None => self.features_of((planes, mean), None, picture, budget, intent),
            thumbnail => match self.features_of((planes, mean), thumbnail, picture, budget, intent) {
                // It may fit without.
                Err(ModelError::Budget { .. }) => {
                    self.features_of(Planes::of(picture, BLOCK), None, picture, budget, intent)
                }
                done => done,
            },
        }
    }

    /// The same from the picture's planes about its mean colour, without `thumbnail`, if there is one.
    fn features_of(
        &self,
        (planes, mean): (Planes, [u8; 3]),
        thumbnail: Option<Thumbnail>,
        picture: &Picture,
        budget: Budget,
        intent: &Intent,
    ) -> Result<(Side, Vec<Feature>), ModelError> {
        let side = Side { width: picture.width(), height: picture.height(), mean };
        let (across, down) = side.blocks();
        let values = self.transform.encode(&planes, mean, ASSUMED_DB, false)?.values;
        let entropy = importance::entropy(&values, self.transform.variance(), across * down);
        let found = analysis::analyse(picture, &entropy, intent, self.segmenter.as_ref())?;
        let (analysis, mut sent) = preserving::choose(found, intent)?;
        if planes.is_flat() {
            // The colour of the regions tells all.
            sent.fill(false);
        }
        let colours = colours(&planes, ColourScale::new(mean, thumbnail.is_some()), &analysis);
        let fit = |sent: &[bool]| {
            let mut map = Map::of(&analysis, &colours, thumbnail.clone(), intent.purpose);
            let payloads = match self.kind {
                Kind::Modular => self.modular(&values, &analysis, sent, budget, &mut map),
                Kind::Integrated => self.integrated(&values, &analysis, sent, budget, &mut map),
            };
            payloads.map(|payloads| (map, payloads))
        };
        let mut fitted = fit(&sent);
        for fewer in narrowed(&sent) {
            if !matches!(fitted, Err(ModelError::Budget { .. })) {
                break;
            }
            fitted = fit(&fewer);
        }
        let (map, payloads) = fitted?;
        let most = analysis.regions.first().map_or(0.0, |region| region.importance);
        let mut features = vec![Feature {
            importance: (MAP_IMPORTANCE * most).max(1.0),
            payload: Payload::Digital(map.to_bytes(self.kind).into()),
        }];
        features.extend(
            map.sent().zip(payloads).map(|(region, payload)| Feature {
                importance: analysis.regions[region].importance,
                payload,
            }),
        );
        Ok((side, features))
    }

    /// Takes the thumbnail from a picture, unless the budget is so small that the values tell slow changes for less.
    fn take_thumbnail(&self, planes: &mut Planes, budget: Budget) -> Option<Thumbnail> {
        let thumbnail = Thumbnail::of(&planes.values, planes.width, planes.height);
        let bytes = base::thumbnail_bytes(&thumbnail);
        let (takes, of) = match self.kind {
            Kind::Modular => (modular::cost_of(bytes, budget.costs_256[0]), budget.bytes),
            Kind::Integrated => (budget.symbols_for(bytes, BASE_LEVEL), budget.symbols),
        };
        if THUMBNAIL_SHARE * takes > of {
            return None;
        }
        thumbnail.take_from(&mut planes.values, planes.width);
        Some(thumbnail)
    }

    fn modular(
        &self,
        values: &[f32],
        analysis: &Analysis,
        sent: &[bool],
        budget: Budget,
        map: &mut Map,
    ) -> Result<Vec<Payload>, ModelError> {
        mark(map, sent, Coding::Modular(Quantiser { step: 0, channels: 1 }));
        let layouts = Layout::of(&analysis.of_block, analysis.across, analysis.regions.len());
        let finer = modular::refinements(analysis);
        let sent: Vec<usize> = map.sent().collect();
        let blocks = analysis.of_block.len();
        let candidate = |(rank, &region): (usize, &usize)| Candidate {
            coefficients: modular::coefficients(values, self.transform.variance(), blocks, &layouts[region]),
            layout: &layouts[region],
            finer: finer[region],
            cost_256: budget.costs_256[protection_level(rank + 1, sent.len() + 1)],
        };
        let candidates: Vec<Candidate> = sent.iter().enumerate().map(candidate).collect();
        let map_cost = modular::cost_of(
            map.to_bytes(self.kind).len(),
            budget.costs_256[protection_level(0, sent.len() + 1)],
        );
        let left = budget.bytes.saturating_sub(map_cost);
        let written = modular::fit(&candidates, &self.tables, left);
        let needed = |least: usize| ModelError::Budget {
            given: budget.bytes,
            needed: least + map_cost,
            unit: "bytes",
        };
        if map_cost > budget.bytes {
            return Err(needed(written.err().unwrap_or(0)));
        }
        let written = written.map_err(needed)?;
        for (&region, written) in sent.iter().zip(&written) {
            map.regions[region].coding = Coding::Modular(written.quantiser);
        }
        Ok(written.into_iter().map(|written| Payload::Digital(written.bytes.into())).collect())
    }

    fn integrated(
        &self,
        values: &[f32],
        analysis: &Analysis,
        sent: &[bool],
        budget: Budget,
        map: &mut Map,
    ) -> Result<Vec<Payload>, ModelError> {
        mark(map, sent, Coding::Integrated(None));
        let cells = map.cells();
        let needed = |needed| ModelError::Budget { given: budget.symbols, needed, unit: "complex symbols" };
        // The length of the map follows from the rates, the rates from what the map leaves.
        let (mut of_map, mut of_regions) = (0, 0);
        for round in 0.. {
            let left = budget.symbols.saturating_sub(of_map);
            map.rates = integrated::rates(values, self.transform.variance(), analysis, &cells, left)
                .map_err(|least| needed(least + of_map))?;
            let used: usize = integrated::symbols_of_blocks(map, &cells).iter().sum();
            let takes = budget.symbols_for(map.to_bytes(self.kind).len(), BASE_LEVEL);
            if used + takes <= budget.symbols {
                of_regions = budget.symbols.min(MAX_ANALOG_SYMBOLS as usize).saturating_sub(takes);
                break;
            }
            if round == FITTING_ROUNDS {
                return Err(needed(used + takes));
            }
            of_map = takes.max(of_map) + usize::from(round > 0) * takes / 8;
        }
        let symbols = integrated::symbols_of_blocks(map, &cells);
        let layouts = Layout::of(&analysis.of_block, analysis.across, analysis.regions.len());
        let sent: Vec<usize> = map.sent().collect();
        let mut lengths: Vec<usize> =
            sent.iter().map(|&region| integrated::length(&layouts[region], &symbols)).collect();
        if send_all(&map.rates) {
            let densities = analysis.densities();
            let densities: Vec<f32> = sent.iter().map(|&region| densities[region]).collect();
            lengths = integrated::repeated(&lengths, &densities, of_regions);
        }
        let mut payloads = Vec::new();
        for (region, length) in sent.into_iter().zip(lengths) {
            let (sent, coding) = integrated::modulate(values, &layouts[region], &symbols, length);
            map.regions[region].coding = coding;
            payloads.push(Payload::Analog(sent));
        }
        Ok(payloads)
    }

    /// What arrived of a message → what is known of the picture's values.
    pub fn known(&self, received: &ReceivedMessage) -> Result<Known, ModelError> {
        check_origin(received, self)?;
        let side = Side::parse(&received.side)?;
        let (across, down) = side.blocks();
        let mut code = Code::unknown(CHANNELS, across, down);
        let Some((ReceivedFeature::Digital { bytes, missing }, regions)) = received.features.split_first()
        else {
            return Err(ModelError::Damaged("the first feature is no map of the regions".into()));
        };
        if !missing.is_empty() {
            return Ok(Known { side, map: None, code, arrived: Vec::new() });
        }
        let map = Map::parse(bytes, self.kind, across, down)?;
        if map.sent().count() != regions.len() {
            let (told, came) = (map.sent().count(), regions.len());
            return Err(ModelError::Damaged(format!("{came} regions came, and the map tells of {told}")));
        }
        let layouts = Layout::of(&map.of_block, across, map.regions.len());
        let symbols = integrated::symbols_of_blocks(&map, &map.cells());
        let mut arrived = vec![0.0; map.regions.len()];
        for (region, feature) in map.sent().zip(regions) {
            let layout = &layouts[region];
            arrived[region] = match (map.regions[region].coding, feature) {
                (Coding::Modular(quantiser), ReceivedFeature::Digital { bytes, missing }) => {
                    self.place(bytes, missing, quantiser, layout, &mut code)
                }
                (Coding::Integrated(power), ReceivedFeature::Analog { symbols: got, noise_variance }) => {
                    let own = integrated::length(layout, &symbols);
                    if got.len() < own || noise_variance.len() != got.len() {
                        return Err(ModelError::Damaged(format!(
                            "{} symbols and {} noise variances came for a region of {own} symbols",
                            got.len(),
                            noise_variance.len()
                        )));
                    }
                    let (got, noise_variance) = gather(got, noise_variance, own);
                    integrated::demodulate(&got, &noise_variance, power, layout, &symbols, &mut code);
                    power.map_or(1.0, |_| mean_trust(&noise_variance))
                }
                _ => return Err(ModelError::Damaged("a region came as something else than told".into())),
            };
        }
        Ok(Known { side, map: Some(map), code, arrived })
    }

    /// Places what arrived of a region's bytes; returns how much of them is of use.
    fn place(
        &self,
        bytes: &[u8],
        missing: &[std::ops::Range<usize>],
        quantiser: Quantiser,
        layout: &Layout,
        code: &mut Code,
    ) -> f32 {
        let usable = missing.first().map_or(bytes.len(), |gap| gap.start.min(bytes.len()));
        let cut = !missing.is_empty();
        let quantised = modular::read(&bytes[..usable], cut, &self.tables, layout, quantiser);
        if !quantised.is_empty() {
            modular::place(&quantised, layout, quantiser, self.transform.variance(), code);
        }
        usable as f32 / bytes.len().max(1) as f32
    }

    /// Gives every block of which nothing arrived the colour of its region; these blocks.
    fn paint(&self, known: &mut Known) -> Result<Vec<usize>, ModelError> {
        let Some(map) = &known.map else { return Ok(Vec::new()) };
        let code = &mut known.code;
        let blocks = code.across * code.down;
        let mut nothing = vec![true; blocks];
        for variance in code.variance.chunks_exact(blocks) {
            nothing.iter_mut().zip(variance).for_each(|(nothing, variance)| *nothing &= *variance >= UNKNOWN);
        }
        let bare: Vec<usize> = (0..blocks).filter(|&block| nothing[block]).collect();
        if bare.is_empty() {
            return Ok(bare);
        }
        let planes = painted(map, map.colour_scale(known.side.mean));
        let values = self.transform.encode(&planes, known.side.mean, ASSUMED_DB, false)?.values;
        for &channel in &self.colours {
            let variance = COLOUR_ERROR * self.transform.variance()[channel];
            for &block in &bare {
                let at = channel * blocks + block;
                (code.values[at], code.variance[at]) = (values[at], variance);
            }
        }
        Ok(bare)
    }

    /// Makes up blocks of which nothing arrived from what is around them. Of what arrived in part the decoder makes more by itself.
    fn correct(&self, known: &mut Known, bare: &[usize]) -> Result<(), ModelError> {
        let (Some(correction), Some(map)) = (&self.correction, &known.map) else { return Ok(()) };
        if bare.is_empty() {
            return Ok(());
        }
        let class = |&region: &u8| map.regions[usize::from(region)].class.unwrap_or(u8::MAX);
        let labels: Vec<u8> = map.of_block.iter().map(class).collect();
        let repaired = correction.repair(&known.code, &known.colours(), &labels)?;
        let blocks = labels.len();
        for channel in 0..CHANNELS {
            for at in bare.iter().map(|block| channel * blocks + block) {
                (known.code.values[at], known.code.variance[at]) =
                    (repaired.values[at], repaired.variance[at]);
            }
        }
        Ok(())
    }
}

/// Every region in its colour, without the thumbnail.
fn painted(map: &Map, scale: ColourScale) -> Planes {
    let mut planes = Planes::zeros(map.across * BLOCK, map.down * BLOCK);
    let area = planes.width * planes.height;
    for (block, &region) in map.of_block.iter().enumerate() {
        let colour = map.regions[usize::from(region)].colour;
        let (row, column) = (block / map.across, block % map.across);
        for (channel, (value, zero)) in colour.into_iter().zip(scale.zero).enumerate() {
            let value = (f32::from(value) - f32::from(zero)) / scale.steps;
            for y in row * BLOCK..(row + 1) * BLOCK {
                let start = channel * area + y * planes.width + column * BLOCK;
                planes.values[start..start + BLOCK].fill(value);
            }
        }
    }
    planes
}

/// Where what is to be sent does not fit, what is tried instead: less and less of the least important, then each region but the first
/// alone, then nothing.
fn narrowed(sent: &[bool]) -> Vec<Vec<bool>> {
    let order: Vec<usize> = (0..sent.len()).filter(|&region| sent[region]).collect();
    let prefixes = (1..order.len()).rev().map(|count| 0..count);
    let alone = (1..order.len()).map(|at| at..at + 1);
    let ranges = prefixes.chain(alone).chain((!order.is_empty()).then_some(0..0));
    let fewer = |range: std::ops::Range<usize>| {
        let mut fewer = vec![false; sent.len()];
        order[range].iter().for_each(|&region| fewer[region] = true);
        fewer
    };
    ranges.map(fewer).collect()
}

/// Marks the regions that are sent, so that the map has its final length.
fn mark(map: &mut Map, sent: &[bool], coding: Coding) {
    for (region, _) in map.regions.iter_mut().zip(sent).filter(|(_, sent)| **sent) {
        region.coding = coding;
    }
}

/// The mean colour of each region.
fn colours(planes: &Planes, scale: ColourScale, analysis: &Analysis) -> Vec<[u8; 3]> {
    let area = planes.width * planes.height;
    let mut sums = vec![[0.0_f64; 3]; analysis.regions.len()];
    for (channel, &zero) in scale.zero.iter().enumerate() {
        let plane = &planes.values[channel * area..(channel + 1) * area];
        for (at, row) in plane.chunks_exact(BLOCK).enumerate() {
            let (y, column) = (at / analysis.across, at % analysis.across);
            let region = analysis.of_block[y / BLOCK * analysis.across + column];
            let sum: f32 = row.iter().sum();
            sums[usize::from(region)][channel] +=
                f64::from(scale.steps) * f64::from(sum) + BLOCK as f64 * f64::from(zero);
        }
    }
    let pixels = analysis.sizes().into_iter().map(|size| (size * BLOCK * BLOCK).max(1) as f64);
    sums.iter()
        .zip(pixels)
        .map(|(sums, pixels)| sums.map(|sum| (sum / pixels).round().clamp(0.0, 255.0) as u8))
        .collect()
}

impl Known {
    /// The colour that mean and thumbnail tell of each block, 0 to 1, plane by plane.
    fn colours(&self) -> Vec<f32> {
        let (across, down) = self.side.blocks();
        let thumbnail = self.map.as_ref().and_then(|map| map.thumbnail.as_ref());
        let mut colours =
            thumbnail.map_or_else(|| vec![0.0; 3 * across * down], |told| told.of_blocks(across, down));
        for (plane, mean) in colours.chunks_exact_mut(across * down).zip(self.side.mean) {
            plane.iter_mut().for_each(|value| *value += f32::from(mean) / 255.0);
        }
        colours
    }

    /// How much of what was sent arrived, each region counted by its importance.
    pub fn confidence(&self) -> f32 {
        let Some(map) = &self.map else { return 0.0 };
        let mut sizes = vec![0.0_f32; map.regions.len()];
        map.of_block.iter().for_each(|&region| sizes[usize::from(region)] += 1.0);
        let weight = |region: usize| map.regions[region].density * sizes[region];
        let total: f32 = map.sent().map(weight).sum();
        if total > 0.0 {
            (map.sent().map(|region| weight(region) * self.arrived[region]).sum::<f32>() / total).min(1.0)
        } else {
            1.0
        }
    }
}

impl System for Sct {
    fn id(&self) -> SystemId {
        self.kind.system()
    }

    fn model(&self) -> ModelDigest {
        self.digest
    }

    fn warm_up(&mut self) -> Result<(), ModelError> {
        let picture = Picture::new(64, 64, (0..3 * 64 * 64).map(|value| value as u8).collect())
            .map_err(|error| ModelError::Internal(error.to_string()))?;
        let (side, _) = self.features(&picture, Budget::new(4096, 4096), &Intent::default())?;
        let (across, down) = side.blocks();
        let mut planes = Planes::zeros(across * BLOCK, down * BLOCK);
        self.transform.decode(&Code::unknown(CHANNELS, across, down), side.mean, &mut planes)
    }

    fn encode(
        &mut self,
        content: &Content,
        budget: Budget,
        intent: &Intent,
    ) -> Result<SemanticMessage, ModelError> {
        let Content::Picture(picture) = content else {
            return Err(ModelError::Unsupported { system: self.id(), instead: SystemId::Classical });
        };
        let (side, features) = self.features(picture, budget, intent)?;
        Ok(SemanticMessage {
            system: self.id(),
            model: self.model(),
            side: Bytes::from(side.to_bytes()),
            features,
        })
    }

    fn decode(&mut self, received: &ReceivedMessage) -> Result<Decoded, ModelError> {
        let mut known = self.known(received)?;
        if known.map.as_ref().is_some_and(|map| map.purpose == Purpose::Machine) {
            self.paint(&mut known)?;
            let Side { width, height, .. } = known.side;
            let labels = self.machine.classify(&known.code, &known.colours(), width, height)?;
            let sum: u64 = labels.confidence().iter().map(|&share| u64::from(share)).sum();
            let confidence = sum as f32 / (255 * labels.confidence().len()) as f32;
            return Ok(Decoded { content: Content::Labels(labels), confidence });
        }
        let mut planes = Planes::zeros(known.code.across * BLOCK, known.code.down * BLOCK);
        match &known.map {
            None => {}
            // Nothing is left to be told: beside the thumbnail, every region is of one colour.
            Some(map) if map.sent().count() == 0 => planes = painted(map, map.colour_scale(known.side.mean)),
            Some(_) => {
                let bare = self.paint(&mut known)?;
                self.correct(&mut known, &bare)?;
                self.transform.decode(&known.code, known.side.mean, &mut planes)?;
            }
        }
        if let Some(thumbnail) = known.map.as_ref().and_then(|map| map.thumbnail.as_ref()) {
            planes.give_thumbnail(thumbnail);
        }
        let side = &known.side;
        let picture = planes.to_picture(side.width, side.height, side.mean)?;
        Ok(Decoded { content: Content::Picture(picture), confidence: known.confidence() })
    }
}

#[cfg(test)]
mod tests;
