//! Documents one behind the other, by their lengths: `framed_in_a_row` of `assise.mongo.frames`.

const SMALLEST: usize = 5;
const LARGEST: usize = (16 << 20) + (16 << 10);

/// Where the document at `p` ends; None for none.
fn find_end(data: &[u8], p: usize) -> Option<usize> {
    let size = u32::from_le_bytes(*data.get(p..)?.first_chunk()?) as usize;
    let is_whole = (SMALLEST..=LARGEST).contains(&size) && data.get(p + size - 1) == Some(&0);
    is_whole.then_some(p + size)
}

/// The borders of consecutive documents from `start` on, as far as `data` holds them.
pub fn find_borders(data: &[u8], start: usize) -> Vec<usize> {
    let mut borders = vec![start];
    borders.extend(split(data, start, data.len()).map(|(p, raw)| p + raw.len()));
    borders
}

/// The documents between two borders, each with its position.
pub fn split(data: &[u8], start: usize, stop: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut p = start;
    std::iter::from_fn(move || {
        let begin = p;
        p = find_end(&data[..stop.min(data.len())], begin)?;
        Some((begin, &data[begin..p]))
    })
}
