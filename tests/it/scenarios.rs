//! Stories as data (`tests/scenarios/*.txt`), played through the real doors with a set clock; nobody sleeps, and silence is asserted too.
//!
//! | line | what it does |
//! |---|---|
//! | `# …` | says what the story shows |
//! | `set KEY VALUE` | configuration, before the first happening |
//! | `after NAME` | at the top: the story NAME goes before this one |
//! | `at 2027-03-01 09:00` | sets the clock, nothing else |
//! | `tick` | does whatever the calendar does now |
//! | `$ round open Spring` | a command at a shell; indented lines are a file, which stands for `-` |
//! | `$! …`, then `= …` | one that fails, and the words it fails with |
//! | `> from A to B subject "S"` | a letter arrives; indented lines are its body |
//! | `> from A reply` | the same, as a reply to the last letter to A; `reply quoting` quotes that letter |
//! | `> raw from A to B` | the indented lines are the whole letter, or its bytes in `raw latin-1`; `from <>` is the null reverse-path |
//! | `> again` | the last letter once more, byte for byte: a redelivery, which must change nothing |
//! | `join A` | A signs up: the indented lines are their form, and "Yes" is their answer to what was understood |
//! | `! 550 …` | the letter above is refused so; `*` stands for anything |
//! | `< to A subject "S"` | a letter was sent; of its indented lines each must match a later line or paragraph of its text, `Field: …` lines of its header |
//! | `< to A … without W V` | … and in nothing of it, however encoded, stands W or V |
//! | `< nothing to A` | and nothing (else) was sent |
//! | `hop refuses A with 550 …`, `hop takes A` | the next hop's mood |
//! | `get URL` or `post URL`, then `= …` | a page, and words on it |
//! | `? select …`, then `= …` | what the database answers |
//! | `database update …` | what a story can't bring about by letters, or not by few |
//!
//! `STORY=name` plays those whose file is called so, and `SHOW=1` with `--nocapture` prints each letter.
//! `{name}` takes what stands there the first time and is that ever after; each `<` sets `{return-path}`, `{reply-to}`, `{message-id}` and `{from}`.
use std::{collections::HashMap, path::Path, sync::Arc};

use clap::Parser as _;
use pairpost::{app::Stepped, cli::Cli, config::Config, domain::secret::Secret, mail::message::Message, store::keys};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

use crate::{
    database::TestDatabase,
    dns::{NameServer, zone},
    next_hop::{NextHop, Taken},
};

mod delivery;
mod script;

use delivery::{Delivery, deliver};
use script::{Happening, happenings, matched, moment, paragraphs, setting, split_words};

/// Ours.
const DOMAIN: &str = "pairs.test";

/// `example.*` speak for letters from loopback, `bare.test` publishes nothing; `strict.test`, `careful.test` and `lax.test` disown everything and ask for it
/// to be refused, set aside, or taken all the same; `away.test` can't be asked.
const ZONE: &str = "
    example.org TXT v=spf1 ip4:127.0.0.1 -all
    example.net TXT v=spf1 ip4:127.0.0.1 -all
    example.com TXT v=spf1 ip4:127.0.0.1 -all
    strict.test TXT v=spf1 -all
    _dmarc.strict.test TXT v=DMARC1; p=reject
    careful.test TXT v=spf1 -all
    _dmarc.careful.test TXT v=DMARC1; p=quarantine
    lax.test TXT v=spf1 -all
    _dmarc.lax.test TXT v=DMARC1; p=none
    away.test SERVFAIL
";

/// Stories played at once.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_story_goes_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let only = std::env::var("STORY").unwrap_or_default();
    let files = std::fs::read_dir(folder).expect("stories").map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let stage = Arc::new(Stage::build().await);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut playing = JoinSet::new();
    for name in files.filter(|name| name.contains(&only)) {
        let (stage, places) = (stage.clone(), places.clone());
        playing.spawn(async move {
            let _place = places.acquire().await.expect("never closed");
            play(&stage, &name).await
        });
    }
    assert!(!playing.is_empty(), "there are stories");
    let mut failures: Vec<String> = playing.join_all().await.into_iter().filter_map(Result::err).collect();
    failures.sort();
    assert!(failures.is_empty(), "\n\n{}\n", failures.join("\n\n"));
}

