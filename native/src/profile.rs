//! Profiles: for each path of a collection's documents the number of values of each kind.
//!
//! `infer/walk.py` is the definition. As there, a document that looks as earlier ones do is walked
//! once; at anything new the walk is given up, and a second one learns its fields.

use std::collections::{BTreeMap, HashMap};

use crate::bson::*;
use crate::calendar::{parse_day, parse_moment};
use crate::codec::{read_hex, read_uuid, AFTER_LAST_MS, FIRST_MS};

const NODE_BITS: u32 = 10;
const SUBTYPES: u64 = 256;
const UUID: u64 = 512;
const OTHER: u64 = 513;
const UNFIT: u64 = 514;
const EMPTY: u64 = 515;
const FRACTION: u64 = 516;
const WIDE: u64 = 517;
const VAST: u64 = 518;
const WORDS: u64 = 519;
const ISO: u64 = 520;
const ISO_MS: u64 = 521;
const OTHER_ISO: u64 = 522;
const DAY: u64 = 523;
const HEX: u64 = 524;
const OTHER_HEX: u64 = 525;
const UUID_TEXT: u64 = 526;
const OTHER_UUID: u64 = 527;
const NO_TEXT: u64 = 528;

const FLATTENED_LEVELS: usize = 3;
const NESTED_TABLES: usize = 20;
const MAP_KEYS: usize = 100;
const KEY_BYTES: usize = 1_000;
const LEGACY_UUID: u8 = 3;
const LONGEST_LOOK: usize = 36;
const ID_NODE: usize = 1;
const NAN: u64 = 0x7FF8_0000_0000_0000;

/// The walk of an earlier document does not fit: a new field, or a key that occurs twice.
struct Unusual;

#[derive(Clone, Copy)]
enum Act {
    Pass,
    Text,
    Double,
    Binary,
    Date,
    Decimal,
    Walk(usize),
}

/// A field of a level: its type byte and key, its node, its count, and the field behind it.
struct Field {
    tag: Box<[u8]>,
    node: usize,
    slot: u32,
    act: Act,
    is_rest: bool,
    next: usize,
}

/// The fields of the documents at one path, or the elements of the arrays at `array`.
struct Level {
    node: usize,
    depth: usize,
    tables: usize,
    array: Option<usize>,
    fields: Vec<Field>,
    by_tag: HashMap<Box<[u8]>, usize>,
    rest: HashMap<u8, usize>,
    first: usize,
}

impl Level {
    fn new(node: usize, depth: usize, tables: usize, array: Option<usize>) -> Level {
        Level {
            node,
            depth,
            tables,
            array,
            fields: Vec::new(),
            by_tag: HashMap::new(),
            rest: HashMap::new(),
            first: 0,
        }
    }
}

/// A path: its parent, its key (None for the elements of an array), and what lies below it.
#[derive(Default)]
struct Node {
    parent: usize,
    key: Option<Box<str>>,
    children: HashMap<Box<[u8]>, usize>,
    element: Option<usize>,
    /// The level in which its key was seen last.
    seen: u64,
}

pub struct Profile {
    paths: usize,
    nodes: Vec<Node>,
    levels: Vec<Level>,
    cells: Vec<u64>,
    counts: Vec<u64>,
    slots: HashMap<u64, u32>,
    hits: Vec<u32>,
    visits: u64,
    is_learning: bool,
    samples: BTreeMap<usize, Vec<u8>>,
    decimal: Option<[u8; 16]>,
    pub hex_ids: usize,
    /// Decimals as `_id`, of which the definition says whether they fit.
    pub decimals: Vec<[u8; 16]>,
}

impl Profile {
    pub fn new(paths: usize) -> Profile {
        let mut root = Node::default();
        root.children.insert(Box::from(&b"_id"[..]), ID_NODE);
        Profile {
            paths,
            nodes: vec![root, Node { key: Some("_id".into()), ..Node::default() }],
            levels: vec![Level::new(0, 0, 0, None)],
            cells: Vec::new(),
            counts: Vec::new(),
            slots: HashMap::new(),
            hits: Vec::new(),
            visits: 0,
            is_learning: false,
            samples: BTreeMap::new(),
            decimal: None,
            hex_ids: 0,
            decimals: Vec::new(),
        }
    }

