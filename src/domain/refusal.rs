//! Every way we say no before we keep a letter: the reply code, the enhanced code, and the words.

/// Why a letter is refused at the SMTP door, so that nothing bounces later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// DMARC fails and the domain's owner asks receivers to refuse (RFC 9989, enhanced code of RFC 7372).
    Forged,
    /// No header From, or several, or one that is no address: there is nobody to answer.
    NoWriter,
    /// A letter to a partner's alias from somebody who is not the partner.
    StrangerToAlias,
    /// A letter to an alias whose partnership is over.
    PartnershipOver,
    /// An answer to a letter of ours, from another address than the one we wrote to.
    NotYourToken,
    /// An answer to a letter of ours that asked too long ago.
    TokenExpired,
}

impl Refusal {
    /// Every refusal, for help texts and tests.
    pub const ALL: [Refusal; 6] = [Self::Forged, Self::NoWriter, Self::StrangerToAlias, Self::PartnershipOver, Self::NotYourToken, Self::TokenExpired];

    /// One word, for the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::NoWriter => "no-writer",
            Self::StrangerToAlias => "stranger-to-alias",
            Self::PartnershipOver => "partnership-over",
            Self::NotYourToken => "not-your-token",
            Self::TokenExpired => "token-expired",
        }
    }

    /// The whole reply to the dot (RFC 5321 4.2, RFC 3463), in words that the writer's own server will show them.
    /// `domain` is ours, so that they know where to write.
    pub fn smtp_reply(self, domain: &str) -> String {
        match self {
            Self::Forged => {
                "550 5.7.26 This letter does not prove that it comes from the domain it names, and that domain asks us to refuse such letters. Please send it through your own mail provider.".to_owned()
            }
            Self::NoWriter => "550 5.6.0 The letter does not say in one From field who wrote it, so nobody could answer. Please send it with one From address.".to_owned(),
            Self::StrangerToAlias => {
                format!("550 5.7.1 Only a partner can write to this address, from the mailbox they signed up with. Another mailbox of yours? Write from the first one. Like to take part? Write to join@{domain}")
            }
            Self::PartnershipOver => format!("550 5.7.1 This partnership has ended, so letters no longer pass here. Write to help@{domain} if you are still looking for each other."),
            Self::NotYourToken => format!("550 5.7.1 This address belongs to a letter we sent to another mailbox. Please reply from that mailbox, or write to help@{domain}"),
            Self::TokenExpired => format!("550 5.7.1 The letter you answer is too old to act on. Write to help@{domain} and we will send a fresh one."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_one_line_with_an_enhanced_code_that_fits_an_smtp_reply() {
        for refusal in Refusal::ALL {
            let reply = refusal.smtp_reply("pairs.example");
            assert!(reply.starts_with("550 5."), "{reply}");
            assert!(reply.len() < 500 && reply.is_ascii() && !reply.contains('\n'), "{} octets: {reply}", reply.len());
        }
    }
}
