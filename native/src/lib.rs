//! The inner loops of Assise. The exact way in Python is the definition; whatever is not plain is
//! declined, and goes that way.

pub mod assemble;
pub mod bson;
pub mod calendar;
pub mod codec;
pub mod digest;
pub mod extjson;
pub mod frames;
pub mod give;
pub mod joins;
pub mod json;
pub mod number;
pub mod plan;
pub mod profile;
pub mod read_json;
pub mod reply;
pub mod shred;
pub mod weave;

#[cfg(feature = "module")]
mod module;
