//! A letter's Markdown made its two parts: plain text that is pleasant to read, and quiet HTML.
//!
//! The source is a template's. People's words enter it through [`escape`], so that they stay words.

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Parser, Tag, TagEnd};

/// The two parts of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Plain text, wrapped at [`WIDTH`] columns; lines end in LF.
    pub text: String,
    /// A whole HTML page.
    pub html: String,
}

/// Plain text is wrapped at this many columns (RFC 3676 4.2 advises under 78 and room for quoting); code and forms are not.
pub const WIDTH: usize = 72;

/// Renders a letter. `language` is a BCP 47 tag for screen readers, `title` the subject.
pub fn render(markdown: &str, language: &str, title: &str) -> Rendered {
    Rendered { text: to_text(markdown), html: page(&to_html(markdown), language, title) }
}

/// A person's words made harmless inside Markdown: no link, heading, list, emphasis or HTML comes of them. Line breaks stay line breaks.
/// Inside an indented block nothing is escaped: there each line of theirs is indented instead.
pub fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len() + 16);
    for (i, line) in words.trim().lines().enumerate() {
        if i > 0 {
            // A hard break (CommonMark 6.7): an empty line would end the list item or quotation that the words stand in.
            out.push_str("\\\n");
        }
        for c in line.trim().chars() {
            match c {
                // CommonMark 2.4: any ASCII punctuation may be escaped.
                c if c.is_ascii_punctuation() => out.extend(['\\', c]),
                c if c.is_control() => out.push(' '),
                c => out.push(c),
            }
        }
    }
    out
}

/// The plain text of a letter.
pub fn to_text(markdown: &str) -> String {
    let mut writer = TextWriter::default();
    for event in Parser::new(markdown) {
        writer.event(event);
    }
    writer.flush();
    writer.out.truncate(writer.out.trim_end().len());
    writer.out.push('\n');
    writer.out
}

/// The body of the HTML part. HTML in the source is shown, not meant; pictures are their words; a link goes to the web or to a mailbox.
pub fn to_html(markdown: &str) -> String {
    let mut closing: Vec<bool> = Vec::new();
    let events = Parser::new(markdown).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => Event::Text(CowStr::Borrowed("")),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let good = is_safe_link(&dest_url);
            closing.push(good);
            if good { Event::Start(Tag::Link { link_type, dest_url, title, id }) } else { Event::Text(CowStr::Borrowed("")) }
        }
        Event::End(TagEnd::Link) if closing.pop() == Some(false) => Event::Text(CowStr::Borrowed("")),
        Event::Start(Tag::CodeBlock(_)) => Event::InlineHtml(CowStr::Borrowed("<pre style=\"white-space:pre-wrap;font:inherit;font-family:monospace\">")),
        Event::End(TagEnd::CodeBlock) => Event::InlineHtml(CowStr::Borrowed("</pre>\n")),
        event => event,
    });
    let mut html = String::with_capacity(markdown.len() * 3 / 2);
    pulldown_cmark::html::push_html(&mut html, events);
    html
}

fn is_safe_link(url: &str) -> bool {
    let lower = url.trim().to_ascii_lowercase();
    ["https://", "http://", "mailto:"].iter().any(|scheme| lower.starts_with(scheme))
}

/// The page around the body: no colours, so that it follows the reader's light or dark; a column of readable width; the language for screen readers.
fn page(body: &str, language: &str, title: &str) -> String {
    let language: String = language.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(35).collect();
    let direction = if ["ar", "fa", "he", "ur", "yi"].contains(&language.split('-').next().unwrap_or_default()) { "rtl" } else { "ltr" };
    let safe_title = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!doctype html>\n<html lang=\"{language}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n<title>{safe_title}</title>\n<style>:root {{ color-scheme: light dark }}</style>\n</head>\n\
         <body style=\"margin:0;padding:1em\">\n<div style=\"max-width:38em;margin:0 auto;overflow-wrap:anywhere;font:1em/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif\">\n\
         {body}</div>\n</body>\n</html>\n"
    )
}

/// Writes events as plain text.
#[derive(Default)]
struct TextWriter {
    out: String,
    /// Words of the block that is being read; `\n` is a hard break.
    inline: String,
    /// What stands before each line: of the quotations and list items around it.
    prefixes: Vec<Prefix>,
    /// Open lists: the next number of an ordered one.
    lists: Vec<Option<u64>>,
    /// Open links: the address, and where their words begin.
    links: Vec<(String, usize)>,
    /// A code block is being read: the indent of its lines.
    code: Option<&'static str>,
    /// A heading is being read.
    heading: Option<HeadingLevel>,
    /// An empty line is due before the next block.
    gap: bool,
}

