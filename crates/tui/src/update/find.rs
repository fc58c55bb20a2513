//! Spans that are looked for in a trace, and services that are hidden.

use longshore_api::ApiError;
use longshore_api::job::Job;
use longshore_api::trace::StoryOf;

use crate::ask::Ask;
use crate::binding::Tab;
use crate::find::FoundSpans;
use crate::rows::Shown;
use crate::state::open::Loaded;
use crate::state::{Focus, State};
use crate::trace_id::find_trace_id;

impl State {
    /// Goes to the first span from the cursor on that says a text, or to the trace or job whose id it
    /// is.
    pub(super) fn find_spans(&mut self, text: &str) {
        let Some(loaded) = self.loaded_mut() else {
            return;
        };
        let chart = loaded.prepared.chart();
        let trace = find_trace_id(text).filter(|_| !text.contains(' '));
        if let Some(trace) = trace.filter(|trace| !chart.traces().contains(trace)) {
            return self.go(StoryOf::Trace(trace));
        }
        loaded.found = FoundSpans::of(loaded.prepared.chart(), text);
        if text.is_empty() {
            return;
        }
        let here = loaded.shown().map_or(0, Shown::first);
        let first = here.checked_sub(1).map_or_else(
            || loaded.found.next(usize::MAX, true),
            |before| loaded.found.next(before, true),
        );
        let count = loaded.found.len();
        match first {
            Some(row) => {
                loaded.go(row);
                let said = match count {
                    1 => format!("1 span says {text}"),
                    _ => format!("{count} spans say {text}: n and N go on"),
                };
                self.say(said);
            }
            None if text.contains(' ') => self.say_not_found(text),
            None => {
                self.jobs.sought = Some(text.to_owned());
                let ask = Ask::Job(text.to_owned());
                self.ask(|state| Some(&mut state.jobs.sought_slot), ask);
            }
        }
    }

    fn say_not_found(&mut self, text: &str) {
        self.complain(format!("No span of this trace says {text}"));
    }

    /// Takes in the job whose id was looked for in a trace that does not say it, if there is one.
    pub(super) fn take_sought_job(&mut self, answer: Result<Box<Job>, ApiError>) {
        let Some(text) = self.jobs.sought.take() else {
            return;
        };
        match answer {
            Ok(job) => self.go_to_job(job.id),
            Err(_) if is_of_id(&text) => self.look_everywhere(text),
            Err(_) => self.say_not_found(&text),
        }
    }

    /// Looks for a text among all traces and jobs; what is the only one of an id is opened.
    fn look_everywhere(&mut self, text: String) {
        self.tab = Tab::Traces;
        self.focus = Focus::List;
        self.search_traces(text);
    }

    /// Hides the spans of the service that the cursor is on.
    pub(super) fn hide_service(&mut self) {
        let Some(loaded) = self.loaded_mut() else {
            return;
        };
        let chart = loaded.prepared.chart();
        let service = loaded.row().map(|row| chart.service(row).to_owned());
        let Some(service) = service.filter(|service| !service.is_empty()) else {
            return self.complain("This row is of no service");
        };
        let here = loaded.shown().map_or(0, Shown::first);
        loaded.rows.hide_service(chart, &service);
        // Rows that come from the record of a job are of no service.
        let mut services = chart.rows().iter().map(|row| chart.service(row));
        if !services.any(|one| !one.is_empty() && !loaded.rows.hides(one)) {
            loaded.rows.show_service(chart, &service);
            return self.complain("No other service is shown");
        }
        loaded.cursor.at = loaded.rows.line_of(here);
        self.say(format!("{service} is hidden; X shows it again"));
    }

    /// Shows every service again.
    pub(super) fn show_services(&mut self) {
        let Some(loaded) = self.loaded_mut() else {
            return;
        };
        let here = loaded.shown().map_or(0, Shown::first);
        if !loaded.rows.show_services(loaded.prepared.chart()) {
            return self.complain("No service is hidden; x hides that of the cursor");
        }
        loaded.cursor.at = loaded.rows.line_of(here);
    }
}

/// Whether a text may be an id or how one begins: eight hexadecimal digits or more, and nothing but
/// them and dashes.
pub(super) fn is_of_id(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    let fits = |character: char| character.is_ascii_hexdigit() || character == '-';
    digits >= 8 && text.chars().all(fits)
}

impl Loaded {
    /// Goes to the next span that was found.
    pub(super) fn go_to_found(&mut self, down: bool) -> Result<Option<&'static str>, &'static str> {
        if self.found.text().is_empty() {
            return Err("Nothing was looked for: / finds spans of this trace");
        }
        let here = self.shown().map_or(0, Shown::first);
        let Some(row) = self.found.next(here, down) else {
            return Err("No span of this trace says it");
        };
        self.go(row);
        Ok(match down {
            true if row < here => Some("Round again: this is the first one found"),
            false if row > here => Some("Round again: this is the last one found"),
            _ => None,
        })
    }
}
