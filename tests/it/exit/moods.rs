//! The next hop at its worst, as a table: what it does at which command, and what becomes of the letter, of the connection and of the letter behind it.
use std::{fmt, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{sync::Semaphore, task::JoinSet};

use super::Post;
use crate::{
    next_hop::{
        Mood::{self, Close, Endless, Lose, More, Raw, Say, Slowly, Stall},
        NextHop,
        Step::{self, Data, Dot, Greeting, Handshake, Hello, Helo, Mail, Rcpt, Rset, Secure, StartTls},
    },
    stopwatch::Stopwatch,
};

/// What becomes of Ben's letter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ben {
    /// It is sent, in whatever is left of the same attempt.
    Gets,
    /// It is tried again a minute later, and sent once.
    Waits,
    /// The same, but the hop had kept it before: SMTP's own window (RFC 1047).
    GetsTwice,
    /// It is given up, and Ana is told why.
    Refuses(&'static str),
    /// The same, and nothing is sent to his mailbox any more.
    IsGone,
}
use Ben::{Gets, GetsTwice, IsGone, Refuses, Waits};

/// What the record says then.
const SENT: &str = "250 2.0.0 queued as 77";
const LATE: &str = "the next hop did not answer in time";
const UNREADABLE: &str = "the next hop closed the connection, or its answer can't be read";
/// What Ana is told.
const BLOCKED: &str = "their mail server refuses letters from us at the moment";
const CONTENT: &str = "their mail server did not like something in it, such as a picture or a link";
const FULL: &str = "their mailbox is full";
const BACK: &str = "their mail server sent it back";
const GONE: &str = "their mailbox does not take letters any more";
/// Octets that are no reply.
const BABBLE: Mood = Raw(b"\x01\x7fnot a reply at all\r\n");
const BINARY: Mood = Raw(&[0xff, 0xfe, 0, b'\n', 0x80, b'\r', b'\n']);
/// An octet at a time, and an octet in two seconds: longer than a step may take, and the letter itself.
const OCTETS: Mood = Slowly(Duration::ZERO);
const TARPIT: Mood = Slowly(Duration::from_secs(2));
/// Replies and lines without an end.
const LINE: Mood = Endless(b"250 and so on ");
const LINES: Mood = Endless(b"250-and so on\r\n");
const EMPTY: Mood = Endless(b"250-\r\n");

/// How long a step may take where the hop is late.
const PATIENCE: &str = "4";
/// … and where it is not, however little of the machine is left for it.
const NEVER_LATE: &str = "60";
/// … and all of it, in any mood: five times that for the letter itself, and something for a machine that has other things to do.
const BOUND: Duration = Duration::from_secs(60);

/// Once, at this step, it does that; then so becomes of Ben's letter, the record says this (words that contain one of these, split at a bar), and so many
/// connections are made for his letter and Cy's behind it: one when it is kept. Cy's always leaves at once.
struct Row(Step, Mood, Ben, &'static str, usize);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row(Greeting, Say("421 4.3.2 closing"), Waits, "the next hop does not serve us: 421 4.3.2 closing", 2),
    Row(Greeting, Say("450 4.7.1 later"), Waits, "the next hop does not serve us: 450 4.7.1 later", 2),
    Row(Greeting, Say("554 5.7.1 no service here"), Waits, "the next hop does not serve us: 554 5.7.1 no service here", 2),
    Row(Greeting, Say("354 go on"), Waits, "the next hop says what it should not: 354 go on", 2),
    Row(Greeting, Say("220-two\r\n554 codes"), Waits, UNREADABLE, 2),
    Row(Greeting, Say("hello"), Waits, UNREADABLE, 2),
    Row(Greeting, Say("999 out of range"), Waits, UNREADABLE, 2),
    Row(Greeting, BINARY, Waits, UNREADABLE, 2),
    Row(Greeting, Stall, Waits, LATE, 2),
    Row(Greeting, TARPIT, Waits, LATE, 2),
    Row(Greeting, Close, Waits, UNREADABLE, 2),
    Row(Greeting, LINE, Waits, UNREADABLE, 2),
    Row(Greeting, LINES, Waits, UNREADABLE, 2),
    Row(Greeting, EMPTY, Waits, UNREADABLE, 2),
    Row(Greeting, More(b"250 and more\r\n"), Waits, UNREADABLE, 2),
    Row(Greeting, OCTETS, Gets, SENT, 1),

    Row(Hello, Say("421 4.3.2 closing"), Waits, "the next hop does not serve us: 421 4.3.2 closing", 2),
    Row(Hello, Say("451 4.3.0 not now"), Waits, "the next hop does not serve us: 451 4.3.0 not now", 2),
    Row(Hello, Say("502 5.5.1 what?"), Gets, SENT, 1),
    Row(Hello, Say("550 5.7.1 not you"), Gets, SENT, 1),
    Row(Hello, Say("354 go on"), Waits, "the next hop says what it should not: 354 go on", 2),
    Row(Hello, BABBLE, Waits, UNREADABLE, 2),
    Row(Hello, Stall, Waits, LATE, 2),
    Row(Hello, TARPIT, Waits, LATE, 2),
    Row(Hello, Close, Waits, UNREADABLE, 2),
    Row(Hello, LINE, Waits, UNREADABLE, 2),
    Row(Hello, LINES, Waits, UNREADABLE, 2),
    Row(Hello, EMPTY, Waits, UNREADABLE, 2),
    Row(Hello, More(b"250 and more\r\n"), Waits, UNREADABLE, 2),
    Row(Hello, OCTETS, Gets, SENT, 1),

    Row(Mail, Say("421 4.3.2 closing"), Waits, "421 4.3.2 closing", 2),
    Row(Mail, Say("451 4.3.0 not now"), Waits, "451 4.3.0 not now", 1),
    Row(Mail, Say("452 4.3.1 disk full"), Waits, "452 4.3.1 disk full", 1),
    Row(Mail, Say("550 5.1.0 no such user"), Refuses(BLOCKED), "550 5.1.0 no such user", 1),
    Row(Mail, Say("550 5.7.1 your account is closed"), Refuses(BLOCKED), "550 5.7.1 your account is closed", 1),
    Row(Mail, Say("552 5.3.4 too large"), Refuses(CONTENT), "552 5.3.4 too large", 1),
    Row(Mail, Say("354 go on"), Waits, "the next hop says what it should not: 354 go on", 2),
    Row(Mail, Say("199 out of range"), Waits, UNREADABLE, 2),
    Row(Mail, BABBLE, Waits, UNREADABLE, 2),
    Row(Mail, BINARY, Waits, UNREADABLE, 2),
    Row(Mail, Stall, Waits, LATE, 2),
    Row(Mail, TARPIT, Waits, LATE, 2),
    Row(Mail, Close, Waits, UNREADABLE, 2),
    Row(Mail, LINE, Waits, UNREADABLE, 2),
    Row(Mail, LINES, Waits, UNREADABLE, 2),
    Row(Mail, EMPTY, Waits, UNREADABLE, 2),
    Row(Mail, More(b"250 and more\r\n"), Waits, "the next hop says what it should not: 250 2.1.5 ok|can't be read", 2),
    Row(Mail, OCTETS, Gets, SENT, 1),

    Row(Rcpt, Say("421 4.3.2 closing"), Waits, "421 4.3.2 closing", 2),
    Row(Rcpt, Say("450 4.2.1 not now, ben@example.net"), Waits, "450 4.2.1 not now, (address)", 1),
    Row(Rcpt, Say("452 4.2.2 full"), Waits, "452 4.2.2 full", 1),
    Row(Rcpt, Say("550 5.1.1 ben@example.net who?"), IsGone, "550 5.1.1 (address) who?", 1),
    Row(Rcpt, Say("550-no such user\r\n550 here"), IsGone, "550 no such user here", 1),
    Row(Rcpt, Say("552 5.2.2 over quota"), Refuses(FULL), "552 5.2.2 over quota", 1),
    Row(Rcpt, Say("554 5.7.1 not for you"), Refuses(BLOCKED), "554 5.7.1 not for you", 1),
    Row(Rcpt, Say("251 2.1.5 he has moved; I know where"), Gets, SENT, 1),
    Row(Rcpt, Say("354 go on"), Waits, "the next hop says what it should not: 354 go on", 2),
    Row(Rcpt, Say("600 out of range"), Waits, UNREADABLE, 2),
    Row(Rcpt, BABBLE, Waits, UNREADABLE, 2),
    Row(Rcpt, Stall, Waits, LATE, 2),
    Row(Rcpt, TARPIT, Waits, LATE, 2),
    Row(Rcpt, Close, Waits, UNREADABLE, 2),
    Row(Rcpt, LINES, Waits, UNREADABLE, 2),
    Row(Rcpt, EMPTY, Waits, UNREADABLE, 2),
    Row(Rcpt, More(b"250 and more\r\n"), Waits, "the next hop says what it should not: 250 and more|can't be read", 2),
    Row(Rcpt, OCTETS, Gets, SENT, 1),

    Row(Data, Say("421 4.3.2 closing"), Waits, "421 4.3.2 closing", 2),
    Row(Data, Say("451 4.3.0 not now"), Waits, "451 4.3.0 not now", 1),
    Row(Data, Say("554 5.5.1 no"), Refuses(BACK), "554 5.5.1 no", 1),
    Row(Data, Say("250 ok"), Waits, "the next hop says what it should not: 250 ok", 2),
    Row(Data, BABBLE, Waits, UNREADABLE, 2),
    Row(Data, Stall, Waits, LATE, 2),
    Row(Data, TARPIT, Waits, LATE, 2),
    Row(Data, Close, Waits, UNREADABLE, 2),
    Row(Data, LINES, Waits, UNREADABLE, 2),
    Row(Data, EMPTY, Waits, UNREADABLE, 2),
    // Before it has the letter it can't have taken it.
    Row(Data, More(b"250 2.0.0 queued as 78\r\n"), Waits, "the next hop says what it should not: 250 2.0.0 queued as 78", 2),
    Row(Data, More(b"552 5.3.4 too large\r\n"), Refuses(CONTENT), "552 5.3.4 too large", 2),
    Row(Data, OCTETS, Gets, SENT, 1),

    Row(Dot, Say("421 4.3.2 closing"), Waits, "421 4.3.2 closing", 2),
    Row(Dot, Say("451 4.3.0 not now"), Waits, "451 4.3.0 not now", 1),
    Row(Dot, Say("452 4.3.1 disk full"), Waits, "452 4.3.1 disk full", 1),
    Row(Dot, Say("550 5.1.1 who?"), IsGone, "550 5.1.1 who?", 1),
    Row(Dot, Say("552 5.3.4 too large"), Refuses(CONTENT), "552 5.3.4 too large", 1),
    Row(Dot, Say("554 5.7.1 looks like spam"), Refuses(BLOCKED), "554 5.7.1 looks like spam", 1),
    Row(Dot, Say("250 other words"), Gets, "250 other words", 1),
    Row(Dot, Say("354 go on"), Waits, "the next hop says what it should not: 354 go on", 2),
    Row(Dot, Raw(b"250-yes\r\n550 no\r\n"), Waits, UNREADABLE, 2),
    Row(Dot, BABBLE, Waits, UNREADABLE, 2),
    Row(Dot, Stall, Waits, LATE, 2),
    Row(Dot, TARPIT, Waits, LATE, 2),
    Row(Dot, Close, Waits, UNREADABLE, 2),
    Row(Dot, Lose, GetsTwice, UNREADABLE, 2),
    Row(Dot, LINE, Waits, UNREADABLE, 2),
    Row(Dot, LINES, Waits, UNREADABLE, 2),
    Row(Dot, EMPTY, Waits, UNREADABLE, 2),
    Row(Dot, More(b"250 and more\r\n"), Gets, SENT, 2),
    Row(Dot, OCTETS, Gets, SENT, 1),

    // RSET is said after a no.
    Row(Rset, Say("421 4.3.2 closing"), Waits, "450 4.2.1 not now", 2),
    Row(Rset, Say("451 4.3.0 not now"), Waits, "450 4.2.1 not now", 2),
    Row(Rset, Say("502 5.5.1 what?"), Waits, "450 4.2.1 not now", 2),
    Row(Rset, BABBLE, Waits, "450 4.2.1 not now", 2),
    Row(Rset, Stall, Waits, "450 4.2.1 not now", 2),
    Row(Rset, Close, Waits, "450 4.2.1 not now", 2),
    Row(Rset, EMPTY, Waits, "450 4.2.1 not now", 2),
    Row(Rset, More(b"250 and more\r\n"), Waits, "450 4.2.1 not now", 2),
    Row(Rset, OCTETS, Waits, "450 4.2.1 not now", 1),

    // Nobody's password is at stake: where TLS is announced and can't be had, the letter leaves without.
    Row(StartTls, OCTETS, Gets, SENT, 1),
    Row(StartTls, Say("421 4.3.2 closing"), Waits, "the next hop does not serve us: 421 4.3.2 closing", 2),
    Row(StartTls, Say("454 4.7.0 not today"), Gets, SENT, 1),
    Row(StartTls, Say("502 5.5.1 what?"), Gets, SENT, 1),
    Row(StartTls, BABBLE, Gets, SENT, 2),
    Row(StartTls, Stall, Gets, SENT, 2),
    Row(StartTls, Close, Gets, SENT, 2),
    Row(StartTls, EMPTY, Gets, SENT, 2),
    // Said in plain text by somebody on the way, to be read within TLS (RFC 3207 4.2).
    Row(StartTls, More(b"250 and more\r\n"), Gets, SENT, 2),
    Row(Handshake, BABBLE, Gets, SENT, 2),
    Row(Handshake, Stall, Gets, SENT, 2),
    Row(Handshake, Close, Gets, SENT, 2),
    Row(Secure, Say("451 4.3.0 not now"), Waits, "the next hop does not serve us: 451 4.3.0 not now", 2),
    Row(Secure, BABBLE, Gets, SENT, 2),
    Row(Secure, Stall, Gets, SENT, 2),
    Row(Secure, Close, Gets, SENT, 2),
    Row(Secure, EMPTY, Gets, SENT, 2),
];

/// On a connection that took a letter before: what happens there before the letter was on its way may well be about the connection alone, so it is tried on
/// another at once, and costs no attempt.
#[rustfmt::skip]
const KEPT: &[Row] = &[
    Row(Mail, Say("421 4.4.2 closing"), Gets, SENT, 2),
    Row(Mail, Close, Gets, SENT, 2),
    Row(Mail, BABBLE, Gets, SENT, 2),
    Row(Mail, Stall, Waits, LATE, 2),
    Row(Mail, Say("451 4.3.0 not now"), Waits, "451 4.3.0 not now", 1),
    Row(Rcpt, Say("421 4.3.2 closing"), Gets, SENT, 2),
    Row(Rcpt, Close, Gets, SENT, 2),
    Row(Data, Say("421 4.3.2 closing"), Gets, SENT, 2),
    Row(Data, Close, Gets, SENT, 2),
    Row(Dot, Say("421 4.3.2 closing"), Gets, SENT, 2),
    Row(Dot, Close, Waits, UNREADABLE, 2),
    Row(Dot, Lose, GetsTwice, UNREADABLE, 2),
];

/// A row as it is played.
#[derive(Clone, Copy)]
struct Play {
    row: &'static Row,
    /// The hop takes several commands at once.
    pipelining: bool,
    /// It took a letter before.
    kept: bool,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row(step, mood, ..) = self.row;
        let mood = format!("{mood:?}").chars().take(60).collect::<String>();
        write!(f, "{step:?}, {mood}{}{}", if self.pipelining { "" } else { ", one by one" }, if self.kept { ", on a kept connection" } else { "" })
    }
}

