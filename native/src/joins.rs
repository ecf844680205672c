//! The numbers of values that may join collections: `infer/joins.py` is the definition.

use crate::bson::*;
use crate::codec::{read_hex, read_uuid};

const BOUND: u128 = (1 << 61) - 1;
const FACTOR: u128 = 0x0E37_79B9_7F4A_7C15;
const INT_START: i128 = 3 << 100;
const TEXT_BYTES: usize = 100;

/// The remainder by `BOUND`, which is 2^61 - 1, without a division.
fn reduce(value: u128) -> u128 {
    let once = (value & BOUND) + (value >> 61);
    let twice = (once & BOUND) + (once >> 61);
    if twice < BOUND { twice } else { twice - BOUND }
}

fn spread(value: u128) -> u64 {
    reduce(reduce(value) * FACTOR) as u64
}

/// The number of bytes, the highest first, behind `mark`.
fn number(mark: u8, content: &[u8]) -> u64 {
    let add = |found: u128, &byte: &u8| found << 8 | u128::from(byte);
    let add_part = |found: u128, part: &[u8]| reduce(part.iter().fold(found, add));
    spread(content.chunks(8).fold(u128::from(mark), add_part))
}

fn number_int(value: i64) -> u64 {
    spread((INT_START + i128::from(value)) as u128)
}

fn number_text(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > TEXT_BYTES {
        return None;
    }
    match (text.len(), read_hex::<12>(text), read_uuid(text)) {
        (24, Some(id), _) => Some(number(0, &id)),
        (36, _, Some((uuid, _))) => Some(number(1, &uuid)),
        _ => Some(number(2, text)),
    }
}

fn number_value(kind: u8, raw: &[u8], p: usize, last: usize) -> Option<u64> {
    match kind {
        OBJECT_ID => Some(number(0, &bytes_at::<12>(raw, p).ok()?)),
        STRING => number_text(string_at(raw, p, last).ok()?.0),
        INT32 => Some(number_int(i64::from(int32_at(raw, p).ok()?))),
        INT64 => Some(number_int(int64_at(raw, p).ok()?)),
        DOUBLE => {
            let value = double_at(raw, p).ok()?;
            let is_whole = value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0;
            is_whole.then(|| number_int(value as i64))
        }
        BINARY => match binary_at(raw, p, last).ok()? {
            (4, content, _) if content.len() == 16 => Some(number(1, content)),
            _ => None,
        },
        _ => None,
    }
}

/// The number of the first value of a field of a document that is whole, if it may join.
pub fn find_number(raw: &[u8], name: &[u8]) -> Option<u64> {
    let (mut p, last) = (4, raw.len().checked_sub(1)?);
    while p < last {
        let end = key_end(raw, p, last).ok()?;
        if &raw[p + 1..end] == name {
            return number_value(raw[p], raw, end + 1, last);
        }
        p = skip_whole(raw[p], raw, end + 1, last).ok()?;
    }
    None
}
