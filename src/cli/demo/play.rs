//! The stations of a round, from the first letter to the last: what people do at each, and what has to come of it.
use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser as _;

use super::{
    cast::{self, Manner, PEOPLE, Person, STRANGER, SUBSCRIBERS},
    compose::Words,
    page,
    post::{Post, Received},
    terminal::Terminal,
};
use crate::{
    app::Stepped,
    cli::Cli,
    mail::message::Message,
    store::{
        partnerships::{self, Partnership},
        proposals, rounds,
    },
};

/// The round that is played.
const ROUND: &str = "Spring 2027";

/// A partner as somebody knows them from the letter that introduced them.
#[derive(Debug)]
pub(super) struct Partner {
    pub who: &'static Person,
    pub alias: String,
    /// The letter that said so.
    pub introduction: Received,
}

/// A round under way.
pub struct Play<'a> {
    pub(super) house: &'a Stepped,
    /// Everybody's mail programs.
    pub post: Post,
    pub(super) say: Terminal,
    station: &'static str,
    pub(super) partners: HashMap<&'static str, Partner>,
    /// The addresses that partners were told, also of those who have left since.
    pub(super) aliases: HashSet<String>,
    /// The links that a mail program's own button uses (RFC 8058).
    leave_links: HashMap<&'static str, String>,
}

impl<'a> Play<'a> {
    /// Before the first station.
    pub fn new(house: &'a Stepped, post: Post, say: Terminal) -> Self {
        Self { house, post, say, station: "", partners: HashMap::new(), aliases: HashSet::new(), leave_links: HashMap::new() }
    }

    /// Plays everything; an error names the station.
    pub async fn everything(&mut self) -> Result<()> {
        let played = self.stations().await;
        played.with_context(|| format!("the demonstration failed at “{}”", self.station))
    }

    async fn stations(&mut self) -> Result<()> {
        self.round_opens().await?;
        self.people_write().await?;
        self.forms_come_back().await?;
        self.mistakes_are_mended().await?;
        self.everybody_confirms().await?;
        self.subscribers_come().await?;
        self.round_closes().await?;
        self.match_is_approved().await?;
        self.partners_are_introduced().await?;
        self.a_stranger_is_refused().await?;
        self.partners_write().await?;
        self.topic_goes_out().await?;
        self.one_click_leaves().await?;
        self.somebody_leaves().await?;
        self.record_tells().await?;
        cast::everybody().try_for_each(|person| self.post.nothing_more(person))
    }

    pub(super) fn station(&mut self, name: &'static str) {
        self.station = name;
        self.say.station(name);
    }

    pub(super) fn own(&self, local: &str) -> String {
        format!("{local}@{}", self.house.site.domain)
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.house.now()
    }

    /// Lets some time pass.
    pub(super) fn later(&self, time: TimeDelta) {
        self.house.set(self.now() + time);
    }

    /// Sets the clock, and does what the calendar says.
    async fn day_comes(&self, moment: &str) -> Result<()> {
        self.house.set(moment.parse()?);
        self.house.tick().await
    }

