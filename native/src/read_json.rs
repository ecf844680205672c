//! Cells of jsonb as a load writes them, back into BSON. Anything else is declined.

use std::collections::HashMap;

use crate::bson::*;
use crate::calendar::{parse_moment, MS_TO_2000};
use crate::codec::{is_object_id_text, read_hex};
use crate::json::{is_reserved, Leaves};

/// A JSON value; objects keep the order of the cell.
#[derive(Debug)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    Array(Vec<Json<'a>>),
    Object(Vec<(String, Json<'a>)>),
}

struct Reader<'a> {
    text: &'a str,
    p: usize,
}

/// Read the JSON text of a cell.
pub fn parse(cell: &[u8]) -> Answer<Json<'_>> {
    let text = std::str::from_utf8(cell).map_err(|_| Declined)?;
    let mut reader = Reader { text, p: 0 };
    let found = reader.value(0)?;
    reader.blank();
    if reader.p != text.len() {
        return Err(Declined);
    }
    Ok(found)
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Answer<u8> {
        self.text.as_bytes().get(self.p).copied().ok_or(Declined)
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Ok(b' ' | b'\t' | b'\n' | b'\r')) {
            self.p += 1;
        }
    }

    fn expect(&mut self, word: &str) -> Answer<()> {
        if !self.text[self.p..].starts_with(word) {
            return Err(Declined);
        }
        self.p += word.len();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Answer<Json<'a>> {
        if depth > 2 * LEVELS {
            return Err(Declined);
        }
        self.blank();
        match self.peek()? {
            b'n' => self.expect("null").map(|()| Json::Null),
            b't' => self.expect("true").map(|()| Json::Bool(true)),
            b'f' => self.expect("false").map(|()| Json::Bool(false)),
            b'"' => Ok(Json::Text(self.string()?)),
            b'[' => self.array(depth),
            b'{' => self.object(depth),
            _ => {
                let start = self.p;
                while matches!(self.peek(), Ok(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
                    self.p += 1;
                }
                if start == self.p {
                    return Err(Declined);
                }
                Ok(Json::Number(&self.text[start..self.p]))
            }
        }
    }

    /// Whether another member follows, behind a comma.
    fn goes_on(&mut self, end: u8) -> Answer<bool> {
        self.blank();
        let found = self.peek()?;
        self.p += 1;
        match found {
            b',' => Ok(true),
            _ if found == end => Ok(false),
            _ => Err(Declined),
        }
    }

    fn array(&mut self, depth: usize) -> Answer<Json<'a>> {
        self.p += 1;
        let mut items = Vec::new();
        self.blank();
        if self.peek()? == b']' {
            self.p += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.goes_on(b']')? {
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Answer<Json<'a>> {
        self.p += 1;
        let mut fields = Vec::new();
        self.blank();
        if self.peek()? == b'}' {
            self.p += 1;
            return Ok(Json::Object(fields));
        }
        loop {
            self.blank();
            if self.peek()? != b'"' {
                return Err(Declined);
            }
            let key = self.string()?;
            self.blank();
            self.expect(":")?;
            fields.push((key, self.value(depth + 1)?));
            if !self.goes_on(b'}')? {
                return Ok(Json::Object(fields));
            }
        }
    }

    fn string(&mut self) -> Answer<String> {
        self.p += 1;
        let mut found = String::new();
        let mut done = self.p;
        loop {
            let byte = self.peek()?;
            match byte {
                b'"' => {
                    found.push_str(&self.text[done..self.p]);
                    self.p += 1;
                    return Ok(found);
                }
                b'\\' => {
                    found.push_str(&self.text[done..self.p]);
                    self.p += 1;
                    let escaped = self.peek()?;
                    self.p += 1;
                    found.push(match escaped {
                        b'"' | b'\\' | b'/' => escaped as char,
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        b'f' => '\x0C',
                        b'b' => '\x08',
                        b'u' => {
                            let digits = self.text.get(self.p..self.p + 4).ok_or(Declined)?;
                            self.p += 4;
                            let code = u32::from_str_radix(digits, 16).map_err(|_| Declined)?;
                            char::from_u32(code).ok_or(Declined)?
                        }
                        _ => return Err(Declined),
                    });
                    done = self.p;
                }
                _ => self.p += 1,
            }
        }
    }
}

/// The documents and arrays of the source, which say in which order fields are written.
#[derive(Clone, Copy)]
pub struct Hint<'a> {
    pub raw: &'a [u8],
    pub p: usize,
}

