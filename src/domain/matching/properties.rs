//! What holds for whole rounds of made-up people: no rule is broken, decisions are kept, and nobody's words tell another's secrets.
use super::applicant::{Exclusions, SectorWish, StageWish, Wishes};
use super::*;

/// A made-up round with a history, decisions and people who name each other.
struct World {
    people: Vec<Applicant>,
    past: Vec<Past>,
    decisions: Vec<Decision>,
    weights: Weights,
    seed: u64,
}

fn dice(seed: u64, number: usize, below: usize) -> usize {
    (ties::seeded(seed, &[&number.to_string()]) % below as u64) as usize
}

impl World {
    fn new(number: usize, seed: u64) -> Self {
        let mut people = generate::applicants(number, seed);
        // Few languages, so that some are left over; more named people than there are in life.
        for (index, person) in people.iter_mut().enumerate() {
            if dice(seed, index, 3) == 0 {
                person.languages = vec![["fi", "cy", "en"][dice(seed, index + 1000, 3)].to_owned()];
            }
            if dice(seed, index, 4) == 1 {
                person.prefers.people = vec![format!("p{}", 1 + dice(seed, index + 2000, number))];
            }
            if dice(seed, index, 4) == 2 {
                person.excludes.people = vec![format!("p{}", 1 + dice(seed, index + 3000, number + 5))];
            }
        }
        let pair = |index: usize| (format!("p{}", 1 + dice(seed, index + 4000, number)), format!("p{}", 1 + dice(seed, index + 5000, number)));
        let past = (0..number / 3).map(pair).filter(|(a, b)| a != b).map(|(a, b)| Past { a, b }).collect();
        let veto = |(a, b): (String, String)| Decision { a, b, decision: Verdict::Veto };
        let decisions = (100..100 + number / 5).map(pair).filter(|(a, b)| a != b).map(veto).collect();
        Self { people, past, decisions, weights: Weights { trios: seed.is_multiple_of(3), ..Weights::default() }, seed }
    }

    fn input(&self) -> Input<'_> {
        Input { past: &self.past, decisions: &self.decisions, ..Input::new(&self.people, &self.weights, self.seed) }
    }

    fn matched(&self) -> Matching {
        match_round(&self.input()).expect("a match")
    }

    fn person(&self, id: &str) -> &Applicant {
        self.people.iter().find(|person| person.id == id).expect("somebody of this round")
    }

    /// Pins pairs that the rules allow, as a coordinator would.
    fn pin(&mut self) -> Vec<[String; 2]> {
        let mut pinned: Vec<[String; 2]> = Vec::new();
        for index in 0..3 {
            let (a, b) = (dice(self.seed, index + 6000, self.people.len()), dice(self.seed, index + 7000, self.people.len()));
            let pin = Decision { a: self.people[a].id.clone(), b: self.people[b].id.clone(), decision: Verdict::Pin };
            let tried = [self.decisions.as_slice(), std::slice::from_ref(&pin)].concat();
            if match_round(&Input { decisions: &tried, ..self.input() }).is_ok() {
                pinned.push([pin.a.clone(), pin.b.clone()]);
                self.decisions = tried;
            }
        }
        pinned
    }
}

/// Of each person, for each partnership: the partners, and the words.
type Told = BTreeMap<String, Vec<(Vec<String>, Vec<String>)>>;

/// All that one person is told, and with whom they are.
fn told(matching: &Matching) -> Told {
    let words = |side: &Side| [&side.asked, &side.met, &side.unmet, &side.reasons].into_iter().flatten().cloned().collect::<Vec<_>>();
    let mut told: Told = BTreeMap::new();
    let mut note = |members: &[&String], sides: &[Side]| {
        for (member, side) in members.iter().zip(sides) {
            let partners = members.iter().filter(|other| other != &member).map(|&other| other.clone()).collect();
            told.entry((*member).clone()).or_default().push((partners, words(side)));
        }
    };
    matching.pairs.iter().for_each(|pair| note(&[&pair.a, &pair.b], &pair.sides));
    matching.trios.iter().for_each(|trio| note(&trio.members.each_ref(), &trio.sides));
    for left in &matching.unmatched {
        told.insert(left.id.clone(), vec![(Vec::new(), vec![left.why.clone()])]);
    }
    told
}

