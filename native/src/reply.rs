//! What a MongoDB server replies to `find`: the id of its cursor, and the first documents.

use std::ops::Range;

use crate::bson::*;

const OBJECT_ID_FIRST: &[u8] = b"\x07_id\0";
const ID_SIZE: usize = 12;

/// A reply, cut into its documents.
pub struct Reply {
    pub cursor: i64,
    pub documents: Vec<Range<usize>>,
    /// Whether each document begins with an ObjectId as `_id`, and no two have the same.
    pub is_distinct: bool,
}

/// Cut the bytes of the field `cursor` of a reply.
pub fn cut(cursor: &[u8]) -> Answer<Reply> {
    let last = open(cursor, 0, cursor.len())?;
    let (mut id, mut batch) = (None, None);
    let mut p = 4;
    while p < last {
        let kind = cursor[p];
        let end = key_end(cursor, p, last)?;
        let value = end + 1;
        match (kind, &cursor[p + 1..end]) {
            (INT64, b"id") => id = Some(int64_at(cursor, value)?),
            (ARRAY, b"firstBatch") => batch = Some(value),
            _ => {}
        }
        p = skip(kind, cursor, value, last)?;
    }
    let (Some(id), Some(batch)) = (id, batch) else {
        return Err(Declined);
    };
    let documents = cut_batch(cursor, batch, last)?;
    let is_distinct = is_distinct(cursor, &documents);
    Ok(Reply { cursor: id, documents, is_distinct })
}

fn cut_batch(raw: &[u8], p: usize, limit: usize) -> Answer<Vec<Range<usize>>> {
    let last = open(raw, p, limit)?;
    let mut found = Vec::new();
    let mut p = p + 4;
    while p < last {
        let start = key_end(raw, p, last)? + 1;
        if raw[p] != DOCUMENT {
            return Err(Declined);
        }
        p = open(raw, start, last)? + 1;
        found.push(start..p);
    }
    Ok(found)
}

fn is_distinct(raw: &[u8], documents: &[Range<usize>]) -> bool {
    let find_id = |each: &Range<usize>| {
        raw[each.clone()][4..].strip_prefix(OBJECT_ID_FIRST)?.get(..ID_SIZE)
    };
    let Some(mut ids) = documents.iter().map(find_id).collect::<Option<Vec<_>>>() else {
        return false;
    };
    ids.sort_unstable();
    ids.windows(2).all(|pair| pair[0] != pair[1])
}
