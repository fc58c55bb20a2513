//! Spans as a tree.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::Span;

/// Which span of which trace.
pub(crate) type Key = (TraceId, SpanId);

/// The trees that a set of spans makes, in the order in which they are read: every parent before
/// its children, siblings by start.
///
/// Whatever comes in is shown: identical spans (same trace and span id) count once, a parent that
/// is missing becomes a ghost that holds its children together, and where parents go round in a
/// circle the circle is cut at its earliest span.
#[derive(Clone, Debug, Default)]
pub struct Forest<'a> {
    nodes: Vec<Node<'a>>,
}

/// A row of a [`Forest`].
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// What stands here.
    pub content: Content<'a>,
    /// How many ancestors it has.
    pub depth: usize,
    /// When it began; a ghost begins with its first child.
    pub start: Timestamp,
    /// When it ended, never before `start`; a ghost ends with its last child.
    pub end: Timestamp,
    /// The index after its last descendant.
    pub subtree_end: usize,
    /// Whether its own parent was among its descendants, so that it was cut loose.
    pub cut_loose: bool,
    /// Whether it hangs here by a link and not by its parent.
    pub linked: bool,
}

/// What a node is.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A span.
    Span(&'a Span),
    /// A span that others name as their parent but that is not there.
    Ghost {
        /// Its trace.
        trace_id: TraceId,
        /// Its id.
        span_id: SpanId,
    },
}

impl<'a> Node<'a> {
    /// The span, unless this is a ghost.
    #[must_use]
    pub const fn span(&self) -> Option<&'a Span> {
        match self.content {
            Content::Span(span) => Some(span),
            Content::Ghost { .. } => None,
        }
    }

    fn shift(&mut self, by: i64) {
        let moved = |at: Timestamp| Timestamp::from_unix_nanos(at.unix_nanos().saturating_add(by));
        (self.start, self.end) = (moved(self.start), moved(self.end));
    }
}

/// Where a span hangs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Above {
    pub(crate) key: Key,
    pub(crate) linked: bool,
}

/// The parent that a span names.
pub(crate) fn parent_of(span: &Span) -> Option<Above> {
    let key = (span.trace_id, span.parent_span_id?);
    Some(Above { key, linked: false })
}

impl<'a> Forest<'a> {
    /// The trees of `spans`.
    #[must_use]
    pub fn new(spans: &'a [Span]) -> Self {
        Self::with_parents(spans, parent_of, |_ghost| None)
    }

    /// The trees of `spans` where `above` says what each one hangs under, and `above_ghost` what a
    /// span hangs under that is not there.
    pub(crate) fn with_parents(
        spans: impl IntoIterator<Item = &'a Span>,
        above: impl Fn(&Span) -> Option<Above>,
        above_ghost: impl Fn(Key) -> Option<Above>,
    ) -> Self {
        Self::with_moves(spans, above, above_ghost, |_key| 0)
    }

    /// The same where `by` says by how many nanoseconds a span is moved from where it was recorded.
    pub(crate) fn with_moves(
        spans: impl IntoIterator<Item = &'a Span>,
        above: impl Fn(&Span) -> Option<Above>,
        above_ghost: impl Fn(Key) -> Option<Above>,
        by: impl Fn(Key) -> i64,
    ) -> Self {
        let mut plan = Plan::collect(spans, above, above_ghost);
        for node in &mut plan.nodes {
            if let Content::Span(span) = node.content {
                node.shift(by((span.trace_id, span.span_id)));
            }
        }
        plan.cut_circles();
        plan.stretch_ghosts();
        plan.read_out()
    }

    /// All rows.
    #[must_use]
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// The row at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Node<'a>> {
        self.nodes.get(index)
    }

    /// The indices of a row and all that hangs under it.
    #[must_use]
    pub fn subtree(&self, index: usize) -> Range<usize> {
        index..self.get(index).map_or(index, |node| node.subtree_end)
    }

    /// The index of the next row with the same parent.
    #[must_use]
    pub fn next_sibling(&self, index: usize) -> Option<usize> {
        let node = self.get(index)?;
        let next = self.get(node.subtree_end)?;
        (next.depth == node.depth).then_some(node.subtree_end)
    }

    /// Every span, in reading order.
    pub fn spans(&self) -> impl Iterator<Item = &'a Span> {
        self.nodes.iter().filter_map(Node::span)
    }
}

/// A tree in the making: nodes with the index of their parent, in no order.
struct Plan<'a> {
    nodes: Vec<Node<'a>>,
    parents: Vec<Option<usize>>,
    ghosts_from: usize,
}

impl<'a> Plan<'a> {
    fn collect(
        spans: impl IntoIterator<Item = &'a Span>,
        above: impl Fn(&Span) -> Option<Above>,
        above_ghost: impl Fn(Key) -> Option<Above>,
    ) -> Self {
        let spans = spans.into_iter();
        let (fewest, _) = spans.size_hint();
        let mut places: HashMap<Key, usize> = HashMap::with_capacity(fewest);
        let mut nodes = Vec::with_capacity(fewest);
        let mut aboves = Vec::with_capacity(fewest);
        for span in spans {
            if let Entry::Vacant(place) = places.entry((span.trace_id, span.span_id)) {
                place.insert(nodes.len());
                let above = above(span);
                nodes.push(node(span, above.is_some_and(|above| above.linked)));
                aboves.push(above);
            }
        }
        let ghosts_from = nodes.len();
        let mut parents = Vec::with_capacity(nodes.len());
        for above in aboves {
            parents.push(above.map(|above| {
                *places.entry(above.key).or_insert_with(|| {
                    nodes.push(ghost(above.key));
                    nodes.len() - 1
                })
            }));
        }
        let mut next = ghosts_from;
        while let Some(ghost) = nodes.get_mut(next) {
            let above = match ghost.content {
                Content::Ghost { trace_id, span_id } => above_ghost((trace_id, span_id)),
                Content::Span(_) => None,
            };
            ghost.linked = above.is_some_and(|above| above.linked);
            parents.push(above.map(|above| {
                *places.entry(above.key).or_insert_with(|| {
                    nodes.push(self::ghost(above.key));
                    nodes.len() - 1
                })
            }));
            next += 1;
        }
        Self {
            nodes,
            parents,
            ghosts_from,
        }
    }

