//! Finds addresses that must not be seen, in whatever spelling, and puts others in their place.
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use md5::Digest;

use super::RelayRefusal;
use super::escapes::unbase64;
use super::spellings::{Folded, Spelled, fold};
use crate::domain::address::EmailAddress;

/// How often a text is gone through until nothing is found in it; an address that is still there stands in something we don't understand.
const ROUNDS: usize = 4;
/// Long texts are looked at in stretches of this many bytes …
const STRETCH: usize = 1 << 16;
/// … with so many of the text before …
const BEFORE: usize = 256;
/// … and so many behind: no address is longer, however it is spelled.
const BEHIND: usize = 4096;
/// In longer texts nobody spells an address in the ways of programs.
const RARER_UP_TO: usize = 2 << 20;
/// Whether base 64 stands for a text is seen from so many octets of it.
const SAMPLE: usize = 4096;
/// Base 64 shorter than this holds no address.
const BASE64_AT_LEAST: usize = 16;
/// A full stop and one of these behind an address ends a file's name and doesn't belong to the domain.
const FILE_ENDINGS: [&str; 27] = [
    "asc", "css", "csv", "doc", "docx", "eml", "gif", "gz", "htm", "html", "ics", "jpg", "jpeg", "json", "md", "odt", "pdf", "png", "ppt", "pptx", "rtf",
    "tif", "tiff", "txt", "vcf", "webp", "xml",
];

/// Addresses and what to write for each; made once per letter.
#[derive(Debug)]
pub(super) struct Replacer {
    known: Vec<Known>,
    /// Each domain in each of its forms, and who is at home there.
    domains: BTreeMap<String, Vec<usize>>,
    /// Hashes in hexadecimal digits, as avatar services use them, and those of the alias; made when a text has such digits.
    hashes: OnceCell<HashMap<String, String>>,
}

#[derive(Debug)]
struct Known {
    /// Before the `@` and before any tag (RFC 5233), folded.
    local: String,
    /// The host takes the local part with or without dots.
    dots_vary: bool,
    real: EmailAddress,
    alias: EmailAddress,
}

#[derive(Debug, PartialEq, Eq)]
struct Edit {
    from: usize,
    to: usize,
    with: Vec<u8>,
}

