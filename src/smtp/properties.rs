//! What holds for whatever a client sends: tried by tests at each change, and by libFuzzer (`tests/fuzz`) for as long as somebody likes.
use samotop::smtp::{
    ParseError, Parser, SmtpContext, SmtpPath, SmtpSession,
    command::{MailBody, SmtpCommand, SmtpRcpt},
};

use super::{body, driver, grammar, guard};
use crate::{
    domain::address::{EmailAddress, OwnAddress},
    mail::lines,
};

/// As `smtp.max_line_bytes` has it.
const LONGEST_LINE: usize = 2048;

/// Octets as lines of commands: each line is one command or is refused by one reply, and what was read of an address is written and read again alike.
pub fn lines(input: &[u8]) {
    let (mut rest, state) = (input, SmtpContext::default());
    loop {
        let end = lines::end_of_line(rest);
        let parsed = Parser::<SmtpCommand>::parse(&grammar::Grammar, rest, &state);
        match (parsed, end) {
            (Ok((consumed, command)), Some(end)) => {
                assert_eq!(consumed, end, "a command is a line");
                judge(&command);
            }
            (Err(ParseError::Failed(words)), Some(_)) => is_reply(&words),
            (Err(ParseError::Incomplete), None) => return,
            (other, end) => panic!("{other:?} for a line that ends at {end:?}"),
        }
        rest = &rest[end.unwrap_or(rest.len())..];
    }
}

fn judge(command: &SmtpCommand) {
    let path = match command {
        SmtpCommand::Mail(mail) => {
            if let Err(words) = guard::judge(Some(mail), 1000) {
                is_reply(&words);
            }
            for parameter in guard::parts(Some(mail)).1 {
                assert!(!parameter.contains(|c: char| c.is_control() || c.is_whitespace()), "{parameter:?}");
            }
            guard::parts(Some(mail)).0
        }
        SmtpCommand::Rcpt(SmtpRcpt(path, _)) => Some(path),
        SmtpCommand::Helo(_)
        | SmtpCommand::Expn(_)
        | SmtpCommand::Vrfy(_)
        | SmtpCommand::Help(_)
        | SmtpCommand::Noop(_)
        | SmtpCommand::Quit
        | SmtpCommand::Rset
        | SmtpCommand::Data
        | SmtpCommand::Turn
        | SmtpCommand::Other(_, _) => None,
    };
    if let Some(path @ SmtpPath::Mailbox { .. }) = path {
        let mailbox = grammar::mailbox(path).expect("what was read as a mailbox is one");
        address(mailbox.as_str());
        let again = Parser::<SmtpCommand>::parse(&grammar::Grammar, format!("RCPT TO:<{mailbox}>\r\n").as_bytes(), &SmtpContext::default());
        let Ok((_, SmtpCommand::Rcpt(SmtpRcpt(read, _)))) = again else { panic!("{mailbox} is not read again: {again:?}") };
        assert_eq!(grammar::mailbox(&read), Some(mailbox));
    }
}

/// A whole reply: RFC 5321 4.2 in ASCII, with an enhanced code of the same class (RFC 2034 4).
fn is_reply(words: &str) {
    let (code, rest) = words.split_at(4);
    let class = code.chars().next().expect("a code");
    assert!(code.ends_with(' ') && code[..3].bytes().all(|b| b.is_ascii_digit()) && "45".contains(class), "{words}");
    assert!(rest.starts_with(&format!("{class}.")) && rest.is_ascii() && !rest.contains(char::is_control) && words.len() <= 510, "{words}");
}

/// A text as an address: what is taken is short, holds nothing that could end it, and reads alike when it is written.
pub fn address(text: &str) {
    let Ok(read) = EmailAddress::parse(text) else { return };
    let written = read.as_str();
    assert!(written.len() <= 254 && !written.contains(char::is_control), "{text:?} became {written:?}");
    assert_eq!(EmailAddress::parse(written).as_ref().map(EmailAddress::as_str), Ok(written));
    assert_eq!(written, format!("{}@{}", read.local(), read.domain()));
    assert_eq!(EmailAddress::parse(&read.key()), Ok(read.clone()), "its key is an address");
    let own = OwnAddress::read(read.local());
    assert_eq!(OwnAddress::read(&own.local()), own, "{text:?}");
}