/// What all stories share: one secret, and a database with a DKIM key sealed by it, which takes a second to make.
struct Stage {
    secret: Secret,
    database: TestDatabase,
}

impl Stage {
    async fn build() -> Self {
        let (secret, database) = (Secret::from_bytes([7; 32]), TestDatabase::new());
        let store = database.store().await;
        keys::ensure(&store, &secret, DOMAIN, moment("2027-01-01 00:00")).await.expect("a key can be made");
        store.close().await;
        Self { secret, database }
    }
}

async fn play(stage: &Stage, name: &str) -> Result<(), String> {
    let all = happenings(name);
    let settings: Vec<(String, String)> = all.iter().filter_map(|happening| setting(&happening.line)).collect();
    let mut story = Story::start(stage, &settings).await;
    let mut outcome = Ok(());
    for happening in all.iter().filter(|happening| setting(&happening.line).is_none()) {
        if let Err(failure) = story.happen(happening).await {
            outcome = Err(format!("tests/scenarios/{}: {}\n  {failure}", happening.place, happening.line));
            break;
        }
    }
    if outcome.is_ok() {
        outcome = story.is_complete().await.map_err(|failure| format!("tests/scenarios/{name}: at its end\n  {failure}"));
    }
    story.house.end().await.expect("the house ends");
    outcome
}

struct Story {
    house: Stepped,
    database: TestDatabase,
    hop: NextHop,
    _name_server: NameServer,
    data: tempfile::TempDir,
    words: HashMap<String, String>,
    /// The last letter to each.
    last: HashMap<String, Taken>,
    /// The last letter that arrived.
    arrived: Option<Delivery>,
    /// What the last letter was answered, or the last page or query or failed command said.
    answer: Option<String>,
    letters_in: i64,
    count: u32,
}

