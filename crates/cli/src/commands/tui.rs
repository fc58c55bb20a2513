//! `longshore tui`: the terminal UI, on the store of this machine or on a daemon.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use longshore_api::trace::StoryOf;
use longshore_api::{ApiError, Backend};
use longshore_core::SystemClock;
use longshore_telemetry::Environment;
use longshore_tui::{Host, Options, Palette, Theme, apm, find_trace_id};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::tui::{Theme as Wanted, Tui};
use crate::exit::{Exit, Usage};
use crate::named;
use crate::session::Session;
use crate::view::{self, Purpose};

pub(crate) async fn run(session: &Session<'_>, args: Tui) -> anyhow::Result<Exit> {
    let environment = session.environment();
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let text = "tui needs a terminal to draw on: for scripts there are `longshore jobs list \
                    --json` and the other verbs with --json";
        return Err(Usage(text.to_owned()).into());
    }
    let theme = theme(&args, environment);
    let trace_url = trace_url(session, &args)?;
    let backend = view::open(session, &args.view, Purpose::Change)?;
    if args.view.connect.is_none() {
        // A store that does not answer is told of before the screen is taken, whichever it is.
        session.store()?.now().await?;
    }
    let (open, search) = opened(backend.as_ref(), &args).await?;
    let options = Options {
        trace_url,
        open,
        search,
        ..options(environment)
    };
    let host = Host {
        theme,
        tmux: environment.get("TMUX").is_some(),
        clock: Arc::new(SystemClock::new()),
    };
    let ended = ended_by_signal()?;
    // Whichever comes first, the terminal is what it was before anything else is done.
    tokio::select! {
        shown = longshore_tui::run(backend, options, host) => {
            shown.context("the terminal cannot be drawn on")?;
            Ok(Exit::Done)
        }
        exit = ended => Ok(exit),
    }
}

/// A future that ends when a signal asks the program to end, with how it then exits. From now on
/// such a signal does nothing else.
fn ended_by_signal() -> anyhow::Result<impl Future<Output = Exit>> {
    let on = |kind: SignalKind| signal(kind).context("signals cannot be handled");
    let mut hang_up = on(SignalKind::hangup())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = hang_up.recv() => Exit::HungUp,
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        }
    })
}

/// Where traces are opened; the flag wins over the settings, and what a daemon tells comes last.
fn trace_url(session: &Session<'_>, args: &Tui) -> anyhow::Result<Option<String>> {
    let told = args.trace_url.as_deref().filter(|told| !told.is_empty());
    let Some(template) = told else {
        return session.trace_url();
    };
    apm::check(template).map_err(|error| Usage(format!("--trace-url: {error}")))?;
    Ok(Some(template.to_owned()))
}

/// What to begin with: a trace whose id stands in what was typed, or a job; what is no id of either
/// is searched for.
async fn opened(
    view: &dyn Backend,
    args: &Tui,
) -> anyhow::Result<(Option<StoryOf>, Option<String>)> {
    let Some(text) = args.trace.as_deref() else {
        return Ok((None, None));
    };
    if let Some(trace) = find_trace_id(text) {
        return Ok((Some(StoryOf::Trace(trace)), None));
    }
    let search = || Ok((None, Some(text.to_owned())));
    let of = match named::story(view, text).await {
        Ok(of) => of,
        // It cannot be an id, or several begin so: the search lists them.
        Err(error) if error.is::<Usage>() => return search(),
        Err(error) => return Err(error),
    };
    // A job that was pruned may still have traces.
    if let StoryOf::Job(id) = &of
        && let Err(ApiError::NotFound(_)) = view.job(id).await
        && let Err(ApiError::NotFound(_)) = view.story(&of).await
    {
        return search();
    }
    Ok((Some(of), None))
}

fn options(environment: &Environment) -> Options {
    let remote = ["SSH_CONNECTION", "SSH_TTY"];
    Options {
        remote: remote
            .into_iter()
            .any(|name| environment.get(name).is_some()),
        ..Options::default()
    }
}

/// How to draw, by what was asked for and what the terminal tells of itself.
fn theme(args: &Tui, environment: &Environment) -> Theme {
    let palette = match args.theme {
        Wanted::Dark => Palette::Dark,
        Wanted::Light => Palette::Light,
        Wanted::None => Palette::Plain,
        Wanted::Auto
            if environment
                .get("NO_COLOR")
                .is_some_and(|value| !value.is_empty()) =>
        {
            Palette::Plain
        }
        Wanted::Auto => match environment
            .get("COLORFGBG")
            .and_then(|both| both.rsplit(';').next())
        {
            Some("7" | "15") => Palette::Light,
            _ => Palette::Dark,
        },
    };
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| environment.get(name).filter(|locale| !locale.is_empty()));
    let ascii = locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    });
    Theme::new(palette, !args.ascii && !ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::traces::ViewWords;

    fn args(theme: Wanted) -> Tui {
        Tui {
            trace: None,
            view: ViewWords::default(),
            trace_url: None,
            theme,
            ascii: false,
        }
    }

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn the_terminal_says_how_to_draw() {
        let theme =
            |wanted, pairs: &[(&str, &str)]| super::theme(&args(wanted), &environment(pairs));
        let new = Theme::new;
        assert_eq!(theme(Wanted::Auto, &[]), new(Palette::Dark, true));
        assert_eq!(
            theme(Wanted::Auto, &[("COLORFGBG", "0;15")]),
            new(Palette::Light, true)
        );
        assert_eq!(
            theme(Wanted::Auto, &[("NO_COLOR", "1")]),
            new(Palette::Plain, true)
        );
        let posix = [("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")];
        assert_eq!(theme(Wanted::Light, &posix), new(Palette::Light, false));
    }
}