    /// Count a document; false, and nothing counts, where it is not BSON.
    ///
    /// After a panic nothing of it counts, and its paths are those that Python finds in it again.
    pub fn add(&mut self, raw: &[u8]) -> bool {
        if !is_whole(raw) {
            return false;
        }
        self.hits.clear();
        if self.walk(0, raw, 0).is_err() {
            self.hits.clear();
            self.is_learning = true;
            // Keys that occur twice are known now, and fields are made: nothing is unusual.
            let _ = self.walk(0, raw, 0);
            self.is_learning = false;
        }
        for &slot in &self.hits {
            self.counts[slot as usize] += 1;
        }
        self.decimals.extend(self.decimal.take());
        let has_text_id = raw[4..].starts_with(b"\x02_id\0\x19\0\0\0");
        self.hex_ids += usize::from(has_text_id && read_hex::<12>(&raw[13..37]).is_some());
        true
    }

    /// Parent and key of each path but the first two: the document and its `_id`.
    pub fn paths(&self) -> Vec<(usize, Option<&str>)> {
        self.nodes[2..].iter().map(|node| (node.parent, node.key.as_deref())).collect()
    }

    /// What was counted, and how often.
    pub fn counts(&self) -> Vec<(u64, u64)> {
        let both = self.cells.iter().copied().zip(self.counts.iter().copied());
        both.filter(|&(_, count)| count > 0).collect()
    }

    /// The first binary of subtype 3 of each path that has some; empty where one has not 16 bytes.
    pub fn samples(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.samples.iter().map(|(&node, sample)| (node, &sample[..]))
    }

    fn walk(&mut self, at: usize, raw: &[u8], p: usize) -> Result<usize, Unusual> {
        let last = p + length_at(raw, p) - 1;
        let (array, first) = (self.levels[at].array, self.levels[at].first);
        if let Some(array) = array {
            if last == p + 4 {
                self.hit(array, EMPTY);
            }
        }
        let is_keyed = array.is_none();
        let is_checked = self.is_learning && is_keyed;
        let repeated = if is_checked { repeated_keys(raw, p + 4, last) } else { Vec::new() };
        self.visits += 1;
        let visit = self.visits;
        let (mut expected, mut before, mut q) = (first, None::<usize>, p + 4);
        while q != last {
            let (found, value) = self.find(at, raw, q, last, expected, &repeated)?;
            let field = &self.levels[at].fields[found];
            let (node, slot, act, is_rest) = (field.node, field.slot, field.act, field.is_rest);
            expected = field.next;
            if is_keyed && !is_rest {
                if self.nodes[node].seen == visit {
                    return Err(Unusual);
                }
                self.nodes[node].seen = visit;
            }
            match before {
                None => self.levels[at].first = found,
                Some(before) => self.levels[at].fields[before].next = found,
            }
            before = Some(found);
            self.hits.push(slot);
            q = match act {
                Act::Walk(inner) => self.walk(inner, raw, value)?,
                _ => self.look(act, node, raw, raw[q], value),
            };
        }
        Ok(last + 1)
    }

    /// The number of the field at `p`, and the position of its value.
    fn find(
        &mut self,
        at: usize,
        raw: &[u8],
        p: usize,
        last: usize,
        expected: usize,
        repeated: &[&[u8]],
    ) -> Result<(usize, usize), Unusual> {
        let level = &self.levels[at];
        let node = level.node;
        if level.array.is_some() {
            let end = key_end(raw, p, last).unwrap_or(last);
            let found = match level.by_tag.get(&raw[p..p + 1]) {
                Some(&found) => found,
                None => self.make_field(at, node, &raw[p..p + 1]),
            };
            return Ok((found, end + 1));
        }
        if let (Some(field), true) = (level.fields.get(expected), repeated.is_empty()) {
            let end = p + field.tag.len();
            if !field.is_rest && raw[p..].starts_with(&field.tag) && raw[end] == 0 {
                return Ok((expected, end + 1));
            }
        }
        let end = key_end(raw, p, last).unwrap_or(last);
        if repeated.is_empty() {
            if let Some(&found) = level.by_tag.get(&raw[p..end]) {
                return Ok((found, end + 1));
            }
        }
        Ok((self.learn(at, &raw[p..end], repeated)?, end + 1))
    }

    /// The field of a key that is not known in its level, or that may be repeated.
    fn learn(&mut self, at: usize, tag: &[u8], repeated: &[&[u8]]) -> Result<usize, Unusual> {
        let (kind, key) = (tag[0], &tag[1..]);
        let node = self.levels[at].node;
        let is_repeated = repeated.binary_search(&key).is_ok();
        let Some(name) = name_of(key).filter(|_| !is_repeated) else {
            return Ok(self.rest(at, kind));
        };
        if !self.nodes[node].children.contains_key(key) && self.is_full(node) {
            return Ok(self.rest(at, kind));
        }
        if let Some(&found) = self.levels[at].by_tag.get(tag) {
            return Ok(found);
        }
        if !self.is_learning {
            return Err(Unusual);
        }
        let child = match self.nodes[node].children.get(key) {
            Some(&child) => child,
            None => {
                let child = self.add_node(node, Some(name.into()));
                self.nodes[node].children.insert(key.into(), child);
                child
            }
        };
        Ok(self.make_field(at, child, tag))
    }

