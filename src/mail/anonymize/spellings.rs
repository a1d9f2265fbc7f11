//! A text as everybody could read it: decoded, folded, without what nobody sees, and each byte knowing where it came from.
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

/// What was left out before a byte of a [`Folded`] text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Gap {
    /// Blanks or tabs.
    pub blank: bool,
    /// A line break, with the marks of a quote that follow it.
    pub line: bool,
    /// A tag of HTML.
    pub tag: bool,
}

impl Gap {
    /// Nothing at all stands between.
    pub fn is_none(self) -> bool {
        !(self.blank || self.line || self.tag)
    }
}

/// Bytes of text, each with the range of the source that it stands for. The source may be decoded several times over.
#[derive(Debug, Clone, Default)]
pub(super) struct Spelled {
    bytes: Vec<u8>,
    from: Vec<u32>,
    to: Vec<u32>,
    after_tag: Vec<bool>,
}

impl Spelled {
    /// A stretch of a plain text: each byte stands for itself.
    pub fn plain(text: &[u8], stretch: Range<usize>) -> Self {
        let (start, end) = (stretch.start as u32, stretch.end as u32);
        Self { bytes: text[stretch.clone()].to_vec(), from: (start..end).collect(), to: (start + 1..=end).collect(), after_tag: vec![false; stretch.len()] }
    }

    /// The words in a stretch of well-formed HTML, as a serialiser writes it: tags left out, its few entities decoded.
    pub fn page(html: &str, stretch: Range<usize>) -> Self {
        let mut out = Self::with_capacity(stretch.len());
        let source = &html.as_bytes()[..stretch.end];
        let (mut at, mut after_tag) = (stretch.start, false);
        while at < source.len() {
            match source[at] {
                b'<' => {
                    at = tag_end(source, at);
                    after_tag = true;
                    continue;
                }
                b'&' => {
                    if let Some((c, len)) = entity(&html[at..stretch.end]) {
                        out.push_char(c, at, at + len, after_tag);
                        at += len;
                    } else {
                        out.push(b'&', at, at + 1, after_tag);
                        at += 1;
                    }
                }
                byte => {
                    out.push(byte, at, at + 1, after_tag);
                    at += 1;
                }
            }
            after_tag = false;
        }
        out
    }

    fn with_capacity(n: usize) -> Self {
        Self { bytes: Vec::with_capacity(n), from: Vec::with_capacity(n), to: Vec::with_capacity(n), after_tag: Vec::with_capacity(n) }
    }

    fn push(&mut self, byte: u8, from: usize, to: usize, after_tag: bool) {
        self.bytes.push(byte);
        self.from.push(from as u32);
        self.to.push(to as u32);
        self.after_tag.push(after_tag);
    }

    fn push_char(&mut self, c: char, from: usize, to: usize, after_tag: bool) {
        for (i, byte) in c.encode_utf8(&mut [0; 4]).bytes().enumerate() {
            self.push(byte, from, to, after_tag && i == 0);
        }
    }

