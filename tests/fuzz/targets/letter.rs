//! Any octets as a letter: read, classified, taken apart, relayed. A panic of the parser that the program catches is no finding.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: drop(std::panic::take_hook()), |raw: &[u8]| pairpost::mail::properties::read_all(raw));
