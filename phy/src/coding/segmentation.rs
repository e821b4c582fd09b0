//! Transport block → code blocks: sizes of everything between the payload and the coded bits.
//!
//! A transport block is the payload with its CRC-24A. If it does not fit into one code block, it is
//! split into equal parts with a CRC-24B each. Unlike the sizes that NR allows, ours need not divide
//! evenly; up to one zero bit for each code block then fills up the last part.
//!
//! References: 3GPP TS 38.212 V18.6.0, §5.2.2 (segmentation), §6.2.2 (base graph), §5.4.2.1 (how the
//! coded bits are shared out).

use super::CodingError;
use super::crc::{CRC24A, CRC24B};
use super::ldpc::{BaseGraph, LdpcCode};
use super::polar;

/// The longest payload of a transport block.
pub const MAX_PAYLOAD_BYTES: usize = 65_535;

/// The most coded bits of a transport block: a bound on memory, rate 1/64 for the longest payload.
pub const MAX_CODED_BITS: usize = 1 << 25;

/// All sizes of a transport block; the same at both ends, because they follow from three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportBlock {
    payload_bytes: usize,
    coded_bits: usize,
    modulation_order: u8,
    code: LdpcCode,
    code_blocks: usize,
    code_block_bits: usize,
}

impl TransportBlock {
    /// The sizes for a payload that is to become `coded_bits` bits, `modulation_order` a symbol.
    ///
    /// # Errors
    /// [`CodingError`] if the payload or the modulation order does not exist, or if the coded bits
    /// are not a multiple of the modulation order, too many, or fewer than the bits to be coded.
    pub fn new(payload_bytes: usize, coded_bits: usize, modulation_order: u8) -> Result<Self, CodingError> {
        if !matches!(modulation_order, 1 | 2 | 4 | 6 | 8) {
            return Err(CodingError::ModulationOrder(modulation_order));
        }
        let (base_graph, code_blocks, code_block_bits) = split(payload_bytes, coded_bits)?;
        let minimum = code_blocks * code_block_bits;
        if coded_bits < minimum
            || coded_bits > MAX_CODED_BITS
            || !coded_bits.is_multiple_of(modulation_order.into())
        {
            return Err(CodingError::CodedBits { coded_bits, minimum, modulation_order });
        }
        let columns = occupied_columns(base_graph, payload_bytes * 8 + CRC24A.width() as usize);
        let code = LdpcCode::smallest_for(base_graph, code_block_bits, columns)
            .ok_or(CodingError::PayloadSize { bytes: payload_bytes })?;
        Ok(Self { payload_bytes, coded_bits, modulation_order, code, code_blocks, code_block_bits })
    }

    /// Bits that the code protects: payload, all CRCs, and padding.
    ///
    /// # Errors
    /// [`CodingError::PayloadSize`].
    pub fn information_bits(payload_bytes: usize, coded_bits: usize) -> Result<usize, CodingError> {
        let (_, code_blocks, code_block_bits) = split(payload_bytes, coded_bits)?;
        Ok(code_blocks * code_block_bits)
    }

    /// Bytes of the payload.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Coded bits, all code blocks together.
    pub fn coded_bits(&self) -> usize {
        self.coded_bits
    }

    /// Bits of a modulation symbol.
    pub fn modulation_order(&self) -> u8 {
        self.modulation_order
    }

    /// Whether the payload is short enough for the polar code. What concerns the LDPC code, its code blocks
    /// and their CRCs is then unused; the number of information bits is the same.
    pub fn is_polar(&self) -> bool {
        self.payload_bytes <= polar::MAX_PAYLOAD_BYTES
    }

    /// The code of every code block.
    pub fn code(&self) -> LdpcCode {
        self.code
    }

    /// Number of code blocks.
    pub fn code_blocks(&self) -> usize {
        self.code_blocks
    }

    /// Bits of a code block with its CRC but without fillers, K' of §5.2.2.
    pub fn code_block_bits(&self) -> usize {
        self.code_block_bits
    }

    /// Bits of the transport block in a code block, without the code block's CRC.
    pub fn segment_bits(&self) -> usize {
        self.code_block_bits - if self.code_blocks > 1 { CRC24B.width() as usize } else { 0 }
    }

    /// Coded bits of one code block: symbols are shared out as evenly as possible, the later blocks
    /// get one more if they do not divide.
    pub fn coded_bits_of(&self, code_block: usize) -> usize {
        let order = usize::from(self.modulation_order);
        let symbols = self.coded_bits / order;
        let larger = symbols % self.code_blocks;
        let extra = usize::from(code_block >= self.code_blocks - larger);
        (symbols / self.code_blocks + extra) * order
    }
}

