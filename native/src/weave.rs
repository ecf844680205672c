//! What children copy of their parents' rows: `rows/weave.py` is the definition.

const NULL_FIELD: [u8; 4] = [0xFF; 4];

/// How the rows of a child table get fields of their parents' rows.
#[cfg_attr(feature = "module", derive(pyo3::FromPyObject))]
pub struct Weave {
    pub key_width: usize,
    pub sources: Vec<usize>,
    pub width: u16,
}

/// The rows of a table: joined, and as numbers of 32 bits their ends and their documents.
pub struct Packed<'a> {
    pub data: &'a [u8],
    pub ends: &'a [u8],
    pub owners: &'a [u8],
}

fn numbers(packed: &[u8]) -> impl Iterator<Item = u32> + '_ {
    packed.chunks_exact(4).map(|bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

impl<'a> Packed<'a> {
    /// Each row behind its count of columns, with the number of its document.
    fn rows(self) -> impl Iterator<Item = Option<(u32, &'a [u8])>> {
        let mut start = 0;
        numbers(self.ends).zip(numbers(self.owners)).map(move |(end, owner)| {
            let row = self.data.get(start..end as usize)?.get(2..)?;
            start = end as usize;
            Some((owner, row))
        })
    }
}

/// Put the fields that children copy into `fields`; gives the key of the row.
fn cut<'a>(plan: &Weave, row: &'a [u8], longest: usize, fields: &mut Vec<u8>) -> Option<&'a [u8]> {
    let last = plan.sources.iter().copied().max().unwrap_or(0).max(plan.key_width);
    let mut borders = vec![0];
    let mut p = 0;
    for _ in 0..=last {
        let size = i32::from_be_bytes(row.get(p..p + 4)?.try_into().ok()?);
        p += 4 + size.max(0) as usize;
        borders.push(p);
    }
    fields.clear();
    for &source in &plan.sources {
        let field = row.get(borders[source]..borders[source + 1])?;
        fields.extend_from_slice(if field.len() <= 4 + longest { field } else { &NULL_FIELD });
    }
    row.get(..borders[plan.key_width])
}

/// Weave the rows of a child table; gives them joined, and their ends. None for the exact way.
pub fn weave(
    plan: &Weave,
    parents: Packed,
    children: Packed,
    longest: usize,
) -> Option<(Vec<u8>, Vec<u32>)> {
    let mut data = Vec::with_capacity(children.data.len());
    let mut ends = Vec::with_capacity(children.ends.len() / 4);
    let mut above = parents.rows();
    let (mut at, mut key, mut fields) = (None, &[][..], Vec::new());
    for child in children.rows() {
        let (owner, row) = child?;
        while at != Some(owner) || !row.starts_with(key) {
            let (found, parent) = above.next()??;
            at = Some(found);
            key = cut(plan, parent, longest, &mut fields)?;
        }
        data.extend_from_slice(&plan.width.to_be_bytes());
        data.extend_from_slice(row);
        data.extend_from_slice(&fields);
        ends.push(u32::try_from(data.len()).ok()?);
    }
    Some((data, ends))
}
