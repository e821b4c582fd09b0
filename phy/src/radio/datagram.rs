//! The datagrams between radios and the air: samples and the messages that pace them.
//!
//! Bytes of one datagram → [`Datagram`], and back. The layout is in `docs/PROTOCOL.md`, "Air
//! datagrams": a header of [`HEADER_BYTES`] little-endian bytes, then the samples if there are any.
//! Parsing looks at nothing but the bytes given, allocates nothing and never panics.

use num_complex::Complex32;

/// First four bytes of every datagram.
pub const MAGIC: [u8; 4] = *b"SCA1";
/// Version of the layout.
pub const VERSION: u8 = 1;
/// Bytes before the samples.
pub const HEADER_BYTES: usize = 48;
/// Most samples in a datagram between loopback addresses. A datagram then fits into the 8 KiB that
/// Linux allots to it with its own bookkeeping, so a socket's buffer holds as many as it can.
pub const LOOPBACK_SAMPLES: usize = 960;
/// Most samples in a datagram across a network: 1456 bytes, within an Ethernet frame.
pub const NETWORK_SAMPLES: usize = 176;
/// Most samples that a datagram may carry at all.
pub const MAX_SAMPLES: usize = 1024;
/// Longest datagram.
pub const MAX_DATAGRAM_BYTES: usize = HEADER_BYTES + MAX_SAMPLES * 8;
/// Samples beyond this magnitude, and any that are no numbers, are read as zero.
const MAX_MAGNITUDE: f32 = 1e6;

/// Why bytes are not a datagram of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Shorter than a header.
    #[error("{0} bytes, a datagram has at least {HEADER_BYTES}")]
    TooShort(usize),
    /// Not ours.
    #[error("does not begin with SCA1")]
    Magic,
    /// A layout that this program does not know.
    #[error("version {0}, known is {VERSION}")]
    Version(u8),
    /// An unknown kind.
    #[error("kind {0}, allowed is 1 to 5")]
    Kind(u8),
    /// An unknown sample format.
    #[error("sample format {0}, allowed is 1 (cf32), 2 (ci16) or 3 (ci8)")]
    Format(u8),
    /// More samples than allowed, or samples where none belong.
    #[error("{0} samples, allowed is 1 to {MAX_SAMPLES} in a datagram of samples and 0 in others")]
    Count(u16),
    /// Count and size contradict each other.
    #[error("{actual} bytes, the header says {expected}")]
    Length {
        /// Bytes there are.
        actual: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// The sample rate is not a positive number.
    #[error("sample rate is not a positive number")]
    SampleRate,
    /// Sample indices beyond 2⁶².
    #[error("sample index out of range, allowed is 0 to 2^62")]
    Index,
}

/// What a datagram is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Samples of a burst (to the air), or of the received stream (from the air).
    Samples = 1,
    /// A radio says that it is alive and where it stands.
    Hello = 2,
    /// The receiving side of samples says how far the other may go.
    Credit = 3,
    /// A radio leaves.
    Goodbye = 4,
    /// The air says that it is alive and where it stands.
    Status = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Result<Self, DatagramError> {
        Ok(match byte {
            1 => Self::Samples,
            2 => Self::Hello,
            3 => Self::Credit,
            4 => Self::Goodbye,
            5 => Self::Status,
            other => return Err(DatagramError::Kind(other)),
        })
    }
}

/// How a sample is written; real part first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SampleFormat {
    /// Two 32-bit floats.
    Cf32 = 1,
    /// Two signed 16-bit integers, full scale ±1.0 = ±32767.
    Ci16 = 2,
    /// Two signed 8-bit integers, full scale ±1.0 = ±127.
    Ci8 = 3,
}

impl SampleFormat {
    fn from_byte(byte: u8) -> Result<Self, DatagramError> {
        Ok(match byte {
            1 => Self::Cf32,
            2 => Self::Ci16,
            3 => Self::Ci8,
            other => return Err(DatagramError::Format(other)),
        })
    }

    /// Bytes of one complex sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::Cf32 => 8,
            Self::Ci16 => 4,
            Self::Ci8 => 2,
        }
    }
}

/// Bits of the header's flags; bits without a name are ignored.
pub mod flags {
    /// The first sample here is the first of a burst; in a hello: the sender asks for its turn.
    pub const START_OF_BURST: u8 = 1;
    /// The last sample before `first_sample` + count is the last of a burst.
    pub const END_OF_BURST: u8 = 2;
    /// Samples are missing before these; from the air to a transmitter: its burst was given up.
    pub const DISCONTINUITY: u8 = 4;
    /// The air has taken the radio in.
    pub const ESTABLISHED: u8 = 8;
}

