//! Raw BSON, read in place. What is not plain and whole is declined: the exact way takes it.

/// A document that the exact way has to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declined;

pub type Answer<T> = Result<T, Declined>;

pub const DOUBLE: u8 = 0x01;
pub const STRING: u8 = 0x02;
pub const DOCUMENT: u8 = 0x03;
pub const ARRAY: u8 = 0x04;
pub const BINARY: u8 = 0x05;
pub const UNDEFINED: u8 = 0x06;
pub const OBJECT_ID: u8 = 0x07;
pub const BOOL: u8 = 0x08;
pub const DATE: u8 = 0x09;
pub const NULL: u8 = 0x0A;
pub const REGEX: u8 = 0x0B;
pub const DB_POINTER: u8 = 0x0C;
pub const CODE: u8 = 0x0D;
pub const SYMBOL: u8 = 0x0E;
pub const CODE_WITH_SCOPE: u8 = 0x0F;
pub const INT32: u8 = 0x10;
pub const TIMESTAMP: u8 = 0x11;
pub const INT64: u8 = 0x12;
pub const DECIMAL: u8 = 0x13;
pub const MAX_KEY: u8 = 0x7F;
pub const MIN_KEY: u8 = 0xFF;

/// Containers in containers, at most, of a document and again of one value in `_extra`: together
/// fewer than the 100 from which on values are `$bson`. Deeper documents are declined.
pub const LEVELS: usize = 45;

/// The bytes of a fixed size at `p`.
#[inline]
pub fn bytes_at<const N: usize>(raw: &[u8], p: usize) -> Answer<[u8; N]> {
    match raw.get(p..p + N) {
        Some(found) => Ok(found.try_into().unwrap_or([0; N])),
        None => Err(Declined),
    }
}

#[inline]
pub fn int32_at(raw: &[u8], p: usize) -> Answer<i32> {
    Ok(i32::from_le_bytes(bytes_at(raw, p)?))
}

#[inline]
pub fn int64_at(raw: &[u8], p: usize) -> Answer<i64> {
    Ok(i64::from_le_bytes(bytes_at(raw, p)?))
}

#[inline]
pub fn double_at(raw: &[u8], p: usize) -> Answer<f64> {
    Ok(f64::from_le_bytes(bytes_at(raw, p)?))
}

/// The position of the terminator of the document or array at `p`, which ends before `limit`.
#[inline]
pub fn open(raw: &[u8], p: usize, limit: usize) -> Answer<usize> {
    let size = int32_at(raw, p)?;
    if size < 5 {
        return Err(Declined);
    }
    let last = p + size as usize - 1;
    if last >= limit || raw.get(last) != Some(&0) {
        return Err(Declined);
    }
    Ok(last)
}

/// The position of the NUL behind the key of the element at `p`.
#[inline]
pub fn key_end(raw: &[u8], p: usize, last: usize) -> Answer<usize> {
    let keys = raw.get(p + 1..last).ok_or(Declined)?;
    // Keys are short: a plain loop is quicker than a call of memchr for them.
    for (i, &byte) in keys.iter().take(16).enumerate() {
        if byte == 0 {
            return Ok(p + 1 + i);
        }
    }
    match memchr::memchr(0, keys) {
        Some(i) => Ok(p + 1 + i),
        None => Err(Declined),
    }
}

/// The bytes of a string without its terminator, and the position behind it.
#[inline]
pub fn string_at(raw: &[u8], p: usize, last: usize) -> Answer<(&[u8], usize)> {
    let length = int32_at(raw, p)?;
    if length < 1 {
        return Err(Declined);
    }
    let end = p + 4 + length as usize;
    if end > last || raw.get(end - 1) != Some(&0) {
        return Err(Declined);
    }
    Ok((&raw[p + 4..end - 1], end))
}

/// A string that is text without NUL.
#[inline]
pub fn text_at(raw: &[u8], p: usize, last: usize) -> Answer<(&str, usize)> {
    let (content, end) = string_at(raw, p, last)?;
    let text = std::str::from_utf8(content).map_err(|_| Declined)?;
    if memchr::memchr(0, content).is_some() {
        return Err(Declined);
    }
    Ok((text, end))
}

/// Subtype, content and the position behind a binary; subtype 2 without its inner length.
pub fn binary_at(raw: &[u8], p: usize, last: usize) -> Answer<(u8, &[u8], usize)> {
    let length = int32_at(raw, p)?;
    let subtype = *raw.get(p + 4).ok_or(Declined)?;
    if length < 0 {
        return Err(Declined);
    }
    let end = p + 5 + length as usize;
    if end > last {
        return Err(Declined);
    }
    if subtype != 2 {
        return Ok((subtype, raw.get(p + 5..end).ok_or(Declined)?, end));
    }
    if length < 4 || int32_at(raw, p + 5)? != length - 4 {
        return Err(Declined);
    }
    Ok((subtype, raw.get(p + 9..end).ok_or(Declined)?, end))
}

