//! The words of text parts: out of any charset, into UTF-8 with clean lines; and what in a text is no words.
use std::borrow::Cow;

use mail_parser::decoders::{base64::base64_decode, charsets::map::charset_decoder, quoted_printable::quoted_printable_decode};
use mail_parser::{Encoding, MessagePart, MimeHeaders, PartType};

use super::RelayRefusal;
use super::escapes::unbase64;

/// A text part's words in Unicode, read in the charset it names or else as mail programs guess: UTF-8 where it is that, else windows-1252.
pub(super) fn words<'x>(part: &'x MessagePart<'x>, raw: &[u8]) -> Result<Cow<'x, str>, RelayRefusal> {
    let parsed = match &part.body {
        PartType::Text(text) | PartType::Html(text) => text.as_ref(),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => return Ok(Cow::Owned(in_charset(bytes, charset(part).as_deref())?)),
        PartType::Message(_) | PartType::Multipart(_) => return Ok(Cow::Borrowed("")),
    };
    let charset = charset(part);
    let is_utf8 = matches!(charset.as_deref(), None | Some("utf-8" | "utf8" | "us-ascii" | "ascii"));
    if !part.is_encoding_problem && is_utf8 && !parsed.contains(char::REPLACEMENT_CHARACTER) {
        return Ok(Cow::Borrowed(parsed));
    }
    let body = raw.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
    let bytes = match part.encoding {
        Encoding::None if part.is_encoding_problem => leniently_decoded(part, body).map(Cow::Owned),
        Encoding::None => Some(Cow::Borrowed(body)),
        Encoding::QuotedPrintable => quoted_printable_decode(body).map(Cow::Owned),
        Encoding::Base64 => base64_decode(body).map(Cow::Owned),
    };
    match bytes {
        Some(bytes) => in_charset(&bytes, charset.as_deref()).map(Cow::Owned),
        None => Ok(Cow::Borrowed(parsed)),
    }
}

/// What a broken transfer encoding stands for, as mail programs show it: foreign characters in base 64 left out (RFC 2045 6.8), a wrong `=XX` left as it is (6.7).
fn leniently_decoded(part: &MessagePart<'_>, body: &[u8]) -> Option<Vec<u8>> {
    let encoding = part.content_transfer_encoding()?.to_ascii_lowercase();
    if encoding == "base64" {
        let end = body.iter().position(|b| *b == b'=').unwrap_or(body.len());
        let letters: Vec<u8> = body[..end].iter().copied().filter(|b| b.is_ascii_alphanumeric() || b"+/".contains(b)).collect();
        return unbase64(&letters);
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

/// The charset that a part names, in lower case, without the marks that careless programs put around it.
fn charset(part: &MessagePart<'_>) -> Option<String> {
    let named = part.content_type()?.attribute("charset")?;
    Some(named.trim_matches(|c: char| c == '"' || c == '\'' || c == ';' || c.is_whitespace()).to_ascii_lowercase()).filter(|name| !name.is_empty())
}

/// Bytes in the charset named, or else as mail programs guess.
pub(super) fn in_charset(bytes: &[u8], charset: Option<&str>) -> Result<String, RelayRefusal> {
    if let Some("utf-32" | "utf-32le" | "utf-32be") = charset {
        return Ok(utf32(bytes, charset));
    }
    if let Some(encoding) = charset.and_then(|name| encoding_rs::Encoding::for_label_no_replacement(name.as_bytes())) {
        // Mail that says UTF-8 or ASCII and isn't: the sender's program meant its own code page.
        let (text, _, broken) = encoding.decode(bytes);
        if !(broken && encoding == encoding_rs::UTF_8) {
            return Ok(text.into_owned());
        }
    } else if let Some(decode) = charset.and_then(|name| charset_decoder(name.as_bytes())) {
        return Ok(decode(bytes));
    } else if let Some(name) = charset
        && (name.starts_with("cp0") || name.starts_with("cp5") || name.contains("ebcdic") || name.starts_with("ibm0"))
    {
        // Not even ASCII inside: a guess would show garbage.
        return Err(RelayRefusal::UnreadableText);
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    })
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

/// A text with CR LF at each line's end (RFC 5322 2.3) and no control characters that could split a line or end a string.
pub(super) fn clean_lines(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_clean = |(i, byte): (usize, &u8)| match byte {
        b'\r' => bytes.get(i + 1) == Some(&b'\n'),
        b'\n' => i > 0 && bytes[i - 1] == b'\r',
        byte => !is_unwanted(*byte),
    };
    if bytes.iter().enumerate().all(is_clean) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push_str("\r\n");
            }
            '\n' => out.push_str("\r\n"),
            c if c.is_ascii() && is_unwanted(c as u8) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_unwanted(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n' | 0x0c)
}

/// Whether a text holds, outside of quotes, something that is no words and names its maker: signatures, keys, sealed text, files in uuencode.
pub(super) fn hidden_cargo(text: &str) -> Option<RelayRefusal> {
    if !text.contains("-----BEGIN PGP ") && !text.contains("begin ") {
        return None;
    }
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("-----BEGIN PGP ") {
            match kind.trim_end().trim_end_matches('-') {
                "MESSAGE" => return Some(RelayRefusal::Encrypted),
                "SIGNED MESSAGE" | "SIGNATURE" => return Some(RelayRefusal::Signed),
                "PUBLIC KEY BLOCK" | "PRIVATE KEY BLOCK" => return Some(RelayRefusal::Key),
                _ => {}
            }
        }
        if let Some(name) = uuencoded_name(line)
            && lines.peek().is_some_and(|next| next.bytes().all(|b| (0x20..=0x60).contains(&b)) && is_uu_length(next))
        {
            return Some(RelayRefusal::Attachment { name: name.to_owned() });
        }
    }
    None
}

/// The file name in a line `begin 644 name`.
fn uuencoded_name(line: &str) -> Option<&str> {
    let (mode, name) = line.strip_prefix("begin ")?.split_once(' ')?;
    ((3..=4).contains(&mode.len()) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b)) && !name.trim().is_empty()).then(|| name.trim())
}

