//! How fair a match is: reported to coordinators, not aimed at.
use serde::{Deserialize, Serialize};

use super::roster::Roster;
use super::score::Wish;
use super::{Ground, Input, MatchError, Matching, prepare};

/// How the satisfaction of those with a partner is spread, and how many would rather have each other. The numbers of one
/// side of a match are in thousandths of what somebody could wish for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fairness {
    /// The least satisfied.
    pub min: u32,
    /// One in a hundred is not more satisfied than this.
    pub p1: u32,
    /// One in twenty.
    pub p5: u32,
    /// One in two.
    pub median: u32,
    /// People with a partner who stated wishes.
    pub with_wishes: usize,
    /// Of them, those whose wishes are all met.
    pub all_met: usize,
    /// Pairs of people who would both be more satisfied with each other than they are. In a match without any, others would be left over or served worse.
    pub blocking_pairs: usize,
    /// Of these, those who would both win more than a tenth of what can be wished for.
    pub deep_blocking_pairs: usize,
    /// People who stand in a blocking pair.
    pub in_blocking_pairs: usize,
    /// What became of the wishes of those with a partner, by kind.
    pub wishes: Vec<Tally>,
}

/// What became of the wishes of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Which kind.
    pub wish: Wish,
    /// People who stated one.
    pub asked: usize,
    /// Those whose wish is met.
    pub met: usize,
    /// Those whose wish nobody in the round could have met.
    pub hopeless: usize,
}

/// What a match is like. Compares everybody with everybody: some seconds for twenty thousand people.
///
/// # Errors
/// The input is none that the match can be of.
pub fn fairness(input: &Input, matching: &Matching) -> Result<Fairness, MatchError> {
    prepare(input, |ground| Ok(of(ground, matching)))
}

const DEEP: u32 = 100;

