//! Queues, and how long their jobs wait and run.

use longshore_api::queue::{Bar, Histogram, KindTimes, Latency, Queue};

use super::{Listing, Slot};

/// The queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub(crate) list: Listing<Queue>,
    pub(crate) latency_slot: Slot,
    /// The jobs that were asked about.
    pub(crate) asked: Option<Class>,
    /// How long jobs took, and which.
    pub(crate) latency: Option<(Class, Latency)>,
    /// How long jobs of a queue took by kind; first, without a name, those of all kinds.
    kinds: Option<(String, Vec<KindTimes>)>,
    /// The kind of the selected queue that is looked at; all of them if none is.
    pub(crate) kind: Option<String>,
    /// Where to go as soon as the queues are known.
    pub(crate) wanted: Option<Class>,
    /// Jobs whose queue or kind is being found out.
    pub(crate) sought: Option<Sought>,
    pub(crate) sought_slot: Slot,
    pub(crate) problem: Option<String>,
    /// The bar with the cursor, if the cursor is among the bars.
    pub(crate) bars: Option<Bars>,
}

/// The jobs of a queue, or those of one kind in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) queue: String,
    pub(crate) kind: Option<String>,
}

/// What somebody named to see how long jobs took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sought {
    pub(crate) text: String,
    pub(crate) otherwise: Otherwise,
}

/// What is meant if no job is of the kind that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    Nothing,
    /// A queue, or a kind, in whose name it stands.
    Part,
    Class(Class),
}

/// The cursor among bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bars {
    pub(crate) run: bool,
    pub(crate) at: usize,
}

impl Bars {
    /// The longest time in the queue, or in the handler: it is what a person looks for.
    pub(crate) const fn longest(run: bool) -> Self {
        Self {
            run,
            at: usize::MAX,
        }
    }
}

impl Queues {
    /// The jobs that are looked at.
    pub(crate) fn class(&self) -> Option<Class> {
        Some(Class {
            queue: self.list.selected()?.queue.clone(),
            kind: self.kind.clone(),
        })
    }

    /// How long the jobs that are looked at took.
    pub(crate) fn latency(&self) -> Option<&Latency> {
        let queue = self.list.selected()?;
        let (of, latency) = self.latency.as_ref()?;
        (of.queue == queue.queue && of.kind == self.kind).then_some(latency)
    }

    /// The kinds of the selected queue, after all of them together; none if there are not several.
    pub(crate) fn kinds(&self) -> &[KindTimes] {
        match self.known_kinds() {
            Some(kinds) if kinds.len() > 2 => kinds,
            _ => &[],
        }
    }

    /// Those of the selected queue, if they were told.
    pub(crate) fn known_kinds(&self) -> Option<&[KindTimes]> {
        let queue = self.list.selected()?;
        let (of, kinds) = self.kinds.as_ref()?;
        (*of == queue.queue).then_some(kinds)
    }

    /// Which of the kinds is looked at.
    pub(crate) fn kind_at(&self) -> Option<usize> {
        let kind = self.kind.as_deref().unwrap_or_default();
        self.kinds().iter().position(|one| one.kind == kind)
    }

    /// Takes in how long jobs took.
    pub(crate) fn take(&mut self, class: Class, latency: Latency) {
        match &class.kind {
            None => {
                let failed = latency.run.bars.iter().map(|bar| bar.failed);
                let all = KindTimes {
                    kind: String::new(),
                    jobs: latency.jobs,
                    failed: failed.sum(),
                    wait_p90: latency.wait.p90,
                    run_p90: latency.run.p90,
                };
                let kinds = std::iter::once(&all).chain(&latency.kinds);
                self.kinds = Some((class.queue.clone(), kinds.cloned().collect()));
            }
            Some(kind) => {
                let known = self.kinds.iter_mut().flat_map(|(_, kinds)| kinds);
                let old = known.into_iter().find(|one| one.kind == *kind);
                if let (Some(old), [new]) = (old, latency.kinds.as_slice()) {
                    old.clone_from(new);
                }
            }
        }
        self.latency = Some((class, latency));
        self.problem = None;
    }

    pub(crate) fn histogram(&self, run: bool) -> Option<&Histogram> {
        let latency = self.latency()?;
        Some(if run { &latency.run } else { &latency.wait })
    }

    /// The bar with the cursor.
    pub(crate) fn bar(&self) -> Option<&Bar> {
        let bars = self.bars?;
        self.histogram(bars.run)?.bars.get(bars.at)
    }
}
