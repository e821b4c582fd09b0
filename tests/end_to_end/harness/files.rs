//! Content: pictures, text, and files that only look like pictures.

use rand::{Rng, SeedableRng, rngs::StdRng};
use semcast_common::content::Picture;

/// A picture with soft and hard edges that depends on the seed.
pub fn scene(width: u32, height: u32, seed: u64) -> Picture {
    let mut random = StdRng::seed_from_u64(seed);
    let discs: Vec<[f32; 6]> = (0..5).map(|_| random.random()).collect();
    let mut rgb = Vec::with_capacity(3 * (width * height) as usize);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let mut colour = [0.3 + 0.5 * u, 0.25 + 0.5 * v, 0.65 - 0.4 * u * v];
            for [centre_u, centre_v, radius, red, green, blue] in &discs {
                let distance = ((u - centre_u).powi(2) + (v - centre_v).powi(2)).sqrt();
                let cover = ((0.08 + 0.2 * radius - distance) * 12.0).clamp(0.0, 1.0);
                for (value, target) in colour.iter_mut().zip([red, green, blue]) {
                    *value += cover * (0.15 + 0.7 * target - *value);
                }
            }
            rgb.extend(colour.map(|value| (value * 255.0) as u8));
        }
    }
    Picture::new(width, height, rgb).expect("a picture")
}

/// A text that no compression makes much shorter.
pub fn letters(bytes: usize) -> String {
    let mut random = StdRng::seed_from_u64(bytes as u64);
    (0..bytes).map(|_| char::from(random.random_range(b' '..=b'~'))).collect()
}

/// Peak signal-to-noise ratio in dB.
pub fn psnr_db(original: &Picture, received: &Picture) -> f64 {
    assert_eq!((original.width(), original.height()), (received.width(), received.height()));
    let squares =
        original.rgb().iter().zip(received.rgb()).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    10.0 * (255.0f64.powi(2) * original.rgb().len() as f64 / squares.sum::<f64>()).log10()
}

/// A sound PNG file of 10,000 × 10,000 black RGB pixels: 100 megapixels in some 2 MB.
pub fn bomb() -> Vec<u8> {
    const SIDE: u32 = 10_000;
    let mut header = [SIDE.to_be_bytes(), SIDE.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &deflated_zeros((3 * u64::from(SIDE) + 1) * u64::from(SIDE)));
    chunk(&mut png, b"IEND", &[]);
    png
}

/// A chunk of a PNG file (ISO/IEC 15948, section 5.3).
fn chunk(png: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let start = png.len();
    png.extend(name);
    png.extend(data);
    let mut sum = u32::MAX;
    for &byte in &png[start..] {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    png.extend((!sum).to_be_bytes());
}

/// So many zeros as a zlib stream: one block with the fixed code of RFC 1951, section 3.2.6.
fn deflated_zeros(count: u64) -> Vec<u8> {
    let mut bits = Bits { bytes: vec![0x78, 0x01], used: 0 };
    bits.push(0b011, 3);
    let literal = |bits: &mut Bits| bits.push(0b0000_1100, 8);
    literal(&mut bits);
    // The last byte again, 258 times: length code 285, distance code 0.
    for _ in 0..(count - 1) / 258 {
        bits.push(0b1010_0011, 8);
        bits.push(0, 5);
    }
    for _ in 0..(count - 1) % 258 {
        literal(&mut bits);
    }
    bits.push(0, 7);
    let mut bytes = bits.bytes;
    // Adler-32 of zeros.
    bytes.extend(((((count % 65_521) as u32) << 16) | 1).to_be_bytes());
    bytes
}

/// Bits, lowest first; codes come with their bits reversed.
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((bits >> bit & 1) as u8) << (self.used % 8);
            }
            self.used += 1;
        }
    }
}