    /// A command as a coordinator types it, within this process, on the clock of the demonstration.
    pub(super) async fn shell(&self, words: &[&str]) -> Result<()> {
        let shown: Vec<String> = words.iter().map(|word| if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() }).collect();
        self.say.line(&format!("$ pairpost {}", shown.join(" ")));
        let cli = Cli::try_parse_from(["pairpost"].iter().chain(words))?;
        Box::pin(cli.on(&self.house.store, &self.house.site, self.now())).await?;
        self.house.settle().await
    }

    async fn round_opens(&mut self) -> Result<()> {
        self.station("A round is made, and opened by the calendar");
        let days = ["--opens", "2027-03-01", "--closes", "2027-03-20", "--match", "2027-03-21", "--introduce", "2027-03-28", "--ends", "2027-09-30"];
        self.shell(&[&["round", "create", ROUND][..], &days, &["--seed", "2027"]].concat()).await?;
        self.day_comes("2027-03-01T09:00:00Z").await?;
        self.shell(&["round", "list"]).await
    }

    async fn people_write(&mut self) -> Result<()> {
        self.station("Thirteen people write to join@, in words of their own");
        for person in &PEOPLE {
            self.later(TimeDelta::minutes(20));
            let words = Words { subject: "Taking part", text: format!("{}\n", person.hello), ..Words::default() };
            self.post.send(person, &self.own("join"), &words, self.now()).await?;
            let said = person.hello.lines().max_by_key(|line| line.len()).unwrap_or_default();
            self.say.line(&format!("{}: {said}", person.name));
        }
        self.house.settle().await?;
        self.say.line("Each gets the form.");
        Ok(())
    }

    async fn forms_come_back(&mut self) -> Result<()> {
        self.station("They fill in the form, each mail program in its own manner");
        for person in &PEOPLE {
            self.later(TimeDelta::minutes(30));
            let form = self.post.open(person, "a few questions")?;
            let words = Words { form: person.form, ..Words::default() };
            self.post.reply(person, &form.message, words, self.now()).await?;
            self.say.line(&format!("{}: {}", person.name, person.manner.words()));
        }
        self.house.settle().await?;
        self.say.line("Each is told what was understood.");
        Ok(())
    }

    async fn mistakes_are_mended(&mut self) -> Result<()> {
        self.station("Mistakes are mended by reply");
        for person in PEOPLE.iter().filter(|person| person.correction.is_some()) {
            let (label, value) = person.correction.context("it was asked for")?;
            let understood = self.post.open(person, "did we get this right?")?;
            let wrong = person.form.iter().find(|(asked, _)| *asked == label).map(|(_, said)| *said).unwrap_or_default();
            ensure!(understood.words().contains(&format!("{label}: {wrong}")), "the letter to {} does not show “{label}: {wrong}”", person.name);
            let unread = if understood.words().contains("could not read") { ", which we could not read" } else { "" };
            self.say.line(&format!("{}: was told “{label}: {wrong}”{unread}; replies “{label}: {value}”", person.name));
            self.later(TimeDelta::hours(1));
            let text = format!("Sorry, that should be:\n\n{label}: {value}\n");
            self.post.reply(person, &understood.message, Words { text, ..Words::default() }, self.now()).await?;
        }
        self.house.settle().await
    }

    async fn everybody_confirms(&mut self) -> Result<()> {
        self.station("Everybody confirms with one word");
        for person in &PEOPLE {
            self.later(TimeDelta::minutes(40));
            let understood = self.post.open(person, "did we get this right?")?;
            if let Some((label, value)) = person.correction {
                ensure!(understood.words().contains(&format!("{label}: {value}")), "the correction of {} was not understood", person.name);
            }
            self.post.reply(person, &understood.message, Words { text: format!("{}\n", person.yes), ..Words::default() }, self.now()).await?;
        }
        self.house.settle().await?;
        for person in &PEOPLE {
            self.post.open(person, "You are in")?;
        }
        self.say.line(&format!("{} people are in.", PEOPLE.len()));
        Ok(())
    }

    async fn subscribers_come(&mut self) -> Result<()> {
        self.station("Two people want the monthly topics and no partner");
        for person in &SUBSCRIBERS {
            self.later(TimeDelta::hours(2));
            let words = Words { subject: "Topics, please", text: format!("{}\n", person.hello), ..Words::default() };
            self.post.send(person, &self.own("topics-join"), &words, self.now()).await?;
            self.house.settle().await?;
            let question = self.post.open(person, "Would you like the topic")?;
            self.post.reply(person, &question.message, Words { text: format!("{}\n", person.yes), ..Words::default() }, self.now()).await?;
            self.house.settle().await?;
            self.post.open(person, "You get the topic of each month")?;
            self.say.line(&format!("{}: asked, was asked back, said yes", person.name));
        }
        Ok(())
    }

    async fn round_closes(&mut self) -> Result<()> {
        self.station("The calendar closes the round and proposes a match");
        self.day_comes("2027-03-21T06:00:00Z").await?;
        for pair in self.pairs().await? {
            let names: Vec<&str> = pair.partners.iter().map(|partner| partner.name.as_deref().unwrap_or_default()).collect();
            let reason = pair.partners.iter().flat_map(|partner| partner.side.met.iter().chain(&partner.side.reasons)).next();
            self.say.line(&format!("{}: {}", names.join(" and "), reason.map_or("by luck", String::as_str)));
        }
        let mut conn = self.house.store.connection().await?;
        let round = rounds::find(&mut conn, ROUND).await?.context("the round is there")?;
        for left in proposals::unmatched(&mut conn, round.id).await? {
            self.say.line(&format!("Without a partner: {}, because {}", left.name.as_deref().unwrap_or_default(), left.why));
        }
        Ok(())
    }

    async fn pairs(&self) -> Result<Vec<Partnership>> {
        let mut conn = self.house.store.connection().await?;
        let round = rounds::find(&mut conn, ROUND).await?.context("the round is there")?;
        partnerships::of_round(&mut conn, round.id, None).await
    }

    async fn match_is_approved(&mut self) -> Result<()> {
        self.station("A coordinator approves the match");
        self.later(TimeDelta::days(1));
        self.shell(&["round", "approve", ROUND]).await
    }

    /// From here on people know each other by their letters alone.
    async fn partners_are_introduced(&mut self) -> Result<()> {
        self.station("Introductions go out over three days, and the odd one out is told");
        for day in ["2027-03-28T09:00:00Z", "2027-03-29T09:00:00Z", "2027-03-30T09:00:00Z", "2027-03-31T09:00:00Z"] {
            self.day_comes(day).await?;
        }
        let mut alone = Vec::new();
        for person in &PEOPLE {
            let Ok(introduction) = self.post.open(person, ", your partner") else {
                self.post.open(person, "no partner for you yet")?;
                alone.push(person.name);
                continue;
            };
            let who =
                PEOPLE.iter().find(|other| introduction.message.subject == format!("Meet {}, your partner", other.name)).context("a partner is somebody")?;
            let alias = alias_in(&introduction.words(), &self.house.site.domain).with_context(|| format!("{} was told no address", person.name))?;
            self.aliases.insert(alias.clone());
            self.partners.insert(person.address, Partner { who, alias, introduction });
        }
        ensure!(alone.len() == 1 && self.partners.len() == PEOPLE.len() - 1, "without a partner are {alone:?}");
        for (person, partner) in PEOPLE.iter().filter_map(|person| Some((person, self.partners.get(person.address)?))) {
            self.say.line(&format!("{} reaches {} at {}", person.name, partner.who.name, partner.alias));
        }
        self.say.line(&format!("{} is told that there is no partner this time, kindly, and stays for the next round.", alone[0]));
        Ok(())
    }

    async fn a_stranger_is_refused(&mut self) -> Result<()> {
        self.station("A stranger who found such an address is refused");
        let somebody = PEOPLE.iter().find_map(|person| self.partners.get(person.address)).context("nobody has a partner")?;
        let alias = somebody.alias.clone();
        let words = Words { subject: "Shelves!", text: format!("{}\n", STRANGER.hello), ..Words::default() };
        let now = self.now();
        let answer = self.post.offer(&STRANGER, &alias, &words, now).await?.answer.clone();
        ensure!(answer.starts_with("550 5.7.1 "), "the stranger was not refused with 550 5.7.1 but answered: {answer}");
        self.say.line(&answer);
        self.house.settle().await
    }

    /// What somebody knows of their partner.
    pub(super) fn partner(&self, person: &Person) -> Result<&Partner> {
        self.partners.get(person.address).with_context(|| format!("{} has no partner", person.name))
    }

    /// Somebody who has a partner, in this manner if there is one, and not among `busy`.
    pub(super) fn somebody(&self, manner: Manner, busy: &[&'static Person]) -> Result<&'static Person> {
        let free = |person: &&&'static Person| self.partners.contains_key(person.address) && busy.iter().all(|other| other.address != person.address);
        let all: Vec<&'static Person> = PEOPLE.iter().collect();
        let found = all.iter().filter(free).find(|person| person.manner == manner).or_else(|| all.iter().find(free));
        found.copied().context("nobody is left who has a partner")
    }

    async fn topic_goes_out(&mut self) -> Result<()> {
        self.station("The topic of the month goes out to participants and subscribers");
        self.shell(&["topic", "add", "--shipped"]).await?;
        self.shell(&["topic", "schedule", "getting-started", "2027-04-15"]).await?;
        self.day_comes("2027-04-15T07:00:00Z").await?;
        let readers = self.readers();
        for reader in &readers {
            let letter = self.post.open(reader, "Getting started")?;
            for field in ["list-id", "list-unsubscribe", "list-unsubscribe-post"] {
                ensure!(letter.message.field(field).is_some(), "the topic to {} has no {field}", reader.name);
            }
            let field = letter.message.field("list-unsubscribe").unwrap_or_default();
            let link = field.split(['<', '>']).find(|part| part.starts_with("http")).context("the topic has no link that leaves")?;
            self.leave_links.insert(reader.address, link.to_owned());
        }
        self.say.line(&format!("{} people asked for it and got it.", readers.len()));
        Ok(())
    }

    /// Whoever asked for the topics.
    fn readers(&self) -> Vec<&'static Person> {
        let asked = |person: &&Person| person.form.contains(&("Monthly topics", "yes"));
        PEOPLE.iter().filter(asked).chain(&SUBSCRIBERS).collect()
    }

    async fn one_click_leaves(&mut self) -> Result<()> {
        self.station("One click leaves the topics");
        let leaver = &SUBSCRIBERS[1];
        let link = self.leave_links.get(leaver.address).context("the topic did not come")?.clone();
        let button = page::ask(self.house.http, "GET", &link).await?;
        ensure!(button.contains("<button"), "the page of the link has no button");
        let left = page::ask(self.house.http, "POST", &link).await?;
        ensure!(left.contains("You have left the topics"), "the click was not taken: {left}");
        self.say.line(&format!("{}: POST {link}", leaver.name));
        self.shell(&["topic", "schedule", "a-day-at-the-desk", "2027-05-17"]).await?;
        self.day_comes("2027-05-17T07:00:00Z").await?;
        for reader in self.readers() {
            match (self.post.open(reader, "A day at the desk"), reader.address == leaver.address) {
                (Ok(_), true) => bail!("{} left and got the next topic all the same", reader.name),
                (Err(error), false) => return Err(error),
                (Ok(_), false) | (Err(_), true) => {}
            }
        }
        self.say.line(&format!("The next topic goes to everybody but {}.", leaver.name));
        Ok(())
    }

    async fn somebody_leaves(&mut self) -> Result<()> {
        self.station("Somebody leaves by letter, and the partner is told");
        self.later(TimeDelta::days(1));
        let leaver = &PEOPLE[1];
        let leaver = if self.partners.contains_key(leaver.address) { leaver } else { &PEOPLE[2] };
        let left = self.partners.remove(leaver.address).with_context(|| format!("{} has no partner", leaver.name))?;
        self.post.reply(leaver, &left.introduction.message, Words { text: "leave\n".into(), ..Words::default() }, self.now()).await?;
        self.house.settle().await?;
        self.post.open(leaver, "Goodbye, and thank you")?;
        self.post.open(left.who, "Your partner has left")?;
        self.say.line(&format!("{} replies “leave”; {} is told.", leaver.name, left.who.name));
        let words = Words { subject: "One more thing", text: "Are you still there?\n".into(), ..Words::default() };
        let (alias, now) = (self.partner(left.who)?.alias.clone(), self.now());
        let answer = self.post.offer(left.who, &alias, &words, now).await?.answer.clone();
        ensure!(answer.starts_with("550 "), "a letter to somebody who left was answered: {answer}");
        self.say.line(&format!("A letter of {} after that: {answer}", left.who.name));
        self.house.settle().await
    }

    async fn record_tells(&mut self) -> Result<()> {
        self.station("The record tells a letter's whole way");
        let first = self.post.sent.iter().find(|sent| self.aliases.contains(&sent.to) && sent.taken()).context("partners wrote")?;
        let id = Message::parse(&first.raw).message_id.context("it has a Message-ID")?;
        self.shell(&["exchange", "show", &id]).await
    }
}

/// The address of a partner in the words of an introduction.
fn alias_in(words: &str, domain: &str) -> Option<String> {
    let (_, rest) = words.split_once("whom you reach at ")?;
    let alias = rest.split_whitespace().next()?.trim_matches(['<', '>', ',']);
    alias.ends_with(&format!("@{domain}")).then(|| alias.to_owned())
}
