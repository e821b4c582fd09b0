//! Zip archives as PyTorch writes them: entries that are stored, not compressed.
//!
//! In → out: the bytes of an archive → the range of bytes of each entry, by name.
//!
//! PKWARE: .ZIP File Format Specification, version 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory),
//! 4.3.16 (its end). Archives of 4 GiB or more (4.3.14) are refused.

use std::collections::HashMap;
use std::ops::Range;

use super::ForeignError;

const END: [u8; 4] = *b"PK\x05\x06";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Bytes of the fixed part of the end record, a central entry and a local header.
const END_BYTES: usize = 22;
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
/// Longest comment behind the end record.
const MOST_COMMENT: usize = 65_535;

fn damaged(what: &str) -> ForeignError {
    ForeignError::Damaged(format!("zip archive: {what}"))
}

/// `length` bytes at a place, if they are there.
fn part(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], ForeignError> {
    let end = at.checked_add(length).ok_or_else(|| damaged("a size is beyond all bounds"))?;
    bytes.get(at..end).ok_or_else(|| damaged("an entry reaches beyond the file"))
}

fn two(record: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([record[at], record[at + 1]]))
}

fn four(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

/// Whether the bytes begin as an archive does.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&LOCAL)
}

/// The entries of an archive; the checksum of each holds.
pub fn entries(bytes: &[u8]) -> Result<HashMap<String, Range<usize>>, ForeignError> {
    let from = bytes.len().saturating_sub(END_BYTES + MOST_COMMENT);
    let last = bytes[from..].windows(END.len()).rposition(|window| window == END);
    let end = part(bytes, from + last.ok_or_else(|| damaged("it has no end"))?, END_BYTES)?;
    let (count, mut at) = (two(end, 10), four(end, 16) as usize);
    let mut entries = HashMap::new();
    for _ in 0..count {
        let record = part(bytes, at, CENTRAL_BYTES)?;
        if record[..4] != CENTRAL {
            return Err(damaged("its directory is broken"));
        }
        let (name, extra, comment) = (two(record, 28), two(record, 30), two(record, 32));
        let (stored, length) = (four(record, 20) as usize, four(record, 24) as usize);
        let local_at = four(record, 42);
        let name_bytes = part(bytes, at + CENTRAL_BYTES, name)?;
        let name_text = std::str::from_utf8(name_bytes).map_err(|_| damaged("a name is not UTF-8"))?;
        if two(record, 10) != 0 || stored != length {
            return Err(damaged(&format!("{name_text} is compressed, which PyTorch's files are not")));
        }
        if local_at == u32::MAX || stored == u32::MAX as usize {
            return Err(damaged("it has 4 GiB or more"));
        }
        let local = part(bytes, local_at as usize, LOCAL_BYTES)?;
        if local[..4] != LOCAL {
            return Err(damaged(&format!("{name_text} is not where the directory says")));
        }
        let start = local_at as usize + LOCAL_BYTES + two(local, 26) + two(local, 28);
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(part(bytes, start, length)?);
        if checksum.finalize() != four(record, 16) {
            return Err(damaged(&format!("the checksum of {name_text} does not hold")));
        }
        entries.insert(name_text.to_owned(), start..start + length);
        at += CENTRAL_BYTES + name + extra + comment;
    }
    Ok(entries)
}
