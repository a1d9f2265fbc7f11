//! The pairs that coordinators fixed, and which of them can be kept.
use super::roster::Roster;
use super::rules::Barrier;
use super::{Decision, MatchError, Verdict};

/// The pairs that coordinators fixed, the lower position first. A pin may go on with an earlier partnership, which is a decision; it
/// can't overrule a language, an employer, or what one of the two asked for.
pub(super) fn kept(roster: &Roster, decisions: &[Decision], busy: &[usize]) -> Result<Vec<(usize, usize)>, MatchError> {
    let (mut pairs, mut taken) = (Vec::new(), vec![0; roster.people.len()]);
    busy.iter().for_each(|&person| taken[person] += 1);
    // Whatever order the decisions come in, the same one is refused.
    let mut decisions: Vec<&Decision> = decisions.iter().collect();
    decisions.sort_unstable_by(|one, other| (&one.a, &one.b).cmp(&(&other.a, &other.b)));
    for Decision { a, b, decision } in &decisions {
        if *decision == Verdict::Veto {
            continue;
        }
        let no = |why| Err(MatchError::Pin { a: a.clone(), b: b.clone(), why });
        let (Some(first), Some(second)) = (roster.position(a), roster.position(b)) else { return no("both have to be in the round") };
        if first == second {
            return no("they are one person");
        }
        let pair = (first.min(second), first.max(second));
        if pairs.contains(&pair) {
            continue;
        }
        if decisions.iter().any(|other| other.decision == Verdict::Veto && (same(other, a, b))) {
            return no("there is a veto against this pair as well; take one of the two back");
        }
        match roster.barrier(first, second) {
            None | Some(Barrier::EarlierPartners) if roster.excludes(first, second) || roster.excludes(second, first) => {
                return no("one of the two excluded the other");
            }
            None | Some(Barrier::EarlierPartners) => {}
            Some(Barrier::NoCommonLanguage) => return no("they have no language in common"),
            Some(Barrier::SameOrganisation) => return no("they work at the same organisation"),
            Some(Barrier::ExcludedByFirst | Barrier::ExcludedBySecond) => return no("one of the two excluded the other"),
            Some(Barrier::Vetoed) => return no("there is a veto against this pair as well; take one of the two back"),
        }
        for person in [first, second] {
            taken[person] += 1;
            if taken[person] > roster.people[person].capacity {
                return no("one of the two has more pins and partners than places");
            }
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

fn same(decision: &Decision, a: &str, b: &str) -> bool {
    (decision.a == a && decision.b == b) || (decision.a == b && decision.b == a)
}
