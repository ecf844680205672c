//! Fingerprints, which equal documents share: `documents/equality.py` is the definition.
//!
//! The digest is BLAKE2b of 16 bytes without a key (RFC 7693), of a row's key of 8 bytes.

use crate::bson::*;

const BLOCK: usize = 128;
const IV: [u64; 8] = [
    0x6A09_E667_F3BC_C908,
    0xBB67_AE85_84CA_A73B,
    0x3C6E_F372_FE94_F82B,
    0xA54F_F53A_5F1D_36F1,
    0x510E_527F_ADE6_82D1,
    0x9B05_688C_2B3E_6C1F,
    0x1F83_D9AB_FB41_BD6B,
    0x5BE0_CD19_137E_2179,
];
const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const DIGEST: usize = 16;
const KEY_HASH: usize = 8;

pub type Digest = [u8; DIGEST];

#[inline(always)]
fn mix(v: &mut [u64; 16], at: [usize; 4], x: u64, y: u64) {
    let [a, b, c, d] = at;
    for (word, turn, next) in [(x, 32, 24), (y, 16, 63)] {
        v[a] = v[a].wrapping_add(v[b]).wrapping_add(word);
        v[d] = (v[d] ^ v[a]).rotate_right(turn);
        v[c] = v[c].wrapping_add(v[d]);
        v[b] = (v[b] ^ v[c]).rotate_right(next);
    }
}

/// A round of its own for each number: with all indexes known they need no checks.
#[inline(always)]
fn turn<const ROUND: usize>(v: &mut [u64; 16], words: &[u64; 16]) {
    let s = const { SIGMA[ROUND % 10] };
    mix(v, [0, 4, 8, 12], words[s[0]], words[s[1]]);
    mix(v, [1, 5, 9, 13], words[s[2]], words[s[3]]);
    mix(v, [2, 6, 10, 14], words[s[4]], words[s[5]]);
    mix(v, [3, 7, 11, 15], words[s[6]], words[s[7]]);
    mix(v, [0, 5, 10, 15], words[s[8]], words[s[9]]);
    mix(v, [1, 6, 11, 12], words[s[10]], words[s[11]]);
    mix(v, [2, 7, 8, 13], words[s[12]], words[s[13]]);
    mix(v, [3, 4, 9, 14], words[s[14]], words[s[15]]);
}

fn compress(state: &mut [u64; 8], block: &[u8], total: u64, is_last: bool) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    let mut v = [0; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&IV);
    v[12] ^= total;
    v[14] ^= if is_last { u64::MAX } else { 0 };
    turn::<0>(&mut v, &words);
    turn::<1>(&mut v, &words);
    turn::<2>(&mut v, &words);
    turn::<3>(&mut v, &words);
    turn::<4>(&mut v, &words);
    turn::<5>(&mut v, &words);
    turn::<6>(&mut v, &words);
    turn::<7>(&mut v, &words);
    turn::<8>(&mut v, &words);
    turn::<9>(&mut v, &words);
    turn::<10>(&mut v, &words);
    turn::<11>(&mut v, &words);
    for i in 0..8 {
        state[i] ^= v[i] ^ v[i + 8];
    }
}

/// The digest of some bytes, of `N` bytes, 16 at most.
pub fn blake2b<const N: usize>(content: &[u8]) -> [u8; N] {
    let mut state = IV;
    state[0] ^= 0x0101_0000 ^ N as u64;
    // The last block is compressed as the last one, even where it is full.
    let before_last = content.len().saturating_sub(1) / BLOCK * BLOCK;
    for (i, block) in content[..before_last].chunks_exact(BLOCK).enumerate() {
        compress(&mut state, block, ((i + 1) * BLOCK) as u64, false);
    }
    let mut last = [0; BLOCK];
    last[..content.len() - before_last].copy_from_slice(&content[before_last..]);
    compress(&mut state, &last, content.len() as u64, true);
    let mut digest = [0; N];
    for (part, word) in digest.chunks_mut(8).zip(state) {
        part.copy_from_slice(&word.to_le_bytes()[..part.len()]);
    }
    digest
}

