//! Whole rounds against a real database, by their calendar: who is told what, who is matched with whom, and that nothing happens twice.
use chrono::{DateTime, Utc};
use pairpost::{
    domain::{
        address::EmailAddress,
        answers::{Answer, Answers},
        matching::Side,
        programme::{LIBRARIANS, Programme},
        round::{Days, Round, State},
        secret::Secret,
    },
    handlers::{Context, Site, rounds as handler},
    mail::message::Message,
    schedule,
    store::{
        Store, applications,
        partnerships::{self, NewPartner, Partnership},
        people, proposals,
        rounds::{self, NewRound},
    },
    templates::{Common, Templates},
};
use sqlx::Row as _;
use uuid::Uuid;

use crate::database::TestDatabase;

/// A database, a programme, and a few words to speak of rounds.
struct World {
    store: Store,
    site: Site,
    database: TestDatabase,
}

const OPENS: &str = "2027-03-01";
const MATCHES: &str = "2027-03-22";
const INTRODUCES: &str = "2027-04-01";
const OVER: &str = "2027-10-01";

fn at(day: &str) -> DateTime<Utc> {
    format!("{day}T09:00:00Z").parse().unwrap()
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::new();
        let site = Site {
            domain: "pairs.test".into(),
            url: "http://pairs.test".into(),
            programme: Programme::parse(LIBRARIANS).unwrap(),
            secret: Secret::from_bytes([7; 32]),
            templates: Templates::new(Common::new("Librarians' Exchange", "pairs.test"), None).unwrap(),
            operator: None,
            coordinators: Vec::new(),
            asks_per_hour: 100,
            letters_per_day: None,
            keep_words_days: 14,
        };
        Self { store: database.store().await, site, database }
    }

    async fn round(&self, name: &str, capacity: Option<u32>) -> Round {
        let days = Days {
            opens_on: OPENS.parse().unwrap(),
            closes_on: "2027-03-20".parse().unwrap(),
            match_on: MATCHES.parse().unwrap(),
            introduce_on: INTRODUCES.parse().unwrap(),
            ends_on: "2027-09-30".parse().unwrap(),
        };
        let new = NewRound { name, days, capacity, self_approve: true, seed: 1 };
        let mut conn = self.store.connection().await.unwrap();
        rounds::insert(&mut conn, &new, at("2027-01-01")).await.unwrap().expect("a new name");
        rounds::find(&mut conn, name).await.unwrap().expect("it is there")
    }

    /// A person whose application waits for the next round, or is in the open one.
    async fn applicant(&self, name: &str, confirmed: bool, told: &[(&str, Answer)]) -> Uuid {
        let mut tx = self.store.begin().await.unwrap();
        let now = at("2027-02-01");
        let email = EmailAddress::parse(&format!("{}@example.org", name.to_lowercase())).unwrap();
        let address = people::address_id(&mut tx, &email, now).await.unwrap();
        let person = people::ensure(&mut tx, address, now).await.unwrap();
        people::set_name(&mut tx, person.id, name).await.unwrap();
        let mut answers = Answers::default();
        answers.set("name", text(name));
        answers.set("country", text("PE"));
        answers.set("languages", list(&["en"]));
        for (key, answer) in told {
            answers.set(*key, answer.clone());
        }
        let application = applications::insert(&mut tx, person.id, None, &answers, now).await.unwrap();
        if confirmed {
            let round = handler::open_for_applications(&mut Context::new(&mut tx, now, &self.site)).await.unwrap();
            applications::confirm(&mut tx, application, round, now).await.unwrap();
        }
        tx.commit().await.unwrap();
        person.id
    }

    /// Confirmed ones, alike but for their names.
    async fn applicants(&self, names: &[&str]) -> Vec<Uuid> {
        let mut people = Vec::new();
        for name in names {
            people.push(self.applicant(name, true, &[]).await);
        }
        people
    }

    /// Works the calendar off until nothing is due; gives how many things were done.
    async fn tick(&self, day: &str) -> usize {
        let mut done = 0;
        for _ in 0..20 {
            match schedule::step(&self.store, &self.site, at(day)).await.unwrap() {
                0 => return done,
                more => done += more,
            }
        }
        panic!("the calendar never comes to an end on {day}");
    }

    async fn state(&self, round: &Round) -> State {
        let mut conn = self.store.connection().await.unwrap();
        rounds::find(&mut conn, &round.name).await.unwrap().unwrap().state
    }

    async fn partnerships(&self, round: &Round) -> Vec<Partnership> {
        partnerships::of_round(&mut self.store.connection().await.unwrap(), round.id, None).await.unwrap()
    }

    /// Who is matched with whom, by name, in order.
    async fn pairs(&self, round: &Round) -> Vec<[String; 2]> {
        let named = |partnership: Partnership| {
            let mut names: Vec<String> = partnership.partners.into_iter().map(|partner| partner.name.unwrap()).collect();
            names.sort();
            <[String; 2]>::try_from(names).expect("two partners")
        };
        let mut pairs: Vec<_> = self.partnerships(round).await.into_iter().map(named).collect();
        pairs.sort();
        pairs
    }

    async fn unmatched(&self, round: &Round) -> Vec<(String, String)> {
        let left = proposals::unmatched(&mut self.store.connection().await.unwrap(), round.id).await.unwrap();
        left.into_iter().map(|left| (left.name.unwrap(), left.why)).collect()
    }

    /// All letters of a kind: to whom, and the words of the text part.
    async fn letters(&self, kind: &str) -> Vec<(String, String)> {
        let pool = sqlx::PgPool::connect_with(self.database.options()).await.unwrap();
        let rows = sqlx::query("select a.email, o.raw from outbox o join address a on a.id = o.address_id where o.kind = $1 order by a.email, o.id")
            .bind(kind)
            .fetch_all(&pool)
            .await
            .unwrap();
        pool.close().await;
        let words = |raw: Vec<u8>| Message::parse(&raw).text().split_whitespace().collect::<Vec<_>>().join(" ");
        rows.into_iter().map(|row| (row.get("email"), words(row.get("raw")))).collect()
    }

    async fn readers(&self, kind: &str) -> Vec<String> {
        self.letters(kind).await.into_iter().map(|(email, _)| email.split('@').next().unwrap().to_owned()).collect()
    }

    async fn live(&self, person: Uuid) -> Option<applications::Application> {
        applications::find_live(&mut self.store.connection().await.unwrap(), person).await.unwrap()
    }

    async fn pause(&self, person: Uuid, until: Option<&str>) {
        let until = until.map(|day| day.parse().unwrap());
        people::pause(&mut self.store.connection().await.unwrap(), person, until, at("2027-02-02")).await.unwrap();
    }

    async fn leave(&self, person: Uuid) {
        let mut tx = self.store.begin().await.unwrap();
        people::set_left(&mut tx, person, Some(at(MATCHES))).await.unwrap();
        applications::withdraw(&mut tx, person, at(MATCHES)).await.unwrap();
        partnerships::end_all(&mut tx, person, at(MATCHES)).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn text(words: &str) -> Answer {
    Answer::Text(words.into())
}

fn list(items: &[&str]) -> Answer {
    Answer::List(items.iter().map(|item| (*item).to_owned()).collect())
}

#[tokio::test]
async fn a_round_runs_by_its_calendar_and_nobody_hears_anything_twice() {
    let world = World::new().await;
    let round = world.round("Spring *2027*", None).await;
    for name in ["Ana", "Ben", "Chidi", "Dana", "Eva"] {
        world.applicant(name, true, &[("organisation", text(&format!("Library of {name}")))]).await;
    }
    world.applicant("Finn", false, &[("country", text(""))]).await;

    assert_eq!(world.tick("2027-02-28").await, 0);
    assert!(world.tick(OPENS).await > 0);
    assert_eq!(world.readers("round_opened").await, ["ana", "ben", "chidi", "dana", "eva", "finn"]);
    let opened = world.letters("round_opened").await;
    assert!(opened[0].1.contains("round Spring *2027* is open, and you are in it") && opened[0].1.contains("until 20 March 2027"), "{}", opened[0].1);
    assert!(opened[5].1.contains("where you live"), "{}", opened[5].1);
    assert_eq!((world.tick(OPENS).await, world.tick("2027-03-20").await), (0, 0));
    assert_eq!(world.state(&round).await, State::Open);

    world.tick("2027-03-21").await;
    assert_eq!(world.state(&round).await, State::Closed);
    world.tick(MATCHES).await;
    assert_eq!((world.state(&round).await, world.pairs(&round).await.len()), (State::Proposed, 2));
    let left = world.unmatched(&round).await;
    assert_eq!((left.len(), left[0].1.contains("odd number")), (1, true));
    assert_eq!(world.tick("2027-03-31").await, 0, "introductions wait for their day");
    assert!(world.letters("introduction").await.is_empty() && world.letters("left_over").await.is_empty());

    world.tick(INTRODUCES).await;
    assert_eq!(world.state(&round).await, State::Running);
    let pairs = world.partnerships(&round).await;
    assert!(pairs.iter().all(|pair| pair.state == partnerships::State::Introduced));
    for (reader, words) in world.letters("introduction").await {
        let pair = pairs.iter().find(|pair| pair.partners.iter().any(|partner| reader.starts_with(&partner.name.as_deref().unwrap().to_lowercase()))).unwrap();
        let other = pair.partners.iter().find(|partner| !reader.starts_with(&partner.name.as_deref().unwrap().to_lowercase())).unwrap();
        let name = other.name.as_deref().unwrap();
        for part in [format!("{}@pairs.test", other.alias), format!("Library of {name}"), "until 30 September 2027".into(), "career path".into()] {
            assert!(words.contains(&part), "{part}: {words}");
        }
        assert!(!words.contains("@example.org"), "no real address: {words}");
    }
    assert_eq!(world.letters("introduction").await.len(), 4);
    let told = world.letters("left_over").await;
    assert!(told.len() == 1 && told[0].0 == format!("{}@example.org", left[0].0.to_lowercase()), "{told:?}");
    assert!(told[0].1.contains("because an odd number of people") && told[0].1.contains("No round is planned yet"), "{}", told[0].1);

    assert_eq!(world.tick(INTRODUCES).await, 0);
    assert_eq!(world.tick("2027-09-30").await, 0);
    assert_eq!((world.letters("introduction").await.len(), world.letters("left_over").await.len()), (4, 1));
    world.tick(OVER).await;
    assert_eq!((world.state(&round).await, world.letters("round_ended").await.len()), (State::Ended, 4));
    assert!(world.partnerships(&round).await.iter().all(|pair| pair.state == partnerships::State::Ended));
    assert_eq!(world.tick("2028-01-01").await, 0);
}

#[tokio::test]
async fn the_one_left_over_is_kept_and_comes_first_in_the_next_round() {
    let world = World::new().await;
    let spring = world.round("Spring", None).await;
    let people = world.applicants(&["Ana", "Ben", "Chidi"]).await;
    world.tick(OPENS).await;
    world.tick(INTRODUCES).await;
    assert_eq!(world.state(&spring).await, State::Running, "a calendar that slept catches up");
    let mut kept = Vec::new();
    for person in &people {
        kept.extend(world.live(*person).await);
    }
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].round_id, kept[0].state), (None, applications::State::Confirmed));

    // Confirmed long before, and yet behind whoever was left over.
    world.applicant("Dana", true, &[]).await;
    let pool = sqlx::PgPool::connect_with(world.database.options()).await.unwrap();
    sqlx::query("update application set confirmed_at = '2020-01-01' where round_id is null and left_over = 0").execute(&pool).await.unwrap();
    pool.close().await;
    let autumn = world.round("Autumn", Some(1)).await;
    world.tick(OPENS).await;
    assert_eq!(world.live(kept[0].person_id).await.unwrap().round_id, Some(autumn.id));
    let full: Vec<_> = world.letters("round_opened").await.into_iter().filter(|(_, words)| words.contains("a limited number of people")).collect();
    assert_eq!(full.iter().map(|(email, _)| email.as_str()).collect::<Vec<_>>(), ["dana@example.org"]);

    // Somebody makes room, and the next in line moves up, and hears so.
    world.leave(kept[0].person_id).await;
    world.tick("2027-03-02").await;
    let news: Vec<_> = world.letters("round_opened").await.into_iter().filter(|(email, _)| email == "dana@example.org").collect();
    assert!(news.len() == 2 && news.iter().any(|(_, words)| words.contains("you are in it")), "{news:?}");
}

