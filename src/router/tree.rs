//! The decision tree: a radix tree over the bytes of paths, with wildcards at segment starts.
//!
//! A node is what the bytes so far lead to. The walk tries the literal child first, then the
//! wildcard, then the subtree, and goes back if a branch has nothing for the method. Since no two
//! registered patterns conflict, what is found first is the most specific match. A node is
//! reached over one sequence of literals and wildcards only, so a walk visits each at most once:
//! no path can make it long.
//!
//! Nearly always the first way is the right one, so it is tried without remembering where to go
//! back to; only where it leads nowhere does the walk begin again that can go back.
//!
//! Literals lie here in canonical spelling ([`canonical`](super::path::canonical)). Nearly all
//! paths are canonical as they come, so they are walked as they are, and a wildcard refuses what
//! is not: an escape, or an unclean segment. Whoever finds nothing so looks again with care.

use std::mem;

use http::Method;

use super::path::{canonical_segment, is_plain_after_slash, segment_at};
use super::pattern::{End, Pattern, Segment};
use crate::request::{Span, PARAMS_MAX};

/// All routes of one host.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// What the slash leads to that every path begins with; it has no prefix.
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    /// The bytes that lead here from the node above: the first, and the others.
    first: u8,
    prefix: Prefix,
    children: Children,
    /// Behind a whole segment; only where a segment begins. It has no prefix.
    single: Option<Box<Node>>,
    /// The path ends here.
    end: Leaf,
    /// Something may follow or not; only where a segment begins.
    rest: Leaf,
}

/// Bytes that a path must go on with. A short one is compared as one number, which costs a
/// quarter of a call.
///
/// Invariant: where `mask` has ones, `word` has the bytes, the first in its lowest bits.
#[derive(Debug, Default)]
struct Prefix {
    bytes: Box<[u8]>,
    word: u128,
    mask: u128,
}

impl Prefix {
    fn new(bytes: &[u8]) -> Prefix {
        let (mut word, mut mask) = ([0; 16], [0; 16]);
        for ((word, mask), byte) in word.iter_mut().zip(&mut mask).zip(bytes) {
            (*word, *mask) = (*byte, 0xff);
        }
        Prefix {
            bytes: bytes.into(),
            word: u128::from_le_bytes(word),
            mask: u128::from_le_bytes(mask),
        }
    }

    #[inline(always)]
    fn begins(&self, text: &[u8]) -> bool {
        match text.get(..16).and_then(|text| <[u8; 16]>::try_from(text).ok()) {
            Some(text) if self.bytes.len() <= 16 => {
                (u128::from_le_bytes(text) ^ self.word) & self.mask == 0
            }
            _ => match *self.bytes {
                [only] => text.first() == Some(&only),
                ref bytes => text.starts_with(bytes),
            },
        }
    }
}

/// The literal children of a node, found by the first byte that leads to each without a search.
///
/// Invariant: there are none, or a power of two of slots, so many that the low bits of a first
/// byte name the slot of its child and no two children share one.
#[derive(Debug, Default)]
struct Children(Vec<Option<Box<Node>>>);

impl Children {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline(always)]
    fn slot(&self, first: u8) -> usize {
        // Without slots this is beyond the end.
        usize::from(first) & self.0.len().wrapping_sub(1)
    }

    #[inline(always)]
    fn get(&self, first: u8) -> Option<&Node> {
        let child = self.0.get(self.slot(first))?.as_ref()?;
        (child.first == first).then_some(&**child)
    }

    /// The child for `first`, made by `make` if it is not there.
    fn get_or_insert(&mut self, first: u8, make: impl FnOnce() -> Node) -> &mut Node {
        if self.get(first).is_none() {
            let is_free =
                |children: &Children| matches!(children.0.get(children.slot(first)), Some(None));
            while !is_free(self) {
                self.spread();
            }
            let slot = self.slot(first);
            self.0[slot] = Some(Box::new(Node { first, ..make() }));
        }
        let slot = self.slot(first);
        self.0[slot].as_mut().expect("a slot that was just filled")
    }

    /// Twice the slots; 256 are always enough.
    fn spread(&mut self) {
        debug_assert!(self.0.len() < 256);
        let len = (self.0.len() * 2).max(1);
        let known = mem::take(&mut self.0);
        self.0.resize_with(len, || None);
        for child in known.into_iter().flatten() {
            let slot = self.slot(child.first);
            self.0[slot] = Some(child);
        }
    }
}

/// The routes of one path pattern, by method.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// What nearly all requests ask for.
    get: Option<usize>,
    /// For every method that has no route of its own here.
    any: Option<usize>,
    others: Vec<(Method, usize)>,
}