impl Play {
    async fn hop(&self) -> NextHop {
        let Row(step, mood, ..) = *self.row;
        let hop = match step {
            StartTls | Handshake | Secure => NextHop::with_tls().await,
            Greeting | Hello | Helo | Mail | Rcpt | Data | Dot | Rset | Step::Auth | Step::Quit => NextHop::start().await,
        };
        if !self.pipelining {
            hop.conceal("PIPELINING");
        }
        if step == Rset {
            hop.answers("ben@example.net", "450 4.2.1 not now");
        }
        if !self.kept {
            hop.mood_once(step, mood);
        }
        hop
    }

    /// What is not as the row says, in words.
    async fn run(self) -> Result<Duration, String> {
        let Row(step, mood, ben, words, connections) = *self.row;
        let hop = self.hop().await;
        let settings = [
            ("PAIRPOST_DELIVERY__SMARTHOST", hop.url()),
            ("PAIRPOST_DELIVERY__TIMEOUT_SECONDS", if [Stall, TARPIT].contains(&mood) { PATIENCE } else { NEVER_LATE }.into()),
            ("PAIRPOST_DELIVERY__CONCURRENCY", "1".into()),
        ];
        let mut post = Post::new(&settings.each_ref().map(|(key, value)| (*key, value.as_str()))).await;
        if self.kept {
            post.write("dora@first.example", "one").await;
            post.work().await;
            hop.mood_once(step, mood);
        }
        post.relay().await;
        post.write("cy@other.example", "one").await;
        let began = Stopwatch::start();
        post.work().await;
        let took = began.elapsed();
        let mut wrong = Vec::new();
        let mut check = |what: &str, is: String, wanted: &str| {
            if !wanted.split('|').any(|wanted| is == wanted) {
                wrong.push(format!("{what}: {is:?}, not {wanted:?}"));
            }
        };
        let record = post.ask("select concat_ws(' ', o.state, coalesce(e.outcome, 'under way'), o.attempts) from outbox o join exchange e on e.id = o.exchange_id where o.kind = 'relay'").await;
        check(
            "Ben's letter",
            record,
            match ben {
                Gets => "sent sent 1",
                Waits | GetsTwice => "queued under way 1",
                Refuses(_) | IsGone => "failed failed 1",
            },
        );
        let reply = post.ask("select reply from exchange where kind = 'relay' and direction = 'out'").await;
        if !words.split('|').any(|words| reply.contains(words)) {
            check("the record", reply, words);
        }
        check(
            "Cy's letter",
            post.ask("select o.state || ' ' || o.attempts from outbox o join address a on a.id = o.address_id where a.email = 'cy@other.example'").await,
            "sent 1",
        );
        check("connections", hop.connections().to_string(), &connections.to_string());
        check(
            "given up for good",
            post.ask("select email from address where suppressed_at is not null").await,
            if ben == IsGone { "ben@example.net" } else { "nothing" },
        );
        let told: Vec<_> = hop.taken().iter().filter(|letter| letter.to == "ana@example.org").map(|letter| super::one_line(&letter.bytes)).collect();
        match ben {
            Gets | Waits | GetsTwice => check("told", told.len().to_string(), "0"),
            Refuses(why) if told.iter().all(|words| words.contains(why)) => check("told", told.len().to_string(), "1"),
            IsGone if told.iter().all(|words| words.contains(GONE)) => check("told", told.len().to_string(), "1"),
            Refuses(_) | IsGone => check("told", told.concat(), "why"),
        }
        hop.calm();
        post.now += TimeDelta::minutes(1);
        post.work().await;
        let (got, wanted) = (
            hop.taken().iter().filter(|letter| letter.to == "ben@example.net").count(),
            match ben {
                Gets | Waits => "1",
                GetsTwice => "2",
                Refuses(_) | IsGone => "0",
            },
        );
        check("letters that Ben has in the end", got.to_string(), wanted);
        check("letters left", post.ask("select count(*) from outbox where state not in ('sent', 'failed')").await, "0");
        if took > BOUND {
            wrong.push(format!("it took {took:?}"));
        }
        if wrong.is_empty() { Ok(took) } else { Err(format!("{self}:\n    {}", wrong.join("\n    "))) }
    }
}

