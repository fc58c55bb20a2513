//! The time before and between the attempts of jobs of which there are spans alone.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use longshore_core::{Job, Timestamp};
use longshore_instrument::table::{key, name};
use longshore_instrument::{AttributeValue, Span};

use super::{Adder, SCHEDULED, draft, pause_name};
use crate::chart::{Content, Marks};
use crate::story::text;
use crate::tree::Node;

impl<'a> Adder<'_, 'a> {
    /// The time between the attempts of jobs of which there are spans alone.
    pub(super) fn pauses(&mut self, records: &[Job]) {
        let forest = self.forest;
        let known: HashSet<&str> = records.iter().map(|job| job.id.as_str()).collect();
        let mut jobs: HashMap<&'a str, (Vec<usize>, Vec<Timestamp>)> = HashMap::new();
        for (index, node) in forest.nodes().iter().enumerate() {
            let Some(span) = node.span() else { continue };
            let is_attempt = span.name == name::PROCESS;
            if !is_attempt && span.name != name::DEQUEUE {
                continue;
            }
            let Some(id) = text(span, key::JOB_ID) else {
                continue;
            };
            if known.contains(id) {
                continue;
            }
            let (attempts, waits) = jobs.entry(id).or_default();
            if is_attempt {
                attempts.push(index);
            } else {
                waits.push(node.start);
                self.delay(id, index, span);
            }
        }
        jobs.retain(|_, (attempts, _)| attempts.len() > 1);
        for (id, (mut attempts, mut waits)) in jobs {
            attempts.sort_by_key(|at| forest.get(*at).map(|node| node.start));
            waits.sort_unstable();
            for pair in attempts.windows(2) {
                if let [before, after] = pair {
                    self.pause(id, *before, *after, &waits);
                }
            }
        }
    }

    fn pause(&mut self, id: &'a str, before: usize, after: usize, waits: &[Timestamp]) {
        let parent = self.parent(before);
        let (Some(first), Some(next)) = (self.forest.get(before), self.forest.get(after)) else {
            return;
        };
        let open = first.span().is_none_or(Span::is_open);
        if parent != self.parent(after) || open {
            return;
        }
        let due = waits.get(waits.partition_point(|due| *due < first.end)..);
        let due = due.and_then(<[Timestamp]>::first).copied();
        let until = due.map_or(next.start, |due| due.min(next.start));
        if until <= first.end {
            return;
        }
        let outcome = first.span().and_then(|span| text(span, key::OUTCOME));
        let mut row = draft(first, self.now);
        row.content = Content::BackOff;
        (row.name, row.detail, row.error) = (pause_name(outcome), Cow::Borrowed(""), "");
        (row.job, row.marks) = (id, Marks::ASYNC);
        (row.start, row.end) = (first.end, until);
        self.insert(parent, row);
    }

    /// The time before a job was first due, because its sender wanted it later: its first wait says how
    /// long that was.
    fn delay(&mut self, id: &'a str, wait: usize, span: &Span) {
        let seconds = match span.attribute(key::SCHEDULED_DELAY) {
            Some(AttributeValue::Double(seconds)) => *seconds,
            Some(AttributeValue::Int(seconds)) => *seconds as f64,
            _ => return,
        };
        let Ok(delay) = Duration::try_from_secs_f64(seconds) else {
            return;
        };
        // The wait hangs under the call that enqueued the job, or under the attempt that it led to.
        let above = self.parent(wait);
        let above = [above, above.and_then(|at| self.parent(at))];
        let enqueues = above.into_iter().flatten();
        let mut enqueues = enqueues.filter_map(|at| Some((at, self.forest.get(at)?)));
        let is_enqueue =
            |node: &Node<'_>| node.span().is_some_and(|span| span.name == name::ENQUEUE);
        let Some((enqueue, call)) = enqueues.find(|(_, node)| is_enqueue(node)) else {
            return;
        };
        let Some(node) = self.forest.get(wait) else {
            return;
        };
        let start = node.start.before(delay).max(call.start);
        if start >= node.start {
            return;
        }
        let mut row = draft(node, self.now);
        row.content = Content::Delay;
        (row.name, row.detail, row.error) = (SCHEDULED, Cow::Borrowed(""), "");
        (row.job, row.marks) = (id, Marks::ASYNC);
        (row.start, row.end) = (start, node.start);
        self.insert(Some(enqueue), row);
    }
}
