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

use super::leaf::Leaf;
use super::path::{canonical_segment, segment_end, Path};
use super::pattern::{End, Pattern, Segment};
use crate::message::request::{Span, PARAMS_MAX};

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
    /// Told apart by the low bits of their first bytes; none if there is no child at all.
    children: Option<Box<Children>>,
    /// Another child of the node above, of those with the same low bits.
    next: Option<Box<Node>>,
    /// Behind a whole segment; only where a segment begins. It has no prefix.
    single: Option<Box<Node>>,
    /// The path ends here.
    end: Leaf,
    /// Something may follow or not; only where a segment begins.
    rest: Leaf,
}

/// So many that lower case letters never share one.
const SLOTS: usize = 32;
type Children = [Option<Box<Node>>; SLOTS];

fn slot(first: u8) -> usize {
    usize::from(first) % SLOTS
}

/// At most sixteen bytes, compared as two numbers, which costs a quarter of a call. What is longer
/// has several nodes.
///
/// Invariant: `words` has the bytes, the first in its lowest bits, where `mask` has ones. None of
/// them is a space, a `?` or zero: one of these is behind the end of every path.
#[derive(Debug, Default)]
struct Prefix {
    len: usize,
    words: [u64; 2],
    mask: [u64; 2],
}

impl Prefix {
    /// The first bytes of `bytes`, as many as there is room for.
    fn new(bytes: &[u8]) -> Prefix {
        let len = bytes.len().min(16);
        let mask = Path::whole(&[0xff; 16][..len]).words(0);
        Prefix { len, words: Path::whole(&bytes[..len]).words(0), mask }
    }

    fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).take(self.len).collect()
    }

    /// Whether these bytes are `text` and a slash.
    fn is_with_slash(&self, text: &[u8]) -> bool {
        let mut bytes = [b'/'; 16];
        self.len == text.len() + 1 && {
            bytes[..text.len()].copy_from_slice(text);
            self.begins(Path::whole(&bytes).words(0))
        }
    }

    /// Whether `text` begins with these bytes.
    #[inline(always)]
    fn begins(&self, text: [u64; 2]) -> bool {
        let differs = [text[0] ^ self.words[0], text[1] ^ self.words[1]];
        differs[0] & self.mask[0] | differs[1] & self.mask[1] == 0
    }
}

/// What is known of a walk.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Escapes are canonical: wildcards need not refuse them.
    is_canonical: bool,
    /// A wildcard has refused an escape or an unclean segment.
    pub(super) has_refused: bool,
    /// The tree of the host has been walked before. What that may have for the path with a slash
    /// more is not known to the tree of anywhere.
    pub(super) is_second: bool,
    /// Nothing can match the path with a slash more at its end better than this match does.
    pub(super) is_final: bool,
    /// What the wildcards matched, as positions in the head.
    pub(super) spans: [Span; PARAMS_MAX],
    pub(super) len: usize,
    /// Where in the path the subtree began that is the match.
    pub(super) rest: Option<usize>,
}

impl Walk {
    /// A walk over a path as it came.
    #[inline(always)]
    pub(super) fn raw() -> Walk {
        Walk {
            is_canonical: false,
            has_refused: false,
            is_second: false,
            is_final: true,
            spans: [Span { start: 0, len: 0 }; PARAMS_MAX],
            len: 0,
            rest: None,
        }
    }

    /// A walk over a clean path in canonical spelling.
    pub(super) fn canonical() -> Walk {
        Walk { is_canonical: true, ..Walk::raw() }
    }

    /// Where the segment ends that begins at `at`, if a wildcard matches it; it is noted then.
    #[inline(always)]
    fn single(&mut self, path: Path<'_>, at: usize) -> Option<usize> {
        let end = match path.short_segment_end(at) {
            Some(end) => end,
            None => self.other_segment_end(path.bytes, at)?,
        };
        if path.is_empty_or_dots(at, end) {
            return None;
        }
        self.push(path.span(at, end));
        Some(end)
    }

