//! What can only be seen from outside a room: the house's order, and whole ways through the program.
#![allow(clippy::unwrap_used)]
mod breaker;
mod catcher;
mod certificate;
mod claims;
mod database;
mod demo;
mod dns;
mod exit;
mod house;
mod killed;
mod migrations;
mod next_hop;
mod packets;
mod poison;
mod priorities;
mod relay;
mod rounds;
mod scenarios;
mod sendings;
mod sessions;
mod shell;
mod templates;
mod tidy;
mod twice;
mod verification;
mod wakes;
