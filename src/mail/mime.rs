//! The MIME tree of a letter, by mail-parser, which no letter may bring down.
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, FixedOffset, NaiveDate, TimeZone, Utc};
use mail_parser::{HeaderName, HeaderValue, Message, MessageParser};
use memchr::memchr2_iter;

/// More lines `Content-Type…` than this, and the body is not read: messages nested in messages cost stack when they are dropped.
pub const MAX_PARTS: usize = 250;

/// A letter's MIME tree; `Ok(None)` where there is no header.
pub type Tree<'x> = Result<Option<Message<'x>>, Unread>;

/// Why the parts of a letter are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// More than [`MAX_PARTS`].
    TooManyParts,
    /// The parser gave up (it asserts, in builds with debug assertions, what some broken structures do not hold).
    Broken,
}

/// The whole letter, made [`readable`](super::charset::readable). Date and Received are not parsed, only kept (see [`parser`]).
pub fn parse(raw: &[u8]) -> Tree<'_> {
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

/// Message identifiers of the fields of that name, in order, without angle brackets, white space or anything that could end a header line.
pub fn ids(parsed: &Message<'_>, name: HeaderName<'static>) -> Vec<String> {
    let clean = |id: &str| -> String { id.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>')).collect() };
    parsed
        .header_values(name)
        .flat_map(|value| match value {
            HeaderValue::Text(id) => vec![clean(id)],
            HeaderValue::TextList(list) => list.iter().map(|id| clean(id)).collect(),
            HeaderValue::Address(_) | HeaderValue::DateTime(_) | HeaderValue::ContentType(_) | HeaderValue::Received(_) | HeaderValue::Empty => Vec::new(),
        })
        .filter(|id| !id.is_empty() && id.len() <= 900)
        .collect()
}

/// The first Date field as a moment; `None` where it can't be read (RFC 5322 3.3, and the older forms).
pub fn date(parsed: &Message<'_>) -> Option<DateTime<Utc>> {
    let (_, value) = parsed.headers_raw().find(|(name, _)| name.trim().eq_ignore_ascii_case("date"))?;
    mail_parser::DateTime::parse_rfc822(&unfold(value)).and_then(|date| moment(&date))
}

fn moment(date: &mail_parser::DateTime) -> Option<DateTime<Utc>> {
    let seconds = (i32::from(date.tz_hour) * 60 + i32::from(date.tz_minute)) * 60;
    let offset = FixedOffset::east_opt(if date.tz_before_gmt { -seconds } else { seconds })?;
    // A leap second (60) is allowed by RFC 5322 3.3; chrono takes 59.
    let local = NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))?.and_hms_opt(
        u32::from(date.hour),
        u32::from(date.minute),
        u32::from(date.second.min(59)),
    )?;
    Some(offset.from_local_datetime(&local).single()?.to_utc())
}

/// RFC 5322 2.2.3: line breaks within a field go, the white space around them stays as one blank.
pub fn unfold(value: &str) -> String {
    value.split(['\r', '\n']).map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

/// mail-parser's own reading of Date and Received runs over the end of the line where a zone such as `UT` stands there, and swallows the next field;
/// so only the fields used are parsed, and dates by themselves.
fn parser() -> MessageParser {
    MessageParser::new().with_mime_headers().with_address_headers().with_message_ids().header_text(HeaderName::Subject)
}

fn claims_too_many_parts(raw: &[u8]) -> bool {
    let is_type = |line: &[u8]| line.get(..12).is_some_and(|l| l.eq_ignore_ascii_case(b"content-type"));
    let starts = std::iter::once(0).chain(memchr2_iter(b'\n', b'\r', raw).map(|end| end + 1));
    starts.filter(|&start| is_type(&raw[start..])).nth(MAX_PARTS).is_some()
}
