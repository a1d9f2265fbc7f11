//! Any octets as a letter that leaves.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| pairpost::outbox::properties::outgoing(octets));
