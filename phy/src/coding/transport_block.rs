//! The whole coding chain: payload bytes → coded bits, and LLRs → payload bytes or an error.
//!
//! Payloads of up to [`polar::MAX_PAYLOAD_BYTES`] bytes are polar coded, longer ones LDPC coded.
//!
//! Differences from NR, both against undetected errors:
//! 1. Every transport block carries a CRC of 24 bits; NR gives short ones 16, which lets one wrong
//!    block in 65,536 pass, or even 11.
//! 2. The CRC is complemented. Otherwise silence (all LLRs zero) decodes to an all-zero payload
//!    with a correct CRC.
//!
//! Reference: 3GPP TS 38.212 V18.6.0, §5.1 to §5.5.

use super::CodingError;
use super::bits;
use super::crc::{CRC24A, CRC24B};
use super::ldpc::{FILLER_LLR, LdpcDecoder, LdpcEncoder, quantise};
use super::polar::{self, ListSize, PolarDecoder, PolarEncoder};
use super::rate_matching::{CircularBuffer, RateMatcher, RateRecovery};
use super::segmentation::TransportBlock;

/// Complement of the CRC of a transport block.
const CRC_MASK: u32 = 0xFF_FFFF;

/// Default of [`TransportBlockDecoder::set_max_iterations`].
pub const DEFAULT_MAX_ITERATIONS: usize = 20;

/// Encodes transport blocks; it keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub struct TransportBlockEncoder {
    ldpc: LdpcEncoder,
    matcher: RateMatcher,
    polar: PolarEncoder,
    block: Vec<u8>,
    systematic: Vec<u8>,
}

impl TransportBlockEncoder {
    /// An encoder with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the `coded_bits` bits of a payload, one `u8` each, to `out`.
    ///
    /// `coded_bits` is a multiple of `modulation_order`, the bits of a symbol. Redundancy version 0 is
    /// for the first transmission; 2, 3 and 1 add new parity when it is repeated. A polar coded block is
    /// the same in all of them.
    ///
    /// # Errors
    /// [`CodingError`] if a size does not exist or does not fit; `out` is then as before.
    pub fn encode(
        &mut self,
        payload: &[u8],
        coded_bits: usize,
        modulation_order: u8,
        redundancy_version: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), CodingError> {
        let sizes = TransportBlock::new(payload.len(), coded_bits, modulation_order)?;
        let code = sizes.code();
        let buffer = CircularBuffer::new(&code, sizes.code_block_bits(), redundancy_version)?;
        if sizes.is_polar() {
            return self.polar.encode(payload, coded_bits, out);
        }

        self.block.clear();
        bits::unpack(payload, &mut self.block);
        bits::push_value(CRC24A.of_bytes(payload) ^ CRC_MASK, CRC24A.width(), &mut self.block);
        self.block.resize(sizes.code_blocks() * sizes.segment_bits(), 0);

        for (index, segment) in self.block.chunks_exact(sizes.segment_bits()).enumerate() {
            self.systematic.clear();
            self.systematic.extend_from_slice(segment);
            if sizes.code_blocks() > 1 {
                bits::push_value(CRC24B.of_bits(segment), CRC24B.width(), &mut self.systematic);
            }
            self.systematic.resize(code.systematic_bits(), 0);
            let count = sizes.coded_bits_of(index);
            let coded = self.ldpc.encode_first(&code, &self.systematic, buffer.reach(count))?;
            self.matcher.select(&buffer, coded, count, modulation_order, out)?;
        }
        Ok(())
    }
}

/// What the last transport block took to decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeReport {
    /// Code blocks in the transport block.
    pub code_blocks: usize,
    /// Code blocks that ended with a wrong parity or CRC.
    pub failed_code_blocks: usize,
    /// Iterations of all code blocks together; a polar coded block counts as one.
    pub iterations: usize,
}

/// A payload whose CRC is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedBlock {
    /// The payload bytes.
    pub payload: Vec<u8>,
    /// What it took.
    pub report: DecodeReport,
}

