//! HTML without what its reader doesn't see: an allow-list of elements and attributes, hidden text taken out, no picture from elsewhere.
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::RelayRefusal;
use super::addresses::Replacer;
use super::escapes::{entity, tag_end, unbase64};
use super::text::hidden_cargo;

/// Elements that pass; of all others that are no part of [`UNSHOWN`] the words pass.
const ELEMENTS: &str = "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption \
    figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup \
    table tbody td tfoot th thead time tr tt u ul var wbr";
/// Elements whose words nobody sees, or that run.
const UNSHOWN: &str = "head title style script noscript template object applet svg math textarea iframe frameset noembed noframes audio video canvas xml";
/// Attributes that say how something looks, on any element; their values are short words and numbers.
const LOOKS: &str = "align valign width height bgcolor color size dir lang colspan rowspan start type nowrap";

/// Elements within elements deeper than this are no letter.
const DEEPEST: usize = 1000;

/// Where links may lead.
const LINKS: [&str; 4] = ["http", "https", "mailto", "tel"];

/// What may pass, as ammonia knows it. `style`, `hidden` and `alt` pass it only to be looked at by [`pruned`].
static ALLOWED: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut allowed = ammonia::Builder::empty();
    allowed
        .tags(ELEMENTS.split_ascii_whitespace().chain(["o:p"]).collect())
        .clean_content_tags(UNSHOWN.split_ascii_whitespace().collect())
        .generic_attributes(LOOKS.split_ascii_whitespace().chain(["style", "hidden"]).collect())
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"])), ("img", HashSet::from(["src", "alt"]))]))
        .url_schemes(LINKS.into_iter().chain(["cid", "data"]).collect())
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(None);
    allowed
});

/// The pictures that a page may show: its letter's, and those that it holds itself.
pub(super) trait Pictures {
    /// The new Content-ID of the picture that had this one.
    fn known(&self, id: &str) -> Option<&str>;
    /// Takes a picture out of the page; gives its new Content-ID. Errors when it can't be made safe.
    fn taken_out(&mut self, picture: Vec<u8>) -> Result<String, RelayRefusal>;
}

/// A page as it may pass on, with its pictures under their new names.
pub(super) fn cleaned(html: &str, replacer: &Replacer, pictures: &mut impl Pictures) -> Result<String, RelayRefusal> {
    if is_too_deep(html) {
        return Err(RelayRefusal::TooNested);
    }
    let parsed = ALLOWED.clean(html).to_string();
    let pruned = pruned(&parsed, replacer, pictures)?;
    if let Some(refusal) = pruned.contains("-----BEGIN PGP ").then(|| hidden_cargo(&pruned.replace('>', "\n"))).flatten() {
        return Err(refusal);
    }
    let words = replacer.page(&pruned)?;
    let mut page = String::with_capacity(words.len() + 128);
    page.push_str("<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\"></head><body>\r\n");
    page.push_str(words.trim());
    page.push_str("\r\n</body></html>\r\n");
    Ok(page)
}

