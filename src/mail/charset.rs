//! The characters of a letter: what a charset, a transfer encoding or an old client made of them, as UTF-8 text in lines.
use std::borrow::Cow;

use mail_parser::decoders::{base64::base64_decode, charsets::map::charset_decoder, quoted_printable::quoted_printable_decode};
use mail_parser::{Encoding, Message, MessagePart, MimeHeaders, PartType};

use super::lines::lines;

/// The bytes of a letter as they can be read: without the line that a mailbox file puts before it, its header in UTF-8. Owned where that was not.
#[derive(Debug)]
pub struct Readable<'a>(pub Cow<'a, [u8]>);

/// Makes a letter readable.
pub fn readable(raw: &[u8]) -> Readable<'_> {
    Readable(header_as_utf8(without_mbox_line(raw)))
}

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

/// What a text part says, in Unicode.
#[derive(Debug)]
pub struct Words<'x> {
    /// The words; borrowed from the letter where they stand there as they are.
    pub text: Cow<'x, str>,
    /// The transfer encoding was broken, and undone as far as it goes.
    pub broken_encoding: bool,
    /// The charset named is unknown, or not the one used; Windows-1252 was taken, which every byte has a character in.
    pub wrong_charset: bool,
}

/// A text is in a charset that we don't know and that has not even ASCII in it: a guess would show garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// A text part's words, read in the charset it names as mail programs read it (Windows-1252 for ISO 8859-1), or else as they guess: UTF-8 where it is that,
/// else Windows-1252. Of parts that are neither text nor bytes there are none.
pub fn words<'x>(parsed: &'x Message<'_>, part: &'x MessagePart<'_>) -> Result<Words<'x>, Unreadable> {
    let charset = charset(part);
    let broken_encoding = part.is_encoding_problem;
    let as_parsed = match &part.body {
        PartType::Text(text) | PartType::Html(text) => text.as_ref(),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
            return in_charset(bytes, charset.as_deref()).map(|(text, wrong_charset)| Words { text, broken_encoding, wrong_charset });
        }
        PartType::Message(_) | PartType::Multipart(_) => return Ok(Words { text: Cow::Borrowed(""), broken_encoding, wrong_charset: false }),
    };
    let is_right = match charset.as_deref() {
        None | Some("utf-8" | "utf8") => !as_parsed.contains(char::REPLACEMENT_CHARACTER),
        Some(name) => is_ascii_name(name) && as_parsed.is_ascii(),
    };
    let said = |text, wrong_charset| Words { text, broken_encoding, wrong_charset };
    if is_right && !broken_encoding {
        return Ok(said(Cow::Borrowed(as_parsed), false));
    }
    let body = parsed.raw_message().get(part.raw_body_offset() as usize..part.raw_end_offset() as usize).unwrap_or_default();
    let bytes = match part.encoding {
        Encoding::None if broken_encoding => leniently_decoded(part, body).map(Cow::Owned),
        Encoding::None => Some(Cow::Borrowed(body)),
        Encoding::QuotedPrintable => quoted_printable_decode(body).map(Cow::Owned),
        Encoding::Base64 => base64_decode(body).map(Cow::Owned),
    };
    match bytes {
        Some(Cow::Borrowed(bytes)) => in_charset(bytes, charset.as_deref()).map(|(text, wrong)| said(text, wrong)),
        Some(Cow::Owned(bytes)) => in_charset(&bytes, charset.as_deref()).map(|(text, wrong)| said(Cow::Owned(text.into_owned()), wrong)),
        None => Ok(said(Cow::Borrowed(as_parsed), false)),
    }
}

/// The charset that a part names, in lower case, without the marks that careless programs put around it.
fn charset(part: &MessagePart<'_>) -> Option<String> {
    let named = part.content_type()?.attribute("charset")?;
    Some(named.trim_matches(|c: char| c == '"' || c == '\'' || c == ';' || c.is_whitespace()).to_ascii_lowercase()).filter(|name| !name.is_empty())
}

fn is_ascii_name(charset: &str) -> bool {
    matches!(charset, "us-ascii" | "ascii")
}

