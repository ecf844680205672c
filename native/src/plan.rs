//! The plan of a collection: what the manifest says of each key, as plain data.

use std::collections::HashMap;

use crate::codec::Codec;

/// A column: where its field stands, and what it takes.
///
/// `position` counts all columns of the table, `index` those behind its key columns.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "module", derive(pyo3::FromPyObject))]
pub struct ColumnPlan {
    pub position: usize,
    pub index: usize,
    pub r#type: String,
    pub kind: String,
    pub takes: Vec<u8>,
    pub is_key: bool,
}

/// A key of a level; `name` is its text in `_extra`, in quotes.
///
/// What is no column, child table or level is a null.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "module", derive(pyo3::FromPyObject))]
pub struct KeyPlan {
    pub key: Vec<u8>,
    pub name: Vec<u8>,
    pub column: Option<ColumnPlan>,
    pub child: Option<usize>,
    pub level: Option<usize>,
    pub absent: String,
}

/// A level of documents; `absent` are those of its keys that are told where they are missing.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "module", derive(pyo3::FromPyObject))]
pub struct LevelPlan {
    pub table: usize,
    pub keys: Vec<KeyPlan>,
    pub absent: Vec<usize>,
    pub is_told: bool,
    pub is_silent: bool,
    pub indexes: Vec<usize>,
    pub children: Vec<usize>,
}

/// A table: its columns, how many of them are key columns, and the level at its root.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "module", derive(pyo3::FromPyObject))]
pub struct TablePlan {
    pub width: usize,
    pub key_width: usize,
    pub root: usize,
    pub element: Option<ColumnPlan>,
}

/// A collection: its tables, parents first, and all levels.
///
/// `offset_bytes` is the size of a key that is the document's offset, 0 for other keys.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "module", derive(pyo3::FromPyObject))]
pub struct Plan {
    pub tables: Vec<TablePlan>,
    pub levels: Vec<LevelPlan>,
    pub key_position: usize,
    pub offset_bytes: usize,
}

/// A column with its codec.
#[derive(Debug)]
pub struct Column {
    pub position: usize,
    pub index: usize,
    pub codec: Option<Codec>,
    pub is_key: bool,
    takes: [bool; 256],
}

impl Column {
    pub fn new(plan: &ColumnPlan) -> Column {
        let mut takes = [false; 256];
        for &kind in &plan.takes {
            takes[usize::from(kind)] = true;
        }
        let codec = (plan.r#type != "jsonb").then(|| Codec::new(&plan.r#type, &plan.kind, &takes));
        Column {
            position: plan.position,
            index: plan.index,
            codec,
            is_key: plan.is_key,
            takes,
        }
    }

    pub fn takes(&self, kind: u8) -> bool {
        self.takes[usize::from(kind)]
    }
}

/// What stands at a key.
#[derive(Debug)]
pub enum What {
    Column(Column),
    Child(usize),
    Level(usize),
    Null,
}

#[derive(Debug)]
pub struct Key {
    pub key: Vec<u8>,
    pub name: Vec<u8>,
    pub what: What,
    pub absent: String,
    pub is_null_told: bool,
}

#[derive(Debug)]
pub struct Level {
    pub table: usize,
    pub keys: Vec<Key>,
    pub absent: Vec<usize>,
    pub is_told: bool,
    pub is_silent: bool,
    pub indexes: Vec<usize>,
    pub children: Vec<usize>,
    pub by_key: HashMap<Vec<u8>, usize>,
}

impl Level {
    /// Compile a level; None where one key is more than one thing.
    pub fn new(plan: &LevelPlan) -> Option<Level> {
        let mut keys = Vec::new();
        let mut by_key = HashMap::new();
        for key in &plan.keys {
            let what = match (&key.column, key.child, key.level) {
                (Some(column), None, None) => What::Column(Column::new(column)),
                (None, Some(child), None) => What::Child(child),
                (None, None, Some(level)) => What::Level(level),
                (None, None, None) => What::Null,
                _ => return None,
            };
            by_key.insert(key.key.clone(), keys.len());
            keys.push(Key {
                key: key.key.clone(),
                name: key.name.clone(),
                what,
                absent: key.absent.clone(),
                is_null_told: key.absent == "null",
            });
        }
        (by_key.len() == keys.len()).then_some(Level {
            table: plan.table,
            keys,
            absent: plan.absent.clone(),
            is_told: plan.is_told,
            is_silent: plan.is_silent,
            indexes: plan.indexes.clone(),
            children: plan.children.clone(),
            by_key,
        })
    }
}
