//! The words of an HTML letter as plain text, line for line as a reader sees them.
//!
//! What other code then reads stays readable: a table row `Field | value` is one line `Field: value`, a `<blockquote>` comes out as lines
//! that begin with `> `, a rule as a line of underscores, and a signature that a client has marked stands under `-- `.
//! One pass, no recursion, so that no letter costs more than its length.

mod tokens;

use tokens::{Tag, Token, Tokens, unescaped};

/// The line that stands for `<hr>`: as Outlook writes it in plain text above what it quotes.
pub const RULE: &str = "________________________________";

/// HTML made text. Never fails; what is no HTML comes out as it is.
pub fn to_text(html: &str) -> String {
    let mut page = Page { stack: vec![Frame::new(Kind::Root)], lists: Vec::new(), hidden: None, pre: 0, quotes: 0 };
    let mut tokens = Tokens::new(html);
    while let Some(token) = tokens.next_token() {
        match token {
            Token::Text(text) => page.text(text),
            Token::Tag(tag) => page.tag(&tag),
        }
    }
    while page.stack.len() > 1 {
        page.close_top();
    }
    page.stack.pop().map(|f| f.text).unwrap_or_default()
}

/// Tables and quotations nested deeper than this are plain blocks: depth costs copies.
const MAX_FRAMES: usize = 32;
const MAX_QUOTES: usize = 8;

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Root,
    Quote,
    Table,
    /// With the cells finished so far.
    Row(Vec<String>),
    Cell,
}

/// Text under construction.
struct Frame {
    kind: Kind,
    text: String,
    /// Line breaks owed before the next word.
    breaks: usize,
    /// A blank owed before the next word.
    space: bool,
    /// There are words on the current line.
    line_open: bool,
    /// The line has only the mark of a list item: what comes next goes on behind it, be it a paragraph.
    marked: bool,
}

impl Frame {
    fn new(kind: Kind) -> Self {
        Self { kind, text: String::new(), breaks: 0, space: false, line_open: false, marked: false }
    }

    fn settle(&mut self) {
        if !self.text.is_empty() {
            (0..self.breaks).for_each(|_| self.text.push('\n'));
        }
        if self.space && self.line_open {
            self.text.push(' ');
        }
        (self.breaks, self.space, self.line_open, self.marked) = (0, false, true, false);
    }

    fn push(&mut self, c: char) {
        self.settle();
        self.text.push(c);
    }

    /// The edge of a block: at least `lines` line breaks before what follows.
    fn edge(&mut self, lines: usize) {
        (self.line_open, self.space) = (false, false);
        if !self.marked {
            self.breaks = self.breaks.max(lines);
        }
    }

    /// `<br>` ends the line, or makes an empty one where none is open.
    fn line_break(&mut self) {
        self.breaks = if self.line_open { self.breaks.max(1) } else { (self.breaks + 1).min(3) };
        (self.line_open, self.space) = (false, false);
    }

    fn block(&mut self, text: &str) {
        let text = text.trim_matches('\n');
        self.edge(1);
        if !text.trim().is_empty() {
            self.settle();
            self.text.push_str(text);
        }
        self.edge(1);
    }
}

struct Page {
    stack: Vec<Frame>,
    /// Open lists: the next number of an ordered one.
    lists: Vec<Option<u32>>,
    /// Inside an element with `display:none`: its name and how many of that name are open.
    hidden: Option<(String, usize)>,
    pre: usize,
    quotes: usize,
}

impl Page {
    fn top(&mut self) -> &mut Frame {
        if self.stack.is_empty() {
            self.stack.push(Frame::new(Kind::Root));
        }
        let last = self.stack.len() - 1;
        &mut self.stack[last]
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_some() {
            return;
        }
        let pre = self.pre > 0;
        let frame = self.top();
        for c in unescaped(text).chars() {
            match c {
                '\r' | '\u{200b}' | '\u{feff}' | '\u{ad}' | '\u{200c}' | '\u{34f}' => {}
                '\n' if pre => frame.line_break(),
                ' ' | '\t' | '\u{a0}' if pre => frame.push(' '),
                c if c.is_whitespace() || c == '\u{a0}' => frame.space = true,
                c => frame.push(c),
            }
        }
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        if let Some((hidden, depth)) = &mut self.hidden {
            if hidden == name {
                *depth = if tag.closing { *depth - 1 } else { *depth + 1 };
                if *depth == 0 {
                    self.hidden = None;
                }
            }
            return;
        }
        if !tag.closing && matches!(name, "div" | "span" | "p" | "td" | "table") && tag.is_hidden() {
            self.hidden = Some((name.to_owned(), 1));
            return;
        }
        match name {
            "br" => self.top().line_break(),
            "hr" => self.top().block(RULE),
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dl" | "figure" => self.top().edge(2),
            "ul" | "ol" => self.list(tag),
            "li" => self.item(tag.closing),
            "pre" => {
                self.top().edge(1);
                self.pre = if tag.closing { self.pre.saturating_sub(1) } else { (self.pre + 1).min(MAX_FRAMES) };
            }
            "blockquote" if tag.closing => self.close_to(|k| *k == Kind::Quote, |k| matches!(k, Kind::Cell | Kind::Table)),
            "blockquote" if self.quotes < MAX_QUOTES && self.open(Kind::Quote) => self.quotes += 1,
            "table" | "tr" | "td" | "th" => self.table(tag),
            "img" => self.picture(tag),
            "div" | "section" | "article" | "header" | "footer" | "address" | "form" | "center" | "body" | "html" | "head" | "dt" | "dd" | "main" | "nav"
            | "aside" | "fieldset" | "tbody" | "thead" | "tfoot" | "caption" | "blockquote" | "option" | "legend" | "figcaption" => {
                self.top().edge(1);
                if !tag.closing && tag.is_signature() {
                    self.signature();
                }
            }
            _ => {}
        }
    }