    #[cold]
    #[inline(never)]
    fn other_segment_end(&mut self, path: &[u8], at: usize) -> Option<usize> {
        let (end, has_escape) = segment_end(path, at);
        let is_refused = has_escape && !self.is_canonical;
        self.has_refused |= is_refused;
        (!is_refused).then_some(end)
    }

    #[inline(always)]
    fn push(&mut self, found: Span) {
        // One more than there is room for can only be a subtree without a name.
        if let Some(span) = self.spans.get_mut(self.len) {
            *span = found;
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
    pub(super) fn find(&self, method: &Method, path: Path<'_>, walk: &mut Walk) -> Option<usize> {
        let route = self.find_straight(method, path, walk);
        route.or_else(|| self.find_with_returns(method, path, walk))
    }

    /// Follows the first way alone. What it finds is what the walk that can go back finds first.
    #[inline(always)]
    fn find_straight(&self, method: &Method, path: Path<'_>, walk: &mut Walk) -> Option<usize> {
        let mut node = &self.root;
        let mut at = 1;
        while let Some(first) = path.bytes.get(at) {
            if let Some((child, end)) = node.follow(*first, path, at) {
                (node, at) = (child, end);
                continue;
            }
            let Some(child) = &node.single else { break };
            (node, at) = (child, walk.single(path, at)?);
        }
        if at == path.bytes.len() {
            if let Some(route) = node.end.route(method) {
                return Some(route);
            }
        }
        let mut route = None;
        node.see_rest(path, at, walk, &mut |leaf| {
            route = leaf.route(method);
            route.is_some()
        });
        route
    }

    #[cold]
    #[inline(never)]
    fn find_with_returns(&self, method: &Method, path: Path<'_>, walk: &mut Walk) -> Option<usize> {
        let mut route = None;
        walk.len = 0;
        self.root.visit(path, 1, walk, &mut |leaf| {
            route = leaf.route(method);
            route.is_some()
        });
        route
    }

    /// Shows every leaf to `see` that matches `path`, which is clean and canonical, or matches it
    /// with a slash more at its end and leaves nothing over: this is said with it.
    pub(super) fn see_all<'t>(&'t self, path: Path<'_>, see: &mut impl FnMut(&'t Leaf, bool)) {
        self.root.see_all(path, 1, see);
    }
}

impl Node {
    /// The node that `bytes` lead to from here, made if it is not there.
    fn descend(&mut self, bytes: &[u8]) -> &mut Node {
        let [first, rest @ ..] = bytes else { return self };
        let child = self.link(*first).get_or_insert_with(|| {
            Box::new(Node { first: *first, prefix: Prefix::new(rest), ..Node::default() })
        });
        let alike = child.prefix.bytes().iter().zip(rest).take_while(|(a, b)| a == b).count();
        child.split(alike);
        child.descend(&rest[alike..])
    }

    /// Where the child that begins with `first` is, or belongs.
    fn link(&mut self, first: u8) -> &mut Option<Box<Node>> {
        let mut link = &mut self.children.get_or_insert_with(Box::default)[slot(first)];
        while link.as_ref().is_some_and(|node| node.first != first) {
            link = &mut link.as_mut().expect("a node that was just looked at").next;
        }
        link
    }

    /// Makes two nodes of this one, if its prefix is longer than `len`.
    fn split(&mut self, len: usize) {
        let bytes = self.prefix.bytes();
        let (above, [first, below @ ..]) = bytes.split_at(len) else { return };
        let above = Node {
            first: self.first,
            prefix: Prefix::new(above),
            next: self.next.take(),
            ..Node::default()
        };
        let below = Node { first: *first, prefix: Prefix::new(below), ..mem::replace(self, above) };
        *self.link(*first) = Some(Box::new(below));
    }

    /// The child that begins with `first`.
    #[inline(always)]
    fn child(&self, first: u8) -> Option<&Node> {
        let child = self.children.as_ref()?[slot(first)].as_deref()?;
        if child.first == first {
            return Some(child);
        }
        child.beside(first)
    }

