//! Documents with bytes changed: nothing panics, and no two readers disagree on what is BSON.
//!
//! Under Miri, which tells of undefined behaviour: see CONTRIBUTING.md. `ROUNDS` is their number.

use assise_native::bson::{check, is_whole};
use assise_native::digest::{blake2b, fingerprint};
use assise_native::joins::find_number;
use assise_native::profile::Profile;

/// A document with an element of each type, in BSON's own bytes.
fn document() -> Vec<u8> {
    let inner = b"\x12\0\0\0\x10a\0\x01\0\0\0\x02b\0\x02\0\0\0x\0\0";
    let inner = [&[(inner.len()) as u8], &inner[1..]].concat();
    let mut fields: Vec<u8> = Vec::new();
    let mut add = |kind: u8, key: &str, value: &[u8]| {
        fields.push(kind);
        fields.extend_from_slice(key.as_bytes());
        fields.push(0);
        fields.extend_from_slice(value);
    };
    add(0x07, "_id", &[7; 12]);
    add(0x01, "double", &0.5_f64.to_le_bytes());
    add(0x02, "string", b"\x0b\0\0\x002024-02-29\0");
    add(0x03, "document", &inner);
    add(0x04, "array", &inner);
    add(0x05, "binary", b"\x02\0\0\0\x03ab");
    add(0x05, "old", b"\x06\0\0\0\x02\x02\0\0\0ab");
    add(0x06, "undefined", b"");
    add(0x08, "bool", b"\x01");
    add(0x09, "date", &[0; 8]);
    add(0x0A, "null", b"");
    add(0x0B, "regex", b"a\0i\0");
    add(0x0C, "pointer", b"\x02\0\0\0x\0abcdefghijkl");
    add(0x0D, "code", b"\x02\0\0\0x\0");
    let scoped = [&[inner.len() as u8 + 10, 0, 0, 0][..], b"\x02\0\0\0x\0", &inner].concat();
    add(0x0F, "scoped", &scoped);
    add(0x10, "int32", &[1, 0, 0, 0]);
    add(0x11, "timestamp", &[0; 8]);
    add(0x12, "int64", &[0; 8]);
    add(0x13, "decimal", &[0; 16]);
    add(0xFF, "min", b"");
    add(0x7F, "max", b"");
    let size = fields.len() as u32 + 5;
    [&size.to_le_bytes()[..], &fields, &[0]].concat()
}

/// Numbers that look random: xorshift of 64 bits (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn a_whole_document_is_read_by_all() {
    let raw = document();
    assert!(is_whole(&raw));
    assert!(fingerprint(&raw).is_ok());
    assert!(find_number(&raw, b"_id").is_some());
    let mut profile = Profile::new(100);
    assert!(profile.add(&raw) && profile.add(&raw));
    assert!(profile.counts().iter().all(|&(_, count)| count % 2 == 0));
}

#[test]
fn mutated_documents_are_whole_to_all_readers_or_to_none() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds = rounds.unwrap_or(if cfg!(miri) { 150 } else { 20_000 });
    let (raw, mut random, mut taken) = (document(), Random(1), 0);
    let mut profile = Profile::new(200);
    for _ in 0..rounds {
        let mut mutated = raw.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(mutated.len());
            mutated[at] = [0, 1, 2, 3, 4, 5, 0x7F, 0xFF, random.below(256) as u8][random.below(9)];
        }
        mutated.truncate(mutated.len() - random.below(2) * random.below(9));
        let found = is_whole(&mutated);
        taken += usize::from(found);
        assert_eq!(profile.add(&mutated), found);
        assert_eq!(fingerprint(&mutated).is_ok(), found);
        let _ = find_number(&mutated, b"string");
        assert!(found || check(&mutated, 0, mutated.len(), 0) != Ok(mutated.len()));
    }
    assert!(taken > rounds / 20, "{taken} of {rounds}");
}

#[test]
fn blake2b_of_nothing_is_that_of_pythons_hashlib() {
    let expected = 0xCAE6_6941_D9EF_BD40_4E4D_8875_8EA6_7670_u128;
    assert_eq!(blake2b(b""), expected.to_be_bytes());
}
