//! Rows into documents: what the strict builder gives, in the order of the source, or a decline.

use std::collections::HashMap;

use crate::bson::*;
use crate::codec::Held;
use crate::plan::{Column, Level, What};
use crate::read_json::{
    begin, finish, parse, push_field, push_value, unescape, Hint, Json, Left,
};
use crate::shred::{Shredder, LARGEST};

pub type Row<'a> = Vec<Option<&'a [u8]>>;

/// The row of a document, and for each table its child rows by the ordinals of their parent.
pub struct Stored<'a> {
    pub row: Row<'a>,
    pub children: Vec<HashMap<Vec<u8>, Vec<Row<'a>>>>,
}

/// For each document by its key what `Stored` has as children.
type Children<'a> = HashMap<&'a [u8], Vec<HashMap<Vec<u8>, Vec<Row<'a>>>>>;

type Fields<'j> = [(String, Json<'j>)];

/// Assembles the documents of one collection.
pub struct Assembler {
    plan: Shredder,
    names: Vec<Vec<String>>,
}

/// One level of one row.
struct Place<'a, 'j> {
    number: usize,
    row: &'a Row<'a>,
    extra: &'j Fields<'j>,
    ordinals: &'a [u8],
    is_there: bool,
}

struct Build<'a> {
    of: &'a Assembler,
    stored: &'a Stored<'a>,
    used: usize,
    follows: &'a mut Follows,
}

/// For each level the key that came last behind each of its keys.
type Follows = Vec<Vec<usize>>;

fn find<'j>(extra: &'j Fields<'j>, name: &str) -> Option<&'j Json<'j>> {
    extra.iter().find(|(found, _)| found == name).map(|(_, json)| json)
}

impl Assembler {
    /// Compile what shreds a collection; None where some documents go without a note.
    pub fn new(plan: Shredder) -> Option<Assembler> {
        if plan.levels.iter().any(|level| level.is_silent) {
            return None;
        }
        let mut names = Vec::new();
        for level in &plan.levels {
            let mut of_level = Vec::new();
            for key in &level.keys {
                match parse(&key.name) {
                    Ok(Json::Text(name)) => of_level.push(name),
                    _ => return None,
                }
            }
            names.push(of_level);
        }
        Some(Assembler { plan, names })
    }

    /// Write the document of a row and its child rows; its fields in the order of a source.
    pub fn assemble(&self, source: &[u8], stored: &Stored, out: &mut Vec<u8>) -> Answer<()> {
        self.assemble_next(source, stored, &mut self.start_follows(), out)
    }

    fn start_follows(&self) -> Follows {
        self.plan.levels.iter().map(|level| vec![0; level.keys.len() + 1]).collect()
    }

    fn assemble_next(
        &self,
        source: &[u8],
        stored: &Stored,
        follows: &mut Follows,
        out: &mut Vec<u8>,
    ) -> Answer<()> {
        if source.len() > LARGEST {
            return Err(Declined);
        }
        let mut build = Build { of: self, stored, used: 0, follows };
        let extra = read_extra(&stored.row)?;
        let place = Place {
            number: self.plan.tables[0].root,
            row: &stored.row,
            extra: &extra,
            ordinals: &[],
            is_there: true,
        };
        let start = begin(out);
        build.level(&place, Some(Hint { raw: source, p: 0 }), out, 0)?;
        finish(out, start);
        let groups: usize = stored.children.iter().map(HashMap::len).sum();
        if groups != build.used {
            return Err(Declined);
        }
        Ok(())
    }