#[tokio::test]
async fn somebody_who_pauses_or_left_is_not_matched_and_waits_or_is_gone() {
    let world = World::new().await;
    let round = world.round("Spring", None).await;
    let people = world.applicants(&["Ana", "Ben", "Chidi", "Dana"]).await;
    world.tick(OPENS).await;
    world.pause(people[0], None).await;
    world.leave(people[1]).await;
    world.tick(MATCHES).await;
    assert_eq!(world.pairs(&round).await, [["Chidi", "Dana"].map(str::to_owned)]);
    assert!(world.unmatched(&round).await.is_empty());
    world.tick(INTRODUCES).await;
    let waits = world.live(people[0]).await.expect("a pause keeps the application");
    assert_eq!((waits.round_id, world.live(people[1]).await.is_none()), (None, true));
    assert_eq!(world.readers("introduction").await, ["chidi", "dana"]);
    assert!(world.letters("left_over").await.is_empty(), "a pause is their own wish");
}

#[tokio::test]
async fn somebody_who_leaves_or_pauses_after_the_match_is_in_no_introduction() {
    let world = World::new().await;
    let round = world.round("Spring", None).await;
    let ana = world.applicant("Ana", true, &[]).await;
    world.applicant("Ben", true, &[]).await;
    world.tick(OPENS).await;
    world.tick(MATCHES).await;
    assert_eq!(world.pairs(&round).await.len(), 1);
    // Approved by a person; nothing makes the match anew after that.
    let mut tx = world.store.begin().await.unwrap();
    handler::approve(&mut Context::new(&mut tx, at(MATCHES), &world.site), round.id).await.unwrap();
    tx.commit().await.unwrap();
    world.pause(ana, None).await;
    world.tick(INTRODUCES).await;
    assert!(world.letters("introduction").await.is_empty() && world.partnerships(&round).await.is_empty());
    let told = world.letters("left_over").await;
    assert!(told.len() == 1 && told[0].0 == "ben@example.org" && told[0].1.contains("could not take part after all"), "{told:?}");
}

