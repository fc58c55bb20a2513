//! The reference page of all settings, made from the table.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::keys::{KEYS, Key, Shape};

/// The page `docs/configuration.md`, in Markdown.
#[must_use]
pub fn config_reference() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Settings come from `longshore.toml`, then variables that others read too (such as \
         `HTTPS_PROXY`), then `OTEL_*` variables, then `LONGSHORE_*` variables, then flags; the \
         later wins. A bad telemetry value is a warning and is passed \
         over; any other bad value, and any unknown key, is an error.\n\n\
         | key | value | default | variables | what it does |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in KEYS {
        let mut variables: Vec<String> = Vec::new();
        for variable in key.variables {
            let name = format!("`{}`", variable.name);
            // One that is read in two ways stands where it has its last word.
            variables.retain(|known| *known != name);
            variables.push(name);
        }
        let default = match key.default {
            "" => String::new(),
            text => format!("`{text}`"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {default} | {} | {} |",
            names(key),
            shape(key.shape),
            variables.join(" "),
            key.doc
        );
    }
    page.push_str(
        "\n## OpenTelemetry's variables\n\n\
         All variables that OpenTelemetry's specification has for traces, logs, resources, limits, \
         propagators and the OTLP exporter are read, those included that its Rust SDK passes over. \
         Variables for metrics, and `OTEL_CONFIG_FILE`, say nothing here.\n\n\
         | variable | sets | default |\n| --- | --- | --- |\n",
    );
    for (variable, keys) in standard() {
        let names: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
        let mut defaults: Vec<&str> = keys.iter().map(|key| key.default).collect();
        defaults.dedup();
        let default = defaults.iter().filter(|text| !text.is_empty());
        let default: Vec<String> = default.map(|text| format!("`{text}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{variable}` | {} | {} |",
            names.join(", "),
            default.join(", ")
        );
    }
    page
}

/// OpenTelemetry's variables, each with the keys that it sets.
fn standard() -> BTreeMap<&'static str, Vec<&'static Key>> {
    let mut all: BTreeMap<&str, Vec<&Key>> = BTreeMap::new();
    for key in KEYS {
        for variable in key
            .variables
            .iter()
            .filter(|one| one.name.starts_with("OTEL_"))
        {
            let keys = all.entry(variable.name).or_default();
            if keys.last().is_none_or(|last| last.name != key.name) {
                keys.push(key);
            }
        }
    }
    all
}

fn names(key: &Key) -> String {
    let mut names = format!("`{}`", key.name);
    if !key.aliases.is_empty() {
        let _ = write!(names, " (also `{}`)", key.aliases.join("`, `"));
    }
    names
}

fn shape(shape: Shape) -> String {
    match shape {
        Shape::Text | Shape::Secret => "text".to_owned(),
        Shape::Workers => "tables".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Count | Shape::Limit => "whole number".to_owned(),
        Shape::Propagators => "words, comma-separated".to_owned(),
        Shape::Ratio => "0 to 1".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Words => "words, comma-separated".to_owned(),
        Shape::Pairs => "key=value, comma-separated".to_owned(),
        Shape::Choice(words) => {
            let words = words.iter().filter(|word| !word.is_empty());
            let quoted: Vec<String> = words.map(|word| format!("`{word}`")).collect();
            quoted.join(", ")
        }
        Shape::Url | Shape::Proxy => "URL, or host and port".to_owned(),
        Shape::Patterns => "regular expressions, one a line".to_owned(),
        Shape::KeepRules | Shape::SamplingRules => "rules".to_owned(),
        Shape::LogFilter => "log filter".to_owned(),
    }
}
