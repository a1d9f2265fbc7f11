//! The format: bytes in, values out, and back; no I/O.
pub mod anonymize;
pub mod answers;
pub mod bounce;
pub mod classify;
pub mod draft;
pub mod envelope;
mod flowed;
pub mod html;
pub mod markdown;
pub mod message;
pub mod reply;
