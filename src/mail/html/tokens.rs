//! HTML cut into words and tags.
use mail_parser::decoders::html::add_html_token;

/// A piece of HTML.
pub enum Token<'x> {
    /// Words, not unescaped.
    Text(&'x str),
    /// A tag.
    Tag(Tag<'x>),
}

/// A tag and its attributes.
pub struct Tag<'x> {
    /// In lower case.
    pub name: String,
    /// `</…>`
    pub closing: bool,
    attributes: &'x str,
}

impl<'x> Tag<'x> {
    /// The value of an attribute, not unescaped.
    pub fn attribute(&self, wanted: &str) -> Option<&'x str> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            let name_end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '/').unwrap_or(rest.len());
            let (name, after) = rest.split_at(name_end);
            let after = after.trim_start();
            let (value, next) = match after.strip_prefix('=') {
                None => ("", after),
                Some(value) => {
                    let value = value.trim_start();
                    match value.chars().next().filter(|q| matches!(q, '"' | '\'')) {
                        Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
                        None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
                    }
                }
            };
            if name.eq_ignore_ascii_case(wanted) {
                return Some(value);
            }
            // A stray `=` gives an empty name; step over it.
            if next.len() == rest.len() || next.is_empty() {
                return None;
            }
            rest = next;
        }
    }

    /// Its style hides it.
    pub fn is_hidden(&self) -> bool {
        self.attribute("style").is_some_and(|style| {
            let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
            style.contains("display:none")
        })
    }

    /// A mail client marks its writer's signature so.
    pub fn is_signature(&self) -> bool {
        self.attribute("class").is_some_and(|c| c.split_whitespace().any(|c| matches!(c, "gmail_signature" | "moz-signature")))
            || self.attribute("id").is_some_and(|id| matches!(id, "Signature" | "signature" | "ms-outlook-mobile-signature"))
    }
}

/// Splits HTML into words and tags; comments, declarations, scripts and style sheets are stepped over.
pub struct Tokens<'x> {
    html: &'x str,
    at: usize,
    /// A `"` or `'` that opens a value has no partner in the rest: it is not looked for again, so that each byte is read a bounded number of times.
    unclosed: [bool; 2],
}

impl<'x> Tokens<'x> {
    /// Reads `html` from its beginning.
    pub fn new(html: &'x str) -> Self {
        Self { html, at: 0, unclosed: [false; 2] }
    }

    /// The next piece; `None` at the end.
    pub fn next_token(&mut self) -> Option<Token<'x>> {
        loop {
            let rest = &self.html[self.at..];
            if rest.is_empty() {
                return None;
            }
            let Some(start) = tag_start(rest) else {
                self.at = self.html.len();
                return Some(Token::Text(rest));
            };
            if start > 0 {
                self.at += start;
                return Some(Token::Text(&rest[..start]));
            }
            if let Some(comment) = rest.strip_prefix("<!--") {
                self.at = comment.find("-->").map_or(self.html.len(), |end| self.at + 4 + end + 3);
                continue;
            }
            let Some(end) = self.tag_end() else {
                self.at = self.html.len();
                return None;
            };
            let inside = &self.html[self.at + 1..end];
            self.at = end + 1;
            let closing = inside.starts_with('/');
            let inside = inside.trim_start_matches('/');
            let name_end = inside.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(inside.len());
            let name = inside[..name_end].to_ascii_lowercase();
            if !closing && matches!(name.as_str(), "script" | "style" | "title" | "template") {
                self.skip_past(&name);
                continue;
            }
            if !name.starts_with(['!', '?']) {
                return Some(Token::Tag(Tag { name, closing, attributes: &inside[name_end..] }));
            }
        }
    }

    /// Where the `>` of the tag at `self.at` stands.
    fn tag_end(&mut self) -> Option<usize> {
        let bytes = self.html.as_bytes();
        let (mut at, mut after_equals) = (self.at + 1, false);
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'>' => return Some(at),
                b'"' | b'\'' if after_equals && !self.unclosed[usize::from(byte == b'"')] => {
                    match bytes[at + 1..].iter().position(|&b| b == byte) {
                        Some(length) => at += length + 1,
                        None => self.unclosed[usize::from(byte == b'"')] = true,
                    }
                    after_equals = false;
                }
                b'=' => after_equals = true,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => after_equals = false,
            }
            at += 1;
        }
        None
    }

    fn skip_past(&mut self, name: &str) {
        let bytes = self.html.as_bytes();
        let mut at = self.at;
        while let Some(found) = bytes[at..].iter().position(|&b| b == b'<') {
            at += found + 1;
            let is_end = bytes.get(at) == Some(&b'/') && bytes.get(at + 1..at + 1 + name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()));
            if is_end {
                self.at = at - 1;
                return;
            }
        }
        self.at = bytes.len();
    }
}

/// The next `<` that begins a tag: one before a letter, `/`, `!` or `?`.
fn tag_start(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().position(|(i, &b)| b == b'<' && bytes.get(i + 1).is_some_and(|n| n.is_ascii_alphabetic() || matches!(n, b'/' | b'!' | b'?')))
}

/// Character references resolved; a bare `&` stays.
pub fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'#';
        let end = 1 + rest.as_bytes()[1..].iter().take(32).take_while(|b| is_name(b)).count();
        if end > 1 && rest.as_bytes().get(end) == Some(&b';') {
            add_html_token(&mut out, &rest.as_bytes()[..=end], false);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}
