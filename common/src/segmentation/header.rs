//! The message header: what the control bytes of every frame say.
//!
//! Little endian:
//!
//! | bytes | field |
//! |-------|-------|
//! | 2     | message number |
//! | 1     | system |
//! | 8     | model digest |
//! | 1 + n | length of the side information, side information |
//! | 1     | number of features f, 1 to [`MAX_FEATURES`] |
//! | 4·f   | features: bit 31 analog, bits 0–30 length in bytes or symbols |
//! | 1     | number of parts p, as many as the frame has segments |
//! | 5·p   | parts: feature (1), start (4); the length is the segment's |

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::message::{MAX_FEATURES, MAX_SIDE_BYTES, ModelDigest, Payload, SemanticMessage, SystemId};

/// Most bytes of all digital features of a message.
pub const MAX_DIGITAL_BYTES: u64 = 32 << 20;
/// Most symbols of all analog features of a message: 40 megapixels at CBR 1/6, where all values of a picture are sent.
pub const MAX_ANALOG_SYMBOLS: u64 = 21_000_000;
const ANALOG: u32 = 1 << 31;

/// How long a feature is, and of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureShape {
    /// Bytes.
    Digital {
        /// How many.
        bytes: u32,
    },
    /// Symbols.
    Analog {
        /// How many.
        symbols: u32,
    },
}

impl FeatureShape {
    /// Bytes or symbols.
    pub fn length(self) -> u32 {
        match self {
            Self::Digital { bytes } => bytes,
            Self::Analog { symbols } => symbols,
        }
    }
}

/// Where a frame's segment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Index of the feature.
    pub feature: u8,
    /// First byte or symbol.
    pub start: u32,
}

/// What a frame says about its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// Running number of the transmitter's messages.
    pub message: u16,
    /// Whose decoder understands it.
    pub system: SystemId,
    /// The model that the sender used.
    pub model: ModelDigest,
    /// Side information.
    pub side: Bytes,
    /// Shapes of all features of the message.
    pub features: Vec<FeatureShape>,
    /// The parts that this frame's segments hold.
    pub parts: Vec<Part>,
}

/// Why control bytes are no message header, or a message has none.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// The bytes end too early.
    #[error("message header of {0} bytes ends too early")]
    Short(usize),
    /// Bytes are left over.
    #[error("message header with {0} bytes too many")]
    Long(usize),
    /// The system has no name here.
    #[error("system number {0} is unknown to this program")]
    System(u8),
    /// Too many features, or none.
    #[error("{0} features in a message: 1 to {MAX_FEATURES}")]
    Features(usize),
    /// The side information is too long.
    #[error("{0} bytes of side information: at most {MAX_SIDE_BYTES}")]
    Side(usize),
    /// The message is too large, or a feature is empty.
    #[error(
        "message too large or with an empty feature: at most {MAX_DIGITAL_BYTES} bytes \
         and {MAX_ANALOG_SYMBOLS} symbols"
    )]
    Size,
    /// A part belongs to no feature or starts behind its end.
    #[error("part {0} lies outside its message")]
    Part(usize),
}

impl MessageHeader {
    /// The header of a message, without parts.
    pub fn new(message: u16, content: &SemanticMessage) -> Result<Self, HeaderError> {
        let length = |length: usize| u32::try_from(length).map_err(|_| HeaderError::Size);
        let features = content
            .features
            .iter()
            .map(|feature| {
                Ok(match &feature.payload {
                    Payload::Digital(bytes) => FeatureShape::Digital { bytes: length(bytes.len())? },
                    Payload::Analog(symbols) => FeatureShape::Analog { symbols: length(symbols.len())? },
                })
            })
            .collect::<Result<_, HeaderError>>()?;
        let header = Self {
            message,
            system: content.system,
            model: content.model,
            side: content.side.clone(),
            features,
            parts: Vec::new(),
        };
        header.check()?;
        Ok(header)
    }

    /// Bytes of a header with `parts` parts.
    pub fn encoded_len(&self, parts: usize) -> usize {
        2 + 1 + 8 + 1 + self.side.len() + 1 + 4 * self.features.len() + 1 + 5 * parts
    }

