//! Content: an RGB picture of any size, or UTF-8 text; for a machine, what a picture shows.
//!
//! Pictures are 8-bit RGB, interleaved, row by row from the top left.
//!
//! - [`labels`]: what a picture shows. [`classes`]: the classes that it is told in.
//! - [`mod@file`]: picture files, read and written.
//! - [`test_card`]: a picture that the program draws itself.
//! - [`side_by_side`](mod@side_by_side): what was sent and what arrived, in one picture.

pub mod classes;
pub mod file;
pub mod labels;
pub mod side_by_side;
pub mod test_card;

use thiserror::Error;

pub use labels::Labels;

/// Most pixels that a picture may have (40 megapixels: 120 MB of RGB, the bound on memory).
pub const MAX_PIXELS: u64 = 40_000_000;
/// Longest side of a picture, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Most bytes of text in one message.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// Why something is not content that can be sent.
#[derive(Debug, Error)]
pub enum ContentError {
    /// A side is zero or too long, or there are too many pixels.
    #[error(
        "a picture of {width}x{height} pixels cannot be sent: sides must be 1 to {MAX_SIDE} pixels, \
         and at most {MAX_PIXELS} pixels in all"
    )]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The buffer does not hold `3 · width · height` bytes.
    #[error("a picture of {width}x{height} pixels takes {expected} bytes of RGB, not {actual}")]
    Buffer {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes that such a picture takes.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The bytes are no picture in a known format.
    #[error("not a picture in a known format (PNG, JPEG, WebP or BMP): {0}")]
    Format(String),
    /// There is not one known class for each block.
    #[error(
        "{actual} labels for a picture of {width}x{height} pixels: each of its {expected} blocks has one of {} classes",
        classes::COUNT
    )]
    Labels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Blocks of such a picture.
        expected: usize,
        /// Labels given.
        actual: usize,
    },
    /// The text is empty or too long.
    #[error("a text of {0} bytes cannot be sent: 1 to {MAX_TEXT_BYTES} bytes of UTF-8")]
    Text(usize),
}

/// What is sent, a picture or a text, and what arrives: the same, or for a machine what the picture shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An RGB picture.
    Picture(Picture),
    /// UTF-8 text, 1 to [`MAX_TEXT_BYTES`] bytes.
    Text(String),
    /// What a picture shows.
    Labels(Labels),
}

/// An 8-bit RGB picture. Its sides and its buffer always fit each other.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// Checks sides against [`MAX_SIDE`] and [`MAX_PIXELS`].
pub fn check_size(width: u32, height: u32) -> Result<(), ContentError> {
    let fits = (1..=MAX_SIDE).contains(&width)
        && (1..=MAX_SIDE).contains(&height)
        && u64::from(width) * u64::from(height) <= MAX_PIXELS;
    if fits { Ok(()) } else { Err(ContentError::Size { width, height }) }
}

impl Picture {
    /// A picture from interleaved RGB bytes, `3 · width · height` of them.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, ContentError> {
        check_size(width, height)?;
        let expected = 3 * width as usize * height as usize;
        if rgb.len() != expected {
            return Err(ContentError::Buffer { width, height, expected, actual: rgb.len() });
        }
        Ok(Self { width, height, rgb })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Interleaved RGB bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Number of source values, `3 · width · height`: what the channel bandwidth ratio divides by.
    pub fn values(&self) -> usize {
        self.rgb.len()
    }
}

impl Content {
    /// Text, checked for length.
    pub fn text(text: impl Into<String>) -> Result<Self, ContentError> {
        let text = text.into();
        if (1..=MAX_TEXT_BYTES).contains(&text.len()) {
            Ok(Self::Text(text))
        } else {
            Err(ContentError::Text(text.len()))
        }
    }

    /// Source values: RGB samples of a picture, bytes of a text; two for each block that is labelled.
    pub fn values(&self) -> usize {
        match self {
            Self::Picture(picture) => picture.values(),
            Self::Text(text) => text.len(),
            Self::Labels(labels) => 2 * labels.classes().len(),
        }
    }
}