struct Prefix {
    /// The mark of a list item, until it has been written.
    first: Option<String>,
    rest: String,
}

impl TextWriter {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => self.inline.push_str(&text),
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => self.inline.push_str(&text),
            Event::TaskListMarker(done) => self.inline.push_str(if done { "[x] " } else { "[ ] " }),
            Event::SoftBreak => self.inline.push(' '),
            Event::HardBreak => self.inline.push('\n'),
            Event::Rule => {
                self.flush();
                self.separate();
                self.line("* * *");
                self.gap = true;
            }
        }
    }

    /// Words of a tight list item stand in no paragraph; so each block that begins writes what was read before it.
    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.flush(),
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some(level);
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.separate();
                self.prefixes.push(Prefix { first: None, rest: "> ".into() });
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                self.code = Some(match kind {
                    CodeBlockKind::Indented => "    ",
                    CodeBlockKind::Fenced(_) => "",
                });
            }
            Tag::List(number) => {
                self.flush();
                self.lists.push(number);
            }
            Tag::Item => {
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number = number.saturating_add(1);
                        format!("{}. ", *number - 1)
                    }
                    Some(None) | None => "- ".into(),
                };
                self.separate();
                let rest = " ".repeat(mark.len());
                self.prefixes.push(Prefix { first: Some(mark), rest });
            }
            Tag::Strong => self.inline.push('*'),
            Tag::Link { dest_url, .. } => self.links.push((dest_url.to_string(), self.inline.len())),
            // What is only words, and extensions that are not switched on.
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => {
                self.flush();
                self.gap = true;
            }
            TagEnd::Heading(_) => {
                let width = self.inline.chars().count().min(WIDTH);
                let under = if self.heading.take() == Some(HeadingLevel::H1) { "=" } else { "-" };
                self.flush();
                self.line(&under.repeat(width));
                self.gap = true;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.prefixes.pop();
                self.gap = true;
            }
            TagEnd::CodeBlock => {
                let (text, indent) = (std::mem::take(&mut self.inline), self.code.take().unwrap_or_default());
                self.separate();
                for line in text.trim_end_matches('\n').split('\n') {
                    self.line(&format!("{indent}{line}"));
                }
                self.gap = true;
            }
            TagEnd::Item => {
                self.flush();
                // An item without words still has its mark.
                if self.prefixes.last().is_some_and(|p| p.first.is_some()) {
                    self.line("");
                }
                self.prefixes.pop();
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.gap = self.gap || self.lists.is_empty();
            }
            TagEnd::Strong => self.inline.push('*'),
            TagEnd::Link => self.link(),
            _ => {}
        }
    }

    /// `words <https://…>`; the address alone where the words are the address.
    fn link(&mut self) {
        let Some((url, start)) = self.links.pop() else { return };
        let words = self.inline.get(start..).unwrap_or_default();
        let bare = |text: &str| text.trim_start_matches("mailto:").trim_end_matches('/').to_owned();
        if !url.is_empty() && bare(words) != bare(&url) {
            let url = url.strip_prefix("mailto:").unwrap_or(&url);
            self.inline.push_str(&format!(" <{url}>"));
        }
    }

    /// The empty line between two blocks.
    fn separate(&mut self) {
        if std::mem::take(&mut self.gap) && !self.out.is_empty() {
            let prefix: String = self.prefixes.iter().map(|p| p.rest.as_str()).collect();
            self.out.push_str(prefix.trim_end());
            self.out.push('\n');
        }
    }

    /// Writes the words read so far, wrapped.
    fn flush(&mut self) {
        if self.code.is_some() || self.inline.trim().is_empty() {
            return;
        }
        self.separate();
        let text = std::mem::take(&mut self.inline);
        let room = WIDTH.saturating_sub(self.prefixes.iter().map(|p| p.rest.len()).sum()).max(20);
        for part in text.trim_end().split('\n') {
            let mut line = String::new();
            let mut column = 0;
            for word in part.split_whitespace() {
                let width = word.chars().count();
                if column > 0 && column + 1 + width > room {
                    self.line(&line);
                    line.clear();
                    column = 0;
                }
                if column > 0 {
                    line.push(' ');
                    column += 1;
                }
                line.push_str(word);
                column += width;
            }
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        let mut whole = String::new();
        for prefix in &mut self.prefixes {
            whole.push_str(&prefix.first.take().unwrap_or_else(|| prefix.rest.clone()));
        }
        whole.push_str(line);
        self.out.push_str(whole.trim_end());
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_part_is_pleasant_plain_text() {
        for (markdown, text) in [
            ("# Hello Ana\n\nHow *are* **you**?\n", "Hello Ana\n=========\n\nHow are *you*?\n"),
            ("## Next\ntext", "Next\n----\n\ntext\n"),
            ("one\ntwo\\\nthree", "one two\nthree\n"),
            ("- a\n- b\n  c\n\nafter", "- a\n- b c\n\nafter\n"),
            ("1. a\n2. b\n   - c\n   - d\n3. e", "1. a\n2. b\n   - c\n   - d\n3. e\n"),
            ("- a\n\n- b\n\n  more", "- a\n\n- b\n\n  more\n"),
            ("> quoted\n>\n> more\n\nmine", "> quoted\n>\n> more\n\nmine\n"),
            ("[Leave](https://pairs.test/leave/x) now", "Leave <https://pairs.test/leave/x> now\n"),
            ("[help@pairs.test](mailto:help@pairs.test) <https://pairs.test/>", "help@pairs.test https://pairs.test/\n"),
            ("[Write to us](mailto:help@pairs.test)", "Write to us <help@pairs.test>\n"),
            ("a `code` <b>x</b> &amp; \\*", "a code <b>x</b> & *\n"),
            ("text\n\n* * *\n\nmore", "text\n\n* * *\n\nmore\n"),
            ("![a cat](https://x.example/cat.png)", "a cat\n"),
            ("", "\n"),
        ] {
            assert_eq!(to_text(markdown), text, "{markdown}");
        }
    }

    #[test]
    fn words_are_wrapped_but_forms_and_links_are_not() {
        let name = "Ana ".repeat(30);
        let form = format!("Fill in:\n\n    Name: {name}\n    Town:\n\n    Hopes:\n\ndone");
        assert_eq!(to_text(&form), format!("Fill in:\n\n    Name: {}\n    Town:\n\n    Hopes:\n\ndone\n", name.trim_end()));
        assert_eq!(to_text("```\nName:   x\n  y\n```\nafter"), "Name:   x\n  y\n\nafter\n");
        let long = to_text(&format!("> - {}", "word ".repeat(40)));
        assert!(long.lines().count() > 2 && long.lines().all(|l| l.chars().count() <= WIDTH && l.starts_with("> ")), "{long}");
        let url = format!("https://pairs.test/{}", "x".repeat(100));
        assert!(to_text(&format!("See [this page]({url}) please")).contains(&format!("<{url}>")));
    }

    #[test]
    fn html_in_the_source_is_shown_and_not_meant() {
        let html = to_html("Hello <script>alert(1)</script>\n\n<div onclick=x>\nblock\n</div>\n\n[x](javascript:alert(1)) ![p](https://evil.example/p.png)");
        assert!(!html.contains("<script") && !html.contains("<div") && !html.contains("<img") && !html.contains("javascript"), "{html}");
        assert!(html.contains("&lt;script&gt;") && html.contains("&lt;div onclick=x&gt;"), "{html}");
        assert_eq!(to_html("[a](https://x.example)"), "<p><a href=\"https://x.example\">a</a></p>\n");
        assert!(to_html("    Name: <x>\n").contains("Name: &lt;x&gt;\n</pre>"));
    }

    #[test]
    fn the_page_names_its_language_and_title() {
        let page = render("مرحبا", "ar", "a <b> & c").html;
        assert!(page.contains("<html lang=\"ar\" dir=\"rtl\">") && page.contains("<title>a &lt;b&gt; &amp; c</title>"), "{page}");
        assert!(page.contains("color-scheme"));
    }

    #[test]
    fn the_words_of_people_stay_words() {
        for words in [
            "# not a heading",
            "[click](https://evil.example) <https://evil.example> ![x](y)",
            "<script>alert(1)</script> &lt; &amp;",
            "- no list\n1. no list\n+ no\n* no",
            "a\n===\nb\n---",
            "    no code\n\tno code\n```\nno fence",
            "*no* **no** _no_ `no` ~~no~~",
            "back\\slash \\* | table |",
            "[ref]: https://evil.example",
        ] {
            for template in ["{}", "- {}", "> {}", "Hopes: {} and more."] {
                let source = template.replace("{}", &escape(words));
                let tags = |html: &str| html.matches('<').count() - html.matches("<br />").count();
                let html = to_html(&source);
                assert_eq!(tags(&html), tags(&to_html(&template.replace("{}", "WORDS"))), "{words}: {html}");
                let squeezed = |t: &str| t.split_whitespace().filter(|w| *w != ">").collect::<Vec<_>>().join(" ");
                assert!(squeezed(&to_text(&source)).contains(&squeezed(words)), "{source}");
            }
        }
        assert_eq!(to_html(&escape("> one\n\ntwo")), "<p>&gt; one<br />\n<br />\ntwo</p>\n");
    }
}
