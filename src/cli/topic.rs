//! `pairpost topic`: adding, listing, scheduling and sending the topics of the months.
use std::{
    io::Read as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use super::print;
use crate::{
    domain::topic::NewTopic,
    handlers::Site,
    mail::{message::Message, reply},
    schedule,
    store::{
        Connection, Store, topics,
        wakes::{self, Work},
    },
};

/// The topics that ship, in the order of the months.
const SHIPPED: [&str; 3] = [
    include_str!("../../templates/topics/getting-started.md"),
    include_str!("../../templates/topics/a-day-at-the-desk.md"),
    include_str!("../../templates/topics/what-we-let-go.md"),
];

/// How long a program that serves may take to begin with a sending, or to go on.
const MOMENT: Duration = Duration::from_millis(300);

/// Topics of the months.
#[derive(Debug, Args)]
pub struct Topic {
    #[command(subcommand)]
    command: Command,
    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Adds a topic from a Markdown file with a small head (`-`: standard input), or the three that ship
    Add {
        /// The file.
        #[arg(required_unless_present = "shipped", value_name = "FILE")]
        file: Option<PathBuf>,
        /// Adds the three topics that ship with Pairpost.
        #[arg(long, conflicts_with = "file")]
        shipped: bool,
    },
    /// Lists all topics, the next first
    List,
    /// Shows one topic
    Show {
        /// Its slug.
        slug: String,
    },
    /// Sets the day on which a topic goes out
    Schedule {
        /// Its slug.
        slug: String,
        /// The day, such as 2027-03-01.
        day: NaiveDate,
    },
    /// Sends a topic to everybody who wants it
    Send {
        /// At once, whatever day it has.
        #[arg(long)]
        now: bool,
        /// Its slug; `-` reads a new topic from standard input.
        slug: String,
    },
}

impl Topic {
    /// Does it.
    pub async fn run(self, store: &Store, site: &Site, now: DateTime<Utc>) -> Result<()> {
        let json = self.json;
        match self.command {
            Command::Add { file: _, shipped: true } => add(store, &SHIPPED, now, json).await,
            Command::Add { file, shipped: false } => {
                let file = file.context("name a file")?;
                let text = if file.as_os_str() == "-" {
                    std::io::read_to_string(std::io::stdin())?
                } else {
                    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?
                };
                add(store, &[&text], now, json).await
            }
            Command::List => list(store, json).await,
            Command::Show { slug } => show(store, &slug, json).await,
            Command::Schedule { slug, day } => schedule_one(store, &slug, day, json).await,
            Command::Send { now: at_once, slug } => send(store, site, &slug, at_once, now, json).await,
        }
    }
}

/// Adds all of them, or none.
async fn add(store: &Store, texts: &[&str], now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let mut tx = store.begin().await?;
    let mut added = Vec::new();
    for text in texts {
        added.push(insert(&mut tx, &NewTopic::parse(text)?, now).await?);
    }
    tx.commit().await?;
    if as_json {
        return print::json(&added);
    }
    for topic in added {
        match topic.send_on {
            Some(day) => print::line(format_args!("added {}, goes out on {day}", topic.slug)),
            None => print::line(format_args!("added {}; give it a day with: pairpost topic schedule {} YYYY-MM-DD", topic.slug, topic.slug)),
        }
    }
    Ok(())
}

async fn insert(conn: &mut Connection, new: &NewTopic, now: DateTime<Utc>) -> Result<topics::Topic> {
    let added = topics::insert(conn, new, now).await?;
    ensure!(added.is_some(), "there is a topic {:?} already: give this one another slug (`Slug: …` in its head)", new.slug);
    find(conn, &new.slug).await
}

async fn list(store: &Store, as_json: bool) -> Result<()> {
    let all = topics::list(&mut *store.connection().await?).await?;
    if as_json {
        return print::json(&all);
    }
    if all.is_empty() {
        print::line(format_args!("no topics yet; add the three that ship with: pairpost topic add --shipped"));
    }
    print::table(all.iter().map(|topic| [day(topic), state(topic.state).to_owned(), topic.slug.clone(), topic.title.clone()]));
    Ok(())
}

fn day(topic: &topics::Topic) -> String {
    topic.send_on.map_or_else(|| "no day yet".to_owned(), |day| day.to_string())
}

fn state(state: topics::State) -> &'static str {
    match state {
        topics::State::Draft => "draft",
        topics::State::Scheduled => "scheduled",
        topics::State::Sending => "going out",
        topics::State::Sent => "sent",
    }
}

