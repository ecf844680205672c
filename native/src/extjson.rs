//! Documents of Extended JSON into BSON: strict JSON whose type wrappers have one key.
//!
//! It takes what `documents/dialects/fast.py` takes, or less. All else is declined: rare types,
//! repeated keys, numbers that have to be guessed, dates that need a word, the shell's syntax.

use crate::bson::*;
use crate::calendar::{parse_moment, MS_TO_2000};
use crate::codec::read_hex;
use crate::read_json::{begin, finish, push_whole};

/// Bytes of the largest document, as in `.bson` files.
const LARGEST: usize = (16 << 20) + (16 << 10);

/// Containers in containers, as MongoDB allows them.
const DEPTH: usize = 100;

const DECIMAL_BIAS: u64 = 6176;

struct Reader<'a> {
    text: &'a [u8],
    p: usize,
    /// Where in the output the document begins.
    start: usize,
    /// Where the keys of the open objects stand in the document.
    keys: Vec<(u32, u32)>,
}

/// Read one text, without white space around it, to the end of `out`; it is one document.
pub fn read_document(text: &[u8], out: &mut Vec<u8>) -> Answer<()> {
    let text = std::str::from_utf8(text).map_err(|_| Declined)?.as_bytes();
    let start = out.len();
    let mut reader = Reader { text, p: 0, start, keys: Vec::new() };
    if reader.next()? != b'{' || reader.container(out, DOCUMENT, 0)? != DOCUMENT {
        return Err(Declined);
    }
    if reader.p != text.len() || out.len() - start > LARGEST {
        return Err(Declined);
    }
    Ok(())
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Answer<u8> {
        let found = self.text.get(self.p).copied().ok_or(Declined)?;
        self.p += 1;
        Ok(found)
    }

    /// The next byte that is no white space.
    fn next_word(&mut self) -> Answer<u8> {
        loop {
            let found = self.next()?;
            if !matches!(found, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(found);
            }
        }
    }

    fn expect(&mut self, rest: &[u8]) -> Answer<()> {
        if !self.text[self.p..].starts_with(rest) {
            return Err(Declined);
        }
        self.p += rest.len();
        Ok(())
    }

    /// Write a value that begins with `first`; its type byte.
    fn value(&mut self, first: u8, out: &mut Vec<u8>, depth: usize) -> Answer<u8> {
        match first {
            b'"' => {
                let start = begin(out);
                self.string(out)?;
                out.push(0);
                let size = (out.len() - start - 4) as i32;
                out[start..start + 4].copy_from_slice(&size.to_le_bytes());
                Ok(STRING)
            }
            b'{' => self.container(out, DOCUMENT, depth),
            b'[' => self.container(out, ARRAY, depth),
            b't' => self.expect(b"rue").map(|()| out.push(1)).map(|()| BOOL),
            b'f' => self.expect(b"alse").map(|()| out.push(0)).map(|()| BOOL),
            b'n' => self.expect(b"ull").map(|()| NULL),
            b'-' | b'0'..=b'9' => self.number(out),
            _ => Err(Declined),
        }
    }

    /// Write a document or an array behind its first byte; or the value that a wrapper stands for.
    fn container(&mut self, out: &mut Vec<u8>, kind: u8, depth: usize) -> Answer<u8> {
        if depth > DEPTH {
            return Err(Declined);
        }
        let end = if kind == DOCUMENT { b'}' } else { b']' };
        let (start, first_key) = (begin(out), self.keys.len());
        let mut byte = self.next_word()?;
        let mut position = 0;
        while byte != end {
            if position > 0 {
                if byte != b',' {
                    return Err(Declined);
                }
                byte = self.next_word()?;
            }
            let kind_at = out.len();
            if kind_at - self.start > LARGEST {
                return Err(Declined);
            }
            out.push(0);
            if kind == ARRAY {
                out.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
            } else {
                if byte != b'"' {
                    return Err(Declined);
                }
                if self.text.get(self.p) == Some(&b'$') {
                    return if position == 0 { self.wrapper(out, start) } else { Err(Declined) };
                }
                self.string(out)?;
                let key = (kind_at + 1, out.len());
                if memchr::memchr(0, &out[key.0..]).is_some() || out.get(key.0) == Some(&b'$') {
                    return Err(Declined);
                }
                self.keys.push((self.place(key.0)?, self.place(key.1)?));
                if self.next_word()? != b':' {
                    return Err(Declined);
                }
                byte = self.next_word()?;
            }
            out.push(0);
            out[kind_at] = self.value(byte, out, depth + 1)?;
            position += 1;
            byte = self.next_word()?;
        }
        self.check_keys(out, first_key)?;
        finish(out, start);
        Ok(kind)
    }

    fn place(&self, at: usize) -> Answer<u32> {
        u32::try_from(at - self.start).map_err(|_| Declined)
    }

    /// Decline a document in which a key stands twice.
    fn check_keys(&mut self, out: &[u8], first: usize) -> Answer<()> {
        let written = &out[self.start..];
        let is_repeated = has_repeated(&mut self.keys[first..], |&(start, end)| {
            &written[start as usize..end as usize]
        });
        self.keys.truncate(first);
        if is_repeated { Err(Declined) } else { Ok(()) }
    }

    /// Read the content of a string behind its first quote.
    fn string(&mut self, out: &mut Vec<u8>) -> Answer<()> {
        loop {
            let rest = &self.text[self.p..];
            let plain = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            let plain = plain.ok_or(Declined)?;
            out.extend_from_slice(&rest[..plain]);
            self.p += plain + 1;
            match rest[plain] {
                b'"' => return Ok(()),
                b'\\' => {
                    let escaped = match self.next()? {
                        byte @ (b'"' | b'\\' | b'/') => byte as char,
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'f' => '\x0C',
                        b'b' => '\x08',
                        b'u' => self.escaped()?,
                        _ => return Err(Declined),
                    };
                    out.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(Declined),
            }
        }
    }

    /// The character of `\uXXXX`, or of two of these that are a pair.
    fn escaped(&mut self) -> Answer<char> {
        let first = self.hex4()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).ok_or(Declined);
        }
        self.expect(b"\\u")?;
        let second = self.hex4()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(Declined);
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or(Declined)
    }

    fn hex4(&mut self) -> Answer<u32> {
        let digits = self.text.get(self.p..self.p + 4).ok_or(Declined)?;
        self.p += 4;
        digits.iter().try_fold(0, |found, &byte| {
            (byte as char).to_digit(16).map(|digit| found * 16 + digit).ok_or(Declined)
        })
    }

    /// Write a number whose first byte has been read: an int where it has neither point nor exponent.
    fn number(&mut self, out: &mut Vec<u8>) -> Answer<u8> {
        let start = self.p - 1;
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        while self.text.get(self.p).is_some_and(is_part) {
            self.p += 1;
        }
        let text = &self.text[start..self.p];
        if !is_json_number(text) {
            return Err(Declined);
        }
        if text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return push_double(out, text);
        }
        Ok(push_whole(out, read_int(text)?))
    }

    /// Write the value of an object with one key that begins with `$`, in place of the object.
    fn wrapper(&mut self, out: &mut Vec<u8>, start: usize) -> Answer<u8> {
        out.truncate(start);
        let name = self.plain()?;
        if self.next_word()? != b':' {
            return Err(Declined);
        }
        let first = self.next_word()?;
        let kind = match (name, first) {
            (b"$date", b'{') => {
                if self.next_word()? != b'"' || self.plain()? != b"$numberLong" {
                    return Err(Declined);
                }
                if self.next_word()? != b':' || self.next_word()? != b'"' {
                    return Err(Declined);
                }
                out.extend_from_slice(&read_int(self.plain()?)?.to_le_bytes());
                if self.next_word()? != b'}' {
                    return Err(Declined);
                }
                DATE
            }
            (_, b'"') => {
                let text = self.plain()?;
                push_wrapped(out, name, text)?
            }
            _ => return Err(Declined),
        };
        if self.next_word()? != b'}' {
            return Err(Declined);
        }
        Ok(kind)
    }

    /// The content of a string without escapes, behind its first quote.
    fn plain(&mut self) -> Answer<&'a [u8]> {
        let rest = &self.text[self.p..];
        let end = memchr::memchr2(b'"', b'\\', rest).ok_or(Declined)?;
        if rest[end] != b'"' {
            return Err(Declined);
        }
        self.p += end + 1;
        Ok(&rest[..end])
    }
}

