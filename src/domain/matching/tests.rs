//! Whole rounds: that the rules hold, that the answer is the best one, and that nothing but facts and the seed decides.
use std::collections::HashMap;

use super::*;

fn people(lines: &[&str]) -> Vec<Applicant> {
    read_applicants(&lines.join("\n"), &LIBRARIES).expect("good lines")
}

fn matched(lines: &[&str]) -> Matching {
    match_round(&Input::new(&people(lines), &Weights::default(), 1)).expect("a match")
}

fn ids(matching: &Matching) -> Vec<(&str, &str)> {
    matching.pairs.iter().map(|pair| (pair.a.as_str(), pair.b.as_str())).collect()
}

fn decision(a: &str, b: &str, decision: Verdict) -> Decision {
    Decision { a: a.into(), b: b.into(), decision }
}

fn past(people: &[Applicant], every: usize) -> Vec<Past> {
    let pairs = people.iter().zip(people.iter().skip(every));
    pairs.map(|(a, b)| Past { a: a.id.clone(), b: b.id.clone() }).collect()
}

#[test]
fn nobodys_only_possible_partner_is_given_away() {
    // Ana and Ben suit each other best, but Cai can write only with Ana, and Dee only with Ben.
    let matching = matched(&[
        r#"{"id": "ana", "languages": ["en", "cy"], "interests": ["maps", "poetry", "chess"]}"#,
        r#"{"id": "ben", "languages": ["en", "fi"], "interests": ["maps", "poetry", "chess"]}"#,
        r#"{"id": "cai", "languages": ["cy"]}"#,
        r#"{"id": "dee", "languages": ["fi"]}"#,
    ]);
    assert_eq!(ids(&matching), [("ana", "cai"), ("ben", "dee")]);
}

