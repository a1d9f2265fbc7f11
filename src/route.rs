//! The routing table: whose mailbox, what kind of letter, proven or not → what is done. First match wins; pure.
use uuid::Uuid;

use crate::{
    domain::address::OwnAddress,
    mail::classify::Class,
    store::{recipients::Recipient, tokens::Purpose},
};

/// What is done with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A letter of ours came back.
    Bounce {
        /// Its row in the outbox.
        outbox: Uuid,
    },
    /// Recorded, and never answered (RFC 3834 2): why.
    Quiet(&'static str),
    /// For the people who run the installation.
    Operator(OwnAddress),
    /// Nothing proves its origin: the mailbox it claims is asked.
    AskWriter,
    /// A partner's letter.
    Relay {
        /// Their partnership.
        partnership: Uuid,
        /// The other one.
        reader: Uuid,
    },
    /// An answer to "was this letter yours?".
    Vouch {
        /// The mailbox that was asked.
        mailbox: Uuid,
    },
    /// An answer to a letter about an application.
    SignUpReply,
    /// An answer to "do you want the topics?".
    TopicsReply,
    /// A coordinator's answer to "is everything to stop?", or "… to go again?".
    Brake {
        /// To stop.
        hold: bool,
    },
    /// Any other answer to a letter of ours.
    Reply,
    /// A letter to `join@`.
    SignUp,
    /// A letter to one of the addresses of the monthly topics.
    Topics(OwnAddress),
    /// A letter to `help@`.
    Help,
}

/// Decides.
pub fn route(recipient: &Recipient, class: Class, held: bool) -> Route {
    let quiet = match class {
        Class::Personal => None,
        Class::AutoReply(sign) => Some(sign.why()),
        Class::Bounce => Some("a bounce"),
        Class::Report(_) => Some("a report"),
        Class::Receipt => Some("a receipt"),
        Class::Reaction => Some("a reaction"),
        Class::Loop => Some("a letter of ours that came back, or one in a circle"),
    };
    match (recipient, quiet) {
        (Recipient::Bounce { outbox }, _) => Route::Bounce { outbox: *outbox },
        // Complaints and reports are for them, whoever or whatever wrote them; a loop is for nobody.
        (Recipient::Service(own @ (OwnAddress::Postmaster | OwnAddress::Abuse)), _) if class != Class::Loop => Route::Operator(own.clone()),
        (_, Some(why)) => Route::Quiet(why),
        (_, None) if held => Route::AskWriter,
        (Recipient::Alias { partnership, reader, .. }, None) => Route::Relay { partnership: *partnership, reader: *reader },
        (Recipient::Reply { purpose, address, .. }, None) => match purpose {
            Purpose::Vouch => Route::Vouch { mailbox: *address },
            Purpose::SignUp => Route::SignUpReply,
            Purpose::Subscribe => Route::TopicsReply,
            Purpose::Hold => Route::Brake { hold: true },
            Purpose::Release => Route::Brake { hold: false },
            Purpose::Service => Route::Reply,
        },
        (Recipient::Service(own), None) => match own {
            OwnAddress::Join => Route::SignUp,
            OwnAddress::Topics | OwnAddress::TopicsJoin | OwnAddress::TopicsLeave => Route::Topics(own.clone()),
            OwnAddress::Postmaster | OwnAddress::Abuse => Route::Operator(own.clone()),
            OwnAddress::Help | OwnAddress::Reply(_) | OwnAddress::Bounce(_) | OwnAddress::Alias(_) => Route::Help,
        },
    }
}

impl Route {
    /// One word for the record.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bounce { .. } => "bounce",
            Self::Quiet(_) => "automatic",
            Self::Operator(_) => "operator",
            Self::AskWriter => "unproven",
            Self::Relay { .. } => "relay",
            Self::Vouch { .. } => "vouch",
            Self::SignUp | Self::SignUpReply => "sign-up",
            Self::Topics(_) | Self::TopicsReply => "topics",
            Self::Brake { .. } | Self::Reply | Self::Help => "command",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::classify::Sign;

    #[test]
    fn every_letter_finds_its_way_and_machines_get_no_answer() {
        let (partnership, reader, outbox) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let join = Recipient::Service(OwnAddress::Join);
        let alias = Recipient::Alias { alias: "ana.x".into(), partnership, reader, over: false };
        let automatic = Class::AutoReply(Sign::AutoSubmitted);
        for (recipient, class, held, expected) in [
            (&join, Class::Personal, false, Route::SignUp),
            (&join, Class::Personal, true, Route::AskWriter),
            (&join, automatic, true, Route::Quiet(Sign::AutoSubmitted.why())),
            (&join, Class::Loop, false, Route::Quiet("a letter of ours that came back, or one in a circle")),
            (&alias, Class::Personal, false, Route::Relay { partnership, reader }),
            (&alias, Class::Personal, true, Route::AskWriter),
            (&alias, automatic, false, Route::Quiet(Sign::AutoSubmitted.why())),
            (&Recipient::Bounce { outbox }, Class::Bounce, false, Route::Bounce { outbox }),
            (&Recipient::Service(OwnAddress::Abuse), automatic, false, Route::Operator(OwnAddress::Abuse)),
            (&Recipient::Service(OwnAddress::Abuse), Class::Loop, false, Route::Quiet("a letter of ours that came back, or one in a circle")),
            (&Recipient::Service(OwnAddress::TopicsLeave), Class::Personal, false, Route::Topics(OwnAddress::TopicsLeave)),
        ] {
            assert_eq!(route(recipient, class, held), expected, "{recipient:?} {class:?} {held}");
        }
    }
}