impl Story {
    async fn start(stage: &Stage, settings: &[(String, String)]) -> Self {
        let (database, hop, name_server) = (stage.database.copy(), NextHop::start().await, NameServer::start(zone(ZONE)).await);
        let data = tempfile::tempdir().expect("a folder");
        std::fs::write(data.path().join("secret"), stage.secret.to_text()).expect("a file");
        let fixed = [
            ("PAIRPOST_DOMAIN", DOMAIN.to_owned()),
            ("PAIRPOST_SMTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("PAIRPOST_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("PAIRPOST_URL", "https://pairs.test".to_owned()),
            ("PAIRPOST_DNS__SERVER", name_server.address.to_string()),
            ("PAIRPOST_DELIVERY__SMARTHOST", hop.url()),
            // One after the other, so that letters to one person come in the order of the queue.
            ("PAIRPOST_DELIVERY__CONCURRENCY", "1".to_owned()),
            ("PAIRPOST_DATA_DIR", data.path().display().to_string()),
        ];
        let fixed = fixed.into_iter().map(|(key, value)| (key.to_owned(), value));
        let config = Config::load(Some(Path::new("/dev/null")), fixed.chain(settings.iter().cloned())).expect("a good configuration");
        let house = Stepped::start(&config, database.store().await, moment("2027-01-01 00:00")).await.expect("the house starts");
        Self {
            house,
            database,
            hop,
            _name_server: name_server,
            data,
            words: HashMap::new(),
            last: HashMap::new(),
            arrived: None,
            answer: None,
            letters_in: 0,
            count: 0,
        }
    }

    async fn happen(&mut self, happening: &Happening) -> Result<(), String> {
        let line = self.fill(&happening.line);
        let below: Vec<String> = happening.below.iter().map(|line| self.fill(line)).collect();
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if !matches!(word, "=" | "!")
            && let Some(answer) = self.answer.take().filter(|answer| answer.starts_with(['4', '5']) && answer.len() > 3)
        {
            return Err(format!("before this, a letter was refused: {answer}"));
        }
        match word {
            "at" => self.house.set(moment(rest)),
            "tick" => self.house.tick().await.map_err(|error| format!("{error:#}"))?,
            "$" => self.command(rest, &below).await.map_err(|error| format!("{error:#}"))?,
            "$!" => match self.command(rest, &below).await {
                Ok(()) => return Err("the command did not fail".into()),
                Err(error) => self.answer = Some(format!("{error:#}")),
            },
            ">" => self.arrives(rest, &below).await?,
            "join" => self.joins(rest, &below).await?,
            "<" => match rest.strip_prefix("nothing to ") {
                Some(address) => {
                    if let Some(letter) = self.hop.take(address) {
                        return Err(format!("there is a letter:\n{}", show(&letter)));
                    }
                }
                None => self.sent(rest, &happening.below)?,
            },
            "!" | "=" => {
                let answer = self.answer.take().ok_or("there is no answer to compare")?;
                if !self.matches(rest, &answer) {
                    return Err(format!("but it was: {answer}"));
                }
            }
            "hop" => match rest.split_once(' ') {
                Some(("takes", address)) => self.hop.takes_again(address),
                Some(("refuses", more)) => {
                    let (address, reply) = more.split_once(" with ").ok_or("hop refuses A with …")?;
                    self.hop.answers(address, reply);
                }
                _ => return Err("hop takes … or refuses …".into()),
            },
            "get" | "post" => self.answer = Some(self.page(word, rest).await?),
            "?" => self.answer = Some(self.ask(rest).await),
            "database" => self.change(rest).await,
            other => return Err(format!("no such happening: {other}")),
        }
        Ok(())
    }

    async fn command(&self, words: &str, file: &[String]) -> anyhow::Result<()> {
        let path = self.data.path().join("file");
        std::fs::write(&path, file.join("\n"))?;
        let named = |word: String| if word == "-" { path.display().to_string() } else { word };
        let words = std::iter::once("pairpost".to_owned()).chain(split_words(words).into_iter().map(named));
        let cli = Cli::try_parse_from(words)?;
        cli.on(&self.house.store, &self.house.site, self.house.now()).await?;
        self.house.settle().await
    }

    /// A letter through the real door, worked off at once.
    async fn arrives(&mut self, rest: &str, below: &[String]) -> Result<(), String> {
        let words = split_words(rest);
        let has = |word: &str| words.iter().any(|w| w == word);
        let after = |word: &str| words.iter().position(|w| w == word).and_then(|at| words.get(at + 1)).cloned();
        if has("again") {
            let letter = self.arrived.clone().ok_or("no letter came before")?;
            return self.hand_over(letter, false).await;
        }
        self.count += 1;
        let from = after("from").ok_or("> from …")?;
        let (to, letter) = if has("raw") {
            (after("to").ok_or("> raw from A to B")?, below.join("\r\n"))
        } else if has("reply") {
            self.reply(&from, below, has("quoting"))?
        } else {
            let to = after("to").ok_or("> from A to B")?;
            let subject = after("subject").unwrap_or_default();
            (to.clone(), self.letter(&from, &to, &subject, &[], below))
        };
        let raw = if has("latin-1") { letter.chars().map(|c| u8::try_from(c).expect("within Latin-1")).collect() } else { letter.into_bytes() };
        self.hand_over(Delivery { from: from.trim_matches(['<', '>']).to_owned(), to, raw }, true).await
    }

    async fn hand_over(&mut self, letter: Delivery, new: bool) -> Result<(), String> {
        let answer = deliver(self.house.smtp, &letter).await.map_err(|error| format!("{error:#}"))?;
        // What was refused before the dot was never read, and is no letter of the record; nor is a redelivery.
        self.letters_in += i64::from(answer.was_read && new);
        self.answer = (!answer.reply.starts_with('2')).then_some(answer.reply);
        self.arrived = Some(letter);
        self.house.settle().await.map_err(|error| format!("{error:#}"))
    }

    async fn joins(&mut self, person: &str, form: &[String]) -> Result<(), String> {
        self.arrives(&format!("from {person} to join@{DOMAIN} subject \"My form\""), form).await?;
        self.sent(&format!("to {person} subject \"*: did we get this right?\""), &[])?;
        self.arrives(&format!("from {person} reply"), &["Yes".to_owned()]).await?;
        self.sent(&format!("to {person} subject \"You are in: *\""), &[])
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
        let message = Message::parse(&caught.bytes);
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
    fn sent(&mut self, rest: &str, below: &[String]) -> Result<(), String> {
        let words = split_words(rest);
        let after = |word: &str| words.iter().position(|w| w == word).and_then(|at| words.get(at + 1)).cloned();
        let to = after("to").ok_or("< to A")?;
        let Some(caught) = self.hop.take(&to) else {
            return Err(format!(
                "nothing was sent to {to}; waiting: {:?}",
                self.hop.taken().iter().map(|l| (l.to.clone(), Message::parse(&l.bytes).subject)).collect::<Vec<_>>()
            ));
        };
        let message = Message::parse(&caught.bytes);
        if after("subject").is_some_and(|subject| !self.matches(&subject, &message.subject)) {
            return Err(format!("but the letter is:\n{}", show(&caught)));
        }
        let never = words.iter().position(|word| word == "without").map_or(&[][..], |at| &words[at + 1..]);
        if let Some(word) = never.iter().find(|word| delivery::holds(&caught.bytes, word)) {
            return Err(format!("{word:?} stands in:\n{}\n{}", show(&caught), String::from_utf8_lossy(&caught.bytes)));
        }
        let text = paragraphs(message.text());
        let mut at = 0;
        for wanted in below.iter().filter(|line| !line.is_empty()) {
            let is_field = |name: &str| message.field(name).is_some() && name.contains(|c: char| c.is_uppercase()) && !name.contains(' ');
            let found = match wanted.split_once(": ").filter(|(name, _)| is_field(name)) {
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
                return Err(format!("no line {wanted:?} in (from paragraph {at}):\n{}", show(&caught)));
            }
        }
        for (name, value) in [
            ("return-path", caught.reverse_path().to_owned()),
            ("reply-to", message.reply_to.first().map(ToString::to_string).unwrap_or_default()),
            ("message-id", message.message_id.clone().unwrap_or_default()),
            ("from", message.from.as_ref().map(ToString::to_string).unwrap_or_default()),
        ] {
            self.words.insert(name.to_owned(), value);
        }
        if std::env::var_os("SHOW").is_some() {
            println!("{}\n", show(&caught));
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

    async fn change(&self, statement: &str) {
        let mut connection = PgConnection::connect_with(&self.database.options()).await.expect("the test's database is there");
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.expect("a good statement");
    }

    async fn ask(&self, query: &str) -> String {
        let mut connection = PgConnection::connect_with(&self.database.options()).await.expect("the test's database is there");
        let query = format!("select coalesce((select string_agg(answer::text, ', ') from ({query}) as asked (answer)), 'null')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect("a good query")
    }

    /// Every letter that was handled comes up once more, as if its row had been forgotten, and so does the calendar: nothing comes of it.
    async fn over_again(&self) -> Result<(), String> {
        let before = self.ask("select count(*) from outbox").await;
        self.change("update inbox set state = 'pending', next_at = received_at where state = 'done' and attempts > 0").await;
        self.house.settle().await.map_err(|error| format!("{error:#}"))?;
        let after = self.ask("select count(*) from outbox").await;
        if before == after { Ok(()) } else { Err(format!("over again, {before} letters became {after}")) }
    }

    /// Every letter was expected, no row is failed or left, and each letter in and out has its row in the record.
    async fn is_complete(&self) -> Result<(), String> {
        if let Some(answer) = self.answer.as_ref().filter(|answer| answer.starts_with(['4', '5'])) {
            return Err(format!("a letter was refused: {answer}"));
        }
        if let Some(letter) = self.hop.taken().first() {
            return Err(format!("nobody expected this letter:\n{}", show(letter)));
        }
        let due = format!("select count(*) from outbox where state = 'queued' and next_at <= '{}'", self.house.now());
        self.over_again().await?;
        for (query, expected) in [
            ("select count(*) from inbox where state not in ('done', 'held')", 0),
            (due.as_str(), 0),
            ("select count(*) from outbox o join exchange e on e.id = o.exchange_id where state = 'failed' and e.reply !~ '^(5|given up after)'", 0),
            ("select count(*) from exchange where direction = 'in'", self.letters_in),
            ("select count(*) from exchange e join outbox o on o.exchange_id = e.id and o.sent_at is not null", i64::try_from(self.hop.count()).expect("few")),
            ("select count(*) from exchange e full join outbox o on o.exchange_id = e.id where e.direction = 'out' and o.id is null or e.id is null", 0),
        ] {
            let answer = self.ask(query).await;
            if answer != expected.to_string() {
                let errors = self.ask("select last_error from inbox where last_error is not null").await;
                return Err(format!("{query}: {answer}, not {expected} ({errors})"));
            }
        }
        Ok(())
    }
}

fn show(letter: &Taken) -> String {
    let message = Message::parse(&letter.bytes);
    format!("to {}\nSubject: {}\n\n{}", letter.to, message.subject, message.text())
}
