//! The commands.
pub mod matching;