    /// The keys of documents that have one, as fields, and how many they are.
    pub fn find_keys<'d>(&self, documents: impl Iterator<Item = (u64, &'d [u8])>) -> (Vec<u8>, usize) {
        let (mut keys, mut count) = (Vec::new(), 0);
        for (offset, raw) in documents {
            let start = keys.len();
            match self.plan.key(offset, raw, &mut keys) {
                Ok(()) => count += 1,
                Err(Declined) => keys.truncate(start),
            }
        }
        (keys, count)
    }

    /// The documents whose rows were read, one behind the other, and where each ends; one that is
    /// declined ends where it begins. Rows are what `record_send` gives.
    ///
    /// Declined as a whole where a child row has the key of no document whose row is there.
    pub fn assemble_all<'d>(
        &self,
        documents: impl Iterator<Item = (u64, &'d [u8])>,
        rows: &[&[u8]],
        child_rows: &[Vec<&[u8]>],
    ) -> Answer<(Vec<u8>, Vec<u32>)> {
        let (mut row, mut keys) = (Vec::new(), Vec::with_capacity(rows.len()));
        for record in rows {
            read_record(record, &mut row)?;
            keys.push(row.get(self.plan.key_position).copied().flatten().ok_or(Declined)?);
        }
        let mut rows: Vec<Option<&[u8]>> = rows.iter().copied().map(Some).collect();
        let mut children = self.group_children(child_rows)?;
        let mut none = vec![HashMap::new(); self.plan.tables.len()];
        let mut follows = self.start_follows();
        let (mut found, mut following) = (HashMap::new(), 0);
        let (mut out, mut ends, mut key) = (Vec::new(), Vec::new(), Vec::new());
        for (offset, raw) in documents {
            let start = out.len();
            key.clear();
            if self.plan.key(offset, raw, &mut key).is_ok() {
                let key = &key[4..];
                // Rows mostly come in the order of the documents.
                if keys.get(following) != Some(&key) {
                    if found.is_empty() {
                        found.extend(keys.iter().enumerate().map(|(at, &key)| (key, at)));
                    }
                    following = found.get(key).copied().unwrap_or(rows.len());
                }
                if let Some(record) = rows.get_mut(following).and_then(Option::take) {
                    following += 1;
                    read_record(record, &mut row)?;
                    let own = children.remove(key);
                    let has_children = own.is_some();
                    let children = own.unwrap_or_else(|| std::mem::take(&mut none));
                    let stored = Stored { row: std::mem::take(&mut row), children };
                    if self.assemble_next(raw, &stored, &mut follows, &mut out).is_err() {
                        out.truncate(start);
                    }
                    row = stored.row;
                    if !has_children {
                        none = stored.children;
                    }
                }
            }
            ends.push(u32::try_from(out.len()).map_err(|_| Declined)?);
        }
        if children.is_empty() { Ok((out, ends)) } else { Err(Declined) }
    }

    /// Child rows by the keys of their documents.
    fn group_children<'a>(&self, child_rows: &[Vec<&'a [u8]>]) -> Answer<Children<'a>> {
        let mut found = Children::new();
        for (table, records) in child_rows.iter().enumerate() {
            for record in records {
                let mut row = Vec::new();
                read_record(record, &mut row)?;
                let key = row.first().copied().flatten().ok_or(Declined)?;
                let parents = row.get(1..self.plan.tables[table].key_width - 1).ok_or(Declined)?;
                let ordinals: Vec<u8> = parents.iter().flatten().copied().flatten().copied().collect();
                let of_document = found
                    .entry(key)
                    .or_insert_with(|| vec![HashMap::new(); self.plan.tables.len()]);
                of_document[table].entry(ordinals).or_default().push(row);
            }
        }
        Ok(found)
    }
}

/// Read the cells of a row as `record_send` gives it: their count, of each its type and its field.
fn read_record<'a>(record: &'a [u8], row: &mut Row<'a>) -> Answer<()> {
    row.clear();
    let mut p = 4;
    for _ in 0..i32::from_be_bytes(bytes_at(record, 0)?) {
        let size = i32::from_be_bytes(bytes_at(record, p + 4)?);
        p += 8;
        let cell = match usize::try_from(size) {
            Ok(size) => Some(record.get(p..p + size).ok_or(Declined)?),
            Err(_) => None,
        };
        p += cell.map_or(0, <[u8]>::len);
        row.push(cell);
    }
    Ok(())
}

/// The fields of the `_extra` of a row, which is its last cell.
fn read_extra<'a>(row: &Row<'a>) -> Answer<Vec<(String, Json<'a>)>> {
    let Some(Some(cell)) = row.last() else { return Ok(Vec::new()) };
    match parse(cell.get(1..).ok_or(Declined)?)? {
        Json::Object(fields) if !fields.is_empty() => Ok(fields),
        _ => Err(Declined),
    }
}

