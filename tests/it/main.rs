//! What can only be seen from outside a room: the house's order, and whole ways through the program.
#![allow(clippy::unwrap_used)]
mod catcher;
mod claims;
mod database;
mod demo;
mod dns;
mod exit;
mod faults;
mod killed;
mod next_hop;
mod program;
mod relay;
mod rounds;
mod scenarios;
mod sendings;
mod sessions;
mod shell;
mod templates;
mod tidy;
mod verification;
mod wakes;
