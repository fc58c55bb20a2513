//! The series of one metric, found by their labels without an allocation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::series::Series;
use super::table::{Metric, OTHER};
use crate::redact::Redactor;

/// Most sets of labels that a metric has, those under `other` apart.
const MOST_SERIES: usize = 1000;

/// All series of a metric with `N` labels, in the order of its table.
#[derive(Debug)]
pub(crate) struct Family<S, const N: usize> {
    pub(crate) metric: &'static Metric,
    entries: RwLock<HashTable<Entry<S, N>>>,
    most: usize,
    overflowed: AtomicU64,
}

#[derive(Debug)]
struct Entry<S, const N: usize> {
    /// The labels as they were measured.
    measured: [Box<str>; N],
    labelled: Arc<Labelled<S, N>>,
    /// Whether another entry, whose labels look the same, has the same series.
    is_alias: bool,
}

#[derive(Debug)]
struct Labelled<S, const N: usize> {
    /// The labels as they may be shown.
    shown: [Box<str>; N],
    series: S,
}

impl<S: Series, const N: usize> Family<S, N> {
    /// The family of a metric, with at most the usual number of series.
    pub(crate) fn new(metric: &'static Metric) -> Self {
        Self::bounded(metric, MOST_SERIES)
    }

    fn bounded(metric: &'static Metric, most: usize) -> Self {
        debug_assert_eq!(metric.labels.len(), N);
        Self {
            metric,
            entries: RwLock::default(),
            most,
            overflowed: AtomicU64::new(0),
        }
    }

    /// Does something with the series of these labels, which is made if there is none.
    pub(crate) fn with(&self, labels: [&str; N], redactor: &Redactor, act: impl Fn(&S)) {
        let entries = self.read();
        if let Some(entry) = find(&entries, &labels) {
            return act(&entry.labelled.series);
        }
        let is_full = entries.len() >= self.most;
        if !is_full {
            drop(entries);
            return act(&self.admit(labels, redactor).series);
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        let others = self.others(labels);
        if let Some(entry) = find(&entries, &others) {
            return act(&entry.labelled.series);
        }
        drop(entries);
        act(&self.admit(others, redactor).series);
    }

    /// The series of labels that are new.
    fn admit(&self, labels: [&str; N], redactor: &Redactor) -> Arc<Labelled<S, N>> {
        let mut named = self.metric.labels.iter();
        let shown = labels.map(|value| {
            let label = named.next().filter(|label| label.is_open);
            let shown = label.map(|label| redactor.pair(label.attribute, value));
            match shown {
                Some(Some(shown)) => Box::from(&*shown),
                // It may not leave, and neither may how many others there are.
                Some(None) => Box::from(""),
                None => Box::from(value),
            }
        });
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        // Someone else may have been faster.
        if let Some(entry) = find(&entries, &labels) {
            return Arc::clone(&entry.labelled);
        }
        let mut present = entries.iter().map(|entry| &entry.labelled);
        let twin = present.find(|present| present.shown == shown).cloned();
        let is_alias = twin.is_some();
        let labelled = twin.unwrap_or_else(|| {
            let series = S::new(self.metric);
            Arc::new(Labelled { shown, series })
        });
        let entry = Entry {
            measured: labels.map(Box::from),
            labelled: Arc::clone(&labelled),
            is_alias,
        };
        entries.insert_unique(hash(&labels), entry, |entry| hash(&entry.measured));
        labelled
    }

    /// The labels with everything that the application chose under one word.
    fn others<'a>(&self, labels: [&'a str; N]) -> [&'a str; N] {
        let mut named = self.metric.labels.iter();
        labels.map(|value| match named.next() {
            Some(label) if label.is_open && !value.is_empty() => OTHER,
            _ => value,
        })
    }

    /// Shows every series with its labels, in the order of the labels.
    pub(crate) fn each(&self, mut show: impl FnMut(&[&str], &S)) {
        // Whoever measures does not wait until all is written.
        let mut all: Vec<_> = {
            let entries = self.read();
            let own = entries.iter().filter(|entry| !entry.is_alias);
            own.map(|entry| Arc::clone(&entry.labelled)).collect()
        };
        all.sort_unstable_by(|left, right| left.shown.cmp(&right.shown));
        for one in all {
            let labels = one.shown.each_ref().map(|value| &**value);
            show(&labels, &one.series);
        }
    }

    /// How many measurements went under `other`.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    fn read(&self) -> RwLockReadGuard<'_, HashTable<Entry<S, N>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<'a, S, const N: usize>(
    entries: &'a HashTable<Entry<S, N>>,
    labels: &[&str; N],
) -> Option<&'a Entry<S, N>> {
    entries.find(hash(labels), |entry| {
        let mut pairs = entry.measured.iter().zip(labels);
        pairs.all(|(own, label)| is_same(own, label))
    })
}