    /// The field of keys without a path: repeated, without a name, or beyond the most that are kept.
    fn rest(&mut self, at: usize, kind: u8) -> usize {
        if let Some(&found) = self.levels[at].rest.get(&kind) {
            return found;
        }
        let node = self.levels[at].node;
        let slot = self.slot(node, OTHER);
        let level = &mut self.levels[at];
        let found = level.fields.len();
        level.rest.insert(kind, found);
        let tag = Box::from([kind]);
        level.fields.push(Field { tag, node, slot, act: Act::Pass, is_rest: true, next: found });
        found
    }

    fn make_field(&mut self, at: usize, node: usize, tag: &[u8]) -> usize {
        let act = self.choose_act(at, node, tag[0]);
        let slot = self.slot(node, u64::from(tag[0]));
        let level = &mut self.levels[at];
        let found = level.fields.len();
        level.by_tag.insert(tag.into(), found);
        level.fields.push(Field {
            tag: tag.into(),
            node,
            slot,
            act,
            is_rest: false,
            next: found + 1,
        });
        found
    }

    fn choose_act(&mut self, at: usize, node: usize, kind: u8) -> Act {
        match kind {
            BINARY => Act::Binary,
            STRING => Act::Text,
            DOUBLE => Act::Double,
            DATE if node == ID_NODE => Act::Date,
            DECIMAL if node == ID_NODE => Act::Decimal,
            DOCUMENT | ARRAY if node != ID_NODE => self.choose_walk(at, node, kind),
            _ => Act::Pass,
        }
    }

    /// The walk of containers at a node, if anything below it is profiled.
    fn choose_walk(&mut self, at: usize, node: usize, kind: u8) -> Act {
        let Level { depth, tables, array, .. } = self.levels[at];
        let is_keyed = array.is_none();
        let inner = if kind == DOCUMENT {
            let depth = if is_keyed { depth + 1 } else { 0 };
            if depth > FLATTENED_LEVELS {
                return Act::Pass;
            }
            Level::new(node, depth, tables, None)
        } else {
            if !is_keyed || tables >= NESTED_TABLES {
                return Act::Pass;
            }
            let element = match self.nodes[node].element {
                Some(element) => element,
                None if self.is_capped() => return Act::Pass,
                None => self.add_node(node, None),
            };
            self.nodes[node].element = Some(element);
            Level::new(element, 0, tables + 1, Some(node))
        };
        self.levels.push(inner);
        Act::Walk(self.levels.len() - 1)
    }

    fn add_node(&mut self, parent: usize, key: Option<Box<str>>) -> usize {
        self.nodes.push(Node { parent, key, ..Node::default() });
        self.nodes.len() - 1
    }

    fn is_capped(&self) -> bool {
        self.nodes.len() >= self.paths + 2
    }

    /// Whether no more keys are taken below a node: one more than a map needs, and the elements of
    /// arrays at the same path.
    fn is_full(&self, node: usize) -> bool {
        let found = &self.nodes[node];
        let below = found.children.len() + usize::from(found.element.is_some());
        self.is_capped() || (node != 0 && below > MAP_KEYS + 1)
    }

    fn slot(&mut self, node: usize, code: u64) -> u32 {
        let cell = (node as u64) << NODE_BITS | code;
        let next = self.cells.len() as u32;
        let found = *self.slots.entry(cell).or_insert(next);
        if found == next {
            self.cells.push(cell);
            self.counts.push(0);
        }
        found
    }

    fn hit(&mut self, node: usize, code: u64) {
        let slot = self.slot(node, code);
        self.hits.push(slot);
    }

    /// Look at a value, and pass over it.
    fn look(&mut self, act: Act, node: usize, raw: &[u8], kind: u8, p: usize) -> usize {
        match act {
            Act::Text => {
                let end = p + 4 + length_at(raw, p);
                let text = &raw[p + 4..end - 1];
                if let Some(form) = find_form(text) {
                    self.hit(node, form);
                }
                if node == ID_NODE && !is_fit_text(text) {
                    self.hit(node, UNFIT);
                }
                end
            }
            Act::Double => {
                let value = double_at(raw, p).unwrap_or(0.0);
                if let Some(form) = find_double(value) {
                    self.hit(node, form);
                }
                let is_odd_nan = value.is_nan() && value.to_bits() != NAN;
                if node == ID_NODE && (is_odd_nan || value.to_bits() == 1 << 63) {
                    self.hit(node, UNFIT);
                }
                p + 8
            }
            Act::Binary => self.look_at_binary(node, raw, p),
            Act::Date => {
                let ms = int64_at(raw, p).unwrap_or(0);
                if !(FIRST_MS..AFTER_LAST_MS).contains(&ms) {
                    self.hit(node, UNFIT);
                }
                p + 8
            }
            Act::Decimal => {
                self.decimal = bytes_at(raw, p).ok();
                p + 16
            }
            _ => skip_whole(kind, raw, p, raw.len()).unwrap_or(raw.len()),
        }
    }

