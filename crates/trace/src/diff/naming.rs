//! What places of a comparison are called in a table, where there is no room for whole paths.

use std::collections::HashMap;

use longshore_instrument::table::name;

/// Between what lies in each other, the outer first.
const WITHIN: &str = " › ";

/// What a place of a comparison is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlaceName {
    /// What is done there: `job.settle`, or `payments POST /charges` where it is done by another service
    /// than that of most roots.
    pub name: String,
    /// What it lies within: the kind of the nearest job that an attempt enqueued, what of an application
    /// is right above it, and as much more as tells it from all other places. Empty if nothing is needed.
    pub within: String,
}

impl PlaceName {
    /// Names the places of one table by their paths, so that no two different ones read the same. A
    /// path is what a [`DiffRow`](super::DiffRow) has.
    ///
    /// ```
    /// use longshore_trace::diff::PlaceName;
    ///
    /// let path = |steps: &[&str]| steps.iter().map(|step| step.to_string()).collect::<Vec<_>>();
    /// let own = path(&["shop queue.enqueue", "shop job.process", "shop job.settle"]);
    /// let enqueue = ["shop job.process", "shop handler.execution", "shop queue.enqueue pay"];
    /// let paid = path(&[&enqueue[..], &["shop job.process", "shop job.settle"]].concat());
    /// let names = PlaceName::of([own.as_slice(), &paid]);
    /// assert_eq!(names[0].to_string(), "job.settle");
    /// assert_eq!(names[1].to_string(), "job.settle in pay");
    /// ```
    #[must_use]
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p [String]>) -> Vec<Self> {
        let paths: Vec<&[String]> = paths.into_iter().collect();
        let home = home(&paths);
        let places: Vec<Path<'_>> = paths.iter().map(|path| Path::of(path, home)).collect();
        let mut levels = vec![0; places.len()];
        loop {
            let names: Vec<Self> = places
                .iter()
                .zip(&levels)
                .map(|(place, level)| place.named(*level))
                .collect();
            let mut seen: HashMap<&Self, usize> = HashMap::new();
            for name in &names {
                *seen.entry(name).or_default() += 1;
            }
            let mut grown = false;
            for ((level, name), place) in levels.iter_mut().zip(&names).zip(&places) {
                if seen.get(name).is_some_and(|count| *count > 1) && *level < place.levels() {
                    *level += 1;
                    grown = true;
                }
            }
            if !grown {
                return names;
            }
        }
    }
}

impl PlaceName {
    /// The same in words, with the job's place in the trace: `kind` is that of the job which the traces
    /// are about, if that is known, and `path` that of the place.
    ///
    /// ```
    /// use longshore_trace::diff::PlaceName;
    ///
    /// let enqueue = ["job.process", "handler.execution", "queue.enqueue pay"];
    /// let path: Vec<String> = enqueue.iter().chain(&["back-off"]).map(|step| step.to_string()).collect();
    /// let name = &PlaceName::of([path.as_slice()])[0];
    /// assert_eq!(name.in_trace(&path, Some("order")), "back-off in order › pay");
    /// assert_eq!(name.in_trace(&path, None), "back-off in pay");
    /// ```
    #[must_use]
    pub fn in_trace(&self, path: &[String], kind: Option<&str>) -> String {
        let above = path.split_last().map_or(path, |(_, above)| above);
        let within_job = above.iter().any(|step| {
            [name::ENQUEUE, name::PROCESS]
                .into_iter()
                .any(|name| is_named(step, name))
        });
        match kind.filter(|_| within_job) {
            Some(kind) if self.within.is_empty() => format!("{} in {kind}", self.name),
            Some(kind) => format!("{} in {kind}{WITHIN}{}", self.name, self.within),
            None => self.to_string(),
        }
    }
}

impl std::fmt::Display for PlaceName {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.within.as_str() {
            "" => to.write_str(&self.name),
            within => write!(to, "{} in {within}", self.name),
        }
    }
}

/// The service that most roots are of, which goes without saying.
fn home<'p>(paths: &[&'p [String]]) -> &'p str {
    let mut roots: Vec<(&str, usize)> = Vec::new();
    let services = paths
        .iter()
        .filter_map(|path| path.first()?.split_once(' '));
    for (service, _) in services {
        match roots.iter_mut().find(|(known, _)| *known == service) {
            Some((_, count)) => *count += 1,
            None => roots.push((service, 1)),
        }
    }
    let most = roots.iter().max_by_key(|(_, count)| *count);
    most.map_or("", |(service, _)| service)
}

/// A path from the root down.
struct Path<'p> {
    whole: &'p [String],
    /// Its steps without the service that goes without saying.
    short: Vec<&'p str>,
}