/// The 8 bytes that stand for a key.
pub fn hash_key(key: &[u8]) -> [u8; KEY_HASH] {
    blake2b(key)
}

/// The fingerprint of a document.
pub fn fingerprint(raw: &[u8]) -> Answer<Digest> {
    Digester::default().fingerprint(raw)
}

/// Finds fingerprints of documents one after the other; the open levels share its memory.
#[derive(Default)]
pub struct Digester {
    items: Vec<u8>,
    elements: Vec<Element>,
}

/// Where the type byte, the end of the key, and the end of an element are.
#[derive(Clone, Copy)]
struct Element {
    start: usize,
    key_end: usize,
    end: usize,
}

/// How the items of a level are joined: by key, or in their order, with keys or without.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Top,
    Sorted,
    Ordered,
    Array { is_ordered: bool },
}

impl Form {
    fn of_inner(self, kind: u8, key: &[u8]) -> Form {
        let is_ordered = match self {
            Form::Top => key == b"_id",
            Form::Sorted => false,
            Form::Ordered => true,
            Form::Array { is_ordered } => is_ordered,
        };
        match (kind == ARRAY, is_ordered) {
            (true, is_ordered) => Form::Array { is_ordered },
            (false, true) => Form::Ordered,
            (false, false) => Form::Sorted,
        }
    }
}

impl Digester {
    /// The fingerprint of a document.
    pub fn fingerprint(&mut self, raw: &[u8]) -> Answer<Digest> {
        self.items.clear();
        self.elements.clear();
        let (digest, end) = self.digest_level(raw, 0, raw.len(), Form::Top, 0)?;
        if end != raw.len() {
            return Err(Declined);
        }
        Ok(digest)
    }

    fn digest_level(
        &mut self,
        raw: &[u8],
        p: usize,
        limit: usize,
        form: Form,
        depth: usize,
    ) -> Answer<(Digest, usize)> {
        if depth > LEVELS {
            return Err(Declined);
        }
        let last = open(raw, p, limit)?;
        let (first_item, first) = (self.items.len(), self.elements.len());
        let mut start = p + 4;
        while start != last {
            let key_end = key_end(raw, start, last)?;
            let end = skip_whole(raw[start], raw, key_end + 1, last)?;
            self.elements.push(Element { start, key_end, end });
            start = end;
        }
        if matches!(form, Form::Top | Form::Sorted) {
            let key = |each: &Element| &raw[each.start + 1..each.key_end];
            let found = &mut self.elements[first..];
            if !found.is_sorted_by_key(key) {
                found.sort_by_key(key);
            }
        }
        for i in first..self.elements.len() {
            self.push_item(raw, self.elements[i], form, depth)?;
        }
        let digest = blake2b(&self.items[first_item..]);
        self.items.truncate(first_item);
        self.elements.truncate(first);
        Ok((digest, last + 1))
    }

    fn push_item(&mut self, raw: &[u8], at: Element, form: Form, depth: usize) -> Answer<()> {
        let (kind, value) = (raw[at.start], at.key_end + 1);
        if !matches!(form, Form::Array { .. }) {
            self.items.extend_from_slice(&raw[at.start + 1..value]);
        }
        self.items.push(if kind == INT32 { INT64 } else { kind });
        let inside = match kind {
            INT32 => {
                self.items.extend_from_slice(&i64::from(int32_at(raw, value)?).to_le_bytes());
                return Ok(());
            }
            CODE_WITH_SCOPE => code_with_scope_at(raw, value, at.end)?.0,
            DOCUMENT | ARRAY => value,
            _ => {
                self.items.extend_from_slice(&raw[value..at.end]);
                return Ok(());
            }
        };
        if kind == CODE_WITH_SCOPE {
            self.items.extend_from_slice(&raw[value + 4..inside]);
        }
        let inner = form.of_inner(kind, &raw[at.start + 1..at.key_end]);
        let (digest, _) = self.digest_level(raw, inside, at.end, inner, depth + 1)?;
        self.items.extend_from_slice(&digest);
        Ok(())
    }
}
