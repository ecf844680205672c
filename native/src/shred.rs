//! Documents into rows: what `assise.rows.document.visit` gives, byte for byte, or a decline.

use crate::bson::*;
use crate::codec::{Codec, Held};
use crate::json::{push_key, Leaves};
use crate::plan::{Column, Key, Level, Plan, TablePlan, What};

/// The code of a value that its column reads, beside those of kinds (assise.rows.columns).
pub const READ: u32 = 512;

const SUBTYPES: u32 = 256;
/// A larger document is left to the exact way, which needs less memory for it.
pub const LARGEST: usize = 1 << 20;

const NULL_FIELD: [u8; 4] = [0xFF; 4];

/// The rows of one table; beside each its end in `data`, and the number of its document.
#[derive(Default)]
pub struct Rows {
    pub data: Vec<u8>,
    pub ends: Vec<u32>,
    pub owners: Vec<u32>,
}

/// Where the leaves of documents stand.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    pub typed: u64,
    pub read: u64,
    pub jsonb: u64,
    pub extra: u64,
}

/// What a column got: values in its cells, and codes of those beside them.
#[derive(Default, Clone)]
pub struct ColumnCount {
    pub held: u64,
    pub codes: Vec<(u32, u64)>,
}

/// A row in the making: fields in the order of the document, and where each column's is.
#[derive(Default)]
struct Draft {
    fields: Vec<u8>,
    slots: Vec<(u32, u32)>,
    extra: Vec<u8>,
}

#[derive(Default)]
pub struct Batch {
    pub left_out: Vec<usize>,
    pub offsets: Vec<u64>,
    pub keys: Rows,
    pub rows: Vec<Rows>,
    pub values: Values,
    pub columns: Vec<Vec<ColumnCount>>,
}

pub struct Shredder {
    pub tables: Vec<TablePlan>,
    pub elements: Vec<Option<Column>>,
    pub levels: Vec<Level>,
    pub key_position: usize,
    offset_bytes: usize,
}

/// What one call works with.
struct Work<'a> {
    plan: &'a Shredder,
    batch: Batch,
    drafts: Vec<Draft>,
    follows: Vec<Vec<usize>>,
    key: Vec<u8>,
    held: Vec<(u32, u32)>,
    noted: Vec<(u32, u32, u32)>,
    number: u32,
}

/// A level of a document: its keys that came, and where its part of `_extra` begins.
struct Frame {
    seen: [u64; 8],
    start: usize,
}

/// Where the original of a value is noted: under the name of its key, or as the element of its row.
#[derive(Clone, Copy)]
enum Beside<'a> {
    Key(&'a Frame, &'a [u8]),
    Element,
}

impl Shredder {
    /// Compile a plan; None for one that is left to the exact way.
    pub fn new(plan: &Plan) -> Option<Shredder> {
        let levels: Option<Vec<Level>> = plan.levels.iter().map(Level::new).collect();
        let levels = levels?;
        if levels.iter().any(|level| level.keys.len() > 512) {
            return None;
        }
        Some(Shredder {
            elements: plan.tables.iter().map(|t| t.element.as_ref().map(Column::new)).collect(),
            tables: plan.tables.clone(),
            levels,
            key_position: plan.key_position,
            offset_bytes: plan.offset_bytes,
        })
    }