/// Soft values of a transport block that is sent more than once.
///
/// Hand the same buffer to [`TransportBlockDecoder::decode_combined`] for every transmission of the
/// payload; [`Self::clear`] it for the next payload.
#[derive(Clone, Debug, Default)]
pub struct SoftBuffer {
    sizes: Option<TransportBlock>,
    soft: Vec<f32>,
}

impl SoftBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was received.
    pub fn clear(&mut self) {
        self.sizes = None;
    }
}

/// Decodes transport blocks; it keeps its buffers between them.
#[derive(Clone, Debug)]
pub struct TransportBlockDecoder {
    ldpc: LdpcDecoder,
    recovery: RateRecovery,
    polar: PolarDecoder,
    /// Soft values of one code block.
    soft: Vec<f32>,
    quantised: Vec<i8>,
    block: Vec<u8>,
    max_iterations: usize,
    report: DecodeReport,
}

impl Default for TransportBlockDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl TransportBlockDecoder {
    /// A decoder with empty buffers.
    pub fn new() -> Self {
        let mut polar = PolarDecoder::new();
        // Only blocks that shorter lists cannot decode take the longest one, and its 25 µs.
        polar.set_list_size(ListSize::ThirtyTwo);
        Self {
            ldpc: LdpcDecoder::new(),
            recovery: RateRecovery::default(),
            polar,
            soft: Vec::new(),
            quantised: Vec::new(),
            block: Vec::new(),
            max_iterations: DEFAULT_MAX_ITERATIONS,
            report: DecodeReport::default(),
        }
    }

    /// Limits the iterations of each code block; 20 by default. Ten cost 0.2 to 0.4 dB and halve the
    /// time that a hopeless block takes.
    pub fn set_max_iterations(&mut self, max_iterations: usize) {
        self.max_iterations = max_iterations;
    }

    /// What the last call took and how far it came.
    pub fn report(&self) -> DecodeReport {
        self.report
    }

    /// The payload of `payload_bytes` bytes that the LLRs stand for.
    ///
    /// The LLRs are natural ones, ln P(0)/P(1), in the order of [`TransportBlockEncoder::encode`].
    /// Inside they have four steps to the nat and are limited to about 32, if need be after they were made
    /// smaller all together. NaN counts as an erasure.
    ///
    /// # Errors
    /// [`CodingError::NotDecoded`] if a CRC is wrong in the end; others if a size does not exist.
    pub fn decode(
        &mut self,
        llrs: &[f32],
        payload_bytes: usize,
        modulation_order: u8,
        redundancy_version: u8,
    ) -> Result<DecodedBlock, CodingError> {
        let mut soft = std::mem::take(&mut self.soft);
        let sizes = TransportBlock::new(payload_bytes, llrs.len(), modulation_order);
        let result = sizes.and_then(|sizes| {
            let code = sizes.code();
            let buffer = CircularBuffer::new(&code, sizes.code_block_bits(), redundancy_version)?;
            self.start(&sizes);
            if sizes.is_polar() {
                return self.decode_polar(llrs, payload_bytes);
            }
            let mut rest = llrs;
            for index in 0..sizes.code_blocks() {
                let (received, others) = rest.split_at(sizes.coded_bits_of(index));
                rest = others;
                soft.clear();
                soft.resize(buffer.reach(received.len()), 0.0);
                self.recovery.combine(&buffer, received, modulation_order, &mut soft)?;
                self.decode_code_block(&sizes, &buffer, &soft)?;
            }
            self.finish(&sizes)
        });
        self.soft = soft;
        result
    }

