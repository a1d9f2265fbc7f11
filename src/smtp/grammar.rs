//! Commands as RFC 5321 and RFC 6531 spell them, in front of samotop's own parser, which knows neither quoted local parts, literals nor UTF-8.
use std::net::{Ipv4Addr, Ipv6Addr};

use samotop::smtp::{
    ParseError, ParseResult, Parser, SmtpContext, SmtpHost, SmtpParser, SmtpPath,
    command::{SmtpCommand, SmtpHelo, SmtpMail, SmtpRcpt},
};

use super::replies;
use crate::{domain::address::EmailAddress, mail::lines};

/// Reads one command from the front of the input. What it refuses it refuses with the whole reply as the text of [`ParseError::Failed`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar;

impl Parser<SmtpCommand> for Grammar {
    fn parse(&self, input: &[u8], state: &SmtpContext) -> ParseResult<SmtpCommand> {
        if state.session.mode.is_some() {
            return Err(ParseError::Mismatch("a letter is being read".into()));
        }
        // Nothing but CR LF ends a command (RFC 5321 2.3.8).
        let end = lines::end_of_line(input).ok_or(ParseError::Incomplete)?;
        let command = read(&input[..end - 2], state).map_err(|words| ParseError::Failed(words.to_owned()))?;
        Ok((end, command))
    }
}

/// A line without its end, or the reply that refuses it.
fn read(line: &[u8], state: &SmtpContext) -> Result<SmtpCommand, &'static str> {
    if line.contains(&b'\n') || line.contains(&b'\r') {
        return Err(replies::LINE_ENDS);
    }
    let line = std::str::from_utf8(line).map_err(|_| replies::NO_TEXT)?;
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err(replies::NO_TEXT);
    }
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, argument) = line.split_once(' ').map_or((line, None), |(verb, rest)| (verb, Some(rest)));
    let verb = verb.to_ascii_uppercase();
    match (verb.as_str(), argument) {
        ("EHLO" | "HELO", name) => hello(verb, name.unwrap_or_default()),
        ("MAIL", rest) => mail(rest.unwrap_or_default()),
        ("RCPT", rest) => rcpt(rest.unwrap_or_default()),
        ("VRFY", None | Some("")) => Err(replies::VERIFY_WHOM),
        ("VRFY", Some(whom)) => Ok(SmtpCommand::Vrfy(whom.to_owned())),
        ("EXPN", _) => Ok(SmtpCommand::Expn(argument.unwrap_or_default().to_owned())),
        ("STARTTLS", Some(_)) | ("DATA" | "RSET" | "QUIT", Some(_)) => Err(replies::NO_ARGUMENT),
        ("STARTTLS", None) => Ok(SmtpCommand::Other(verb, Vec::new())),
        ("AUTH", _) => Err(replies::NO_LOGIN),
        // Of a mail server that receives for us; the visit knows whether this is one.
        ("XCLIENT" | "XFORWARD", words) => Ok(SmtpCommand::Other(verb, words.unwrap_or_default().split(' ').map(str::to_owned).collect())),
        // RFC 5321 4.1.1.9: what stands behind NOOP is ignored; so is what stands behind HELP.
        ("DATA" | "RSET" | "QUIT" | "NOOP" | "HELP" | "TURN", _) => samotops(&verb, state),
        ("SEND" | "SOML" | "SAML" | "ETRN" | "ATRN" | "BDAT" | "BURL", _) => Err(replies::NOT_IMPLEMENTED),
        (_, _) => Err(replies::UNKNOWN_COMMAND),
    }
}

/// The bare verbs are read by samotop's parser.
fn samotops(verb: &str, state: &SmtpContext) -> Result<SmtpCommand, &'static str> {
    let parsed: ParseResult<SmtpCommand> = SmtpParser.parse(format!("{verb}\r\n").as_bytes(), state);
    parsed.map(|(_, command)| command).map_err(|_| replies::UNKNOWN_COMMAND)
}

/// RFC 5321 4.1.1.1. A name that can't be verified must not be refused (4.1.4), one that is no name may be.
fn hello(verb: String, name: &str) -> Result<SmtpCommand, &'static str> {
    let name = name.trim();
    let fits = !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    if !fits {
        return Err(replies::HELLO_NAME);
    }
    Ok(SmtpCommand::Helo(SmtpHelo { verb, host: host(name).unwrap_or_else(|| SmtpHost::Domain(name.to_owned())) }))
}

