//! Documents one behind the other, by their lengths: `framed_in_a_row` of `assise.mongo.frames`.

const SMALLEST: usize = 5;
const LARGEST: usize = (16 << 20) + (16 << 10);

/// The borders of consecutive documents from `start` on, as far as `data` holds them.
pub fn find_borders(data: &[u8], start: usize) -> Vec<usize> {
    let (mut borders, mut p) = (vec![start], start);
    while let Some(&[a, b, c, d]) = data.get(p..).and_then(|rest| rest.first_chunk()) {
        let size = u32::from_le_bytes([a, b, c, d]) as usize;
        if !(SMALLEST..=LARGEST).contains(&size) || data.get(p + size - 1) != Some(&0) {
            break;
        }
        p += size;
        borders.push(p);
    }
    borders
}
