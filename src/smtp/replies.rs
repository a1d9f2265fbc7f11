//! What the listener says: reply codes of RFC 5321 4.2.3 with enhanced codes of RFC 3463, in words that a person understands.
use samotop::smtp::{DriverControl, SmtpSession};

pub(super) const HELLO_FIRST: &str = "503 5.5.1 Please say EHLO or HELO first";
pub(super) const MAIL_FIRST: &str = "503 5.5.1 Please say who the letter is from first: MAIL FROM";
pub(super) const RECIPIENT_FIRST: &str = "503 5.5.1 Please say who the letter is for first: RCPT TO";
pub(super) const ENCRYPTED_ALREADY: &str = "503 5.5.1 This connection is encrypted already";
pub(super) const ONE_AT_A_TIME: &str = "503 5.5.1 A letter has been begun already; RSET drops it";
pub(super) const NO_RECIPIENT: &str = "554 5.5.1 No recipient was taken, so there is nobody to give a letter to";

pub(super) const SENDER_TAKEN: &str = "250 2.1.0 Sender noted";
pub(super) const RECIPIENT_TAKEN: &str = "250 2.1.5 Recipient noted";
pub(super) const RESET: &str = "250 2.0.0 Forgotten";
pub(super) const NOTHING_DONE: &str = "250 2.0.0 Still here";
pub(super) const GO_ENCRYPT: &str = "220 2.0.0 Ready for TLS; what was said so far is forgotten";
pub(super) const GO_AHEAD: &str = "354 Go ahead; end with a dot on a line of its own";

pub(super) const NOTED: &str = "250 2.0.0 Noted";
pub(super) const NO_FRONT: &str = "550 5.7.1 Only a mail server that receives for us may say whose letter it brings";
pub(super) const NOT_IN_A_LETTER: &str = "503 5.5.1 Not while a letter is under way";
pub(super) const HELLO_OF_OURS: &str = "550 5.7.1 That is our own name; please say the name of your host";

pub(super) const NO_VERIFY: &str = "252 2.1.5 We do not tell who is here; send the letter and it will be taken or refused";
pub(super) const NO_EXPAND: &str = "502 5.5.1 We do not tell who is on a list";
pub(super) const NO_TLS: &str = "502 5.5.1 STARTTLS is not offered here";
pub(super) const NO_LOGIN: &str = "502 5.5.1 Nobody logs in here; mail for our own addresses is taken without";
pub(super) const UNKNOWN_COMMAND: &str = "500 5.5.1 That is no command of ours";
pub(super) const NOT_IMPLEMENTED: &str = "502 5.5.1 That command is not offered here";

pub(super) const LINE_ENDS: &str = "500 5.5.2 A command ends in CR LF and has no other CR or LF in it";
pub(super) const NO_TEXT: &str = "500 5.5.2 A command is text in ASCII or UTF-8, without control characters";
pub(super) const LINE_TOO_LONG: &str = "500 5.5.2 That line is longer than a command may be";
pub(super) const NO_ARGUMENT: &str = "501 5.5.4 That command takes nothing behind it";
pub(super) const VERIFY_WHOM: &str = "501 5.5.4 The form is VRFY name@domain";
pub(super) const HELLO_NAME: &str = "501 5.5.4 Please say the name of your host, or its address in brackets";
pub(super) const MAIL_SYNTAX: &str = "501 5.5.4 The form is MAIL FROM:<name@domain>";
pub(super) const RCPT_SYNTAX: &str = "501 5.5.4 The form is RCPT TO:<name@domain>";
pub(super) const BAD_SENDER: &str = "501 5.1.7 The sender is not an address of the form name@domain";
pub(super) const BAD_RECIPIENT: &str = "501 5.1.3 The recipient is not an address of the form name@domain";
pub(super) const BAD_PARAMETER: &str = "501 5.5.4 That parameter is not of the form that its standard gives";
pub(super) const UNKNOWN_PARAMETER: &str = "555 5.5.4 That parameter is not known here";
pub(super) const UTF8_UNASKED: &str = "553 5.6.7 An address outside of ASCII needs the parameter SMTPUTF8";

pub(super) const NO_RELAYING: &str = "550 5.7.1 Relaying denied: we take mail for our own addresses only";
pub(super) const TOO_MANY_RECIPIENTS: &str = "452 4.5.3 That is enough recipients for one letter; please send it again to the others";
pub(super) const AWAY: &str = "451 4.3.0 We cannot keep letters at this moment; please try again soon";
pub(super) const FULL: &str = "452 4.3.1 There is no room left to keep letters at this moment; please try again later";
pub(super) const OUT_OF_MEMORY: &str = "452 4.3.1 Too many letters are on their way at once; please try again soon";

pub(super) const BARE_NEWLINES: &str = "550 5.6.0 The letter has a CR or LF that is not part of a CR LF, so it could be read in two ways";

pub(super) const TOO_MANY_PARTS: &str = "554 5.6.0 The letter has more parts than are taken here";
pub(super) const TOO_DEEP: &str = "554 5.6.0 The letter has more parts within parts than are taken here";

