//! How two patterns relate as sets of requests, and whether they conflict.

use std::cmp::Ordering;

use http::Method;
use percent_encoding::{percent_encode, AsciiSet, CONTROLS};

use super::pattern::{End, Pattern, Segment};

/// How the requests of one pattern relate to those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// The same requests.
    Equal,
    /// A proper subset.
    MoreSpecific,
    /// A proper superset.
    MoreGeneral,
    /// No common request.
    Disjoint,
    /// Some common requests, and each pattern has others besides.
    Overlapping,
}

/// The bytes to escape in a segment of an example path.
const IN_SEGMENT: &AsciiSet = &CONTROLS.add(b' ').add(b'/').add(b'%').add(b'?').add(b'#');

impl Pattern {
    /// Whether some request matches both patterns and neither is the more specific one.
    pub(super) fn conflicts_with(&self, other: &Pattern) -> bool {
        self.host == other.host
            && matches!(self.relation(other), Relation::Equal | Relation::Overlapping)
    }

    /// The relation of the methods and paths; hosts are not considered.
    pub(super) fn relation(&self, other: &Pattern) -> Relation {
        let methods = relate_methods(self.method.as_ref(), other.method.as_ref());
        let segments = self.segments.iter().zip(&other.segments).map(relate_segments);
        segments.fold(methods.and(relate_ends(self, other)), Relation::and)
    }

    /// A path that matches both patterns, which must not be disjoint.
    pub(super) fn common_path(&self, other: &Pattern) -> String {
        let mut path = String::new();
        for index in 0..self.segments.len().max(other.segments.len()) {
            let pair = [self.segments.get(index), other.segments.get(index)];
            let literal = pair.into_iter().flatten().find_map(|segment| match segment {
                Segment::Literal(text) => Some(percent_encode(text, IN_SEGMENT).to_string()),
                Segment::Single => None,
            });
            path.push('/');
            path.push_str(literal.as_deref().unwrap_or("x"));
        }
        if self.end != End::Nothing && other.end != End::Nothing {
            path.push('/');
        }
        path
    }
}

impl Relation {
    /// The relation of two sets of pairs, given the relations of their first and second parts.
    fn and(self, other: Relation) -> Relation {
        use Relation::*;
        match (self, other) {
            (Disjoint, _) | (_, Disjoint) => Disjoint,
            (Equal, relation) | (relation, Equal) => relation,
            (MoreSpecific, MoreSpecific) => MoreSpecific,
            (MoreGeneral, MoreGeneral) => MoreGeneral,
            _ => Overlapping,
        }
    }
}

fn relate_methods(one: Option<&Method>, other: Option<&Method>) -> Relation {
    match (one, other) {
        _ if one == other => Relation::Equal,
        (None, Some(_)) => Relation::MoreGeneral,
        (Some(_), None) => Relation::MoreSpecific,
        (Some(&Method::GET), Some(&Method::HEAD)) => Relation::MoreGeneral,
        (Some(&Method::HEAD), Some(&Method::GET)) => Relation::MoreSpecific,
        _ => Relation::Disjoint,
    }
}

fn relate_segments(pair: (&Segment, &Segment)) -> Relation {
    match pair {
        (one, other) if one == other => Relation::Equal,
        (Segment::Literal(_), Segment::Single) => Relation::MoreSpecific,
        (Segment::Single, Segment::Literal(_)) => Relation::MoreGeneral,
        _ => Relation::Disjoint,
    }
}

/// The relation of everything after the segments that both patterns have.
fn relate_ends(one: &Pattern, other: &Pattern) -> Relation {
    match (one.segments.len().cmp(&other.segments.len()), one.end, other.end) {
        (Ordering::Less, End::Rest, _) => Relation::MoreGeneral,
        (Ordering::Greater, _, End::Rest) => Relation::MoreSpecific,
        (Ordering::Equal, one, other) if one == other => Relation::Equal,
        (Ordering::Equal, End::Slash, End::Rest) => Relation::MoreSpecific,
        (Ordering::Equal, End::Rest, End::Slash) => Relation::MoreGeneral,
        _ => Relation::Disjoint,
    }
}