/// Other wishes, exclusions or vetoes for one person; gives whose.
fn with_another_secret(world: &World, number: usize) -> (World, String) {
    let mut people = world.people.clone();
    let (mut decisions, who) = (world.decisions.clone(), dice(world.seed, number + 8000, people.len()));
    let other = format!("p{}", 1 + dice(world.seed, number + 9000, people.len()));
    let person = &mut people[who];
    let id = person.id.clone();
    match number % 7 {
        0 => person.prefers = Wishes::default(),
        1 => person.prefers = Wishes { countries: vec!["FI".into()], sector: SectorWish::Different, stage: StageWish::More, ..Wishes::default() },
        2 => person.excludes = Exclusions { regions: vec!["150".into(), "019".into()], ..Exclusions::default() },
        3 => person.excludes = Exclusions::default(),
        4 => person.prefers.people = vec![other],
        5 => person.excludes.people = vec![other],
        _ => {
            decisions.retain(|decision| decision.a != id && decision.b != id);
            decisions.push(Decision { a: other.clone(), b: id.clone(), decision: Verdict::Veto });
            decisions.retain(|decision| decision.a != decision.b);
        }
    }
    (World { people, decisions, past: world.past.clone(), weights: world.weights.clone(), seed: world.seed }, id)
}

#[test]
fn two_rounds_that_differ_in_one_persons_secret_tell_nobody_else_of_it() {
    let (mut same_result, mut same_partner, mut other_partner) = (0, 0, 0);
    for seed in 0..40 {
        let world = World::new(24 + seed as usize % 9, seed);
        let before = told(&world.matched());
        for number in 0..14 {
            let (other, secretive) = with_another_secret(&world, number);
            let after = told(&other.matched());
            let partners =
                |told: &Told| told.iter().map(|(id, all)| (id.clone(), all.iter().map(|(with, _)| with.clone()).collect::<Vec<_>>())).collect::<Vec<_>>();
            let same = partners(&before) == partners(&after);
            same_result += usize::from(same);
            for (id, now) in after.iter().filter(|(id, _)| **id != secretive) {
                for (with, words) in now {
                    match before[id].iter().find(|(earlier, _)| earlier == with) {
                        // Somebody left over may hear of one more or one less who was left over too: that is the result, no secret.
                        Some((_, earlier)) if same || !with.is_empty() => {
                            assert_eq!(earlier, words, "seed {seed}, change {number} of {secretive}");
                            same_partner += 1;
                        }
                        Some(_) | None => other_partner += 1,
                    }
                }
            }
        }
    }
    assert!(same_result > 100 && same_partner > 5000 && other_partner > 500, "{same_result} {same_partner} {other_partner}");
}

#[test]
fn what_somebody_is_told_is_made_of_their_own_wishes_of_facts_and_of_the_result_alone() {
    let (mut with_partner, mut without) = (0, 0);
    for seed in 100..140 {
        let world = World::new(24 + seed as usize % 9, seed);
        let matching = world.matched();
        for (id, all) in told(&matching) {
            // A world in which nobody else has a wish, an exclusion, a veto or a past, and the same result.
            let people: Vec<Applicant> = world
                .people
                .iter()
                .map(|person| match person.id == id {
                    true => person.clone(),
                    false => Applicant { prefers: Wishes::default(), excludes: Exclusions::default(), ..person.clone() },
                })
                .collect();
            let past: Vec<Past> = world.past.iter().filter(|pair| pair.a == id || pair.b == id).cloned().collect();
            let input = Input { past: &past, ..Input::new(&people, &world.weights, world.seed) };
            let again = prepare(&input, |ground| Ok(Found::standing_as(ground, &matching).told(ground, input.wording))).expect("words");
            assert_eq!(told(&again)[&id], all, "seed {seed}: {id}");
            if all[0].0.is_empty() { without += 1 } else { with_partner += 1 }
        }
    }
    assert!(with_partner > 500 && without > 40, "{with_partner} {without}");
}

#[test]
fn whether_a_named_person_takes_part_does_not_show_in_why_somebody_has_no_partner() {
    let names: &[fn(&mut Applicant)] = &[|one| one.excludes.people = vec!["z".into()], |one| one.prefers.people = vec!["z".into()]];
    for name in names {
        for (country, language) in [("PE", "cy"), ("PE", "en"), ("FI", "fi")] {
            let mut people: Vec<Applicant> = ["a", "b", "c", "z"].map(Applicant::new).to_vec();
            people.iter_mut().for_each(|person| person.languages = vec!["en".into()]);
            people[0].languages = vec!["cy".into()];
            people[0].excludes.countries = vec!["PE".into()];
            name(&mut people[0]);
            (people[3].country, people[3].languages) = (Some(country.into()), vec![language.into()]);
            // Somebody keeps z from being anybody's partner, so that the result is the same.
            people[3].excludes.people = vec!["a".into(), "b".into(), "c".into()];
            let why = |people: &[Applicant]| {
                let matching = match_round(&Input::new(people, &Weights::default(), 1)).expect("a match");
                matching.unmatched.iter().find(|left| left.id == "a").map(|left| left.why.clone())
            };
            assert_eq!(why(&people), why(&people[..3]));
            assert_eq!(why(&people).as_deref(), Some("leaving aside whom you named, nobody in this round shares a language with you"));
        }
    }
}

