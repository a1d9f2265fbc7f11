//! No letter can stop the program: every reader of this room over letters cut off, changed and mixed at random.
use super::{bounce, classify::classify, message::Message, properties::read_all, reply};

/// Letters of the shapes that readers of mail trip over.
const LETTERS: &[&str] = &[
    "From: Ana <ana@example.org>\r\nTo: join@pairs.test\r\nSubject: =?utf-8?Q?Ol=C3=A1?= =?gb2312?B?xOO6ww==?=\r\nMessage-ID: <1@example.org>\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100 (CET)\r\nReferences: <a@b> <c@d>\r\n\r\nDear all,\r\n\r\nName: Ana\r\n\r\nOn Mon, 2 Mar 2026 at 10:00, Bo <bo@example.org> wrote:\r\n> Hello\r\n>> older\r\n\r\n-- \r\nAna\r\n",
    "From: \"A \\\" B\" (c (d) e) <a@b.example>, group: x@y.example;\nContent-Type: multipart/alternative; boundary=\"=_x\"\n\n--=_x\nContent-Type: text/plain; charset=iso-2022-jp; format=flowed; delsp=yes\nContent-Transfer-Encoding: base64\n\nGyRCOzNFRBsoQg==\n--=_x\nContent-Type: text/html; charset=\"windows-1251\"\nContent-Transfer-Encoding: quoted-printable\n\n<table><tr><td>Name:<td>A=E0</table><blockquote>x<blockquote>y</blockquote><pre> a\n b</pre><ul><li>1<li>2</ul>&#x1F600;&bogus;&#xD800;<div style=3D\"display:none\">\n--=_x--\n",
    "Return-Path: <>\nFrom: MAILER-DAEMON (Mail)\nSubject: failure notice\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\n<a@b.example>: User unknown (#5.1.1)\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822;a@b.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550\n  5.1.1 no\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <x@pairs.test>\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nhi\n--c--\n--b--\n",
    "Subject: no from\nContent-Type: text/plain; charset*0=\"ut\"; charset*1=\"f-8\"; name*=utf-8''%e2%82%ac\nContent-Disposition: reaction; filename=\"a\\\"b\"\n\n________________________________\nVon: x\nGesendet: y\nAn: z\n\n***\n-----Original Message-----\n> wrote:\nOn 1/2/2026 <\n\n> wrote:\n",
    "# Hi\n\n- a\n  1. b\n\n      code\n> q\n> - [l](<u> \"t\") ![i](x)\n\n<div>\nx\n\n***b* _c_ `d`\\\n&amp; <http://x.example>\n",
];

/// A small generator (xorshift), so that a failure comes again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

fn changed(chance: &mut Chance) -> Vec<u8> {
    let mut raw = LETTERS[chance.below(LETTERS.len())].as_bytes().to_vec();
    for _ in 0..1 + chance.below(6) {
        let at = chance.below(raw.len());
        match chance.below(6) {
            0 => raw.truncate(at),
            1 => raw.insert(at, chance.below(256) as u8),
            2 if !raw.is_empty() => raw[at] = chance.below(256) as u8,
            3 if !raw.is_empty() => drop(raw.remove(at)),
            4 => {
                let other = LETTERS[chance.below(LETTERS.len())].as_bytes();
                let from = chance.below(other.len());
                raw.splice(at..at, other[from..(from + chance.below(200)).min(other.len())].iter().copied());
            }
            _ => {
                let end = (at + chance.below(60)).min(raw.len());
                let piece = raw[at.min(end)..end].to_vec();
                raw.splice(at..at, piece);
            }
        }
        if raw.is_empty() {
            break;
        }
    }
    raw
}

#[test]
fn letters_cut_off_at_every_octet_are_read() {
    for letter in LETTERS {
        for end in 0..=letter.len() {
            read_all(&letter.as_bytes()[..end]);
        }
    }
}

#[test]
fn letters_changed_at_random_are_read() {
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for _ in 0..4_000 {
        read_all(&changed(&mut chance));
    }
}

#[test]
fn anything_said_ten_thousand_times_is_read_in_passing() {
    let started = std::time::Instant::now();
    for piece in [
        "\n",
        ">",
        "> \n",
        "<",
        "<a href=\"",
        "<blockquote>",
        "&#",
        "On 1/2/2026 <\n",
        "From: a@b.example\n",
        "Sent from my x\n",
        "-- \n",
        "____\n",
        "a@",
        "@",
        "(",
        "=?utf-8?Q?",
        "--b\n",
        "[",
        "*a ",
        "- ",
        "`",
        "> - ",
        "\u{fffd}",
    ] {
        let text = piece.repeat(60_000 / piece.len());
        let header = format!("From: a@b.example\nSubject: {}\n", piece.replace('\n', " ").repeat(20));
        for kind in ["text/plain; format=flowed", "text/html", "multipart/report; report-type=delivery-status; boundary=b"] {
            let message = Message::parse(format!("{header}Content-Type: {kind}\n\n{text}").as_bytes());
            let _ = classify(true, &message, "pairs.test");
            let _ = bounce::read(&message);
            let _ = reply::split(message.text());
        }
        let _ = Message::parse(text.as_bytes());
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(60), "some shape is read in more than its length: {:?}", started.elapsed());
}
