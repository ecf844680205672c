//! Cells back into values. A cell that no load writes is declined.

use crate::bson::*;
use crate::calendar::{push_day, push_moment, DAYS_TO_2000, DAY_MS, MS_TO_2000};
use crate::codec::{object_id_of_uuid, Codec, Held, MomentKind, UuidKind};
use crate::json::push_hex;
use crate::read_json::{begin, finish, parse, push_string, push_value, push_whole};

fn sized<const N: usize>(cell: &[u8]) -> Answer<[u8; N]> {
    cell.try_into().map_err(|_| Declined)
}

fn push_uuid_text(out: &mut Vec<u8>, uuid: &[u8; 16]) {
    let mut text = Vec::with_capacity(36);
    for (i, byte) in uuid.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        push_hex(&mut text, &[*byte]);
    }
    push_string(out, &text);
}

fn push_binary(out: &mut Vec<u8>, subtype: u8, content: &[u8]) {
    let inner = if subtype == 2 { 4 } else { 0 };
    out.extend_from_slice(&(content.len() as i32 + inner).to_le_bytes());
    out.push(subtype);
    if subtype == 2 {
        out.extend_from_slice(&(content.len() as i32).to_le_bytes());
    }
    out.extend_from_slice(content);
}

impl Codec {
    /// Write the value of a cell; its type byte.
    pub fn give(&self, cell: &[u8], out: &mut Vec<u8>) -> Answer<u8> {
        let start = out.len();
        let (kind, is_certain) = self.write(cell, out)?;
        if is_certain {
            return Ok(kind);
        }
        let mut again = Vec::with_capacity(cell.len() + 4);
        match self.hold(kind, out, start, out.len() + 1, &mut again)? {
            (Held::Home, _) if again[4..] == *cell => Ok(kind),
            _ => Err(Declined),
        }
    }

    /// The same, and whether every cell of the type has the value of one cell alone.
    fn write(&self, cell: &[u8], out: &mut Vec<u8>) -> Answer<(u8, bool)> {
        let kind = match self {
            Codec::Uuid(home) => return Ok((write_uuid(*home, &sized(cell)?, out), true)),
            Codec::Text { .. } => {
                push_string(out, cell);
                return Ok((STRING, true));
            }
            Codec::Digits { .. } => return Err(Declined),
            Codec::Any => match push_value(out, &parse(cell)?, None)? {
                DOUBLE => return Err(Declined),
                kind => kind,
            },
            Codec::Bool => {
                out.extend_from_slice(&sized::<1>(cell)?);
                return Ok((BOOL, true));
            }
            Codec::Int { size, is_double } => write_int(*size, *is_double, cell, out)?,
            Codec::Float8 => {
                let mut bits: [u8; 8] = sized(cell)?;
                bits.reverse();
                out.extend_from_slice(&bits);
                return Ok((DOUBLE, true));
            }
            Codec::Number { limit } => write_number(limit.is_some(), cell, out)?,
            Codec::Moment { kind, .. } => write_moment(*kind, cell, out)?,
            Codec::Day { is_text } => write_day(*is_text, cell, out)?,
            Codec::Bytes { subtype } => {
                push_binary(out, *subtype, cell);
                return Ok((BINARY, true));
            }
            Codec::Array { element, .. } => write_array(element, cell, out)?,
            Codec::Other => return Err(Declined),
        };
        Ok((kind, false))
    }
}

fn write_uuid(home: UuidKind, uuid: &[u8; 16], out: &mut Vec<u8>) -> u8 {
    match (home, object_id_of_uuid(uuid)) {
        (UuidKind::ObjectId, Some(id)) => {
            out.extend_from_slice(&id);
            OBJECT_ID
        }
        (UuidKind::Hex, Some(id)) => {
            let mut text = Vec::with_capacity(24);
            push_hex(&mut text, &id);
            push_string(out, &text);
            STRING
        }
        (UuidKind::ObjectId | UuidKind::Binary, _) => {
            push_binary(out, 4, uuid);
            BINARY
        }
        (UuidKind::Hex | UuidKind::Text, _) => {
            push_uuid_text(out, uuid);
            STRING
        }
    }
}

fn write_int(size: usize, is_double: bool, cell: &[u8], out: &mut Vec<u8>) -> Answer<u8> {
    let value = match size {
        2 => i64::from(i16::from_be_bytes(sized(cell)?)),
        4 => i64::from(i32::from_be_bytes(sized(cell)?)),
        _ => i64::from_be_bytes(sized(cell)?),
    };
    if is_double && (value as f64) as i128 == i128::from(value) {
        out.extend_from_slice(&(value as f64).to_le_bytes());
        return Ok(DOUBLE);
    }
    if size == 8 || is_double {
        out.extend_from_slice(&value.to_le_bytes());
        return Ok(INT64);
    }
    out.extend_from_slice(&(value as i32).to_le_bytes());
    Ok(INT32)
}