    /// Shred documents, each with its offset in the source.
    pub fn shred<'d>(&self, documents: impl Iterator<Item = (u64, &'d [u8])>) -> Batch {
        let mut work = Work {
            plan: self,
            batch: Batch {
                rows: self.tables.iter().map(|_| Rows::default()).collect(),
                columns: self
                    .tables
                    .iter()
                    .map(|table| vec![ColumnCount::default(); table.width])
                    .collect(),
                ..Batch::default()
            },
            drafts: self.tables.iter().map(|_| Draft::default()).collect(),
            follows: self.levels.iter().map(|level| vec![0; level.keys.len() + 1]).collect(),
            key: Vec::new(),
            held: Vec::new(),
            noted: Vec::new(),
            number: 0,
        };
        for (i, (offset, raw)) in documents.enumerate() {
            let marks: Vec<(usize, usize)> =
                work.batch.rows.iter().map(|rows| (rows.data.len(), rows.ends.len())).collect();
            let values = work.batch.values;
            work.held.clear();
            work.noted.clear();
            if work.take(offset, raw).is_ok() && work.fits() {
                work.count();
                work.batch.offsets.push(offset);
                work.number += 1;
                continue;
            }
            work.batch.left_out.push(i);
            work.batch.values = values;
            for (rows, (size, count)) in work.batch.rows.iter_mut().zip(marks) {
                rows.data.truncate(size);
                rows.ends.truncate(count);
                rows.owners.truncate(count);
            }
        }
        work.batch
    }

    /// Write the key of a document as a field.
    pub fn key(&self, offset: u64, raw: &[u8], out: &mut Vec<u8>) -> Answer<()> {
        let last = open(raw, 0, raw.len())?;
        if last + 1 != raw.len() || raw.len() > LARGEST {
            return Err(Declined);
        }
        match self.offset_bytes {
            0 => self.find_key(raw, last, out)?,
            8 => {
                out.extend_from_slice(&8_i32.to_be_bytes());
                out.extend_from_slice(&(offset as i64).to_be_bytes());
            }
            _ if offset >> 31 == 0 => {
                out.extend_from_slice(&4_i32.to_be_bytes());
                out.extend_from_slice(&(offset as i32).to_be_bytes());
            }
            _ => return Err(Declined),
        }
        Ok(())
    }

    fn find_key(&self, raw: &[u8], last: usize, out: &mut Vec<u8>) -> Answer<()> {
        let root = &self.levels[self.tables[0].root];
        let mut p = 4;
        while p != last {
            let end = key_end(raw, p, last)?;
            if &raw[p + 1..end] == b"_id" {
                let Some(What::Column(column)) =
                    root.by_key.get(&b"_id"[..]).map(|&at| &root.keys[at].what)
                else {
                    return Err(Declined);
                };
                let Some(codec) = &column.codec else { return Err(Declined) };
                if !column.is_key || !column.takes(raw[p]) {
                    return Err(Declined);
                }
                return match codec.hold(raw[p], raw, end + 1, last, out)? {
                    (Held::Home, _) => Ok(()),
                    _ => Err(Declined),
                };
            }
            p = skip(raw[p], raw, end + 1, last)?;
        }
        Err(Declined)
    }
}