/// RFC 5321 4.1.1.2. What the parameters mean is the guard's business; here they must have the form of one.
fn mail(rest: &str) -> Result<SmtpCommand, &'static str> {
    let rest = strip_word(rest, "FROM:").ok_or(replies::MAIL_SYNTAX)?;
    let (inner, parameters) = bracketed(rest).ok_or(replies::MAIL_SYNTAX)?;
    let parameters = words(parameters).ok_or(replies::MAIL_SYNTAX)?;
    let path = if inner.is_empty() { SmtpPath::Null } else { path(inner).ok_or(replies::BAD_SENDER)? };
    Ok(SmtpCommand::Mail(SmtpMail::Mail(path, parameters)))
}

/// RFC 5321 4.1.1.3. samotop's state machine drops what stands behind the path, so it is judged here: none of our extensions has a parameter of RCPT.
fn rcpt(rest: &str) -> Result<SmtpCommand, &'static str> {
    let rest = strip_word(rest, "TO:").ok_or(replies::RCPT_SYNTAX)?;
    let (inner, parameters) = bracketed(rest).ok_or(replies::RCPT_SYNTAX)?;
    let parameters = words(parameters).ok_or(replies::RCPT_SYNTAX)?;
    let path = if inner.eq_ignore_ascii_case("postmaster") { SmtpPath::Postmaster } else { path(inner).ok_or(replies::BAD_RECIPIENT)? };
    if !parameters.is_empty() {
        return Err(replies::UNKNOWN_PARAMETER);
    }
    Ok(SmtpCommand::Rcpt(SmtpRcpt(path, parameters)))
}

/// What follows `word` in any case; a space behind the colon is wrong, common and harmless.
fn strip_word<'a>(rest: &'a str, word: &str) -> Option<&'a str> {
    let head = rest.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| rest[word.len()..].trim_start_matches(' '))
}

/// `<inner>` and what follows it; a `>` inside quotes does not close.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('<')?;
    let end = outside_quotes(inside, '>')?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// The first `wanted` that does not stand in a quoted string (RFC 5321 4.1.2).
fn outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// `keyword` or `keyword=value`, each behind a space (RFC 5321 4.1.1.11); `None` for anything else.
fn words(text: &str) -> Option<Vec<String>> {
    if !text.is_empty() && !text.starts_with(' ') {
        return None;
    }
    text.split(' ').filter(|word| !word.is_empty()).map(|word| is_parameter(word).then(|| word.to_owned())).collect()
}

fn is_parameter(word: &str) -> bool {
    let (keyword, value) = word.split_once('=').map_or((word, None), |(keyword, value)| (keyword, Some(value)));
    let keyword_fits = keyword.starts_with(|c: char| c.is_ascii_alphanumeric()) && keyword.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    keyword_fits && value.is_none_or(|value| !value.contains(|c: char| c == '=' || c.is_control() || c.is_whitespace()))
}

/// A mailbox behind a source route that is read and forgotten (RFC 5321 appendix C).
fn path(inner: &str) -> Option<SmtpPath> {
    let (relays, mailbox) = match inner.strip_prefix('@') {
        None => (Vec::new(), inner),
        Some(routed) => {
            let (route, mailbox) = routed.split_once(':')?;
            (route.split(",@").map(host).collect::<Option<Vec<_>>>()?, mailbox)
        }
    };
    if mailbox.starts_with(char::is_whitespace) || mailbox.ends_with(char::is_whitespace) {
        return None;
    }
    let address = EmailAddress::parse(mailbox).ok()?;
    Some(SmtpPath::Mailbox { name: address.local().to_owned(), host: host(address.domain())?, relays })
}

/// A domain or an address literal.
fn host(text: &str) -> Option<SmtpHost> {
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let six = literal.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).map(|_| &literal[5..]);
        return match six {
            Some(six) => six.parse::<Ipv6Addr>().ok().map(SmtpHost::Ipv6),
            None => literal.parse::<Ipv4Addr>().ok().map(SmtpHost::Ipv4),
        };
    }
    EmailAddress::parse(&format!("x@{text}")).ok().map(|_| SmtpHost::Domain(text.to_owned()))
}