fn of(ground: &Ground, matching: &Matching) -> Fairness {
    let roster = ground.roster;
    let pairs = matching.pairs.iter().flat_map(|pair| [(&pair.a, &pair.sides[0]), (&pair.b, &pair.sides[1])]);
    let sides: Vec<_> = pairs.chain(matching.trios.iter().flat_map(|trio| trio.members.iter().zip(&trio.sides))).collect();
    let mut satisfied: Vec<u32> = sides.iter().map(|(_, side)| side.satisfaction).collect();
    satisfied.sort_unstable();
    let at = |percent: usize| satisfied.get((satisfied.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(0);

    // What each person has: with two partners the lesser, without any nothing. Whoever is under way can't be moved.
    let mut has: Vec<Option<u32>> = vec![Some(0); roster.people.len()];
    for (id, side) in &sides {
        if let Some(person) = roster.position(id) {
            has[person] = Some(has[person].filter(|&other| other > 0).map_or(side.satisfaction, |other| other.min(side.satisfaction)));
        }
    }
    ground.busy.iter().chain(ground.pinned.iter().flat_map(|(a, b)| [a, b])).for_each(|&person| has[person] = None);
    let (mut blocking_pairs, mut deep_blocking_pairs, mut in_one) = (0, 0, vec![false; has.len()]);
    for a in roster.positions() {
        let Some(own) = has[a].filter(|&own| own < super::weights::FULL) else { continue };
        for b in a + 1..has.len() {
            let Some(other) = has[b] else { continue };
            let wins = |who: usize, with: usize, now: u32| roster.satisfaction(who, with).checked_sub(now).filter(|&more| more > 0);
            if let Some(first) = wins(a, b, own)
                && let Some(second) = wins(b, a, other)
                && roster.may_meet(a, b)
            {
                blocking_pairs += 1;
                deep_blocking_pairs += usize::from(first.min(second) > DEEP);
                (in_one[a], in_one[b]) = (true, true);
            }
        }
    }
    Fairness {
        min: at(0),
        p1: at(1),
        p5: at(5),
        median: at(50),
        with_wishes: sides.iter().filter(|(_, side)| !side.asked.is_empty()).count(),
        all_met: sides.iter().filter(|(_, side)| !side.asked.is_empty() && side.met.len() == side.asked.len()).count(),
        blocking_pairs,
        deep_blocking_pairs,
        in_blocking_pairs: in_one.into_iter().filter(|stands| *stands).count(),
        wishes: tallies(roster, &partners(roster, matching)),
    }
}

/// The partners of each person, one partnership after another.
fn partners(roster: &Roster, matching: &Matching) -> Vec<(usize, Vec<usize>)> {
    let mut partners = Vec::new();
    let mut note = |members: &[&String]| {
        let positions: Vec<usize> = members.iter().filter_map(|id| roster.position(id)).collect();
        partners.extend(positions.iter().map(|&one| (one, positions.iter().copied().filter(|&other| other != one).collect())));
    };
    matching.pairs.iter().for_each(|pair| note(&[&pair.a, &pair.b]));
    matching.trios.iter().for_each(|trio| note(&trio.members.each_ref()));
    partners
}

fn tallies(roster: &Roster, partners: &[(usize, Vec<usize>)]) -> Vec<Tally> {
    let meets = |wish: Wish, who: usize, with: usize| roster.meets(wish, who, with) == Some(true);
    let tally = |wish: Wish| {
        let asking: Vec<&(usize, Vec<usize>)> = partners.iter().filter(|(who, _)| roster.meets(wish, *who, *who).is_some()).collect();
        let (met, lost): (Vec<_>, Vec<_>) = asking.into_iter().partition(|(who, with)| with.iter().any(|&with| meets(wish, *who, with)));
        let hopeless = lost.iter().filter(|(who, _)| !roster.positions().any(|other| other != *who && meets(wish, *who, other))).count();
        Tally { wish, asked: met.len() + lost.len(), met: met.len(), hopeless }
    };
    Wish::ALL.into_iter().map(tally).filter(|tally| tally.asked > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Applicant, Past, Weights, generate, match_round};
    use super::*;

    #[test]
    fn the_report_is_what_counting_one_by_one_gives() {
        for seed in 0..6 {
            let people = generate::applicants(61, seed);
            let past = [Past { a: "p1".into(), b: "p2".into() }];
            let weights = Weights { trios: seed % 2 == 0, ..Weights::default() };
            let input = Input { past: &past, ..Input::new(&people, &weights, seed) };
            let matching = match_round(&input).expect("a match");
            let fairness = fairness(&input, &matching).expect("a report");
            let sorted = {
                let mut sorted: Vec<&Applicant> = people.iter().collect();
                sorted.sort_by(|a, b| a.id.cmp(&b.id));
                sorted
            };
            let roster = Roster::new(sorted, &past, &[], &[], &weights);
            let has = |who: usize| {
                let with: Vec<u32> = partners(&roster, &matching)
                    .into_iter()
                    .filter(|(one, _)| *one == who)
                    .flat_map(|(_, with)| with)
                    .map(|with| roster.satisfaction(who, with))
                    .collect();
                with.into_iter().min().unwrap_or(0)
            };
            let blocks = |a: usize, b: usize| roster.barrier(a, b).is_none() && roster.satisfaction(a, b) > has(a) && roster.satisfaction(b, a) > has(b);
            let blocking: Vec<(usize, usize)> = roster.positions().flat_map(|a| (a + 1..61).map(move |b| (a, b))).filter(|&(a, b)| blocks(a, b)).collect();
            let mut stand: Vec<usize> = blocking.iter().flat_map(|&(a, b)| [a, b]).collect();
            stand.sort_unstable();
            stand.dedup();
            assert_eq!((fairness.blocking_pairs, fairness.in_blocking_pairs), (blocking.len(), stand.len()));
            let mut all: Vec<u32> = partners(&roster, &matching)
                .iter()
                .map(|(who, with)| with.iter().map(|&with| roster.satisfaction(*who, with)).min().expect("a partner"))
                .collect();
            all.sort_unstable();
            assert_eq!((fairness.min, fairness.median), (all[0], all[all.len().div_ceil(2) - 1]));
            assert!(fairness.min <= fairness.p1 && fairness.p1 <= fairness.p5 && fairness.p5 <= fairness.median && fairness.all_met <= fairness.with_wishes);
            assert_eq!(fairness.wishes.iter().map(|tally| tally.met).sum::<usize>(), matching.objective.requests_met);
            assert!(fairness.wishes.iter().all(|tally| tally.met + tally.hopeless <= tally.asked));
        }
    }
}
