//! The MIME tree of a letter, by mail-parser, which no letter may bring down.
use std::panic::{AssertUnwindSafe, catch_unwind};

use mail_parser::{HeaderName, Message, MessageParser};

/// More lines `Content-Type…` than this, and the body is not read: messages nested in messages cost stack when they are dropped.
pub const MAX_PARTS: usize = 250;

/// Why the parts of a letter are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// More than [`MAX_PARTS`].
    TooManyParts,
    /// The parser gave up (it asserts, in builds with debug assertions, what some broken structures do not hold).
    Broken,
}

/// The whole letter; `Ok(None)` where there is no header. Date and Received are not parsed, only kept (see [`parser`]).
pub fn parse(raw: &[u8]) -> Result<Option<Message<'_>>, Unread> {
    if claims_too_many_parts(raw) {
        return Err(Unread::TooManyParts);
    }
    let parsed = catch_unwind(AssertUnwindSafe(|| parser().parse(raw))).map_err(|_| Unread::Broken)?;
    Ok(parsed.filter(|p| !p.parts.is_empty()))
}

/// The header alone.
pub fn parse_header(raw: &[u8]) -> Option<Message<'_>> {
    catch_unwind(AssertUnwindSafe(|| parser().parse_headers(raw))).ok().flatten().filter(|p| !p.parts.is_empty())
}

/// mail-parser's own reading of Date and Received runs over the end of the line where a zone such as `UT` stands there, and swallows the next field;
/// so only the fields used are parsed, and dates by themselves.
fn parser() -> MessageParser {
    MessageParser::new().with_mime_headers().with_address_headers().with_message_ids().header_text(HeaderName::Subject)
}

fn claims_too_many_parts(raw: &[u8]) -> bool {
    let is_type = |line: &[u8]| line.get(..12).is_some_and(|l| l.eq_ignore_ascii_case(b"content-type"));
    raw.split(|&b| b == b'\n' || b == b'\r').filter(|l| is_type(l)).nth(MAX_PARTS).is_some()
}