impl Replacer {
    /// Takes pairs of an address to hide and the one to write instead.
    pub fn new<'a>(pairs: impl Iterator<Item = (&'a EmailAddress, &'a EmailAddress)>) -> Self {
        let mut all = Self { known: Vec::new(), domains: BTreeMap::new(), hashes: OnceCell::new() };
        for (real, alias) in pairs.filter(|(real, alias)| real != alias) {
            let (local, domain) = (fold(real.local()), fold(real.domain()));
            let base = local.split('+').next().filter(|base| !base.is_empty()).unwrap_or(&local);
            let dots_vary = matches!(domain.as_str(), "gmail.com" | "googlemail.com");
            let local = if dots_vary { base.replace('.', "") } else { base.to_owned() };
            for form in domain_forms(&domain) {
                all.domains.entry(form).or_default().push(all.known.len());
            }
            all.known.push(Known { local, dots_vary, real: real.clone(), alias: alias.clone() });
        }
        all
    }

    /// Whether an address stands in a file's name, whatever stands around it: hyphens join words there, and "photo-ana@example.org" is no other's address.
    pub fn is_named_in(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.known.iter().any(|known| name.contains(&known.real.key()))
    }

    /// A plain text without the addresses.
    pub fn plain<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, RelayRefusal> {
        self.rewritten(text, |text, stretch| Spelled::plain(text.as_bytes(), stretch), |alias| alias.as_bytes().to_vec())
    }

    /// Well-formed HTML, in which `<` is nothing but the start of a tag, without the addresses in its words, also where tags split them.
    /// Attributes are not looked at.
    pub fn page<'t>(&self, html: &'t str) -> Result<Cow<'t, str>, RelayRefusal> {
        self.rewritten(html, |html, stretch| Spelled::page(html, stretch), |alias| alias.replace('&', "&amp;").replace('<', "&lt;").into_bytes())
    }

    fn rewritten<'t>(
        &self,
        text: &'t str,
        spell: impl Fn(&str, Range<usize>) -> Spelled<'_>,
        write: impl Fn(&str) -> Vec<u8>,
    ) -> Result<Cow<'t, str>, RelayRefusal> {
        let mut text = Cow::Borrowed(text);
        for _ in 0..ROUNDS {
            let mut edits = Vec::new();
            for (stretch, counts) in stretches(&text) {
                let spelled = spell(&text, stretch);
                self.in_base64(&spelled, &mut edits);
                self.found(spelled, text.as_bytes(), &write, &counts, &mut edits);
            }
            if edits.is_empty() {
                return Ok(text);
            }
            let bytes = applied(text.as_bytes(), edits);
            text = Cow::Owned(String::from_utf8(bytes).map_err(|_| RelayRefusal::AddressStays)?);
        }
        Err(RelayRefusal::AddressStays)
    }

    /// Adds what to change in `source` so that no reading of it shows an address that begins where it counts.
    fn found(&self, spelled: Spelled<'_>, source: &[u8], write: &impl Fn(&str) -> Vec<u8>, counts: &Range<usize>, edits: &mut Vec<Edit>) {
        let rarer = source.len() <= RARER_UP_TO;
        spelled.each_reading(rarer, |folded| {
            for (domain, people) in &self.domains {
                for (at, _) in folded.text.match_indices(domain.as_str()) {
                    if let Some((start, alias)) = people.iter().find_map(|&i| self.match_before(&folded, at, at + domain.len(), &self.known[i], source)) {
                        let sources = folded.sources(start, at + domain.len());
                        if sources.first().is_some_and(|(from, _)| counts.contains(from)) {
                            push_edits(edits, sources, &write(&alias));
                        }
                    }
                }
            }
            self.in_hexadecimal(&folded, edits);
        });
    }

    /// Where the address begins whose domain stands at `at..end`, and what to write instead.
    fn match_before(&self, folded: &Folded<'_>, at: usize, end: usize, known: &Known, source: &[u8]) -> Option<(usize, String)> {
        let text = folded.text.as_bytes();
        let sign = sign_before(folded, at, known)?;
        let start = local_before(text, sign, known)?;
        if !begins_at(folded, start) || !ends_at(folded, end) || !is_together(folded, start, sign, at, end) {
            return None;
        }
        let alias = match text[sign] {
            b'=' => known.alias.as_str().replace('@', "="),
            _ => match folded.sources(sign, sign + 1).first() {
                Some(&(from, _)) if source.get(from) == Some(&b'%') => known.alias.as_str().replace('@', "%40"),
                _ => known.alias.to_string(),
            },
        };
        Some((start, alias))
    }

    fn hashes(&self) -> &HashMap<String, String> {
        self.hashes.get_or_init(|| {
            let written = self.known.iter().flat_map(|known| [(known.real.key(), known), (known.real.as_str().to_owned(), known)]);
            written.flat_map(|(written, known)| hashes(&written).into_iter().zip(hashes(&known.alias.key()))).collect()
        })
    }

    fn in_hexadecimal(&self, folded: &Folded<'_>, edits: &mut Vec<Edit>) {
        const SHORTEST: usize = 32;
        let text = folded.text.as_bytes();
        let mut at = 0;
        // No run as long as a hash can begin before a character that is no digit.
        while let Some(next) = text.get(at..at + SHORTEST) {
            if let Some(foreign) = next.iter().rposition(|b| !b.is_ascii_hexdigit()) {
                at += foreign + 1;
                continue;
            }
            let end = text[at..].iter().position(|b| !b.is_ascii_hexdigit()).map_or(text.len(), |i| at + i);
            for (start, size) in (at..end).flat_map(|start| [(start, 64), (start, 40), (start, SHORTEST)]).filter(|(start, size)| start + size <= end) {
                if let Some(instead) = self.hashes().get(&folded.text[start..start + size]) {
                    push_edits(edits, folded.sources(start, start + size), instead.as_bytes());
                }
            }
            at = end;
        }
    }

    /// Adds what to change in the runs of base 64 of a text: tracking tokens, encoded words, keys.
    fn in_base64(&self, spelled: &Spelled<'_>, edits: &mut Vec<Edit>) {
        let bytes = spelled.bytes();
        let mut at = 0;
        while at < bytes.len() {
            let (run, end) = base64_run(bytes, at);
            if run.len() >= BASE64_AT_LEAST {
                // A run may begin with a word that only looks like base 64.
                if let Some(mut instead) = (0..4).find_map(|skip| self.base64_instead(&run, skip)) {
                    let padding = bytes[end..].iter().take(2).take_while(|b| **b == b'=').count();
                    if padding > 0 {
                        instead.resize(instead.len().next_multiple_of(4), b'=');
                    }
                    push_edits(edits, spelled.sources(at, end + padding), &instead);
                }
            }
            at = end.max(at + 1);
        }
    }

    /// The run with the address in it replaced, if one is there when `skip` characters are left out.
    fn base64_instead(&self, run: &[u8], skip: usize) -> Option<Vec<u8>> {
        let mut data = unbase64(&run[skip..])?;
        if data.contains(&0) {
            data.retain(|b| *b != 0);
        }
        if !is_text(&data[..data.len().min(SAMPLE)]) && !self.domains.keys().any(|domain| holds(&data, domain)) {
            return None;
        }
        let mut edits = Vec::new();
        self.found(Spelled::plain(&data, 0..data.len()), &data, &|alias: &str| alias.as_bytes().to_vec(), &(0..data.len()), &mut edits);
        if edits.is_empty() {
            return None;
        }
        let written = mail_builder::encoders::Base64Encoder::new().encode(&applied(&data, edits)).ok()?;
        let for_web = run.iter().any(|b| matches!(b, b'-' | b'_'));
        let written = written.into_iter().filter(|b| *b != b'=').map(|b| match b {
            b'+' if for_web => b'-',
            b'/' if for_web => b'_',
            b => b,
        });
        Some(run[..skip].iter().copied().chain(written).collect())
    }
}

