//! Spans that are looked for in a trace, and services that are hidden.

use crate::find::FoundSpans;
use crate::rows::Shown;
use crate::state::State;
use crate::state::open::Loaded;

impl State {
    /// Goes to the first span from the cursor on that says a text.
    pub(super) fn find_spans(&mut self, text: &str) {
        let Some(loaded) = self.loaded_mut() else {
            return;
        };
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
            None => self.complain(format!("No span of this trace says {text}")),
        }
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
        if loaded.rows.is_empty() {
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

impl Loaded {
    /// Goes to the next span that was found.
    pub(super) fn go_to_found(&mut self, down: bool) -> Result<(), &'static str> {
        if self.found.text().is_empty() {
            return Err("Nothing was looked for: / finds spans of this trace");
        }
        let here = self.shown().map_or(0, Shown::first);
        match self.found.next(here, down) {
            Some(row) => self.go(row),
            None => return Err("No span of this trace says it"),
        }
        Ok(())
    }
}
