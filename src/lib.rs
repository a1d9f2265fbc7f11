//! Pairpost runs a partner programme by e-mail.
pub mod cli;
pub mod domain;
pub mod mail;
