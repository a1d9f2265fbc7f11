//! What holds for whatever letter comes in: tried by tests at each change, and by libFuzzer (`tests/fuzz`) for as long as somebody likes.
use super::{
    anonymize::{self, Parties, Threading},
    bounce,
    classify::classify,
    flowed, html, markdown,
    message::Message,
    reply,
};
use crate::domain::address::EmailAddress;

/// What passes the relay is clean, and tells nothing of its writer's and others' addresses.
fn relay(raw: &[u8]) {
    let address = |text: &str| EmailAddress::parse(text).expect("an address");
    let parties = Parties {
        writer_name: "Ana".into(),
        writer_addresses: vec![address("ana@example.org"), address("a@b.example")],
        writer_alias: address("w5@pairs.test"),
        reader_address: address("dana@reader.example"),
        reader_alias: address("b7@pairs.test"),
        others: vec![(address("bo@example.org"), address("b7@pairs.test"))],
        third: None,
    };
    let threading = Threading { message_id: "new.1@pairs.test".into(), in_reply_to: None, references: Vec::new(), received: 0 };
    let Ok(out) = anonymize::relay(raw, &parties, &threading, "pairs.test") else { return };
    let text = String::from_utf8(out).expect("a letter of ours is UTF-8");
    assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(|c: char| c.is_ascii_control() && !matches!(c, '\t' | '\u{c}'))), "{text:?}");
    let read = Message::parse(text.as_bytes());
    let words = read.parts.iter().filter_map(|part| part.text.as_deref()).chain([read.text()]);
    // Where nothing says that it is another word, as in the letters themselves.
    for words in words {
        let all: String = words.chars().filter(|c| !c.is_control()).collect();
        let shown = ["<ana@example.org>", "<bo@example.org>", "<a@b.example>"].into_iter().find(|address| all.contains(address));
        assert_eq!(shown, None, "{:?} became {text:?}", String::from_utf8_lossy(raw));
    }
}

/// Every reader of this room over any octets: none panics, and what each gives has the form that the others count on.
pub fn read_all(raw: &[u8]) {
    let message = Message::parse(raw);
    assert_eq!(message.size, raw.len());
    assert!(!message.subject.contains(['\r', '\n']) && !message.text().contains('\r'));
    assert!(message.message_id.iter().chain(&message.references).all(|id| !id.contains(['\r', '\n', '<', '>', ' '])));
    let _ = classify(true, &message, "pairs.test");
    relay(raw);
    let _ = bounce::read(&message);
    let _ = bounce::complained(&message);
    let answer = reply::split(message.text());
    assert!(answer.text.len() <= message.text().len() * 2);
    let lossy = String::from_utf8_lossy(raw);
    let _ = html::to_text(&lossy);
    let _ = flowed::unflow(&lossy, true);
    let _ = reply::split(&lossy);
    let _ = markdown::render(&lossy, "en", &lossy);
    let _ = markdown::to_text(&markdown::escape(&lossy));
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// Words that readers of mail look for, and what trips them over.
    const WORDS: &[&str] = &[
        "ana@example.org",
        "<a@b.example>",
        "bo@example.org",
        "Ana",
        "yes",
        "> quoted",
        "On Mon, 2 Mar 2026 at 10:00, Bo <bo@example.org> wrote:",
        "-- ",
        "=?utf-8?Q?Ol=C3=A1?=",
        "=?utf-8?B?w4Vz",
        "=\u{e9}=",
        "=41=\r\n=4",
        "&#64;",
        "<p>",
        "</p",
        "<a href=\"mailto:ana@example.org\">",
        "<img src=cid:x>",
        "<style>",
        "\u{1f600}",
        "\u{202e}",
        "\0",
        "\u{c}",
        "\r",
        "\n",
        "\r\n",
        "\r\n\r\n",
        ".",
        "\r\n.\r\n",
        "From ",
        " ",
        "\t",
        ";",
        "\"",
        "(",
        "\\",
    ];

    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            8 => select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
            2 => vec(any::<u8>(), 0..12),
            1 => (any::<u8>(), 900..2100_usize).prop_map(|(byte, times)| vec![byte; times]),
        ];
        vec(word, 0..12).prop_map(|words| words.concat())
    }

    fn field() -> impl Strategy<Value = Vec<u8>> {
        let name = select(
            &["From", "To", "Cc", "Subject", "Date", "Message-ID", "References", "In-Reply-To", "Reply-To", "Auto-Submitted", "Received", "X-Y", "List-Id", ""]
                [..],
        );
        (name, words()).prop_map(|(name, value)| [name.as_bytes(), b": ", &value].concat())
    }

    /// A part that may hold others.
    fn entity() -> impl Strategy<Value = Vec<u8>> {
        let kinds = [
            "text/plain; charset=utf-8",
            "text/plain; charset=iso-2022-jp; format=flowed; delsp=yes",
            "text/plain; charset=\"windows-1251\"",
            "text/html; charset=gb18030",
            "text/html",
            "image/png; name=\"ana@example.org.png\"",
            "image/jpeg",
            "application/pdf; name*=utf-8''%e2%82%ac",
            "message/rfc822",
            "message/delivery-status",
            "text/calendar",
            "multipart/mixed",
            "text",
            "",
        ];
        let encodings = ["7bit", "8bit", "quoted-printable", "base64", "x-uuencode", "binary", ""];
        let dispositions = ["inline", "attachment; filename=\"../a@b.example\\\"x.txt\"", "reaction", ""];
        let leaf =
            (select(kinds.to_vec()), select(encodings.to_vec()), select(dispositions.to_vec()), words()).prop_map(|(kind, encoding, disposition, body)| {
                let head = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\nContent-Disposition: {disposition}\r\n\r\n");
                [head.as_bytes(), &body].concat()
            });
        leaf.prop_recursive(4, 24, 4, |inner| {
            let kinds = ["mixed", "alternative", "related", "report; report-type=delivery-status", "signed", "digest"];
            (select(kinds.to_vec()), 0..4_u8, vec(inner, 0..4), any::<bool>()).prop_map(|(kind, boundary, parts, closed)| {
                let mut out = format!("Content-Type: multipart/{kind}; boundary=\"b{boundary}\"\r\n\r\n").into_bytes();
                for part in parts {
                    out.extend(format!("--b{boundary}\r\n").bytes());
                    out.extend(part);
                    out.extend(b"\r\n");
                }
                if closed {
                    out.extend(format!("--b{boundary}--\r\n").bytes());
                }
                out
            })
        })
    }

    fn letter() -> impl Strategy<Value = Vec<u8>> {
        (vec(field(), 0..6), entity(), any::<bool>()).prop_map(|(fields, body, lf)| {
            let mut out: Vec<u8> = fields.into_iter().flat_map(|field| [field, b"\r\n".to_vec()].concat()).collect();
            out.extend(body);
            if lf {
                out.retain(|&byte| byte != b'\r');
            }
            out
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_letter_is_read_and_what_the_relay_passes_on_is_clean(letter in letter()) {
            read_all(&letter);
        }
    }
}
