//! Payload bytes → coded bits.

use super::code::{RecentCodes, interleaved};
use super::interleaver::for_each_sent;
use super::transform::{Packed, bit, set_bit, transform};
use super::{CRC, CRC_MASK, MAX_BLOCK_BYTES};
use crate::coding::{CodingError, bits};

/// Encodes blocks; it keeps its buffers and the last few codes between them.
#[derive(Clone, Debug, Default)]
pub struct PolarEncoder {
    codes: RecentCodes,
    message: Vec<u8>,
    circle: Vec<u8>,
}

impl PolarEncoder {
    /// An encoder with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the `coded_bits` bits of a payload, one `u8` each, to `out`.
    ///
    /// # Errors
    /// [`CodingError`] if the payload is empty or longer than [`MAX_BLOCK_BYTES`], or if there are fewer
    /// coded bits than bits of payload and CRC; `out` is then as before.
    pub fn encode(
        &mut self,
        payload: &[u8],
        coded_bits: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CodingError> {
        check_payload(payload.len())?;
        self.message.clear();
        bits::unpack(payload, &mut self.message);
        self.encode_message(coded_bits, out)
    }

    /// As [`Self::encode`], with the payload bits in `self.message`.
    fn encode_message(&mut self, coded_bits: usize, out: &mut Vec<u8>) -> Result<(), CodingError> {
        let crc = CRC.of_bits(&self.message) ^ CRC_MASK;
        bits::push_value(crc, CRC.width(), &mut self.message);
        let code = self.codes.get(self.message.len(), coded_bits)?;
        let mut word = Packed::default();
        for (&input, &value) in code.information_set().iter().zip(&self.message) {
            set_bit(&mut word, input.into(), value);
        }
        transform(&mut word, code.length());
        self.circle.clear();
        self.circle.extend((0..code.length()).map(|index| bit(&word, interleaved(index, code.length()))));
        out.reserve(coded_bits);
        let (start, length) = (code.start(), code.length());
        for_each_sent(coded_bits, |place| out.push(self.circle[(start + place) % length]));
        Ok(())
    }

    /// As [`Self::encode`], with any number of payload bits.
    #[cfg(test)]
    pub(super) fn encode_bits(&mut self, payload: &[u8], coded_bits: usize) -> Vec<u8> {
        self.message.clear();
        self.message.extend_from_slice(payload);
        let mut out = Vec::new();
        self.encode_message(coded_bits, &mut out).expect("sizes of the test");
        out
    }
}

/// Whether a payload of so many bytes fits.
pub(super) fn check_payload(bytes: usize) -> Result<(), CodingError> {
    if (1..=MAX_BLOCK_BYTES).contains(&bytes) {
        Ok(())
    } else {
        Err(CodingError::Length {
            what: "bytes of a polar coded payload",
            expected: bytes.clamp(1, MAX_BLOCK_BYTES),
            actual: bytes,
        })
    }
}
