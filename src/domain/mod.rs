//! The rules: values in, values out; no I/O, no clock, no chance.
pub mod address;
pub mod admission;
pub mod answers;
pub mod refusal;
pub mod secret;