/// The fields before the samples. What `first_sample` and `limit` mean depends on the kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    /// What the datagram is for.
    pub kind: Kind,
    /// See [`flags`].
    pub flags: u8,
    /// How samples are written.
    pub format: SampleFormat,
    /// A radio's own number, zero if it has none: a newcomer with the number and address of a known
    /// transmitter replaces it.
    pub stream: u32,
    /// Drawn anew by every process when it starts.
    pub session: u32,
    /// The session that the sender believes it talks to, zero if it knows none.
    pub peer_session: u32,
    /// Samples that follow.
    pub count: u16,
    /// Samples: index of the first one. Hello of a transmitter and status: index after the last one
    /// sent. Hello of a receiver and credit: index of the next one expected.
    pub first_sample: u64,
    /// Credit and hello of a receiver: samples below this index may be sent. Else zero.
    pub limit: u64,
    /// Sample rate that the sender works at.
    pub sample_rate_hz: f64,
}

/// A datagram that was parsed; the samples are still bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datagram<'a> {
    /// The header.
    pub header: Header,
    payload: &'a [u8],
}

/// `N` bytes at a place that the caller has checked to exist.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

/// Reads a datagram.
///
/// # Errors
/// [`DatagramError`] says which field is wrong.
pub fn parse(bytes: &[u8]) -> Result<Datagram<'_>, DatagramError> {
    if bytes.len() < HEADER_BYTES {
        return Err(DatagramError::TooShort(bytes.len()));
    }
    if bytes[..4] != MAGIC {
        return Err(DatagramError::Magic);
    }
    if bytes[4] != VERSION {
        return Err(DatagramError::Version(bytes[4]));
    }
    let header = Header {
        kind: Kind::from_byte(bytes[5])?,
        flags: bytes[6],
        format: SampleFormat::from_byte(bytes[7])?,
        stream: u32::from_le_bytes(array(bytes, 8)),
        session: u32::from_le_bytes(array(bytes, 12)),
        peer_session: u32::from_le_bytes(array(bytes, 16)),
        count: u16::from_le_bytes(array(bytes, 20)),
        first_sample: u64::from_le_bytes(array(bytes, 24)),
        limit: u64::from_le_bytes(array(bytes, 32)),
        sample_rate_hz: f64::from_le_bytes(array(bytes, 40)),
    };
    let count = usize::from(header.count);
    if count > MAX_SAMPLES || (count > 0) != (header.kind == Kind::Samples) {
        return Err(DatagramError::Count(header.count));
    }
    let expected = HEADER_BYTES + count * header.format.bytes();
    if bytes.len() != expected {
        return Err(DatagramError::Length { actual: bytes.len(), expected });
    }
    if !(header.sample_rate_hz > 0.0 && header.sample_rate_hz.is_finite()) {
        return Err(DatagramError::SampleRate);
    }
    if header.first_sample > 1 << 62 || header.limit > 1 << 62 {
        return Err(DatagramError::Index);
    }
    Ok(Datagram { header, payload: &bytes[HEADER_BYTES..] })
}

fn sane(value: f32) -> f32 {
    if value.abs() <= MAX_MAGNITUDE { value } else { 0.0 }
}

impl Datagram<'_> {
    /// Appends the samples to `out`. Anything that is no number is read as zero.
    pub fn read_samples(&self, out: &mut Vec<Complex32>) {
        match self.header.format {
            SampleFormat::Cf32 => out.extend(self.payload.chunks_exact(8).map(|bytes| {
                let re = sane(f32::from_le_bytes(array(bytes, 0)));
                let im = sane(f32::from_le_bytes(array(bytes, 4)));
                Complex32::new(re, im)
            })),
            SampleFormat::Ci16 => out.extend(self.payload.chunks_exact(4).map(|bytes| {
                let re = i16::from_le_bytes(array(bytes, 0));
                let im = i16::from_le_bytes(array(bytes, 2));
                Complex32::new(f32::from(re), f32::from(im)) / 32767.0
            })),
            SampleFormat::Ci8 => out.extend(self.payload.chunks_exact(2).map(|bytes| {
                let [re, im] = array(bytes, 0).map(|byte: u8| f32::from(byte as i8));
                Complex32::new(re, im) / 127.0
            })),
        }
    }
}

/// Writes a datagram over whatever `out` held. The header's count is set from `samples`, of which
/// there are at most [`MAX_SAMPLES`]; integer formats clip at full scale.
pub fn write(header: &Header, samples: &[Complex32], out: &mut Vec<u8>) {
    let samples = &samples[..samples.len().min(MAX_SAMPLES)];
    out.clear();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, header.kind as u8, header.flags, header.format as u8]);
    out.extend_from_slice(&header.stream.to_le_bytes());
    out.extend_from_slice(&header.session.to_le_bytes());
    out.extend_from_slice(&header.peer_session.to_le_bytes());
    out.extend_from_slice(&(samples.len() as u16).to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&header.first_sample.to_le_bytes());
    out.extend_from_slice(&header.limit.to_le_bytes());
    out.extend_from_slice(&header.sample_rate_hz.to_le_bytes());
    for sample in samples {
        match header.format {
            SampleFormat::Cf32 => {
                let mut bytes = [0; 8];
                bytes[..4].copy_from_slice(&sample.re.to_le_bytes());
                bytes[4..].copy_from_slice(&sample.im.to_le_bytes());
                out.extend_from_slice(&bytes);
            }
            SampleFormat::Ci16 => {
                out.extend_from_slice(&(scale(sample.re, 32767.0) as i16).to_le_bytes());
                out.extend_from_slice(&(scale(sample.im, 32767.0) as i16).to_le_bytes());
            }
            SampleFormat::Ci8 => {
                out.push(scale(sample.re, 127.0) as i8 as u8);
                out.push(scale(sample.im, 127.0) as i8 as u8);
            }
        }
    }
}

