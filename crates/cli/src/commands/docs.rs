//! `longshore docs`: the documents of this version, where nobody has the repository.

use crate::args::manual::Docs;
use crate::exit::Exit;
use crate::output::Output;
use crate::table::{Align, Table};

macro_rules! pages {
    ($($name:literal = $path:literal,)*) => {
        /// The names of the pages.
        pub(crate) const NAMES: &[&str] = &[$($name),*];
        /// Each page with its name.
        const PAGES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../../docs/", $path, ".md")))),*
        ];
    };
}

pages! {
    "cli" = "cli",
    "configuration" = "configuration",
    "see" = "guides/see",
    "search" = "search",
    "tui" = "tui",
    "operating" = "guides/operating",
    "schedules" = "guides/schedules",
    "batches" = "guides/batches",
    "unique" = "guides/unique",
    "limits" = "guides/limits",
    "middleware" = "guides/middleware",
    "outbox" = "guides/outbox",
    "serve" = "serve",
    "postgres" = "guides/postgres",
    "redis" = "guides/redis",
    "object-store" = "guides/object-store",
    "moving" = "guides/moving",
    "sampling" = "guides/sampling",
    "telemetry" = "telemetry",
    "redaction" = "redaction",
    "metrics" = "metrics",
    "prometheus" = "guides/prometheus",
    "export" = "export",
    "jaeger" = "guides/jaeger",
    "tempo-grafana" = "guides/tempo-grafana",
    "datadog" = "guides/datadog",
    "honeycomb" = "guides/honeycomb",
    "google-cloud-trace" = "guides/google-cloud-trace",
    "own-queue" = "guides/own-queue",
    "span-log" = "span-log",
    "trace-store" = "trace-store",
    "reliability" = "reliability",
}

/// Prints a page, or which there are.
pub(crate) fn run(output: &Output, args: &Docs) -> anyhow::Result<Exit> {
    if let Some(wanted) = &args.page {
        let page = PAGES.iter().find(|(name, _)| name == wanted);
        output.data(page.map_or("", |(_, text)| text.trim_end()))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[("PAGE", Align::Left), ("ABOUT", Align::Left)]);
    for (name, text) in PAGES {
        table.row([(*name).to_owned(), title(text).to_owned()]);
    }
    for line in table.lines(output.data_columns()) {
        output.data(&line)?;
    }
    Ok(Exit::Done)
}

/// The heading of a page.
fn title(text: &str) -> &str {
    let mut lines = text.lines();
    lines
        .find_map(|line| line.strip_prefix("# "))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::*;
    use crate::args::Cli;

    fn helps(of: &Command, found: &mut Vec<String>) {
        found.push(of.clone().render_long_help().to_string());
        for verb in of.get_subcommands() {
            helps(verb, found);
        }
    }

    #[test]
    fn help_names_pages_that_whoever_reads_it_has() {
        let mut found = Vec::new();
        helps(&Cli::command(), &mut found);
        let mut named = 0;
        for help in found {
            assert!(!help.contains("docs/"), "{help}");
            for rest in help.split("`longshore docs ").skip(1) {
                let page = rest.split('`').next().unwrap();
                assert!(NAMES.contains(&page), "{page}: {help}");
                named += 1;
            }
        }
        assert!(named > 4);
    }

    #[test]
    fn every_page_has_a_title() {
        for (name, text) in PAGES {
            assert_ne!(title(text), "", "{name}");
        }
    }
}