#[tokio::test]
async fn colleagues_and_earlier_partners_and_excluded_people_never_meet() {
    let world = World::new().await;
    let earlier = world.round("Last year", None).await;
    let library = || ("organisation", text("British Library"));
    let ana = world.applicant("Ana", true, &[library()]).await;
    world.applicant("Ben", true, &[library(), ("prefers.people", list(&["Ana"]))]).await;
    let chidi = world.applicant("Chidi", true, &[("prefers.people", list(&["Ana"]))]).await;
    world.applicant("Dana", true, &[("prefers.people", list(&["Eva"]))]).await;
    world.applicant("Eva", true, &[("prefers.people", list(&["Dana"])), ("excludes.people", list(&["dana"]))]).await;
    world.applicant("Finn", true, &[("languages", list(&["fi"]))]).await;
    let mut tx = world.store.begin().await.unwrap();
    let partners = [(ana, "ana.x"), (chidi, "chidi.x")].map(|(person_id, alias)| NewPartner { person_id, alias: alias.into(), side: Side::default() });
    let past = partnerships::insert(&mut tx, earlier.id, 0, &partners, at("2026-01-01")).await.unwrap();
    assert!(partnerships::introduce(&mut tx, past, at("2026-01-01")).await.unwrap());
    assert!(partnerships::end(&mut tx, past, at("2026-06-01")).await.unwrap());
    rounds::set_state(&mut tx, earlier.id, State::Ended).await.unwrap();
    tx.commit().await.unwrap();

    let round = world.round("Spring", None).await;
    world.tick(OPENS).await;
    world.tick(MATCHES).await;
    let pairs = world.pairs(&round).await;
    assert_eq!(pairs.len(), 2, "five can be matched: {pairs:?}");
    for never in [["Ana", "Ben"], ["Ana", "Chidi"], ["Dana", "Eva"]] {
        assert!(!pairs.contains(&never.map(str::to_owned)), "{pairs:?}");
    }
    let left = world.unmatched(&round).await;
    assert!(left.iter().any(|(name, why)| name == "Finn" && why.contains("shares a language")), "{left:?}");
}

