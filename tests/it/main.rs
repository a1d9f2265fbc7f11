//! What can only be seen from outside a room: the house's order, and whole ways through the program.
#![allow(clippy::unwrap_used)]
mod database;
mod tidy;
