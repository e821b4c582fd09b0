//! The `classical` system: what a user has today, bytes that a channel code must bring over intact.
//!
//! - A picture: the best AV1 still picture (the codec of AVIF, without its container) that fits the byte budget, or
//!   lossless WebP where that fits; where even the coarsest picture does not, a smaller one, enlarged at the receiver.
//! - A text: its bytes, deflated if that is shorter.
//!
//! Everything is one digital feature. Side information ([`side`]) says what the bytes are.
//!
//! - [`fit`]: which picture fits a budget. [`av1`]: the codec. [`colour`]: RGB ↔ YCbCr. [`text`]: texts.

pub mod av1;
pub mod colour;
pub mod fit;
pub mod side;
pub mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use semcast_common::content::{Content, Picture};
use semcast_common::intent::Intent;
use semcast_common::message::{
    Feature, ModelDigest, Payload, ReceivedFeature, ReceivedMessage, SemanticMessage, SystemId,
};

use crate::{Budget, Decoded, ModelError, System, check_origin};
use side::{PictureCode, Side};

/// The `classical` system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Classical;

impl System for Classical {
    fn id(&self) -> SystemId {
        SystemId::Classical
    }

    fn model(&self) -> ModelDigest {
        ModelDigest::default()
    }

    fn warm_up(&mut self) -> Result<(), ModelError> {
        let picture = Picture::new(32, 32, (0..3 * 32 * 32).map(|value| value as u8).collect())
            .map_err(|error| ModelError::Internal(error.to_string()))?;
        let (side, bytes) = fit::picture(&picture, 400)?;
        decode_picture(&side, bytes).map(|_| ())
    }

    fn encode(
        &mut self,
        content: &Content,
        budget: Budget,
        _intent: &Intent,
    ) -> Result<SemanticMessage, ModelError> {
        let (side, bytes) = match content {
            Content::Picture(picture) => {
                let (side, bytes) = fit::picture(picture, budget.bytes)?;
                (Side::Picture(side), bytes)
            }
            Content::Text(text) => text::encode(text, budget.bytes)?,
            Content::Labels(_) => return Err(ModelError::NoSource),
        };
        Ok(SemanticMessage {
            system: self.id(),
            model: self.model(),
            side: Bytes::from(side.to_bytes()),
            features: vec![Feature { importance: 1.0, payload: Payload::Digital(Bytes::from(bytes)) }],
        })
    }

    fn decode(&mut self, received: &ReceivedMessage) -> Result<Decoded, ModelError> {
        check_origin(received, self)?;
        let side = Side::parse(&received.side)?;
        let [ReceivedFeature::Digital { bytes, missing }] = received.features.as_slice() else {
            return Err(ModelError::Damaged("a classical message has one digital feature".into()));
        };
        match side {
            Side::Text(code) => text::decode(code, bytes, missing),
            Side::Picture(side) => {
                if !missing.is_empty() {
                    let lost: usize = missing.iter().map(std::ops::Range::len).sum();
                    return Err(ModelError::Damaged(format!(
                        "{lost} of {} bytes of the picture are missing",
                        bytes.len()
                    )));
                }
                let content = Content::Picture(decode_picture(&side, bytes.to_vec())?);
                Ok(Decoded { content, confidence: 1.0 })
            }
        }
    }
}

