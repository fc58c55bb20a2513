//! From where the cursor is, or from a name, to how long jobs of a queue and a kind took.

use longshore_api::ApiError;
use longshore_api::job::{Job, JobsPage, JobsQuery};
use longshore_trace::TraceSummary;

use crate::ask::Ask;
use crate::binding::{Place, Tab};
use crate::state::State;
use crate::state::queues::{Bars, Class, Otherwise, Sought};

/// Which jobs are meant: known, or to be found out.
enum Like {
    Class(Class),
    /// Those like the job of this id.
    Job(String),
    /// Those of this kind, in whatever queue.
    Kind(String, Otherwise),
}

impl State {
    /// Shows how long jobs like the one that the cursor is on waited and ran.
    pub(super) fn show_times(&mut self) {
        let like = match self.place() {
            Place::Jobs | Place::Job => self.jobs.selected().map(|job| Like::Class(of_job(job))),
            Place::Traces => self.like_trace(),
            _ => self.like_row(),
        };
        match like {
            Some(Like::Class(class)) => self.go_to_times(class),
            Some(Like::Job(id)) => {
                self.queues.sought = None;
                self.ask(|state| Some(&mut state.queues.sought_slot), Ask::Job(id));
            }
            Some(Like::Kind(kind, otherwise)) => self.seek_kind(kind, otherwise),
            None => self.complain("There is no job here"),
        }
    }

    /// The kind that was searched for, or that of the trace with the cursor.
    fn like_trace(&self) -> Option<Like> {
        let selected = self.traces.selected;
        let trace = selected.and_then(|trace| self.traces.find(trace));
        let kind = kind_of_search(&self.traces.search, trace);
        let class = trace.and_then(of_trace);
        match (kind, class, self.text_of_search()) {
            (Some(kind), Some(class), _) if class.kind.as_ref() == Some(&kind) => {
                Some(Like::Class(class))
            }
            (Some(kind), ..) => Some(Like::Kind(kind, Otherwise::Nothing)),
            // The only word of a search may be a kind, whatever trace says it first.
            (None, Some(class), Some(word)) => {
                Some(Like::Kind(word.to_owned(), Otherwise::Class(class)))
            }
            (None, class, _) => class.map(Like::Class),
        }
    }

    /// The job of the row with the cursor, or that of the whole trace.
    fn like_row(&self) -> Option<Like> {
        let loaded = self.open.as_ref()?.loaded.as_ref()?;
        let (story, chart) = (loaded.prepared.story(), loaded.prepared.chart());
        let whole = || of_trace(&story.summary).map(Like::Class);
        let Some(id) = loaded.row().and_then(|row| chart.job(row)) else {
            return whole();
        };
        if story
            .summary
            .job_ids
            .first()
            .is_some_and(|first| first == id)
        {
            return whole();
        }
        if let Some(job) = story.job.as_ref().filter(|job| job.id == id) {
            return Some(Like::Class(of_job(job)));
        }
        let related = story.related.iter().find(|job| job.id == id);
        Some(match related {
            Some(job) => Like::Class(Class {
                queue: job.queue.clone(),
                kind: Some(job.kind.clone()),
            }),
            None => Like::Job(id.to_owned()),
        })
    }

    /// Goes to the queue, or to the jobs of the kind, that somebody names.
    pub(super) fn find_class(&mut self, text: &str) {
        let named = |key: &str| {
            let value = text.strip_prefix(key)?.strip_prefix(['=', ':'])?;
            Some(value.trim().to_owned())
        };
        let queue = named("queue").or_else(|| named("queue.name"));
        let kind = named("kind").or_else(|| named("job.type"));
        let name = queue.as_deref().unwrap_or(text);
        let mut queues = self.queues.list.items().iter();
        match kind {
            Some(kind) => self.seek_kind(kind, Otherwise::Nothing),
            None if queues.any(|one| one.queue == name) => self.go_to_times(Class {
                queue: name.to_owned(),
                kind: None,
            }),
            None if queue.is_some() => self.go_to_queue_like(name),
            None => self.seek_kind(text.to_owned(), Otherwise::Part),
        }
    }

    /// Asks in which queue jobs of a kind are.
    fn seek_kind(&mut self, kind: String, otherwise: Otherwise) {
        self.queues.sought = Some(Sought {
            text: kind.clone(),
            otherwise,
        });
        let query = JobsQuery {
            kind: Some(kind),
            limit: Some(1),
            ..JobsQuery::default()
        };
        let ask = Ask::Jobs(Box::new(query));
        self.ask(|state| Some(&mut state.queues.sought_slot), ask);
    }

