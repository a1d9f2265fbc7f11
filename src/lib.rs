//! Pairpost runs a partner programme by e-mail.
pub mod cli;
pub mod config;
pub mod domain;
pub mod mail;
pub mod store;
pub mod templates;