/// A text in stretches that overlap, so that a large one needs little memory, each with the part of it in which what is found counts: what stands
/// before that was seen with the stretch before, what stands behind it is there to see how an address goes on.
fn stretches(text: &str) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
    // Not within a character, and in a page not within a tag.
    let boundary = |near: usize| {
        let at = (near..text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
        let before = &text.as_bytes()[at.saturating_sub(STRETCH / 2)..at];
        let last = before.iter().rposition(|b| matches!(b, b'<' | b'>'));
        last.filter(|&i| before[i] == b'<').map_or(at, |i| at - (before.len() - i))
    };
    (0..text.len()).step_by(STRETCH).map(move |start| {
        let end = (start + STRETCH).min(text.len());
        let before = if start == 0 { 0 } else { boundary(start - BEFORE) };
        (before..boundary((end + BEHIND).min(text.len())).max(end), start..end)
    })
}

/// The base 64 that begins at `at`, without the line breaks inside, and where it ends.
fn base64_run(bytes: &[u8], at: usize) -> (Cow<'_, [u8]>, usize) {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || b"+/-_".contains(b);
    let line_end = |at: usize| bytes[at..].iter().position(|b| !is_base64(b)).map_or(bytes.len(), |i| at + i);
    let mut end = line_end(at);
    let mut run = Cow::Borrowed(&bytes[at..end]);
    while !run.is_empty() {
        let rest = &bytes[end..];
        let broken = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"));
        let Some(next) = broken.map(<[u8]>::trim_ascii_start).filter(|next| next.first().is_some_and(is_base64)) else { break };
        let start = bytes.len() - next.len();
        end = line_end(start);
        run.to_mut().extend_from_slice(&bytes[start..end]);
    }
    (run, end)
}

/// Whether bytes hold a domain, in any case. Most hold not even its first letter, which is seen at once.
fn holds(data: &[u8], domain: &str) -> bool {
    let Some(&first) = domain.as_bytes().first() else { return false };
    (data.contains(&first) || data.contains(&first.to_ascii_uppercase())) && data.windows(domain.len()).any(|w| w.eq_ignore_ascii_case(domain.as_bytes()))
}

