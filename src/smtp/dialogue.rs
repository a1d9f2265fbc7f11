//! Commands carried out by samotop's state machine, in our words: sequence is judged first, and of two replies the first is heard.
use std::sync::{Arc, atomic::Ordering};

use samotop::{
    io::tls::MayBeTls,
    smtp::{
        Action, DriverControl, Esmtp, SessionService, SmtpContext,
        command::{SmtpCommand, SmtpHelo, SmtpMail, SmtpNoop, SmtpQuit, SmtpRcpt, SmtpRset},
    },
};

use super::{Step, Visit, body, front, guard, replies};
use crate::telemetry::{self, Figure};

/// As it is announced, and said.
const STARTTLS: &str = "STARTTLS";

/// Of a mail server that receives for us.
const XCLIENT: &str = "XCLIENT";
const XFORWARD: &str = "XFORWARD";

/// Carries out commands for a visit.
#[derive(Debug, Clone)]
pub(super) struct Commands(pub(super) Arc<Visit>);

impl Action<SmtpCommand> for Commands {
    fn apply<'a, 's, 'f>(&'a self, command: SmtpCommand, state: &'s mut SmtpContext) -> Step<'f, ()>
    where
        'a: 'f,
        's: 'f,
    {
        Box::pin(async move {
            let spoken = state.session.output.len();
            self.carry_out(command, state).await;
            hear_the_first(&mut state.session.output, spoken);
        })
    }
}

impl Commands {
    async fn carry_out(&self, command: SmtpCommand, state: &mut SmtpContext) {
        let domain = &self.0.door.domain;
        match command {
            SmtpCommand::Helo(hello) => self.hello(hello, state).await,
            SmtpCommand::Mail(mail) => self.mail(mail, state).await,
            SmtpCommand::Rcpt(rcpt) => self.rcpt(rcpt, state).await,
            SmtpCommand::Data => self.data(state).await,
            SmtpCommand::Rset => {
                replies::say(&mut state.session, replies::RESET);
                self.0.forget_forwarded();
                Esmtp.apply(SmtpRset, state).await;
            }
            SmtpCommand::Noop(_) => {
                replies::say(&mut state.session, replies::NOTHING_DONE);
                Esmtp.apply(SmtpNoop, state).await;
            }
            SmtpCommand::Quit => {
                replies::say(&mut state.session, &replies::goodbye(domain));
                Esmtp.apply(SmtpQuit, state).await;
            }
            SmtpCommand::Vrfy(_) => replies::say(&mut state.session, replies::NO_VERIFY),
            SmtpCommand::Expn(_) => replies::say(&mut state.session, replies::NO_EXPAND),
            SmtpCommand::Other(verb, words) if verb == XCLIENT || verb == XFORWARD => self.0.be_told(&verb, &words, state),
            SmtpCommand::Other(verb, _) if verb == STARTTLS => self.starttls(state),
            SmtpCommand::Help(_) => replies::say(&mut state.session, &replies::help(domain)),
            SmtpCommand::Turn | SmtpCommand::Other(_, _) => replies::say(&mut state.session, replies::NOT_IMPLEMENTED),
        }
    }

    /// RFC 3207 4. The client's word about itself, given in clear, no longer counts.
    fn starttls(&self, state: &mut SmtpContext) {
        let session = &mut state.session;
        if self.0.door.tls.is_none() {
            return replies::say(session, replies::NO_TLS);
        }
        if self.0.tls.get().is_some() {
            return replies::say(session, replies::ENCRYPTED_ALREADY);
        }
        if session.peer_name.is_none() {
            return replies::say(session, replies::HELLO_FIRST);
        }
        session.reset();
        session.peer_name = None;
        session.extensions.disable_code(STARTTLS);
        self.0.extended.store(false, Ordering::Relaxed);
        *self.0.recipients() = Default::default();
        replies::say(session, replies::GO_ENCRYPT);
        session.say(DriverControl::StartTls);
    }