    /// The text's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in the source the bytes `at..end` come from, one range for each stretch between tags.
    pub fn sources(&self, at: usize, end: usize) -> Vec<(usize, usize)> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for i in at..end {
            let (from, to) = (self.from[i] as usize, self.to[i] as usize);
            match ranges.last_mut() {
                Some(last) if !self.after_tag[i] || i == at => last.1 = last.1.max(to),
                _ => ranges.push((from, to)),
            }
        }
        ranges
    }

    /// This text with `decode` tried wherever a byte of `marks` stands: it answers with what stands there and how many bytes that takes. `None` where nothing was decoded.
    fn decoded(&self, mark: u8, decode: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<Self> {
        if !self.bytes.contains(&mark) {
            return None;
        }
        let mut out: Option<Self> = None;
        let (mut at, mut copied) = (0, 0);
        while at < self.bytes.len() {
            let found = if self.bytes[at] == mark { decode(&self.bytes[at..]) } else { None };
            let Some((what, len)) = found else {
                at += 1;
                continue;
            };
            let out = out.get_or_insert_with(|| Self::with_capacity(self.bytes.len()));
            out.extend(self, copied, at);
            let (from, to) = (self.from[at] as usize, self.to[at + len - 1] as usize);
            let after_tag = self.after_tag[at];
            for (i, byte) in what.into_iter().enumerate() {
                out.push(byte, from, to, after_tag && i == 0);
            }
            at += len;
            copied = at;
        }
        if let Some(out) = &mut out {
            out.extend(self, copied, self.bytes.len());
        }
        out
    }

    fn extend(&mut self, other: &Self, at: usize, end: usize) {
        self.bytes.extend_from_slice(&other.bytes[at..end]);
        self.from.extend_from_slice(&other.from[at..end]);
        self.to.extend_from_slice(&other.to[at..end]);
        self.after_tag.extend_from_slice(&other.after_tag[at..end]);
    }

    /// Shows this text and the others that a mail client, a browser or a program of the web would take it for, each folded. Few texts have more than the first.
    pub fn each_reading(self, mut see: impl FnMut(Folded)) {
        // These look like ordinary text to what follows and to each other, so each starts from the text itself.
        const STARTS: [fn(&Spelled) -> Option<Spelled>; 3] = [Spelled::without_quoted_printable, Spelled::without_backslashes, Spelled::without_utf7];
        // Each of these can stand around the other (a percent sign in an entity, …), so they are undone one after the other.
        const UNDO: [fn(&Spelled) -> Option<Spelled>; 4] =
            [Spelled::without_entities, Spelled::without_percents, Spelled::without_entities, Spelled::without_percents];
        for start in STARTS {
            if let Some(mut reading) = start(&self) {
                for undo in UNDO {
                    if let Some(next) = undo(&reading) {
                        see(std::mem::replace(&mut reading, next).folded());
                    }
                }
                see(reading.folded());
            }
        }
        let mut reading = self;
        for undo in UNDO {
            if let Some(next) = undo(&reading) {
                see(std::mem::replace(&mut reading, next).folded());
            }
        }
        see(reading.folded());
    }

    fn without_entities(&self) -> Option<Self> {
        self.decoded(b'&', |text| {
            let head = &text[..text.len().min(12)];
            let head = std::str::from_utf8(head).unwrap_or_else(|e| std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default());
            entity(head).map(|(c, len)| (c.to_string().into_bytes(), len))
        })
    }

    fn without_percents(&self) -> Option<Self> {
        self.decoded(b'%', |text| Some((vec![hex(text.get(1..3)?)? as u8], 3)))
    }

    fn without_quoted_printable(&self) -> Option<Self> {
        self.decoded(b'=', |text| match text {
            [_, b'\n', ..] => Some((Vec::new(), 2)),
            [_, b'\r', b'\n', ..] => Some((Vec::new(), 3)),
            _ => Some((vec![hex(text.get(1..3)?)? as u8], 3)),
        })
    }

    fn without_backslashes(&self) -> Option<Self> {
        self.decoded(b'\\', |text| {
            let (digits, skip) = match text.get(1)? {
                b'u' => (text.get(2..6)?, 6),
                b'x' | b'\'' => (text.get(2..4)?, 4),
                b'\n' => return Some((Vec::new(), 2)),
                c if c.is_ascii_hexdigit() => {
                    let count = text[1..].iter().take(6).take_while(|c| c.is_ascii_hexdigit()).count();
                    let blank = usize::from(text.get(1 + count).is_some_and(|c| c.is_ascii_whitespace()));
                    (&text[1..=count], 1 + count + blank)
                }
                c if c.is_ascii_punctuation() => return Some((vec![*c], 2)),
                _ => return None,
            };
            Some((char::from_u32(hex(digits)?)?.to_string().into_bytes(), skip))
        })
    }

    fn without_utf7(&self) -> Option<Self> {
        self.decoded(b'+', |text| {
            let run = text[1..].iter().take(200).take_while(|c| c.is_ascii_alphanumeric() || **c == b'/').count();
            let wide = unbase64(&text[1..=run])?;
            // Only what would be ASCII: a word behind a plus decodes to something, too.
            if wide.len() < 2 || wide.len() % 2 != 0 || wide.chunks(2).any(|c| c[0] != 0 || !c[1].is_ascii_graphic()) {
                return None;
            }
            let dash = usize::from(text.get(1 + run) == Some(&b'-'));
            Some((wide.chunks(2).map(|c| c[1]).collect(), 1 + run + dash))
        })
    }

    /// The text as it is compared: no white space, no marks of quotes at the beginnings of lines, nothing invisible, compatibility forms and case folded.
    pub fn folded(self) -> Folded {
        let mut out =
            Folded { text: String::with_capacity(self.bytes.len()), origin: Vec::with_capacity(self.bytes.len()), gap: Vec::new(), spelled: Self::default() };
        out.gap.reserve(self.bytes.len());
        let (mut gap, mut line_start, mut at) = (Gap::default(), true, 0);
        while at < self.bytes.len() {
            gap.tag |= self.after_tag[at];
            let byte = self.bytes[at];
            match byte {
                b' ' | b'\t' | 0 | 0x0b | 0x0c => gap.blank = true,
                b'\r' | b'\n' => {
                    gap.line = true;
                    line_start = true;
                }
                b'>' | b'|' if line_start => {}
                _ if byte.is_ascii() => {
                    out.push(byte.to_ascii_lowercase() as char, at, at + 1, &mut gap);
                    line_start = false;
                }
                _ => {
                    let (c, len) = first_char(&self.bytes[at..]);
                    if c.is_whitespace() {
                        gap.blank = true;
                    } else if !is_unseen(c) {
                        fold_char(c, |c| out.push(c, at, at + len, &mut gap));
                        line_start = false;
                    }
                    at += len;
                    continue;
                }
            }
            at += 1;
        }
        out.spelled = self;
        out
    }
}