impl Leaf {
    fn is_empty(&self) -> bool {
        self.get.or(self.any).is_none() && self.others.is_empty()
    }

    /// The pattern must not be here yet.
    fn insert(&mut self, method: Option<&Method>, route: usize) {
        let known = match method {
            None => self.any.replace(route),
            Some(&Method::GET) => self.get.replace(route),
            Some(method) => {
                let known = self.other(method);
                self.others.push((method.clone(), route));
                known
            }
        };
        debug_assert!(known.is_none(), "patterns that are equal conflict");
    }

    /// The route for `method`: its own, else `GET` for `HEAD`, else the one for any method.
    #[inline(always)]
    fn route(&self, method: &Method) -> Option<usize> {
        let own = match *method {
            Method::GET => self.get,
            Method::HEAD => self.other(method).or(self.get),
            _ => self.other(method),
        };
        own.or(self.any)
    }

    fn other(&self, method: &Method) -> Option<usize> {
        self.others.iter().find(|(known, _)| known == method).map(|(_, route)| *route)
    }

    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        let get = self.get.map(|_| &Method::GET);
        get.into_iter().chain(self.others.iter().map(|(method, _)| method))
    }
}

/// What is known of a walk.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Where the path begins in the head.
    base: usize,
    /// Escapes are canonical: wildcards need not refuse them.
    is_canonical: bool,
    /// Only matches that leave nothing over for a subtree.
    is_exact_only: bool,
    /// A wildcard has refused an escape or an unclean segment.
    pub(super) has_refused: bool,
    /// What the wildcards matched, as positions in the head.
    pub(super) spans: [Span; PARAMS_MAX],
    pub(super) len: usize,
    /// Where in the path the subtree began that is the match.
    pub(super) rest: Option<usize>,
    /// Nothing can match the path with a slash more at its end better than this match does.
    pub(super) is_final: bool,
}

impl Walk {
    /// A walk over a path as it came, which begins at `base` of the head.
    #[inline]
    pub(super) fn raw(base: usize) -> Walk {
        Walk {
            base,
            is_canonical: false,
            is_exact_only: false,
            has_refused: false,
            spans: [Span { start: 0, len: 0 }; PARAMS_MAX],
            len: 0,
            rest: None,
            is_final: true,
        }
    }

    /// A walk over a clean path in canonical spelling.
    pub(super) fn canonical() -> Walk {
        Walk { is_canonical: true, ..Walk::raw(0) }
    }

    /// The same, for matches that leave nothing over.
    pub(super) fn exact() -> Walk {
        Walk { is_exact_only: true, ..Walk::canonical() }
    }

    /// The length of the segment that begins at `at`, if a wildcard matches it; it is noted then.
    #[inline(always)]
    fn single(&mut self, path: &[u8], at: usize) -> Option<usize> {
        let (len, has_escape) = segment_at(path, at);
        if has_escape && !self.is_canonical {
            self.has_refused = true;
            return None;
        }
        if len <= 2 && matches!(&path[at..at + len], b"" | b"." | b"..") {
            return None;
        }
        self.push(at, len);
        Some(len)
    }

    #[inline(always)]
    fn push(&mut self, start: usize, len: usize) {
        // One more than there is room for can only be a subtree without a name.
        if let Some(span) = self.spans.get_mut(self.len) {
            *span = Span::new(self.base + start, len);
            self.len += 1;
        }
    }
}

impl Tree {
    /// Adds a route. The pattern must not conflict with one that is here.
    pub(super) fn insert(&mut self, pattern: &Pattern, route: usize) {
        let mut node = &mut self.root;
        let mut literal = Vec::new();
        // The root has the first slash behind it already.
        let mut slash: &[u8] = b"";
        for segment in &pattern.segments {
            literal.extend_from_slice(slash);
            slash = b"/";
            match segment {
                Segment::Literal(text) => canonical_segment(text, &mut literal),
                Segment::Single => {
                    node = node.descend(&literal).single.get_or_insert_with(Box::default);
                    literal.clear();
                }
            }
        }
        if pattern.end != End::Nothing {
            literal.extend_from_slice(slash);
        }
        node = node.descend(&literal);
        let leaf = match pattern.end {
            End::Nothing | End::Slash => &mut node.end,
            End::Rest => &mut node.rest,
        };
        leaf.insert(pattern.method.as_ref(), route);
    }

    /// The most specific route for `method`; `walk` then has what its wildcards matched.
    #[inline(always)]
    pub(super) fn find(&self, method: &Method, path: &[u8], walk: &mut Walk) -> Option<usize> {
        let route = self.find_straight(method, path, walk);
        route.or_else(|| self.find_with_returns(method, path, walk))
    }