    /// samotop would repeat the client's name, which may be long or not ASCII, and list the extensions in any order.
    async fn hello(&self, hello: SmtpHelo, state: &mut SmtpContext) {
        let domain = &self.0.door.domain;
        if self.0.is_name_of_ours(&hello.host.to_string()) {
            telemetry::count(Figure::Reasons, "hello-of-ours");
            return replies::say(&mut state.session, replies::HELLO_OF_OURS);
        }
        self.0.forget_forwarded();
        let mut lines = vec![format!("{domain} is glad of your letters")];
        let extended = hello.verb == "EHLO";
        self.0.extended.store(extended, Ordering::Relaxed);
        if extended {
            let mut extensions: Vec<_> = state.session.extensions.iter().map(str::to_owned).collect();
            extensions.sort();
            lines.extend(extensions);
        }
        let last = lines.len() - 1;
        let words: Vec<_> = lines.iter().enumerate().map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' })).collect();
        replies::say(&mut state.session, &words.join("\r\n"));
        Esmtp.apply(hello, state).await;
    }

    /// A second MAIL would make samotop forget the first; and after a refused one samotop would go on with it.
    async fn mail(&self, mail: SmtpMail, state: &mut SmtpContext) {
        if state.session.peer_name.is_none() {
            return replies::say(&mut state.session, replies::HELLO_FIRST);
        }
        if state.session.transaction.mail.is_some() {
            return replies::say(&mut state.session, replies::ONE_AT_A_TIME);
        }
        if !guard::parts(Some(&mail)).1.is_empty() && !self.0.extended.load(Ordering::Relaxed) {
            return replies::say(&mut state.session, replies::UNKNOWN_PARAMETER);
        }
        self.0.named.store(false, Ordering::Relaxed);
        Esmtp.apply(mail, state).await;
        if state.session.transaction.id.is_empty() {
            state.session.reset();
        }
    }

    async fn rcpt(&self, rcpt: SmtpRcpt, state: &mut SmtpContext) {
        if state.session.transaction.mail.is_none() {
            return replies::say(&mut state.session, replies::MAIL_FIRST);
        }
        self.0.named.store(true, Ordering::Relaxed);
        Esmtp.apply(rcpt, state).await;
    }

    /// samotop would forget the whole transaction where the recipients are missing.
    async fn data(&self, state: &mut SmtpContext) {
        if state.session.transaction.mail.is_none() {
            return replies::say(&mut state.session, replies::MAIL_FIRST);
        }
        if state.session.transaction.rcpts.is_empty() {
            let named = self.0.named.load(Ordering::Relaxed);
            return replies::say(&mut state.session, if named { replies::NO_RECIPIENT } else { replies::RECIPIENT_FIRST });
        }
        replies::say(&mut state.session, replies::GO_AHEAD);
        body::open(state).await;
    }
}

/// samotop's replies have no enhanced codes. Whoever knows better speaks before it, and of what was said since `spoken` the first reply stands.
fn hear_the_first(output: &mut Vec<DriverControl>, spoken: usize) {
    let mut heard = false;
    let mut at = 0;
    output.retain(|control| {
        at += 1;
        match control {
            DriverControl::Response(_) if at > spoken => !std::mem::replace(&mut heard, true),
            DriverControl::Response(_) | DriverControl::StartTls | DriverControl::Shutdown => true,
        }
    });
}

impl SessionService for Visit {
    fn prepare_session<'a, 'i, 's, 'f>(&'a self, _: &'i mut Box<dyn MayBeTls>, state: &'s mut SmtpContext) -> Step<'f, ()>
    where
        'a: 'f,
        'i: 'f,
        's: 'f,
    {
        state.session.service_name.clone_from(&self.door.domain);
        let extensions = &mut state.session.extensions;
        for word in ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"] {
            extensions.enable_string(word, word);
        }
        if self.door.tls.is_some() {
            extensions.enable_string(STARTTLS, STARTTLS);
        }
        if self.front {
            extensions.enable_string(XCLIENT, &format!("{XCLIENT} {}", front::ATTRIBUTES));
            extensions.enable_string(XFORWARD, &format!("{XFORWARD} {}", front::FORWARDED));
        }
        extensions.enable_string("SIZE", &format!("SIZE {}", self.door.limits.max_message_bytes));
        replies::say(&mut state.session, &replies::greeting(&self.door.domain));
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_replies_to_one_command_the_first_is_heard() {
        let mut output = vec![replies::control("250 before"), replies::control("221 2.0.0 ours"), replies::control("221 samotop's"), DriverControl::Shutdown];
        hear_the_first(&mut output, 1);
        assert_eq!(output, [replies::control("250 before"), replies::control("221 2.0.0 ours"), DriverControl::Shutdown]);
    }
}
