//! Samples as a device has them: bytes of CS8, CS16 or CF32 ↔ complex floats.

use num_complex::Complex32;

/// How a device writes a sample: real part first, machine byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceFormat {
    /// Signed 8-bit integers.
    Cs8,
    /// Signed 16-bit integers.
    Cs16,
    /// 32-bit floats, full scale ±1.0.
    Cf32,
}

impl DeviceFormat {
    /// All of them, in the order in which they are preferred if the native one is another.
    pub const ALL: [Self; 3] = [Self::Cs16, Self::Cf32, Self::Cs8];

    /// SoapySDR's name of it (SoapySDR/Formats.h).
    pub fn name(self) -> &'static str {
        match self {
            Self::Cs8 => "CS8",
            Self::Cs16 => "CS16",
            Self::Cf32 => "CF32",
        }
    }

    /// The format of a name, if it is one of ours; case does not matter.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of one complex sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::Cs8 => 2,
            Self::Cs16 => 4,
            Self::Cf32 => 8,
        }
    }

    /// Full scale of a device that does not say: that of the type.
    pub fn full_scale(self) -> f64 {
        match self {
            Self::Cs8 => 128.0,
            Self::Cs16 => 32_768.0,
            Self::Cf32 => 1.0,
        }
    }
}

/// Conversion for one stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Converter {
    format: DeviceFormat,
    /// A value of the device at ±1.0.
    full_scale: f32,
    /// Largest integer that is sent: one step less than the full scale, and no more than the type holds, on both sides alike.
    largest: f32,
}

impl Converter {
    /// For a device whose values at ±1.0 are ±`full_scale`; a full scale that is no positive number is taken for the type's own.
    pub fn new(format: DeviceFormat, full_scale: f64) -> Self {
        let sound = full_scale.is_finite() && full_scale > 0.0;
        let full_scale = if sound { full_scale } else { format.full_scale() } as f32;
        let most = match format {
            DeviceFormat::Cs8 => 127.0,
            DeviceFormat::Cs16 => 32_767.0,
            DeviceFormat::Cf32 => f32::MAX,
        };
        // 128 and 32768 stand for the type's range; 127 or 2047 are values that a converter has.
        let largest = if full_scale > most { most } else { full_scale.min(most) };
        Self { format, full_scale, largest: if format == DeviceFormat::Cf32 { f32::MAX } else { largest } }
    }

    /// The format.
    pub fn format(&self) -> DeviceFormat {
        self.format
    }

    /// Replaces `out` by `samples` times `amplitude`. Integers are rounded and saturate; returns how many samples did. What
    /// is no number becomes 0.
    pub fn to_device(&self, samples: &[Complex32], amplitude: f32, out: &mut Vec<u8>) -> u64 {
        out.clear();
        out.reserve(samples.len() * self.format.bytes());
        let mut saturated = 0;
        if self.format == DeviceFormat::Cf32 {
            let scale = amplitude * self.full_scale;
            for sample in samples {
                for part in [sample.re, sample.im] {
                    out.extend_from_slice(&(part * scale).to_ne_bytes());
                }
            }
            return 0;
        }
        let scale = amplitude * self.full_scale;
        for sample in samples {
            let parts = [sample.re * scale, sample.im * scale];
            saturated += u64::from(parts.iter().any(|part| part.abs() > self.largest + 0.5));
            for part in parts {
                // A cast of what is no number gives 0.
                let value = part.round().clamp(-self.largest, self.largest) as i16;
                match self.format {
                    DeviceFormat::Cs8 => out.extend_from_slice(&(value as i8).to_ne_bytes()),
                    _ => out.extend_from_slice(&value.to_ne_bytes()),
                }
            }
        }
        saturated
    }

