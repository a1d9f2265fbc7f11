//! A text as everybody could read it: decoded, folded, without what nobody sees, and each byte knowing where it came from.
use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::escapes::{entity, first_char, hex, is_unseen, tag_end, unbase64};

/// What was left out before a byte of a [`Folded`] text; several at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Gap(u8);

impl Gap {
    const BLANK: u8 = 1;
    const LINE: u8 = 2;
    const TAG: u8 = 4;
    const CONTROL: u8 = 8;

    /// Nothing at all stands between.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Blanks and nothing else: no line break (with the marks of a quote behind it), no tag of HTML, no control character.
    pub fn is_blank_only(self) -> bool {
        self.0 == Self::BLANK
    }
}

/// Bytes of text, each with the range of the source that it stands for. The source may be decoded several times over.
#[derive(Debug, Clone, Default)]
pub(super) struct Spelled<'t> {
    bytes: Cow<'t, [u8]>,
    /// Where in the source the text begins, if it is a stretch of the source as it is; then `origin` is empty.
    start: usize,
    /// Per byte: from where to where in the source.
    origin: Vec<(u32, u32)>,
    /// Per byte: whether a tag stands before it; empty where there are none.
    tags: Vec<bool>,
}

impl<'t> Spelled<'t> {
    /// A stretch of a plain text: each byte stands for itself.
    pub fn plain(text: &'t [u8], stretch: Range<usize>) -> Self {
        Self { start: stretch.start, bytes: Cow::Borrowed(&text[stretch]), origin: Vec::new(), tags: Vec::new() }
    }

    /// The words in a stretch of well-formed HTML, as a serialiser writes it: tags left out, its few entities decoded.
    pub fn page(html: &'t str, stretch: Range<usize>) -> Self {
        let mut out = Self::with_capacity(stretch.len());
        let source = &html.as_bytes()[..stretch.end];
        let (mut at, mut after_tag) = (stretch.start, false);
        while at < source.len() {
            let len = match source[at] {
                b'<' => {
                    at = tag_end(source, at);
                    after_tag = true;
                    continue;
                }
                b'&' => {
                    let (c, len) = entity(&html[at..stretch.end]).unwrap_or(('&', 1));
                    out.push(c.encode_utf8(&mut [0; 4]).as_bytes(), (at, at + len), after_tag);
                    len
                }
                _ => {
                    let len = source[at..].iter().position(|b| matches!(b, b'<' | b'&')).unwrap_or(source.len() - at);
                    out.bytes.to_mut().extend_from_slice(&source[at..at + len]);
                    out.origin.extend((at as u32..(at + len) as u32).map(|i| (i, i + 1)));
                    out.tags.push(after_tag);
                    out.tags.resize(out.bytes.len(), false);
                    len
                }
            };
            at += len;
            after_tag = false;
        }
        out
    }

    fn with_capacity(n: usize) -> Self {
        Self { bytes: Cow::Owned(Vec::with_capacity(n)), start: 0, origin: Vec::with_capacity(n), tags: Vec::new() }
    }

    /// Adds bytes that together stand for a range of the source.
    fn push(&mut self, bytes: &[u8], (from, to): (usize, usize), after_tag: bool) {
        self.bytes.to_mut().extend_from_slice(bytes);
        self.origin.resize(self.bytes.len(), (from as u32, to as u32));
        self.tags.push(after_tag);
        self.tags.resize(self.bytes.len(), false);
    }