/// A text as it is compared, and the way back to its source.
#[derive(Debug)]
pub(super) struct Folded {
    /// What is compared.
    pub text: String,
    /// Per byte of `text`: the bytes of the spelled text.
    origin: Vec<(u32, u32)>,
    /// Per byte of `text`: what was left out before it.
    pub gap: Vec<Gap>,
    spelled: Spelled,
}

impl Folded {
    fn push(&mut self, c: char, at: usize, end: usize, gap: &mut Gap) {
        for _ in 0..c.len_utf8() {
            self.origin.push((at as u32, end as u32));
            self.gap.push(std::mem::take(gap));
        }
        self.text.push(c);
    }

    /// Where in the source the bytes `at..end` of the text come from, one range for each stretch between tags.
    pub fn sources(&self, at: usize, end: usize) -> Vec<(usize, usize)> {
        match (self.origin.get(at), end.checked_sub(1).and_then(|last| self.origin.get(last))) {
            (Some(first), Some(last)) if first.0 < last.1 => self.spelled.sources(first.0 as usize, last.1 as usize),
            _ => Vec::new(),
        }
    }
}

/// A word as [`Spelled::folded`] folds it.
pub(super) fn fold(word: &str) -> String {
    Spelled::plain(word.as_bytes(), 0..word.len()).folded().text
}

fn fold_char(c: char, mut push: impl FnMut(char)) {
    match c {
        // The ideographic full stops separate the labels of a domain as well (RFC 3490 3.1).
        '\u{3002}' | '\u{ff61}' => push('.'),
        _ => std::iter::once(c).nfkd().flat_map(char::to_lowercase).for_each(|c| match c {
            'ß' => ['s', 's'].into_iter().for_each(&mut push),
            _ if c.is_whitespace() || is_unseen(c) => {}
            _ => push(c),
        }),
    }
}

/// Whether a character takes no room on a page: default-ignorable ones (Unicode, DerivedCoreProperties.txt) and marks of direction.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// The first character of bytes that need not be UTF-8, and its length; U+FFFD for a byte that is none.
fn first_char(bytes: &[u8]) -> (char, usize) {
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

fn hex(digits: &[u8]) -> Option<u32> {
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