impl<'a> Build<'a> {
    fn cell(&self, place: &Place<'a, '_>, column: &Column) -> Answer<Option<&'a [u8]>> {
        place.row.get(column.position).copied().ok_or(Declined)
    }

    /// Whether something says that a level is there, but for what goes without a note.
    fn is_set(&self, place: &Place<'a, '_>) -> Answer<bool> {
        let level = &self.of.plan.levels[place.number];
        if place.extra.iter().any(|(name, _)| name != "$missing") {
            return Ok(true);
        }
        let width = self.of.plan.tables[level.table].key_width;
        let has_cell = level
            .indexes
            .iter()
            .any(|index| matches!(place.row.get(index + width), Some(Some(_))));
        let has_rows = level
            .children
            .iter()
            .any(|&child| self.stored.children[child].contains_key(place.ordinals));
        Ok(has_cell || has_rows)
    }

    /// Write the elements of a level; whether there was one.
    fn level(
        &mut self,
        place: &Place<'a, '_>,
        hint: Option<Hint>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Answer<bool> {
        if depth > LEVELS {
            return Err(Declined);
        }
        let of = self.of;
        let level = &of.plan.levels[place.number];
        let begun = out.len();
        let fills = place.is_there || self.is_set(place)?;
        let missing = read_missing(place.extra)?;
        let gone = std::cell::Cell::new(0);
        let mut done = vec![false; level.keys.len()];
        let is_noted = |name: &str| {
            let key = unescape(name).map(str::as_bytes);
            name != "$missing" && !key.is_ok_and(|key| level.by_key.contains_key(key))
        };
        let noted = place.extra.iter().filter(|(name, _)| is_noted(name));
        let mut noted = Left::new(noted.collect());
        let mut before = 0;
        for (_, key, p) in hint.map(Hint::elements).unwrap_or_default() {
            let inner = hint.map(|hint| Hint { raw: hint.raw, p });
            let mut at = Some(self.follows[place.number][before]);
            if at.and_then(|at| level.keys.get(at)).map(|found| found.key.as_slice()) != Some(key) {
                at = level.by_key.get(key).copied();
            }
            if let Some(at) = at {
                self.follows[place.number][before] = at;
                before = at + 1;
                if !std::mem::replace(&mut done[at], true) {
                    self.key(place, at, inner, fills, (&missing, &gone), out, depth)?;
                }
            } else if let Some((name, json)) = noted.take(key) {
                push_field(out, name, json, inner)?;
            }
        }
        for at in (0..level.keys.len()).filter(|&at| !done[at]) {
            self.key(place, at, None, fills, (&missing, &gone), out, depth)?;
        }
        for (name, json) in noted.rest() {
            push_field(out, name, json, None)?;
        }
        if gone.get() != missing.len() || !is_ordered(level, &of.names[place.number], &missing) {
            return Err(Declined);
        }
        Ok(out.len() > begun)
    }

    /// Write the element of a key, if there is one.
    #[allow(clippy::too_many_arguments)]
    fn key(
        &mut self,
        place: &Place<'a, '_>,
        at: usize,
        hint: Option<Hint>,
        fills: bool,
        (missing, gone): (&[&str], &std::cell::Cell<usize>),
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Answer<()> {
        let of = self.of;
        let key = &of.plan.levels[place.number].keys[at];
        let name = &of.names[place.number][at];
        let kind_at = out.len();
        out.push(0);
        out.extend_from_slice(&key.key);
        out.push(0);
        let note = find(place.extra, name);
        if key.is_null_told && matches!(note, Some(Json::Null)) {
            return Err(Declined);
        }
        let found = match &key.what {
            What::Column(column) => self.column(place, column, note, hint, out)?,
            What::Null => match note {
                Some(json) => Some(push_value(out, json, hint)?),
                None => None,
            },
            What::Level(inner) => self.inner(place, *inner, note, hint, out, depth)?,
            What::Child(child) => self.child(place, *child, note, hint, out, depth)?,
        };
        if let Some(kind) = found {
            out[kind_at] = kind;
            return Ok(());
        }
        let is_gone = missing.contains(&name.as_str());
        match key.absent.as_str() {
            _ if is_gone => gone.set(gone.get() + 1),
            "null" if fills => {
                out[kind_at] = NULL;
                return Ok(());
            }
            "[]" if fills => {
                out[kind_at] = ARRAY;
                out.extend_from_slice(&[5, 0, 0, 0, 0]);
                return Ok(());
            }
            _ => {}
        }
        out.truncate(kind_at);
        Ok(())
    }

    /// Write the value of a cell, or the note beside it where that is what a load wrote.
    fn column(
        &self,
        place: &Place<'a, '_>,
        column: &Column,
        note: Option<&Json>,
        hint: Option<Hint>,
        out: &mut Vec<u8>,
    ) -> Answer<Option<u8>> {
        let cell = self.cell(place, column)?;
        let Some(json) = note else {
            let Some(cell) = cell else { return Ok(None) };
            let Some(codec) = &column.codec else {
                let json = parse(cell.get(1..).ok_or(Declined)?)?;
                return match push_value(out, &json, hint)? {
                    NULL => Err(Declined),
                    kind => Ok(Some(kind)),
                };
            };
            return codec.give(cell, out).map(Some);
        };
        let start = out.len();
        let kind = push_value(out, json, hint)?;
        if column.is_key {
            return Err(Declined);
        }
        let mut again = Vec::new();
        let held = match &column.codec {
            Some(codec) if column.takes(kind) => {
                codec.hold(kind, out, start, out.len() + 1, &mut again)?.0
            }
            None if kind != NULL => return Err(Declined),
            _ => Held::Unfit,
        };
        let is_same = match held {
            Held::Home => false,
            Held::Read => cell == again.get(4..),
            Held::Unfit => cell.is_none(),
        };
        if is_same {
            Ok(Some(kind))
        } else {
            Err(Declined)
        }
    }

    /// Write the document of a level below, if something says that it is there.
    fn inner(
        &mut self,
        place: &Place<'a, '_>,
        number: usize,
        note: Option<&Json>,
        hint: Option<Hint>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Answer<Option<u8>> {
        let (extra, is_there): (&Fields, bool) = match note {
            Some(Json::Object(fields)) => {
                if fields.iter().any(|(name, _)| name != "$missing" && unescape(name).is_err()) {
                    return Err(Declined);
                }
                (fields, true)
            }
            Some(json) => {
                let inner = Place { number, extra: &[], ..*place };
                if self.is_set(&inner)? {
                    return Err(Declined);
                }
                return push_value(out, json, hint).map(Some);
            }
            None => (&[], false),
        };
        let inner = Place { number, extra, is_there, ..*place };
        // A note `{}` says only what nothing else says.
        if is_there && extra.is_empty() && self.is_set(&inner)? {
            return Err(Declined);
        }
        let start = begin(out);
        let has_fields = self.level(&inner, hint, out, depth + 1)?;
        finish(out, start);
        Ok((has_fields || is_there).then_some(DOCUMENT))
    }

    /// Write the array of a child table, if it has rows or a note.
    fn child(
        &mut self,
        place: &Place<'a, '_>,
        child: usize,
        note: Option<&Json>,
        hint: Option<Hint>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Answer<Option<u8>> {
        let stored = self.stored;
        let Some(rows) = stored.children[child].get(place.ordinals) else {
            return match note {
                Some(json) => push_value(out, json, hint).map(Some),
                None => Ok(None),
            };
        };
        if note.is_some() || rows.is_empty() {
            return Err(Declined);
        }
        self.used += 1;
        let hints = hint.map(Hint::elements).unwrap_or_default();
        let start = begin(out);
        let mut buffer = itoa::Buffer::new();
        for (i, row) in rows.iter().enumerate() {
            let kind_at = out.len();
            out.push(0);
            out.extend_from_slice(buffer.format(i).as_bytes());
            out.push(0);
            let inner = hint.zip(hints.get(i)).map(|(hint, &(_, _, p))| Hint { raw: hint.raw, p });
            let kind = self.element(place, child, i as i32, row, inner, out, depth)?;
            out[kind_at] = kind;
        }
        finish(out, start);
        Ok(Some(ARRAY))
    }

    #[allow(clippy::too_many_arguments)]
    fn element(
        &mut self,
        place: &Place<'a, '_>,
        child: usize,
        position: i32,
        row: &'a Row<'a>,
        hint: Option<Hint>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Answer<u8> {
        let width = self.of.plan.tables[child].key_width;
        let ordinal = row.get(width - 1).copied().flatten();
        if ordinal != Some(&position.to_be_bytes()[..]) {
            return Err(Declined);
        }
        let extra = read_extra(row)?;
        if let Some(column) = &self.of.plan.elements[child] {
            if !extra.is_empty() {
                return Err(Declined);
            }
            return match (row.get(column.position).copied().flatten(), &column.codec) {
                (None, _) => Ok(NULL),
                (Some(cell), Some(codec)) => codec.give(cell, out),
                _ => Err(Declined),
            };
        }
        let mut ordinals = place.ordinals.to_vec();
        ordinals.extend_from_slice(&position.to_be_bytes());
        // Child rows are found by the ordinals that they were given with, which live as long.
        let stored = self.stored;
        let found = stored.children.iter().find_map(|of_table| {
            of_table.get_key_value(ordinals.as_slice()).map(|(key, _)| key.as_slice())
        });
        let inner = Place {
            number: self.of.plan.tables[child].root,
            row,
            extra: &extra,
            ordinals: found.unwrap_or(NOWHERE),
            is_there: true,
        };
        let start = begin(out);
        self.level(&inner, hint, out, depth + 1)?;
        finish(out, start);
        Ok(DOCUMENT)
    }
}

/// Ordinals that no row has.
const NOWHERE: &[u8] = b"nowhere";

fn read_missing<'j>(extra: &'j Fields<'j>) -> Answer<Vec<&'j str>> {
    match find(extra, "$missing") {
        None => Ok(Vec::new()),
        Some(Json::Array(items)) if !items.is_empty() => items
            .iter()
            .map(|item| match item {
                Json::Text(name) => Ok(name.as_str()),
                _ => Err(Declined),
            })
            .collect(),
        Some(_) => Err(Declined),
    }
}

/// Whether what is missing is named in the order of the level.
fn is_ordered(level: &Level, names: &[String], missing: &[&str]) -> bool {
    let mut at = level.absent.iter().map(|&at| names[at].as_str());
    missing.iter().all(|name| at.any(|found| found == *name))
}
