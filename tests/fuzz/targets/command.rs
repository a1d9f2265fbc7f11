//! Any octets as lines of commands.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| pairpost::smtp::properties::lines(octets));
