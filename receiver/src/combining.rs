//! Combining: coded segments that could not be corrected → soft bits that are kept → the bytes, once enough
//! transmissions of the same segment have come.
//!
//! A transmitter repeats a segment with the same bytes and the same step of the MCS ladder, and another
//! redundancy version (incremental redundancy: TS 38.212 §5.4.2.1, TS 38.321 §5.3.2). What is known of its
//! coded bits adds up in a soft buffer. Memory is bounded: what was kept longest goes first, which costs a
//! repetition at worst, never a wrong byte, since every decoded segment has passed its CRC.
//!
//! This runs on the thread that demodulates: decoding is what takes time.

use std::collections::VecDeque;

use bytes::Bytes;
use semcast_common::segmentation::MessageHeader;
use semcast_phy::{
    coding::{
        segmentation::TransportBlock,
        transport_block::{SoftBuffer, TransportBlockDecoder},
    },
    framing::ReceivedSegment,
    modulation::mcs::Mcs,
    receive::ReceivedFrame,
};

/// Most bytes of soft bits that are kept.
const MEMORY_BYTES: usize = 32 << 20;
/// Messages of which segments are kept; as many as are in reception at a time.
const MAX_MESSAGES: usize = 4;

/// Which segment of which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    transmitter: u16,
    message: u16,
    feature: u8,
    start: u32,
    length: usize,
    mcs: Mcs,
}

enum Soft {
    /// One transmission, as it came.
    Once { redundancy_version: u8, llrs: Vec<f32> },
    /// More than one, added up.
    Combined(SoftBuffer),
}

struct Kept {
    key: Key,
    soft: Soft,
    bytes: usize,
}

/// Keeps soft bits and combines them.
pub struct Combiner {
    decoder: TransportBlockDecoder,
    /// The messages whose segments are kept, by transmitter; without parts.
    messages: VecDeque<(u16, MessageHeader)>,
    /// The longest kept first.
    kept: VecDeque<Kept>,
    bytes: usize,
    most_bytes: usize,
}

impl Default for Combiner {
    fn default() -> Self {
        Self::with_memory(MEMORY_BYTES)
    }
}

impl Combiner {
    fn with_memory(most_bytes: usize) -> Self {
        Self {
            decoder: TransportBlockDecoder::new(),
            messages: VecDeque::new(),
            kept: VecDeque::new(),
            bytes: 0,
            most_bytes,
        }
    }

    /// Tries every segment of a frame that could not be corrected together with what was kept of it: what that
    /// corrects takes its place in the frame, what it does not is kept, and its soft bits are taken out of the
    /// frame. Returns how many were corrected.
    pub fn combine(&mut self, frame: &mut ReceivedFrame) -> u32 {
        let failed =
            |segment: &ReceivedSegment| matches!(segment, ReceivedSegment::Coded { decoded: Err(_), .. });
        if self.kept.is_empty() && !frame.segments.iter().any(failed) {
            return 0;
        }
        // What belongs to no message is refused, and told, where messages are put together.
        let Ok(header) = MessageHeader::parse(&frame.control) else { return 0 };
        let (transmitter, message) = (frame.header.transmitter, header.message);
        self.meet(transmitter, &header);
        let mut corrected = 0;
        for (part, segment) in header.parts.iter().zip(&mut frame.segments) {
            let ReceivedSegment::Coded { mcs, redundancy_version, length, decoded } = segment else {
                continue;
            };
            let Some(mcs) = Mcs::from_index(*mcs) else { continue };
            let key =
                Key { transmitter, message, feature: part.feature, start: part.start, length: *length, mcs };
            let kept = self.take(key);
            if let Err(soft) = decoded
                && let Some(bytes) = self.add(key, kept, *redundancy_version, std::mem::take(&mut soft.0))
            {
                *decoded = Ok(bytes);
                corrected += 1;
            }
        }
        corrected
    }

    /// Notes that a message is on its way; forgets another one under the same name, and the oldest.
    fn meet(&mut self, transmitter: u16, header: &MessageHeader) {
        let same_name =
            |(from, known): &(u16, MessageHeader)| (*from, known.message) == (transmitter, header.message);
        match self.messages.iter().position(same_name) {
            Some(index) if self.messages[index].1.same_message(header) => return,
            Some(index) => self.forget(index),
            None if self.messages.len() == MAX_MESSAGES => self.forget(0),
            None => {}
        }
        self.messages.push_back((transmitter, MessageHeader { parts: Vec::new(), ..header.clone() }));
    }

    fn forget(&mut self, index: usize) {
        let Some((transmitter, header)) = self.messages.remove(index) else { return };
        let forgotten =
            |kept: &Kept| (kept.key.transmitter, kept.key.message) == (transmitter, header.message);
        self.bytes -= self.kept.iter().filter(|kept| forgotten(kept)).map(|kept| kept.bytes).sum::<usize>();
        self.kept.retain(|kept| !forgotten(kept));
    }

    fn take(&mut self, key: Key) -> Option<Soft> {
        let index = self.kept.iter().position(|kept| kept.key == key)?;
        let kept = self.kept.remove(index)?;
        self.bytes -= kept.bytes;
        Some(kept.soft)
    }

