//! Values in the jsonb form (docs/decisions/0005-jsonb-form.md). What needs `$bson` is declined.

use crate::bson::*;
use crate::calendar::push_moment;
use crate::number::Shortest;

const LAST_DATE_MS: i64 = 253_402_300_799_999;

/// Words of Extended JSON and of ours: a key of `$`s and a word gets one more `$`.
const WORDS: [&str; 25] = [
    "oid", "symbol", "numberInt", "numberLong", "numberDouble", "numberDecimal", "binary", "type",
    "code", "scope", "timestamp", "regularExpression", "regex", "options", "dbPointer", "date",
    "minKey", "maxKey", "undefined", "uuid", "bson", "element", "missing", "one", "nulled",
];

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789abcdef";

pub fn push_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub fn push_hex(out: &mut Vec<u8>, content: &[u8]) {
    for byte in content {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

fn push_base64(out: &mut Vec<u8>, content: &[u8]) {
    for chunk in content.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |found, &byte| found << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(BASE64[(bits >> (18 - 6 * i) & 63) as usize]);
            } else {
                out.push(b'=');
            }
        }
    }
}

/// Write a text in quotes.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[done..i]);
        done = i + 1;
        out.push(b'\\');
        match byte {
            b'"' | b'\\' => out.push(byte),
            b'\n' => out.push(b'n'),
            b'\r' => out.push(b'r'),
            b'\t' => out.push(b't'),
            0x0C => out.push(b'f'),
            0x08 => out.push(b'b'),
            _ => {
                out.extend_from_slice(b"u00");
                push_hex(out, &[byte]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Whether a key is `$`s and a word of Extended JSON or of ours.
pub fn is_reserved(key: &str) -> bool {
    let word = key.trim_start_matches('$');
    word.len() < key.len() && WORDS.contains(&word)
}

/// Write a key, escaped and in quotes.
pub fn push_key(out: &mut Vec<u8>, key: &[u8]) -> Answer<()> {
    let text = std::str::from_utf8(key).map_err(|_| Declined)?;
    if is_reserved(text) {
        let mut escaped = String::with_capacity(text.len() + 1);
        escaped.push('$');
        escaped.push_str(text);
        push_text(out, &escaped);
    } else {
        push_text(out, text);
    }
    Ok(())
}

fn push_wrapped(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"{\"$numberDouble\":\"");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Write a double with a point and without an exponent; in a wrapper what is longer than 25 bytes.
fn push_double(out: &mut Vec<u8>, value: f64) -> Answer<()> {
    if value.is_nan() && value.to_bits() != 0x7FF8_0000_0000_0000 {
        return Err(Declined);
    }
    if !value.is_finite() {
        let text = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        push_wrapped(out, text);
        return Ok(());
    }
    if value == 0.0 && value.is_sign_negative() {
        push_wrapped(out, "-0.0");
        return Ok(());
    }
    let (mut whole, mut fraction) = (Vec::new(), Vec::new());
    let shortest = Shortest::new(value);
    shortest.write(&mut whole, &mut fraction);
    if usize::from(shortest.is_negative) + whole.len() + 1 + fraction.len() > 25 {
        push_wrapped(out, &shortest.with_exponent());
        return Ok(());
    }
    if shortest.is_negative {
        out.push(b'-');
    }
    out.extend_from_slice(&whole);
    out.push(b'.');
    out.extend_from_slice(&fraction);
    Ok(())
}

fn push_date(out: &mut Vec<u8>, ms: i64) {
    if (0..=LAST_DATE_MS).contains(&ms) {
        out.extend_from_slice(b"{\"$date\":\"");
        push_moment(out, ms * 1000, if ms % 1000 == 0 { 0 } else { 3 });
        out.extend_from_slice(b"\"}");
    } else {
        out.extend_from_slice(b"{\"$date\":{\"$numberLong\":\"");
        push_int(out, ms);
        out.extend_from_slice(b"\"}}");
    }
}

fn push_regex(out: &mut Vec<u8>, raw: &[u8], p: usize, last: usize) -> Answer<usize> {
    let middle = skip_cstring(raw, p, last)?;
    let end = skip_cstring(raw, middle, last)?;
    let pattern = std::str::from_utf8(&raw[p..middle - 1]).map_err(|_| Declined)?;
    let options = std::str::from_utf8(&raw[middle..end - 1]).map_err(|_| Declined)?;
    out.extend_from_slice(b"{\"$regularExpression\":{\"pattern\":");
    push_text(out, pattern);
    out.extend_from_slice(b",\"options\":");
    push_text(out, options);
    out.extend_from_slice(b"}}");
    Ok(end)
}

/// Writes values, and counts their leaves: scalars and empty containers.
#[derive(Default, Clone, Copy)]
pub struct Leaves(pub u64);

impl Leaves {
    /// Write the value of a kind at `p`; the position behind it.
    pub fn push(
        &mut self,
        out: &mut Vec<u8>,
        kind: u8,
        raw: &[u8],
        p: usize,
        last: usize,
        depth: usize,
    ) -> Answer<usize> {
        if depth > LEVELS {
            return Err(Declined);
        }
        let end = match kind {
            DOCUMENT => return self.push_document(out, raw, p, last, depth),
            ARRAY => return self.push_array(out, raw, p, last, depth),
            DOUBLE => {
                push_double(out, double_at(raw, p)?)?;
                p + 8
            }
            STRING => {
                let (text, end) = text_at(raw, p, last)?;
                push_text(out, text);
                end
            }
            CODE | SYMBOL => {
                let (text, end) = text_at(raw, p, last)?;
                let word: &[u8] = if kind == CODE { b"{\"$code\":" } else { b"{\"$symbol\":" };
                out.extend_from_slice(word);
                push_text(out, text);
                out.push(b'}');
                end
            }
            BINARY => {
                let (subtype, content, end) = binary_at(raw, p, last)?;
                out.extend_from_slice(b"{\"$binary\":{\"base64\":\"");
                push_base64(out, content);
                out.extend_from_slice(b"\",\"subType\":\"");
                push_hex(out, &[subtype]);
                out.extend_from_slice(b"\"}}");
                end
            }
            UNDEFINED => {
                out.extend_from_slice(b"{\"$undefined\":true}");
                p
            }
            OBJECT_ID => {
                out.extend_from_slice(b"{\"$oid\":\"");
                push_hex(out, &bytes_at::<12>(raw, p)?);
                out.extend_from_slice(b"\"}");
                p + 12
            }
            BOOL => {
                let text: &[u8] = if bool_at(raw, p)? { b"true" } else { b"false" };
                out.extend_from_slice(text);
                p + 1
            }
            DATE => {
                push_date(out, int64_at(raw, p)?);
                p + 8
            }
            NULL => {
                out.extend_from_slice(b"null");
                p
            }
            REGEX => push_regex(out, raw, p, last)?,
            INT32 => {
                push_int(out, i64::from(int32_at(raw, p)?));
                p + 4
            }
            INT64 => {
                push_int(out, int64_at(raw, p)?);
                p + 8
            }
            TIMESTAMP => {
                let value = int64_at(raw, p)? as u64;
                out.extend_from_slice(b"{\"$timestamp\":{\"t\":");
                push_int(out, (value >> 32) as i64);
                out.extend_from_slice(b",\"i\":");
                push_int(out, (value & 0xFFFF_FFFF) as i64);
                out.extend_from_slice(b"}}");
                p + 8
            }
            MIN_KEY => {
                out.extend_from_slice(b"{\"$minKey\":1}");
                p
            }
            MAX_KEY => {
                out.extend_from_slice(b"{\"$maxKey\":1}");
                p
            }
            _ => return Err(Declined),
        };
        self.0 += 1;
        if end > last {
            return Err(Declined);
        }
        Ok(end)
    }

    fn push_document(
        &mut self,
        out: &mut Vec<u8>,
        raw: &[u8],
        p: usize,
        limit: usize,
        depth: usize,
    ) -> Answer<usize> {
        let last = open(raw, p, limit)?;
        let mut keys: Vec<&[u8]> = Vec::new();
        let mut q = p + 4;
        out.push(b'{');
        while q != last {
            let end = key_end(raw, q, last)?;
            if !keys.is_empty() {
                out.push(b',');
            }
            keys.push(&raw[q + 1..end]);
            push_key(out, &raw[q + 1..end])?;
            out.push(b':');
            q = self.push(out, raw[q], raw, end + 1, last, depth + 1)?;
        }
        out.push(b'}');
        self.0 += u64::from(keys.is_empty());
        if has_repeated(&mut keys, |key| key) {
            return Err(Declined);
        }
        Ok(last + 1)
    }

    fn push_array(
        &mut self,
        out: &mut Vec<u8>,
        raw: &[u8],
        p: usize,
        limit: usize,
        depth: usize,
    ) -> Answer<usize> {
        let last = open(raw, p, limit)?;
        let mut q = p + 4;
        out.push(b'[');
        while q != last {
            let end = key_end(raw, q, last)?;
            if q != p + 4 {
                out.push(b',');
            }
            q = self.push(out, raw[q], raw, end + 1, last, depth + 1)?;
        }
        out.push(b']');
        self.0 += u64::from(last == p + 4);
        Ok(last + 1)
    }
}
