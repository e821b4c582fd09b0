//! Assembly: parts of a message, in any order and more than once → what arrived of it.

use std::ops::Range;

use bytes::Bytes;
use num_complex::Complex32;

use super::{
    PartRange,
    header::{FeatureShape, MessageHeader},
    interleaving::deinterleave,
};
use crate::message::{ReceivedFeature, ReceivedMessage};
use crate::wire::{FeatureQuality, QuantisedSnr};

/// A message on its way in. Memory is bounded by the header's limits on sizes.
#[derive(Clone, Debug)]
pub struct Assembly {
    header: MessageHeader,
    features: Vec<Buffer>,
}

#[derive(Clone, Debug)]
enum Buffer {
    Digital {
        bytes: Vec<u8>,
        arrived: Ranges,
    },
    /// In the order of the air. A variance is infinite where nothing has arrived.
    Analog {
        symbols: Vec<Complex32>,
        noise_variance: Vec<f32>,
        arrived: Ranges,
    },
}

impl Assembly {
    /// An empty message with the shape that a frame's header tells.
    pub fn new(header: MessageHeader) -> Self {
        let features = header
            .features
            .iter()
            .map(|shape| match *shape {
                FeatureShape::Digital { bytes } => {
                    Buffer::Digital { bytes: vec![0; bytes as usize], arrived: Ranges::default() }
                }
                FeatureShape::Analog { symbols } => Buffer::Analog {
                    symbols: vec![Complex32::default(); symbols as usize],
                    noise_variance: vec![f32::INFINITY; symbols as usize],
                    arrived: Ranges::default(),
                },
            })
            .collect();
        Self { header, features }
    }

    /// The header that it was made from.
    pub fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// Takes in bytes of a digital feature. What does not fit the message's shape is ignored.
    pub fn add_digital(&mut self, feature: u8, start: u32, part: &[u8]) {
        if let Some(Buffer::Digital { bytes, arrived }) = self.features.get_mut(usize::from(feature))
            && let Some(range) = range_within(start, part.len(), bytes.len())
        {
            bytes[range.clone()].copy_from_slice(part);
            arrived.insert(range);
        }
    }

    /// Takes in symbols of an analog feature, in the order of the air. A symbol that comes again is
    /// combined with what arrived before, each weighted by the inverse of its noise.
    pub fn add_analog(&mut self, feature: u8, start: u32, part: &[Complex32], variances: &[f32]) {
        if let Some(Buffer::Analog { symbols, noise_variance, arrived }) =
            self.features.get_mut(usize::from(feature))
            && let Some(range) = range_within(start, part.len().min(variances.len()), symbols.len())
        {
            let old = symbols[range.clone()].iter_mut().zip(&mut noise_variance[range.clone()]);
            for ((symbol, variance), (new, new_variance)) in old.zip(part.iter().zip(variances)) {
                if !new.is_finite() || new_variance.is_nan() || *new_variance <= 0.0 {
                    continue;
                }
                if variance.is_infinite() {
                    (*symbol, *variance) = (*new, *new_variance);
                } else if new_variance.is_finite() {
                    let weight = *variance / (*variance + *new_variance);
                    *symbol = *symbol * (1.0 - weight) + new * weight;
                    *variance *= 1.0 - weight;
                }
            }
            arrived.insert(range);
        }
    }

    /// What has not arrived, at most `limit` ranges.
    pub fn missing(&self, limit: usize) -> Vec<PartRange> {
        let mut missing = Vec::new();
        for (index, buffer) in self.features.iter().enumerate() {
            for gap in buffer.arrived().gaps(buffer.len()) {
                if missing.len() == limit {
                    return missing;
                }
                missing.push(PartRange {
                    feature: index as u8,
                    start: gap.start as u32,
                    end: gap.end as u32,
                });
            }
        }
        missing
    }

    /// How well each feature has arrived.
    pub fn quality(&self) -> Vec<FeatureQuality> {
        let quality = |buffer: &Buffer| match buffer {
            Buffer::Digital { bytes, arrived } => {
                FeatureQuality::Digital { intact: arrived.gaps(bytes.len()).next().is_none() }
            }
            Buffer::Analog { noise_variance, .. } => {
                // The best linear estimate of a symbol of unit power under noise v has an error of v / (1 + v).
                let error = |variance: &f32| {
                    if variance.is_finite() { f64::from(variance / (1.0 + variance)) } else { 1.0 }
                };
                let mean = noise_variance.iter().map(error).sum::<f64>() / noise_variance.len().max(1) as f64;
                let snr = (1.0 - mean) / mean.max(1e-12);
                FeatureQuality::Analog { snr: QuantisedSnr::from_db(10.0 * snr.max(1e-12).log10() as f32) }
            }
        };
        self.features.iter().map(quality).collect()
    }

    /// Whether everything has arrived.
    pub fn complete(&self) -> bool {
        self.missing(1).is_empty()
    }

    /// Whether anything has arrived.
    pub fn started(&self) -> bool {
        self.features.iter().any(|buffer| !buffer.arrived().0.is_empty())
    }

