//! The module `assise_native`: bytes of Python in, bytes of Python out, the GIL released between.

use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};

use crate::bson::check;
use crate::plan::Plan;
use crate::assemble;
use crate::digest;
use crate::extjson;
use crate::frames;
use crate::joins;
use crate::profile;
use crate::reply;
use crate::shred;
use crate::weave;

type Count = (usize, usize, u64, Vec<(u32, u64)>);

/// Rows of one table: joined, and as numbers of 32 bits their ends and their documents.
type Rows<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

type Shredded<'py> = (
    Vec<usize>,
    Bound<'py, PyBytes>,
    Bound<'py, PyList>,
    Vec<Rows<'py>>,
    (u64, u64, u64, u64),
    Vec<Count>,
);

/// Bytes, where in the source they begin, and between which borders documents stand in them.
type Span = (PyBackedBytes, u64, usize, usize);

/// `PackedDocuments` of `assise.mongo.frames`.
#[derive(FromPyObject)]
struct Framed {
    spans: Vec<Span>,
}

/// Documents with their offsets in the source.
#[derive(FromPyObject)]
enum Documents {
    #[pyo3(transparent)]
    Packed(Framed),
    #[pyo3(transparent)]
    Each(Vec<(u64, PyBackedBytes)>),
}

impl Documents {
    fn iter(&self) -> Box<dyn Iterator<Item = (u64, &[u8])> + '_> {
        match self {
            Documents::Packed(Framed { spans }) => {
                Box::new(spans.iter().flat_map(|&(ref data, base, start, stop)| {
                    frames::split(data, start, stop).map(move |(p, raw)| (base + p as u64, raw))
                }))
            }
            Documents::Each(each) => Box::new(each.iter().map(|(at, raw)| (*at, &raw[..]))),
        }
    }
}

/// What work gives; None where it panics, which stderr tells. Python does that work again.
fn guard<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Shreds the documents of one collection.
#[pyclass(frozen)]
struct Shredder {
    inner: shred::Shredder,
}

fn pack<'py>(py: Python<'py>, numbers: &[u32]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, numbers.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<u8>>().as_slice())
}

fn pack_offsets<'py>(py: Python<'py>, offsets: &[u64]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, offsets.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<u8>>().as_slice())
}

#[pymethods]
impl Shredder {
    /// Return None for a plan that is left to the exact way.
    #[staticmethod]
    fn compile(plan: Plan) -> Option<Shredder> {
        Some(Shredder { inner: shred::Shredder::new(&plan)? })
    }

    /// Return the positions of documents that are BSON without a doubt.
    fn find_whole(&self, documents: Vec<PyBackedBytes>) -> Vec<usize> {
        let is_whole = |raw: &[u8]| check(raw, 0, raw.len(), 0) == Ok(raw.len());
        (0..documents.len()).filter(|&i| is_whole(&documents[i])).collect()
    }

    /// Return positions left out, offsets and keys, rows of each table, values, counts of columns.
    fn shred<'py>(
        &self,
        py: Python<'py>,
        documents: Documents,
    ) -> PyResult<Shredded<'py>> {
        let batch = py.detach(|| guard(|| self.inner.shred(documents.iter())));
        let batch = batch.unwrap_or_else(|| shred::Batch {
            left_out: (0..documents.iter().count()).collect(),
            ..shred::Batch::default()
        });
        let mut start = 0;
        let split = batch.keys.ends.iter().map(|&end| {
            let key = PyBytes::new(py, &batch.keys.data[start..end as usize]);
            start = end as usize;
            key
        });
        let keys = PyList::new(py, split.collect::<Vec<_>>())?;
        let rows = batch
            .rows
            .into_iter()
            .map(|rows| {
                (PyBytes::new(py, &rows.data), pack(py, &rows.ends), pack(py, &rows.owners))
            })
            .collect();
        let mut counts = Vec::new();
        for (table, columns) in batch.columns.into_iter().enumerate() {
            for (position, count) in columns.into_iter().enumerate() {
                if count.held > 0 || !count.codes.is_empty() {
                    counts.push((table, position, count.held, count.codes));
                }
            }
        }
        let values = batch.values;
        let values = (values.typed, values.read, values.jsonb, values.extra);
        let offsets = pack_offsets(py, &batch.offsets);
        Ok((batch.left_out, offsets, keys, rows, values, counts))
    }
}

type Cells = Vec<Option<PyBackedBytes>>;
type ChildRows = Vec<HashMap<Vec<u8>, Vec<Cells>>>;

/// Assembles the documents of one collection.
#[pyclass(frozen)]
struct Assembler {
    inner: assemble::Assembler,
}