/// A boolean, which is 0 or 1.
#[inline]
pub fn bool_at(raw: &[u8], p: usize) -> Answer<bool> {
    match raw.get(p) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(Declined),
    }
}

/// The position behind a C string.
pub fn skip_cstring(raw: &[u8], p: usize, last: usize) -> Answer<usize> {
    let rest = raw.get(p..last).ok_or(Declined)?;
    Ok(p + memchr::memchr(0, rest).ok_or(Declined)? + 1)
}

/// The position behind a value; containers are passed over by their length.
pub fn skip(kind: u8, raw: &[u8], p: usize, last: usize) -> Answer<usize> {
    let end = match kind {
        DOUBLE | DATE | TIMESTAMP | INT64 => p + 8,
        STRING | CODE | SYMBOL => string_at(raw, p, last)?.1,
        DOCUMENT | ARRAY => open(raw, p, last)? + 1,
        BINARY => binary_at(raw, p, last)?.2,
        UNDEFINED | NULL | MIN_KEY | MAX_KEY => p,
        OBJECT_ID => p + 12,
        BOOL => {
            bool_at(raw, p)?;
            p + 1
        }
        REGEX => skip_cstring(raw, skip_cstring(raw, p, last)?, last)?,
        DB_POINTER => string_at(raw, p, last)?.1 + 12,
        INT32 => p + 4,
        DECIMAL => p + 16,
        _ => return Err(Declined),
    };
    if end > last {
        return Err(Declined);
    }
    Ok(end)
}

/// Where the scope of code with scope begins, and the position behind both.
pub fn code_with_scope_at(raw: &[u8], p: usize, last: usize) -> Answer<(usize, usize)> {
    let size = int32_at(raw, p)?;
    let (_, scope) = string_at(raw, p + 4, last)?;
    let end = open(raw, scope, last)? + 1;
    if size < 0 || p + size as usize != end {
        return Err(Declined);
    }
    Ok((scope, end))
}

/// As `skip`, in a document that is whole: code with scope is passed over, too.
pub fn skip_whole(kind: u8, raw: &[u8], p: usize, last: usize) -> Answer<usize> {
    match kind {
        CODE_WITH_SCOPE => Ok(code_with_scope_at(raw, p, last)?.1),
        _ => skip(kind, raw, p, last),
    }
}

/// Whether bytes are one document, however deep.
pub fn is_whole(raw: &[u8]) -> bool {
    check_whole(raw).is_ok()
}

fn check_whole(raw: &[u8]) -> Answer<()> {
    let mut outer = Vec::new();
    let (mut last, mut p) = (open(raw, 0, raw.len())?, 4);
    if last + 1 != raw.len() {
        return Err(Declined);
    }
    loop {
        while p == last {
            match outer.pop() {
                Some(above) => last = above,
                None => return Ok(()),
            }
            p += 1;
        }
        let kind = raw[p];
        let value = key_end(raw, p, last)? + 1;
        let (inside, end) = match kind {
            DOCUMENT | ARRAY => (value, open(raw, value, last)? + 1),
            CODE_WITH_SCOPE => code_with_scope_at(raw, value, last)?,
            _ => {
                p = skip(kind, raw, value, last)?;
                continue;
            }
        };
        outer.push(last);
        (last, p) = (end - 1, inside + 4);
    }
}

/// Check all that lies in a container at `p`, at every depth; the position behind it.
pub fn check(raw: &[u8], p: usize, limit: usize, depth: usize) -> Answer<usize> {
    if depth > LEVELS {
        return Err(Declined);
    }
    let last = open(raw, p, limit)?;
    let mut q = p + 4;
    while q != last {
        let kind = raw[q];
        let value = key_end(raw, q, last)? + 1;
        q = if kind == DOCUMENT || kind == ARRAY {
            check(raw, value, last, depth + 1)?
        } else {
            skip(kind, raw, value, last)?
        };
    }
    Ok(last + 1)
}

/// Whether a key occurs twice among these.
pub fn has_repeated<'a, T>(items: &mut [T], key: impl Fn(&T) -> &'a [u8]) -> bool {
    if items.len() < 12 {
        let is_before = |i: usize| items[..i].iter().any(|item| key(item) == key(&items[i]));
        return (1..items.len()).any(is_before);
    }
    items.sort_unstable_by(|one, other| key(one).cmp(key(other)));
    items.windows(2).any(|pair| key(&pair[0]) == key(&pair[1]))
}
