//! Stories as data (`tests/scenarios/*.txt`), played through the real doors with a set clock; nobody sleeps, and silence is asserted too.
//!
//! | line | what it does |
//! |---|---|
//! | `# …` | says what the story shows |
//! | `set KEY VALUE` | configuration, before the first happening |
//! | `at 2027-03-01 09:00` | sets the clock, nothing else |
//! | `tick` | does whatever the calendar does now |
//! | `$ round open Spring` | a command at a shell |
//! | `$! …`, then `= …` | one that fails, and the words it fails with |
//! | `> from A to B subject "S"` | a letter arrives; indented lines are its body |
//! | `> from A reply` | the same, as a reply to the last letter to A; `reply quoting` quotes that letter |
//! | `> raw from A to B` | the indented lines are the whole letter; `from <>` is the null reverse-path |
//! | `! 550 …` | the letter above is refused so; `*` stands for anything |
//! | `< to A subject "S"` | a letter was sent; of its indented lines each must match a later line of its text, `Field: …` lines of its header first |
//! | `< nothing to A` | and nothing (else) was sent |
//! | `hop refuses A with 550 …`, `hop takes A` | the next hop's mood |
//! | `get URL` or `post URL`, then `= …` | a page, and words on it |
//! | `? select …`, then `= …` | what the database answers |
//!
//! `{name}` takes what stands there the first time and is that ever after; each `<` sets `{return-path}`, `{reply-to}`, `{message-id}` and `{from}`.
use std::{collections::HashMap, path::Path};

use chrono::{DateTime, NaiveDateTime, Utc};
use clap::Parser as _;
use pairpost::{app::Stepped, cli::Cli, config::Config, mail::message::Message};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    catcher::{Catcher, Caught},
    database::TestDatabase,
    dns::{NameServer, zone},
};

/// `example.*` speak for letters from loopback, `bare.test` publishes nothing, `strict.test` disowns everything.
const ZONE: &str = "
    example.org TXT v=spf1 ip4:127.0.0.1 -all
    example.net TXT v=spf1 ip4:127.0.0.1 -all
    example.com TXT v=spf1 ip4:127.0.0.1 -all
    strict.test TXT v=spf1 -all
    _dmarc.strict.test TXT v=DMARC1; p=reject
";

#[tokio::test(flavor = "multi_thread")]
async fn every_story_goes_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("stories").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let only = std::env::var("STORY").unwrap_or_default();
    let mut failures = Vec::new();
    let mut played = 0;
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains(&only) {
            played += 1;
            let text = std::fs::read_to_string(&file).expect("a text");
            if let Err(failure) = play(&text).await {
                failures.push(format!("tests/scenarios/{name}:{failure}"));
            }
        }
    }
    assert!(played > 0, "there are stories");
    assert!(failures.is_empty(), "\n\n{}\n", failures.join("\n\n"));
}

/// A happening: its line, its number, and the indented lines below it.
struct Happening<'a> {
    number: usize,
    line: &'a str,
    below: Vec<&'a str>,
}

fn happenings(text: &str) -> Vec<Happening<'_>> {
    let mut all: Vec<Happening<'_>> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(body) = line.strip_prefix("    ") {
            all.last_mut().expect("a story begins with a happening").below.push(body);
        } else if line.trim().is_empty() {
            // An empty line within a body belongs to it; at its end it does no harm.
            if let Some(last) = all.last_mut().filter(|last| !last.below.is_empty()) {
                last.below.push("");
            }
        } else if !line.starts_with('#') {
            all.push(Happening { number: at + 1, line, below: Vec::new() });
        }
    }
    for happening in &mut all {
        while happening.below.last().is_some_and(|line| line.is_empty()) {
            happening.below.pop();
        }
    }
    all
}

async fn play(text: &str) -> Result<(), String> {
    let all = happenings(text);
    let settings: Vec<(String, String)> = all.iter().filter_map(|h| setting(h.line)).collect();
    let mut story = Story::start(&settings).await;
    let mut outcome = Ok(());
    for happening in all.iter().filter(|h| setting(h.line).is_none()) {
        if let Err(failure) = story.happen(happening).await {
            outcome = Err(format!("{}: {}\n  {failure}", happening.number, happening.line));
            break;
        }
    }
    if outcome.is_ok() {
        outcome = story.is_complete().await.map_err(|failure| format!("end: {failure}"));
    }
    story.house.end().await.expect("the house ends");
    outcome
}

fn setting(line: &str) -> Option<(String, String)> {
    let (key, value) = line.strip_prefix("set ")?.split_once(' ')?;
    Some((format!("PAIRPOST_{}", key.to_uppercase().replace('.', "__")), value.to_owned()))
}