    /// Appends samples to `out`; bytes that make no whole sample are left out. Returns how many integers lay at an end of the
    /// type's range, which tells of too much gain.
    pub fn from_device(&self, bytes: &[u8], out: &mut Vec<Complex32>) -> u64 {
        let scale = 1.0 / self.full_scale;
        let mut clipped = 0;
        match self.format {
            DeviceFormat::Cs8 => out.extend(bytes.chunks_exact(2).map(|pair| {
                let parts = [pair[0] as i8, pair[1] as i8];
                clipped += u64::from(parts.iter().any(|part| part.unsigned_abs() >= 127));
                Complex32::new(f32::from(parts[0]) * scale, f32::from(parts[1]) * scale)
            })),
            DeviceFormat::Cs16 => out.extend(bytes.chunks_exact(4).map(|pair| {
                let parts = [i16::from_ne_bytes([pair[0], pair[1]]), i16::from_ne_bytes([pair[2], pair[3]])];
                clipped += u64::from(parts.iter().any(|part| f32::from(*part).abs() >= self.largest - 0.5));
                Complex32::new(f32::from(parts[0]) * scale, f32::from(parts[1]) * scale)
            })),
            DeviceFormat::Cf32 => out.extend(bytes.chunks_exact(8).map(|pair| {
                let float = |at: usize| {
                    let value = f32::from_ne_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
                    if value.is_finite() { value * scale } else { 0.0 }
                };
                Complex32::new(float(0), float(4))
            })),
        }
        clipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scale_is_kept_apart_from_the_type() {
        // HackRF says 128 and takes ±127; a 12-bit converter in CS16 says 2047 or 2048.
        for (format, full_scale, expected) in [
            (DeviceFormat::Cs8, 128.0, 127),
            (DeviceFormat::Cs16, 2047.0, 2047),
            (DeviceFormat::Cs16, 32_768.0, 32_767),
        ] {
            let converter = Converter::new(format, full_scale);
            let mut bytes = Vec::new();
            let samples = [Complex32::new(1.5, -1.5), Complex32::new(0.0, f32::NAN)];
            assert_eq!(converter.to_device(&samples, 1.0, &mut bytes), 1);
            let values: Vec<i32> = match format {
                DeviceFormat::Cs8 => bytes.iter().map(|byte| i32::from(*byte as i8)).collect(),
                _ => bytes.chunks(2).map(|pair| i32::from(i16::from_ne_bytes([pair[0], pair[1]]))).collect(),
            };
            assert_eq!(values, [expected, -expected, 0, 0], "{format:?} {full_scale}");
            let mut back = Vec::new();
            assert_eq!(converter.from_device(&bytes, &mut back), 1, "{format:?} {full_scale}");
        }
    }

    #[test]
    fn what_is_written_is_read_within_half_a_step() {
        let samples: Vec<Complex32> = (0..200).map(|n| Complex32::from_polar(0.9, n as f32 * 0.37)).collect();
        for (format, full_scale) in [
            (DeviceFormat::Cs8, 128.0),
            (DeviceFormat::Cs16, 2048.0),
            (DeviceFormat::Cs16, 32_767.0),
            (DeviceFormat::Cf32, 1.0),
            (DeviceFormat::Cf32, f64::NAN),
        ] {
            let converter = Converter::new(format, full_scale);
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            converter.to_device(&samples, 0.5, &mut bytes);
            assert_eq!(bytes.len(), samples.len() * format.bytes());
            converter.from_device(&bytes, &mut back);
            let step = if format == DeviceFormat::Cf32 { 0.0 } else { 0.51 / full_scale as f32 };
            for (sample, back) in samples.iter().zip(&back) {
                let error = sample * 0.5 - back;
                assert!(error.re.abs() <= step && error.im.abs() <= step, "{format:?}: {error}");
            }
        }
    }

    #[test]
    fn floats_pass_unchanged_at_amplitude_one() {
        let samples = [Complex32::new(1.0 / 3.0, -7.25), Complex32::new(f32::MIN_POSITIVE, 3.4e5)];
        let converter = Converter::new(DeviceFormat::Cf32, 1.0);
        let (mut bytes, mut back) = (Vec::new(), Vec::new());
        converter.to_device(&samples, 1.0, &mut bytes);
        converter.from_device(&bytes, &mut back);
        assert_eq!(back, samples);
    }
}