fn borrow_all(rows: &[PyBackedBytes]) -> Vec<&[u8]> {
    rows.iter().map(|row| &row[..]).collect()
}

fn borrow(cells: &Cells) -> assemble::Row<'_> {
    cells.iter().map(Option::as_deref).collect()
}

#[pymethods]
impl Assembler {
    /// Return None for a plan that is left to the exact way.
    #[staticmethod]
    fn compile(plan: Plan) -> Option<Assembler> {
        let inner = assemble::Assembler::new(shred::Shredder::new(&plan)?)?;
        Some(Assembler { inner })
    }

    /// Return the documents of rows, each in the order of its source; None for one declined.
    fn assemble<'py>(
        &self,
        py: Python<'py>,
        sources: Vec<PyBackedBytes>,
        rows: Vec<Cells>,
        child_rows: Vec<ChildRows>,
    ) -> Vec<Option<Bound<'py, PyBytes>>> {
        let found: Vec<Option<Vec<u8>>> = py.detach(|| {
            let both = rows.iter().zip(&child_rows);
            let assemble = |(source, (row, tables)): (&PyBackedBytes, (&Cells, &ChildRows))| {
                let children = tables
                    .iter()
                    .map(|by_parent| {
                        let parts = by_parent.iter();
                        parts.map(|(at, rows)| (at.clone(), rows.iter().map(borrow).collect())).collect()
                    })
                    .collect();
                let stored = assemble::Stored { row: borrow(row), children };
                let mut out = Vec::with_capacity(source.len() + 16);
                let assemble = || self.inner.assemble(source, &stored, &mut out).ok();
                guard(assemble).flatten().map(|()| out)
            };
            sources.iter().zip(both).map(assemble).collect()
        });
        found.into_iter().map(|raw| raw.map(|raw| PyBytes::new(py, &raw))).collect()
    }

    /// Return the keys of documents that have one, as joined fields, and how many they are.
    fn find_keys<'py>(&self, py: Python<'py>, documents: Documents) -> (Bound<'py, PyBytes>, usize) {
        let found = py.detach(|| guard(|| self.inner.find_keys(documents.iter())));
        let (keys, count) = found.unwrap_or_default();
        (PyBytes::new(py, &keys), count)
    }

    /// Return the documents of rows as `record_send` gives them, joined, and as numbers of 32 bits
    /// where each ends; one declined ends where it begins. None where all are declined.
    fn assemble_all<'py>(
        &self,
        py: Python<'py>,
        documents: Documents,
        rows: Vec<PyBackedBytes>,
        child_rows: Vec<Vec<PyBackedBytes>>,
    ) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let assemble = || {
            let child_rows: Vec<_> = child_rows.iter().map(|rows| borrow_all(rows)).collect();
            self.inner.assemble_all(documents.iter(), &borrow_all(&rows), &child_rows).ok()
        };
        let (joined, ends) = py.detach(|| guard(assemble)).flatten()?;
        Some((PyBytes::new(py, &joined), pack(py, &ends)))
    }
}

type Samples<'py> = Vec<(usize, Bound<'py, PyBytes>)>;

/// Profiles documents of one collection.
#[pyclass]
struct Profiler {
    inner: profile::Profile,
}

#[pymethods]
impl Profiler {
    #[new]
    fn new(paths: usize) -> Profiler {
        Profiler { inner: profile::Profile::new(paths) }
    }

    /// Count documents; return the positions of those that are not BSON, and how many were read.
    ///
    /// Those behind a panic are left to Python.
    fn add(&mut self, py: Python<'_>, documents: Vec<PyBackedBytes>) -> (Vec<usize>, usize) {
        let inner = &mut self.inner;
        let (mut invalid, mut done) = (Vec::new(), 0);
        py.detach(|| {
            guard(|| {
                for raw in &documents {
                    if !inner.add(raw) {
                        invalid.push(done);
                    }
                    done += 1;
                }
            })
        });
        (invalid, done)
    }

    /// Return paths, counts, samples of binaries, texts as `_id` of 24 hex digits, and decimals.
    #[allow(clippy::type_complexity)]
    fn read<'py>(
        &self,
        py: Python<'py>,
    ) -> (Vec<(usize, Option<&str>)>, Vec<(u64, u64)>, Samples<'py>, usize, Vec<Bound<'py, PyBytes>>)
    {
        let inner = &self.inner;
        let samples = inner.samples().map(|(node, sample)| (node, PyBytes::new(py, sample)));
        let decimals = inner.decimals.iter().map(|decimal| PyBytes::new(py, decimal));
        (inner.paths(), inner.counts(), samples.collect(), inner.hex_ids, decimals.collect())
    }
}

