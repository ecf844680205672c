//! What a column makes of one value: a field of COPY, at home or read, or nothing.

use crate::bson::*;
use crate::calendar::{
    parse_day, parse_moment, push_day, push_moment, DAYS_TO_2000, DAY_MS, MS_TO_2000,
};
use crate::json::{push_hex, push_int};
use crate::number::{whole_double, whole_text, write_special, Decimal};

pub const FIRST_MS: i64 = -210_866_803_200_000;
pub const AFTER_LAST_MS: i64 = 9_224_318_016_000_000;
const FIRST_DAY: i64 = -2_451_545;
const LAST_DAY: i64 = 2_145_031_948;
const KEY_BYTES: usize = 1_000;

/// What became of a value. A field that is `Read` has its original noted beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Home,
    Read,
    Unfit,
}

/// A type with its kind, as in the table of `assise.types`.
#[derive(Debug, Clone)]
pub enum Codec {
    Uuid(UuidKind),
    Text { most: usize },
    Digits { most: usize },
    Any,
    Bool,
    Int { size: usize, is_double: bool },
    Float8,
    Number { limit: Option<(usize, usize)> },
    Moment { kind: MomentKind, step: i64 },
    Day { is_text: bool },
    Bytes { subtype: u8 },
    Array { element: Box<Codec>, oid: i32, takes: Box<[bool; 256]> },
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UuidKind {
    ObjectId,
    Binary,
    Hex,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MomentKind {
    Date,
    Iso(usize),
}

fn modifiers(name: &str) -> Option<(&str, Vec<usize>)> {
    let Some((base, rest)) = name.split_once('(') else {
        return Some((name, Vec::new()));
    };
    let found: Result<Vec<usize>, _> = rest.strip_suffix(')')?.split(',').map(str::parse).collect();
    Some((base, found.ok()?))
}

impl Codec {
    /// The codec of a type and a kind; `Other` declines all that the type takes.
    pub fn new(name: &str, kind: &str, takes: &[bool; 256]) -> Codec {
        Self::find(name, kind, takes).unwrap_or(Codec::Other)
    }

    fn find(name: &str, kind: &str, takes: &[bool; 256]) -> Option<Codec> {
        if let Some(element) = name.strip_suffix("[]") {
            let codec = Box::new(Self::find(element, kind, takes)?);
            let oid = match modifiers(element)?.0 {
                "uuid" => 2950,
                "text" => 25,
                "varchar" => 1043,
                "bool" => 16,
                "int2" => 21,
                "int4" => 23,
                "int8" => 20,
                "float8" => 701,
                "numeric" => 1700,
                "timestamptz" => 1184,
                "date" => 1082,
                _ => return None,
            };
            return Some(Codec::Array { element: codec, oid, takes: Box::new(*takes) });
        }
        let (base, found) = modifiers(name)?;
        let codec = match (base, kind, found.as_slice()) {
            ("uuid", "objectid", []) => Codec::Uuid(UuidKind::ObjectId),
            ("uuid", "uuid", []) => Codec::Uuid(UuidKind::Binary),
            ("uuid", "hex", []) => Codec::Uuid(UuidKind::Hex),
            ("uuid", "uuid_text", []) => Codec::Uuid(UuidKind::Text),
            ("text" | "citext", "string", []) => Codec::Text { most: usize::MAX },
            ("varchar", "string", [most]) => Codec::Text { most: *most },
            ("text" | "citext", "objectid", []) => Codec::Digits { most: usize::MAX },
            ("varchar", "objectid", [most]) => Codec::Digits { most: *most },
            ("text", "any", []) => Codec::Any,
            ("bool", "bool", []) => Codec::Bool,
            ("int2", "int", []) => Codec::Int { size: 2, is_double: false },
            ("int4", "int", []) => Codec::Int { size: 4, is_double: false },
            ("int8", "int", []) => Codec::Int { size: 8, is_double: false },
            ("int2", "double", []) => Codec::Int { size: 2, is_double: true },
            ("int4", "double", []) => Codec::Int { size: 4, is_double: true },
            ("int8", "double", []) => Codec::Int { size: 8, is_double: true },
            ("float8", "double", []) => Codec::Float8,
            ("numeric", "number", []) => Codec::Number { limit: None },
            ("numeric", "number", [precision, scale]) => {
                Codec::Number { limit: Some((*precision, *scale)) }
            }
            ("timestamptz", _, places) => {
                let kind = match kind {
                    "date" => MomentKind::Date,
                    "iso" => MomentKind::Iso(0),
                    "iso3" => MomentKind::Iso(3),
                    _ => return None,
                };
                let step = match places {
                    [] => 1,
                    [places @ 0..=6] => 10_i64.pow(6 - *places as u32),
                    _ => return None,
                };
                Codec::Moment { kind, step }
            }
            ("date", "date", []) => Codec::Day { is_text: false },
            ("date", "text", []) => Codec::Day { is_text: true },
            ("bytea", "binary", []) => Codec::Bytes { subtype: 0 },
            ("bytea", _, []) => {
                Codec::Bytes { subtype: kind.strip_prefix("binary_")?.parse().ok()? }
            }
            _ => return None,
        };
        Some(codec)
    }

    /// Write the field of a value of a kind that the column takes.
    ///
    /// Nothing is written, or what was written has no meaning, where it is unfit.
    pub fn hold(
        &self,
        kind: u8,
        raw: &[u8],
        p: usize,
        last: usize,
        out: &mut Vec<u8>,
    ) -> Answer<(Held, usize)> {
        let end = skip(kind, raw, p, last)?;
        let held = match self {
            Codec::Uuid(home) => hold_uuid(*home, kind, raw, p, last, out)?,
            Codec::Text { most } => hold_text(*most, false, kind, raw, p, last, out)?,
            Codec::Digits { most } => hold_text(*most, true, kind, raw, p, last, out)?,
            Codec::Any => hold_any(kind, raw, p, last, out)?,
            Codec::Bool => hold_bool(kind, raw, p, last, out)?,
            Codec::Int { size, is_double } => hold_int(*size, *is_double, kind, raw, p, last, out)?,
            Codec::Float8 => hold_float8(kind, raw, p, out)?,
            Codec::Number { limit } => hold_number(*limit, kind, raw, p, last, out)?,
            Codec::Moment { kind: home, step } => {
                hold_moment(*home, *step, kind, raw, p, last, out)?
            }
            Codec::Day { is_text } => hold_day(*is_text, kind, raw, p, last, out)?,
            Codec::Bytes { subtype } if kind == BINARY => {
                let (found, content, _) = binary_at(raw, p, last)?;
                push_field(out, content);
                if found == *subtype {
                    Held::Home
                } else {
                    Held::Unfit
                }
            }
            Codec::Array { element, oid, takes } if kind == ARRAY => {
                hold_array(element, *oid, takes, raw, p, last, out)?
            }
            Codec::Array { element, oid, .. } => hold_one(element, *oid, kind, raw, p, last, out)?,
            _ => return Err(Declined),
        };
        Ok((held, end))
    }
}

#[inline]
fn push_field(out: &mut Vec<u8>, cell: &[u8]) {
    out.extend_from_slice(&(cell.len() as i32).to_be_bytes());
    out.extend_from_slice(cell);
}

/// An ObjectId as a uuid of version 8 with readable digits.
fn uuid_of_object_id(id: &[u8; 12]) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid[..6].copy_from_slice(&id[..6]);
    uuid[6] = 0x80 | id[6] >> 4;
    uuid[7] = id[6] << 4 | id[7] >> 4;
    uuid[8] = 0x80 | id[7] & 15;
    uuid[9..13].copy_from_slice(&id[8..]);
    uuid
}

/// The ObjectId behind a uuid of `uuid_of_object_id`.
pub fn object_id_of_uuid(uuid: &[u8; 16]) -> Option<[u8; 12]> {
    if uuid[6] >> 4 != 8 || uuid[8] >> 4 != 8 || uuid[13..] != [0; 3] {
        return None;
    }
    let mut id = [0; 12];
    id[..6].copy_from_slice(&uuid[..6]);
    id[6] = uuid[6] << 4 | uuid[7] >> 4;
    id[7] = uuid[7] << 4 | uuid[8] & 15;
    id[8..].copy_from_slice(&uuid[9..13]);
    Some(id)
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

pub fn read_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut found = [0; N];
    let mut digits = text.iter().filter(|&&byte| byte != b'-');
    for byte in &mut found {
        *byte = hex_digit(*digits.next()?)? << 4 | hex_digit(*digits.next()?)?;
    }
    digits.next().is_none().then_some(found)
}

/// The uuid of 24 hex digits or of a UUID's text, and whether the text is that of an ObjectId.
pub fn read_uuid(text: &[u8]) -> Option<([u8; 16], bool)> {
    if text.len() == 24 && !text.contains(&b'-') {
        return Some((uuid_of_object_id(&read_hex::<12>(text)?), true));
    }
    let has_dashes = text.len() == 36
        && text.iter().enumerate().all(|(i, &byte)| {
            (byte == b'-') == matches!(i, 8 | 13 | 18 | 23)
        });
    has_dashes.then(|| read_hex::<16>(text)).flatten().map(|uuid| (uuid, false))
}

fn hold_uuid(
    home: UuidKind,
    kind: u8,
    raw: &[u8],
    p: usize,
    last: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let (uuid, is_home) = match kind {
        OBJECT_ID => (uuid_of_object_id(&bytes_at(raw, p)?), home == UuidKind::ObjectId),
        BINARY => {
            let (subtype, content, _) = binary_at(raw, p, last)?;
            if subtype == 3 {
                return Err(Declined);
            }
            let Ok(uuid) = <[u8; 16]>::try_from(content) else {
                return Ok(Held::Unfit);
            };
            if subtype != 4 {
                return Ok(Held::Unfit);
            }
            let is_given_back = home == UuidKind::Binary
                || (home == UuidKind::ObjectId && object_id_of_uuid(&uuid).is_none());
            (uuid, is_given_back)
        }
        STRING => {
            let (text, _) = text_at(raw, p, last)?;
            let text = text.as_bytes();
            let Some((uuid, is_hex)) = read_uuid(text) else {
                return Ok(Held::Unfit);
            };
            let is_lower = !text.iter().any(u8::is_ascii_uppercase);
            let is_given_back = match home {
                UuidKind::Hex => is_hex || object_id_of_uuid(&uuid).is_none(),
                UuidKind::Text => !is_hex,
                _ => false,
            };
            (uuid, is_lower && is_given_back)
        }
        _ => return Err(Declined),
    };
    push_field(out, &uuid);
    Ok(if is_home { Held::Home } else { Held::Read })
}

fn hold_text(
    most: usize,
    is_digits: bool,
    kind: u8,
    raw: &[u8],
    p: usize,
    last: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut is_home = false;
    match kind {
        STRING => {
            let (text, _) = text_at(raw, p, last)?;
            out.extend_from_slice(text.as_bytes());
            // Digits of an ObjectId would come back as one.
            is_home = !is_digits || !is_object_id_text(text.as_bytes());
        }
        OBJECT_ID => {
            push_hex(out, &bytes_at::<12>(raw, p)?);
            is_home = is_digits;
        }
        INT32 => push_int(out, i64::from(int32_at(raw, p)?)),
        INT64 => push_int(out, int64_at(raw, p)?),
        _ => return Err(Declined),
    }
    let size = out.len() - start - 4;
    out[start..start + 4].copy_from_slice(&(size as i32).to_be_bytes());
    if size > most && String::from_utf8_lossy(&out[start + 4..]).chars().count() > most {
        return Ok(Held::Unfit);
    }
    Ok(if is_home { Held::Home } else { Held::Read })
}

fn hold_bool(kind: u8, raw: &[u8], p: usize, last: usize, out: &mut Vec<u8>) -> Answer<Held> {
    let found = match kind {
        BOOL => Some(i64::from(bool_at(raw, p)?)),
        INT32 => Some(i64::from(int32_at(raw, p)?)),
        INT64 => Some(int64_at(raw, p)?),
        DOUBLE => whole_double(double_at(raw, p)?),
        STRING => match text_at(raw, p, last)?.0 {
            "false" => Some(0),
            "true" => Some(1),
            _ => None,
        },
        _ => return Err(Declined),
    };
    let Some(value @ 0..=1) = found else {
        return Ok(Held::Unfit);
    };
    push_field(out, &[value as u8]);
    Ok(if kind == BOOL { Held::Home } else { Held::Read })
}

/// Whether a text is how an ObjectId is written.
pub fn is_object_id_text(text: &[u8]) -> bool {
    text.len() == 24 && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A key of kind any: canonical Extended JSON of the commonest ids.
fn hold_any(kind: u8, raw: &[u8], p: usize, last: usize, out: &mut Vec<u8>) -> Answer<Held> {
    if !matches!(kind, STRING | OBJECT_ID | INT32 | INT64) {
        return Err(Declined);
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    crate::json::Leaves::default().push(out, kind, raw, p, last, 0)?;
    let size = out.len() - start - 4;
    if size > KEY_BYTES {
        return Err(Declined);
    }
    out[start..start + 4].copy_from_slice(&(size as i32).to_be_bytes());
    Ok(Held::Home)
}

fn hold_int(
    size: usize,
    is_double: bool,
    kind: u8,
    raw: &[u8],
    p: usize,
    last: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let found: Option<i128> = match kind {
        INT32 => Some(i128::from(int32_at(raw, p)?)),
        INT64 => Some(i128::from(int64_at(raw, p)?)),
        DOUBLE => whole_double(double_at(raw, p)?).map(i128::from),
        STRING => whole_text(text_at(raw, p, last)?.0.as_bytes()),
        _ => return Err(Declined),
    };
    let bound = 1_i128 << (8 * size - 1);
    let Some(value) = found.filter(|value| (-bound..bound).contains(value)) else {
        return Ok(Held::Unfit);
    };
    push_field(out, &value.to_be_bytes()[16 - size..]);
    // An int that is no double comes back as an int.
    let is_no_double = kind == INT64 && (value as i64 as f64) as i128 != value;
    let is_home = if is_double {
        kind == DOUBLE || is_no_double
    } else {
        kind == INT32 || kind == INT64
    };
    Ok(if is_home { Held::Home } else { Held::Read })
}

fn hold_float8(kind: u8, raw: &[u8], p: usize, out: &mut Vec<u8>) -> Answer<Held> {
    let value = match kind {
        DOUBLE => {
            let mut bits: [u8; 8] = bytes_at(raw, p)?;
            bits.reverse();
            push_field(out, &bits);
            return Ok(Held::Home);
        }
        INT32 => i64::from(int32_at(raw, p)?),
        INT64 => int64_at(raw, p)?,
        _ => return Err(Declined),
    };
    let double = value as f64;
    if double as i128 != i128::from(value) {
        return Ok(Held::Unfit);
    }
    push_field(out, &double.to_be_bytes());
    Ok(Held::Read)
}

fn hold_number(
    limit: Option<(usize, usize)>,
    kind: u8,
    raw: &[u8],
    p: usize,
    last: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let mut decimal = Decimal::default();
    let mut is_home = kind != STRING;
    match kind {
        STRING => {
            if !decimal.set_text(text_at(raw, p, last)?.0.as_bytes()) {
                return Ok(Held::Unfit);
            }
        }
        INT32 => decimal.set_int(i64::from(int32_at(raw, p)?)),
        INT64 => decimal.set_int(int64_at(raw, p)?),
        DOUBLE => {
            let value = double_at(raw, p)?;
            if value == 0.0 && value.is_sign_negative() {
                return Err(Declined);
            }
            if !value.is_finite() {
                let is_plain = limit.is_none() || value.is_nan();
                let has_payload = value.is_nan() && value.to_bits() != 0x7FF8_0000_0000_0000;
                if !is_plain || has_payload {
                    return Err(Declined);
                }
                write_special(value, out);
                return Ok(Held::Home);
            }
            decimal.set_double(value);
        }
        _ => return Err(Declined),
    }
    if let Some((precision, scale)) = limit {
        // Whole values are ints there.
        is_home = is_home && (kind != DOUBLE || !decimal.is_whole());
        if !decimal.limit(precision, scale) {
            return Ok(Held::Unfit);
        }
    }
    decimal.write_field(out);
    Ok(if is_home { Held::Home } else { Held::Read })
}

fn hold_moment(
    home: MomentKind,
    step: i64,
    kind: u8,
    raw: &[u8],
    p: usize,
    last: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let mut is_home = false;
    let micros = match kind {
        DATE => {
            let ms = int64_at(raw, p)?;
            if !(FIRST_MS..AFTER_LAST_MS).contains(&ms) {
                return Ok(Held::Unfit);
            }
            // A date that has no text comes back as a date.
            is_home = home == MomentKind::Date || !push_moment(&mut Vec::new(), ms.saturating_mul(1000), 0);
            (ms - MS_TO_2000) * 1000
        }
        TIMESTAMP => {
            let seconds = (int64_at(raw, p)? as u64 >> 32) as i64;
            (seconds * 1000 - MS_TO_2000) * 1000
        }
        STRING => {
            let (text, _) = text_at(raw, p, last)?;
            let Some((micros, fraction)) = parse_moment(text.as_bytes()) else {
                return Ok(Held::Unfit);
            };
            let is_cut = fraction.iter().skip(6).any(|&digit| digit != b'0');
            if is_cut && step > 1 {
                return Ok(Held::Unfit);
            }
            if let MomentKind::Iso(places) = home {
                let mut again = Vec::with_capacity(32);
                is_home = push_moment(&mut again, micros + MS_TO_2000 * 1000, places)
                    && again == text.as_bytes();
            }
            micros
        }
        _ => return Err(Declined),
    };
    if micros % step != 0 {
        return Ok(Held::Unfit);
    }
    push_field(out, &micros.to_be_bytes());
    Ok(if is_home { Held::Home } else { Held::Read })
}

fn hold_day(
    is_text: bool,
    kind: u8,
    raw: &[u8],
    p: usize,
    last: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let days = match kind {
        DATE => {
            let ms = int64_at(raw, p)?;
            let days = ms.div_euclid(DAY_MS) - DAYS_TO_2000;
            (ms.rem_euclid(DAY_MS) == 0 && (FIRST_DAY..=LAST_DAY).contains(&days)).then_some(days)
        }
        STRING => parse_day(text_at(raw, p, last)?.0.as_bytes()),
        _ => return Err(Declined),
    };
    let Some(days) = days else {
        return Ok(Held::Unfit);
    };
    push_field(out, &(days as i32).to_be_bytes());
    // A date that has no text comes back as a date.
    let is_home = is_text == (kind == STRING)
        || (kind == DATE && !push_day(&mut Vec::new(), days + DAYS_TO_2000));
    Ok(if is_home { Held::Home } else { Held::Read })
}

const ARRAY_HEAD: usize = 20;

/// Write what stands before the elements of an array that is not empty.
fn push_array_head(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4 + ARRAY_HEAD]);
}

/// Fill in the length of a field, and dimensions, whether there is a NULL, type, elements, first.
fn fill_array_head(out: &mut [u8], start: usize, has_null: bool, oid: i32, count: i32) {
    let size = (out.len() - start - 4) as i32;
    for (i, value) in [size, 1, i32::from(has_null), oid, count, 1].into_iter().enumerate() {
        let at = start + 4 * i;
        out[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
}

/// An array is at home when its elements are, and read when some are read.
fn hold_array(
    element: &Codec,
    oid: i32,
    takes: &[bool; 256],
    raw: &[u8],
    p: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let last = open(raw, p, limit)?;
    let start = out.len();
    let mut q = p + 4;
    if q == last {
        push_field(out, &[[0; 4], [0; 4], oid.to_be_bytes()].concat());
        return Ok(Held::Home);
    }
    push_array_head(out);
    let (mut count, mut has_null, mut found) = (0, false, Held::Home);
    while q != last {
        let kind = raw[q];
        let value = key_end(raw, q, last)? + 1;
        count += 1;
        if kind == NULL {
            has_null = true;
            out.extend_from_slice(&[0xFF; 4]);
            q = value;
            continue;
        }
        if kind == ARRAY || !takes[usize::from(kind)] {
            return Ok(Held::Unfit);
        }
        let (held, end) = element.hold(kind, raw, value, last, out)?;
        match held {
            Held::Unfit => return Ok(Held::Unfit),
            Held::Read => found = Held::Read,
            Held::Home => {}
        }
        q = end;
    }
    fill_array_head(out, start, has_null, oid, count);
    Ok(found)
}

/// A single value is read as an array of one.
fn hold_one(
    element: &Codec,
    oid: i32,
    kind: u8,
    raw: &[u8],
    p: usize,
    last: usize,
    out: &mut Vec<u8>,
) -> Answer<Held> {
    let start = out.len();
    push_array_head(out);
    if element.hold(kind, raw, p, last, out)?.0 == Held::Unfit {
        return Ok(Held::Unfit);
    }
    fill_array_head(out, start, false, oid, 1);
    Ok(Held::Read)
}