    fn parent(&self, index: usize) -> Option<usize> {
        self.parents.get(index).copied().flatten()
    }

    /// Walks up from every node; a walk that meets itself has found a circle.
    fn cut_circles(&mut self) {
        let mut seen_by = vec![usize::MAX; self.nodes.len()];
        for walk in 0..self.nodes.len() {
            let mut at = Some(walk);
            while let Some(index) = at {
                let Some(seen) = seen_by.get_mut(index) else {
                    break;
                };
                if *seen == walk {
                    self.cut(index);
                }
                if *seen != usize::MAX {
                    break;
                }
                *seen = walk;
                at = self.parent(index);
            }
        }
    }

    /// Cuts the circle that `index` is on above its earliest node.
    fn cut(&mut self, index: usize) {
        let around = std::iter::successors(self.parent(index), |at| {
            (*at != index).then(|| self.parent(*at)).flatten()
        });
        let earliest = around.min_by_key(|at| self.order(*at)).unwrap_or(index);
        if let Some(parent) = self.parents.get_mut(earliest) {
            *parent = None;
        }
        if let Some(node) = self.nodes.get_mut(earliest) {
            node.cut_loose = true;
        }
    }

    /// A ghost lasts from its first child to its last; one may hang under another.
    fn stretch_ghosts(&mut self) {
        for index in 0..self.nodes.len() {
            let Some(child) = self.nodes.get(index) else {
                continue;
            };
            let (start, end) = (child.start, child.end);
            let mut at = self.parent(index);
            while let Some(parent) = at.filter(|parent| *parent >= self.ghosts_from) {
                if let Some(ghost) = self.nodes.get_mut(parent) {
                    ghost.start = ghost.start.min(start);
                    ghost.end = ghost.end.max(end);
                }
                at = self.parent(parent);
            }
        }
    }

    /// Siblings by start, the longer first; ids make the order the same whatever came in first.
    fn order(&self, index: usize) -> Option<(Timestamp, Reverse<Timestamp>, Key)> {
        let node = self.nodes.get(index)?;
        let key = match node.content {
            Content::Span(span) => (span.trace_id, span.span_id),
            Content::Ghost { trace_id, span_id } => (trace_id, span_id),
        };
        Some((node.start, Reverse(node.end), key))
    }

    fn read_out(self) -> Forest<'a> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_cached_key(|index| Reverse(self.order(*index)));
        // The children of each node lie side by side, the last sibling first.
        let mut begins = vec![0; self.nodes.len() + 1];
        for parent in self.parents.iter().flatten() {
            if let Some(count) = begins.get_mut(parent + 1) {
                *count += 1;
            }
        }
        let mut before = 0;
        for begin in &mut begins {
            before += *begin;
            *begin = before;
        }
        let mut children = vec![0; before];
        let mut free = begins.clone();
        let mut stack = Vec::new();
        for index in order {
            let Some(parent) = self.parent(index) else {
                stack.push((index, 0));
                continue;
            };
            let Some(next) = free.get_mut(parent) else {
                continue;
            };
            if let Some(place) = children.get_mut(*next) {
                *place = index;
            }
            *next += 1;
        }
        let mut forest = Forest {
            nodes: Vec::with_capacity(self.nodes.len()),
        };
        while let Some((index, depth)) = stack.pop() {
            if let Some(node) = self.nodes.get(index) {
                let node = node.clone();
                forest.nodes.push(Node { depth, ..node });
            }
            let below = begins.get(index).zip(begins.get(index + 1));
            let below = below.and_then(|(from, to)| children.get(*from..*to));
            let below = below.into_iter().flatten();
            stack.extend(below.map(|child| (*child, depth + 1)));
        }
        forest.close_subtrees();
        forest
    }
}

impl Forest<'_> {
    /// A subtree ends where the next row that is not deeper begins.
    fn close_subtrees(&mut self) {
        let total = self.nodes.len();
        let mut open: Vec<usize> = Vec::new();
        for index in 0..total {
            let depth = self.get(index).map_or(0, |node| node.depth);
            while open.len() > depth {
                self.close(open.pop(), index);
            }
            open.push(index);
        }
        while let Some(last) = open.pop() {
            self.close(Some(last), total);
        }
    }

    fn close(&mut self, index: Option<usize>, end: usize) {
        if let Some(node) = index.and_then(|index| self.nodes.get_mut(index)) {
            node.subtree_end = end;
        }
    }
}

fn node(span: &Span, linked: bool) -> Node<'_> {
    Node {
        content: Content::Span(span),
        depth: 0,
        start: span.start,
        end: span.end.max(span.start),
        subtree_end: 0,
        cut_loose: false,
        linked,
    }
}

fn ghost<'a>((trace_id, span_id): Key) -> Node<'a> {
    Node {
        content: Content::Ghost { trace_id, span_id },
        depth: 0,
        start: Timestamp::MAX,
        end: Timestamp::from_unix_nanos(i64::MIN),
        subtree_end: 0,
        cut_loose: false,
        linked: false,
    }
}
