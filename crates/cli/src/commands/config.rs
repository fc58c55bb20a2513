//! `longshore config`: every setting, and where its value came from.

use serde::Serialize;

use crate::args::{Config, Plain};
use crate::exit::Exit;
use crate::session::Session;
use crate::table::{Align, Table};

/// A setting, as `docs/cli.md` documents it.
#[derive(Debug, Serialize)]
struct SettingJson<'a> {
    key: &'a str,
    value: &'a str,
    origin: String,
}

pub(crate) fn run(session: &Session<'_>, args: &Config) -> anyhow::Result<Exit> {
    match args {
        Config::Show(args) => show(session, args),
        Config::Check(args) => check(session, args),
    }
}

fn show(session: &Session<'_>, args: &Plain) -> anyhow::Result<Exit> {
    let shown = session.config()?.shown();
    if args.json {
        let settings: Vec<SettingJson<'_>> = shown
            .iter()
            .map(|shown| SettingJson {
                key: shown.key,
                value: &shown.value,
                origin: shown.origin.to_string(),
            })
            .collect();
        session
            .output
            .json(&serde_json::json!({ "settings": settings }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("KEY", Align::Left),
        ("VALUE", Align::Left),
        ("FROM", Align::Left),
    ]);
    for shown in &shown {
        let value = if shown.value.is_empty() {
            "-"
        } else {
            &shown.value
        };
        table.row([
            shown.key.to_owned(),
            value.to_owned(),
            shown.origin.to_string(),
        ]);
    }
    for line in table.lines(session.output.data_columns()) {
        session.output.data(&line)?;
    }
    Ok(Exit::Done)
}

/// What only warns elsewhere fails here.
fn check(session: &Session<'_>, args: &Plain) -> anyhow::Result<Exit> {
    let problems: Vec<String> = match session.config() {
        Ok(config) => config.warnings().iter().map(ToString::to_string).collect(),
        Err(error) => {
            session.output.error(&error.to_string());
            vec![error.to_string()]
        }
    };
    if args.json {
        let record = serde_json::json!({ "ok": problems.is_empty(), "problems": problems });
        session.output.json(&record)?;
    } else if problems.is_empty() {
        session.output.data("The configuration is in order.")?;
    }
    Ok(if problems.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
