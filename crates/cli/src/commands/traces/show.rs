//! `longshore traces show`, and the story of a job wherever else it is drawn.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use longshore_api::trace::{Story, StoryOf};
use longshore_api::{ApiError, Backend};
use longshore_trace::chart::Marks;
use longshore_trace::{Colour, CriticalPath, DrawOptions, Waterfall};

use crate::args::traces::Show;
use crate::exit::{Exit, Usage, report};
use crate::named;
use crate::output::{Output, Paint};
use crate::session::Session;
use crate::store_file::quoted;
use crate::view::Purpose;
use crate::{text, view};

/// Columns where no terminal says how many there are.
const WIDE: usize = 100;
/// Most findings below a drawing.
const FINDINGS: usize = 5;

pub(super) async fn run(session: &Session<'_>, args: Show) -> anyhow::Result<Exit> {
    let look = Look::of(&args)?;
    let view = view::open(session, &args.view, Purpose::Look)?;
    let mut stories = Vec::new();
    for id in &args.ids {
        stories.push(match named::story(view.as_ref(), id).await? {
            StoryOf::Trace(trace) if args.alone => StoryOf::TraceAlone(trace),
            named => named,
        });
    }
    if !args.json {
        return drawn(session, view.as_ref(), &stories, look).await;
    }
    let mut exit = Exit::Done;
    for of in &stories {
        match told(view.as_ref(), of).await {
            Ok(story) => session.output.json(&look.clocks(story))?,
            Err(error) => exit = failed(session.output, of, error)?,
        }
    }
    Ok(exit)
}

/// How a story is drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Columns, if not as wide as the terminal.
    pub(crate) width: Option<usize>,
    /// From and to so long after the start, if not all.
    window: Option<(Duration, Duration)>,
    /// Whether clocks are left as they were.
    as_recorded: bool,
}

impl Look {
    fn of(args: &Show) -> Result<Self, Usage> {
        let window = (
            args.from.unwrap_or_default(),
            args.to.unwrap_or(Duration::MAX),
        );
        if window.0 >= window.1 {
            return Err(Usage("--from has to be less than --to".to_owned()));
        }
        Ok(Self {
            width: args.width.map(usize::from),
            window: (args.from.is_some() || args.to.is_some()).then_some(window),
            as_recorded: args.as_recorded,
        })
    }

    fn clocks(self, story: Story) -> Story {
        match self.as_recorded {
            true => story.as_recorded(),
            false => story,
        }
    }
}

/// Draws stories one below the other; what cannot be found is said, and the others are drawn.
///
/// # Errors
/// Stdout cannot be written.
pub(super) async fn drawn(
    session: &Session<'_>,
    view: &dyn Backend,
    stories: &[StoryOf],
    look: Look,
) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for (index, of) in stories.iter().enumerate() {
        if index > 0 {
            session.output.data("")?;
        }
        match told(view, of).await {
            Ok(story) => draw(session.output, &look.clocks(story), look)?,
            Err(error) => exit = failed(session.output, of, error)?,
        }
    }
    Ok(exit)
}

/// A story that says of a job that waits what holds it back, as `jobs show` does.
///
/// # Errors
/// There is none, or what is looked at cannot be asked.
pub(crate) async fn told(view: &dyn Backend, of: &StoryOf) -> Result<Story, ApiError> {
    let mut story = view.story(of).await?;
    let (chart, findings) = (&story.chart, &mut story.findings);
    let Some(finding) = findings.iter_mut().find(|finding| finding.what == "waited") else {
        return Ok(story);
    };
    let row = finding.row.and_then(|row| chart.row(row as usize));
    let row = row.filter(|row| row.marks.has(Marks::OPEN));
    let Some(id) = row.and_then(|row| chart.job(row)) else {
        return Ok(story);
    };
    let Some((who, _)) = finding.text.split_once(" for a worker: ") else {
        return Ok(story);
    };
    // Where the job cannot be asked for, what the trace tells stands as it is.
    let held = view.job(id).await.map(|job| job.held_back);
    if let Some(why) = held.ok().filter(|why| !why.is_empty()) {
        finding.text = format!("{who}: {}", why.join("; "));
    }
    Ok(story)
}

/// Says why there is no story. Where nothing answers, nothing else will.
fn failed(output: &Output, of: &StoryOf, error: ApiError) -> anyhow::Result<Exit> {
    match error {
        ApiError::NotFound(_) | ApiError::Invalid(_) => {
            let exit = report(output, &error.into());
            if let Some(word) = named::no_id(of) {
                let word = quoted("", Path::new(word));
                output.talk(&format!(
                    "What is no id is searched for: longshore traces list {word}"
                ));
            }
            Ok(exit)
        }
        error => Err(error).context("the trace could not be read"),
    }
}

/// Draws a story: its rows, and below them what is wrong with it.
///
/// # Errors
/// Stdout cannot be written.
pub(crate) fn draw(output: &Output, story: &Story, look: Look) -> anyhow::Result<()> {
    let options = DrawOptions {
        width: look.width.or(output.data_columns()).unwrap_or(WIDE),
        colour: match output.data_colour() {
            true => Colour::Ansi,
            false => Colour::None,
        },
        ..DrawOptions::default()
    };
    let path = CriticalPath::of(&story.chart);
    let mut waterfall = Waterfall::of_chart(&story.chart, &story.summary).with_path(&path);
    if let Some((from, to)) = look.window {
        waterfall = waterfall.within(from, to);
    }
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