/// Labels are often empty, and where an empty text lies there need not be memory: processors that
/// look there with masked loads, as the C library has them do, take 100 ns to find that they may not.
fn is_same(left: &str, right: &str) -> bool {
    left.len() == right.len() && (left.is_empty() || left == right)
}

fn hash(labels: &[impl AsRef<str>]) -> u64 {
    labels.iter().fold(0, |seed, label| {
        xxh3_64_with_seed(label.as_ref().as_bytes(), seed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::series::Counter;
    use crate::metrics::table::SENT;
    use crate::redact::RedactionPolicy;

    fn counts(family: &Family<Counter, 4>) -> Vec<(Vec<String>, u64)> {
        let mut all = Vec::new();
        family.each(|labels, counter| {
            let labels = labels.iter().map(ToString::to_string);
            all.push((labels.collect(), counter.count()));
        });
        all
    }

    fn row(labels: [&str; 3], count: u64) -> (Vec<String>, u64) {
        (four(labels).map(str::to_owned).to_vec(), count)
    }

    /// The labels of a queue that is ours.
    const fn four([queue, kind, error]: [&str; 3]) -> [&str; 4] {
        [queue, kind, error, ""]
    }

    #[test]
    fn equal_labels_share_a_series_and_others_do_not() {
        let family = Family::new(SENT);
        let redactor = Redactor::default();
        let add = |labels| {
            family.with(four(labels), &redactor, |counter: &Counter| {
                counter.add(1, None)
            })
        };
        add(["mail", "send", ""]);
        add(["mail", "send", ""]);
        add(["mail", "", "send"]);
        let rows = [row(["mail", "", "send"], 1), row(["mail", "send", ""], 2)];
        assert_eq!(counts(&family), rows);
    }

    #[test]
    fn beyond_the_bound_all_goes_under_other_and_is_counted() {
        let family = Family::bounded(SENT, 2);
        let redactor = Redactor::default();
        for queue in ["a", "b", "c", "d", "a"] {
            family.with(four([queue, "send", ""]), &redactor, |counter: &Counter| {
                counter.add(1, None);
            });
        }
        let rows = [
            row(["a", "send", ""], 2),
            row(["b", "send", ""], 1),
            row(["other", "other", ""], 2),
        ];
        assert_eq!(counts(&family), rows);
        assert_eq!(family.overflowed(), 2);
    }

    #[test]
    fn labels_that_redaction_makes_equal_are_one_series() {
        let family = Family::new(SENT);
        let redactor = Redactor::default();
        for class in ["ada@example.com", "bob@example.com"] {
            family.with(
                four(["mail", "send", class]),
                &redactor,
                |counter: &Counter| {
                    counter.add(1, None);
                },
            );
        }
        let rows = [row(["mail", "send", "[REDACTED:email]"], 2)];
        assert_eq!(counts(&family), rows);

        let mut policy = RedactionPolicy::default();
        policy.blocked_attributes = vec!["messaging.destination.name".to_owned()];
        let blocking = Redactor::new(&policy).0;
        let family = Family::new(SENT);
        family.with(
            four(["mail", "send", ""]),
            &blocking,
            |counter: &Counter| {
                counter.add(1, None);
            },
        );
        let shown = counts(&family);
        assert!(!shown[0].0[0].contains("mail"), "{shown:?}");
    }
}
