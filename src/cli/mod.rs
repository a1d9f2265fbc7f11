//! The commands, a file per group.
pub mod inspect;