#[test]
fn the_odd_one_out_is_told_so() {
    let matching = matched(&[r#"{"id": "a", "languages": ["en"]}"#, r#"{"id": "b", "languages": ["en"]}"#, r#"{"id": "c", "languages": ["en"]}"#]);
    assert_eq!((matching.pairs.len(), matching.unmatched.len(), matching.objective.matched), (1, 1, 2));
    assert!(matching.unmatched[0].why.starts_with("an odd number of people"));
}

#[test]
fn why_somebody_has_no_partner_is_told_by_facts_and_own_exclusions_only() {
    let matching = matched(&[
        r#"{"id": "a", "languages": ["en"], "organisation": "X", "country": "PE"}"#,
        r#"{"id": "b", "languages": ["en"], "organisation": "X", "country": "PE"}"#,
        r#"{"id": "c", "languages": ["fi"]}"#,
        r#"{"id": "d"}"#,
        r#"{"id": "e", "languages": ["en"], "excludes": {"regions": ["419"]}}"#,
    ]);
    let why: Vec<(&str, &str)> = matching.unmatched.iter().map(|left| (left.id.as_str(), left.why.as_str())).collect();
    let crowded = "there were not enough people in this round to find a fitting partner for everybody";
    assert_eq!(
        why,
        [
            ("a", crowded),
            ("b", crowded),
            ("c", "nobody in this round shares a language with you"),
            ("d", "we don't know which languages you speak, and partners need one in common"),
            ("e", "everybody in this round who could be your partner is in Latin America, and you asked us not to look there"),
        ]
    );
    assert_eq!(matched(&[r#"{"id": "a", "languages": ["en"]}"#]).unmatched[0].why, "nobody else takes part in this round");
    assert_eq!(matched(&[]).pairs, []);
}

#[test]
fn pins_and_vetoes_are_kept_and_pins_against_the_rules_refused() {
    let everybody = people(&[
        r#"{"id": "a", "languages": ["en"], "interests": ["maps"]}"#,
        r#"{"id": "b", "languages": ["en"], "interests": ["maps"]}"#,
        r#"{"id": "c", "languages": ["en"], "excludes": {"people": ["d"]}}"#,
        r#"{"id": "d", "languages": ["en"]}"#,
    ]);
    let with = |decisions: &[Decision]| match_round(&Input { decisions, ..Input::new(&everybody, &Weights::default(), 1) });
    assert_eq!(ids(&with(&[decision("d", "a", Verdict::Pin)]).expect("kept")), [("a", "d"), ("b", "c")]);
    assert_eq!(ids(&with(&[decision("a", "d", Verdict::Veto)]).expect("kept")), [("a", "c"), ("b", "d")]);
    let why = |decisions: &[Decision]| with(decisions).expect_err("refused").to_string();
    assert_eq!(why(&[decision("c", "d", Verdict::Pin)]), "c and d can't be pinned to each other: one of the two excluded the other");
    assert!(why(&[decision("a", "b", Verdict::Pin), decision("b", "c", Verdict::Pin)]).ends_with("one of the two has more pins and partners than places"));
    assert!(why(&[decision("a", "b", Verdict::Pin), decision("b", "a", Verdict::Veto)]).contains("a veto against this pair"));
    assert!(why(&[decision("a", "z", Verdict::Pin)]).ends_with("both have to be in the round"));
}

#[test]
fn a_second_place_serves_those_who_would_have_nobody_and_never_the_same_partner_twice() {
    let matching =
        matched(&[r#"{"id": "a", "languages": ["en"], "capacity": 2}"#, r#"{"id": "b", "languages": ["en"]}"#, r#"{"id": "c", "languages": ["en"]}"#]);
    assert_eq!((ids(&matching), matching.unmatched.len(), matching.objective.matched), (vec![("a", "b"), ("a", "c")], 0, 3));
    let two = matched(&[r#"{"id": "a", "languages": ["en"], "capacity": 2}"#, r#"{"id": "b", "languages": ["en"], "capacity": 2}"#]);
    assert_eq!(ids(&two), [("a", "b")]);
    // Ben suits Ana and Cai ill; taking both of Ana's places for Cai and Dee would leave him out.
    let four = matched(&[
        r#"{"id": "ana", "languages": ["en"], "capacity": 2, "interests": ["maps", "chess"]}"#,
        r#"{"id": "ben", "languages": ["en"]}"#,
        r#"{"id": "cai", "languages": ["en"], "interests": ["maps", "chess"], "excludes": {"people": ["ben"]}}"#,
        r#"{"id": "dee", "languages": ["en"], "interests": ["maps", "chess"], "excludes": {"people": ["cai"]}}"#,
    ]);
    assert_eq!((ids(&four), four.unmatched.len()), (vec![("ana", "cai"), ("ben", "dee")], 0));
}

#[test]
fn the_one_left_over_joins_the_pair_where_the_worst_served_is_served_best() {
    let everybody = people(&[
        r#"{"id": "a", "languages": ["en"], "interests": ["maps", "music"]}"#,
        r#"{"id": "b", "languages": ["en"], "interests": ["maps", "music"]}"#,
        r#"{"id": "c", "languages": ["en"], "interests": ["chess", "poetry"]}"#,
        r#"{"id": "d", "languages": ["en"], "interests": ["chess", "poetry"]}"#,
        r#"{"id": "e", "languages": ["en"], "interests": ["chess"]}"#,
    ]);
    let weights = Weights { trios: true, ..Weights::default() };
    let matching = match_round(&Input::new(&everybody, &weights, 1)).expect("a match");
    assert_eq!(ids(&matching), [("a", "b")]);
    assert_eq!((matching.trios[0].members.join(" "), matching.unmatched.len(), matching.objective.matched), ("c d e".to_owned(), 0, 5));
    assert!(matching.trios[0].sides[2].reasons[0].starts_with("you and one of your partners both work with, or care for, chess"));
}

#[test]
fn the_order_of_the_input_makes_no_difference_and_the_seed_does() {
    let everybody = generate::applicants(120, 3);
    let earlier = past(&everybody, 7);
    let weights = Weights { trios: true, ..Weights::default() };
    let prove = |people: &[Applicant], past: &[Past], seed| prove_round(&Input { past, ..Input::new(people, &weights, seed) }).expect("a match");
    let first = prove(&everybody, &earlier, 5);
    let (mut turned, mut earlier_turned) = (everybody.clone(), earlier.clone());
    turned.rotate_left(41);
    turned.swap(3, 70);
    earlier_turned.reverse();
    assert_eq!(first, prove(&turned, &earlier_turned, 5));
    let other = prove(&everybody, &earlier, 6);
    assert_eq!((other.matching.objective.score, other.matching.objective.matched), (first.matching.objective.score, first.matching.objective.matched));
    // Alike people are many here, so that chance has something to decide.
    let alike: Vec<Applicant> = (0..20).map(|index| Applicant { languages: vec!["en".into()], ..Applicant::new(format!("p{index}")) }).collect();
    assert_ne!(ids(&match_round(&Input::new(&alike, &weights, 1)).expect("a match")), ids(&match_round(&Input::new(&alike, &weights, 2)).expect("a match")));
}

#[test]
fn made_up_rounds_keep_every_rule_and_are_proven() {
    for seed in 0..12 {
        let everybody = generate::applicants(20 + 9 * seed as usize, seed);
        let earlier = past(&everybody, 3);
        let proven = prove_round(&Input { past: &earlier, ..Input::new(&everybody, &Weights::default(), seed) }).expect("a match");
        let of = |id: &str| everybody.iter().find(|person| person.id == id).expect("known");
        let mut partners: HashMap<&str, Vec<&str>> = HashMap::new();
        for pair in &proven.matching.pairs {
            let (a, b) = (of(&pair.a), of(&pair.b));
            assert!(a.languages.iter().any(|language| b.languages.contains(language)));
            assert_ne!(a.organisation, b.organisation);
            assert!(!earlier.iter().any(|past| (past.a == a.id && past.b == b.id) || (past.a == b.id && past.b == a.id)));
            for (one, other) in [(a, b), (b, a)] {
                assert!(!other.country.as_ref().is_some_and(|country| one.excludes.countries.contains(country)) && !one.excludes.people.contains(&other.id));
                partners.entry(&one.id).or_default().push(&other.id);
            }
        }
        for (id, partners) in &partners {
            assert!(partners.len() <= usize::from(of(id).capacity) && (partners.len() < 2 || partners[0] != partners[1]), "{id}: {partners:?}");
        }
        let objective = &proven.matching.objective;
        assert_eq!((objective.matched, objective.score), (partners.len(), objective.bound));
        assert_eq!(objective.matched + proven.matching.unmatched.len(), everybody.len());
    }
}

#[test]
fn a_secret_of_one_person_shows_in_nobody_elses_words() {
    let mut everybody = generate::applicants(41, 9);
    let before = match_round(&Input::new(&everybody, &Weights::default(), 1)).expect("a match");
    everybody[5].excludes.people = everybody.iter().map(|person| person.id.clone()).filter(|id| id != "p6").collect();
    let after = match_round(&Input::new(&everybody, &Weights::default(), 1)).expect("a match");
    assert_ne!(ids(&before), ids(&after), "the secret changes who writes to whom");
    // Where the partner is the same, so is every word.
    let mut alike = 0;
    for pair in after.pairs.iter().filter(|pair| pair.a != "p6" && pair.b != "p6") {
        if let Some(earlier) = before.pairs.iter().find(|earlier| (&earlier.a, &earlier.b) == (&pair.a, &pair.b)) {
            assert_eq!(earlier.sides, pair.sides);
            alike += 1;
        }
    }
    assert!(alike > 5, "some pairs stay");
    // And where somebody lost a partner by it, the words are those of any crowded round.
    let neutral = ["an odd number of people", "there were not enough people"];
    for left in after.unmatched.iter().filter(|left| left.id != "p6" && !before.unmatched.iter().any(|earlier| earlier.id == left.id)) {
        assert!(neutral.iter().any(|start| left.why.starts_with(start)), "{left:?}");
    }
}

#[test]
fn a_match_is_kept_as_json_and_read_back() {
    let matching = match_round(&Input::new(&generate::applicants(31, 2), &Weights { trios: true, ..Weights::default() }, 1)).expect("a match");
    let kept = serde_json::to_value(&matching).expect("writes");
    assert_eq!(serde_json::from_value::<Matching>(kept).expect("reads"), matching);
}

#[test]
fn what_is_wrong_with_the_input_is_an_error() {
    let error = |people: &[Applicant], weights: &Weights| match_round(&Input::new(people, weights, 1)).expect_err("refused").to_string();
    let twice = [Applicant::new("a"), Applicant::new("a")];
    assert_eq!(error(&twice, &Weights::default()), "two applicants have the identifier a");
    let nowhere = [Applicant { country: Some("XX".into()), ..Applicant::new("a") }];
    assert!(error(&nowhere, &Weights::default()).starts_with("applicant a: `country` can't be \"XX\""));
    assert!(error(&[], &Weights { stated: 5000, ..Weights::default() }).contains("[matching]"));
}