pub(super) const TOO_MANY_ERRORS: &str = "421 4.7.0 Too many errors; please look at what your program sends";
pub(super) const TOO_MANY_COMMANDS: &str = "421 4.7.0 Too many commands without a letter";
pub(super) const TOO_MUCH: &str = "421 4.7.0 That line does not end";
pub(super) const TOO_SLOW: &str = "421 4.4.2 Waited too long; please come again";
pub(super) const TOO_LONG_A_SESSION: &str = "421 4.7.0 This session has lasted long enough; please open a new one";
pub(super) const TOO_MANY_CLIENTS: &str = "421 4.3.2 Too many connections; please come again in a minute";
pub(super) const TOO_MANY_OF_YOURS: &str = "421 4.3.2 Too many connections of yours at once; please come again in a minute";
pub(super) const TOO_OFTEN: &str = "421 4.7.0 Too many new connections of yours within a minute; please wait for the next one";
pub(super) const SPOKE_TOO_EARLY: &str = "554 5.5.0 A client waits to be greeted; yours spoke first";
pub(super) const NO_PROXY_HEADER: &str = "421 4.3.5 This address expects a balancer's header, which did not come";
pub(super) const MAKE_ROOM: &str = "421 4.3.2 Many others are waiting, and we were waiting for you; please come again in a minute";
pub(super) const CLOSING: &str = "421 4.3.2 We are restarting; please come again in a minute";
pub(super) const NO_WEB: &str = "421 4.7.0 This is a mail server, not a web server";

/// The first words of a session.
pub(super) fn greeting(domain: &str) -> String {
    format!("220 {domain} ESMTP Pairpost")
}

/// The last ones.
pub(super) fn goodbye(domain: &str) -> String {
    format!("221 2.0.0 {domain} says goodbye")
}

/// What a person at a terminal may want to know.
pub(super) fn help(domain: &str) -> String {
    format!("214 2.0.0 EHLO MAIL RCPT DATA RSET NOOP QUIT; for people: write to help@{domain}")
}

/// Nobody has this mailbox.
pub(super) fn unknown_mailbox(domain: &str) -> String {
    format!("550 5.1.1 Nobody has this address here; help@{domain} knows more")
}

/// The client's address stands on this DNS list.
pub(super) fn listed(list: &str) -> String {
    format!("550 5.7.1 Your mail server's address is on the list {list}, where senders of junk are noted; its operator can have it taken off")
}

/// Whoever writes for the first time comes again.
pub(super) const COME_AGAIN: &str = "451 4.7.1 We have not met before; please try again in some minutes";
pub(super) const TOO_MANY_UNPROVEN: &str =
    "452 4.3.1 Many letters that prove no origin wait already for a word of their writers; please send it through your own mail provider, or later";
pub(super) const TOO_MANY_OF_DOMAIN: &str = "451 4.7.1 So many letters came from your domain within the hour; please try again later";

/// The letter's header is larger than is read.
pub(super) fn header_too_large(limit: usize) -> String {
    format!("552 5.3.4 The letter's header is larger than the {limit} octets that are taken here")
}

/// The letter is, or says it is, larger than `limit` octets.
pub(super) fn too_large(limit: usize) -> String {
    format!("552 5.3.4 The letter is larger than the {limit} octets that are taken here")
}

/// The letter is ours now, under this id.
pub(super) fn kept(id: impl std::fmt::Display) -> String {
    format!("250 2.0.0 Kept as {id}")
}

/// Puts a reply among what the driver will send; `words` may have several lines, each with its code.
pub(super) fn say(session: &mut SmtpSession, words: &str) {
    session.say(control(words));
}

/// A refusal with the session's id behind its words, by which the log has it: `550 5.1.1 Nobody … (session abc)`. Other replies as they are.
pub(super) fn signed(mut reply: Vec<u8>, session: &str) -> Vec<u8> {
    if matches!(reply.first(), Some(b'4' | b'5')) && reply.ends_with(b"\r\n") {
        reply.truncate(reply.len() - 2);
        reply.extend(format!(" (session {session})\r\n").bytes());
    }
    reply
}

/// The codes of a reply: `550 5.7.1`.
pub(super) fn codes(reply: &[u8]) -> &str {
    let end = reply.iter().enumerate().filter(|(_, byte)| **byte == b' ').nth(1).map_or(reply.len(), |(at, _)| at);
    std::str::from_utf8(&reply[..end]).unwrap_or_default()
}

/// A reply as samotop's driver control.
pub(super) fn control(words: &str) -> DriverControl {
    DriverControl::Response(format!("{words}\r\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_end_with_the_session_and_nothing_else_does() {
        assert_eq!(signed(b"550 5.1.1 Nobody\r\n".to_vec(), "abc"), b"550 5.1.1 Nobody (session abc)\r\n");
        assert_eq!(signed(b"250 2.0.0 Kept\r\n".to_vec(), "abc"), b"250 2.0.0 Kept\r\n");
        assert_eq!(codes(b"550 5.1.1 Nobody here\r\n"), "550 5.1.1");
        assert_eq!(codes(b"550"), "550");
    }
}
