//! The format: bytes in, values out, and back; no I/O.
pub mod answers;
pub mod envelope;