/// Decodes a picture from bytes that may be anything.
pub fn decode_picture(side: &side::PictureSide, bytes: Vec<u8>) -> Result<Picture, ModelError> {
    // Both decoders return errors for damaged input; this guards against a defect in them taking the receiver down.
    let coded = catch_unwind(AssertUnwindSafe(|| match side.code {
        PictureCode::Av1(sampling) => av1::decode(bytes, side.coded_width, side.coded_height, sampling),
        PictureCode::WebP => fit::decode_webp(&bytes, side),
    }))
    .map_err(|_| ModelError::Damaged("the picture decoder failed on the bytes that arrived".into()))??;
    fit::resized(&coded, side.width, side.height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::psnr_db;
    use proptest::prelude::*;

    fn landscape(width: u32, height: u32) -> Picture {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (f64::from(x) / 40.0, f64::from(y) / 40.0);
                let hills = ((u.sin() + (2.3 * v).cos() + (0.7 * u * v).sin()) * 40.0 + 128.0) as u8;
                rgb.extend([hills, hills / 2 + (y % 97) as u8, 255 - hills]);
            }
        }
        Picture::new(width, height, rgb).unwrap()
    }

    fn received(message: SemanticMessage) -> ReceivedMessage {
        let features = message.features.into_iter().map(|feature| match feature.payload {
            Payload::Digital(bytes) => ReceivedFeature::Digital { bytes, missing: vec![] },
            Payload::Analog(_) => panic!("a classical message is digital"),
        });
        ReceivedMessage {
            system: message.system,
            model: message.model,
            side: message.side,
            features: features.collect(),
        }
    }

    fn payload(message: &SemanticMessage) -> usize {
        let Payload::Digital(bytes) = &message.features[0].payload else { panic!("digital") };
        bytes.len()
    }

    #[test]
    fn pictures_fit_their_budget_and_get_better_with_it() {
        for (width, height) in [(1, 1), (17, 33), (200, 150)] {
            let picture = landscape(width, height);
            let content = Content::Picture(picture.clone());
            let mut last = 0.0;
            for bytes in [300, 1200, 6000] {
                let message = Classical.encode(&content, Budget::new(0, bytes), &Intent::default()).unwrap();
                assert!(payload(&message) <= bytes, "{} of {bytes}", payload(&message));
                let Content::Picture(out) = Classical.decode(&received(message)).unwrap().content else {
                    panic!("a picture came back as text")
                };
                let quality = psnr_db(&picture, &out).unwrap();
                assert!(quality >= last, "{width}x{height} in {bytes} bytes: {quality} dB after {last} dB");
                assert!(quality > 15.0, "{width}x{height} in {bytes} bytes: {quality} dB");
                last = quality;
            }
        }
    }

    #[test]
    fn a_picture_far_too_large_for_its_budget_arrives_smaller() {
        let picture = landscape(400, 300);
        let message =
            Classical.encode(&Content::Picture(picture), Budget::new(0, 90), &Intent::default()).unwrap();
        assert!(payload(&message) <= 90);
        let Content::Picture(out) = Classical.decode(&received(message)).unwrap().content else { panic!() };
        assert_eq!((out.width(), out.height()), (400, 300));
    }

    #[test]
    fn a_picture_of_few_colours_arrives_unchanged() {
        let rgb =
            (0..200 * 100).flat_map(|at| if at / 20 % 2 == 0 { [255, 0, 0] } else { [0, 0, 90] }).collect();
        let content = Content::Picture(Picture::new(200, 100, rgb).unwrap());
        let message = Classical.encode(&content, Budget::new(0, 4000), &Intent::default()).unwrap();
        assert_eq!(Classical.decode(&received(message)).unwrap().content, content);
    }

    #[test]
    fn a_budget_for_nothing_is_an_error() {
        let content = Content::Picture(landscape(40, 30));
        let result = Classical.encode(&content, Budget::new(0, 3), &Intent::default());
        assert!(matches!(result, Err(ModelError::Budget { given: 3, .. })), "{result:?}");
    }

    #[test]
    fn missing_bytes_of_a_picture_are_an_error() {
        let content = Content::Picture(landscape(64, 64));
        let message = Classical.encode(&content, Budget::new(0, 900), &Intent::default()).unwrap();
        let mut damaged = received(message);
        if let ReceivedFeature::Digital { missing, .. } = &mut damaged.features[0] {
            missing.push(10..20);
        }
        assert!(matches!(Classical.decode(&damaged), Err(ModelError::Damaged(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// Bits flipped anywhere in a good picture, and bytes that never were one.
        #[test]
        fn damaged_pictures_never_panic(seed in any::<u64>(), flips in 1_usize..20, garbage in any::<bool>()) {
            let picture = landscape(48, 40);
            let (side, mut bytes) = fit::picture(&picture, 700).unwrap();
            let mut state = seed | 1;
            let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state as usize };
            if garbage {
                bytes.iter_mut().for_each(|byte| *byte = next() as u8);
            } else {
                for _ in 0..flips {
                    let at = next() % bytes.len();
                    bytes[at] ^= 1 << (next() % 8);
                }
            }
            for code in [side.code, PictureCode::WebP] {
                if let Ok(out) = decode_picture(&side::PictureSide { code, ..side }, bytes.clone()) {
                    prop_assert_eq!((out.width(), out.height()), (48, 40));
                }
            }
        }
    }
}
