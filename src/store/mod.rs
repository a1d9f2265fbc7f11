//! The SQL, all of it.
pub mod private_postgres;