    /// Follows the first way alone. What it finds is what the walk that can go back finds first.
    #[inline(always)]
    fn find_straight(&self, method: &Method, path: &[u8], walk: &mut Walk) -> Option<usize> {
        let mut node = &self.root;
        let mut at = 1;
        while let Some(first) = path.get(at) {
            if let Some(child) = node.children.get(*first) {
                if child.prefix.bytes.is_empty() {
                    (node, at) = (child, at + 1);
                    continue;
                }
                if child.prefix.begins(&path[at + 1..]) {
                    (node, at) = (child, at + 1 + child.prefix.bytes.len());
                    continue;
                }
            }
            let Some(child) = &node.single else { break };
            (node, at) = (child, at + walk.single(path, at)?);
        }
        if at >= path.len() {
            if let Some(route) = node.end.route(method) {
                return Some(route);
            }
        }
        let mut route = None;
        node.see_rest(at, path, walk, &mut |leaf| {
            route = leaf.route(method);
            route.is_some()
        });
        route
    }

    #[inline(never)]
    fn find_with_returns(&self, method: &Method, path: &[u8], walk: &mut Walk) -> Option<usize> {
        let mut route = None;
        walk.len = 0;
        self.root.visit(path.get(1..)?, path, walk, &mut |leaf| {
            route = leaf.route(method);
            route.is_some()
        });
        route
    }

    /// Shows every leaf that matches `path` to `see`, best first.
    pub(super) fn see_all(&self, path: &[u8], walk: &mut Walk, see: &mut impl FnMut(&Leaf)) {
        let Some(rest) = path.get(1..) else { return };
        self.root.visit(rest, path, walk, &mut |leaf| {
            see(leaf);
            false
        });
    }
}

impl Node {
    /// The node that `bytes` lead to from here, made if it is not there.
    fn descend(&mut self, bytes: &[u8]) -> &mut Node {
        let [first, rest @ ..] = bytes else { return self };
        let make = || Node { prefix: Prefix::new(rest), ..Node::default() };
        let child = self.children.get_or_insert(*first, make);
        let alike = child.prefix.bytes.iter().zip(rest).take_while(|(one, other)| one == other);
        let common = alike.count();
        child.split(common);
        child.descend(&rest[common..])
    }

    /// Makes two nodes of this one, if its prefix is longer than `len`.
    fn split(&mut self, len: usize) {
        let prefix = mem::take(&mut self.prefix);
        let (above, behind) = prefix.bytes.split_at(len);
        if let [first, below @ ..] = behind {
            let above = Node { first: self.first, ..Node::default() };
            let below = Node { prefix: Prefix::new(below), ..mem::replace(self, above) };
            self.children.get_or_insert(*first, || below);
        }
        self.prefix = Prefix::new(above);
    }

    /// Shows the leaves that match to `see`, best first, until it says that this is the one.
    /// Everything of `path` but `rest` has led here.
    fn visit(
        &self,
        rest: &[u8],
        path: &[u8],
        walk: &mut Walk,
        see: &mut impl FnMut(&Leaf) -> bool,
    ) -> bool {
        let at = path.len() - rest.len();
        let Some((first, behind)) = rest.split_first() else {
            return see(&self.end) || self.see_rest(at, path, walk, see);
        };
        if let Some(child) = self.children.get(*first) {
            if let Some(behind) = behind.strip_prefix(&*child.prefix.bytes) {
                if child.visit(behind, path, walk, see) {
                    return true;
                }
            }
        }
        if let Some(child) = &self.single {
            let before = walk.len;
            if let Some(len) = walk.single(path, at) {
                if child.visit(&rest[len..], path, walk, see) {
                    return true;
                }
                walk.len = before;
            }
        }
        self.see_rest(at, path, walk, see)
    }

    #[inline(always)]
    fn see_rest(
        &self,
        at: usize,
        path: &[u8],
        walk: &mut Walk,
        see: &mut impl FnMut(&Leaf) -> bool,
    ) -> bool {
        let is_exact = at == path.len();
        if self.rest.is_empty() || walk.is_exact_only && !is_exact {
            return false;
        }
        if !walk.is_canonical && !is_plain_after_slash(path, at) {
            walk.has_refused = true;
            return false;
        }
        if !see(&self.rest) {
            return false;
        }
        // Whatever is more specific than a pattern of literals alone lies below its node.
        let is_lowest = self.children.is_empty() && self.single.is_none() && walk.len == 0;
        walk.is_final = is_exact || is_lowest;
        walk.push(at, path.len() - at);
        walk.rest = Some(at);
        true
    }
}
