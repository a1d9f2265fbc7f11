//! Commands carried out by samotop's state machine, in our words: sequence is judged first, and of two replies the first is heard.
use std::sync::Arc;

use samotop::{
    io::tls::MayBeTls,
    smtp::{
        Action, DriverControl, Esmtp, SessionService, SmtpContext,
        command::{SmtpCommand, SmtpHelo, SmtpMail, SmtpNoop, SmtpQuit, SmtpRcpt, SmtpRset},
    },
};

use super::{Step, Visit, body, replies};

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
            SmtpCommand::Help(_) => replies::say(&mut state.session, &replies::help(domain)),
            SmtpCommand::Turn | SmtpCommand::Other(_, _) => replies::say(&mut state.session, replies::NOT_IMPLEMENTED),
        }
    }

    /// samotop would repeat the client's name, which may be long or not ASCII, and list the extensions in any order.
    async fn hello(&self, hello: SmtpHelo, state: &mut SmtpContext) {
        let domain = &self.0.door.domain;
        let mut lines = vec![format!("{domain} is glad of your letters")];
        if hello.verb == "EHLO" {
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
        Esmtp.apply(mail, state).await;
        if state.session.transaction.id.is_empty() {
            state.session.reset();
        }
    }

    async fn rcpt(&self, rcpt: SmtpRcpt, state: &mut SmtpContext) {
        if state.session.transaction.mail.is_none() {
            return replies::say(&mut state.session, replies::MAIL_FIRST);
        }
        Esmtp.apply(rcpt, state).await;
    }

    /// samotop would forget the whole transaction where the recipients are missing.
    async fn data(&self, state: &mut SmtpContext) {
        if state.session.transaction.mail.is_none() {
            return replies::say(&mut state.session, replies::MAIL_FIRST);
        }
        if state.session.transaction.rcpts.is_empty() {
            return replies::say(&mut state.session, replies::NO_RECIPIENT);
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
