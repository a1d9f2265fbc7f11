//! How a letter is built, in one walk over its octets and without a copy: how large its header is, how many parts it has, how deep they stand in each other.

use super::lines::lines;

/// How much of each is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Octets of the header.
    pub header: usize,
    /// Parts in all (RFC 2046 5.1), the letter itself among them.
    pub parts: usize,
    /// Parts within parts, letters within letters.
    pub depth: usize,
}

/// What is beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The header.
    Header,
    /// Parts in all.
    Parts,
    /// Parts within parts.
    Depth,
}

impl Excess {
    /// One word, for figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header-too-large",
            Self::Parts => "too-many-parts",
            Self::Depth => "too-deep",
        }
    }
}

/// Walks over the letter until its end, or until something is beyond its limit.
///
/// # Errors
/// What is beyond its limit, in a letter that is then not to be read.
pub fn measure(raw: &[u8], limits: Limits) -> Result<(), Excess> {
    let mut walk = Walk { limits, within: Vec::new(), parts: 1, header: Some(Header::default()) };
    let mut at = 0;
    for line in lines(raw) {
        at += line.len();
        if walk.parts == 1 && walk.header.is_some() && walk.within.is_empty() && at > limits.header {
            return Err(Excess::Header);
        }
        walk.line(line)?;
    }
    // A header without an end is one, too.
    walk.end_header()
}

/// What the walk stands in.
enum Frame {
    /// Parts between lines of this.
    Multipart { boundary: Vec<u8>, digest: bool },
    /// A letter that is a part.
    Letter,
}

struct Walk {
    limits: Limits,
    within: Vec<Frame>,
    parts: usize,
    /// The header that is being read.
    header: Option<Header>,
}

/// Of a header only the kind of what follows matters.
#[derive(Default)]
struct Header {
    kind: Vec<u8>,
    /// The line before belonged to that field.
    inside: bool,
}

/// Of a Content-Type so much is read.
const LONGEST_KIND: usize = 16 << 10;

impl Walk {
    fn line(&mut self, line: &[u8]) -> Result<(), Excess> {
        if line.starts_with(b"--") && self.boundary(line)? {
            return Ok(());
        }
        let Some(header) = &mut self.header else { return Ok(()) };
        if line.trim_ascii().is_empty() {
            return self.end_header();
        }
        header.learn(line);
        Ok(())
    }

    /// A line that ends a part, begins one, or neither.
    fn boundary(&mut self, line: &[u8]) -> Result<bool, Excess> {
        let said = line[2..].trim_ascii_end();
        let ends = |boundary: &[u8]| said.strip_prefix(boundary).map(|rest| rest == b"--");
        let found = self.within.iter().rposition(|frame| match frame {
            Frame::Multipart { boundary, .. } => matches!(ends(boundary), Some(true)) || said == boundary.as_slice(),
            Frame::Letter => false,
        });
        let Some(at) = found else { return Ok(false) };
        let over = match &self.within[at] {
            Frame::Multipart { boundary, .. } => said != boundary.as_slice(),
            Frame::Letter => false,
        };
        self.within.truncate(if over { at } else { at + 1 });
        self.header = None;
        if !over {
            self.parts += 1;
            self.header = Some(Header::default());
        }
        if self.parts > self.limits.parts { Err(Excess::Parts) } else { Ok(true) }
    }

    fn end_header(&mut self) -> Result<(), Excess> {
        let Some(header) = self.header.take() else { return Ok(()) };
        let in_digest = matches!(self.within.last(), Some(Frame::Multipart { digest: true, .. }));
        let kind = if header.kind.is_empty() && in_digest { b"message/rfc822".to_vec() } else { header.kind };
        let is = |start: &[u8]| kind.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        if is(b"multipart/") {
            let boundary = boundary_of(&kind);
            self.within.extend((!boundary.is_empty()).then(|| Frame::Multipart { boundary, digest: is(b"multipart/digest") }));
        } else if is(b"message/rfc822") || is(b"message/global") || is(b"message/news") {
            self.within.push(Frame::Letter);
            self.parts += 1;
            self.header = Some(Header::default());
        }
        match () {
            () if self.within.len() > self.limits.depth => Err(Excess::Depth),
            () if self.parts > self.limits.parts => Err(Excess::Parts),
            () => Ok(()),
        }
    }
}

