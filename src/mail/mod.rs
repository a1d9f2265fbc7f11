//! The format: bytes in, values out, and back; no I/O.
pub mod anonymize;
pub mod envelope;