impl<'p> Path<'p> {
    fn of(whole: &'p [String], home: &str) -> Self {
        let short = |step: &'p String| {
            let own = step
                .strip_prefix(home)
                .and_then(|rest| rest.strip_prefix(' '));
            own.unwrap_or(step)
        };
        Self {
            whole,
            short: whole.iter().map(short).collect(),
        }
    }

    /// How much more can be said than what is said first: ever more of what it lies within, and at last
    /// its whole path.
    fn levels(&self) -> usize {
        self.short.len()
    }

    fn named(&self, level: usize) -> PlaceName {
        let Some((last, above)) = self.short.split_last() else {
            return PlaceName::default();
        };
        if level >= self.levels() {
            return PlaceName {
                name: self.whole.last().cloned().unwrap_or_default(),
                within: self
                    .whole
                    .get(..above.len())
                    .unwrap_or_default()
                    .join(WITHIN),
            };
        }
        let within = match level {
            0 => Self::nearest(above, 1),
            1 => Self::nearest(above, usize::MAX),
            more => {
                let from = above.len().saturating_sub(more);
                above.get(from..).unwrap_or_default().to_vec()
            }
        };
        PlaceName {
            name: (*last).to_owned(),
            within: within.join(WITHIN),
        }
    }

    /// The kinds of the nearest `jobs` jobs that were enqueued above, and what is right above if the engine
    /// has not put it there.
    fn nearest(above: &[&'p str], jobs: usize) -> Vec<&'p str> {
        let kinds = above.iter().rev().filter_map(|step| kind(step));
        let mut within: Vec<&str> = kinds.take(jobs).collect();
        within.reverse();
        let parent = above.last().filter(|step| !is_engine(step));
        within.extend(parent);
        within
    }
}

/// The kind of the job that a step enqueues.
fn kind(step: &str) -> Option<&str> {
    let (_, after) = step.split_once(name::ENQUEUE)?;
    after.strip_prefix(' ').filter(|kind| !kind.is_empty())
}

/// Whether a step is one of those that every job has.
fn is_engine(step: &str) -> bool {
    kind(step).is_some()
        || [name::ENQUEUE, name::PROCESS, name::HANDLER]
            .into_iter()
            .any(|name| is_named(step, name))
}

/// Whether a step is so called, in any service.
fn is_named(step: &str, name: &str) -> bool {
    let service = step.strip_suffix(name);
    service.is_some_and(|service| service.is_empty() || service.ends_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(paths: &[&[&str]]) -> Vec<String> {
        let paths: Vec<Vec<String>> = paths
            .iter()
            .map(|path| path.iter().map(|step| (*step).to_owned()).collect())
            .collect();
        let names = PlaceName::of(paths.iter().map(Vec::as_slice));
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_service_of_the_roots_goes_without_saying() {
        let names = named(&[
            &["web GET /", "shop queue.enqueue", "shop queue.dequeue"],
            &["web GET /", "web render"],
            &["web GET /"],
        ]);
        assert_eq!(names, ["shop queue.dequeue", "render in GET /", "GET /"]);
    }

    #[test]
    fn places_of_different_jobs_read_differently() {
        let attempt = ["a job.process", "a handler.execution"];
        let at = |steps: &[&'static str]| [&["a queue.enqueue"], &attempt[..], steps].concat();
        let names = named(&[
            &["a queue.enqueue", "a job.process", "a job.settle"],
            &at(&["a queue.enqueue pay", "a job.process", "a job.settle"]),
            &at(&["a queue.enqueue mail", "a job.process", "a job.settle"]),
            &at(&["a queue.enqueue pay"]),
            &at(&["a GET /x", "a SELECT"]),
            &at(&["a GET /y", "a SELECT"]),
        ]);
        let expected = [
            "job.settle",
            "job.settle in pay",
            "job.settle in mail",
            "queue.enqueue pay",
            "SELECT in GET /x",
            "SELECT in GET /y",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn as_much_is_said_as_tells_places_apart() {
        let names = named(&[
            &[
                "a GET /",
                "a queue.enqueue",
                "a queue.enqueue pay",
                "a queue.enqueue mail",
                "a send",
            ],
            &[
                "a GET /",
                "a queue.enqueue",
                "a queue.enqueue ship",
                "a queue.enqueue mail",
                "a send",
            ],
            &["a one", "a same", "a deep", "a last"],
            &["a two", "a same", "a deep", "a last"],
            &["a x"],
            &["x"],
        ]);
        let expected = [
            "send in pay › mail",
            "send in ship › mail",
            "last in one › same › deep",
            "last in two › same › deep",
            "a x",
            "x",
        ];
        assert_eq!(names, expected);
        let unique: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }

    #[test]
    fn paths_of_nothing_and_the_same_twice_are_named_all_the_same() {
        assert_eq!(named(&[&[], &["a b"], &["a b"]]), ["", "a b", "a b"]);
    }
}
