//! How a complex sample is written: SigMF's `core:datatype`.

use std::fmt;
use std::str::FromStr;

use num_complex::Complex32;
use serde::{Deserialize, Serialize};

/// Amplitude that integers of this program have as full scale: 12 dB over 1, so that an OFDM signal seldom clips.
pub const INTEGER_SCALE: f32 = 4.0;
/// Samples beyond this magnitude, and any that are no numbers, are read as zero.
const MAX_MAGNITUDE: f32 = 1e6;

/// A format of complex samples; real part first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Datatype {
    /// 32-bit floats, little endian.
    #[default]
    Cf32,
    /// Signed 16-bit integers, little endian.
    Ci16,
    /// Signed 8-bit integers.
    Ci8,
    /// Unsigned 16-bit integers around 32,768, little endian; read alone.
    Cu16,
    /// Unsigned 8-bit integers around 128, as RTL-SDR gives them; read alone.
    Cu8,
}

impl Datatype {
    /// Bytes of one complex sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::Cf32 => 8,
            Self::Ci16 | Self::Cu16 => 4,
            Self::Ci8 | Self::Cu8 => 2,
        }
    }

    /// Reads whole samples and appends them; integers become −1 to 1.
    pub fn read(self, bytes: &[u8], out: &mut Vec<Complex32>) {
        let sane = |value: f32| if value.abs() <= MAX_MAGNITUDE { value } else { 0.0 };
        let half = |re: f32, im: f32, scale: f32| Complex32::new(re / scale, im / scale);
        match self {
            Self::Cf32 => out.extend(bytes.chunks_exact(8).map(|b| {
                let part = |at: usize| sane(f32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]));
                Complex32::new(part(0), part(4))
            })),
            Self::Ci16 => out.extend(bytes.chunks_exact(4).map(|b| {
                let part = |at: usize| f32::from(i16::from_le_bytes([b[at], b[at + 1]]));
                half(part(0), part(2), 32768.0)
            })),
            Self::Cu16 => out.extend(bytes.chunks_exact(4).map(|b| {
                let part = |at: usize| f32::from(u16::from_le_bytes([b[at], b[at + 1]])) - 32767.5;
                half(part(0), part(2), 32768.0)
            })),
            Self::Ci8 => out.extend(
                bytes.chunks_exact(2).map(|b| half(f32::from(b[0] as i8), f32::from(b[1] as i8), 128.0)),
            ),
            Self::Cu8 => out.extend(
                bytes.chunks_exact(2).map(|b| half(f32::from(b[0]) - 127.5, f32::from(b[1]) - 127.5, 128.0)),
            ),
        }
    }

    /// Appends samples as bytes. Integers have [`INTEGER_SCALE`] as full scale, round and clip.
    pub fn write(self, samples: &[Complex32], out: &mut Vec<u8>) {
        let whole =
            |value: f32, levels: f32| (value * (levels / INTEGER_SCALE)).round().clamp(-levels, levels - 1.0);
        out.reserve(samples.len() * self.bytes());
        for value in samples.iter().flat_map(|sample| [sample.re, sample.im]) {
            match self {
                Self::Cf32 => out.extend(value.to_le_bytes()),
                Self::Ci16 => out.extend((whole(value, 32768.0) as i16).to_le_bytes()),
                Self::Cu16 => out.extend(((whole(value, 32768.0) + 32768.0) as u16).to_le_bytes()),
                Self::Ci8 => out.push(whole(value, 128.0) as i8 as u8),
                Self::Cu8 => out.push((whole(value, 128.0) + 128.0) as u8),
            }
        }
    }
}

impl FromStr for Datatype {
    type Err = String;

    /// SigMF's names; `cf32` and `ci16` stand for their little-endian forms.
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "cf32_le" | "cf32" => Self::Cf32,
            "ci16_le" | "ci16" => Self::Ci16,
            "ci8" => Self::Ci8,
            "cu16_le" => Self::Cu16,
            "cu8" => Self::Cu8,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(format!(
                    "samples of type `{other}` cannot be read: allowed are cf32_le, ci16_le, ci8, cu16_le and cu8"
                ));
            }
        })
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cf32 => "cf32_le",
            Self::Ci16 => "ci16_le",
            Self::Ci8 => "ci8",
            Self::Cu16 => "cu16_le",
            Self::Cu8 => "cu8",
        })
    }
}

impl TryFrom<String> for Datatype {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Datatype> for String {
    fn from(datatype: Datatype) -> Self {
        datatype.to_string()
    }
}
