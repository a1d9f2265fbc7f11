//! Pictures that a letter has from the one it was made of: where it is kept beside that one, they need not be kept twice.
use std::ops::Range;

use mail_builder::encoders::Base64Encoder;
use mail_parser::{Encoding, decoders::base64::base64_decode};
use memchr::memmem;

use super::{images::Picture, parts::binary};
use crate::mail::mime;

/// A smaller one is sooner kept twice than made again.
const LEAST: usize = 16 << 10;
/// So much of its beginning finds it.
const BEGINNING: usize = 60;

/// A picture in base 64, made of one in another letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loan {
    /// Where it stands.
    pub at: Range<usize>,
    /// Where in the other letter the one stands of which [`made_of`] makes it.
    pub of: Range<usize>,
}

/// The pictures that a relayed letter has from the one that came in, in the order in which they stand there.
pub fn loans(raw: &[u8], tree: &mime::Tree<'_>, relayed: &[u8]) -> Vec<Loan> {
    let Ok(Some(message)) = tree else { return Vec::new() };
    let mut loans: Vec<Loan> = Vec::new();
    for part in message.parts.iter().filter(|part| part.encoding == Encoding::Base64) {
        let of = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
        let (Some(data), Some(body)) = (binary(part), raw.get(of.clone()).filter(|body| body.len() >= LEAST)) else { continue };
        // What was parsed may be another than what came: its header in UTF-8.
        if message.raw_message().get(of.clone()) != Some(body) || !stands_for(body, data) {
            continue;
        }
        let Some(made) = encoded_picture(data) else { continue };
        let from = loans.last().map_or(0, |before| before.at.end);
        let found = memmem::find(&relayed[from..], &made[..made.len().min(BEGINNING)]).map(|at| from + at);
        if let Some(at) = found.filter(|&at| relayed[at..].starts_with(&made)) {
            loans.push(Loan { at: at..at + made.len(), of });
        }
    }
    loans
}

/// The picture of a relayed letter again, of the body of the part that came in.
pub fn made_of(body: &[u8]) -> Option<Vec<u8>> {
    encoded_picture(&base64_decode(body)?)
}

/// Base 64 as most programs write it is told by writing it, in a third of the time that reading takes.
fn stands_for(body: &[u8], data: &[u8]) -> bool {
    encoded(data).trim_ascii_end() == body.trim_ascii_end() || base64_decode(body).is_some_and(|read| read == data)
}

fn encoded_picture(data: &[u8]) -> Option<Vec<u8>> {
    Picture::sniff(data)?.stripped(data).map(|stripped| encoded(&stripped))
}

/// As it is written into a letter.
fn encoded(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / 57 * 78 + 80);
    Base64Encoder::new().wrap_lines().encode_into(data, &mut out);
    out
}