impl Header {
    fn learn(&mut self, line: &[u8]) {
        const NAME: &[u8] = b"content-type:";
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            self.inside = self.kind.is_empty() && line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        }
        if self.inside && self.kind.len() + line.len() < LONGEST_KIND {
            let value = if self.kind.is_empty() { line.get(NAME.len()..).unwrap_or_default().trim_ascii() } else { line.trim_ascii_end() };
            self.kind.extend(value);
        }
    }
}

/// The parameter `boundary`, quoted or not, also in pieces (`boundary*0=…`, RFC 2231 3).
fn boundary_of(kind: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for parameter in parameters(kind) {
        let Some(equals) = parameter.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = (parameter[..equals].trim_ascii(), parameter[equals + 1..].trim_ascii());
        let named = name.get(..8).is_some_and(|head| head.eq_ignore_ascii_case(b"boundary")) && matches!(name.get(8), None | Some(b'*'));
        if named {
            out.extend(unquoted(value));
        }
    }
    out.truncate(out.trim_ascii_end().len());
    out
}

/// What stands between semicolons outside of quotes.
fn parameters(kind: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    kind.split(move |&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == b';' && !quoted
    })
    .skip(1)
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return value.split(|byte| byte.is_ascii_whitespace() || *byte == b'(').next().unwrap_or_default().to_vec();
    };
    let mut out = Vec::new();
    let mut rest = inner.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => out.extend(rest.next()),
            byte => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: Limits = Limits { header: 10_000, parts: 10, depth: 3 };

    fn of(letter: &str) -> Result<(), Excess> {
        measure(letter.replace('\n', "\r\n").as_bytes(), MANY)
    }

    fn mixed(boundary: &str, inner: &str) -> String {
        format!("Content-Type: multipart/mixed;\n boundary=\"{boundary}\"\n\n--{boundary}\n{inner}\n--{boundary}--\n")
    }

    #[test]
    fn ordinary_letters_are_within_the_limits() {
        for letter in [
            "From: a@b.example\n\nHello\n--\nAna\n".to_owned(),
            String::new(),
            "\n".to_owned(),
            "Subject: no body".to_owned(),
            mixed("a", "\nText"),
            mixed("a", &mixed("b", &mixed("c", "\nText"))),
            "Content-Type: multipart/mixed; boundary=a\n\n--a\n--a--\n--a\n--a\n".to_owned(),
        ] {
            assert_eq!(of(&letter), Ok(()), "{letter}");
        }
    }

    #[test]
    fn letters_built_to_be_laborious_are_not() {
        let deep = (0..4).fold(String::from("\nText"), |inner, level| mixed(&format!("b{level}"), &inner));
        let letters = "Content-Type: message/rfc822\n\n".repeat(4);
        let pieces = mixed("ab", &"--ab\n\n".repeat(20)).replace("boundary=\"ab\"", "boundary*0=a; boundary*1=\"b\"");
        for (letter, excess) in [
            (format!("X: {}\n\n", "x".repeat(10_000)), Excess::Header),
            ("X: y\n".repeat(3000), Excess::Header),
            (mixed("a", &"--a\n\nText\n".repeat(10)), Excess::Parts),
            (pieces, Excess::Parts),
            (deep, Excess::Depth),
            (letters, Excess::Depth),
            (format!("Content-Type: multipart/digest; boundary=a (b)\n\n--a\n\n{}", mixed("b", &mixed("c", &mixed("d", "")))), Excess::Depth),
        ] {
            assert_eq!(of(&letter), Err(excess), "{letter}");
        }
    }

    #[test]
    fn a_large_letter_full_of_dashes_is_walked_over_once() {
        let open = (0..3).map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n")).collect::<String>();
        let letter = format!("{open}\r\n{}", "--x\r\n".repeat(1 << 20));
        let began = std::time::Instant::now();
        assert_eq!(measure(letter.as_bytes(), MANY), Ok(()));
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }
}