/// What a client sends behind DATA, in packets of the lengths given (over and over): the letter, and what stands behind its end, are those that
/// RFC 5321 4.1.1.4 and 4.5.2 say, found here in the simplest way.
pub fn framing(input: &[u8], cuts: &[u8]) {
    let sent = [b"\r\n", input].concat();
    let end = sent.windows(5).position(|five| five == b"\r\n.\r\n");
    let stuffed = &sent[..end.map_or(sent.len(), |end| end + 2)];
    let mut letter = Vec::new();
    for (at, &byte) in stuffed.iter().enumerate().skip(2) {
        if byte != b'.' || &stuffed[at - 2..at] != b"\r\n" {
            letter.push(byte);
        }
    }
    match (read(input, cuts), end) {
        ((read, Some(behind)), Some(end)) => assert_eq!((read, behind), (letter, sent[end + 5..].to_vec())),
        // Of a letter that has not ended the last octets may wait for what follows.
        ((read, None), None) => assert!(letter.starts_with(&read) && letter.len() - read.len() <= 3, "{letter:?} was read as {read:?}"),
        ((read, behind), end) => panic!("ends at {end:?}, was read as {read:?} and {behind:?}"),
    }
    let normalised = body::normalised(input);
    assert!(!lines::has_bare_newline(&normalised) && body::normalised(&normalised) == normalised);
    assert_eq!(lines::has_bare_newline(input), normalised != input);
}

/// The letter as far as it came, and what stands behind its end.
fn read(input: &[u8], cuts: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut packets = packets(input, cuts);
    let (mut held, mut letter, mut state) = (Vec::new(), Vec::new(), SmtpContext::default());
    // A CR or LF alone is seen, and mended, chunk by chunk.
    let (mut bare, mut mended) = (false, Vec::new());
    let seen = |letter: &[u8], bare: bool, mended: &[u8]| assert_eq!((lines::has_bare_newline(letter), body::normalised(letter).as_slice()), (bare, mended));
    state.session.mode = Some(SmtpSession::DATA_MODE);
    loop {
        match body::Framing.parse(&held, &state) {
            Ok((consumed, MailBody::Chunk { data, ends_with_new_line })) => {
                assert!(consumed > 0, "something is read");
                assert!(!data.ends_with(b"\r") || held.get(consumed).is_some_and(|next| *next != b'\n'), "no chunk ends between CR and LF");
                bare |= lines::has_bare_newline(&data);
                mended.extend(body::normalised(&data));
                letter.extend(data);
                state.session.mode = Some(if ends_with_new_line { SmtpSession::DATA_MODE } else { SmtpSession::DATA_PARTIAL_MODE });
                held.drain(..consumed);
            }
            Ok((consumed, MailBody::End)) => {
                held.drain(..consumed);
                held.extend(packets.flatten());
                seen(&letter, bare, &mended);
                return (letter, Some(held));
            }
            Err(ParseError::Incomplete) => match packets.next() {
                Some(packet) => held.extend(packet),
                None => return (letter, None),
            },
            Err(error) => panic!("{error}"),
        }
    }
}

/// The input in pieces of 1 to 256 octets, as the cuts say over and over; without cuts, whole.
fn packets<'a>(mut input: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let length = lengths.next().map_or(input.len(), |&cut| usize::from(cut) + 1).min(input.len());
        let (packet, rest) = input.split_at(length);
        input = rest;
        (!packet.is_empty()).then_some(packet)
    })
}