    /// The control bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len(self.parts.len()));
        out.put_u16_le(self.message);
        out.put_u8(self.system.number());
        out.put_slice(&self.model.0);
        out.put_u8(self.side.len() as u8);
        out.put_slice(&self.side);
        out.put_u8(self.features.len() as u8);
        for feature in &self.features {
            out.put_u32_le(match *feature {
                FeatureShape::Digital { bytes } => bytes,
                FeatureShape::Analog { symbols } => ANALOG | symbols,
            });
        }
        out.put_u8(self.parts.len() as u8);
        for part in &self.parts {
            out.put_u8(part.feature);
            out.put_u32_le(part.start);
        }
        out.freeze()
    }

    /// Reads control bytes.
    pub fn parse(bytes: &Bytes) -> Result<Self, HeaderError> {
        let short = |_| HeaderError::Short(bytes.len());
        let mut rest = bytes.clone();
        let message = rest.try_get_u16_le().map_err(short)?;
        let system = rest.try_get_u8().map_err(short)?;
        let system = SystemId::from_number(system).ok_or(HeaderError::System(system))?;
        let mut model = ModelDigest::default();
        rest.try_copy_to_slice(&mut model.0).map_err(short)?;
        let side = usize::from(rest.try_get_u8().map_err(short)?);
        if side > rest.len() {
            return Err(HeaderError::Short(bytes.len()));
        }
        let side = rest.split_to(side);
        let count = usize::from(rest.try_get_u8().map_err(short)?);
        let mut features = Vec::with_capacity(count.min(MAX_FEATURES));
        for _ in 0..count {
            let word = rest.try_get_u32_le().map_err(short)?;
            let length = word & !ANALOG;
            features.push(if word & ANALOG == 0 {
                FeatureShape::Digital { bytes: length }
            } else {
                FeatureShape::Analog { symbols: length }
            });
        }
        let count = rest.try_get_u8().map_err(short)?;
        let mut parts = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let feature = rest.try_get_u8().map_err(short)?;
            parts.push(Part { feature, start: rest.try_get_u32_le().map_err(short)? });
        }
        if !rest.is_empty() {
            return Err(HeaderError::Long(rest.len()));
        }
        let header = Self { message, system, model, side, features, parts };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), HeaderError> {
        if !(1..=MAX_FEATURES).contains(&self.features.len()) {
            return Err(HeaderError::Features(self.features.len()));
        }
        if self.side.len() > MAX_SIDE_BYTES {
            return Err(HeaderError::Side(self.side.len()));
        }
        let (mut digital, mut analog) = (0u64, 0u64);
        for feature in &self.features {
            match *feature {
                FeatureShape::Digital { bytes } => digital += u64::from(bytes),
                FeatureShape::Analog { symbols } => analog += u64::from(symbols),
            }
            if feature.length() == 0 || feature.length() & ANALOG != 0 {
                return Err(HeaderError::Size);
            }
        }
        if digital > MAX_DIGITAL_BYTES || analog > MAX_ANALOG_SYMBOLS {
            return Err(HeaderError::Size);
        }
        for (index, part) in self.parts.iter().enumerate() {
            let feature = self.features.get(usize::from(part.feature)).ok_or(HeaderError::Part(index))?;
            if part.start >= feature.length() {
                return Err(HeaderError::Part(index));
            }
        }
        Ok(())
    }

    /// Whether both frames belong to the same message (their parts differ).
    pub fn same_message(&self, other: &Self) -> bool {
        self.message == other.message
            && self.system == other.system
            && self.model == other.model
            && self.side == other.side
            && self.features == other.features
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_come_back(
            message: u16,
            model: [u8; 8],
            side in proptest::collection::vec(any::<u8>(), 0..=MAX_SIDE_BYTES),
            shapes in proptest::collection::vec((any::<bool>(), 1u32..300_000), 1..=MAX_FEATURES),
            parts in proptest::collection::vec((any::<u8>(), any::<u32>()), 0..60),
        ) {
            let features: Vec<_> = shapes.iter().map(|&(analog, length)| if analog {
                FeatureShape::Analog { symbols: length }
            } else {
                FeatureShape::Digital { bytes: length }
            }).collect();
            let parts = parts.iter().map(|&(feature, start)| {
                let feature = feature % features.len() as u8;
                Part { feature, start: start % features[usize::from(feature)].length() }
            }).collect();
            let header = MessageHeader {
                message, system: SystemId::Ae, model: ModelDigest(model), side: Bytes::from(side), features, parts,
            };
            let bytes = header.to_bytes();
            prop_assert_eq!(bytes.len(), header.encoded_len(header.parts.len()));
            prop_assert_eq!(MessageHeader::parse(&bytes), Ok(header));
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            if let Ok(header) = MessageHeader::parse(&bytes) {
                prop_assert_eq!(header.to_bytes(), bytes);
            }
        }
    }
}