impl<'a> Hint<'a> {
    /// The elements of the container at the hint: kind, key and where the value is.
    pub fn elements(self) -> Vec<(u8, &'a [u8], usize)> {
        let mut found = Vec::with_capacity(16);
        let Ok(last) = open(self.raw, self.p, self.raw.len()) else {
            return found;
        };
        let mut q = self.p + 4;
        while q < last {
            let Ok(end) = key_end(self.raw, q, last) else { break };
            found.push((self.raw[q], &self.raw[q + 1..end], end + 1));
            match skip(self.raw[q], self.raw, end + 1, last) {
                Ok(after) => q = after,
                Err(Declined) => break,
            }
        }
        found
    }
}

/// Begin a document or an array; `finish` closes it.
pub fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len() - 4
}

pub fn finish(out: &mut Vec<u8>, start: usize) {
    out.push(0);
    let size = (out.len() - start) as i32;
    out[start..start + 4].copy_from_slice(&size.to_le_bytes());
}

pub fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as i32 + 1).to_le_bytes());
    out.extend_from_slice(text);
    out.push(0);
}

/// Write an integer in as many bytes as it needs; its type byte.
pub fn push_whole(out: &mut Vec<u8>, value: i64) -> u8 {
    match i32::try_from(value) {
        Ok(small) => {
            out.extend_from_slice(&small.to_le_bytes());
            INT32
        }
        Err(_) => {
            out.extend_from_slice(&value.to_le_bytes());
            INT64
        }
    }
}

/// The key of a document for a name in jsonb.
pub fn unescape(name: &str) -> Answer<&str> {
    if name.contains('\0') || (is_reserved(name) && !name.starts_with("$$")) {
        return Err(Declined);
    }
    Ok(if is_reserved(name) { &name[1..] } else { name })
}

/// Write an element: its type, its key, and the value that a JSON value stands for.
///
/// What the jsonb form would write otherwise is declined.
pub fn push_element(
    out: &mut Vec<u8>,
    key: &[u8],
    json: &Json,
    hint: Option<Hint>,
) -> Answer<()> {
    let kind_at = out.len();
    out.push(0);
    out.extend_from_slice(key);
    out.push(0);
    let kind = push_value(out, json, hint)?;
    out[kind_at] = kind;
    Ok(())
}

/// Write a value; its type byte.
pub fn push_value(out: &mut Vec<u8>, json: &Json, hint: Option<Hint>) -> Answer<u8> {
    match json {
        Json::Null => Ok(NULL),
        Json::Bool(value) => {
            out.push(u8::from(*value));
            Ok(BOOL)
        }
        Json::Number(text) => push_number(out, text),
        Json::Text(text) => {
            if text.contains('\0') {
                return Err(Declined);
            }
            push_string(out, text.as_bytes());
            Ok(STRING)
        }
        Json::Array(items) => {
            let hints = hint.map(Hint::elements).unwrap_or_default();
            let start = begin(out);
            let mut buffer = itoa::Buffer::new();
            for (i, item) in items.iter().enumerate() {
                let inner = hints.get(i).map(|&(_, _, p)| p);
                let inner = hint.and_then(|hint| inner.map(|p| Hint { raw: hint.raw, p }));
                push_element(out, buffer.format(i).as_bytes(), item, inner)?;
            }
            finish(out, start);
            Ok(ARRAY)
        }
        Json::Object(fields) => {
            if let Some(kind) = push_wrapper(out, fields)? {
                return Ok(kind);
            }
            push_document(out, fields, hint)?;
            Ok(DOCUMENT)
        }
    }
}

