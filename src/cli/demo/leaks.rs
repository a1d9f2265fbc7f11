//! Looks for somebody's address, host name and IP address in a letter, however it spells them.
use mail_parser::{
    MessageParser, MimeHeaders as _,
    decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode},
};

use super::cast::Person;

/// A letter in every reading of it: as it was delivered, and after decoding whatever it is encoded in.
#[derive(Debug)]
pub struct Readings(Vec<String>);

impl Readings {
    /// Reads it.
    pub fn of(raw: &[u8]) -> Self {
        let unfolded = unfolded(raw);
        let mut all = vec![raw.to_vec(), unfolded.clone().into_bytes()];
        all.extend(quoted_printable_decode(raw));
        all.extend(encoded_words(&unfolded));
        all.extend(parts(raw).into_iter().map(|(_, bytes)| bytes));
        let plain: Vec<Vec<u8>> = all.iter().filter(|text| text.contains(&b'%') || text.contains(&b'&')).map(|text| without_escapes(text)).collect();
        all.extend(plain);
        Self(all.iter().map(|text| String::from_utf8_lossy(text).to_ascii_lowercase()).collect())
    }

    /// What of `person` stands in it.
    pub fn tell_of(&self, person: &Person) -> Vec<&'static str> {
        let stands = |needle: &&str| self.0.iter().any(|text| text.contains(*needle));
        [person.address, person.host, person.ip].into_iter().filter(stands).collect()
    }
}

/// What of `person` stands in the letter.
pub fn found(raw: &[u8], person: &Person) -> Vec<&'static str> {
    Readings::of(raw).tell_of(person)
}

/// The parts of a letter, decoded: media type and bytes.
pub fn parts(raw: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Some(message) = MessageParser::default().parse(raw) else { return Vec::new() };
    let kind = |part: &mail_parser::MessagePart<'_>| {
        part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_lowercase()).unwrap_or_default()
    };
    message.parts.iter().map(|part| (kind(part), part.contents().to_vec())).collect()
}

/// Lines that were folded, as one; nothing is left where they were cut.
fn unfolded(raw: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(raw).into_owned();
    for cut in ["=\r\n", "\r\n ", "\r\n\t"] {
        text = text.replace(cut, "");
    }
    text
}

/// Words of RFC 2047, decoded.
fn encoded_words(text: &str) -> Vec<Vec<u8>> {
    let words = text.split("=?").skip(1).filter_map(|rest| {
        let mut fields = rest.splitn(4, '?');
        let (_charset, encoding, word) = (fields.next()?, fields.next()?, fields.next()?);
        if encoding.eq_ignore_ascii_case("b") { base64_decode(word.as_bytes()) } else { quoted_printable_decode(word.as_bytes()) }
    });
    // Together, since an address may begin in one word and end in the next.
    let words: Vec<Vec<u8>> = words.collect();
    let joined = words.concat();
    words.into_iter().chain([joined]).collect()
}

/// With `%40`, `&#64;`, `&#x40;` and the like as the characters they stand for.
fn without_escapes(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        let escape = match first {
            b'%' => percent(more),
            b'&' => entity(more),
            _ => None,
        };
        match escape {
            Some((byte, length)) => {
                plain.push(byte);
                rest = &more[length..];
            }
            None => {
                plain.push(*first);
                rest = more;
            }
        }
    }
    plain
}

fn percent(text: &[u8]) -> Option<(u8, usize)> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, 2))
}

fn entity(text: &[u8]) -> Option<(u8, usize)> {
    let end = text.iter().take(10).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&text[..end]).ok()?.to_ascii_lowercase();
    let byte = match name.as_str() {
        "commat" => b'@',
        "period" => b'.',
        name => match name.strip_prefix("#x") {
            Some(digits) => u8::from_str_radix(digits, 16).ok()?,
            None => name.strip_prefix('#')?.parse().ok()?,
        },
    };
    Some((byte, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::cast::PEOPLE;

    #[test]
    fn an_address_is_found_however_a_letter_spells_it() {
        let ana = &PEOPLE[0];
        assert_eq!(ana.address, "ana.quispe@example.org");
        for letter in [
            "X: <Ana.Quispe@Example.ORG>\r\n\r\nhi\r\n",
            "Subject: =?utf-8?B?YW5hLnF1aXNwZUBleGFt?=\r\n =?utf-8?Q?ple.org?=\r\n\r\nhi\r\n",
            "X: ana.quispe@\r\n example.org\r\n\r\nhi\r\n",
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSXQgaXMgYW5hLnF1aXNwZUBleGFtcGxlLm9yZw==\r\n",
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nana=2Equispe=40exam=\r\nple.org\r\n",
            "Content-Type: text/html\r\n\r\n<a href=\"mailto:ana.quispe%40example.org\">me</a>\r\n",
            "Content-Type: text/html\r\n\r\nana&#46;quispe&#x40;example&period;org\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAAYW5hLnF1aXNwZUBleGFtcGxlLm9yZwAA\r\n--b--\r\n",
        ] {
            assert_eq!(found(letter.as_bytes(), ana), [ana.address], "{letter}");
        }
        assert!(found(b"Subject: ana\r\n\r\nAna Quispe, quispe@example.org\r\n", ana).is_empty());
    }
}