/// Whether elements lie within elements beyond what any letter has: a tree takes time by the square of its depth.
fn is_too_deep(html: &str) -> bool {
    const CLOSED_BY_OTHERS: [&str; 22] = [
        "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p", "param", "source", "td", "th", "tr",
        "track", "wbr",
    ];
    let mut depth = 0usize;
    for tag in html.split('<').skip(1) {
        let name = tag.strip_prefix('/').unwrap_or(tag);
        let name = &name[..name.bytes().take_while(u8::is_ascii_alphanumeric).count()];
        if name.is_empty() || CLOSED_BY_OTHERS.iter().any(|closed| name.eq_ignore_ascii_case(closed)) {
            continue;
        }
        depth = if tag.starts_with('/') { depth.saturating_sub(1) } else { depth + 1 };
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// Well-formed HTML without hidden elements and with the attributes that may stay.
fn pruned(html: &str, replacer: &Replacer, pictures: &mut impl Pictures) -> Result<String, RelayRefusal> {
    let mut out = String::with_capacity(html.len());
    // The name of the hidden element that we are inside of, and how many of its name are open.
    let mut hidden: Option<(&str, usize)> = None;
    let mut at = 0;
    while at < html.len() {
        let Some(start) = html[at..].find('<').map(|i| at + i) else {
            if hidden.is_none() {
                out.push_str(&html[at..]);
            }
            break;
        };
        if hidden.is_none() {
            out.push_str(&html[at..start]);
        }
        at = tag_end(html.as_bytes(), start);
        let tag = html[start + 1..at].trim_end_matches('>');
        match (&mut hidden, tag.strip_prefix('/')) {
            (Some((name, open)), Some(closed)) if closed == *name => {
                *open -= 1;
                if *open == 0 {
                    hidden = None;
                }
            }
            (Some(_), Some(_)) => {}
            (Some((name, open)), None) => *open += usize::from(element_name(tag) == *name),
            (None, Some("o:p")) => {}
            (None, Some(closed)) => {
                out.push_str("</");
                out.push_str(closed);
                out.push('>');
            }
            (None, None) => {
                let (name, attributes) = (element_name(tag), attributes(tag));
                if is_hidden(&attributes) {
                    hidden = (!is_void(name)).then_some((name, 1));
                } else if name != "o:p" {
                    open_tag(&mut out, name, &attributes, replacer, pictures)?;
                }
            }
        }
    }
    Ok(out)
}

fn open_tag(out: &mut String, name: &str, attributes: &[(&str, Cow<'_, str>)], replacer: &Replacer, pictures: &mut impl Pictures) -> Result<(), RelayRefusal> {
    let value = |wanted: &str| attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_ref());
    if name == "img" {
        let src = value("src").unwrap_or_default();
        let id = match embedded(src) {
            Some(picture) => Some(pictures.taken_out(picture)?),
            None => picture_id(src, pictures).map(str::to_owned),
        };
        let Some(id) = id else {
            // A picture from elsewhere tells its server who reads, when and where. A smiley is as good in words.
            let alt = value("alt").unwrap_or_default();
            if !alt.chars().any(char::is_alphanumeric) {
                out.push_str(&escaped(alt));
            }
            return Ok(());
        };
        out.push_str("<img src=\"cid:");
        out.push_str(&id);
        out.push('"');
    } else {
        out.push('<');
        out.push_str(name);
    }
    for (attribute, value) in attributes {
        let value = match *attribute {
            "src" | "hidden" => continue,
            "href" => {
                let link: String = value.chars().filter(|c| !c.is_control()).collect();
                let scheme = link.trim_start().split(':').next().unwrap_or_default().to_ascii_lowercase();
                if !LINKS.contains(&scheme.as_str()) {
                    continue;
                }
                Cow::Owned(replacer.plain(&link)?.into_owned())
            }
            "style" => Cow::Owned(plain_style(value)),
            "alt" => replacer.plain(value)?,
            _ if value.len() <= 20 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"#%.-".contains(&b)) => Cow::Borrowed(value.as_ref()),
            _ => continue,
        };
        if !value.is_empty() || *attribute == "alt" {
            out.push(' ');
            out.push_str(attribute);
            out.push_str("=\"");
            out.push_str(&escaped(&value));
            out.push('"');
        }
    }
    out.push('>');
    Ok(())
}

/// The new Content-ID of the picture that a `cid:` address (RFC 2392) means.
fn picture_id<'p>(src: &str, pictures: &'p impl Pictures) -> Option<&'p str> {
    let id = src.trim().get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).map(|_| &src.trim()[4..])?;
    pictures.known(id).or_else(|| pictures.known(&String::from_utf8_lossy(&percent_decoded(id))))
}

/// What a `data:` address (RFC 2397) holds.
fn embedded(src: &str) -> Option<Vec<u8>> {
    let rest = src.trim().get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &src.trim()[5..])?;
    let (kind, data) = rest.split_once(',')?;
    let data = percent_decoded(data);
    if !kind.to_ascii_lowercase().trim_end().ends_with(";base64") {
        return Some(data);
    }
    let letters: Vec<u8> = data.into_iter().filter(|b| !b.is_ascii_whitespace() && *b != b'=').collect();
    Some(unbase64(&letters).unwrap_or_default())
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    out
}

fn element_name(tag: &str) -> &str {
    tag.split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default()
}

fn is_void(name: &str) -> bool {
    matches!(name, "br" | "col" | "hr" | "img" | "wbr")
}

/// The attributes of a tag as a serialiser writes it, decoded.
fn attributes(tag: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut rest = &tag[element_name(tag).len()..];
    let mut all = Vec::new();
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else { break };
        all.push((name.trim(), decoded(value)));
        rest = after;
    }
    all
}

