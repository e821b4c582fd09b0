//! LLRs → payload bytes, or the news that there are none.

use super::code::{PolarCode, RecentCodes, SUB_BLOCKS, interleaved};
use super::encoder::check_payload;
use super::interleaver::for_each_sent;
use super::list::ListDecoder;
use super::transform::{bit, transform};
use super::{CRC, CRC_MASK};
use crate::coding::{CodingError, bits};
use crate::simd::Instructions;

/// Steps to the mean magnitude of an LLR, so that the sum of 500 such LLRs fits into 16 bits.
const STEPS_TO_THE_MEAN: f32 = 64.0;

/// The greatest magnitude of an LLR that counts, in nats.
pub const LLR_LIMIT: f32 = 256.0;

/// The greatest 16-bit LLR, also that of bits which are known.
const KNOWN: i16 = i16::MAX;

/// How many paths the decoder follows at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListSize {
    /// Successive cancellation: about 1 dB less sensitive than a list of eight.
    One,
    /// The usual list.
    #[default]
    Eight,
    /// 0.2 to 0.4 dB more sensitive than eight, at three times the cost.
    ThirtyTwo,
}

/// Decodes blocks; it keeps its buffers and the last few codes between them.
#[derive(Clone, Debug)]
pub struct PolarDecoder {
    codes: RecentCodes,
    instructions: Instructions,
    one: ListDecoder<1>,
    eight: ListDecoder<8>,
    thirty_two: Box<ListDecoder<32>>,
    list_size: ListSize,
    adaptive: bool,
    /// LLRs of the outputs in the order of sub-block interleaving.
    circle: Vec<f32>,
    /// LLRs of the outputs.
    outputs: Vec<i16>,
    message: Vec<u8>,
}

impl Default for PolarDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl PolarDecoder {
    /// A decoder with empty buffers and a list of eight.
    pub fn new() -> Self {
        Self {
            codes: RecentCodes::default(),
            instructions: Instructions::detect(),
            one: ListDecoder::default(),
            eight: ListDecoder::default(),
            thirty_two: Box::default(),
            list_size: ListSize::default(),
            adaptive: true,
            circle: Vec::new(),
            outputs: Vec::new(),
            message: Vec::new(),
        }
    }

    /// Follows more paths, or fewer; [`ListSize::Eight`] by default.
    pub fn set_list_size(&mut self, list_size: ListSize) {
        self.list_size = list_size;
    }

    /// Whether shorter lists are tried first, and the longest only if their CRC is wrong; true by default,
    /// since nearly all blocks that decode at all do so with one path.
    pub fn set_adaptive(&mut self, adaptive: bool) {
        self.adaptive = adaptive;
    }

    /// The payload of `payload_bytes` bytes that the LLRs stand for.
    ///
    /// The LLRs, ln P(0)/P(1), are in the order of [`super::PolarEncoder::encode`]; only their ratios matter.
    /// Magnitudes count up to 256. NaN counts as an erasure.
    ///
    /// # Errors
    /// [`CodingError::NotDecoded`] if no path has a correct CRC; others if a size does not exist.
    pub fn decode(&mut self, llrs: &[f32], payload_bytes: usize) -> Result<Vec<u8>, CodingError> {
        check_payload(payload_bytes)?;
        self.decode_bits(llrs, payload_bytes * 8)?;
        let mut payload = Vec::with_capacity(payload_bytes);
        bits::pack(&self.message[..payload_bytes * 8], &mut payload);
        Ok(payload)
    }