    /// As [`Self::decode`], with what earlier transmissions of the same payload left in `memory`.
    ///
    /// All transmissions have the same number of coded bits; if a size differs from what `memory`
    /// holds, the memory starts anew.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_combined(
        &mut self,
        memory: &mut SoftBuffer,
        llrs: &[f32],
        payload_bytes: usize,
        modulation_order: u8,
        redundancy_version: u8,
    ) -> Result<DecodedBlock, CodingError> {
        let sizes = TransportBlock::new(payload_bytes, llrs.len(), modulation_order)?;
        let code = sizes.code();
        let buffer = CircularBuffer::new(&code, sizes.code_block_bits(), redundancy_version)?;
        if memory.sizes != Some(sizes) {
            memory.sizes = Some(sizes);
            memory.soft.clear();
            let values =
                if sizes.is_polar() { llrs.len() } else { sizes.code_blocks() * code.codeword_bits() };
            memory.soft.resize(values, 0.0);
        }
        self.start(&sizes);
        if sizes.is_polar() {
            for (sum, &llr) in memory.soft.iter_mut().zip(llrs) {
                *sum += if llr.is_nan() { 0.0 } else { llr.clamp(-polar::LLR_LIMIT, polar::LLR_LIMIT) };
            }
            return self.decode_polar(&memory.soft, payload_bytes);
        }
        let mut rest = llrs;
        for (index, soft) in memory.soft.chunks_exact_mut(code.codeword_bits()).enumerate() {
            let (received, others) = rest.split_at(sizes.coded_bits_of(index));
            rest = others;
            self.recovery.combine(&buffer, received, modulation_order, soft)?;
            self.decode_code_block(&sizes, &buffer, soft)?;
        }
        self.finish(&sizes)
    }

    fn start(&mut self, sizes: &TransportBlock) {
        self.block.clear();
        self.report = DecodeReport { code_blocks: sizes.code_blocks(), failed_code_blocks: 0, iterations: 0 };
    }

    fn decode_polar(&mut self, llrs: &[f32], payload_bytes: usize) -> Result<DecodedBlock, CodingError> {
        let decoded = self.polar.decode(llrs, payload_bytes);
        self.report.iterations = 1;
        self.report.failed_code_blocks = usize::from(decoded.is_err());
        decoded.map(|payload| DecodedBlock { payload, report: self.report })
    }

    fn decode_code_block(
        &mut self,
        sizes: &TransportBlock,
        buffer: &CircularBuffer,
        soft: &[f32],
    ) -> Result<(), CodingError> {
        quantise(soft, &mut self.quantised);
        self.quantised[buffer.fillers()].fill(FILLER_LLR);
        let information_bits = sizes.code_block_bits();
        let outcome = self.ldpc.decode(&sizes.code(), &self.quantised, self.max_iterations, |decoded| {
            if sizes.code_blocks() > 1 {
                CRC24B.of_bits(&decoded[..information_bits]) == 0
            } else {
                transport_crc_holds(&decoded[..information_bits])
            }
        })?;
        self.block.extend_from_slice(&self.ldpc.systematic_bits()[..sizes.segment_bits()]);
        self.report.iterations += outcome.iterations;
        self.report.failed_code_blocks += usize::from(!outcome.accepted);
        Ok(())
    }

    fn finish(&mut self, sizes: &TransportBlock) -> Result<DecodedBlock, CodingError> {
        let payload_bits = sizes.payload_bytes() * 8;
        let with_crc = &self.block[..payload_bits + CRC24A.width() as usize];
        if self.report.failed_code_blocks > 0 || !transport_crc_holds(with_crc) {
            return Err(CodingError::NotDecoded {
                failed_code_blocks: self.report.failed_code_blocks,
                code_blocks: sizes.code_blocks(),
            });
        }
        let mut payload = Vec::with_capacity(sizes.payload_bytes());
        bits::pack(&self.block[..payload_bits], &mut payload);
        Ok(DecodedBlock { payload, report: self.report })
    }
}

