//! The words of text parts in clean lines, and what in a text is no words.
use std::borrow::Cow;

use super::RelayRefusal;
use crate::mail::lines::has_bare_newline;

/// A text with CR LF at each line's end (RFC 5322 2.3).
pub(super) fn clean_lines(text: &str) -> Cow<'_, str> {
    if !has_bare_newline(text.as_bytes()) {
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
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A text without control characters.
pub(super) fn without_controls(text: &str) -> Cow<'_, str> {
    match text.contains(is_control) {
        true => Cow::Owned(text.chars().filter(|c| !is_control(*c)).collect()),
        false => Cow::Borrowed(text),
    }
}

/// Control characters of ASCII that are no white space.
pub(super) fn is_control(c: char) -> bool {
    c.is_ascii_control() && !matches!(c, '\t' | '\r' | '\n' | '\u{c}')
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
    use super::*;

    #[test]
    fn lines_end_in_cr_lf_and_other_characters_stay() {
        for (given, wanted) in
            [("a\r\nb\r\n", "a\r\nb\r\n"), ("a\nb\rc\r\n\n", "a\r\nb\r\nc\r\n\r\n"), ("a\0b\x1bc\td", "a\0b\x1bc\td"), ("ü\n", "ü\r\n"), ("", "")]
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