/// Whether bytes are likely to be words; what is not base 64 at all decodes to anything.
fn is_text(data: &[u8]) -> bool {
    let printable = data.iter().filter(|b| (0x20..0x7f).contains(*b) || b.is_ascii_whitespace()).count();
    let unicode = match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&data[..e.valid_up_to()]).unwrap_or_default(),
    };
    let most = |part: usize| part * 4 >= data.len() * 3;
    most(printable) || most(unicode.len()) && !unicode.contains(|c: char| c.is_control() && !c.is_whitespace())
}

fn push_edits(edits: &mut Vec<Edit>, ranges: Vec<(usize, usize)>, with: &[u8]) {
    edits.extend(ranges.into_iter().enumerate().map(|(i, (from, to))| Edit { from, to, with: if i == 0 { with.to_vec() } else { Vec::new() } }));
}

/// The source with the edits made; of those that overlap the first and longest counts, the next round sees to the others.
fn applied(source: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|edit| (edit.from, std::cmp::Reverse(edit.to), std::cmp::Reverse(edit.with.len())));
    let mut out = Vec::with_capacity(source.len() + 64);
    let mut at = 0;
    for edit in edits {
        if edit.from < at || (edit.from == at && edit.to == at) {
            continue;
        }
        out.extend_from_slice(&source[at..edit.from]);
        out.extend_from_slice(&edit.with);
        at = edit.to;
    }
    out.extend_from_slice(&source[at..]);
    out
}

/// Where the sign begins that stands before the domain at `at`: `@`, `=` as in return paths, or a word for it.
fn sign_before(folded: &Folded<'_>, at: usize, known: &Known) -> Option<usize> {
    let before = &folded.text.as_bytes()[..at];
    match before.last()? {
        b'@' => Some(at - 1),
        b'=' => Some(at - 1),
        b')' if before.ends_with(b"(at)") => Some(at - 4),
        b']' if before.ends_with(b"[at]") => Some(at - 4),
        b't' if before.ends_with(b"at") && known.local.len() > 2 && !folded.gap[at].is_none() && !folded.gap[at - 2].is_none() => Some(at - 2),
        _ => None,
    }
}

/// Where the local part begins that ends at `end`, a tag behind it included (RFC 5233).
fn local_before(text: &[u8], end: usize, known: &Known) -> Option<usize> {
    if let Some(start) = ends_with_local(&text[..end], known) {
        return Some(start);
    }
    let tag = text[..end].iter().rev().take(128).take_while(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || b"_.+=-".contains(b)).count();
    (end - tag..end).rev().filter(|&i| text[i] == b'+').find_map(|plus| ends_with_local(&text[..plus], known))
}

fn ends_with_local(text: &[u8], known: &Known) -> Option<usize> {
    let mut at = text.len();
    for byte in known.local.bytes().rev() {
        if known.dots_vary && at < text.len() && at > 0 && text[at - 1] == b'.' {
            at -= 1;
        }
        at = at.checked_sub(1)?;
        if text[at] != byte {
            return None;
        }
    }
    Some(at)
}

/// Whether a word can begin there.
fn begins_at(folded: &Folded<'_>, start: usize) -> bool {
    let text = folded.text.as_bytes();
    if start == 0 || !folded.gap[start].is_none() {
        return true;
    }
    match text[start - 1] {
        b if b.is_ascii_alphanumeric() => false,
        b'.' | b'_' | b'~' | b'-' => start < 2 || !folded.gap[start - 1].is_none() || !text[start - 2].is_ascii_alphanumeric(),
        _ => true,
    }
}

/// Whether a domain can end there.
fn ends_at(folded: &Folded<'_>, end: usize) -> bool {
    let rest = &folded.text.as_bytes()[end..];
    let gap = |i: usize| folded.gap.get(end + i).is_none_or(|gap| !gap.is_none());
    // A letter with an accent is folded to the letter and the accent; it belongs to no ASCII name.
    let is_plain = |i: usize| rest.get(i).is_some_and(u8::is_ascii_alphanumeric) && !matches!(rest.get(i + 1), Some(0xcc | 0xcd));
    if gap(0) {
        return true;
    }
    match rest[0] {
        b'-' => {
            let dashes = rest.iter().take_while(|b| **b == b'-').count();
            (1..=dashes).any(gap) || !is_plain(dashes)
        }
        b'.' => {
            if gap(1) || !is_plain(1) {
                return true;
            }
            let word: usize = (1..rest.len()).take_while(|&i| rest[i].is_ascii_alphanumeric() && (i == 1 || gap_is_none(folded, end + i))).count();
            std::str::from_utf8(&rest[1..=word]).is_ok_and(|word| FILE_ENDINGS.contains(&word) || word == "zip" || word.starts_with("xls") && word.len() < 5)
        }
        _ => !is_plain(0),
    }
}

