//! The trusted front: a mail server that receives for us says by XCLIENT or XFORWARD whose letter it hands on. Nobody else may.
use std::net::IpAddr;

use samotop::smtp::SmtpContext;

use super::{Visit, replies};

/// What XCLIENT and XFORWARD may say; a front sends what is announced.
pub(super) const ATTRIBUTES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
/// … and of XFORWARD.
pub(super) const FORWARDED: &str = "NAME ADDR PORT PROTO HELO IDENT SOURCE";
/// A value has so many octets at most.
const LONGEST_VALUE: usize = 255;

/// What the front said of the client before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    ip: Option<IpAddr>,
    helo: Option<String>,
}

/// What the front has said in this session.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// By XCLIENT: for the rest of the session.
    client: Option<Told>,
    /// By XFORWARD: for the next letter.
    letter: Option<Told>,
}

/// Who brings a letter: the client, or whom the front says it received it from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// None where the front does not say.
    pub(super) ip: Option<IpAddr>,
    /// The name given by the front; none: what the client said in EHLO.
    pub(super) helo: Option<String>,
}

impl Visit {
    /// Who brings the letter.
    pub(super) fn caller(&self) -> Caller {
        if !self.front {
            return Caller { ip: Some(self.peer.ip().to_canonical()), helo: None };
        }
        let heard = self.heard();
        let told = heard.letter.as_ref().or(heard.client.as_ref()).cloned().unwrap_or_default();
        Caller { ip: told.ip, helo: told.helo }
    }

    /// XCLIENT and XFORWARD.
    pub(super) fn be_told(&self, verb: &str, words: &[String], state: &mut SmtpContext) {
        let session = &mut state.session;
        if !self.front {
            return replies::say(session, replies::NO_FRONT);
        }
        if session.transaction.mail.is_some() {
            return replies::say(session, replies::NOT_IN_A_LETTER);
        }
        let whole_session = verb == "XCLIENT";
        let mut heard = self.heard();
        let slot = if whole_session { &mut heard.client } else { &mut heard.letter };
        let mut told = slot.clone().unwrap_or_default();
        let mut words = words.iter().filter(|word| !word.is_empty()).peekable();
        if words.peek().is_none() || words.try_for_each(|word| told.learn(word)).is_err() {
            return replies::say(session, replies::BAD_PARAMETER);
        }
        *slot = Some(told);
        if !whole_session {
            return replies::say(session, replies::NOTED);
        }
        // As at the beginning, but for what was just said.
        session.reset();
        session.peer_name = slot.as_ref().and_then(|told| told.helo.clone());
        heard.letter = None;
        replies::say(session, &replies::greeting(&self.door.domain));
    }

    /// The letter that XFORWARD spoke of is over.
    pub(super) fn forget_forwarded(&self) {
        self.heard().letter = None;
    }
}

/// Not of the form `NAME=value`, or a value that its name can't have.
#[derive(Debug, PartialEq, Eq)]
struct Wrong;

impl Told {
    fn learn(&mut self, word: &str) -> Result<(), Wrong> {
        let (name, value) = word.split_once('=').ok_or(Wrong)?;
        if value.len() > LONGEST_VALUE {
            return Err(Wrong);
        }
        let value = xtext(value).ok_or(Wrong)?;
        let unknown = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|word| value.eq_ignore_ascii_case(word));
        match name.to_ascii_uppercase().as_str() {
            "ADDR" if unknown => self.ip = None,
            "ADDR" => self.ip = Some(address(&value).ok_or(Wrong)?),
            "HELO" => self.helo = (!unknown).then_some(value),
            "PROTO" if unknown || ["SMTP", "ESMTP"].iter().any(|protocol| value.eq_ignore_ascii_case(protocol)) => {}
            "NAME" | "REVERSE_NAME" | "PORT" | "LOGIN" | "DESTADDR" | "DESTPORT" | "IDENT" | "SOURCE" => {}
            _ => return Err(Wrong),
        }
        Ok(())
    }
}

/// `192.0.2.1` or `IPV6:2001:db8::1`.
fn address(text: &str) -> Option<IpAddr> {
    let six = text.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPV6:")).map(|_| &text[5..]);
    match six {
        Some(six) => six.parse::<std::net::Ipv6Addr>().ok().map(|six| IpAddr::V6(six).to_canonical()),
        None => text.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// xtext decoded (RFC 3461 4); none where it is none, or hides what has no place in a name.
fn xtext(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok().filter(|out| !out.contains(|c: char| c.is_control() || c.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_front_says_is_read_in_every_form_that_it_has() {
        for (words, ip, helo) in [
            ("NAME=client.example ADDR=192.0.2.7 PROTO=ESMTP HELO=client.example", Some("192.0.2.7"), Some("client.example")),
            ("name=[UNAVAILABLE] addr=IPV6:2001:db8::7 port=25 login=x destaddr=192.0.2.1 destport=25", Some("2001:db8::7"), None),
            ("ADDR=[UNAVAILABLE] HELO=[TEMPUNAVAIL] PROTO=[UNAVAILABLE]", None, None),
            ("ADDR=ipv6:::ffff:192.0.2.7 HELO=[192.0.2.7]", Some("192.0.2.7"), Some("[192.0.2.7]")),
            ("HELO=a+2Bb IDENT=x SOURCE=REMOTE", None, Some("a+b")),
        ] {
            let mut told = Told::default();
            assert_eq!(words.split(' ').try_for_each(|word| told.learn(word)), Ok(()), "{words}");
            assert_eq!((told.ip.map(|ip| ip.to_string()).as_deref(), told.helo.as_deref()), (ip, helo), "{words}");
        }
        let long = format!("NAME={}", "x".repeat(256));
        for wrong in ["ADDR", "ADDR=", "ADDR=300.1.1.1", "ADDR=2001:db8::1", "PROTO=HTTP", "COLOUR=red", "HELO=a+0D+0A", "HELO=a+2", "HELO=a+zz", &long] {
            assert_eq!(Told::default().learn(wrong), Err(Wrong), "{wrong}");
        }
    }
}
