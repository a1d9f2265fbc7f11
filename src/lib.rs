//! Pairpost runs a partner programme by e-mail: this is the map of the house.
//!
//! Five **entrances** ([`smtp`], [`inbox`], [`web`], [`schedule`], [`cli`]) and one **exit** ([`outbox`]). Between them one room of [`handlers`]. Under the
//! handlers two pure rooms, [`domain`] (the rules) and [`mail`] (the format), one room of SQL, [`store`], and one of words, [`templates`]. Entrances never know
//! each other: they meet only in Postgres. A handler gets a transaction and can't reach a socket, so all that a letter causes is committed together or not at
//! all, and nothing is sent that was not committed.
//!
//! Each room may use only rooms to the right of it, never one beside it (`tests/it/tidy.rs` holds this):
//!
//! ```text
//! cli → app → smtp inbox web schedule outbox → handlers, route → config, telemetry, aside → store, templates → mail → domain
//! ```
//!
//! What follows from it, and what every change keeps:
//!
//! 1. SQL stands only in [`store`]; its functions take a connection first, and who calls them begins and commits: entrances, the exit and commands, never a
//!    handler. Commits of their own are only [`store::arrivals::accept`], [`store::inbox::claim`], [`store::greylist::note`], [`store::keys::ensure`],
//!    [`store::wakes`] and [`store::ownership`].
//! 2. Nothing but [`outbox`] opens a connection to send.
//! 3. [`domain`] and [`mail`] do no I/O and ask nobody for the time or for chance: `now` and seeds are arguments.
//! 4. A letter that was answered 250 is a committed row. A letter of ours is a committed row before it is sent.
//! 5. A handler may run twice on one letter and writes nobody twice: letters of ours have an occasion key, unique in the database.
//! 6. Every letter in or out is one row of the record (`exchange`), written in the transaction that accepted or queued it.
//! 7. What is proved stands in a type: an [`domain::address::EmailAddress`] can't carry a second command, whatever it was read from.
//! 8. Logs carry ids, never addresses or words.
pub mod app;
pub mod aside;
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