    fn keep(&mut self, key: Key, soft: Soft, bytes: usize) {
        while self.bytes + bytes > self.most_bytes
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
        if self.bytes + bytes <= self.most_bytes {
            self.bytes += bytes;
            self.kept.push_back(Kept { key, soft, bytes });
        }
    }

    /// Adds a transmission to what was kept of its segment: the bytes, or it is kept.
    fn add(&mut self, key: Key, kept: Option<Soft>, redundancy_version: u8, llrs: Vec<f32>) -> Option<Bytes> {
        let order = key.mcs.modulation().bits_per_symbol();
        // Sizes that do not exist give nothing to keep.
        let sizes = TransportBlock::new(key.length, llrs.len(), order).ok()?;
        let mut memory = match kept {
            None => {
                let bytes = size_of_val(llrs.as_slice());
                self.keep(key, Soft::Once { redundancy_version, llrs }, bytes);
                return None;
            }
            Some(Soft::Combined(memory)) => memory,
            Some(Soft::Once { redundancy_version, llrs }) => {
                let mut memory = SoftBuffer::new();
                let _ =
                    self.decoder.decode_combined(&mut memory, &llrs, key.length, order, redundancy_version);
                memory
            }
        };
        match self.decoder.decode_combined(&mut memory, &llrs, key.length, order, redundancy_version) {
            Ok(block) => Some(block.payload.into()),
            Err(_) => {
                let bits = sizes.code_blocks() * sizes.code().codeword_bits();
                self.keep(key, Soft::Combined(memory), bits * size_of::<f32>());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use num_complex::Complex32;
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use semcast_common::{
        message::{ModelDigest, SystemId},
        segmentation::header::{FeatureShape, Part},
    };
    use semcast_phy::{coding::transport_block::TransportBlockEncoder, framing::SoftBits};

    use super::*;
    use crate::reception::tests::received;

    const BYTES: usize = 300;

    fn payload() -> Vec<u8> {
        (0..BYTES).map(|i| (i * 89 + 5) as u8).collect()
    }

    /// Noise of unit variance per complex sample (Box and Muller).
    fn noise(random: &mut StdRng) -> Complex32 {
        let radius = (-random.random_range(f32::MIN_POSITIVE..1.0).ln()).sqrt();
        Complex32::from_polar(radius, random.random_range(0.0..std::f32::consts::TAU))
    }

    /// A transmission of the payload over a channel with white noise: the segment as the demodulator gives it.
    fn segment(mcs: Mcs, redundancy_version: u8, snr_db: f32, random: &mut StdRng) -> ReceivedSegment {
        let order = mcs.modulation().bits_per_symbol();
        let coded_bits = mcs.symbols_for_bytes(BYTES) * usize::from(order);
        let mut bits = Vec::new();
        TransportBlockEncoder::new()
            .encode(&payload(), coded_bits, order, redundancy_version, &mut bits)
            .expect("sizes of the ladder");
        let mut symbols = Vec::new();
        mcs.modulation().map(&bits, &mut symbols);
        let variance = 10f32.powf(-snr_db / 10.0);
        symbols.iter_mut().for_each(|symbol| *symbol += noise(random) * variance.sqrt());
        let mut llrs = Vec::new();
        mcs.modulation().demap_all(&symbols, &vec![variance; symbols.len()], &mut llrs);
        let decoded = TransportBlockDecoder::new()
            .decode(&llrs, BYTES, order, redundancy_version)
            .map(|block| Bytes::from(block.payload))
            .map_err(|_| SoftBits(llrs));
        ReceivedSegment::Coded { mcs: mcs.index(), redundancy_version, length: BYTES, decoded }
    }

    fn frame(message: u16, start: u32, segment: ReceivedSegment) -> ReceivedFrame {
        let header = MessageHeader {
            message,
            system: SystemId::Classical,
            model: ModelDigest::default(),
            side: Bytes::new(),
            features: vec![FeatureShape::Digital { bytes: 60_000 }],
            parts: vec![Part { feature: 0, start }],
        };
        received(3, &header, vec![segment])
    }

    fn failed(length: usize, mcs: Mcs, llrs: usize) -> ReceivedSegment {
        let decoded = Err(SoftBits(vec![0.1; llrs]));
        ReceivedSegment::Coded { mcs: mcs.index(), redundancy_version: 0, length, decoded }
    }

    fn bytes(frame: &ReceivedFrame) -> Option<&Bytes> {
        match &frame.segments[0] {
            ReceivedSegment::Coded { decoded, .. } => decoded.as_ref().ok(),
            ReceivedSegment::Analog { .. } => None,
        }
    }

    #[test]
    fn two_transmissions_far_below_the_threshold_deliver() {
        let mut random = StdRng::seed_from_u64(11);
        for mcs in
            [Mcs::select(-4.0, 0.0), Mcs::select(3.0, 0.0), Mcs::select(9.0, 0.0), Mcs::select(14.0, 0.0)]
        {
            let snr_db = mcs.threshold_db() - 2.5;
            for start in [0, 700, 1400] {
                let mut combiner = Combiner::default();
                let mut first = frame(1, start, segment(mcs, 0, snr_db, &mut random));
                assert!(bytes(&first).is_none(), "{mcs} decodes 2.5 dB below its threshold");
                assert_eq!(combiner.combine(&mut first), 0);
                let mut second = frame(1, start, segment(mcs, 2, snr_db, &mut random));
                assert_eq!(combiner.combine(&mut second), 1, "{mcs}");
                assert_eq!(bytes(&second).map(|bytes| &bytes[..]), Some(&payload()[..]));
                assert!(combiner.kept.is_empty() && combiner.bytes == 0);
            }
        }
    }

    #[test]
    fn a_third_transmission_helps_further() {
        let mut random = StdRng::seed_from_u64(12);
        let mcs = Mcs::select(3.0, 0.0);
        let mut combiner = Combiner::default();
        let mut corrected = Vec::new();
        for version in [0, 2, 3] {
            let mut frame = frame(1, 0, segment(mcs, version, mcs.threshold_db() - 5.5, &mut random));
            corrected.push(combiner.combine(&mut frame));
        }
        assert_eq!(corrected, [0, 0, 1]);
    }

    #[test]
    fn other_segments_steps_and_messages_are_not_mixed() {
        let mut random = StdRng::seed_from_u64(13);
        let mcs = Mcs::select(3.0, 0.0);
        let snr_db = mcs.threshold_db() - 2.5;
        let mut combiner = Combiner::default();
        combiner.combine(&mut frame(1, 0, segment(mcs, 0, snr_db, &mut random)));
        for (message, start) in [(2, 0), (1, 300)] {
            let mut other = frame(message, start, segment(mcs, 2, snr_db, &mut random));
            assert_eq!(combiner.combine(&mut other), 0);
        }
        // The same name, another message: nothing of the old one is left.
        let mut renamed = frame(1, 0, segment(mcs, 2, snr_db, &mut random));
        let mut header = MessageHeader::parse(&renamed.control).expect("a header of our own");
        header.side = Bytes::from_static(&[1]);
        renamed.control = header.to_bytes();
        assert_eq!(combiner.combine(&mut renamed), 0);
        assert_eq!(combiner.kept.len(), 2);
    }

    #[test]
    fn a_segment_that_comes_intact_needs_its_soft_bits_no_more() {
        let mut random = StdRng::seed_from_u64(14);
        let mcs = Mcs::select(3.0, 0.0);
        let mut combiner = Combiner::default();
        combiner.combine(&mut frame(1, 0, segment(mcs, 0, -5.0, &mut random)));
        assert_eq!(combiner.kept.len(), 1);
        assert_eq!(combiner.combine(&mut frame(1, 0, segment(mcs, 0, 20.0, &mut random))), 0);
        assert!(combiner.kept.is_empty() && combiner.bytes == 0);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mcs = Mcs::select(3.0, 0.0);
        let llrs = mcs.symbols_for_bytes(BYTES) * usize::from(mcs.modulation().bits_per_symbol());
        let mut combiner = Combiner::with_memory(10 * 4 * llrs);
        for message in 0..9 {
            for start in 0..20 {
                combiner.combine(&mut frame(message, 300 * start, failed(BYTES, mcs, llrs)));
                assert!(combiner.bytes <= combiner.most_bytes && combiner.messages.len() <= MAX_MESSAGES);
                assert_eq!(combiner.bytes, combiner.kept.iter().map(|kept| kept.bytes).sum::<usize>());
            }
        }
        assert_eq!(combiner.kept.len(), 10);
        assert_eq!(combiner.kept[0].key.start, 3000);
        let mut tiny = Combiner::with_memory(100);
        tiny.combine(&mut frame(1, 0, failed(BYTES, mcs, llrs)));
        assert!(tiny.kept.is_empty() && tiny.bytes == 0);
    }

    #[test]
    fn odd_frames_do_no_harm() {
        let mcs = Mcs::select(3.0, 0.0);
        let mut combiner = Combiner::default();
        for odd in [failed(0, mcs, 100), failed(70_000, mcs, 1), failed(10, mcs, 0), failed(10, mcs, 1001)] {
            assert_eq!(combiner.combine(&mut frame(1, 0, odd)), 0);
        }
        let unknown = ReceivedSegment::Coded {
            mcs: 63,
            redundancy_version: 9,
            length: 1,
            decoded: Err(SoftBits(vec![f32::NAN; 64])),
        };
        assert_eq!(combiner.combine(&mut frame(1, 0, unknown)), 0);
        let mut nonsense = frame(1, 0, failed(BYTES, mcs, 5000));
        nonsense.control = Bytes::from_static(b"?");
        assert_eq!(combiner.combine(&mut nonsense), 0);
        // A version that does not exist, twice.
        for _ in 0..2 {
            let ReceivedSegment::Coded { mcs, length, decoded, .. } = failed(BYTES, mcs, 5000) else {
                return;
            };
            let odd = ReceivedSegment::Coded { mcs, redundancy_version: 9, length, decoded };
            assert_eq!(combiner.combine(&mut frame(1, 0, odd)), 0);
        }
    }
}
