//! The rules: values in, values out; no I/O, no clock, no chance.
pub mod acquaintance;
pub mod address;
pub mod admission;
pub mod answers;
pub mod command;
pub mod courtesy;
pub mod dates;
pub mod fold;
pub mod languages;
pub mod matching;
pub mod places;
pub mod programme;
pub mod refusal;
pub mod round;
pub mod secret;
pub mod topic;
pub mod wording;
