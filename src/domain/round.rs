//! A round: its days, where it stands, what its calendar asks for next, and the sentence that tells people about it.
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::programme::Calendar;

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has days, and nothing has begun.
    Planned,
    /// People apply.
    Open,
    /// Nobody applies any more.
    Closed,
    /// There is a match, for coordinators to look at.
    Proposed,
    /// The match is what it will be.
    Approved,
    /// Partners know each other.
    Running,
    /// Over.
    Ended,
}

impl State {
    /// Every state, in the order of a round's life.
    pub const ALL: [Self; 7] = [Self::Planned, Self::Open, Self::Closed, Self::Proposed, Self::Approved, Self::Running, Self::Ended];

    /// Its name, as it is stored and printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }

    /// The state of that name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What can be done with a round, in the order in which a round has it done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Lets people apply, those who wait first.
    Open,
    /// Lets nobody apply any more.
    Close,
    /// Proposes a match; again, as often as coordinators like, until one is approved.
    Propose,
    /// Says yes to the match.
    Approve,
    /// Makes partners known to each other.
    Introduce,
    /// Ends the round and its partnerships.
    End,
}

impl Action {
    /// The word for it, also the command's.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Propose => "propose",
            Self::Approve => "approve",
            Self::Introduce => "introduce",
            Self::End => "end",
        }
    }

    /// The states in which it can be done.
    pub fn from(self) -> &'static [State] {
        match self {
            Self::Open => &[State::Planned],
            Self::Close => &[State::Open],
            Self::Propose => &[State::Closed, State::Proposed],
            Self::Approve => &[State::Proposed],
            Self::Introduce => &[State::Approved],
            Self::End => &[State::Running],
        }
    }

    /// The state that it leads to.
    pub fn to(self) -> State {
        match self {
            Self::Open => State::Open,
            Self::Close => State::Closed,
            Self::Propose => State::Proposed,
            Self::Approve => State::Approved,
            Self::Introduce => State::Running,
            Self::End => State::Ended,
        }
    }
}

/// A move that the round's state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("round “{name}” is {}, so you can't {} it now: {}", state.name(), action.word(), cure(*state))]
pub struct WrongMove {
    /// The round.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// What was asked for.
    pub action: Action,
}

/// What can be done in a state, as the end of a sentence.
fn cure(state: State) -> &'static str {
    match state {
        State::Planned => "`round open` comes next",
        State::Open => "`round close` comes next",
        State::Closed => "`round propose` comes next",
        State::Proposed => "`round show` shows the proposal, then `round propose` makes another, or `round approve` takes it",
        State::Approved => "its introductions go out on their day, or at once by `round approve --now`",
        State::Running => "`round rematch` matches those who wait for a partner, and `round end` ends it",
        State::Ended => "nothing is left to do; `round create` makes another",
    }
}

/// The five days of a round, each of them in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// People may apply from here.
    pub opens_on: NaiveDate,
    /// The last day on which they may.
    pub closes_on: NaiveDate,
    /// The match is proposed.
    pub match_on: NaiveDate,
    /// The first introductions go out.
    pub introduce_on: NaiveDate,
    /// The last day on which partners' letters pass.
    pub ends_on: NaiveDate,
}

/// Why five days make no round: in words that name the two that don't follow each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {later} ({}) comes before the {earlier} ({}): give the days in the order opening, closing, match, introductions, end", day(*.later_on), day(*.earlier_on))]
pub struct WrongDays {
    earlier: &'static str,
    earlier_on: NaiveDate,
    later: &'static str,
    later_on: NaiveDate,
}

impl Days {
    /// Whether the days follow each other; some of them may be one day, but a round runs for a day at least.
    ///
    /// # Errors
    /// The first two that don't.
    pub fn check(&self) -> Result<(), WrongDays> {
        let days =
            [("opening", self.opens_on), ("closing", self.closes_on), ("match", self.match_on), ("introductions", self.introduce_on), ("end", self.ends_on)];
        for pair in days.windows(2) {
            let [(earlier, earlier_on), (later, later_on)] = pair else { continue };
            if later_on < earlier_on || (*later == "end" && later_on == earlier_on) {
                return Err(WrongDays { earlier, earlier_on: *earlier_on, later, later_on: *later_on });
            }
        }
        Ok(())
    }
}

/// A round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Round {
    /// Its row.
    pub id: Uuid,
    /// What coordinators call it, and letters too.
    pub name: String,
    /// Its days.
    #[serde(flatten)]
    pub days: Days,
    /// People it takes at most; `None`: all.
    pub capacity: Option<u32>,
    /// The calendar approves the match on the day of introductions when nobody did.
    pub self_approve: bool,
    /// Where it stands.
    pub state: State,
    /// Decides between equally good matches.
    pub seed: u64,
    /// Rises with whatever changes who is to be matched.
    pub version: i32,
    /// The last day on which those without a partner were matched while it ran.
    pub rematched_on: Option<NaiveDate>,
}

