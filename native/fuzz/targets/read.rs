//! Any bytes to every reader of the crate: none panics, and none reads what is not there.

#![no_main]

use assise_native::bson::{check, is_whole};
use assise_native::digest::fingerprint;
use assise_native::extjson::read_document;
use assise_native::frames::find_borders;
use assise_native::joins::find_number;
use assise_native::plan::{ColumnPlan, KeyPlan, LevelPlan, Plan, TablePlan};
use assise_native::profile::Profile;
use assise_native::shred::Shredder;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const COLUMNS: [(&str, &str, &str, &[u8]); 16] = [
    ("_id", "uuid", "objectid", &[7]),
    ("double", "float8", "double", &[1]),
    ("string", "timestamptz", "iso", &[2]),
    ("array", "text[]", "string", &[2, 4]),
    ("binary", "uuid", "uuid", &[5]),
    ("old", "bytea", "binary_2", &[5]),
    ("bool", "bool", "bool", &[8]),
    ("date", "timestamptz(3)", "date", &[9]),
    ("int32", "int4", "int", &[0x10, 0x12]),
    ("int64", "int8", "double", &[1, 0x10, 0x12]),
    ("decimal", "numeric", "number", &[1, 0x10, 0x12, 0x13]),
    ("a", "numeric(6,2)", "number", &[1, 0x10, 0x12, 0x13]),
    ("b", "varchar(20)", "string", &[2]),
    ("c", "date", "text", &[2]),
    ("d", "text", "any", &[1, 2, 5, 7, 8, 9, 0x10, 0x12, 0x13]),
    ("e", "jsonb", "json", &[1, 2, 3, 4, 5]),
];

/// A table with a column of each family, a level of documents, and a child table.
static SHREDDER: LazyLock<Shredder> = LazyLock::new(|| {
    let name = |key: &str| format!("\"{key}\"").into_bytes();
    let empty = |key: &str| KeyPlan {
        key: key.as_bytes().to_vec(),
        name: name(key),
        column: None,
        child: None,
        level: None,
        absent: "missing".to_string(),
    };
    let columns = |width: usize| {
        let column = move |(at, (key, kind, of, takes)): (usize, &(&str, &str, &str, &[u8]))| {
            let column = ColumnPlan {
                position: width + at,
                index: at,
                r#type: kind.to_string(),
                kind: of.to_string(),
                takes: takes.to_vec(),
                is_key: width == 0 && at == 0,
            };
            KeyPlan { column: Some(column), ..empty(key) }
        };
        COLUMNS.iter().enumerate().map(column).collect::<Vec<_>>()
    };
    let level = |table: usize, keys: Vec<KeyPlan>, children: Vec<usize>| LevelPlan {
        table,
        absent: (0..keys.len()).collect(),
        indexes: (0..COLUMNS.len()).collect(),
        keys,
        is_told: true,
        is_silent: false,
        children,
    };
    let mut root = columns(0);
    root.push(KeyPlan { level: Some(1), ..empty("document") });
    root.push(KeyPlan { child: Some(1), ..empty("items") });
    let table = |key_width: usize, root: usize| TablePlan {
        width: key_width + COLUMNS.len() + 1,
        key_width,
        root,
        element: None,
    };
    let plan = Plan {
        tables: vec![table(0, 0), table(2, 2)],
        levels: vec![
            level(0, root, vec![1]),
            level(0, Vec::new(), Vec::new()),
            level(1, columns(2), Vec::new()),
        ],
        key_position: 0,
        offset_bytes: 0,
    };
    Shredder::new(&plan).expect("a plan that is known")
});

fuzz_target!(|data: &[u8]| {
    let found = is_whole(data);
    let mut profile = Profile::new(50);
    assert_eq!(profile.add(data), found);
    assert!(found || fingerprint(data).is_err());
    assert!(found || check(data, 0, data.len(), 0) != Ok(data.len()));
    let _ = find_number(data, b"string");
    for pair in find_borders(data, 0).windows(2) {
        assert!(pair[0] + 5 <= pair[1] && pair[1] <= data.len());
    }
    let batch = SHREDDER.shred([(0, data)].into_iter());
    assert_eq!(batch.left_out.len() + batch.keys.ends.len(), 1);
    let mut document = Vec::new();
    if read_document(data, &mut document).is_ok() {
        assert!(is_whole(&document));
    }
});
