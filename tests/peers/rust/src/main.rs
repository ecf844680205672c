// Documents of a BSON stream as the crate bson writes them, one a line; `!` where it fails.
use bson::{Bson, Document};
use std::io::Read;
use std::panic::catch_unwind;

fn write(raw: &[u8], is_canonical: bool) -> Option<String> {
    let document = Bson::Document(Document::from_reader(raw).ok()?);
    let value = if is_canonical {
        document.into_canonical_extjson()
    } else {
        document.into_relaxed_extjson()
    };
    Some(value.to_string())
}

fn main() {
    let is_canonical = std::env::args().nth(1).as_deref() == Some("canonical");
    let mut stream = Vec::new();
    std::io::stdin().read_to_end(&mut stream).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let size = i32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        let raw = &rest[..size];
        let line = catch_unwind(|| write(raw, is_canonical)).ok().flatten();
        println!("{}", line.unwrap_or("!".to_string()));
        rest = &rest[size..];
    }
}
