//! Who is matched with whom.
pub mod blossom;