#[tokio::test]
async fn a_match_is_written_only_if_nobody_came_went_or_changed_meanwhile_and_can_be_made_again() {
    let world = World::new().await;
    let round = world.round("Spring", None).await;
    let people = world.applicants(&["Ana", "Ben", "Chidi", "Dana"]).await;
    world.tick(OPENS).await;
    world.tick("2027-03-21").await;
    let now = at(MATCHES);
    let snapshot = async || {
        let mut tx = world.store.begin().await.unwrap();
        let snapshot = handler::snapshot(&mut Context::new(&mut tx, now, &world.site), round.id).await.unwrap();
        tx.commit().await.unwrap();
        snapshot
    };
    let record = async |snapshot: &proposals::Snapshot| {
        let matching = handler::matched(&world.site.programme, snapshot, false).unwrap();
        let mut tx = world.store.begin().await.unwrap();
        let recorded = handler::record(&mut Context::new(&mut tx, now, &world.site), snapshot, &matching).await.unwrap();
        tx.commit().await.unwrap();
        recorded
    };
    let before = snapshot().await;
    world.pause(people[0], None).await;
    assert!(!record(&before).await, "somebody pauses");
    let before = snapshot().await;
    assert_eq!(before.candidates.len(), 3);
    let application = world.live(people[1]).await.unwrap();
    applications::set_answers(&mut world.store.connection().await.unwrap(), application.id, &application.answers, now).await.unwrap();
    assert!(!record(&before).await, "answers changed");
    assert!(world.partnerships(&round).await.is_empty() && world.state(&round).await == State::Closed);

    assert!(record(&snapshot().await).await);
    assert_eq!((world.pairs(&round).await.len(), world.unmatched(&round).await.len()), (1, 1));
    let aliases = |pairs: Vec<Partnership>| pairs.into_iter().flat_map(|pair| pair.partners).map(|partner| partner.alias).collect::<Vec<_>>();
    let first = aliases(world.partnerships(&round).await);
    assert!(people::resume(&mut world.store.connection().await.unwrap(), people[0]).await.unwrap());
    let approve = async || {
        let mut tx = world.store.begin().await.unwrap();
        handler::approve(&mut Context::new(&mut tx, now, &world.site), round.id).await
    };
    assert!(approve().await.unwrap_err().to_string().contains("`round propose`"), "the match is of yesterday");
    schedule::propose(&world.store, &world.site, round.id, now, false).await.unwrap();
    assert_eq!((world.pairs(&round).await.len(), world.unmatched(&round).await.len()), (2, 0));
    assert!(aliases(world.partnerships(&round).await).iter().all(|alias| !first.contains(alias)), "the first proposal is gone");
    assert!(approve().await.is_ok());
}

