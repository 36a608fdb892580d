//! Limits on how fast a store is used.

mod limits;

pub use limits::Limits;