/// What a broken transfer encoding stands for, as mail programs show it: foreign characters in base 64 left out (RFC 2045 6.8), a wrong `=XX` left as it
/// is (6.7).
fn leniently_decoded(part: &MessagePart<'_>, body: &[u8]) -> Option<Vec<u8>> {
    let encoding = part.content_transfer_encoding()?.to_ascii_lowercase();
    if encoding == "base64" {
        let end = body.iter().position(|b| *b == b'=').unwrap_or(body.len());
        let mut letters: Vec<u8> = body[..end].iter().copied().filter(|b| b.is_ascii_alphanumeric() || b"+/".contains(b)).collect();
        // One letter more than a group is no octet.
        letters.truncate(letters.len() - usize::from(letters.len() % 4 == 1));
        letters.resize(letters.len().next_multiple_of(4), b'=');
        return base64_decode(&letters);
    }
    (encoding == "quoted-printable").then(|| {
        let (mut out, mut rest) = (Vec::with_capacity(body.len()), body);
        while let Some((&byte, after)) = rest.split_first() {
            let soft = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")).filter(|_| byte == b'=');
            let code = after.get(..2).filter(|_| byte == b'=').and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 16).ok());
            match (soft, code) {
                (Some(next), _) => rest = next,
                (None, Some(code)) => {
                    out.push(code);
                    rest = &after[2..];
                }
                (None, None) => {
                    out.push(byte);
                    rest = after;
                }
            }
        }
        out
    })
}

/// Bytes in the charset named, or else as mail programs guess; and whether the one named was not taken, or none was right.
fn in_charset<'x>(bytes: &'x [u8], charset: Option<&str>) -> Result<(Cow<'x, str>, bool), Unreadable> {
    match charset {
        Some("utf-32" | "utf-32le" | "utf-32be") => Ok((utf32(bytes, charset).into(), false)),
        // Mail that says ASCII and isn't: UTF-8, or the code page of the sender's program.
        Some(name) if is_ascii_name(name) => Ok((guessed(bytes).0, false)),
        Some(name) => {
            if let Some(encoding) = encoding_rs::Encoding::for_label_no_replacement(name.as_bytes()) {
                let (text, _, broken) = encoding.decode(bytes);
                if !(broken && is_mostly_wounds(&text, bytes)) {
                    return Ok((text, false));
                }
            } else if let Some(decode) = charset_decoder(name.as_bytes()) {
                return Ok((decode(bytes).into(), false));
            } else if name.starts_with("cp0") || name.starts_with("cp5") || name.contains("ebcdic") || name.starts_with("ibm0") {
                return Err(Unreadable);
            }
            let (text, is_utf8) = guessed(bytes);
            Ok((text, !is_utf8))
        }
        None => Ok(guessed(bytes)).map(|(text, is_utf8)| (text, !is_utf8)),
    }
}

/// UTF-8 where it is that, or was before it was cut; else Windows-1252. And whether it is UTF-8.
fn guessed(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => (text.into(), true),
        Cow::Owned(text) if !is_mostly_wounds(&text, bytes) => (text.into(), true),
        Cow::Owned(_) => (windows_1252(bytes), false),
    }
}

/// Nearly all UTF-8 with a wound or two is UTF-8 that was cut: then the replacement characters stay.
fn is_mostly_wounds(text: &str, bytes: &[u8]) -> bool {
    let beyond_ascii = bytes.iter().filter(|b| !b.is_ascii()).count().max(text.chars().filter(|c| !c.is_ascii()).count());
    text.matches(char::REPLACEMENT_CHARACTER).count() * 2 > beyond_ascii
}

fn utf32(bytes: &[u8], charset: Option<&str>) -> String {
    let (bytes, little) = match bytes {
        [0xff, 0xfe, 0, 0, rest @ ..] => (rest, true),
        [0, 0, 0xfe, 0xff, rest @ ..] => (rest, false),
        _ => (bytes, charset == Some("utf-32le")),
    };
    let number = |four: &[u8; 4]| if little { u32::from_le_bytes(*four) } else { u32::from_be_bytes(*four) };
    bytes.as_chunks::<4>().0.iter().map(|four| char::from_u32(number(four)).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn windows_1252(bytes: &[u8]) -> Cow<'_, str> {
    encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0
}

/// Mail from an archive may begin with an mbox line; it is no header field.
pub(super) fn without_mbox_line(raw: &[u8]) -> &[u8] {
    if !raw.starts_with(b"From ") && !raw.starts_with(b">From ") {
        return raw;
    }
    raw.iter().position(|&b| b == b'\n').map_or(raw, |end| &raw[end + 1..])
}

/// Header lines with raw 8-bit characters that are not UTF-8 (RFC 6532 allows only that) are read as Windows-1252, line by line. Borrowed where none was.
pub(super) fn header_as_utf8(raw: &[u8]) -> Cow<'_, [u8]> {
    let end = header_end(raw);
    let head = &raw[..end];
    if std::str::from_utf8(head).is_ok() {
        return raw.into();
    }
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
    for line in lines(raw) {
        if line == b"\n" || line == b"\r\n" {
            return start;
        }
        start += line.len();
    }
    raw.len()
}