    /// The text's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn origin(&self, i: usize) -> (usize, usize) {
        match self.origin.get(i) {
            Some(&(from, to)) => (from as usize, to as usize),
            None => (self.start + i, self.start + i + 1),
        }
    }

    fn after_tag(&self, i: usize) -> bool {
        self.tags.get(i).is_some_and(|tag| *tag)
    }

    /// Where in the source the bytes `at..end` come from, one range for each stretch between tags.
    pub fn sources(&self, at: usize, end: usize) -> Vec<(usize, usize)> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for i in at..end {
            let (from, to) = self.origin(i);
            match ranges.last_mut() {
                Some(last) if !self.after_tag(i) => last.1 = last.1.max(to),
                _ => ranges.push((from, to)),
            }
        }
        ranges
    }

    /// This text with `decode` tried wherever `mark` stands: it answers with what stands there and how many bytes that takes. `None` where nothing was decoded.
    fn decoded(&self, mark: u8, decode: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Option<Spelled<'static>> {
        if !self.bytes.contains(&mark) {
            return None;
        }
        let mut out: Option<Spelled<'static>> = None;
        let (mut at, mut copied) = (0, 0);
        while let Some(next) = self.bytes[at..].iter().position(|b| *b == mark) {
            at += next;
            let Some((what, len)) = decode(&self.bytes[at..]) else {
                at += 1;
                continue;
            };
            let out = out.get_or_insert_with(|| Spelled::with_capacity(self.bytes.len()));
            self.copy_to(out, copied, at);
            let source = (self.origin(at).0, self.origin(at + len - 1).1);
            if !what.is_empty() {
                out.push(&what, source, self.after_tag(at));
            }
            at += len;
            copied = at;
        }
        if let Some(out) = &mut out {
            self.copy_to(out, copied, self.bytes.len());
        }
        out
    }

    fn copy_to(&self, out: &mut Spelled<'static>, at: usize, end: usize) {
        out.bytes.to_mut().extend_from_slice(&self.bytes[at..end]);
        match self.origin.get(at..end) {
            Some(origin) => out.origin.extend_from_slice(origin),
            None => out.origin.extend((self.start + at..self.start + end).map(|i| (i as u32, i as u32 + 1))),
        }
        match self.tags.get(at..end) {
            Some(tags) => out.tags.extend_from_slice(tags),
            None => out.tags.resize(out.bytes.len(), false),
        }
    }

    /// Shows this text and the others that a mail client, a browser or a program of the web would take it for, each folded; without the `rarer` ones
    /// only those that links and pages have. Few texts have more than the first.
    pub fn each_reading(self, rarer: bool, mut see: impl FnMut(Folded<'_>)) {
        self.each_of_programs(rarer, &mut see);
        self.each_unescaped(rarer, &mut see);
    }

    /// What one of these undoes looks like ordinary text to the others, so each starts from the text itself.
    fn each_of_programs(&self, wanted: bool, see: &mut impl FnMut(Folded<'_>)) {
        if wanted {
            let all = [self.without_quoted_printable(), self.without_backslashes(), self.without_utf7()];
            all.into_iter().flatten().for_each(|reading| reading.each_unescaped(false, see));
        }
    }

    /// Entities and percent signs can stand around each other, so they are undone one after the other, twice; what was inside of them may be of programs again.
    fn each_unescaped(self, rarer: bool, see: &mut impl FnMut(Folded<'_>)) {
        let (mut reading, mut changed) = (self, false);
        for undo in [Self::without_entities, Self::without_percents, Self::without_entities, Self::without_percents] {
            if let Some(next) = undo(&reading) {
                see(std::mem::replace(&mut reading, next).folded());
                changed = true;
            }
        }
        reading.each_of_programs(rarer && changed, see);
        see(reading.folded());
    }

    fn without_entities(&self) -> Option<Spelled<'static>> {
        self.decoded(b'&', |text| {
            let head = &text[..text.len().min(12)];
            let head = std::str::from_utf8(head).unwrap_or_else(|e| std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default());
            entity(head).map(|(c, len)| (c.to_string().into_bytes(), len))
        })
    }

    fn without_percents(&self) -> Option<Spelled<'static>> {
        self.decoded(b'%', |text| Some((vec![hex(text.get(1..3)?)? as u8], 3)))
    }

    fn without_quoted_printable(&self) -> Option<Spelled<'static>> {
        self.decoded(b'=', |text| match text {
            [_, b'\n', ..] => Some((Vec::new(), 2)),
            [_, b'\r', b'\n', ..] => Some((Vec::new(), 3)),
            _ => Some((vec![hex(text.get(1..3)?)? as u8], 3)),
        })
    }

    fn without_backslashes(&self) -> Option<Spelled<'static>> {
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

    fn without_utf7(&self) -> Option<Spelled<'static>> {
        self.decoded(b'+', |source| {
            let run = source[1..].iter().take(200).take_while(|c| c.is_ascii_alphanumeric() || **c == b'/').count();
            let wide = unbase64(&source[1..=run])?;
            let units = wide.as_chunks::<2>().0.iter().map(|unit| u16::from_be_bytes(*unit));
            let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
            if text.is_empty() || text.contains(char::is_control) {
                return None;
            }
            let dash = usize::from(source.get(1 + run) == Some(&b'-'));
            Some((text.into_bytes(), 1 + run + dash))
        })
    }

    /// The text as it is compared: no white space, no marks of quotes at the beginnings of lines, nothing invisible, compatibility forms and case folded.
    pub fn folded(self) -> Folded<'t> {
        let len = self.bytes.len();
        let mut out = Folded { text: String::with_capacity(len), origin: Vec::with_capacity(len), gap: Vec::with_capacity(len), spelled: Self::default() };
        let (mut gap, mut line_start, mut at) = (0, true, 0);
        while at < len {
            gap |= if self.after_tag(at) { Gap::TAG } else { 0 };
            match self.bytes[at] {
                b'\r' | b'\n' => {
                    gap |= Gap::LINE;
                    line_start = true;
                    at += 1;
                }
                b'>' | b'|' if line_start => at += 1,
                byte if byte.is_ascii_graphic() => {
                    let end = self.word_end(at);
                    out.push_word(&self.bytes[at..end], at, std::mem::take(&mut gap));
                    line_start = false;
                    at = end;
                }
                byte if byte.is_ascii() => {
                    gap |= if matches!(byte, b' ' | b'\t' | 0x0c) { Gap::BLANK } else { Gap::CONTROL };
                    at += 1;
                }
                _ => {
                    let (c, size) = first_char(&self.bytes[at..]);
                    if c.is_control() {
                        gap |= Gap::CONTROL;
                    } else if c.is_whitespace() {
                        gap |= Gap::BLANK;
                    } else if !is_unseen(c) {
                        fold_char(c, |c| out.push(c, at, std::mem::take(&mut gap)));
                        line_start = false;
                    }
                    at += size;
                }
            }
        }
        out.spelled = self;
        out
    }

    /// Where the ASCII letters, digits and signs end that begin at `at`; they don't reach over a tag.
    fn word_end(&self, at: usize) -> usize {
        let end = self.bytes[at..].iter().position(|b| !b.is_ascii_graphic()).map_or(self.bytes.len(), |i| at + i);
        match self.tags.get(at + 1..end).and_then(|tags| tags.iter().position(|tag| *tag)) {
            Some(i) => at + 1 + i,
            None => end,
        }
    }
}