#[test]
fn no_rule_is_ever_broken_and_pins_and_vetoes_are_kept() {
    let (mut pins, mut vetoes, mut trios, mut second) = (0, 0, 0, 0);
    for seed in 200..290 {
        let mut world = World::new(20 + seed as usize % 30, seed);
        if seed % 4 == 0 {
            world.people.iter_mut().step_by(3).for_each(|person| person.capacity = 2);
        }
        let pinned = world.pin();
        let matching = world.matched();
        let together = |a: &str, b: &str| {
            let pairs = matching.pairs.iter().map(|pair| vec![pair.a.as_str(), pair.b.as_str()]);
            let trios = matching.trios.iter().map(|trio| trio.members.iter().map(String::as_str).collect());
            pairs.chain(trios).filter(|members: &Vec<&str>| members.contains(&a) && members.contains(&b)).count()
        };
        for [a, b] in &pinned {
            assert_eq!(together(a, b), 1, "seed {seed}: {a} and {b} are pinned");
            pins += 1;
        }
        for (a, b) in world.people.iter().flat_map(|a| world.people.iter().map(move |b| (a, b))).filter(|(a, b)| a.id < b.id) {
            let count = together(&a.id, &b.id);
            assert!(count <= 1, "seed {seed}: {} and {} meet twice", a.id, b.id);
            if count == 0 || pinned.iter().any(|pin| pin.contains(&a.id) && pin.contains(&b.id)) {
                continue;
            }
            let are = |x: &str, y: &str| (x == a.id && y == b.id) || (x == b.id && y == a.id);
            assert!(a.languages.iter().any(|language| b.languages.contains(language)));
            assert_ne!(a.organisation, b.organisation);
            assert!(!world.past.iter().any(|past| are(&past.a, &past.b)));
            assert!(!world.decisions.iter().any(|veto| veto.decision == Verdict::Veto && are(&veto.a, &veto.b)));
            for (one, other) in [(a, b), (b, a)] {
                let country = other.country.as_ref().expect("made-up people have one");
                assert!(!one.excludes.countries.contains(country) && !one.excludes.people.contains(&other.id), "seed {seed}");
                assert!(!one.excludes.regions.iter().any(|region| crate::domain::places::is_in(country, region)));
            }
        }
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        matching
            .pairs
            .iter()
            .flat_map(|pair| [&pair.a, &pair.b])
            .chain(matching.trios.iter().flat_map(|trio| &trio.members))
            .for_each(|id| *places.entry(id).or_default() += 1);
        assert!(places.iter().all(|(id, taken)| *taken <= usize::from(world.person(id).capacity)));
        assert_eq!(places.len() + matching.unmatched.len(), world.people.len());
        vetoes += world.decisions.len();
        trios += matching.trios.len();
        second += places.values().filter(|taken| **taken == 2).count();
    }
    assert!(pins > 60 && vetoes > 300 && trios > 5 && second > 5, "{pins} {vetoes} {trios} {second}");
}

#[test]
fn who_competes_for_whom_is_shown_to_coordinators_and_holds() {
    let mut shown = 0;
    for seed in 300..370 {
        let world = World::new(24 + seed as usize % 9, seed);
        let plain = World { weights: Weights::default(), ..world };
        let matching = plain.matched();
        for left in &matching.unmatched {
            let Some(witness) = &left.witness else { continue };
            let Witness { rivals, scarce, freed_by } = witness;
            if !rivals.is_empty() {
                assert!(rivals.contains(&left.id) && !rivals.iter().any(|rival| scarce.contains(rival)), "{witness:?}");
                // Beyond those whom they compete for, rivals have at most each other.
                each_pair(&plain.input(), |a, b, _| {
                    let owner = |place: &str| place.trim_end_matches("#2").to_owned();
                    for (one, other) in [(owner(a), owner(b)), (owner(b), owner(a))] {
                        assert!(!rivals.contains(&one) || rivals.contains(&other) || scarce.contains(&other), "seed {seed}: {one} could have {other}");
                    }
                })
                .expect("pairs");
                shown += 1;
            }
            // Without one of these exclusions one more is matched.
            let Exclusions { countries, regions, people } = freed_by;
            for exclusion in countries.iter().chain(regions).chain(people) {
                let mut freed = plain.people.clone();
                let own = freed.iter_mut().find(|person| person.id == left.id).expect("somebody of this round");
                for list in [&mut own.excludes.countries, &mut own.excludes.regions, &mut own.excludes.people] {
                    list.retain(|one| one != exclusion);
                }
                let again = match_round(&Input { applicants: &freed, ..plain.input() }).expect("a match");
                assert!(again.pairs.len() > matching.pairs.len(), "seed {seed}: {} without {exclusion}", left.id);
                shown += 1;
            }
        }
    }
    assert!(shown > 50, "{shown}");
}