    /// Leaves the payload bits and their CRC in `self.message`.
    pub(super) fn decode_bits(&mut self, llrs: &[f32], payload_bits: usize) -> Result<&[u8], CodingError> {
        let code = self.codes.get(payload_bits + CRC.width() as usize, llrs.len())?;
        let failed = CodingError::NotDecoded { failed_code_blocks: 1, code_blocks: 1 };
        sum_up(code, llrs, &mut self.circle);
        if !quantise(code, &self.circle, &mut self.outputs) {
            return Err(failed);
        }
        let tries = [ListSize::One, ListSize::Eight, ListSize::ThirtyTwo];
        for list_size in tries
            .into_iter()
            .filter(|&size| size == self.list_size || (self.adaptive && size < self.list_size))
        {
            let (instructions, outputs, message) = (self.instructions, &self.outputs, &mut self.message);
            let decoded = match list_size {
                ListSize::One => attempt(&mut self.one, instructions, code, outputs, message),
                ListSize::Eight => attempt(&mut self.eight, instructions, code, outputs, message),
                ListSize::ThirtyTwo => attempt(&mut self.thirty_two, instructions, code, outputs, message),
            };
            if decoded {
                return Ok(&self.message);
            }
        }
        Err(failed)
    }
}

/// Adds up the LLRs of each output, in the order of sub-block interleaving.
fn sum_up(code: &PolarCode, llrs: &[f32], circle: &mut Vec<f32>) {
    circle.clear();
    circle.resize(code.length(), 0.0);
    // The length is a power of two.
    let (start, mask) = (code.start(), code.length() - 1);
    let mut next = llrs.iter();
    for_each_sent(code.coded_bits(), |place| {
        let llr = next.next().copied().unwrap_or_default();
        // The comparison is false for NaN.
        let magnitude = if llr.abs() >= 0.0 { llr.abs().min(LLR_LIMIT) } else { 0.0 };
        circle[(start + place) & mask] += magnitude.copysign(llr);
    });
}

/// Undoes sub-block interleaving, in fixed point relative to the mean magnitude; false for silence.
fn quantise(code: &PolarCode, circle: &[f32], outputs: &mut Vec<i16>) -> bool {
    let mut sums = [0.0; SUB_BLOCKS];
    for group in circle.as_chunks::<SUB_BLOCKS>().0 {
        for (sum, llr) in sums.iter_mut().zip(group) {
            *sum += llr.abs();
        }
    }
    let sum: f32 = sums.iter().sum();
    if sum <= 0.0 {
        return false;
    }
    let sent = code.coded_bits().min(code.length());
    let scale = (STEPS_TO_THE_MEAN * sent as f32 / sum).min(f32::MAX);
    outputs.clear();
    outputs.resize(code.length(), 0);
    let size = code.length() / SUB_BLOCKS;
    for (sub_block, llrs) in circle.chunks_exact(size).enumerate() {
        let place = interleaved(sub_block * size, code.length());
        for (output, llr) in outputs[place..].iter_mut().zip(llrs) {
            *output = round((llr * scale).clamp(-f32::from(KNOWN), KNOWN.into()));
        }
    }
    for index in code.shortened() {
        outputs[interleaved(index, code.length())] = KNOWN;
    }
    true
}

/// The nearest integer to a number inside the range of `i16`.
fn round(value: f32) -> i16 {
    // Between 2^23 and 2^24 a float's last digit is one; 2^23 + 2^22 leaves the lowest 16 bits zero. Unlike a
    // call of `round` this is vectorised on every target.
    (value + 12_582_912.0).to_bits() as i16
}

/// Decodes with a list of L; whether a path has a correct CRC, whose bits are then in `message`.
fn attempt<const L: usize>(
    decoder: &mut ListDecoder<L>,
    instructions: Instructions,
    code: &PolarCode,
    outputs: &[i16],
    message: &mut Vec<u8>,
) -> bool {
    decoder.decode(instructions, code.schedule().steps(), outputs);
    decoder.ranking().any(|lane| {
        let mut word = decoder.codeword(lane, code.length());
        transform(&mut word, code.length());
        message.clear();
        message.extend(code.information_set().iter().map(|&input| bit(&word, input.into())));
        let (payload, parity) = message.split_at(message.len() - CRC.width() as usize);
        let received = parity.iter().fold(0, |value, &bit| (value << 1) | u32::from(bit));
        CRC.of_bits(payload) ^ CRC_MASK == received
    })
}