/// Base graph, number of code blocks and bits in each, CRC included.
fn split(payload_bytes: usize, coded_bits: usize) -> Result<(BaseGraph, usize, usize), CodingError> {
    if payload_bytes == 0 || payload_bytes > MAX_PAYLOAD_BYTES {
        return Err(CodingError::PayloadSize { bytes: payload_bytes });
    }
    let payload_bits = payload_bytes * 8;
    let base_graph = select_base_graph(payload_bits, coded_bits);
    let block_bits = payload_bits + CRC24A.width() as usize;
    let most = base_graph.max_code_block_bits();
    if block_bits <= most {
        return Ok((base_graph, 1, block_bits));
    }
    let crc = CRC24B.width() as usize;
    let code_blocks = block_bits.div_ceil(most - crc);
    Ok((base_graph, code_blocks, block_bits.div_ceil(code_blocks) + crc))
}

/// §6.2.2, with the code rate that the sizes imply: payload bits by coded bits.
fn select_base_graph(payload_bits: usize, coded_bits: usize) -> BaseGraph {
    let rate_at_most = |percent: usize| payload_bits * 100 <= coded_bits.saturating_mul(percent);
    if payload_bits <= 292 || (payload_bits <= 3824 && rate_at_most(67)) || rate_at_most(25) {
        BaseGraph::Two
    } else {
        BaseGraph::One
    }
}

/// Systematic columns that carry bits, K_b of §5.2.2, for a transport block of `bits` bits.
pub(crate) fn occupied_columns(base_graph: BaseGraph, bits: usize) -> usize {
    match (base_graph, bits) {
        (BaseGraph::One, _) => 22,
        (BaseGraph::Two, 641..) => 10,
        (BaseGraph::Two, 561..) => 9,
        (BaseGraph::Two, 193..) => 8,
        (BaseGraph::Two, _) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_block_uses_graph_two_and_the_tabled_columns() {
        let block = TransportBlock::new(20, 480, 2).unwrap();
        assert_eq!(block.code().base_graph(), BaseGraph::Two);
        // 184 bits in 6 columns: Z = 32 (192).
        assert_eq!((block.code_blocks(), block.code_block_bits(), block.code().lifting_size()), (1, 184, 32));
    }

    #[test]
    fn a_long_block_is_split_evenly() {
        let block = TransportBlock::new(3000, 48_000, 4).unwrap();
        assert_eq!(block.code().base_graph(), BaseGraph::One);
        assert_eq!((block.code_blocks(), block.segment_bits()), (3, 8008));
        assert_eq!(block.code_block_bits(), 8032);
        assert_eq!(block.code().lifting_size(), 384);
    }

    #[test]
    fn coded_bits_are_shared_out_in_whole_symbols() {
        for symbols in 4000..4010 {
            let block = TransportBlock::new(3000, symbols * 8, 8).unwrap();
            let parts: Vec<usize> = (0..block.code_blocks()).map(|i| block.coded_bits_of(i)).collect();
            assert_eq!(parts.iter().sum::<usize>(), symbols * 8);
            assert!(parts.iter().all(|part| part % 8 == 0) && parts.is_sorted());
            assert!(parts[parts.len() - 1] - parts[0] <= 8);
        }
    }

    #[test]
    fn wrong_sizes_are_errors() {
        assert!(matches!(TransportBlock::new(0, 100, 2), Err(CodingError::PayloadSize { .. })));
        assert!(matches!(TransportBlock::new(65_536, 1_000_000, 2), Err(CodingError::PayloadSize { .. })));
        assert!(matches!(TransportBlock::new(10, 102, 2), Err(CodingError::CodedBits { minimum: 104, .. })));
        assert!(matches!(TransportBlock::new(10, 1001, 2), Err(CodingError::CodedBits { .. })));
        assert!(matches!(TransportBlock::new(10, usize::MAX, 1), Err(CodingError::CodedBits { .. })));
        assert_eq!(TransportBlock::new(10, 200, 3), Err(CodingError::ModulationOrder(3)));
    }

    #[test]
    fn every_payload_size_fits_its_code() {
        for bytes in (1..=MAX_PAYLOAD_BYTES).step_by(7) {
            for coded_bits in [bytes * 9 + 400, bytes * 24 + 400, bytes * 80 + 400] {
                let block = TransportBlock::new(bytes, coded_bits / 8 * 8, 8).unwrap();
                assert!(block.code_block_bits() <= block.code().systematic_bits());
                assert!(block.code_blocks() * block.segment_bits() >= bytes * 8 + 24);
            }
        }
    }
}
