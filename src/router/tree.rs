//! The decision tree: a radix tree over the bytes of paths, with wildcards at segment starts.
//!
//! A node is what the bytes so far lead to. The walk tries the literal child first, then the
//! wildcard, then the subtree, and goes back if a branch has nothing for the method. Since no two
//! registered patterns conflict, what is found first is the most specific match. A node is
//! reached over one sequence of literals and wildcards only, so a walk visits each at most once:
//! no path can make it long.
//!
//! Literals lie here in canonical spelling ([`canonical`](super::path::canonical)). Nearly all
//! paths are canonical as they come, so they are walked as they are, and a wildcard refuses what
//! is not: an escape, or an unclean segment. Whoever finds nothing so looks again with care.

use http::Method;

use super::path::{canonical_segment, is_plain_after_slash, segment_at};
use super::pattern::{End, Pattern, Segment};
use crate::request::{Span, PARAMS_MAX};

/// All routes of one host.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root first: what the slash leads to that every path begins with.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// The bytes that lead here from the node above, without the first.
    prefix: Box<[u8]>,
    /// The first byte that leads to each child, all different, and the child.
    children: Vec<(u8, usize)>,
    /// Behind a whole segment; only where a segment begins.
    single: Option<usize>,
    /// The path ends here.
    end: Leaf,
    /// Something may follow or not; only where a segment begins.
    rest: Leaf,
}

/// The routes of one path pattern, by method.
#[derive(Debug, Default)]
pub(super) struct Leaf(Vec<(Option<Method>, usize)>);

impl Leaf {
    /// The route for `method`: its own, else `GET` for `HEAD`, else the one for any method.
    #[inline]
    fn route(&self, method: &Method) -> Option<usize> {
        let mut second = None;
        for (known, route) in &self.0 {
            match known {
                Some(known) if known == method => return Some(*route),
                Some(known) if *method == Method::HEAD && *known == Method::GET => {
                    second = Some(*route);
                }
                None => second = second.or(Some(*route)),
                Some(_) => {}
            }
        }
        second
    }

    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.0.iter().filter_map(|(method, _)| method.as_ref())
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

    #[inline]
    fn push(&mut self, start: usize, len: usize) {
        // One more than there is room for can only be a subtree without a name.
        if let Some(span) = self.spans.get_mut(self.len) {
            *span = Span::new(self.base + start, len);
            self.len += 1;
        }
    }
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { nodes: vec![Node::default()] }
    }

    /// Adds a route. The pattern must not conflict with one that is here.
    pub(super) fn insert(&mut self, pattern: &Pattern, route: usize) {
        let mut node = 0;
        let mut literal = Vec::new();
        for segment in &pattern.segments {
            literal.push(b'/');
            match segment {
                Segment::Literal(text) => canonical_segment(text, &mut literal),
                Segment::Single => {
                    node = self.descend_from(node, &literal);
                    literal.clear();
                    let next = self.nodes.len();
                    node = *self.nodes[node].single.get_or_insert(next);
                    if node == next {
                        self.nodes.push(Node::default());
                    }
                }
            }
        }
        if pattern.end != End::Nothing {
            literal.push(b'/');
        }
        node = self.descend_from(node, &literal);
        let leaf = match pattern.end {
            End::Nothing | End::Slash => &mut self.nodes[node].end,
            End::Rest => &mut self.nodes[node].rest,
        };
        debug_assert!(leaf.0.iter().all(|(method, _)| *method != pattern.method));
        leaf.0.push((pattern.method.clone(), route));
    }

    /// As `descend`; the root has the first slash behind it already.
    fn descend_from(&mut self, node: usize, bytes: &[u8]) -> usize {
        self.descend(node, if node == 0 { &bytes[1..] } else { bytes })
    }

    /// The node that `bytes` lead to from `node`, made if it is not there.
    fn descend(&mut self, mut node: usize, mut bytes: &[u8]) -> usize {
        while let [first, rest @ ..] = bytes {
            let next = self.nodes.len();
            let children = &mut self.nodes[node].children;
            let Some(index) = children.iter().position(|(known, _)| known == first) else {
                children.push((*first, next));
                self.nodes.push(Node { prefix: rest.into(), ..Node::default() });
                return next;
            };
            let child = children[index].1;
            let prefix = &self.nodes[child].prefix;
            let common = prefix.iter().zip(rest).take_while(|(one, other)| one == other).count();
            bytes = &rest[common..];
            if let (above, [first, below @ ..]) = prefix.split_at(common) {
                let above = Node { prefix: above.into(), ..Node::default() };
                let children = vec![(*first, child)];
                self.nodes[child].prefix = below.to_vec().into();
                self.nodes[node].children[index].1 = next;
                self.nodes.push(Node { children, ..above });
                node = next;
            } else {
                node = child;
            }
        }
        node
    }

    /// The most specific route for `method`; `walk` then has what its wildcards matched.
    #[inline]
    pub(super) fn find(&self, method: &Method, path: &[u8], walk: &mut Walk) -> Option<usize> {
        let mut route = None;
        self.visit(0, path.get(1..)?, path, walk, &mut |leaf| {
            route = leaf.route(method);
            route.is_some()
        });
        route
    }

    /// Shows every leaf that matches `path` to `see`, best first, until it says that this is the
    /// one.
    pub(super) fn see_all(&self, path: &[u8], walk: &mut Walk, see: &mut impl FnMut(&Leaf)) {
        let Some(rest) = path.get(1..) else { return };
        self.visit(0, rest, path, walk, &mut |leaf| {
            see(leaf);
            false
        });
    }

    /// The same, where everything but `rest` has led to `node`, or to the first byte before its
    /// prefix.
    fn visit(
        &self,
        node: usize,
        mut rest: &[u8],
        path: &[u8],
        walk: &mut Walk,
        see: &mut impl FnMut(&Leaf) -> bool,
    ) -> bool {
        let mut node = &self.nodes[node];
        loop {
            if !node.prefix.is_empty() {
                let Some(behind) = rest.strip_prefix(&*node.prefix) else { return false };
                rest = behind;
            }
            let Some((first, behind)) = rest.split_first() else {
                return see(&node.end) || node.see_rest(path.len(), path, walk, see);
            };
            let has_choice = node.single.is_some() || !node.rest.0.is_empty();
            if let Some(&(_, child)) = node.children.iter().find(|(known, _)| known == first) {
                if !has_choice {
                    node = &self.nodes[child];
                    rest = behind;
                    continue;
                }
                if self.visit(child, behind, path, walk, see) {
                    return true;
                }
            }
            if !has_choice {
                return false;
            }
            let at = path.len() - rest.len();
            if let Some(child) = node.single {
                let (segment, has_escape) = segment_at(path, at);
                let is_refused = has_escape && !walk.is_canonical;
                walk.has_refused |= is_refused;
                if !is_refused && !matches!(segment, b"" | b"." | b"..") {
                    let len = walk.len;
                    walk.push(at, segment.len());
                    if self.visit(child, &rest[segment.len()..], path, walk, see) {
                        return true;
                    }
                    walk.len = len;
                }
            }
            return node.see_rest(at, path, walk, see);
        }
    }
}

impl Node {
    fn see_rest(
        &self,
        at: usize,
        path: &[u8],
        walk: &mut Walk,
        see: &mut impl FnMut(&Leaf) -> bool,
    ) -> bool {
        let is_exact = at == path.len();
        if self.rest.0.is_empty() || walk.is_exact_only && !is_exact {
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