/// Whether a text is a number as JSON has it: no leading zeros, digits around the point.
fn is_json_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            _ => exponent,
        };
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// An int64 in its one usual form; minus zero has none.
fn read_int(text: &[u8]) -> Answer<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_usual = matches!(digits, [b'1'..=b'9', ..]) || text == b"0";
    if !is_usual || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Declined);
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Declined)
}

fn push_double(out: &mut Vec<u8>, text: &[u8]) -> Answer<u8> {
    let value: f64 = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(Declined)?;
    if !value.is_finite() {
        return Err(Declined);
    }
    out.extend_from_slice(&value.to_le_bytes());
    Ok(DOUBLE)
}

/// Write what a wrapper says; its type byte.
fn push_wrapped(out: &mut Vec<u8>, name: &[u8], text: &[u8]) -> Answer<u8> {
    match name {
        b"$oid" if text.len() == 24 => {
            let id: [u8; 12] = read_hex(text).ok_or(Declined)?;
            out.extend_from_slice(&id);
            Ok(OBJECT_ID)
        }
        b"$date" => {
            let (micros, fraction) = parse_moment(text).ok_or(Declined)?;
            if fraction.len() > 3 || text.last() != Some(&b'Z') {
                return Err(Declined);
            }
            out.extend_from_slice(&(micros / 1000 + MS_TO_2000).to_le_bytes());
            Ok(DATE)
        }
        b"$numberInt" => {
            let value = i32::try_from(read_int(text)?).map_err(|_| Declined)?;
            out.extend_from_slice(&value.to_le_bytes());
            Ok(INT32)
        }
        b"$numberLong" => {
            out.extend_from_slice(&read_int(text)?.to_le_bytes());
            Ok(INT64)
        }
        b"$numberDouble" if is_json_number(text) => push_double(out, text),
        b"$numberDecimal" => {
            push_decimal(out, text)?;
            Ok(DECIMAL)
        }
        _ => Err(Declined),
    }
}

/// Write a Decimal128 of up to 15 digits on each side of the point.
fn push_decimal(out: &mut Vec<u8>, text: &[u8]) -> Answer<()> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let sign = u64::from(digits.len() < text.len()) << 63;
    let mut parts = digits.split(|&byte| byte == b'.');
    let (whole, fraction) = (parts.next().ok_or(Declined)?, parts.next());
    let has_digits = |part: &[u8]| {
        (1..=15).contains(&part.len()) && part.iter().all(u8::is_ascii_digit)
    };
    if parts.next().is_some() || !has_digits(whole) || !fraction.is_none_or(has_digits) {
        return Err(Declined);
    }
    let fraction = fraction.unwrap_or(b"");
    let coefficient = whole
        .iter()
        .chain(fraction)
        .fold(0u128, |found, byte| found * 10 + u128::from(byte - b'0'));
    let exponent = DECIMAL_BIAS - fraction.len() as u64;
    let high = sign | exponent << 49 | (coefficient >> 64) as u64;
    out.extend_from_slice(&(coefficient as u64).to_le_bytes());
    out.extend_from_slice(&high.to_le_bytes());
    Ok(())
}