impl Work<'_> {
    /// Whether positions still fit into 32 bits.
    fn fits(&self) -> bool {
        self.batch.rows.iter().all(|rows| rows.data.len() < u32::MAX as usize)
    }

    fn count(&mut self) {
        for &(table, position) in &self.held {
            self.batch.columns[table as usize][position as usize].held += 1;
        }
        for &(table, position, code) in &self.noted {
            let codes = &mut self.batch.columns[table as usize][position as usize].codes;
            match codes.iter_mut().find(|(found, _)| *found == code) {
                Some((_, count)) => *count += 1,
                None => codes.push((code, 1)),
            }
        }
        self.batch.keys.data.extend_from_slice(&self.key);
        self.batch.keys.ends.push(self.batch.keys.data.len() as u32);
    }

    fn take(&mut self, offset: u64, raw: &[u8]) -> Answer<()> {
        self.key.clear();
        self.plan.key(offset, raw, &mut self.key)?;
        self.begin(0);
        self.walk(self.plan.tables[0].root, raw, 0, raw.len(), &[], 0)?;
        if self.plan.offset_bytes > 0 {
            let key = std::mem::take(&mut self.key);
            let draft = &mut self.drafts[0];
            let start = draft.fields.len();
            draft.fields.extend_from_slice(&key);
            draft.slots[self.plan.key_position] = (start as u32, draft.fields.len() as u32);
            self.key = key;
        }
        self.end(0, &[]);
        Ok(())
    }

    fn begin(&mut self, table: usize) {
        let plan = &self.plan.tables[table];
        let draft = &mut self.drafts[table];
        draft.fields.clear();
        draft.extra.clear();
        draft.slots.clear();
        draft.slots.resize(plan.width - plan.key_width, (0, 0));
    }

    /// Add the row: count of columns, key and ordinals of a child row, fields, `_extra`.
    fn end(&mut self, table: usize, ordinals: &[u8]) {
        let plan = &self.plan.tables[table];
        let draft = &self.drafts[table];
        let rows = &mut self.batch.rows[table];
        let out = &mut rows.data;
        out.extend_from_slice(&(plan.width as u16).to_be_bytes());
        if plan.key_width > 0 {
            out.extend_from_slice(&self.key);
            out.extend_from_slice(ordinals);
        }
        let (_, slots) = draft.slots.split_last().unwrap_or((&(0, 0), &[]));
        for &(start, end) in slots {
            if start == end {
                out.extend_from_slice(&NULL_FIELD);
            } else {
                out.extend_from_slice(&draft.fields[start as usize..end as usize]);
            }
        }
        if draft.extra.is_empty() {
            out.extend_from_slice(&NULL_FIELD);
        } else {
            out.extend_from_slice(&(draft.extra.len() as i32 + 1).to_be_bytes());
            out.push(1);
            out.extend_from_slice(&draft.extra);
        }
        rows.ends.push(rows.data.len() as u32);
        rows.owners.push(self.number);
    }

    /// Visit one level; gives the position behind it, and whether it wrote into `_extra`.
    fn walk(
        &mut self,
        number: usize,
        raw: &[u8],
        p: usize,
        limit: usize,
        ordinals: &[u8],
        depth: usize,
    ) -> Answer<(usize, bool)> {
        if depth > LEVELS {
            return Err(Declined);
        }
        let plan = self.plan;
        let level = &plan.levels[number];
        let table = level.table;
        let last = open(raw, p, limit)?;
        self.drafts[table].extra.push(b'{');
        let mut frame = Frame { seen: [0; 8], start: self.drafts[table].extra.len() };
        let mut others: Vec<&[u8]> = Vec::new();
        let mut before = 0;
        let mut q = p + 4;
        while q != last {
            let kind = raw[q];
            let end = key_end(raw, q, last)?;
            let key = &raw[q + 1..end];
            let mut at = self.follows[number][before];
            if level.keys.get(at).map(|found| found.key.as_slice()) != Some(key) {
                match level.by_key.get(key) {
                    Some(&found) => {
                        self.follows[number][before] = found;
                        at = found;
                    }
                    None => {
                        if number == plan.tables[0].root && key == b"_id" && is_container(kind) {
                            return Err(Declined);
                        }
                        others.push(key);
                        self.part(table, &frame);
                        push_key(&mut self.drafts[table].extra, key)?;
                        q = self.note(table, kind, raw, end + 1, last)?;
                        continue;
                    }
                }
            }
            before = at + 1;
            let bit = 1_u64 << (at % 64);
            if frame.seen[at / 64] & bit != 0 {
                return Err(Declined);
            }
            frame.seen[at / 64] |= bit;
            q = self.visit(number, at, &frame, kind, raw, (end + 1, last), ordinals, depth)?;
        }
        if has_repeated(&mut others, |key| key) {
            return Err(Declined);
        }
        self.tell_missing(level, &frame);
        let extra = &mut self.drafts[table].extra;
        let has_text = extra.len() > frame.start;
        if has_text {
            extra.push(b'}');
        } else {
            extra.truncate(frame.start - 1);
        }
        Ok((last + 1, has_text))
    }

    fn tell_missing(&mut self, level: &Level, frame: &Frame) {
        let mut is_first = true;
        for &at in &level.absent {
            if frame.seen[at / 64] & (1 << (at % 64)) != 0 {
                continue;
            }
            if is_first {
                self.part(level.table, frame);
                self.drafts[level.table].extra.extend_from_slice(b"\"$missing\":[");
            } else {
                self.drafts[level.table].extra.push(b',');
            }
            is_first = false;
            self.drafts[level.table].extra.extend_from_slice(&level.keys[at].name);
        }
        if !is_first {
            self.drafts[level.table].extra.push(b']');
        }
    }

    /// Begin a part of `_extra`.
    #[inline]
    fn part(&mut self, table: usize, frame: &Frame) {
        let extra = &mut self.drafts[table].extra;
        if extra.len() > frame.start {
            extra.push(b',');
        }
    }

    fn part_named(&mut self, table: usize, frame: &Frame, name: &[u8]) {
        self.part(table, frame);
        self.drafts[table].extra.extend_from_slice(name);
    }

    /// Write a value into `_extra`, behind its name.
    fn note(&mut self, table: usize, kind: u8, raw: &[u8], p: usize, last: usize) -> Answer<usize> {
        let extra = &mut self.drafts[table].extra;
        extra.push(b':');
        let mut leaves = Leaves(0);
        let end = leaves.push(extra, kind, raw, p, last, 0)?;
        self.batch.values.extra += leaves.0;
        Ok(end)
    }

    #[allow(clippy::too_many_arguments)]
    fn visit(
        &mut self,
        number: usize,
        at: usize,
        frame: &Frame,
        kind: u8,
        raw: &[u8],
        (p, last): (usize, usize),
        ordinals: &[u8],
        depth: usize,
    ) -> Answer<usize> {
        let plan = self.plan;
        let level = &plan.levels[number];
        let key = &level.keys[at];
        let table = level.table;
        let beside = Beside::Key(frame, &key.name);
        if kind == NULL && key.is_null_told {
            if let What::Column(column) = &key.what {
                self.noted.push((table as u32, column.position as u32, u32::from(NULL)));
            }
            self.batch.values.typed += 1;
            return Ok(p);
        }
        match &key.what {
            What::Column(column) => {
                let is_id = number == plan.tables[0].root && key.key == b"_id";
                if is_id && is_container(kind) {
                    return Err(Declined);
                }
                self.visit_column(column, table, beside, kind, raw, (p, last))
            }
            What::Child(child) => {
                let child = *child;
                if kind == ARRAY {
                    self.visit_array(child, table, frame, key, raw, (p, last), ordinals, depth)
                } else if kind == DOCUMENT && plan.elements[child].is_none() {
                    self.part_named(table, frame, &key.name);
                    self.drafts[table].extra.extend_from_slice(b":{\"$one\":true}");
                    self.visit_element(child, kind, raw, (p, last), ordinals, 0, depth)
                } else {
                    self.note_beside(table, beside, kind, raw, (p, last))
                }
            }
            What::Level(inner) if kind == DOCUMENT => {
                self.visit_inner(*inner, table, frame, &key.name, raw, (p, last), ordinals, depth)
            }
            What::Level(_) | What::Null => self.note_beside(table, beside, kind, raw, (p, last)),
        }
    }

    fn visit_column(
        &mut self,
        column: &Column,
        table: usize,
        beside: Beside,
        kind: u8,
        raw: &[u8],
        (p, last): (usize, usize),
    ) -> Answer<usize> {
        if let Some(codec) = &column.codec {
            return self.hold(column, codec, table, beside, kind, raw, (p, last));
        }
        if kind == NULL {
            return self.note_misfit(column, table, beside, kind, raw, (p, last));
        }
        let draft = &mut self.drafts[table];
        let start = draft.fields.len();
        draft.fields.extend_from_slice(&[0, 0, 0, 0, 1]);
        let mut leaves = Leaves(0);
        let end = leaves.push(&mut draft.fields, kind, raw, p, last, 0)?;
        let size = (draft.fields.len() - start - 4) as i32;
        draft.fields[start..start + 4].copy_from_slice(&size.to_be_bytes());
        draft.slots[column.index] = (start as u32, draft.fields.len() as u32);
        self.batch.values.jsonb += leaves.0;
        self.held.push((table as u32, column.position as u32));
        Ok(end)
    }

    /// Put a value into the cell of its column, and note it beside where that does not say all.
    #[allow(clippy::too_many_arguments)]
    fn hold(
        &mut self,
        column: &Column,
        codec: &Codec,
        table: usize,
        beside: Beside,
        kind: u8,
        raw: &[u8],
        (p, last): (usize, usize),
    ) -> Answer<usize> {
        if !column.takes(kind) {
            return self.note_misfit(column, table, beside, kind, raw, (p, last));
        }
        let place = (table as u32, column.position as u32);
        let draft = &mut self.drafts[table];
        let start = draft.fields.len();
        let (held, end) = codec.hold(kind, raw, p, last, &mut draft.fields)?;
        if held == Held::Unfit {
            draft.fields.truncate(start);
            return self.note_misfit(column, table, beside, kind, raw, (p, last));
        }
        draft.slots[column.index] = (start as u32, draft.fields.len() as u32);
        self.held.push(place);
        if held == Held::Home {
            self.batch.values.typed += count_leaves(kind, raw, p)?;
            return Ok(end);
        }
        if column.is_key {
            return Err(Declined);
        }
        self.noted.push((place.0, place.1, READ));
        let before = self.batch.values.extra;
        let end = self.note_beside(table, beside, kind, raw, (p, last))?;
        self.batch.values.read += self.batch.values.extra - before;
        self.batch.values.extra = before;
        Ok(end)
    }

    /// Note a value that its column does not hold.
    fn note_misfit(
        &mut self,
        column: &Column,
        table: usize,
        beside: Beside,
        kind: u8,
        raw: &[u8],
        (p, last): (usize, usize),
    ) -> Answer<usize> {
        if column.is_key {
            return Err(Declined);
        }
        self.noted.push((table as u32, column.position as u32, code_of(kind, raw, p)?));
        self.note_beside(table, beside, kind, raw, (p, last))
    }

    fn note_beside(
        &mut self,
        table: usize,
        beside: Beside,
        kind: u8,
        raw: &[u8],
        (p, last): (usize, usize),
    ) -> Answer<usize> {
        match beside {
            Beside::Key(frame, name) => {
                self.part_named(table, frame, name);
                self.note(table, kind, raw, p, last)
            }
            Beside::Element => {
                self.drafts[table].extra.extend_from_slice(b"{\"$element\"");
                let end = self.note(table, kind, raw, p, last)?;
                self.drafts[table].extra.push(b'}');
                Ok(end)
            }
        }
    }

    /// Visit a level below; it is noted as `{}` where nothing else would say that it is there.
    #[allow(clippy::too_many_arguments)]
    fn visit_inner(
        &mut self,
        inner: usize,
        table: usize,
        frame: &Frame,
        name: &[u8],
        raw: &[u8],
        (p, last): (usize, usize),
        ordinals: &[u8],
        depth: usize,
    ) -> Answer<usize> {
        let plan = self.plan;
        let level = &plan.levels[inner];
        let mark = self.drafts[table].extra.len();
        let count = |work: &Self| -> usize {
            level.children.iter().map(|&child| work.batch.rows[child].ends.len()).sum()
        };
        let before = if level.is_told { count(self) } else { 0 };
        self.part_named(table, frame, name);
        self.drafts[table].extra.push(b':');
        let (end, has_text) = self.walk(inner, raw, p, last, ordinals, depth + 1)?;
        let mut is_empty = end == p + 5;
        if level.is_silent {
            if has_text {
                self.batch.values.extra += u64::from(is_empty);
            } else {
                self.batch.values.typed += u64::from(is_empty);
                self.drafts[table].extra.truncate(mark);
            }
            return Ok(end);
        }
        self.batch.values.extra += u64::from(is_empty);
        if !has_text && level.is_told && !is_empty {
            let slots = &self.drafts[table].slots;
            is_empty = level.indexes.iter().all(|&index| slots[index].0 == slots[index].1)
                && before == count(self);
        }
        if !has_text {
            if is_empty {
                self.drafts[table].extra.extend_from_slice(b"{}");
            } else {
                self.drafts[table].extra.truncate(mark);
            }
        }
        Ok(end)
    }

    #[allow(clippy::too_many_arguments)]
    fn visit_array(
        &mut self,
        child: usize,
        table: usize,
        frame: &Frame,
        key: &Key,
        raw: &[u8],
        (p, limit): (usize, usize),
        ordinals: &[u8],
        depth: usize,
    ) -> Answer<usize> {
        let last = open(raw, p, limit)?;
        let mut q = p + 4;
        if q == last && key.absent == "[]" {
            self.batch.values.typed += 1;
        } else if q == last {
            self.batch.values.extra += 1;
            self.part_named(table, frame, &key.name);
            self.drafts[table].extra.extend_from_slice(b":[]");
        }
        let mut position = 0;
        while q != last {
            let start = key_end(raw, q, last)? + 1;
            q = self.visit_element(child, raw[q], raw, (start, last), ordinals, position, depth)?;
            position += 1;
        }
        Ok(last + 1)
    }

    /// Visit an element of an array: a row of its child table.
    #[allow(clippy::too_many_arguments)]
    fn visit_element(
        &mut self,
        child: usize,
        kind: u8,
        raw: &[u8],
        (p, last): (usize, usize),
        ordinals: &[u8],
        position: i32,
        depth: usize,
    ) -> Answer<usize> {
        let plan = self.plan;
        let mut inner = Vec::with_capacity(ordinals.len() + 8);
        inner.extend_from_slice(ordinals);
        inner.extend_from_slice(&4_i32.to_be_bytes());
        inner.extend_from_slice(&position.to_be_bytes());
        self.begin(child);
        let end = match &plan.elements[child] {
            Some(column) => self.visit_scalar(column, child, kind, raw, (p, last))?,
            None if kind == DOCUMENT => {
                let (end, _) =
                    self.walk(plan.tables[child].root, raw, p, last, &inner, depth + 1)?;
                self.batch.values.typed += u64::from(end == p + 5);
                end
            }
            None => self.note_beside(child, Beside::Element, kind, raw, (p, last))?,
        };
        self.end(child, &inner);
        Ok(end)
    }

    /// Visit an element of a child table of scalars.
    fn visit_scalar(
        &mut self,
        column: &Column,
        child: usize,
        kind: u8,
        raw: &[u8],
        (p, last): (usize, usize),
    ) -> Answer<usize> {
        if kind == NULL {
            self.noted.push((child as u32, column.position as u32, u32::from(NULL)));
            self.batch.values.typed += 1;
            return Ok(p);
        }
        match &column.codec {
            Some(codec) => {
                self.hold(column, codec, child, Beside::Element, kind, raw, (p, last))
            }
            None => self.note_misfit(column, child, Beside::Element, kind, raw, (p, last)),
        }
    }
}

fn is_container(kind: u8) -> bool {
    matches!(kind, DOCUMENT | ARRAY | CODE_WITH_SCOPE)
}

fn code_of(kind: u8, raw: &[u8], p: usize) -> Answer<u32> {
    match kind {
        BINARY => Ok(SUBTYPES + u32::from(*raw.get(p + 4).ok_or(Declined)?)),
        _ => Ok(u32::from(kind)),
    }
}

/// Leaves of a value in a cell: the elements of an array of scalars, one for an empty one.
fn count_leaves(kind: u8, raw: &[u8], p: usize) -> Answer<u64> {
    if kind != ARRAY {
        return Ok(1);
    }
    let last = open(raw, p, raw.len())?;
    let (mut q, mut count) = (p + 4, 0);
    while q != last {
        q = skip(raw[q], raw, key_end(raw, q, last)? + 1, last)?;
        count += 1;
    }
    Ok(count.max(1))
}