    /// What has arrived so far, for the decoder.
    pub fn to_message(&self) -> ReceivedMessage {
        let features = self
            .features
            .iter()
            .map(|buffer| match buffer {
                Buffer::Digital { bytes, arrived } => ReceivedFeature::Digital {
                    bytes: Bytes::copy_from_slice(bytes),
                    missing: arrived.gaps(bytes.len()).collect(),
                },
                Buffer::Analog { symbols, noise_variance, .. } => ReceivedFeature::Analog {
                    symbols: deinterleave(symbols),
                    noise_variance: deinterleave(noise_variance),
                },
            })
            .collect();
        ReceivedMessage {
            system: self.header.system,
            model: self.header.model,
            side: self.header.side.clone(),
            features,
        }
    }
}

impl Buffer {
    fn arrived(&self) -> &Ranges {
        match self {
            Self::Digital { arrived, .. } | Self::Analog { arrived, .. } => arrived,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Digital { bytes, .. } => bytes.len(),
            Self::Analog { symbols, .. } => symbols.len(),
        }
    }
}

fn range_within(start: u32, length: usize, whole: usize) -> Option<Range<usize>> {
    let start = start as usize;
    let end = start.checked_add(length)?;
    (length > 0 && end <= whole).then_some(start..end)
}

/// Ranges that are sorted and neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ranges(Vec<Range<usize>>);

impl Ranges {
    fn insert(&mut self, mut new: Range<usize>) {
        let first = self.0.partition_point(|range| range.end < new.start);
        let last = self.0.partition_point(|range| range.start <= new.end);
        if first < last {
            new.start = new.start.min(self.0[first].start);
            new.end = new.end.max(self.0[last - 1].end);
        }
        self.0.splice(first..last, [new]);
    }

    fn gaps(&self, length: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|range| range.end));
        let ends = self.0.iter().map(|range| range.start).chain(std::iter::once(length));
        starts.zip(ends).map(|(start, end)| start..end).filter(|gap| !gap.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{ModelDigest, SystemId};

    fn header(features: Vec<FeatureShape>) -> MessageHeader {
        MessageHeader {
            message: 1,
            system: SystemId::Ae,
            model: ModelDigest::default(),
            side: Bytes::new(),
            features,
            parts: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn missing_is_what_never_came(parts in proptest::collection::vec((0usize..300, 1usize..80), 0..20)) {
            let mut assembly = Assembly::new(header(vec![FeatureShape::Digital { bytes: 256 }]));
            let mut model = [false; 256];
            for (start, length) in parts {
                assembly.add_digital(0, start as u32, &vec![7; length]);
                if start + length <= 256 {
                    model[start..start + length].fill(true);
                }
            }
            let mut seen = [true; 256];
            for part in assembly.missing(1000) {
                seen[part.start as usize..part.end as usize].fill(false);
            }
            prop_assert_eq!(seen, model);
            prop_assert_eq!(assembly.complete(), model.iter().all(|&arrived| arrived));
        }
    }

    #[test]
    fn symbols_that_come_twice_are_weighted_by_their_noise() {
        let mut assembly = Assembly::new(header(vec![FeatureShape::Analog { symbols: 2 }]));
        assembly.add_analog(0, 0, &[Complex32::new(1.0, 0.0)], &[1.0]);
        assembly.add_analog(0, 0, &[Complex32::new(2.0, 0.0)], &[0.5]);
        let message = assembly.to_message();
        let ReceivedFeature::Analog { symbols, noise_variance } = &message.features[0] else {
            panic!("an analog feature was sent");
        };
        assert!((symbols[0].re - 5.0 / 3.0).abs() < 1e-6);
        assert!((noise_variance[0] - 1.0 / 3.0).abs() < 1e-6);
        assert!(noise_variance[1].is_infinite());
        assert!(!assembly.complete());
    }

    #[test]
    fn quality_is_that_of_the_estimates() {
        let shapes = vec![FeatureShape::Digital { bytes: 2 }, FeatureShape::Analog { symbols: 4 }];
        let mut assembly = Assembly::new(header(shapes));
        let snr = |assembly: &Assembly| match assembly.quality()[1] {
            FeatureQuality::Analog { snr } => snr.db(),
            FeatureQuality::Digital { .. } => panic!("an analog feature was sent"),
        };
        assert_eq!(assembly.quality()[0], FeatureQuality::Digital { intact: false });
        assert_eq!(snr(&assembly), -20.0);
        assembly.add_digital(0, 0, &[1, 2]);
        assert_eq!(assembly.quality()[0], FeatureQuality::Digital { intact: true });
        let ones = [Complex32::new(1.0, 0.0); 4];
        assembly.add_analog(1, 0, &ones, &[0.1; 4]);
        assert_eq!(snr(&assembly), 10.0);
        // The same again, combined.
        assembly.add_analog(1, 0, &ones, &[0.1; 4]);
        assert_eq!(snr(&assembly), 13.0);
        // Half of it lost: an error of a half.
        let mut half = Assembly::new(header(vec![FeatureShape::Analog { symbols: 4 }]));
        half.add_analog(0, 0, &ones[..2], &[1e-6; 2]);
        assert_eq!(half.quality(), [FeatureQuality::Analog { snr: QuantisedSnr::from_db(0.0) }]);
    }
}
