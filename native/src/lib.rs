//! The inner loops of Assise. The exact way in Python is the definition; whatever is not plain is
//! declined, and goes that way.

pub mod bson;
pub mod calendar;
pub mod codec;
pub mod json;
pub mod number;
pub mod plan;
pub mod shred;

#[cfg(feature = "module")]
mod module;