fn gap_is_none(folded: &Folded<'_>, at: usize) -> bool {
    folded.gap.get(at).is_some_and(|gap| gap.is_none())
}

/// Whether what was left out inside of an address may stand there: tags, line breaks and control characters anywhere, blanks around its signs.
fn is_together(folded: &Folded<'_>, start: usize, sign: usize, domain: usize, end: usize) -> bool {
    let text = folded.text.as_bytes();
    (start + 1..end).all(|i| {
        if !folded.gap[i].is_blank_only() {
            return true;
        }
        let at_sign = (i == sign || i == domain) && text[sign] != b'=';
        at_sign || matches!(text[i - 1], b'@' | b'.') || matches!(text[i], b'@' | b'.')
    })
}

/// A domain as it is, in Punycode and in Unicode; Gmail has two names.
fn domain_forms(domain: &str) -> Vec<String> {
    let mut forms = vec![domain.to_owned()];
    forms.extend(idna::domain_to_ascii(domain).ok());
    forms.push(fold(&idna::domain_to_unicode(domain).0));
    match domain {
        "gmail.com" => forms.push("googlemail.com".into()),
        "googlemail.com" => forms.push("gmail.com".into()),
        _ => {}
    }
    forms.sort();
    forms.dedup();
    forms.retain(|form| !form.is_empty());
    forms
}