    /// A signature marked by the client: under the usual line, unless that is there already.
    fn signature(&mut self) {
        let frame = self.top();
        if !frame.text.is_empty() && !frame.text.trim_end().ends_with("\n--") {
            frame.block("-- ");
        }
    }

    fn list(&mut self, tag: &Tag<'_>) {
        let nested = !self.lists.is_empty();
        self.top().marked = false;
        self.top().edge(if nested { 1 } else { 2 });
        if tag.closing {
            self.lists.pop();
        } else if self.lists.len() < MAX_FRAMES {
            self.lists.push((tag.name == "ol").then_some(1));
        }
    }

    fn item(&mut self, closing: bool) {
        let mark = match self.lists.last_mut() {
            _ if closing => None,
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                Some(format!("{}. ", *number - 1))
            }
            Some(None) | None => Some("- ".to_owned()),
        };
        let frame = self.top();
        frame.marked = false;
        frame.edge(1);
        if let Some(mark) = mark {
            frame.settle();
            frame.text.push_str(&mark);
            (frame.marked, frame.line_open) = (true, false);
        }
    }

    /// The picture of an emoji has it in its `alt`; other pictures have no words that a writer wrote.
    fn picture(&mut self, tag: &Tag<'_>) {
        let alt = tag.attribute("alt").map(unescaped).unwrap_or_default();
        if !alt.is_empty() && alt.chars().count() <= 8 && alt.chars().all(|c| !c.is_ascii() && !c.is_alphanumeric()) {
            alt.chars().for_each(|c| self.top().push(c));
        }
    }

    fn table(&mut self, tag: &Tag<'_>) {
        let is_table = |k: &Kind| *k == Kind::Table;
        let is_row = |k: &Kind| matches!(k, Kind::Row(_));
        let is_cell = |k: &Kind| *k == Kind::Cell;
        match (tag.name.as_str(), tag.closing) {
            ("table", false) => {
                self.top().edge(1);
                self.open(Kind::Table);
            }
            ("table", true) => self.close_to(is_table, |_| false),
            ("tr", false) => {
                self.close_to(is_row, is_table);
                if self.top().kind == Kind::Table {
                    self.open(Kind::Row(Vec::new()));
                }
            }
            ("tr", true) => self.close_to(is_row, is_table),
            (_, false) => {
                self.close_to(is_cell, |k| is_row(k) || is_table(k));
                if is_row(&self.top().kind) {
                    self.open(Kind::Cell);
                }
            }
            (_, true) => self.close_to(is_cell, |k| is_row(k) || is_table(k)),
        }
    }

    fn open(&mut self, kind: Kind) -> bool {
        let room = self.stack.len() < MAX_FRAMES;
        if room {
            self.stack.push(Frame::new(kind));
        } else {
            self.top().edge(1);
        }
        room
    }

    /// Closes frames down to the innermost `wanted` one; nothing where a `barrier` stands before it.
    fn close_to(&mut self, wanted: impl Fn(&Kind) -> bool, barrier: impl Fn(&Kind) -> bool) {
        let found = self.stack.iter().rposition(|f| wanted(&f.kind) || barrier(&f.kind)).filter(|&i| i > 0 && wanted(&self.stack[i].kind));
        match found {
            Some(depth) => {
                while self.stack.len() > depth {
                    self.close_top();
                }
            }
            None => self.top().edge(1),
        }
    }

    fn close_top(&mut self) {
        let Some(frame) = self.stack.pop() else { return };
        match frame.kind {
            Kind::Root => self.stack.push(frame),
            Kind::Table => self.top().block(&frame.text),
            Kind::Quote => {
                self.quotes = self.quotes.saturating_sub(1);
                self.top().block(&quoted(&frame.text));
            }
            Kind::Row(cells) => {
                let line = row(&cells);
                // Words between the cells are bad HTML, but words.
                self.top().block(&frame.text);
                self.top().block(&line);
            }
            Kind::Cell => {
                let text = frame.text.trim().to_owned();
                match &mut self.top().kind {
                    Kind::Row(cells) => cells.push(text),
                    Kind::Root | Kind::Quote | Kind::Table | Kind::Cell => self.top().block(&text),
                }
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mark = |line: &str| match line {
        "" => ">".to_owned(),
        line if line.starts_with('>') => format!(">{line}"),
        line => format!("> {line}"),
    };
    text.trim_matches('\n').split('\n').map(mark).collect::<Vec<_>>().join("\n")
}

/// The cells of a row: a label and its value on one line, short cells side by side, anything longer below each other (tables for layout).
fn row(cells: &[String]) -> String {
    let cells: Vec<&str> = cells.iter().map(String::as_str).filter(|c| !c.is_empty()).collect();
    let single = |c: &str| !c.contains('\n');
    match cells.as_slice() {
        [label, value] if single(label) && label.ends_with([':', '：']) => format!("{label} {value}"),
        [label, value] if single(label) && single(value) && label.chars().count() <= 40 && label.ends_with(char::is_alphanumeric) => {
            format!("{label}: {value}")
        }
        cells if cells.iter().all(|c| single(c)) && cells.iter().map(|c| c.len()).sum::<usize>() <= 200 => cells.join(" "),
        cells => cells.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_the_lines_a_reader_sees() {
        for (html, expected) in [
            ("<p>Dear Ana,</p><p>yes.</p>", "Dear Ana,\n\nyes."),
            ("<div>Dear Ana,</div><div><br></div><div>yes.<br></div><div>Bo</div>", "Dear Ana,\n\nyes.\nBo"),
            ("one<br>two<br/><br />three", "one\ntwo\n\nthree"),
            ("  much\n   white&nbsp;&nbsp;\t space  ", "much white space"),
            ("a &lt;b&gt; &amp; &eacute;&#8217;&#x2019; &nosuch; AT&T &", "a <b> & é’’ &nosuch; AT&T &"),
            ("1 < 2 and <3 you", "1 < 2 and <3 you"),
            ("<ul><li>one</li><li><p>two</p></li></ul><ol><li>a<li>b</ol>", "- one\n- two\n\n1. a\n2. b"),
            ("<pre>  code\n   here</pre>after", "  code\n   here\nafter"),
            ("<style>p{}</style><script>if (a<b) {}</script><!-- <p>no</p> --><title>T</title>yes", "yes"),
            ("<div style=\"display: none\">pre<div>view</div>text</div>seen", "seen"),
            ("<p>Look <img src=x alt=\"😀\"> and <img src=y alt=logo></p>", "Look 😀 and"),
            ("words<hr>more", "words\n________________________________\nmore"),
            ("<a title=\"a > b\" href='x'>link</a>", "link"),
            ("<p class=\"never closed>text", "text"),
            ("<b unclosed=\">bold</b> text", "bold text"),
            ("", ""),
            ("plain words", "plain words"),
        ] {
            assert_eq!(to_text(html), expected, "{html}");
        }
    }

    #[test]
    fn form_lines_in_tables_are_one_line_each() {
        for (html, expected) in [
            ("<table><tr><td>Name:</td><td>Ana</td></tr><tr><td>Town:</td><td>Porto</td></tr></table>", "Name: Ana\nTown: Porto"),
            ("<table><tr><th>Name</th><td><p class=MsoNormal><b>Ana</b><o:p></o:p></p></td></tr></table>", "Name: Ana"),
            ("<table><tbody><tr><td><p>Hopes:</p></td><td><p>To learn.</p><p>And to teach.</p></td></tr></tbody></table>", "Hopes: To learn.\n\nAnd to teach."),
            ("<table><tr><td>Name:<td>Ana<tr><td>Town:<td>Porto</table>after", "Name: Ana\nTown: Porto\nafter"),
            ("<table><tr><td><table><tr><td>Name:</td><td>Ana</td></tr></table></td></tr></table>", "Name: Ana"),
            ("<div>Name: Ana</div><div>Town: Porto</div>", "Name: Ana\nTown: Porto"),
            ("<span>Name: Ana</span><br><span>Town:</span> Porto", "Name: Ana\nTown: Porto"),
        ] {
            assert_eq!(to_text(html), expected, "{html}");
        }
    }

    #[test]
    fn quotations_are_marked_as_in_plain_text() {
        for (html, expected) in [
            ("Yes<blockquote>Do you?<blockquote>older</blockquote></blockquote>", "Yes\n> Do you?\n>> older"),
            ("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\nc"),
            ("<table><tr><td>cell</blockquote></td></tr></table>", "cell"),
            ("<blockquote>open", "> open"),
        ] {
            assert_eq!(to_text(html), expected, "{html}");
        }
        assert_eq!(to_text("Bye<div class=\"x gmail_signature\">Ana<br>Porto</div>"), "Bye\n-- \nAna\nPorto");
    }

    #[test]
    fn deep_and_broken_html_costs_no_more_than_its_length() {
        for piece in [
            "<blockquote>x<br>",
            "<table><tr><td>x",
            "<a \"",
            "<a =\"",
            "<a ='\"",
            "<",
            "<!--",
            "<pre>\n",
            "</td></tr></table></blockquote>",
            "<ol><li>",
            "&#x1;&",
        ] {
            let html = piece.repeat(40_000);
            assert!(to_text(&html).len() <= html.len() * 3, "{piece}");
        }
    }
}
