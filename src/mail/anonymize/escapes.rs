//! Small decoders: what one escape, one character, one tag or one run of base 64 stands for.

/// Whether a character takes no room on a page: default-ignorable ones (Unicode, DerivedCoreProperties.txt) and marks of direction.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// The first character of bytes that need not be UTF-8, and its length; U+FFFD for a byte that is none.
pub(super) fn first_char(bytes: &[u8]) -> (char, usize) {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8()))
}

/// Where the tag that begins at `at` ends; `>` in quoted attributes does not end it.
pub(super) fn tag_end(html: &[u8], at: usize) -> usize {
    let mut quoted = false;
    for (i, byte) in html.iter().enumerate().skip(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return i + 1,
            _ => {}
        }
    }
    html.len()
}

/// The character reference at the start of a text, and its length: those by number, and those names that matter in an address or to a serialiser.
pub(super) fn entity(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix('&')?;
    let with_semicolon = |len: usize| len + usize::from(text.as_bytes().get(len) == Some(&b';'));
    if let Some(number) = rest.strip_prefix('#') {
        let (digits, radix, skip) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16, 3),
            None => (number, 10, 2),
        };
        let count = digits.bytes().take(8).take_while(|b| (*b as char).is_digit(radix)).count();
        let c = char::from_u32(u32::from_str_radix(digits.get(..count)?, radix).ok()?)?;
        return Some((c, with_semicolon(skip + count)));
    }
    const NAMES: [(&str, char); 14] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("shy", '\u{ad}'),
        ("commat", '@'),
        ("period", '.'),
        ("plus", '+'),
        ("hyphen", '-'),
        ("lowbar", '_'),
        ("equals", '='),
        ("ZeroWidthSpace", '\u{200b}'),
    ];
    NAMES.iter().find(|(name, _)| rest.starts_with(name)).map(|(name, c)| (*c, with_semicolon(1 + name.len())))
}

/// The number that hexadecimal digits stand for; `None` where there are none or others.
pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The bytes that base 64 stands for, in either alphabet (RFC 4648 4 and 5), padded or not.
pub(super) fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        buffer = (buffer << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
        }
    }
    Some(out)
}
