//! Who may write where: decided from the header From and its verdict, before we say 250. The only place that says no to a stranger.
use super::{address::EmailAddress, refusal::Refusal};

/// What a letter's recipient is, as far as admission asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// `postmaster@`, `abuse@`: everybody may write, nothing answers by itself.
    Open,
    /// The signed return path of a letter of ours.
    Bounce,
    /// `join@`, `help@`, `topics@` …: everybody may write, and is answered.
    Service,
    /// An answer to a letter of ours that carried a token to `asked`.
    Reply {
        /// The mailbox that our letter went to.
        asked: &'a EmailAddress,
        /// The token's time is over.
        expired: bool,
    },
    /// A partner's alias.
    Alias {
        /// The header From is a known mailbox of the other partner.
        from_partner: bool,
        /// The partnership has ended.
        over: bool,
    },
}

/// What is known of the letter.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where it goes.
    pub door: Door<'a>,
    /// The one mailbox of its header From; `None` where there is none or there are several.
    pub from: Option<&'a EmailAddress>,
    /// An aligned SPF or DKIM pass: the domain, at least, vouches for the letter.
    pub aligned: bool,
    /// DMARC fails under a policy of quarantine or reject.
    pub forged: bool,
}

/// What happens to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Kept and handled.
    Take,
    /// Kept, but nothing comes of it until the mailbox it claims to come from says yes.
    Hold,
    /// Refused, with words, before 250.
    Refuse(Refusal),
}

impl Admission {
    /// The recipient does not get it.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Refuse(_) => true,
            Self::Take | Self::Hold => false,
        }
    }
}

/// Decides. Identity is the header From, never the return path: that is what people see, and what DMARC guards.
pub fn admit(question: &Question<'_>) -> Admission {
    let from = match question.door {
        Door::Bounce | Door::Open => return if question.forged { Admission::Refuse(Refusal::Forged) } else { Admission::Take },
        Door::Service | Door::Reply { .. } | Door::Alias { .. } if question.forged => return Admission::Refuse(Refusal::Forged),
        Door::Service | Door::Reply { .. } | Door::Alias { .. } => match question.from {
            Some(from) => from,
            None => return Admission::Refuse(Refusal::NoWriter),
        },
    };
    let by_proof = if question.aligned { Admission::Take } else { Admission::Hold };
    match question.door {
        Door::Bounce | Door::Open => Admission::Take,
        Door::Service => by_proof,
        // The token itself came out of the mailbox, which proves more than any DNS record.
        Door::Reply { asked, .. } if asked != from => Admission::Refuse(Refusal::NotYourToken),
        Door::Reply { expired: true, .. } => Admission::Refuse(Refusal::TokenExpired),
        Door::Reply { .. } => Admission::Take,
        Door::Alias { from_partner: false, .. } => Admission::Refuse(Refusal::StrangerToAlias),
        Door::Alias { over: true, .. } => Admission::Refuse(Refusal::PartnershipOver),
        Door::Alias { .. } => by_proof,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("a good address")
    }

    #[test]
    fn each_door_admits_whom_it_should() {
        let (ana, eve) = (address("ana@example.org"), address("eve@example.net"));
        let reply = Door::Reply { asked: &ana, expired: false };
        let partner = Door::Alias { from_partner: true, over: false };
        let table = [
            ("a proven stranger signs up", Door::Service, Some(&eve), true, false, Admission::Take),
            ("an unproven one is asked first", Door::Service, Some(&eve), false, false, Admission::Hold),
            ("a forged one is refused", Door::Service, Some(&ana), false, true, Admission::Refuse(Refusal::Forged)),
            ("nobody in From", Door::Service, None, true, false, Admission::Refuse(Refusal::NoWriter)),
            ("a token proves its mailbox", reply, Some(&ana), false, false, Admission::Take),
            ("but no other", reply, Some(&eve), true, false, Admission::Refuse(Refusal::NotYourToken)),
            ("nor a forged one", reply, Some(&ana), false, true, Admission::Refuse(Refusal::Forged)),
            ("an old token", Door::Reply { asked: &ana, expired: true }, Some(&ana), true, false, Admission::Refuse(Refusal::TokenExpired)),
            ("a partner", partner, Some(&ana), true, false, Admission::Take),
            ("somebody who claims to be one", partner, Some(&ana), false, false, Admission::Hold),
            ("a stranger to an alias", Door::Alias { from_partner: false, over: false }, Some(&eve), true, false, Admission::Refuse(Refusal::StrangerToAlias)),
            ("after the end", Door::Alias { from_partner: true, over: true }, Some(&ana), true, false, Admission::Refuse(Refusal::PartnershipOver)),
            ("a bounce has no writer", Door::Bounce, None, false, false, Admission::Take),
            ("postmaster hears everybody", Door::Open, None, false, false, Admission::Take),
            ("but not forgers", Door::Open, Some(&ana), false, true, Admission::Refuse(Refusal::Forged)),
        ];
        for (what, door, from, aligned, forged, expected) in table {
            assert_eq!(admit(&Question { door, from, aligned, forged }), expected, "{what}");
        }
    }
}
