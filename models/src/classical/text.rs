//! Texts: their bytes, deflated (RFC 1951) if that is shorter.

use std::ops::Range;

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};
use semcast_common::content::{Content, MAX_TEXT_BYTES};

use super::side::Side;
use crate::{Decoded, ModelError};

/// How a text is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextCode {
    /// UTF-8.
    Plain,
    /// Deflated UTF-8.
    Deflated,
}

/// The shorter of the two codes, if it fits.
pub fn encode(text: &str, budget_bytes: usize) -> Result<(Side, Vec<u8>), ModelError> {
    let deflated = compress_to_vec(text.as_bytes(), 9);
    let (code, bytes) = if deflated.len() < text.len() {
        (TextCode::Deflated, deflated)
    } else {
        (TextCode::Plain, text.as_bytes().to_vec())
    };
    if bytes.len() > budget_bytes {
        return Err(ModelError::Budget { given: budget_bytes, needed: bytes.len(), unit: "bytes" });
    }
    Ok((Side::Text(code), bytes))
}

/// Text from what arrived. Where bytes of a plain text are missing, each run of them becomes one U+FFFD; of a deflated
/// text only what comes before the first loss can be read.
pub fn decode(code: TextCode, bytes: &[u8], missing: &[Range<usize>]) -> Result<Decoded, ModelError> {
    let intact = missing.first().map_or(bytes.len(), |range| range.start.min(bytes.len()));
    let (text, arrived) = match code {
        TextCode::Plain => {
            let mut out = String::new();
            let (mut at, mut lost) = (0, 0);
            for range in missing {
                let start = range.start.clamp(at, bytes.len());
                let end = range.end.clamp(start, bytes.len());
                out.push_str(&String::from_utf8_lossy(&bytes[at..start]));
                out.push(char::REPLACEMENT_CHARACTER);
                lost += end - start;
                at = end;
            }
            out.push_str(&String::from_utf8_lossy(&bytes[at..]));
            (out, 1.0 - lost as f32 / bytes.len().max(1) as f32)
        }
        TextCode::Deflated => {
            let mut inflated = vec![0; MAX_TEXT_BYTES];
            let mut state = InflateState::new_boxed(DataFormat::Raw);
            let result = inflate(&mut state, &bytes[..intact], &mut inflated, MZFlush::None);
            if intact == bytes.len() && result.status != Ok(MZStatus::StreamEnd) {
                return Err(ModelError::Damaged("the text cannot be inflated".into()));
            }
            inflated.truncate(result.bytes_written);
            let share = intact as f32 / bytes.len().max(1) as f32;
            (String::from_utf8_lossy(&inflated).into_owned(), share)
        }
    };
    let content = Content::text(text).map_err(|error| ModelError::Damaged(error.to_string()))?;
    Ok(Decoded { content, confidence: arrived })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(text: &str) -> Decoded {
        let (Side::Text(code), bytes) = encode(text, usize::MAX).unwrap() else { panic!("a text is a text") };
        decode(code, &bytes, &[]).unwrap()
    }

    #[test]
    fn a_lost_stretch_leaves_the_rest() {
        let decoded = decode(TextCode::Plain, b"over the hills", std::slice::from_ref(&(5..9))).unwrap();
        assert_eq!(decoded.content, Content::Text("over \u{fffd}hills".into()));
        assert!(decoded.confidence < 1.0);
    }

    #[test]
    fn deflated_text_can_be_read_up_to_the_loss() {
        let text = "the quick brown fox jumps over the lazy dog; ".repeat(40);
        let (_, bytes) = encode(&text, usize::MAX).unwrap();
        let lost = bytes.len() - 8..bytes.len();
        let Content::Text(start) = decode(TextCode::Deflated, &bytes, &[lost]).unwrap().content else {
            panic!()
        };
        assert!(text.starts_with(start.trim_end_matches('\u{fffd}')) && start.len() > 20);
    }

    #[test]
    fn a_long_text_is_deflated_and_a_bomb_is_refused() {
        assert!(encode(&"a".repeat(1000), 100).is_ok());
        let bomb = compress_to_vec(&vec![b'a'; 4 * MAX_TEXT_BYTES], 9);
        assert!(decode(TextCode::Deflated, &bomb, &[]).is_err());
    }

    proptest! {
        #[test]
        fn texts_round_trip(text in "\\PC{1,200}") {
            prop_assert_eq!(round_trip(&text).content, Content::Text(text));
        }

        #[test]
        fn anything_decodes_or_fails(bytes in proptest::collection::vec(any::<u8>(), 0..300), start in 0_usize..400, length in 0_usize..50) {
            for code in [TextCode::Plain, TextCode::Deflated] {
                let _ = decode(code, &bytes, std::slice::from_ref(&(start..start + length)));
            }
        }
    }
}