/// Return the numbers of the values of a field, as integers of 64 bits; None for the exact way.
#[pyfunction]
fn find_numbers<'py>(
    py: Python<'py>,
    documents: Vec<PyBackedBytes>,
    name: &[u8],
) -> Option<Bound<'py, PyBytes>> {
    let find = || -> Vec<u8> {
        let found = documents.iter().filter_map(|raw| joins::find_number(raw, name));
        found.flat_map(u64::to_ne_bytes).collect()
    };
    py.detach(|| guard(find)).map(|numbers| PyBytes::new(py, &numbers))
}

/// Return the fingerprints of documents, None for one declined; or None for the exact way.
#[pyfunction]
fn fingerprint<'py>(
    py: Python<'py>,
    documents: Vec<PyBackedBytes>,
) -> Option<Vec<Option<Bound<'py, PyBytes>>>> {
    let find = || -> Vec<_> {
        let mut digester = digest::Digester::default();
        documents.iter().map(|raw| digester.fingerprint(raw).ok()).collect()
    };
    let found = py.detach(|| guard(find))?;
    Some(found.into_iter().map(|digest| digest.map(|bytes| PyBytes::new(py, &bytes))).collect())
}

/// Return 8 bytes for each key; or None for the exact way.
#[pyfunction]
fn hash_keys<'py>(
    py: Python<'py>,
    keys: Vec<PyBackedBytes>,
) -> Option<Vec<Bound<'py, PyBytes>>> {
    let hashes = guard(|| keys.iter().map(|key| digest::hash_key(key)).collect::<Vec<_>>())?;
    Some(hashes.iter().map(|hash| PyBytes::new(py, hash)).collect())
}

/// Return the id of a cursor and its first documents, and whether all begin with their own ObjectId.
#[pyfunction]
fn cut_reply<'py>(
    py: Python<'py>,
    cursor: PyBackedBytes,
) -> Option<(i64, Vec<Bound<'py, PyBytes>>, bool)> {
    let reply = py.detach(|| guard(|| reply::cut(&cursor).ok()).flatten())?;
    let documents = reply.documents.into_iter().map(|at| PyBytes::new(py, &cursor[at]));
    Some((reply.cursor, documents.collect(), reply.is_distinct))
}

/// Return the borders of consecutive documents in `data`, from `start` on and up to `stop`.
#[pyfunction]
fn find_borders(data: &[u8], start: usize, stop: usize) -> Vec<usize> {
    frames::find_borders(&data[..stop.min(data.len())], start)
}

/// Return documents by their borders in `data`, each with its offset; `data` begins at `base`.
#[pyfunction]
fn cut_documents<'py>(
    py: Python<'py>,
    data: &[u8],
    base: u64,
    borders: Vec<usize>,
) -> Vec<(u64, Bound<'py, PyBytes>)> {
    let cut = |pair: &[usize]| (base + pair[0] as u64, PyBytes::new(py, &data[pair[0]..pair[1]]));
    borders.windows(2).map(cut).collect()
}

/// Return the documents of texts of Extended JSON; None for a text declined.
#[pyfunction]
fn read_texts<'py>(
    py: Python<'py>,
    texts: Vec<(u64, PyBackedBytes)>,
) -> Vec<Option<Bound<'py, PyBytes>>> {
    let mut joined = Vec::new();
    let ends: Vec<Option<usize>> = py.detach(|| {
        let read = |(_, text): &(u64, PyBackedBytes)| {
            let start = joined.len();
            let found = guard(|| extjson::read_document(text, &mut joined).ok()).flatten();
            if found.is_none() {
                joined.truncate(start);
            }
            found.map(|()| joined.len())
        };
        texts.iter().map(read).collect()
    });
    let mut start = 0;
    ends.into_iter()
        .map(|end| {
            end.map(|end| {
                let raw = PyBytes::new(py, &joined[start..end]);
                start = end;
                raw
            })
        })
        .collect()
}

type Packed = (PyBackedBytes, PyBackedBytes, PyBackedBytes);

fn unpack((data, ends, owners): &Packed) -> weave::Packed<'_> {
    weave::Packed { data, ends, owners }
}

/// Return the rows of a child table, joined, with fields of their parents' rows, and their ends.
#[pyfunction]
fn weave_rows<'py>(
    py: Python<'py>,
    parents: Packed,
    children: Packed,
    plan: weave::Weave,
    longest: usize,
) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let weave = || weave::weave(&plan, unpack(&parents), unpack(&children), longest);
    let (data, ends) = py.detach(|| guard(weave)).flatten()?;
    Some((PyBytes::new(py, &data), pack(py, &ends)))
}

#[pymodule]
mod assise_native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        cut_documents, cut_reply, find_borders, find_numbers, fingerprint, hash_keys, read_texts,
        weave_rows, Assembler, Profiler, Shredder,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
