//! Pairpost runs a partner programme by e-mail.
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod handlers;
pub mod inbox;
pub mod mail;
pub mod outbox;
pub mod route;
pub mod schedule;
pub mod smtp;
pub mod store;
pub mod telemetry;
pub mod templates;
pub mod web;