/// A text as it is compared, and the way back to its source.
#[derive(Debug)]
pub(super) struct Folded<'t> {
    /// What is compared.
    pub text: String,
    /// Per byte of `text`: where the character begins in the spelled text.
    origin: Vec<u32>,
    /// Per byte of `text`: what was left out before it.
    pub gap: Vec<Gap>,
    spelled: Spelled<'t>,
}

impl Folded<'_> {
    fn push(&mut self, c: char, at: usize, gap: u8) {
        self.text.push(c);
        self.gap.push(Gap(gap));
        self.origin.resize(self.text.len(), at as u32);
        self.gap.resize(self.text.len(), Gap(0));
    }

    /// Adds graphic ASCII.
    fn push_word(&mut self, word: &[u8], at: usize, gap: u8) {
        let start = self.text.len();
        self.text.push_str(std::str::from_utf8(word).unwrap_or_default());
        self.text[start..].make_ascii_lowercase();
        self.origin.extend(at as u32..(at + word.len()) as u32);
        self.gap.push(Gap(gap));
        self.gap.resize(self.text.len(), Gap(0));
    }

    /// Where in the source the bytes `at..end` of the text come from, one range for each stretch between tags.
    pub fn sources(&self, at: usize, end: usize) -> Vec<(usize, usize)> {
        let (Some(&first), Some(&last)) = (self.origin.get(at), self.origin.get(end.wrapping_sub(1))) else { return Vec::new() };
        let last = last as usize;
        self.spelled.sources(first as usize, last + first_char(&self.spelled.bytes[last..]).1)
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
