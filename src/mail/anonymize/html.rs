//! HTML without what its reader doesn't see: an allow-list of elements and attributes, hidden text taken out, no picture from elsewhere.
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::RelayRefusal;
use super::addresses::Replacer;
use super::spellings::{entity, tag_end};
use super::text::hidden_cargo;

/// Elements that pass; of all others that are no part of [`UNSHOWN`] the words pass.
const ELEMENTS: &str = "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption \
    figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup \
    table tbody td tfoot th thead time tr tt u ul var wbr";
/// Elements whose words nobody sees, or that run.
const UNSHOWN: &str = "head title style script noscript template object applet svg math textarea iframe frameset noembed noframes audio video canvas xml";
/// Attributes that say how something looks, on any element; their values are short words and numbers.
const LOOKS: &str = "align valign width height bgcolor color size dir lang colspan rowspan start type nowrap";

/// What may pass, as ammonia knows it. `style`, `hidden` and `alt` pass it only to be looked at by [`pruned`].
static ALLOWED: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut allowed = ammonia::Builder::empty();
    allowed
        .tags(ELEMENTS.split_ascii_whitespace().chain(["o:p"]).collect())
        .clean_content_tags(UNSHOWN.split_ascii_whitespace().collect())
        .generic_attributes(LOOKS.split_ascii_whitespace().chain(["style", "hidden"]).collect())
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"])), ("img", HashSet::from(["src", "alt"]))]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "cid"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(None);
    allowed
});

/// A page as it may pass on. `pictures` maps the Content-ID of each picture in the letter to its new one.
pub(super) fn cleaned(html: &str, replacer: &Replacer, pictures: &HashMap<String, String>) -> Result<String, RelayRefusal> {
    let parsed = ALLOWED.clean(html).to_string();
    let pruned = pruned(&parsed, replacer, pictures)?;
    if let Some(refusal) = pruned.contains("-----BEGIN PGP ").then(|| hidden_cargo(&pruned.replace('>', "\n"))).flatten() {
        return Err(refusal);
    }
    let words = replacer.page(&pruned)?;
    let mut page = String::with_capacity(words.len() + 128);
    page.push_str("<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\"></head><body>\r\n");
    page.push_str(&words);
    page.push_str("\r\n</body></html>\r\n");
    Ok(page)
}

/// Well-formed HTML without hidden elements and with the attributes that may stay.
fn pruned(html: &str, replacer: &Replacer, pictures: &HashMap<String, String>) -> Result<String, RelayRefusal> {
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

fn open_tag(
    out: &mut String,
    name: &str,
    attributes: &[(&str, Cow<'_, str>)],
    replacer: &Replacer,
    pictures: &HashMap<String, String>,
) -> Result<(), RelayRefusal> {
    let value = |wanted: &str| attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_ref());
    if name == "img" {
        let Some(id) = value("src").and_then(|src| picture_id(src, pictures)) else {
            // A picture from elsewhere tells its server who reads, when and where. A smiley is as good in words.
            let alt = value("alt").unwrap_or_default();
            if !alt.chars().any(char::is_alphanumeric) {
                out.push_str(&escaped(alt));
            }
            return Ok(());
        };
        out.push_str("<img src=\"cid:");
        out.push_str(id);
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
                let points_outside = !link.trim_start().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid:"));
                Cow::Owned(if points_outside { replacer.plain(&link)?.into_owned() } else { String::new() })
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
fn picture_id<'p>(src: &str, pictures: &'p HashMap<String, String>) -> Option<&'p str> {
    let id = src.trim().get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).map(|_| &src.trim()[4..])?;
    pictures.get(id).or_else(|| pictures.get(&percent_decoded(id))).map(String::as_str)
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
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