fn scale(value: f32, full_scale: f32) -> f32 {
    (value.clamp(-1.0, 1.0) * full_scale).round()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(kind: Kind, format: SampleFormat) -> Header {
        Header {
            kind,
            flags: flags::START_OF_BURST,
            format,
            stream: 3,
            session: 0xDEAD_BEEF,
            peer_session: 7,
            count: 0,
            first_sample: 1 << 40,
            limit: 99,
            sample_rate_hz: 7.68e6,
        }
    }

    #[test]
    fn layout_is_the_documented_one() {
        let mut bytes = Vec::new();
        let samples = [Complex32::new(1.0, -2.0)];
        write(&header(Kind::Samples, SampleFormat::Cf32), &samples, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            concat!(
                "53434131",
                "01010101",
                "03000000",
                "efbeadde",
                "07000000",
                "0100",
                "0000",
                "0000000000010000",
                "6300000000000000",
                "00000000004c5d41",
                "0000803f",
                "000000c0"
            )
        );
    }

    #[test]
    fn samples_that_are_no_numbers_are_read_as_zero() {
        let samples = [Complex32::new(f32::NAN, 0.5), Complex32::new(f32::INFINITY, -1e30)];
        let mut bytes = Vec::new();
        write(&header(Kind::Samples, SampleFormat::Cf32), &samples, &mut bytes);
        let mut read = Vec::new();
        parse(&bytes).expect("valid").read_samples(&mut read);
        assert_eq!(read, [Complex32::new(0.0, 0.5), Complex32::new(0.0, 0.0)]);
    }

    fn any_header() -> impl Strategy<Value = Header> {
        let format = prop_oneof![Just(SampleFormat::Cf32), Just(SampleFormat::Ci16), Just(SampleFormat::Ci8)];
        let index = 0..=1u64 << 62;
        ((1u8..=5, any::<u8>(), format, any::<[u32; 3]>()), (index.clone(), index, 1e-3..1e12)).prop_map(
            |((kind, flags, format, ids), (first_sample, limit, rate))| Header {
                kind: Kind::from_byte(kind).expect("known"),
                flags,
                format,
                stream: ids[0],
                session: ids[1],
                peer_session: ids[2],
                count: 0,
                first_sample,
                limit,
                sample_rate_hz: rate,
            },
        )
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(parse(&bytes).is_err() || bytes.starts_with(&MAGIC));
        }

        #[test]
        fn damaged_datagrams_do_no_harm(
            header in any_header(),
            count in 0usize..40,
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            keep in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            write(&header, &vec![Complex32::new(0.5, -0.5); count], &mut bytes);
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(keep.index(bytes.len() + 1).max(bytes.len() / 2));
            if let Ok(datagram) = parse(&bytes) {
                let mut samples = Vec::new();
                datagram.read_samples(&mut samples);
                prop_assert_eq!(samples.len(), usize::from(datagram.header.count));
                prop_assert!(samples.iter().all(|s| s.re.is_finite() && s.im.is_finite()));
            }
        }

        #[test]
        fn what_was_written_is_read(
            header in any_header(),
            values in proptest::collection::vec((-1f32..=1.0, -1f32..=1.0), 1..200),
        ) {
            let values: Vec<Complex32> =
                values.into_iter().map(|(re, im)| Complex32::new(re, im)).collect();
            let samples = if header.kind == Kind::Samples { &values[..] } else { &[] };
            let mut bytes = Vec::new();
            write(&header, samples, &mut bytes);
            let datagram = parse(&bytes).expect("just written");
            prop_assert_eq!(datagram.header, Header { count: samples.len() as u16, ..header });
            let mut read = Vec::new();
            datagram.read_samples(&mut read);
            prop_assert_eq!(read.len(), samples.len());
            let step = match header.format {
                SampleFormat::Cf32 => 0.0,
                SampleFormat::Ci16 => 0.5 / 32767.0,
                SampleFormat::Ci8 => 0.5 / 127.0,
            };
            for (a, b) in read.iter().zip(samples) {
                prop_assert!((a.re - b.re).abs() <= step * 1.01 && (a.im - b.im).abs() <= step * 1.01);
            }
        }
    }
}