    fn look_at_binary(&mut self, node: usize, raw: &[u8], p: usize) -> usize {
        let Ok((subtype, content, end)) = binary_at(raw, p, raw.len()) else {
            return raw.len();
        };
        let is_uuid = subtype == 4 && content.len() == 16;
        self.hit(node, if is_uuid { UUID } else { SUBTYPES + u64::from(subtype) });
        if subtype == LEGACY_UUID {
            let sample = self.samples.entry(node).or_insert_with(|| content.to_vec());
            if content.len() != 16 {
                sample.clear();
            }
        }
        end
    }
}

/// A length in a document that is whole.
fn length_at(raw: &[u8], p: usize) -> usize {
    int32_at(raw, p).unwrap_or(0) as usize
}

/// Keys that occur more than once in a level that is whole, sorted.
///
/// A level may have eight million: 8 bytes are held of each, and a repeated one once.
fn repeated_keys(raw: &[u8], start: usize, last: usize) -> Vec<&[u8]> {
    let (mut places, mut p) = (Vec::<(u32, u32)>::new(), start);
    while p != last {
        let end = key_end(raw, p, last).unwrap_or(last);
        places.push((p as u32 + 1, end as u32));
        p = skip_whole(raw[p], raw, end + 1, last).unwrap_or(last);
    }
    let key = |&(start, end): &(u32, u32)| &raw[start as usize..end as usize];
    places.sort_unstable_by(|one, other| key(one).cmp(key(other)));
    let mut found = Vec::new();
    for pair in places.windows(2) {
        let one = key(&pair[0]);
        if one == key(&pair[1]) && found.last() != Some(&one) {
            found.push(one);
        }
    }
    found
}

/// The text of a key that a column can read.
fn name_of(key: &[u8]) -> Option<&str> {
    if key.len() > KEY_BYTES || key.ends_with(b"\\") {
        return None;
    }
    std::str::from_utf8(key).ok()
}

/// What a text looks like.
fn find_form(text: &[u8]) -> Option<u64> {
    let is_lower = || !text.iter().any(u8::is_ascii_uppercase);
    match text.len() {
        0 => return Some(NO_TEXT),
        10 => return parse_day(text).map(|_| DAY),
        24 if read_hex::<12>(text).is_some() => {
            return Some(if is_lower() { HEX } else { OTHER_HEX });
        }
        36 if read_uuid(text).is_some() => {
            return Some(if is_lower() { UUID_TEXT } else { OTHER_UUID });
        }
        29 | 30 if is_in_words(text) => return Some(WORDS),
        size if size > LONGEST_LOOK => return None,
        _ => {}
    }
    let (_, fraction) = parse_moment(text)?;
    Some(match fraction.len() {
        0 if text.ends_with(b"Z") => ISO,
        3 if text.ends_with(b"Z") => ISO_MS,
        _ => OTHER_ISO,
    })
}

/// Whether a text is a moment in words, as Twitter or RFC 9110 writes it, by its outline.
fn is_in_words(text: &[u8]) -> bool {
    const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    let (comma, first, second) = if text.len() == 29 { (b',', 19, 22) } else { (b' ', 13, 16) };
    DAYS.contains(&&text[..3]) && text[3] == comma && text[first] == b':' && text[second] == b':'
}

/// What a double is, unless it is an integer of 32 bits.
fn find_double(value: f64) -> Option<u64> {
    const INT4: f64 = 2_147_483_648.0;
    const EXACT: f64 = 9_007_199_254_740_992.0;
    const INT8: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() != 0.0 || !(-INT8..INT8).contains(&value) || value.to_bits() == 1 << 63 {
        return Some(FRACTION);
    }
    if (-INT4..INT4).contains(&value) {
        return None;
    }
    Some(if value.abs() < EXACT { WIDE } else { VAST })
}

/// Whether a text `_id` is a key of type text.
fn is_fit_text(text: &[u8]) -> bool {
    text.len() <= KEY_BYTES
        && memchr::memchr(0, text).is_none()
        && std::str::from_utf8(text).is_ok()
}