/// Whether a line is as long as its first character says.
fn is_uu_length(line: &str) -> bool {
    let Some(first) = line.bytes().next() else { return false };
    let bytes = usize::from((first - b' ') & 0x3f);
    line.trim_end().len() <= 1 + bytes.div_ceil(3) * 4 + 1 && line.len() > bytes.div_ceil(3) * 4 / 2
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn words_of(kind: &str, encoding: &str, body: &[u8]) -> Result<String, RelayRefusal> {
        let raw = [format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes(), body].concat();
        let message = MessageParser::default().parse(&raw).expect("parses");
        words(message.root_part(), &raw).map(Cow::into_owned)
    }

    #[test]
    fn words_are_read_in_the_charset_that_was_meant() {
        for (kind, encoding, body, wanted) in [
            ("text/plain; charset=utf-8", "8bit", "Grüße".as_bytes(), "Grüße"),
            ("text/plain", "8bit", "Grüße".as_bytes(), "Grüße"),
            ("text/plain", "8bit", b"Gr\xfc\xdfe, it\x92s", "Grüße, it’s"),
            ("text/plain; charset=us-ascii", "8bit", b"Gr\xfc\xdfe", "Grüße"),
            ("text/plain; charset=utf-8", "8bit", b"Gr\xfc\xdfe", "Grüße"),
            ("text/plain; charset=iso-8859-1", "quoted-printable", b"it=92s", "it’s"),
            ("text/plain; charset=\"'UTF-8'\"", "quoted-printable", b"Gr=C3=BC=C3=9Fe", "Grüße"),
            ("text/plain; charset=x-unknown", "8bit", b"Gr\xfc\xdfe", "Grüße"),
            ("text/plain; charset=koi8-r", "8bit", b"\xe4\xc1", "Да"),
            ("text/plain; charset=gb2312", "base64", b"xOO6ww==", "你好"),
            ("text/plain; charset=iso-2022-jp", "7bit", b"\x1b$B?^=q4[\x1b(B", "図書館"),
            ("text/plain; charset=utf-7", "7bit", b"a+AEA-b", "a@b"),
            ("text/plain; charset=utf-16", "base64", b"//5hAGIA", "ab"),
            ("text/plain; charset=utf-16be", "base64", b"AGEAYg==", "ab"),
            ("text/plain; charset=utf-32", "base64", b"//4AAGEAAABiAAAA", "ab"),
            ("text/plain; charset=utf-8", "base64", b"R3LDvMOf\r\nZQ==\r\n-- \r\nfooter of a list", "Grüße"),
            ("text/plain; charset=utf-8", "quoted-printable", b"1 =ZZ 2=\r\n3", "1 =ZZ 23"),
        ] {
            assert_eq!(words_of(kind, encoding, body).as_deref(), Ok(wanted), "{kind} {encoding}");
        }
        assert_eq!(words_of("text/plain; charset=cp037", "base64", b"gYKD"), Err(RelayRefusal::UnreadableText));
    }

    #[test]
    fn lines_end_in_cr_lf_and_hold_no_control_characters() {
        for (given, wanted) in [("a\r\nb\r\n", "a\r\nb\r\n"), ("a\nb\rc\r\n\n", "a\r\nb\r\nc\r\n\r\n"), ("a\0b\x1bc\td", "abc\td"), ("ü\n", "ü\r\n"), ("", "")]
        {
            assert_eq!(clean_lines(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn armour_and_files_in_a_text_are_seen_and_quotes_of_them_are_words() {
        for (given, wanted) in [
            ("Hello\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n", Some(RelayRefusal::Signed)),
            ("Hello\r\n-----BEGIN PGP SIGNATURE-----\r\n", Some(RelayRefusal::Signed)),
            ("-----BEGIN PGP MESSAGE-----\r\n", Some(RelayRefusal::Encrypted)),
            ("-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n", Some(RelayRefusal::Key)),
            ("> -----BEGIN PGP SIGNATURE-----\r\n", None),
            ("begin 644 my notes.txt\r\n#0V%T\r\n`\r\nend\r\n", Some(RelayRefusal::Attachment { name: "my notes.txt".into() })),
            ("begin 2027 with joy\r\nand go on as you like\r\n", None),
            ("We begin 644 letters a year.\r\n", None),
        ] {
            assert_eq!(hidden_cargo(given), wanted, "{given:?}");
        }
    }
}