async fn show(store: &Store, slug: &str, as_json: bool) -> Result<()> {
    let mut conn = store.connection().await?;
    let topic = find(&mut conn, slug).await?;
    let letters = topics::enqueued(&mut conn, topic.id).await?;
    if as_json {
        return print::json(&json!({"topic": topic, "letters": letters}));
    }
    print::line(format_args!("{}\n{} · {} · {letters} letters\n\n{}", topic.title, day(&topic), state(topic.state), topic.body));
    Ok(())
}

async fn find(conn: &mut Connection, slug: &str) -> Result<topics::Topic> {
    topics::find(conn, slug).await?.with_context(|| format!("there is no topic {slug:?}; see: pairpost topic list"))
}

async fn schedule_one(store: &Store, slug: &str, day: NaiveDate, as_json: bool) -> Result<()> {
    let mut tx = store.begin().await?;
    let topic = find(&mut tx, slug).await?;
    ensure!(topics::schedule(&mut tx, slug, day).await?, "{slug} is {} already", state(topic.state));
    let topic = find(&mut tx, slug).await?;
    tx.commit().await?;
    if as_json {
        return print::json(&topic);
    }
    print::line(format_args!("{slug} goes out on {day}"));
    Ok(())
}

async fn send(store: &Store, site: &Site, slug: &str, at_once: bool, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let mut tx = store.begin().await?;
    let topic = if slug == "-" {
        let mut raw = Vec::new();
        std::io::stdin().read_to_end(&mut raw).context("cannot read standard input")?;
        insert(&mut tx, &from_input(&raw)?, now).await?
    } else {
        find(&mut tx, slug).await?
    };
    if !at_once && topic.send_on.is_none_or(|day| day > now.date_naive()) {
        bail!("{} is not due yet ({}): send it all the same with --now", topic.slug, day(&topic));
    }
    ensure!(topics::start(&mut tx, topic.id, now).await?, "{} is {} already", topic.slug, state(topic.state));
    topics::mark_by_hand(&mut tx, topic.id).await?;
    tx.commit().await?;
    wakes::tell_all(store, Work::Calendar).await?;
    let (topic, letters) = until_queued(store, site, &topic.slug, now).await?;
    if as_json {
        return print::json(&json!({"topic": topic, "letters": letters}));
    }
    print::line(format_args!("{}: {letters} letters queued", topic.slug));
    Ok(())
}

/// A program that serves queues the letters, hand in hand with its exit; where none does for a moment, this one. Gives the topic when all are queued, and how
/// many they are.
async fn until_queued(store: &Store, site: &Site, slug: &str, now: DateTime<Utc>) -> Result<(topics::Topic, i32)> {
    let (mut before, mut since, mut alone) = (0, Instant::now(), false);
    loop {
        let mut conn = store.connection().await?;
        let topic = find(&mut conn, slug).await?;
        let letters = topics::enqueued(&mut conn, topic.id).await?;
        conn.put_back();
        if topic.state == topics::State::Sent {
            return Ok((topic, letters));
        }
        if letters > before {
            (before, since, alone) = (letters, Instant::now(), false);
        }
        if (alone || since.elapsed() >= MOMENT)
            && let Some(more) = schedule::send_on(store, site, now).await?
        {
            before += i32::try_from(more)?;
            alone = true;
            continue;
        }
        tokio::time::sleep(MOMENT / 10).await;
    }
}

/// Markdown with its head, or a mail message whose subject is the title.
fn from_input(raw: &[u8]) -> Result<NewTopic> {
    if let Ok(topic) = std::str::from_utf8(raw).map_err(anyhow::Error::from).and_then(|text| Ok(NewTopic::parse(text)?)) {
        return Ok(topic);
    }
    let message = Message::parse(raw);
    let words = reply::split(message.text()).text;
    NewTopic::new(message.subject.clone(), None, None, &words)
        .context("standard input is neither Markdown with a head (`Title: …`, an empty line, the words) nor a mail message with a subject and words")
}