fn decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (c, len) = entity(&rest[at..]).unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '"', '<', '>']) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;"))
}

/// Whether an element is there but not to be seen: preheaders, tracking marks, text for filters.
fn is_hidden(attributes: &[(&str, Cow<'_, str>)]) -> bool {
    attributes.iter().any(|(name, value)| match *name {
        "hidden" => true,
        "style" => declarations(value).any(|(property, value)| {
            let is_zero = || value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%').parse::<f32>() == Ok(0.0);
            match property.as_str() {
                "display" => value == "none",
                "visibility" => value == "hidden" || value == "collapse",
                "mso-hide" => value == "all",
                "font-size" | "opacity" | "max-height" => is_zero(),
                _ => false,
            }
        }),
        _ => false,
    })
}

/// The declarations of a style attribute, in lower case, without `!important`.
fn declarations(style: &str) -> impl Iterator<Item = (String, String)> + '_ {
    style.split(';').filter_map(|declaration| {
        let (property, value) = declaration.split_once(':')?;
        let value = value.split('!').next().unwrap_or_default();
        Some((property.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase()))
    })
}

/// What of a style says how words look, in values of letters and numbers: nothing that loads, names a font, or was some program's own.
fn plain_style(style: &str) -> String {
    const KEPT: [&str; 9] =
        ["color", "background-color", "font-weight", "font-style", "text-align", "text-decoration", "vertical-align", "white-space", "direction"];
    let mut out = String::new();
    for (property, value) in declarations(style) {
        let is_plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"#%., ()-".contains(&b)) && !value.contains("url");
        if is_plain && KEPT.contains(&property.as_str()) {
            if !out.is_empty() {
                out.push_str("; ");
            }
            out.push_str(&property);
            out.push_str(": ");
            out.push_str(&value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address::EmailAddress;

    /// One known picture, and those taken out.
    #[derive(Default)]
    struct Album(Vec<Vec<u8>>);
    impl Pictures for Album {
        fn known(&self, id: &str) -> Option<&str> {
            (id == "7@mark.example").then_some("picture1.x@pairpost.localhost")
        }
        fn taken_out(&mut self, picture: Vec<u8>) -> Result<String, RelayRefusal> {
            self.0.push(picture);
            Ok(format!("taken{}@pairpost.localhost", self.0.len()))
        }
    }

    fn body_of(html: &str) -> String {
        let (real, alias) = (EmailAddress::parse("zoe@home.example").expect("an address"), EmailAddress::parse("w5@pairpost.localhost").expect("an address"));
        let replacer = Replacer::new([(&real, &alias)].into_iter());
        let page = cleaned(html, &replacer, &mut Album::default()).expect("passes");
        let body = page.split_once("<body>\r\n").and_then(|(_, rest)| rest.split_once("\r\n</body>"));
        body.expect("has a body").0.to_owned()
    }

    #[test]
    fn what_a_reader_sees_passes_and_nothing_else() {
        for (given, becomes) in [
            ("<p>Hours: <b>nine</b> to six.</p>", "<p>Hours: <b>nine</b> to six.</p>"),
            ("<html><head><title>mark</title><meta name=Generator content=mark><style>/* mark */</style></head><body><p>x</body></html>", "<p>x</p>"),
            ("<p class=gmail_quote id=mark data-x=mark onclick=mark name=mark>x</p>", "<p>x</p>"),
            ("<!-- mark --><!--[if mso]><p>mark</p><![endif]--><![if !mso]><i>x</i><![endif]>", "<i>x</i>"),
            ("<script>mark</script><template>mark</template><noscript>mark</noscript><svg><title>mark</title></svg><textarea>mark</textarea>x", "x"),
            ("<form action='https://mark.example'><input type=hidden value=mark><button>Send</button></form>", "Send"),
            ("x<!-- mark", "x"),
            ("x<a href=\"mailto:mark", "x"),
            ("<blockquote cite='mid:mark'>x</blockquote>", "<blockquote>x</blockquote>"),
            ("<p align=center dir=rtl width='1 mark'>x</p>", "<p align=\"center\" dir=\"rtl\">x</p>"),
            (
                "<p style=\"color:#333; font-family:'mark'; background:url(https://mark.example); mso-mark:1; TEXT-ALIGN: Center !important\">x</p>",
                "<p style=\"color: #333; text-align: center\">x</p>",
            ),
            ("<o:p>x</o:p><unknown-mark>y</unknown-mark>", "xy"),
        ] {
            assert_eq!(body_of(given), becomes, "{given}");
        }
    }

    #[test]
    fn hidden_elements_go_with_all_that_is_in_them() {
        for (hidden, tag) in [
            ("style='display:none'", "div"),
            ("style='DISPLAY : NONE !important'", "div"),
            ("style='visibility:hidden'", "span"),
            ("style='font-size:0px;line-height:0'", "span"),
            ("style='max-height:0;overflow:hidden'", "div"),
            ("style='opacity:0.0'", "section"),
            ("style='mso-hide:all'", "div"),
            ("hidden", "div"),
            ("style='display:none'", "o:p"),
        ] {
            let given = format!("a<{tag} {hidden}>mark<{tag}>mark</{tag}><img src='cid:7@mark.example'>mark</{tag}>z");
            let out = body_of(&given);
            assert_eq!(out, "az", "{given}");
        }
        assert_eq!(body_of("<b style='opacity:0.5;font-size:10px'>x</b>"), "<b>x</b>");
    }

    #[test]
    fn links_stay_with_the_address_in_them_replaced() {
        for (given, becomes) in [
            ("<a href='MAILTO:zoe@home.example'>me</a>", "<a href=\"MAILTO:w5@pairpost.localhost\">me</a>"),
            ("<a href=mailto:%7Aoe%40home.example>me</a>", "<a href=\"mailto:w5%40pairpost.localhost\">me</a>"),
            ("<a href='mail\nto:zoe\t@home.example'>me</a>", "<a href=\"mailto:w5@pairpost.localhost\">me</a>"),
            (
                "<a href='https://x.example/?a=1&amp;who=zoe@home.example' title='zoe@home.example'>x</a>",
                "<a href=\"https://x.example/?a=1&amp;who=w5@pairpost.localhost\">x</a>",
            ),
            ("<a href='javascript:mark'>x</a><a href='data:text/plain,mark'>y</a><a href='cid:7@mark.example'>z</a>", "<a>x</a><a>y</a><a>z</a>"),
        ] {
            assert_eq!(body_of(given), becomes, "{given}");
        }
    }

    #[test]
    fn pictures_of_the_letter_stay_and_pictures_from_elsewhere_go() {
        for (given, becomes) in [
            (
                "<img src='cid:7@mark.example' alt='of zoe@home.example' width=9 id=mark>",
                "<img src=\"cid:picture1.x@pairpost.localhost\" alt=\"of w5@pairpost.localhost\" width=\"9\">",
            ),
            ("<img src='CID:7%40mark.example'>", "<img src=\"cid:picture1.x@pairpost.localhost\">"),
            ("a<img src='https://open.mark.example/o.gif' alt='logo'>b", "ab"),
            ("a<img src='https://mail.mark.example/smile.png' alt='🙂'>b", "a🙂b"),
            ("a<img src='cid:other@mark.example'>b", "ab"),
            ("a<img src='data:image/gif;base64,R0lGODlh' alt=x>b", "a<img src=\"cid:taken1@pairpost.localhost\" alt=\"x\">b"),
        ] {
            assert_eq!(body_of(given), becomes, "{given}");
        }
    }

    #[test]
    fn a_picture_in_the_page_itself_is_read_as_browsers_read_it() {
        for src in ["data:image/gif;base64,R0lGODlh", "DATA:image/gif;charset=x;base64, R0lG%4FDlh", "data:,GIF89a", "data:image/gif,%47IF89a"] {
            assert_eq!(embedded(src).as_deref(), Some(&b"GIF89a"[..]), "{src}");
        }
        assert_eq!(embedded("https://x.example/data:,GIF89a"), None);
    }

    #[test]
    fn a_tree_without_end_is_refused_before_it_costs_time() {
        let replacer = Replacer::new(std::iter::empty());
        assert_eq!(cleaned(&"<div>".repeat(100_000), &replacer, &mut Album::default()), Err(RelayRefusal::TooNested));
        assert!(cleaned(&"<p>x<br>".repeat(20_000), &replacer, &mut Album::default()).is_ok());
        assert_eq!(cleaned("<pre>\n-----BEGIN PGP SIGNED MESSAGE-----\nx</pre>", &replacer, &mut Album::default()), Err(RelayRefusal::Signed));
    }
}