#[cfg(test)]
mod tests {
    use super::super::mime;
    use super::*;

    fn words_of(kind: &str, encoding: &str, body: &[u8]) -> Result<(String, bool), Unreadable> {
        let raw = [format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes(), body].concat();
        let parsed = mime::parse(&raw).expect("parses").expect("has a header");
        words(&parsed, parsed.root_part()).map(|words| (words.text.into_owned(), words.wrong_charset))
    }

    #[test]
    fn words_are_read_in_the_charset_that_was_meant() {
        for (kind, encoding, body, wanted, wrong) in [
            ("text/plain; charset=utf-8", "8bit", "Grüße".as_bytes(), "Grüße", false),
            ("text/plain", "8bit", "Grüße".as_bytes(), "Grüße", false),
            ("text/plain", "8bit", b"Gr\xfc\xdfe, it\x92s", "Grüße, it’s", true),
            ("text/plain; charset=us-ascii", "8bit", b"Gr\xfc\xdfe", "Grüße", false),
            ("text/plain; charset=us-ascii", "8bit", "Grüße".as_bytes(), "Grüße", false),
            ("text/plain; charset=utf-8", "8bit", b"Gr\xfc\xdfe", "Grüße", true),
            ("text/plain; charset=utf-8", "8bit", b"Gr\xc3\xbc\xc3\x9fe, cut: \xc3", "Grüße, cut: \u{fffd}", false),
            ("text/plain; charset=iso-8859-1", "quoted-printable", b"it=92s", "it’s", false),
            ("text/plain; charset=\"'UTF-8'\"", "quoted-printable", b"Gr=C3=BC=C3=9Fe", "Grüße", false),
            ("text/plain; charset=x-unknown", "8bit", b"Gr\xfc\xdfe", "Grüße", true),
            ("text/plain; charset=koi8-r", "8bit", b"\xe4\xc1", "Да", false),
            ("text/plain; charset=gb2312", "base64", b"xOO6ww==", "你好", false),
            ("text/plain; charset=iso-2022-jp", "7bit", b"\x1b$B?^=q4[\x1b(B", "図書館", false),
            ("text/plain; charset=utf-7", "7bit", b"a+AEA-b", "a@b", false),
            ("text/plain; charset=utf-16", "base64", b"//5hAGIA", "ab", false),
            ("text/plain; charset=utf-16be", "base64", b"AGEAYg==", "ab", false),
            ("text/plain; charset=utf-32", "base64", b"//4AAGEAAABiAAAA", "ab", false),
            ("text/plain; charset=utf-8", "base64", b"R3LDvMOf\r\nZQ==\r\n-- \r\nfooter of a list", "Grüße", false),
            ("text/plain; charset=utf-8", "quoted-printable", b"1 =ZZ 2=\r\n3", "1 =ZZ 23", false),
        ] {
            assert_eq!(words_of(kind, encoding, body), Ok((wanted.to_owned(), wrong)), "{kind} {encoding}");
        }
        assert_eq!(words_of("text/plain; charset=cp037", "base64", b"gYKD"), Err(Unreadable));
    }

    #[test]
    fn every_octet_of_latin_1_has_a_character_of_its_own() {
        let all: Vec<u8> = (0..=255).filter(|b| !matches!(b, b'\r' | b'\n')).collect();
        let (text, _) = words_of("text/plain; charset=iso-8859-1", "8bit", &all).expect("can be read");
        assert_eq!(encoding_rs::WINDOWS_1252.encode(&text).0.as_ref(), all);
    }
}