/// Whether the last 24 bits are the complemented CRC-24A of those before.
fn transport_crc_holds(bits: &[u8]) -> bool {
    let Some((payload, parity)) = bits.split_last_chunk::<{ CRC24A.width() as usize }>() else {
        return false;
    };
    let received = parity.iter().fold(0, |value, &bit| (value << 1) | u32::from(bit));
    CRC24A.of_bits(payload) ^ CRC_MASK == received
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * 151 + i / 256 + 3) as u8).collect()
    }

    fn llrs(bits: &[u8], magnitude: f32) -> Vec<f32> {
        bits.iter().map(|&bit| magnitude * (1.0 - 2.0 * f32::from(bit))).collect()
    }

    #[test]
    fn noiseless_round_trip_at_many_sizes_rates_and_orders() {
        let mut encoder = TransportBlockEncoder::new();
        let mut decoder = TransportBlockDecoder::new();
        for bytes in [1, 2, 7, 24, 36, 37, 100, 477, 478, 479, 1053, 1054, 3000, 20_000] {
            for (order, rate) in [(2, 0.1), (2, 0.3), (4, 0.5), (6, 0.75), (8, 0.9)] {
                let bits = (bytes * 8 + 96) as f64 / rate;
                let coded_bits = (bits as usize).next_multiple_of(order.into());
                let payload = payload(bytes);
                let mut coded = Vec::new();
                encoder.encode(&payload, coded_bits, order, 0, &mut coded).unwrap();
                assert_eq!(coded.len(), coded_bits);
                let received = decoder.decode(&llrs(&coded, 4.0), bytes, order, 0);
                assert_eq!(
                    received.map(|block| block.payload),
                    Ok(payload),
                    "{bytes} bytes, order {order}, rate {rate}"
                );
                assert_eq!(decoder.report().failed_code_blocks, 0);
            }
        }
    }

    #[test]
    fn silence_is_no_payload() {
        let mut decoder = TransportBlockDecoder::new();
        for (bytes, bits) in [(4, 200), (3000, 40_000)] {
            assert!(matches!(
                decoder.decode(&vec![0.0; bits], bytes, 2, 0),
                Err(CodingError::NotDecoded { .. })
            ));
            assert!(decoder.decode(&vec![20.0; bits], bytes, 2, 0).is_err());
        }
    }

    /// Half of the systematic bits are lost in both transmissions; together they are enough.
    #[test]
    fn two_redundancy_versions_combine() {
        let mut encoder = TransportBlockEncoder::new();
        let mut decoder = TransportBlockDecoder::new();
        let payload = payload(900);
        let mut memory = SoftBuffer::new();
        let coded_bits = 7200;
        let mut results = Vec::new();
        for version in [0, 2] {
            let mut coded = Vec::new();
            encoder.encode(&payload, coded_bits + 800, 2, version, &mut coded).unwrap();
            let mut received = llrs(&coded, 4.0);
            for index in (0..received.len()).step_by(3) {
                received[index] = 0.0;
            }
            results.push(decoder.decode_combined(&mut memory, &received, 900, 2, version));
        }
        assert!(matches!(results[0], Err(CodingError::NotDecoded { failed_code_blocks: 1, code_blocks: 1 })));
        assert_eq!(results[1].as_ref().map(|block| &block.payload), Ok(&payload));
    }

    #[test]
    fn transmissions_of_a_polar_coded_block_add_up() {
        let payload = payload(20);
        let mut coded = Vec::new();
        TransportBlockEncoder::new().encode(&payload, 240, 2, 0, &mut coded).unwrap();
        let mut decoder = TransportBlockDecoder::new();
        let mut memory = SoftBuffer::new();
        let results = [0, 2].map(|version| {
            let mut received = llrs(&coded, 4.0);
            received.iter_mut().skip(usize::from(version) / 2).step_by(2).for_each(|llr| *llr = f32::NAN);
            decoder.decode_combined(&mut memory, &received, 20, 2, version)
        });
        let failed = Err(CodingError::NotDecoded { failed_code_blocks: 1, code_blocks: 1 });
        assert_eq!(results[0], failed);
        assert_eq!(results[1].as_ref().map(|block| &block.payload), Ok(&payload));
    }

    #[test]
    fn a_lost_code_block_is_reported() {
        let payload = payload(3000);
        let mut coded = Vec::new();
        TransportBlockEncoder::new().encode(&payload, 48_000, 2, 0, &mut coded).unwrap();
        let mut received = llrs(&coded, 4.0);
        for (index, llr) in received[16_000..32_000].iter_mut().enumerate() {
            *llr *= ((index * 7919) % 13) as f32 - 6.0;
        }
        let mut decoder = TransportBlockDecoder::new();
        assert_eq!(
            decoder.decode(&received, 3000, 2, 0),
            Err(CodingError::NotDecoded { failed_code_blocks: 1, code_blocks: 3 })
        );
        assert_eq!(decoder.report().code_blocks, 3);
    }
}