/// Four digits of a numeric; a group above 9999 is in no cell, and gives other bytes than the cell.
fn push_group(text: &mut String, group: u16) {
    for unit in [1000, 100, 10, 1] {
        text.push(char::from(b'0' + (group / unit % 10) as u8));
    }
}

/// An int for a whole number, otherwise a double.
fn write_number(is_limited: bool, cell: &[u8], out: &mut Vec<u8>) -> Answer<u8> {
    let groups: Vec<u16> =
        cell.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let [count, weight, sign, scale, digits @ ..] = groups.as_slice() else {
        return Err(Declined);
    };
    if digits.len() != usize::from(*count) || cell.len() % 2 != 0 || *scale > 1_000 {
        return Err(Declined);
    }
    let special = match sign {
        0xC000 => Some(f64::from_bits(0x7FF8_0000_0000_0000)),
        0xD000 => Some(f64::INFINITY),
        0xF000 => Some(f64::NEG_INFINITY),
        _ => None,
    };
    if let Some(value) = special {
        out.extend_from_slice(&value.to_le_bytes());
        return Ok(DOUBLE);
    }
    let weight = i32::from(*weight as i16);
    if !(-300..=100).contains(&weight) {
        return Err(Declined);
    }
    let mut text = String::with_capacity(32);
    if *sign == 0x4000 {
        text.push('-');
    }
    let group = |at: i32| -> u16 {
        let found = usize::try_from(at).ok().and_then(|at| digits.get(at));
        found.copied().unwrap_or(0)
    };
    text.push('0');
    for at in 0..=weight {
        push_group(&mut text, group(at));
    }
    let whole = text.len();
    text.push('.');
    for at in 0..i32::from(scale.div_ceil(4)) {
        push_group(&mut text, group(weight + 1 + at));
    }
    let is_whole = text[whole + 1..].bytes().all(|digit| digit == b'0');
    if *scale == 0 || (is_limited && is_whole) {
        return Ok(push_whole(out, text[..whole].parse().map_err(|_| Declined)?));
    }
    let value: f64 = text.parse().map_err(|_| Declined)?;
    out.extend_from_slice(&value.to_le_bytes());
    Ok(DOUBLE)
}

fn write_moment(kind: MomentKind, cell: &[u8], out: &mut Vec<u8>) -> Answer<u8> {
    let micros = i64::from_be_bytes(sized(cell)?);
    let since_1970 = micros.checked_add(MS_TO_2000 * 1000).ok_or(Declined)?;
    if let MomentKind::Iso(places) = kind {
        let mut text = Vec::with_capacity(32);
        if push_moment(&mut text, since_1970, places) {
            push_string(out, &text);
            return Ok(STRING);
        }
    }
    if micros % 1000 != 0 {
        return Err(Declined);
    }
    out.extend_from_slice(&(since_1970 / 1000).to_le_bytes());
    Ok(DATE)
}

fn write_day(is_text: bool, cell: &[u8], out: &mut Vec<u8>) -> Answer<u8> {
    let days = i64::from(i32::from_be_bytes(sized(cell)?)) + DAYS_TO_2000;
    let mut text = Vec::with_capacity(10);
    if is_text && push_day(&mut text, days) {
        push_string(out, &text);
        return Ok(STRING);
    }
    out.extend_from_slice(&(days * DAY_MS).to_le_bytes());
    Ok(DATE)
}

fn be_int32(cell: &[u8], p: usize) -> Answer<i32> {
    Ok(i32::from_be_bytes(bytes_at(cell, p)?))
}

fn write_array(element: &Codec, cell: &[u8], out: &mut Vec<u8>) -> Answer<u8> {
    let start = begin(out);
    let dimensions = be_int32(cell, 0)?;
    let mut p = 20;
    let count = match dimensions {
        0 => 0,
        1 if be_int32(cell, 16)? == 1 => be_int32(cell, 12)?,
        _ => return Err(Declined),
    };
    let mut buffer = itoa::Buffer::new();
    for i in 0..count {
        let size = be_int32(cell, p)?;
        p += 4;
        let kind_at = out.len();
        out.push(NULL);
        out.extend_from_slice(buffer.format(i).as_bytes());
        out.push(0);
        if let Ok(size) = usize::try_from(size) {
            let kind = element.give(cell.get(p..p + size).ok_or(Declined)?, out)?;
            out[kind_at] = kind;
            p += size;
        }
    }
    finish(out, start);
    Ok(ARRAY)
}