impl Round {
    /// Whether something can be done with it now.
    ///
    /// # Errors
    /// In words: where it stands, and what can be done instead.
    pub fn may(&self, action: Action) -> Result<(), WrongMove> {
        if action.from().contains(&self.state) { Ok(()) } else { Err(WrongMove { name: self.name.clone(), state: self.state, action }) }
    }

    /// Whether it runs, and long enough for people to be matched in it still.
    pub fn takes_late_ones(&self, today: NaiveDate, calendar: &Calendar) -> bool {
        self.state == State::Running && (self.days.ends_on - today).num_days() >= i64::from(calendar.late_until)
    }

    /// Whether the calendar matches those without a partner on a day, while the round runs.
    pub fn late_match_due(&self, today: NaiveDate, calendar: &Calendar) -> bool {
        let since = (today - self.rematched_on.unwrap_or(self.days.introduce_on)).num_days();
        calendar.late_every > 0 && self.takes_late_ones(today, calendar) && since >= i64::from(calendar.late_every)
    }

    /// Whether it takes one more person, when it has so many.
    pub fn has_place(&self, taken: usize) -> bool {
        self.state == State::Open && self.capacity.is_none_or(|capacity| taken < capacity as usize)
    }
}

/// What the calendar asks for on a day: one thing at a time, so that a round that was forgotten catches up step by step.
/// A round stays open through its closing day, unless its match is due then.
pub fn due(round: &Round, today: NaiveDate) -> Option<Action> {
    let days = &round.days;
    match round.state {
        State::Planned => (today >= days.opens_on).then_some(Action::Open),
        State::Open => (today > days.closes_on || today >= days.match_on).then_some(Action::Close),
        State::Closed => (today >= days.match_on).then_some(Action::Propose),
        State::Proposed => (round.self_approve && today >= days.introduce_on).then_some(Action::Approve),
        State::Approved => (today >= days.introduce_on).then_some(Action::Introduce),
        State::Running => (today > days.ends_on).then_some(Action::End),
        State::Ended => None,
    }
}

/// The round that a new application belongs to: of the open ones with a place left the one that closes first. `None`: the next one, whichever that will be.
/// Each round comes with the number of people it has.
pub fn for_new_application(rounds: &[(Round, usize)]) -> Option<&Round> {
    let open = rounds.iter().filter(|(round, taken)| round.has_place(*taken)).map(|(round, _)| round);
    open.min_by_key(|round| (round.days.closes_on, round.id))
}

/// The rounds that somebody may hear of; their names must be safe in Markdown.
#[derive(Debug, Clone, Default)]
pub struct Prospects {
    /// Takes one more person.
    pub open: Option<Round>,
    /// Is open, and takes nobody more.
    pub full: Option<Round>,
    /// Is the next one planned.
    pub next: Option<Round>,
    /// Has begun, and still takes those who wait, if a partner turns up.
    pub running: Option<Round>,
}

/// Where the rounds stand, in one sentence or two for a letter to somebody whose application waits for a round, or (not `waits`) who has none.
pub fn sentence(today: NaiveDate, rounds: &Prospects, waits: bool) -> String {
    let sooner = |Round { name, .. }: &Round| format!(" Round *{name}* has begun; if a partner for you turns up in it before that, you will hear.");
    let promised = |news: String, promise: &str| match waits {
        true => format!("{news}{promise}{}", rounds.running.as_ref().map(sooner).unwrap_or_default()),
        false => format!("{news}."),
    };
    match (&rounds.open, &rounds.full, &rounds.next) {
        (Some(Round { name, days, .. }), _, _) => {
            let closes = if today >= days.closes_on { "today".to_owned() } else { format!("until {}", day(days.closes_on)) };
            format!("Round *{name}* is open for applications {closes}; pairs are introduced from {}.", day(days.introduce_on))
        }
        (None, Some(Round { name, .. }), _) => promised(
            format!("Round *{name}* is full"),
            ". You are on the list: if somebody withdraws, you move up, and otherwise the next round begins with you.",
        ),
        (None, None, Some(next)) => {
            let opens = if next.days.opens_on > today { format!("on {}", day(next.days.opens_on)) } else { "any day now".to_owned() };
            promised(format!("The next round opens {opens}"), "; we will write to you then.")
        }
        (None, None, None) => {
            promised("No round is planned yet".to_owned(), "; you are on the list for the next one, and we will write when its date is known.")
        }
    }
}