struct Story {
    house: Stepped,
    database: TestDatabase,
    catcher: Catcher,
    _name_server: NameServer,
    _data: tempfile::TempDir,
    words: HashMap<String, String>,
    last: HashMap<String, Caught>,
    /// What the last letter was answered, or the last page or query or failed command said.
    answer: Option<String>,
    letters_in: i64,
    count: u32,
}

impl Story {
    async fn start(settings: &[(String, String)]) -> Self {
        let (database, catcher, name_server) = (TestDatabase::new(), Catcher::start().await, NameServer::start(zone(ZONE)).await);
        let data = tempfile::tempdir().expect("a folder");
        let fixed = [
            ("PAIRPOST_DOMAIN", "pairs.test".to_owned()),
            ("PAIRPOST_SMTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("PAIRPOST_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("PAIRPOST_URL", "https://pairs.test".to_owned()),
            ("PAIRPOST_DNS__SERVER", name_server.address.to_string()),
            ("PAIRPOST_DELIVERY__SMARTHOST", format!("smtp://{}", catcher.address)),
            ("PAIRPOST_DATA_DIR", data.path().display().to_string()),
        ];
        let fixed = fixed.into_iter().map(|(key, value)| (key.to_owned(), value));
        let config = Config::load(Some(Path::new("/dev/null")), fixed.chain(settings.iter().cloned())).expect("a good configuration");
        let house = Stepped::start(&config, database.store().await, moment("2027-01-01 00:00")).await.expect("the house starts");
        Self {
            house,
            database,
            catcher,
            _name_server: name_server,
            _data: data,
            words: HashMap::new(),
            last: HashMap::new(),
            answer: None,
            letters_in: 0,
            count: 0,
        }
    }

    async fn happen(&mut self, happening: &Happening<'_>) -> Result<(), String> {
        let line = self.fill(happening.line);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if !matches!(word, "=" | "!") {
            if let Some(answer) = self.answer.take().filter(|answer| answer.starts_with(['4', '5']) && answer.len() > 3) {
                return Err(format!("before this, a letter was refused: {answer}"));
            }
        }
        match word {
            "at" => self.house.set(moment(rest)),
            "tick" => self.house.tick().await.map_err(|error| format!("{error:#}"))?,
            "$" => self.command(rest).await.map_err(|error| format!("{error:#}"))?,
            "$!" => match self.command(rest).await {
                Ok(()) => return Err("the command did not fail".into()),
                Err(error) => self.answer = Some(format!("{error:#}")),
            },
            ">" => self.arrives(rest, &happening.below).await?,
            "<" => match rest.strip_prefix("nothing to ") {
                Some(address) => match self.catcher.take(address) {
                    Some(letter) => return Err(format!("there is a letter:\n{}", show(&letter))),
                    None => {}
                },
                None => self.sent(rest, &happening.below)?,
            },
            "!" | "=" => {
                let answer = self.answer.take().ok_or("there is no answer to compare")?;
                if !self.matches(rest, &answer) {
                    return Err(format!("but it was: {answer}"));
                }
            }
            "hop" => match rest.split_once(' ') {
                Some(("takes", address)) => self.catcher.refuse(address, None),
                Some(("refuses", more)) => {
                    let (address, reply) = more.split_once(" with ").ok_or("hop refuses A with …")?;
                    self.catcher.refuse(address, Some(reply.to_owned()));
                }
                _ => return Err("hop takes … or refuses …".into()),
            },
            "get" | "post" => self.answer = Some(self.page(word, rest).await?),
            "?" => self.answer = Some(self.ask(rest).await),
            other => return Err(format!("no such happening: {other}")),
        }
        Ok(())
    }

    async fn command(&self, words: &str) -> anyhow::Result<()> {
        let words = std::iter::once("pairpost".to_owned()).chain(split_words(words));
        let cli = Cli::try_parse_from(words)?;
        cli.on(&self.house.store, &self.house.site, self.house.now()).await?;
        self.house.settle().await
    }

    /// A letter through the real door, worked off at once.
    async fn arrives(&mut self, rest: &str, below: &[&str]) -> Result<(), String> {
        self.count += 1;
        let below: Vec<String> = below.iter().map(|line| self.fill(line)).collect();
        let words = split_words(rest);
        let after = |word: &str| words.iter().position(|w| w == word).and_then(|at| words.get(at + 1)).cloned();
        let from = after("from").ok_or("> from …")?;
        let raw = words.first().is_some_and(|word| word == "raw");
        let (to, letter) = if raw {
            (after("to").ok_or("> raw from A to B")?, below.join("\r\n"))
        } else if words.iter().any(|word| word == "reply") {
            self.reply(&from, &below, words.iter().any(|word| word == "quoting"))?
        } else {
            let to = after("to").ok_or("> from A to B")?;
            let subject = after("subject").unwrap_or_default();
            (to.clone(), self.letter(&from, &to, &subject, &[], &below))
        };
        let answer = deliver(self.house.smtp, from.trim_matches(['<', '>']), &to, &letter).await.map_err(|error| format!("{error:#}"))?;
        // What was refused before the dot was never read, and is no letter of the record.
        self.letters_in += i64::from(answer.0);
        self.answer = (!answer.1.starts_with('2')).then_some(answer.1);
        self.house.settle().await.map_err(|error| format!("{error:#}"))
    }

    fn letter(&self, from: &str, to: &str, subject: &str, fields: &[String], body: &[String]) -> String {
        let mut lines = vec![format!("From: {from}"), format!("To: {to}"), format!("Subject: {subject}"), format!("Date: {}", self.house.now().to_rfc2822())];
        lines.push(format!("Message-ID: <letter-{}@{}>", self.count, from.rsplit('@').next().unwrap_or_default()));
        lines.extend_from_slice(fields);
        lines.push(String::new());
        lines.extend_from_slice(body);
        lines.join("\r\n")
    }

    fn reply(&self, from: &str, body: &[String], quoting: bool) -> Result<(String, String), String> {
        let caught = self.last.get(from).ok_or("there is no letter to reply to")?;
        let message = Message::parse(&caught.raw);
        let to = message.reply_to.first().or(message.from.as_ref()).ok_or("the letter names nobody to reply to")?.to_string();
        let id = message.message_id.clone().unwrap_or_default();
        let mut body = body.to_vec();
        if quoting {
            body.push(format!("\r\nOn Monday, {} wrote:", message.from.as_ref().map(ToString::to_string).unwrap_or_default()));
            body.extend(message.text().lines().map(|line| format!("> {line}")));
        }
        let fields = [format!("In-Reply-To: <{id}>"), format!("References: <{id}>")];
        Ok((to.clone(), self.letter(from, &to, &format!("Re: {}", message.subject), &fields, &body)))
    }

    /// Expects a letter: subject, header fields, lines.
    fn sent(&mut self, rest: &str, below: &[&str]) -> Result<(), String> {
        let words = split_words(rest);
        let after = |word: &str| words.iter().position(|w| w == word).and_then(|at| words.get(at + 1)).cloned();
        let to = after("to").ok_or("< to A")?;
        let Some(caught) = self.catcher.take(&to) else {
            return Err(format!(
                "nothing was sent to {to}; waiting: {:?}",
                self.catcher.rest().iter().map(|l| (l.to.clone(), Message::parse(&l.raw).subject)).collect::<Vec<_>>()
            ));
        };
        let message = Message::parse(&caught.raw);
        if let Some(subject) = after("subject") {
            if !self.matches(&subject, &message.subject) {
                return Err(format!("but the letter is:\n{}", show(&caught)));
            }
        }
        let text: Vec<String> = message.text().lines().map(|line| line.trim().to_owned()).collect();
        let mut at = 0;
        for wanted in below.iter().filter(|line| !line.is_empty()) {
            let field =
                wanted.split_once(": ").filter(|(name, _)| message.field(name).is_some() && name.contains(|c: char| c.is_uppercase()) && !name.contains(' '));
            let found = match field {
                Some((name, value)) => message.field(name).is_some_and(|is| self.matches(value, is)),
                None => match (at..text.len()).find(|line| self.matches(wanted, &text[*line])) {
                    Some(line) => {
                        at = line + 1;
                        true
                    }
                    None => false,
                },
            };
            if !found {
                return Err(format!("no line {wanted:?} in (from line {at}):\n{}", show(&caught)));
            }
        }
        for (name, value) in [
            ("return-path", caught.reverse_path.clone()),
            ("reply-to", message.reply_to.first().map(ToString::to_string).unwrap_or_default()),
            ("message-id", message.message_id.clone().unwrap_or_default()),
            ("from", message.from.as_ref().map(ToString::to_string).unwrap_or_default()),
        ] {
            self.words.insert(name.to_owned(), value);
        }
        self.last.insert(to, caught);
        Ok(())
    }

    fn fill(&self, line: &str) -> String {
        self.words.iter().fold(line.to_owned(), |line, (name, value)| line.replace(&format!("{{{name}}}"), value))
    }

    /// Whether `text` is as `pattern` says; an unknown `{name}` takes one word.
    fn matches(&mut self, pattern: &str, text: &str) -> bool {
        let pattern = self.fill(pattern);
        match matched(&pattern, text) {
            Some(taken) => {
                self.words.extend(taken);
                true
            }
            None => false,
        }
    }

    async fn page(&self, method: &str, url: &str) -> Result<String, String> {
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        let mut stream = TcpStream::connect(self.house.http).await.map_err(|error| error.to_string())?;
        let body = if method == "post" { "List-Unsubscribe=One-Click" } else { "" };
        let request = format!(
            "{} /{path} HTTP/1.1\r\nHost: pairs.test\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            method.to_uppercase(),
            body.len()
        );
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
        self.house.settle().await.map_err(|error| format!("{error:#}"))?;
        Ok(answer.replace("\r\n", " ").replace('\n', " "))
    }

    async fn ask(&self, query: &str) -> String {
        let mut connection = PgConnection::connect_with(&self.database.options()).await.expect("the test's database is there");
        let query = format!("select coalesce((select string_agg(answer::text, ', ') from ({query}) as asked (answer)), 'null')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect("a good query")
    }

    /// Every letter was expected, no row is failed or left, and each letter in and out has its row in the record.
    async fn is_complete(&self) -> Result<(), String> {
        if let Some(answer) = self.answer.as_ref().filter(|answer| answer.starts_with(['4', '5'])) {
            return Err(format!("a letter was refused: {answer}"));
        }
        if let Some(letter) = self.catcher.rest().first() {
            return Err(format!("nobody expected this letter:\n{}", show(letter)));
        }
        for (query, expected) in [
            ("select count(*) from inbox where state not in ('done', 'held')", "0".to_owned()),
            ("select count(*) from outbox where state = 'queued' and next_at <= to_timestamp(0)", "0".to_owned()),
            ("select count(*) from exchange where direction = 'in'", self.letters_in.to_string()),
            (
                "select count(*) from outbox o join exchange e on e.id = o.exchange_id and e.direction = 'out'",
                self.ask("select count(*) from exchange where direction = 'out'").await,
            ),
        ] {
            let answer = self.ask(query).await;
            if answer != expected {
                let errors = self.ask("select last_error from inbox where last_error is not null").await;
                return Err(format!("{query}: {answer}, not {expected} ({errors})"));
            }
        }
        Ok(())
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a moment such as 2027-03-01 09:00").and_utc()
}

/// Words, `"quoted ones"` as one.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// `*` stands for anything, `{name}` for one word, which is given back.
fn matched(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
    let Some(at) = pattern.find(['*', '{']) else { return (pattern == text).then(Vec::new) };
    let (literal, rest) = pattern.split_at(at);
    let text = text.strip_prefix(literal)?;
    if let Some(rest) = rest.strip_prefix('*') {
        return text.char_indices().map(|(at, _)| at).chain([text.len()]).find_map(|at| matched(rest, &text[at..]));
    }
    let (name, rest) = rest[1..].split_once('}')?;
    let word = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
    (1..=word).rev().filter(|end| text.is_char_boundary(*end)).find_map(|end| {
        let mut taken = matched(rest, &text[end..])?;
        taken.push((name.to_owned(), text[..end].to_owned()));
        Some(taken)
    })
}

fn show(letter: &Caught) -> String {
    let message = Message::parse(&letter.raw);
    format!("to {}\nSubject: {}\n\n{}", letter.to, message.subject, message.text())
}

/// One letter by SMTP; gives whether its bytes were read, and the last reply.
async fn deliver(address: std::net::SocketAddr, from: &str, to: &str, letter: &str) -> anyhow::Result<(bool, String)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut reply = async |writer: &mut tokio::net::tcp::OwnedWriteHalf, line: Option<String>| -> anyhow::Result<String> {
        if let Some(line) = line {
            writer.write_all(line.as_bytes()).await?;
        }
        loop {
            let mut line = String::new();
            anyhow::ensure!(reader.read_line(&mut line).await? > 0, "the house hung up");
            if line.as_bytes().get(3) == Some(&b' ') {
                return Ok(line.trim_end().to_owned());
            }
        }
    };
    reply(&mut writer, None).await?;
    let helo = from.rsplit('@').next().filter(|domain| !domain.is_empty()).unwrap_or("mx.example.org");
    for line in [format!("EHLO {helo}\r\n"), format!("MAIL FROM:<{from}>\r\n"), format!("RCPT TO:<{to}>\r\n"), "DATA\r\n".to_owned()] {
        let answer = reply(&mut writer, Some(line)).await?;
        if !answer.starts_with(['2', '3']) {
            return Ok((false, answer));
        }
    }
    let stuffed: String = letter.split("\r\n").map(|line| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") }).collect();
    let answer = reply(&mut writer, Some(format!("{stuffed}.\r\n"))).await?;
    writer.write_all(b"QUIT\r\n").await?;
    Ok((true, answer))
}