#[tokio::test]
async fn two_processes_that_look_at_one_calendar_do_each_thing_once() {
    let world = World::new().await;
    let round = world.round("Spring", None).await;
    world.applicants(&["Ana", "Ben", "Chidi", "Dana", "Eva", "Finn"]).await;
    let other = world.database.store().await;
    for day in [OPENS, "2027-03-21", MATCHES, INTRODUCES, OVER] {
        let (one, two) = tokio::join!(schedule::step(&world.store, &world.site, at(day)), schedule::step(&other, &world.site, at(day)));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        world.tick(day).await;
    }
    other.close().await;
    assert_eq!(world.state(&round).await, State::Ended);
    for (kind, letters) in [("round_opened", 6), ("introduction", 6), ("left_over", 0), ("round_ended", 6)] {
        assert_eq!(world.letters(kind).await.len(), letters, "{kind}");
    }
}

#[tokio::test]
async fn a_pause_ends_on_its_day_with_a_letter_and_a_place_in_the_open_round() {
    let world = World::new().await;
    let ana = world.applicant("Ana", true, &[]).await;
    world.pause(ana, Some("2027-03-05")).await;
    let round = world.round("Spring", None).await;
    world.tick(OPENS).await;
    assert!(world.letters("round_opened").await.is_empty() && world.live(ana).await.unwrap().round_id.is_none());
    world.tick("2027-03-05").await;
    assert_eq!((world.letters("resumed").await.len(), world.letters("round_opened").await.len()), (1, 1));
    assert_eq!(world.live(ana).await.unwrap().round_id, Some(round.id));
    assert_eq!(world.tick("2027-03-05").await, 0);
}

#[tokio::test]
async fn an_introduction_shows_what_the_partner_shares_and_keeps_what_is_private() {
    let world = World::new().await;
    world.round("Spring", None).await;
    let secret = [("town", text("Cusco")), ("role", text("cataloguer")), ("private", list(&["town"])), ("prefers.countries", list(&["NZ"]))];
    world.applicant("Ana", true, &secret).await;
    world.applicant("Ben", true, &[("prefers.countries", list(&["PE"])), ("role", text("<b>archivist</b>"))]).await;
    world.tick(OPENS).await;
    world.tick(INTRODUCES).await;
    let letters = world.letters("introduction").await;
    let (to_ana, to_ben) = (&letters[0].1, &letters[1].1);
    assert!(to_ben.contains("cataloguer") && !to_ben.contains("Cusco") && !to_ben.contains("New Zealand"), "{to_ben}");
    assert!(to_ben.contains("You asked for a partner in Peru: your partner is in Peru."), "{to_ben}");
    assert!(to_ana.contains("Not every wish could be met this time: - You asked for a partner in New Zealand"), "{to_ana}");
    assert!(to_ana.contains("<b>archivist</b>"), "words stay words: {to_ana}");
}

#[tokio::test]
async fn a_round_without_people_runs_and_ends_without_a_letter() {
    let world = World::new().await;
    let round = world.round("Nobody", None).await;
    for day in [OPENS, MATCHES, INTRODUCES, OVER] {
        world.tick(day).await;
    }
    assert_eq!(world.state(&round).await, State::Ended);
    for kind in ["round_opened", "introduction", "left_over", "round_ended"] {
        assert!(world.letters(kind).await.is_empty());
    }
}