fn push_document(
    out: &mut Vec<u8>,
    fields: &[(String, Json)],
    hint: Option<Hint>,
) -> Answer<()> {
    let start = begin(out);
    let mut left = Left::new(fields.iter().collect());
    for (_, key, p) in hint.map(Hint::elements).unwrap_or_default() {
        if let Some((name, value)) = left.take(key) {
            let inner = hint.map(|hint| Hint { raw: hint.raw, p });
            push_field(out, name, value, inner)?;
        }
    }
    for (name, value) in left.rest() {
        push_field(out, name, value, None)?;
    }
    finish(out, start);
    Ok(())
}

pub fn push_field(
    out: &mut Vec<u8>,
    name: &str,
    value: &Json,
    hint: Option<Hint>,
) -> Answer<()> {
    push_element(out, unescape(name)?.as_bytes(), value, hint)
}

/// Fields that are taken by the keys of a source; a level may have a hundred thousand.
pub struct Left<'j, 'a> {
    fields: Vec<Option<&'j (String, Json<'a>)>>,
    by_key: HashMap<&'j [u8], usize>,
}

impl<'j, 'a> Left<'j, 'a> {
    /// So many are looked through one by one.
    const FEW: usize = 16;

    pub fn new(fields: Vec<&'j (String, Json<'a>)>) -> Self {
        let mut by_key = HashMap::new();
        if fields.len() > Self::FEW {
            let keys = fields.iter().enumerate();
            by_key.extend(keys.filter_map(|(i, (name, _))| Some((unescape(name).ok()?.as_bytes(), i))));
        }
        Left { fields: fields.into_iter().map(Some).collect(), by_key }
    }

    /// The field whose name in jsonb stands for a key, once.
    pub fn take(&mut self, key: &[u8]) -> Option<&'j (String, Json<'a>)> {
        let is_named = |name: &str| unescape(name).is_ok_and(|found| found.as_bytes() == key);
        let at = if self.fields.len() > Self::FEW {
            self.by_key.get(key).copied()
        } else {
            self.fields.iter().position(|field| field.is_some_and(|(name, _)| is_named(name)))
        };
        self.fields[at?].take()
    }

    /// Those that were not taken.
    pub fn rest(self) -> impl Iterator<Item = &'j (String, Json<'a>)> {
        self.fields.into_iter().flatten()
    }
}

fn push_number(out: &mut Vec<u8>, text: &str) -> Answer<u8> {
    let start = out.len();
    if let Ok(value) = text.parse::<i64>() {
        let kind = push_whole(out, value);
        return is_spelled(out, start, kind, text);
    }
    let value: f64 = text.parse().map_err(|_| Declined)?;
    out.extend_from_slice(&value.to_le_bytes());
    is_spelled(out, start, DOUBLE, text)
}

/// Decline a value that the jsonb form spells otherwise.
fn is_spelled(out: &[u8], start: usize, kind: u8, text: &str) -> Answer<u8> {
    let mut again = Vec::with_capacity(32);
    Leaves::default().push(&mut again, kind, out, start, out.len() + 1, 0)?;
    if again != text.as_bytes() {
        return Err(Declined);
    }
    Ok(kind)
}

/// Write the value of a wrapper; None where the object is a document.
fn push_wrapper(out: &mut Vec<u8>, fields: &[(String, Json)]) -> Answer<Option<u8>> {
    let is_word = |name: &str| name.starts_with('$') && !name.starts_with("$$") && is_reserved(name);
    if !fields.iter().any(|(name, _)| is_word(name)) {
        return Ok(None);
    }
    let [(name, value)] = fields else {
        return Err(Declined);
    };
    match (name.as_str(), value) {
        ("$oid", Json::Text(digits)) => {
            if !is_object_id_text(digits.as_bytes()) {
                return Err(Declined);
            }
            out.extend_from_slice(&read_hex::<12>(digits.as_bytes()).ok_or(Declined)?);
            Ok(Some(OBJECT_ID))
        }
        ("$date", Json::Text(text)) => {
            let (micros, _) = parse_moment(text.as_bytes()).ok_or(Declined)?;
            let start = out.len();
            let ms = micros.div_euclid(1000) + MS_TO_2000;
            out.extend_from_slice(&ms.to_le_bytes());
            is_spelled(out, start, DATE, &format!("{{\"$date\":\"{text}\"}}"))?;
            Ok(Some(DATE))
        }
        _ => Err(Declined),
    }
}