    /// Takes in the newest job of the kind that was sought.
    pub(super) fn take_job_of_kind(&mut self, answer: Result<JobsPage, ApiError>) {
        let Some(Sought { text, otherwise }) = self.queues.sought.take() else {
            return;
        };
        // What is no name of a kind cannot be asked for; it may be a part of one.
        let newest = answer.ok().and_then(|page| page.jobs.into_iter().next());
        match newest {
            Some(job) => self.go_to_times(of_job(&job)),
            None => match otherwise {
                Otherwise::Class(class) => self.go_to_times(class),
                Otherwise::Part => self.go_to_queue_like(&text),
                Otherwise::Nothing => {
                    self.complain(format!("No job of the kind {text} is kept any more"));
                }
            },
        }
    }

    /// Takes in the job whose like are meant.
    pub(super) fn take_job_like(&mut self, answer: Result<Box<Job>, ApiError>) {
        self.queues.sought = None;
        match answer {
            Ok(job) => self.go_to_times(of_job(&job)),
            Err(error) => self.complain(error.to_string()),
        }
    }

    /// Goes to the queue, or to the kind of the selected queue, in whose name a text stands.
    fn go_to_queue_like(&mut self, text: &str) {
        let needle = text.to_lowercase();
        let says = |name: &str| name.to_lowercase().contains(&needle);
        let mut queues = self.queues.list.items().iter();
        let queue = queues
            .find(|one| says(&one.queue))
            .map(|one| one.queue.clone());
        let kinds = self.queues.known_kinds().unwrap_or_default();
        let mut kinds = kinds.iter().filter(|one| !one.kind.is_empty());
        let kind = kinds
            .find(|one| says(&one.kind))
            .map(|one| one.kind.clone());
        let here = self.queues.list.selected().map(|one| one.queue.clone());
        match (queue, here.zip(kind)) {
            (Some(queue), _) => self.go_to_times(Class { queue, kind: None }),
            (None, Some((queue, kind))) => {
                let kind = Some(kind);
                self.go_to_times(Class { queue, kind });
            }
            (None, None) => self.complain(format!("No queue and no kind of jobs is called {text}")),
        }
    }

    fn go_to_times(&mut self, class: Class) {
        self.queues.wanted = Some(class);
        self.show(Tab::Queues);
        self.go_to_class();
    }

    /// Goes to the jobs that are wanted, once it is known where their queue stands.
    pub(super) fn go_to_class(&mut self) {
        let Some(class) = self.queues.wanted.clone() else {
            return;
        };
        if self.queues.list.items.is_none() {
            return;
        }
        self.queues.wanted = None;
        let mut queues = self.queues.list.items().iter();
        let Some(at) = queues.position(|queue| queue.queue == class.queue) else {
            self.complain(format!("The queue {} is empty now", class.queue));
            return;
        };
        self.queues.list.cursor.at = at;
        self.queues.kind = class.kind;
        self.queues.bars = Some(Bars::longest(false));
        self.another_class();
    }
}

fn of_job(job: &Job) -> Class {
    Class {
        queue: job.queue.clone(),
        kind: Some(job.kind.clone()),
    }
}

/// The jobs that a trace's job is one of.
fn of_trace(trace: &TraceSummary) -> Option<Class> {
    Some(Class {
        queue: trace.queue.clone()?,
        kind: trace.kind.clone(),
    })
}

/// The kind that a search names: by its key, or by a word that is a kind of the trace with the
/// cursor.
fn kind_of_search(search: &str, trace: Option<&TraceSummary>) -> Option<String> {
    const KEYS: [&str; 3] = ["kind", "job.type", "longshore.job.kind"];
    let of_key = |word: &str| {
        let mut keys = KEYS.iter();
        let value = keys.find_map(|key| word.strip_prefix(key)?.strip_prefix(['=', ':']))?;
        Some(value.trim_matches('"').to_owned())
    };
    let words = || search.split_whitespace();
    let is_kind =
        |word: &&str| trace.is_some_and(|trace| trace.kinds.iter().any(|kind| kind == word));
    let by_key = words().find_map(of_key).filter(|kind| !kind.is_empty());
    by_key.or_else(|| words().find(is_kind).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_names_a_kind_by_its_key_or_by_its_word() {
        let trace = TraceSummary {
            kinds: vec!["order".to_owned(), "label".to_owned()],
            ..TraceSummary::unknown(longshore_core::TraceId::from_u128(1))
        };
        for (search, kind) in [
            ("kind=label", Some("label")),
            ("error kind:\"mail\" >2s", Some("mail")),
            ("job.type=label", Some("label")),
            ("label error", Some("label")),
            ("labels error", None),
            ("kind=", None),
            ("", None),
        ] {
            let found = kind_of_search(search, Some(&trace));
            assert_eq!(found.as_deref(), kind, "{search}");
        }
        assert_eq!(kind_of_search("label", None), None);
    }
}
