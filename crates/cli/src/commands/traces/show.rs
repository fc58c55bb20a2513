//! `longshore traces show`, and the story of a job wherever else it is drawn.

use anyhow::Context as _;
use longshore_api::trace::{Story, StoryOf};
use longshore_api::{ApiError, Backend};
use longshore_core::{JobId, TraceId};
use longshore_trace::{Colour, CriticalPath, DrawOptions, Waterfall};

use crate::args::traces::Show;
use crate::exit::{Exit, Usage, report};
use crate::output::{Output, Paint};
use crate::session::Session;
use crate::view::Purpose;
use crate::{text, view};

/// Columns where no terminal says how many there are.
const WIDE: usize = 100;
/// Most findings below a drawing.
const FINDINGS: usize = 5;

pub(super) async fn run(session: &Session<'_>, args: Show) -> anyhow::Result<Exit> {
    let mut stories = Vec::new();
    for id in &args.ids {
        stories.push(named(id, args.alone)?);
    }
    let view = view::open(session, &args.view, Purpose::Look)?;
    if !args.json {
        return drawn(
            session,
            view.as_ref(),
            &stories,
            args.width.map(usize::from),
        )
        .await;
    }
    let mut exit = Exit::Done;
    for of in &stories {
        match view.story(of).await {
            Ok(story) => session.output.json(&story)?,
            Err(error) => exit = failed(session.output, error)?,
        }
    }
    Ok(exit)
}

/// A trace by its id, or all traces of a job.
fn named(id: &str, alone: bool) -> Result<StoryOf, Usage> {
    if let Some(trace) = TraceId::from_hex(&id.to_ascii_lowercase()) {
        return Ok(if alone {
            StoryOf::TraceAlone(trace)
        } else {
            StoryOf::Trace(trace)
        });
    }
    let job: JobId = id
        .parse()
        .map_err(|_error| Usage(format!("{id:?} is neither the id of a trace nor of a job")))?;
    Ok(StoryOf::Job(job.as_str().to_owned()))
}

/// Draws stories one below the other; what cannot be found is said, and the others are drawn.
///
/// # Errors
/// Stdout cannot be written.
pub(super) async fn drawn(
    session: &Session<'_>,
    view: &dyn Backend,
    stories: &[StoryOf],
    width: Option<usize>,
) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for (index, of) in stories.iter().enumerate() {
        if index > 0 {
            session.output.data("")?;
        }
        match view.story(of).await {
            Ok(story) => draw(session.output, &story, width)?,
            Err(error) => exit = failed(session.output, error)?,
        }
    }
    Ok(exit)
}

/// Says why there is no story. Where nothing answers, nothing else will.
fn failed(output: &Output, error: ApiError) -> anyhow::Result<Exit> {
    match error {
        ApiError::NotFound(_) | ApiError::Invalid(_) => Ok(report(output, &error.into())),
        error => Err(error).context("the trace could not be read"),
    }
}

/// Draws a story: its rows, and below them what is wrong with it.
///
/// # Errors
/// Stdout cannot be written.
pub(crate) fn draw(output: &Output, story: &Story, width: Option<usize>) -> anyhow::Result<()> {
    let options = DrawOptions {
        width: width.or(output.data_columns()).unwrap_or(WIDE),
        colour: match output.data_colour() {
            true => Colour::Ansi,
            false => Colour::None,
        },
        ..DrawOptions::default()
    };
    let path = CriticalPath::of(&story.chart);
    let waterfall = Waterfall::of_chart(&story.chart, &story.summary).with_path(&path);
    output.data(waterfall.draw(&options).trim_end())?;
    for finding in story.findings.iter().take(FINDINGS) {
        let mut lines = text::wrapped(&finding.text, options.width.saturating_sub(2)).into_iter();
        let first = lines.next().unwrap_or_default();
        output.data(&format!("{} {first}", output.paint(Paint::Yellow, "!")))?;
        for line in lines {
            output.data(&format!("  {line}"))?;
        }
    }
    Ok(())
}
