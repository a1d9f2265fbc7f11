//! A person in numbers, so packed that comparing two takes some tens of nanoseconds: a large round compares everybody with everybody.
use super::applicant::{Rhythm, SectorWish};

/// The sets of numbers that a person has. Numbers of one kind of thing are compared with each other: languages, interests, countries, roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// Languages spoken at least fairly.
    Speaks,
    /// Languages being learnt.
    Learns,
    /// Languages of which the partner should speak one.
    WishesLanguages,
    /// Interests.
    Likes,
    /// Interests of which the partner should have one.
    WishesInterests,
    /// Countries of which the partner should be in one, those of wished regions too.
    WishesPlaces,
    /// Countries where the partner must not be, those of excluded regions too.
    BarsPlaces,
    /// Roles of which the partner should have one.
    WishesRoles,
}

const SETS: usize = 8;

/// What a person wishes: one bit for each kind.
pub(super) mod asks {
    pub const PLACE: u8 = 1;
    pub const SECTOR: u8 = 1 << 1;
    pub const STAGE: u8 = 1 << 2;
    pub const LANGUAGES: u8 = 1 << 3;
    pub const ROLES: u8 = 1 << 4;
    pub const INTERESTS: u8 = 1 << 5;
    pub const PEOPLE: u8 = 1 << 6;
}

/// A person in numbers; lists are sorted.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Of each set, the numbers below 64.
    pub words: [u64; SETS],
    /// … and those beyond, which few people have: the commonest things have the lowest numbers.
    pub beyond: Option<Box<[Vec<u32>; SETS]>>,
    /// See [`asks`].
    pub asks: u8,
    /// One bit for the stage; 0 where it is unknown.
    pub stage: u8,
    /// Bits of the stages that are wished for.
    pub stages_wished: u8,
    /// A bit for each way of being in contact.
    pub ways: u8,
    pub rhythm: Option<Rhythm>,
    pub sector_wished: SectorWish,
    /// The number of the clock; 0 where it is unknown.
    pub clock: u16,
    pub country: Option<u32>,
    pub sector: Option<u32>,
    pub role: Option<u32>,
    pub organisation: Option<u32>,
    pub domain: Option<u32>,
    /// What is earned without any wish met, and for each unit of weight met by `per_weight / 2^40`.
    pub given: u32,
    pub per_weight: u64,
    /// Those with whom a wish for a person is mutual.
    pub mutual: Box<[u32]>,
    /// Earlier partners, people excluded by name by either side, and pairs that coordinators keep apart.
    pub apart: Box<[u32]>,
    /// Those whose pair should stay if it can.
    pub kept: Box<[u32]>,
}

impl Profile {
    /// Puts sorted numbers into a set.
    pub fn fill(&mut self, set: Set, numbers: &[u32]) {
        for &number in numbers {
            if number < u64::BITS {
                self.words[set as usize] |= 1 << number;
            } else {
                self.beyond.get_or_insert_default()[set as usize].push(number);
            }
        }
    }

    /// Whether a set holds a number.
    pub fn has(&self, set: Set, number: Option<u32>) -> bool {
        match number {
            Some(low @ 0..64) => (self.words[set as usize] >> low) & 1 == 1,
            Some(high) => self.beyond.as_ref().is_some_and(|beyond| beyond[set as usize].binary_search(&high).is_ok()),
            None => false,
        }
    }

    /// Whether a set of this person and one of another have a number in common.
    pub fn meets(&self, set: Set, other: &Self, theirs: Set) -> bool {
        self.words[set as usize] & other.words[theirs as usize] != 0 || self.shares_beyond(set, other, theirs, 1) > 0
    }

    /// How many numbers two sets have in common, counted up to `enough`.
    pub fn shares(&self, set: Set, other: &Self, theirs: Set, enough: u32) -> u32 {
        let mut both = self.words[set as usize] & other.words[theirs as usize];
        let mut shared = 0;
        while both != 0 && shared < enough {
            both &= both - 1;
            shared += 1;
        }
        shared + self.shares_beyond(set, other, theirs, enough - shared)
    }

    #[inline]
    fn shares_beyond(&self, set: Set, other: &Self, theirs: Set, enough: u32) -> u32 {
        match (&self.beyond, &other.beyond) {
            (Some(own), Some(other)) => in_common(&own[set as usize], &other[theirs as usize], enough),
            (Some(_), None) | (None, _) => 0,
        }
    }
}

/// Whether a sorted list, short as a rule, holds a number.
#[inline]
pub(super) fn holds(list: &[u32], number: usize) -> bool {
    !list.is_empty() && list.binary_search(&(number as u32)).is_ok()
}

/// How many items two sorted lists have in common, counted up to `enough`.
fn in_common(one: &[u32], other: &[u32], enough: u32) -> u32 {
    let (mut i, mut j, mut found) = (0, 0, 0);
    while i < one.len() && j < other.len() && found < enough {
        match one[i].cmp(&other[j]) {
            std::cmp::Ordering::Equal => {
                found += 1;
                i += 1;
                j += 1;
            }
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(numbers: &[u32]) -> Profile {
        let mut profile = Profile::default();
        profile.fill(Set::Likes, numbers);
        profile
    }

    #[test]
    fn sets_know_small_numbers_and_large_ones() {
        let one = with(&[0, 5, 63, 64, 900]);
        for (number, held) in [(0, true), (1, false), (63, true), (64, true), (65, false), (900, true)] {
            assert_eq!(one.has(Set::Likes, Some(number)), held, "{number}");
        }
        assert!(!one.has(Set::Likes, None) && !one.has(Set::Speaks, Some(0)));
        let shared = |other: &[u32], enough| one.shares(Set::Likes, &with(other), Set::Likes, enough);
        assert_eq!((shared(&[0, 5, 64, 900], 9), shared(&[0, 5, 64, 900], 3), shared(&[0, 5], 1), shared(&[1, 65], 9), shared(&[900], 9)), (4, 3, 1, 0, 1));
        assert!(one.meets(Set::Likes, &with(&[2, 64]), Set::Likes) && !one.meets(Set::Likes, &with(&[2, 65]), Set::Likes));
    }
}