    #[cold]
    #[inline(never)]
    fn beside(&self, first: u8) -> Option<&Node> {
        let mut child = self.next.as_deref()?;
        while child.first != first {
            child = child.next.as_deref()?;
        }
        Some(child)
    }

    /// The child that the path leads to at `at`, where it has not ended, and where it then goes on.
    #[inline(always)]
    fn follow(&self, first: u8, path: Path<'_>, at: usize) -> Option<(&Node, usize)> {
        let child = self.child(first)?;
        let (len, behind) = (child.prefix.len, at + 1);
        // Behind a place where names part there is often one byte alone.
        let is_it = len == 0 || child.prefix.begins(path.words(behind));
        is_it.then_some((child, behind + len))
    }

    /// Shows the leaves that match to `see`, best first, until it says that this is the one.
    /// Everything of `path` before `at` has led here.
    fn visit(
        &self,
        path: Path<'_>,
        at: usize,
        walk: &mut Walk,
        see: &mut impl FnMut(&Leaf) -> bool,
    ) -> bool {
        let Some(first) = path.bytes.get(at) else {
            return see(&self.end) || self.see_rest(path, at, walk, see);
        };
        if let Some((child, end)) = self.follow(*first, path, at) {
            if child.visit(path, end, walk, see) {
                return true;
            }
        }
        if let Some(child) = &self.single {
            let before = walk.len;
            if let Some(end) = walk.single(path, at) {
                if child.visit(path, end, walk, see) {
                    return true;
                }
                walk.len = before;
            }
        }
        self.see_rest(path, at, walk, see)
    }

    #[inline(always)]
    fn see_rest(
        &self,
        path: Path<'_>,
        at: usize,
        walk: &mut Walk,
        see: &mut impl FnMut(&Leaf) -> bool,
    ) -> bool {
        if self.rest.is_empty() {
            return false;
        }
        if !walk.is_canonical && !path.is_plain_after_slash(at) {
            walk.has_refused = true;
            return false;
        }
        if !see(&self.rest) {
            return false;
        }
        let end = path.bytes.len();
        // Whatever is more specific than a pattern of literals alone lies below its node.
        let has_nothing_below = self.children.is_none() && self.single.is_none();
        walk.is_final = at == end || has_nothing_below && walk.len == 0 && !walk.is_second;
        walk.push(path.span(at, end));
        walk.rest = Some(at);
        true
    }

    fn see_all<'t>(&'t self, path: Path<'_>, at: usize, see: &mut impl FnMut(&'t Leaf, bool)) {
        see(&self.rest, false);
        let Some(first) = path.bytes.get(at) else {
            see(&self.end, false);
            if let Some(child) = self.child_with_slash(b"") {
                child.see_with_slash(see);
            }
            return;
        };
        if let Some((child, end)) = self.follow(*first, path, at) {
            child.see_all(path, end, see);
        } else if let Some(child) = self.child_with_slash(&path.bytes[at..]) {
            child.see_with_slash(see);
        }
        if let Some(child) = &self.single {
            let end = path.short_segment_end(at);
            let end = end.unwrap_or_else(|| segment_end(path.bytes, at).0);
            if !path.is_empty_or_dots(at, end) {
                child.see_all(path, end, see);
            }
        }
    }

    /// The child that `bytes` lead to with a slash more, which are the end of the path.
    fn child_with_slash(&self, bytes: &[u8]) -> Option<&Node> {
        let [first, rest @ ..] = bytes else {
            return self.child(b'/').filter(|child| child.prefix.len == 0);
        };
        let child = self.child(*first)?;
        child.prefix.is_with_slash(rest).then_some(child)
    }

    /// Both that may be behind a final slash.
    fn see_with_slash<'t>(&'t self, see: &mut impl FnMut(&'t Leaf, bool)) {
        see(&self.end, true);
        see(&self.rest, true);
    }
}
