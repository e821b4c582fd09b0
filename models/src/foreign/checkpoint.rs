//! PyTorch's checkpoints: a pickle that describes tensors, and their numbers.
//!
//! In → out: the bytes of a file → its tensors by name, `a.b.c` for those in dictionaries within dictionaries.
//!
//! | container | pickle | numbers |
//! |---|---|---|
//! | zip archive (PyTorch 1.6 and later) | `*/data.pkl` | `*/data/KEY` |
//! | legacy stream | the fourth, after magic number, version and system | behind the fifth, a list of keys: count as 64 bits, numbers |

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, Shape, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::{Error as StoreError, Tensor as StoredTensor};

use super::pickle::{Element, Handle, Pickle, Value, View};
use super::{ForeignError, archive};

/// How the legacy stream begins: the pickle of its magic number.
const LEGACY: [u8; 15] =
    [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// Deepest nesting of dictionaries that is searched.
const MOST_DEPTH: usize = 8;
/// Most entries of dictionaries that are looked at.
const MOST_ENTRIES: usize = 1 << 16;
/// Longest name of a tensor, bytes.
const MOST_NAME: usize = 1024;

fn damaged(what: impl Into<String>) -> ForeignError {
    ForeignError::Damaged(what.into())
}

/// Whether the bytes begin as a checkpoint does.
pub fn is_one(bytes: &[u8]) -> bool {
    archive::is_one(bytes) || bytes.starts_with(&LEGACY)
}

/// The tensors of a checkpoint.
pub fn tensors(bytes: Vec<u8>) -> Result<Vec<StoredTensor>, ForeignError> {
    let bytes = Arc::new(bytes);
    let (pickle, numbers);
    if archive::is_one(&bytes) {
        let entries = archive::entries(&bytes)?;
        let named = |end: &str| entries.iter().find(|(name, _)| name.ends_with(end));
        let Some((name, range)) = named("/data.pkl") else {
            return Err(damaged("the zip archive has no data.pkl, so it is no PyTorch checkpoint"));
        };
        if named("/byteorder").is_some_and(|(_, range)| &bytes[range.clone()] != b"little") {
            return Err(damaged("its numbers are big-endian, which is not supported"));
        }
        let folder = format!("{}/data/", name.trim_end_matches("/data.pkl"));
        pickle = Pickle::read(&bytes[range.clone()], &mut 0)?;
        numbers = entries
            .iter()
            .filter_map(|(name, range)| Some((name.strip_prefix(&folder)?.to_owned(), range.clone())))
            .collect();
    } else {
        let mut at = 0;
        for _ in 0..3 {
            Pickle::read(&bytes, &mut at)?;
        }
        pickle = Pickle::read(&bytes, &mut at)?;
        numbers = legacy_numbers(&bytes, &mut at, &pickle)?;
    }
    let mut views = Vec::new();
    collect(&pickle, pickle.root, &mut String::new(), 0, &mut 0, &mut views)?;
    if views.is_empty() {
        return Err(damaged(
            "it holds no tensors by name: save the state_dict() of a module, not the module",
        ));
    }
    views.into_iter().map(|(name, view)| stored(&bytes, name, view, &numbers)).collect()
}

/// The tensors below a value, with their names.
fn collect<'a>(
    pickle: &Pickle<'a>,
    value: Handle,
    name: &mut String,
    depth: usize,
    seen: &mut usize,
    found: &mut Vec<(String, View<'a>)>,
) -> Result<(), ForeignError> {
    match pickle.value(value) {
        Value::Tensor(view) => found.push((name.clone(), view.clone())),
        Value::Dict(entries) if depth < MOST_DEPTH => {
            for &(key, value) in entries {
                *seen += 1;
                if *seen > MOST_ENTRIES {
                    return Err(damaged(format!("it has more than {MOST_ENTRIES} entries")));
                }
                let Value::Text(key) = pickle.value(key) else { continue };
                let length = name.len();
                if length > 0 {
                    name.push('.');
                }
                if name.len() + key.len() > MOST_NAME {
                    return Err(damaged(format!("a name is longer than {MOST_NAME} bytes")));
                }
                name.push_str(key);
                collect(pickle, value, name, depth + 1, seen, found)?;
                name.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Where the numbers of each key lie in a legacy stream.
fn legacy_numbers(
    bytes: &[u8],
    at: &mut usize,
    pickle: &Pickle<'_>,
) -> Result<HashMap<String, Range<usize>>, ForeignError> {
    let sizes = pickle.storages();
    let keys = Pickle::read(bytes, at)?;
    let Value::List(list) = keys.value(keys.root) else {
        return Err(damaged("its list of storages is missing"));
    };
    let mut numbers = HashMap::new();
    for &key in list {
        let Value::Text(key) = keys.value(key) else { return Err(damaged("a storage has no name")) };
        let size = sizes.get(key).ok_or_else(|| damaged(format!("nothing is known of storage {key}")))?;
        let count = bytes
            .get(*at..)
            .and_then(|rest| rest.first_chunk::<8>())
            .and_then(|count| usize::try_from(u64::from_le_bytes(*count)).ok())
            .and_then(|count| count.checked_mul(*size));
        let start = *at + 8;
        let end = count.and_then(|length| start.checked_add(length)).filter(|&end| end <= bytes.len());
        let end = end.ok_or_else(|| damaged(format!("storage {key} reaches beyond the file")))?;
        numbers.insert((*key).to_owned(), start..end);
        *at = end;
    }
    Ok(numbers)
}

fn element_type(element: Element) -> DType {
    match element {
        Element::F64 => DType::F64,
        Element::F32 => DType::F32,
        Element::F16 => DType::F16,
        Element::BF16 => DType::BF16,
        Element::I64 => DType::I64,
        Element::I32 => DType::I32,
        Element::I16 => DType::I16,
        Element::I8 => DType::I8,
        Element::U8 | Element::Bool => DType::U8,
    }
}

/// A view with its numbers behind it, after a check that they are all there.
fn stored(
    bytes: &Arc<Vec<u8>>,
    name: String,
    view: View<'_>,
    numbers: &HashMap<String, Range<usize>>,
) -> Result<StoredTensor, ForeignError> {
    let wrong = |what: &str| damaged(format!("tensor {name}: {what}"));
    let View { storage, offset, shape, stride } = view;
    let range = numbers.get(storage.key).ok_or_else(|| wrong("its numbers are missing"))?.clone();
    let size = storage.element.size();
    let count = range.len() / size;
    if shape.len() != stride.len() {
        return Err(wrong("its shape makes no sense"));
    }
    let total = shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent));
    let last = shape.iter().zip(&stride).try_fold(offset, |sum, (&extent, &stride)| {
        sum.checked_add(extent.saturating_sub(1).checked_mul(stride)?)
    });
    let fits = |total: usize, last: usize| total <= count && (total == 0 || last < count);
    let (Some(total), Some(_)) = (total, last.filter(|&last| total.is_some_and(|total| fits(total, last))))
    else {
        return Err(wrong("it claims more numbers than the file has"));
    };
    let (bytes, dtype) = (Arc::clone(bytes), element_type(storage.element));
    let extents = Shape::from(shape.clone());
    let read = move || {
        let numbers = &bytes[range.clone()];
        let mut data = Vec::with_capacity(total * size);
        let mut place = vec![0_usize; shape.len()];
        for _ in 0..total {
            let at = offset + place.iter().zip(&stride).map(|(place, stride)| place * stride).sum::<usize>();
            data.extend_from_slice(&numbers[at * size..(at + 1) * size]);
            for axis in (0..shape.len()).rev() {
                place[axis] += 1;
                if place[axis] < shape[axis] {
                    break;
                }
                place[axis] = 0;
            }
        }
        TensorData::try_from_bytes_vec(data, Shape::from(shape.clone()), dtype)
            .map_err(|error| StoreError::ValidationError(error.to_string()))
    };
    Ok(bridge::deferred(name, dtype, extents, None, read))
}
