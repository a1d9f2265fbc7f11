//! Any octets behind DATA, in packets cut by the first octets.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let (cuts, octets) = octets.split_at(octets.len().min(8));
    pairpost::smtp::properties::framing(octets, cuts);
});