/// The mailbox of a path; `None` for the null path and `<postmaster>`.
pub(super) fn mailbox(path: &SmtpPath) -> Option<EmailAddress> {
    match path {
        SmtpPath::Mailbox { name, host, relays: _ } => EmailAddress::parse(&format!("{name}@{host}")).ok(),
        SmtpPath::Postmaster | SmtpPath::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<SmtpCommand, String> {
        match Grammar.parse(format!("{line}\r\n").as_bytes(), &SmtpContext::default()) {
            Ok((_, command)) => Ok(command),
            Err(ParseError::Failed(words)) => Err(words),
            Err(other) => panic!("{line}: {other}"),
        }
    }

    #[test]
    fn every_valid_path_is_read() {
        for (line, expected) in [
            ("MAIL FROM:<>", "<>"),
            ("mail from: <ana@example.org> SIZE=10 body=8bitmime", "<ana@example.org>"),
            ("MAIL FROM:<\"a>b\"@example.org>", "<\"a>b\"@example.org>"),
            ("MAIL FROM:<\"a\\\"b@c\"@example.org>", "<\"a\\\"b@c\"@example.org>"),
            ("MAIL FROM:<jörg@münchen.example> SMTPUTF8", "<jörg@münchen.example>"),
            ("MAIL FROM:<x@[192.0.2.1]>", "<x@[192.0.2.1]>"),
            ("MAIL FROM:<x@[IPv6:2001:db8::1]>", "<x@[IPv6:2001:db8::1]>"),
            ("MAIL FROM:<@a.example,@b.example:ana@example.org>", "<ana@example.org>"),
            ("MAIL FROM:<ana@example.org> ", "<ana@example.org>"),
        ] {
            let Ok(SmtpCommand::Mail(mail)) = parse(line) else { panic!("{line}: {:?}", parse(line)) };
            assert_eq!(mail.sender().to_string(), expected, "{line}");
        }
        assert!(matches!(parse("RCPT TO:<PostMaster>"), Ok(SmtpCommand::Rcpt(SmtpRcpt(SmtpPath::Postmaster, _)))));
        assert!(matches!(parse("EHLO [IPv6:::1]"), Ok(SmtpCommand::Helo(SmtpHelo { host: SmtpHost::Ipv6(_), .. }))));
        for (line, verb) in [("quit", "QUIT"), ("NoOp what ever <>", "NOOP"), ("DATA  ", "DATA"), ("help me", "HELP"), ("vrfy <a@b>", "VRFY")] {
            assert_eq!(parse(line).expect(line).verb(), verb);
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_its_reply() {
        for (line, reply) in [
            ("", replies::UNKNOWN_COMMAND),
            (" NOOP", replies::UNKNOWN_COMMAND),
            ("NOOP\rRSET", replies::LINE_ENDS),
            ("NOOP\nRSET", replies::LINE_ENDS),
            ("EHLO", replies::HELLO_NAME),
            ("EHLO a b", replies::HELLO_NAME),
            ("DATA now", replies::NO_ARGUMENT),
            ("MAIL", replies::MAIL_SYNTAX),
            ("MAIL FROM:", replies::MAIL_SYNTAX),
            ("MAIL FROM <a@b.example>", replies::MAIL_SYNTAX),
            ("MAIL FROM:<a@b.example", replies::MAIL_SYNTAX),
            ("MAIL FROM:<a@b.example><c@d.example>", replies::MAIL_SYNTAX),
            ("MAIL FROM:<a@b.example>SIZE=1", replies::MAIL_SYNTAX),
            ("MAIL FROM:<a@b.example> =x", replies::MAIL_SYNTAX),
            ("MAIL FROM:<a b@b.example>", replies::BAD_SENDER),
            ("MAIL FROM:<a\0@b.example>", replies::NO_TEXT),
            ("NOOP \u{85}", replies::NO_TEXT),
            ("MAIL FROM:<a@[300.1.1.1]>", replies::BAD_SENDER),
            ("MAIL FROM:<a@b.example >", replies::BAD_SENDER),
            ("RCPT TO:<>", replies::BAD_RECIPIENT),
            ("RCPT TO:<a@b.example> NOTIFY=NEVER", replies::UNKNOWN_PARAMETER),
            ("RCPT TO:<a@b.example>,<c@d.example>", replies::RCPT_SYNTAX),
            ("VRFY", replies::VERIFY_WHOM),
            ("STARTTLS now", replies::NO_ARGUMENT),
            ("AUTH PLAIN AGEAYg==", replies::NO_LOGIN),
            ("BDAT 10", replies::NOT_IMPLEMENTED),
        ] {
            assert_eq!(parse(line).expect_err(line), reply, "{line:?}");
        }
    }
}