/// Where a round stands for somebody who is in it, in a sentence for a letter; the round's name must be safe in Markdown.
pub fn sentence_within(today: NaiveDate, round: &Round) -> String {
    let (name, days) = (&round.name, &round.days);
    match round.state {
        State::Planned | State::Open | State::Closed | State::Proposed | State::Approved if today < days.introduce_on => {
            format!("You are in round *{name}*; pairs are introduced from {}.", day(days.introduce_on))
        }
        State::Planned | State::Open | State::Closed | State::Proposed | State::Approved => {
            format!("You are in round *{name}*; pairs are introduced any day now.")
        }
        State::Running => format!("Round *{name}* runs until {}.", day(days.ends_on)),
        State::Ended => format!("Round *{name}* is over."),
    }
}

/// A day in words: "1 March 2027".
pub fn day(date: NaiveDate) -> String {
    const MONTHS: [&str; 12] = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
    format!("{} {} {}", date.day(), MONTHS[date.month0() as usize], date.year())
}

/// On which day after the first each letter of `total` goes out, when `sent` have gone: `most` a day at the least, and more where `days` days would not do.
pub fn spread(sent: usize, total: usize, most: usize, days: usize) -> usize {
    let a_day = most.max(total.div_ceil(days.max(1))).max(1);
    sent / a_day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn round(state: State) -> Round {
        let days = Days {
            opens_on: on("2027-03-01"),
            closes_on: on("2027-03-20"),
            match_on: on("2027-03-22"),
            introduce_on: on("2027-04-01"),
            ends_on: on("2027-09-30"),
        };
        Round { id: Uuid::nil(), name: "Spring 2027".into(), days, capacity: None, self_approve: false, state, seed: 1, version: 0, rematched_on: None }
    }

    #[test]
    fn the_calendar_asks_for_each_thing_on_its_day_and_not_before() {
        for (state, the_day_before, the_day, action) in [
            (State::Planned, "2027-02-28", "2027-03-01", Some(Action::Open)),
            (State::Open, "2027-03-20", "2027-03-21", Some(Action::Close)),
            (State::Closed, "2027-03-21", "2027-03-22", Some(Action::Propose)),
            (State::Proposed, "2027-03-31", "2030-01-01", None),
            (State::Approved, "2027-03-31", "2027-04-01", Some(Action::Introduce)),
            (State::Running, "2027-09-30", "2027-10-01", Some(Action::End)),
            (State::Ended, "2027-09-30", "2030-01-01", None),
        ] {
            assert_eq!(due(&round(state), on(the_day_before)), None, "{state:?}");
            assert_eq!(due(&round(state), on(the_day)), action, "{state:?}");
        }
        let by_itself = Round { self_approve: true, ..round(State::Proposed) };
        assert_eq!((due(&by_itself, on("2027-03-31")), due(&by_itself, on("2027-04-01"))), (None, Some(Action::Approve)));
        let mut short = round(State::Open);
        short.days.match_on = short.days.closes_on;
        assert_eq!(due(&short, short.days.match_on), Some(Action::Close), "the match does not wait for the end of the closing day");
    }

    #[test]
    fn each_thing_can_be_done_from_its_own_states_only_and_a_refusal_says_what_comes_next() {
        let actions = [Action::Open, Action::Close, Action::Propose, Action::Approve, Action::Introduce, Action::End];
        for action in actions {
            for state in State::ALL {
                assert_eq!(round(state).may(action).is_ok(), action.from().contains(&state));
            }
            assert!(action.from().iter().all(|state| *state as usize <= action.to() as usize));
        }
        let words = round(State::Planned).may(Action::Approve).expect_err("too early").to_string();
        assert_eq!(words, "round “Spring 2027” is planned, so you can't approve it now: `round open` comes next");
        for state in State::ALL {
            assert_eq!(State::read(state.name()), Some(state));
        }
    }

    #[test]
    fn a_round_that_runs_matches_those_who_wait_week_by_week_until_its_end_is_near() {
        let (runs, calendar) = (round(State::Running), Calendar::default());
        let due = |round: &Round, today: &str| round.late_match_due(on(today), &calendar);
        assert_eq!(["2027-04-07", "2027-04-08", "2027-08-01", "2027-08-02"].map(|today| due(&runs, today)), [false, true, true, false]);
        let lately = Round { rematched_on: Some(on("2027-05-03")), ..runs.clone() };
        assert_eq!(["2027-05-09", "2027-05-10"].map(|today| due(&lately, today)), [false, true]);
        assert!(!due(&Round { state: State::Approved, ..runs.clone() }, "2027-05-10"));
        let by_hand = Calendar { late_every: 0, ..Calendar::default() };
        assert!(!runs.late_match_due(on("2027-05-10"), &by_hand) && runs.takes_late_ones(on("2027-05-10"), &by_hand));
    }

    #[test]
    fn days_that_do_not_follow_each_other_are_named() {
        let days = round(State::Planned).days;
        assert_eq!(days.check(), Ok(()));
        let one_day = Days { closes_on: days.opens_on, match_on: days.opens_on, introduce_on: days.opens_on, ..days };
        assert_eq!(one_day.check(), Ok(()));
        let words = Days { match_on: on("2027-03-19"), ..days }.check().expect_err("before the closing").to_string();
        assert!(words.starts_with("the match (19 March 2027) comes before the closing (20 March 2027)"), "{words}");
        assert!(Days { ends_on: days.introduce_on, ..days }.check().is_err(), "a round of no days");
    }

    #[test]
    fn an_application_goes_to_the_open_round_that_closes_first_and_has_a_place() {
        let open = |id, closes: &str, capacity| {
            let mut round = Round { id: Uuid::from_u128(id), capacity, ..round(State::Open) };
            round.days.closes_on = on(closes);
            round
        };
        let full = (open(1, "2027-03-10", Some(2)), 2);
        let later = (open(2, "2027-03-30", None), 900);
        let sooner = (open(3, "2027-03-20", Some(3)), 2);
        let closed = (Round { state: State::Closed, ..open(4, "2027-03-01", None) }, 0);
        let chosen = |rounds: &[(Round, usize)]| for_new_application(rounds).map(|round| round.id.as_u128());
        assert_eq!(chosen(&[full.clone(), later, sooner, closed.clone()]), Some(3));
        assert_eq!(chosen(&[full, closed]), None);
    }

    #[test]
    fn the_sentence_tells_where_the_rounds_stand() {
        let (open, planned) = (round(State::Open), round(State::Planned));
        for (today, open, next, words) in [
            ("2027-03-02", Some(&open), None, "Round *Spring 2027* is open for applications until 20 March 2027; pairs are introduced from 1 April 2027."),
            ("2027-03-20", Some(&open), Some(&planned), "Round *Spring 2027* is open for applications today; pairs are introduced from 1 April 2027."),
            ("2027-02-01", None, Some(&planned), "The next round opens on 1 March 2027; we will write to you then."),
            ("2027-03-01", None, Some(&planned), "The next round opens any day now; we will write to you then."),
            ("2027-02-01", None, None, "No round is planned yet; you are on the list for the next one, and we will write when its date is known."),
        ] {
            let rounds = Prospects { open: open.cloned(), full: None, next: next.cloned(), running: None };
            assert_eq!(sentence(on(today), &rounds, true), words);
        }
        let none_waits = |next: Option<&Round>| sentence(on("2027-02-01"), &Prospects { next: next.cloned(), ..Prospects::default() }, false);
        assert_eq!(none_waits(Some(&planned)), "The next round opens on 1 March 2027.");
        assert_eq!(none_waits(None), "No round is planned yet.");
    }

    #[test]
    fn a_round_that_is_full_is_not_called_open() {
        let rounds = Prospects { open: None, full: Some(round(State::Open)), next: Some(round(State::Planned)), running: None };
        assert!(sentence(on("2027-03-02"), &rounds, true).starts_with("Round *Spring 2027* is full. You are on the list"));
        assert_eq!(sentence(on("2027-03-02"), &rounds, false), "Round *Spring 2027* is full.");
    }

    #[test]
    fn somebody_in_a_round_is_told_of_that_one() {
        for (state, today, words) in [
            (State::Open, "2027-03-02", "You are in round *Spring 2027*; pairs are introduced from 1 April 2027."),
            (State::Approved, "2027-03-31", "You are in round *Spring 2027*; pairs are introduced from 1 April 2027."),
            (State::Proposed, "2027-04-01", "You are in round *Spring 2027*; pairs are introduced any day now."),
            (State::Running, "2027-04-01", "Round *Spring 2027* runs until 30 September 2027."),
            (State::Ended, "2027-10-01", "Round *Spring 2027* is over."),
        ] {
            assert_eq!(sentence_within(on(today), &round(state)), words);
        }
    }

    #[test]
    fn many_letters_go_out_over_days_and_few_at_once() {
        assert_eq!([0, 11, 199].map(|sent| spread(sent, 200, 200, 3)), [0, 0, 0]);
        assert_eq!([0, 199, 200, 399, 400].map(|sent| spread(sent, 450, 200, 3)), [0, 0, 1, 1, 2]);
        assert_eq!([0, 999, 1000, 2999].map(|sent| spread(sent, 3000, 200, 3)), [0, 0, 1, 2], "within the days of the programme");
    }
}