/// Lines of commands in packets: those that are not too long come out whole, each that is too long is gone as one, and what has not ended waits.
pub fn long_lines(input: &[u8], cuts: &[u8]) {
    let whole = |line: &[u8]| if line.len() > LONGEST_LINE { None } else { Some(line.to_vec()) };
    let mut expected = Vec::new();
    let mut rest = input;
    while let Some(end) = lines::end_of_line(rest) {
        expected.push(whole(&rest[..end]));
        rest = &rest[end..];
    }
    let (mut held, mut swallowed, mut read) = (Vec::new(), 0, Vec::new());
    for packet in packets(input, cuts) {
        held.extend(packet);
        loop {
            if driver::swallow(&mut held, &mut swallowed, LONGEST_LINE) {
                read.push(None);
                continue;
            }
            let Some(end) = lines::end_of_line(&held).filter(|_| swallowed == 0) else { break };
            read.push(Some(held.drain(..end).collect()));
        }
    }
    assert_eq!(read, expected);
    assert!(held.len() <= LONGEST_LINE && swallowed + held.len() == rest.len());
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// Octets out of pieces that mean something.
    fn octets(pieces: &'static [&'static [u8]], most: usize) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![6 => select(pieces).prop_map(<[u8]>::to_vec), 1 => vec(any::<u8>(), 0..6)];
        vec(piece, 0..most).prop_map(|pieces| pieces.concat())
    }

    fn cuts() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![vec(0..4_u8, 0..5), vec(any::<u8>(), 0..5)]
    }

    const COMMANDS: &[&[u8]] = &[
        b"EHLO ",
        b"helo",
        b"MAIL FROM:<",
        b"MAIL FROM: <>",
        b"RCPT TO:<",
        b"rcpt to:<postmaster>",
        b"DATA",
        b"RSET",
        b"NOOP",
        b"QUIT",
        b"VRFY ",
        b"EXPN",
        b"HELP",
        b"STARTTLS",
        b"AUTH PLAIN ",
        b"TURN",
        b"BDAT 1",
        b">",
        b"<",
        b"@",
        b":",
        b",@",
        b"\"",
        b"\\",
        b"a",
        b"x.example",
        b"[127.0.0.1]",
        b"[IPv6:::1]",
        b"[IPv6:",
        b"]",
        b".",
        b"..",
        b"-",
        b" ",
        b"\t",
        b"=",
        b"SIZE=1000",
        b" BODY=8BITMIME",
        b" SMTPUTF8",
        "b\u{fc}cher".as_bytes(),
        "\u{212a}".as_bytes(),
        "\u{130}".as_bytes(),
        "\u{df}".as_bytes(),
        "\u{2028}".as_bytes(),
        b"\xff",
        b"\0",
        b"\x7f",
        b"\r",
        b"\n",
        b"\r\n",
        b"reply-",
        b"bounce-",
        b"join+",
    ];
    const BODY: &[&[u8]] = &[b".", b"\r", b"\n", b"\r\n", b"\r\n.", b".\r\n", b"\r\n.\r\n", b"..", b"\0", b"x", b"MAIL FROM:<>\r\n", b"\x85"];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_line_is_a_command_or_is_refused_by_one_reply(mut input in octets(COMMANDS, 24)) {
            input.extend(b"\r\n");
            lines(&input);
        }

        #[test]
        fn an_address_that_is_taken_reads_alike_when_it_is_written(text in octets(COMMANDS, 8), any in any::<String>()) {
            address(&String::from_utf8_lossy(&text));
            address(&any);
            address(&format!("{any}@{}", String::from_utf8_lossy(&text)));
        }

        #[test]
        fn a_letter_is_the_same_however_its_packets_are_cut(input in octets(BODY, 24), cuts in cuts()) {
            framing(&input, &cuts);
            framing(&[&input, &b"\r\n.\r\n"[..], &input].concat(), &cuts);
        }

        #[test]
        fn lines_are_the_same_however_their_packets_are_cut(pieces in vec((0..3000_usize, octets(BODY, 3)), 0..6), cuts in cuts()) {
            let input: Vec<u8> = pieces.into_iter().flat_map(|(length, octets)| [vec![b'x'; length], octets].concat()).collect();
            long_lines(&input, &cuts);
        }
    }
}