/// Plays rows side by side; gives how many, and how long the slowest took.
async fn play(rows: impl IntoIterator<Item = Play>) -> (usize, Duration) {
    let (turns, mut playing) = (Arc::new(Semaphore::new(8)), JoinSet::new());
    for row in rows {
        let turns = turns.clone();
        playing.spawn(async move {
            let _turn = turns.acquire_owned().await.expect("open");
            row.run().await
        });
    }
    let (mut count, mut slowest, mut wrong) = (0, Duration::ZERO, Vec::new());
    while let Some(played) = playing.join_next().await {
        count += 1;
        match played.expect("no panic") {
            Ok(took) => slowest = slowest.max(took),
            Err(words) => wrong.push(words),
        }
    }
    assert!(wrong.is_empty(), "{} of {count} are otherwise:\n{}", wrong.len(), wrong.join("\n"));
    (count, slowest)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_next_hop_does_at_whichever_command_each_letter_has_its_right_end_and_the_next_goes_on() {
    let rows = ROWS.iter().flat_map(|row| [true, false].map(|pipelining| Play { row, pipelining, kept: false }));
    let (count, slowest) = play(rows).await;
    println!("{count} moods of the next hop, each with its right end; the slowest took {slowest:.1?} of a patience of {PATIENCE} s a step");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_kept_connection_what_may_be_about_the_connection_costs_no_attempt() {
    let rows = KEPT.iter().flat_map(|row| [true, false].map(|pipelining| Play { row, pipelining, kept: true }));
    let (count, slowest) = play(rows).await;
    println!("{count} moods on kept connections; the slowest took {slowest:.1?}");
}
