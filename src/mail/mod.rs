//! The format: bytes in, values out, and back; no I/O.
pub mod anonymize;
pub mod answers;
pub mod authentication_results;
pub mod bounce;
pub mod charset;
pub mod classify;
pub mod draft;
pub mod envelope;
mod flowed;
pub mod html;
pub mod lines;
pub mod markdown;
pub mod message;
pub mod mime;
mod phrases;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod reply;
#[cfg(test)]
mod robustness;
pub mod structure;
