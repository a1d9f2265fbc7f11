//! The characters of a letter: what a charset, a transfer encoding or an old client made of them, as UTF-8 text in lines.
use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

use super::message::Defect;

/// LF only, no NUL, no byte-order mark, no blank at a line's end (but a signature's `-- `), no empty lines at the end.
pub fn lines_of(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(text.len());
    for line in text.split('\n') {
        let trimmed = line.trim_end();
        out.extend(trimmed.chars().filter(|c| !matches!(c, '\0' | '\u{feff}')));
        if line == "-- " {
            out.push(' ');
        }
        out.push('\n');
    }
    out.truncate(out.trim_end_matches('\n').len());
    out
}

/// A text part in the charset it names; where that is unknown or can't be right, in Windows-1252, which every byte has a character in.
pub fn decoded<'x>(parsed: &'x mail_parser::Message<'_>, part: &'x mail_parser::MessagePart<'_>, defects: &mut Vec<Defect>) -> Cow<'x, str> {
    let text = part.text_contents().unwrap_or_default();
    if part.is_encoding_problem {
        defects.push(Defect::BrokenEncoding);
    }
    if !text.contains('\u{fffd}') {
        return text.into();
    }
    let raw = parsed.raw_message().get(part.raw_body_offset() as usize..part.raw_end_offset() as usize).unwrap_or_default();
    let bytes = match part.encoding {
        mail_parser::Encoding::None => Some(Cow::Borrowed(raw)),
        mail_parser::Encoding::QuotedPrintable => mail_parser::decoders::quoted_printable::quoted_printable_decode(raw).map(Cow::Owned),
        mail_parser::Encoding::Base64 => mail_parser::decoders::base64::base64_decode(raw).map(Cow::Owned),
    };
    // Nearly all UTF-8 with a wound or two is UTF-8 that was cut; then the replacement characters stay.
    match bytes.filter(|b| text.matches('\u{fffd}').count() * 2 > b.iter().filter(|c| !c.is_ascii()).count()) {
        Some(bytes) => {
            defects.push(Defect::WrongCharset);
            windows_1252(&bytes).into()
        }
        None => text.into(),
    }
}

fn windows_1252(bytes: &[u8]) -> String {
    charset_decoder(b"windows-1252").map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), |decode| decode(bytes))
}

/// Mail from an archive may begin with an mbox line; it is no header field.
pub fn without_mbox_line(raw: &[u8]) -> &[u8] {
    if !raw.starts_with(b"From ") && !raw.starts_with(b">From ") {
        return raw;
    }
    raw.iter().position(|&b| b == b'\n').map_or(raw, |end| &raw[end + 1..])
}

/// Header lines with raw 8-bit characters that are not UTF-8 (RFC 6532 allows only that) are read as Windows-1252, line by line.
pub fn header_as_utf8<'x>(raw: &'x [u8], defects: &mut Vec<Defect>) -> Cow<'x, [u8]> {
    let end = header_end(raw);
    let head = &raw[..end];
    if std::str::from_utf8(head).is_ok() {
        return raw.into();
    }
    defects.push(Defect::RawHeaderCharset);
    let mut out = Vec::with_capacity(raw.len() + 64);
    for line in head.split_inclusive(|&b| b == b'\n') {
        match std::str::from_utf8(line) {
            Ok(_) => out.extend_from_slice(line),
            Err(_) => out.extend_from_slice(windows_1252(line).as_bytes()),
        }
    }
    out.extend_from_slice(&raw[end..]);
    out.into()
}

/// Where the header ends and the empty line begins.
pub fn header_end(raw: &[u8]) -> usize {
    let mut start = 0;
    for line in raw.split_inclusive(|&b| b == b'\n') {
        if line == b"\n" || line == b"\r\n" {
            return start;
        }
        start += line.len();
    }
    raw.len()
}
