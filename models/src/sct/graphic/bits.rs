//! Single bits, most significant first, and exponential Golomb codes.

use super::GraphicError;

/// Longest run of zeros before a code: numbers stay within 32 bits.
const MOST_ZEROS: u32 = 24;

#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    used: u32,
}

impl Writer {
    pub fn bits(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = (value >> at & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    pub fn golomb(&mut self, value: u32, k: u32) {
        let shifted = value + (1 << k);
        let length = u32::BITS - shifted.leading_zeros();
        self.bits(0, length - 1 - k);
        self.bits(shifted, length);
    }

    pub fn signed(&mut self, value: i32, k: u32) {
        self.golomb(if value > 0 { 2 * value as u32 - 1 } else { 2 * value.unsigned_abs() }, k);
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// At most 32 bits.
    pub fn bits(&mut self, count: u32) -> Result<u32, GraphicError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(GraphicError::Short)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    pub fn golomb(&mut self, k: u32) -> Result<u32, GraphicError> {
        let mut zeros = 0;
        while self.bits(1)? == 0 {
            zeros += 1;
            if zeros > MOST_ZEROS {
                let most = i64::from(MOST_ZEROS);
                return Err(GraphicError::Range { what: "code", value: zeros.into(), most });
            }
        }
        let rest = self.bits(zeros + k)?;
        Ok((1 << (zeros + k)) + rest - (1 << k))
    }

    pub fn signed(&mut self, k: u32) -> Result<i64, GraphicError> {
        let code = i64::from(self.golomb(k)?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in prop::collection::vec((-5000_i32..5000, 0_u32..4), 0..40)) {
            let mut writer = Writer::default();
            for &(value, k) in &values {
                writer.signed(value, k);
                writer.golomb(value.unsigned_abs(), k);
            }
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            for (value, k) in values {
                prop_assert_eq!(reader.signed(k), Ok(value.into()));
                prop_assert_eq!(reader.golomb(k), Ok(value.unsigned_abs()));
            }
        }
    }

    #[test]
    fn codes_without_end_are_an_error() {
        assert_eq!(Reader::new(&[0]).golomb(1), Err(GraphicError::Short));
        assert!(matches!(Reader::new(&[0; 9]).golomb(1), Err(GraphicError::Range { .. })));
    }
}
