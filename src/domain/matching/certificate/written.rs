//! A certificate as it is written down in JSON: with everybody's name in every set.
use std::collections::BTreeMap;

use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::{Certificate, Flaw, OddSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    scale: i128,
    constant: i128,
    people: BTreeMap<String, i128>,
    blossoms: Vec<WrittenSet>,
    primal: i128,
    dual: i128,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSet {
    members: Vec<String>,
    z: i128,
}

impl TryFrom<Written> for Certificate {
    type Error = Flaw;

    fn try_from(written: Written) -> Result<Self, Flaw> {
        let Written { scale, constant, people, blossoms, primal, dual } = written;
        let (names, y): (Vec<String>, Vec<i128>) = people.into_iter().unzip();
        let position = |name: &String| names.binary_search(name).map(|position| position as u32).map_err(|_| Flaw("a set holds a stranger"));
        let set = |WrittenSet { members, z }: WrittenSet| {
            let mut members = members.iter().map(position).collect::<Result<Vec<u32>, Flaw>>()?;
            members.sort_unstable();
            Ok(OddSet { members, z })
        };
        let sets = blossoms.into_iter().map(set).collect::<Result<_, Flaw>>()?;
        Ok(Self { scale, constant, names, y, sets, primal, dual })
    }
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("Certificate", 6)?;
        written.serialize_field("scale", &self.scale)?;
        written.serialize_field("constant", &self.constant)?;
        written.serialize_field("people", &People(self))?;
        written.serialize_field("blossoms", &self.sets.iter().map(|set| Set { names: &self.names, set }).collect::<Vec<_>>())?;
        written.serialize_field("primal", &self.primal)?;
        written.serialize_field("dual", &self.dual)?;
        written.end()
    }
}

struct People<'a>(&'a Certificate);

impl Serialize for People<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.names.iter().zip(&self.0.y))
    }
}

struct Set<'a> {
    names: &'a [String],
    set: &'a OddSet,
}

impl Serialize for Set<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("OddSet", 2)?;
        written.serialize_field("members", &Members(self))?;
        written.serialize_field("z", &self.set.z)?;
        written.end()
    }
}

struct Members<'a>(&'a Set<'a>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.set.members.iter().map(|&member| &self.0.names[member as usize]))
    }
}