/// MD5, SHA-1 and SHA-256 in hexadecimal digits.
fn hashes(text: &str) -> [String; 3] {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    [
        hex(&md5::Md5::digest(text.as_bytes())),
        hex(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref()),
        hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "zoe.quill@quill-home.example";
    const ALIAS: &str = "w5@pairpost.localhost";

    fn replacer(reals: &[&str]) -> Replacer {
        let alias = EmailAddress::parse(ALIAS).expect("an address");
        let reals: Vec<EmailAddress> = reals.iter().map(|real| EmailAddress::parse(real).expect("an address")).collect();
        Replacer::new(reals.iter().map(|real| (real, &alias)))
    }

    fn base64(text: &str) -> String {
        String::from_utf8(mail_builder::encoders::Base64Encoder::new().encode(text.as_bytes()).expect("encodes")).expect("ASCII")
    }

    #[test]
    fn an_address_in_any_spelling_becomes_the_alias() {
        let all_percent: String = REAL.bytes().map(|b| format!("%{b:02X}")).collect();
        let fullwidth: String = REAL.chars().map(|c| char::from_u32(c as u32 + 0xfee0).expect("exists")).collect();
        let all_quoted: String = REAL.bytes().map(|b| format!("={b:02X}")).collect();
        let all_unicode: String = REAL.bytes().map(|b| format!("\\u{b:04x}")).collect();
        for (given, becomes) in [
            (format!("Write to {REAL}, please."), format!("Write to {ALIAS}, please.")),
            (format!("On Monday, Zoe <{REAL}> wrote:"), format!("On Monday, Zoe <{ALIAS}> wrote:")),
            (format!("Zoe <mailto:{REAL}>"), format!("Zoe <mailto:{ALIAS}>")),
            (format!("*{REAL}* _{REAL}_ '{REAL}'"), format!("*{ALIAS}* _{ALIAS}_ '{ALIAS}'")),
            (REAL.to_uppercase(), ALIAS.into()),
            (format!("The end is {REAL}."), format!("The end is {ALIAS}.")),
            (format!("{REAL}.csv"), format!("{ALIAS}.csv")),
            ("zoe.quill+letters@quill-home.example".into(), ALIAS.into()),
            ("zoe.quill(at)quill-home.example".into(), ALIAS.into()),
            ("zoe.quill [at] quill-home.example".into(), ALIAS.into()),
            ("zoe.quill at quill-home.example".into(), ALIAS.into()),
            ("zoe.quill @ quill-home . example".into(), ALIAS.into()),
            ("b-7+zoe.quill=quill-home.example@lists.example".into(), "b-7+w5=pairpost.localhost@lists.example".into()),
            (format!("https://x.example/?who={all_percent}&y"), "https://x.example/?who=w5%40pairpost.localhost&y".into()),
            ("?who=zoe.quill%40quill-home.example".into(), "?who=w5%40pairpost.localhost".into()),
            ("zo\u{200b}e.qu\u{ad}ill\u{2060}@quill-home.example".into(), ALIAS.into()),
            ("z\0oe.qu\x01ill\x7f@\u{85}quill-\u{90}home\x0b.example\x02 here".into(), format!("{ALIAS}\x02 here")),
            (fullwidth, ALIAS.into()),
            ("zoe.quill＠quill-home。example".into(), ALIAS.into()),
            ("zoe.quill@\r\nquill-home.example, yes".into(), format!("{ALIAS}, yes")),
            ("> write to zoe.\r\n> quill@quill-\r\n> home.example!".into(), format!("> write to {ALIAS}!")),
            ("zoe.quill&#64;quill&#x2d;home.example".into(), ALIAS.into()),
            ("zoe.quill&commat;quill-home.example".into(), ALIAS.into()),
            ("zoe.quill%2540quill-home.example".into(), "w5%40pairpost.localhost".into()),
            (format!("is {all_quoted} here"), format!("is {ALIAS} here")),
            ("zoe.qu=\r\nill=40quill-home.example".into(), ALIAS.into()),
            (format!("var who = '{all_unicode}';"), format!("var who = '{ALIAS}';")),
            ("zoe.quill\\40 quill-home.example".into(), ALIAS.into()),
            ("zoe.quill+AEA-quill-home.example".into(), ALIAS.into()),
            ("zoe.quill%3D40quill-home.example".into(), "w5%40pairpost.localhost".into()),
            ("zoe.quill&#92;u0040quill-home.example".into(), ALIAS.into()),
            (format!("=?utf-8?B?{}?=", base64(&format!("Zoe <{REAL}>"))), format!("=?utf-8?B?{}?=", base64(&format!("Zoe <{ALIAS}>")))),
            (base64(&format!("who is {all_percent} now")), base64("who is w5%40pairpost.localhost now")),
            ("avatar/3d3cdbd1c9fb12e3e9b9ae7bbfb2e5d0".replace("3d3cdbd1c9fb12e3e9b9ae7bbfb2e5d0", &hashes(REAL)[0]), format!("avatar/{}", hashes(ALIAS)[0])),
            (hashes(REAL)[2].to_uppercase(), hashes(ALIAS)[2].clone()),
        ] {
            assert_eq!(replacer(&[REAL]).plain(&given).expect("can be taken out"), becomes, "{given:?}");
        }
    }

    #[test]
    fn an_address_in_base64_is_replaced_inside_it_wherever_the_run_begins() {
        let token = format!("user={REAL}&more=1");
        for before in ["https://x.example/o?u=", "o/", "/ab/", "/abc/", ""] {
            let given = format!("{before}{}", base64(&token).trim_end_matches('='));
            let out = replacer(&[REAL]).plain(&given).expect("can be taken out").into_owned();
            let data = unbase64(out.strip_prefix(before).expect("stays").as_bytes()).expect("base 64");
            assert_eq!(String::from_utf8_lossy(&data), format!("user={ALIAS}&more=1"), "{out}");
        }
        let folded = base64(&format!("{} {REAL} {}", "x".repeat(80), "y".repeat(80)));
        let lines: Vec<&str> = folded.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        let out = replacer(&[REAL]).plain(&lines.join("\r\n")).expect("can be taken out").into_owned();
        let data = unbase64(out.trim_end_matches('=').as_bytes()).unwrap_or_else(|| panic!("{out:?}"));
        assert!(String::from_utf8_lossy(&data).contains(&format!("x {ALIAS} y")) && !String::from_utf8_lossy(&data).contains("quill"), "{out}");
    }

    #[test]
    fn other_addresses_and_words_stay_as_they_are() {
        for given in [
            "joe.quill@quill-home.example",
            "jzoe.quill@quill-home.example",
            "a.zoe.quill@quill-home.example",
            "zoe.quill@quill-home.example.org",
            "zoe.quill@quill-home.examples",
            "zoe.quill@quill-home.example-club.org",
            "https://quill-home.example/zoe.quill",
            "Zoe Quill looks at quill-home.example",
            "zoe.quill and quill-home.example",
            "Grüße, 50 % & mehr = \\o/ +1 -- \r\n> ok\r\n",
            "dGhpcyBpcyBzb21lYm9keSBlbHNlJ3MgdG9rZW4gYW5kIG5vdCB0aGVpcnM",
        ] {
            assert_eq!(replacer(&[REAL]).plain(given).expect("nothing to take out"), given);
        }
    }

    #[test]
    fn hosts_that_ignore_dots_and_domains_with_two_names_are_known() {
        let gmail = replacer(&["zoe.quill@gmail.com"]);
        for given in ["zoequill@gmail.com", "z.o.e.quill@googlemail.com", "ZoeQuill+x@gmail.com", "zoe.quill@gmail.com"] {
            assert_eq!(gmail.plain(given).expect("can be taken out"), ALIAS, "{given}");
        }
        let german = replacer(&["jörg@bücherei.example"]);
        for given in ["jörg@bücherei.example", "jörg@xn--bcherei-n2a.example", "JÖRG@BÜCHEREI.EXAMPLE", "jo\u{308}rg@bu\u{308}cherei.example"] {
            assert_eq!(german.plain(given).expect("can be taken out"), ALIAS, "{given}");
        }
    }

    #[test]
    fn in_a_page_tags_and_entities_don_t_hide_an_address() {
        for (given, becomes) in [
            ("<p>Write to zoe.<b>quill</b>@quill-home.example.</p>", "<p>Write to w5@pairpost.localhost<b></b>.</p>"),
            ("<td>zoe.quill</td>\n<td>@quill-home.example</td>", "<td>w5@pairpost.localhost</td><td></td>"),
            ("zoe.quill<wbr>@quill-home.example", "w5@pairpost.localhost<wbr>"),
            ("&lt;zoe.quill@quill-home.example&gt;", "&lt;w5@pairpost.localhost&gt;"),
            ("zoe.quill&nbsp;@&nbsp;quill-home.example", "w5@pairpost.localhost"),
            ("a &lt; b &amp; c", "a &lt; b &amp; c"),
        ] {
            assert_eq!(replacer(&[REAL]).page(given).expect("can be taken out"), becomes, "{given}");
        }
    }

    #[test]
    fn a_long_text_hides_nothing_where_its_stretches_meet() {
        let replacer = replacer(&[REAL]);
        for shift in (0..REAL.len() + 3).step_by(3) {
            let text = format!("{} {REAL} {}", "x".repeat(STRETCH - shift), "y".repeat(200));
            let out = replacer.plain(&text).expect("can be taken out");
            assert_eq!(out.matches(ALIAS).count(), 1, "{shift}");
            assert!(!out.contains("quill"), "{shift}");
            let page = format!("{}<i>zoe</i>.<b>quill</b>@quill-home.example<p>{}", "x ".repeat((STRETCH - shift) / 2), "y".repeat(200));
            assert!(!replacer.page(&page).expect("can be taken out").contains("quill"), "{shift}");
            let other = format!("{}j{REAL}", "é".repeat((STRETCH - shift) / 2));
            assert_eq!(replacer.plain(&other).expect("nothing to take out"), other, "{shift}");
        }
    }

    #[test]
    fn several_addresses_at_one_domain_are_told_apart() {
        let (zoe, dana) = (EmailAddress::parse(REAL).expect("an address"), EmailAddress::parse("dana@quill-home.example").expect("an address"));
        let (one, other) = (EmailAddress::parse(ALIAS).expect("an address"), EmailAddress::parse("b7@pairpost.localhost").expect("an address"));
        let replacer = Replacer::new([(&zoe, &one), (&dana, &other)].into_iter());
        assert_eq!(
            replacer.plain("dana@quill-home.example, zoe.quill@quill-home.example").expect("can be taken out"),
            "b7@pairpost.localhost, w5@pairpost.localhost"
        );
    }
}
