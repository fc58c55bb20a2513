//! The terminal UI on much: a trace of a million spans, and a hundred thousand traces in the list.

mod start;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use longshore_api::ApiError;
use longshore_api::trace::{Story, StoryOf, TimeSpent, TracesPage};
use longshore_core::{SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::{Dropped, Span, SpanKind, SpanStatus};
use longshore_trace::{Chart, TraceSummary};
use longshore_tui::{
    Answer, Ask, Effect, Event, Key, Options, Palette, Prepared, State, Theme, draw, update,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::Folder;
use crate::allocator::bytes_in_use;
use crate::measure::{Scale, Table};

const TRACES: u32 = 100_000;
const SPANS: u64 = 1_000_000;
const SIZE: (u16, u16) = (180, 50);
const NOW: Timestamp = Timestamp::from_unix_millis(1_777_624_200_000);

/// One row for each thing that a person does, with the time until it is drawn.
pub fn rows(folder: &Folder, scale: Scale) -> Result<()> {
    let mut table = Table::new(
        "The terminal UI at 180 × 50: 100 k traces in the list, one of 1 M spans",
        &["what", "times", "median µs", "longest µs"],
    );
    let mut stage = Stage::new();
    let started = Instant::now();
    stage.send(Event::Tick(NOW.after(Duration::from_millis(1))))?;
    stage.paint();
    let first = started.elapsed();
    table.row(vec![
        "first picture with traces".into(),
        "1".into(),
        micros(first),
        micros(first),
    ]);
    let before = bytes_in_use();
    while stage.listed < TRACES {
        stage.send(Event::Key(Key::Char('G')))?;
    }
    let list = bytes_in_use().saturating_sub(before);
    stage.measure(&mut table, "list: down a line", 'j', 200)?;
    stage.measure(&mut table, "list: half a page up", '\u{15}', 200)?;
    let before = bytes_in_use();
    let started = Instant::now();
    stage.story = Some(story());
    let built = started.elapsed();
    stage.send(Event::Paste(TraceId::from_u128(1).to_string()))?;
    let trace = bytes_in_use().saturating_sub(before);
    let whole = [
        ("waterfall: down a line", 'j', 200),
        ("waterfall: half a page down", '\u{4}', 200),
        ("waterfall: to the end", 'G', 5),
        ("waterfall: fold all", '[', 5),
        ("waterfall: unfold all", ']', 5),
        ("waterfall: fold and unfold", 'h', 20),
        ("waterfall: look closer", '>', 10),
        ("waterfall: gaps", 'z', 10),
        ("waterfall: next failure", 'e', 10),
    ];
    for (what, key, times) in whole {
        stage.measure(&mut table, what, key, times)?;
    }
    let started = start::rows(&mut table, folder, scale)?;
    table.print();
    println!("{started}");
    println!(
        "memory of the state: list {} MB, trace {} MB ({} bytes a span); chart of 1 M spans built in {} ms\n",
        list >> 20,
        trace >> 20,
        trace / usize::try_from(SPANS)?,
        built.as_millis()
    );
    Ok(())
}

fn micros(time: Duration) -> String {
    time.as_micros().to_string()
}

/// The UI, and what answers it.
struct Stage {
    state: State,
    buffer: Buffer,
    theme: Theme,
    listed: u32,
    story: Option<Prepared>,
    now: Timestamp,
}

impl Stage {
    fn new() -> Self {
        Self {
            state: State::new(Options::default(), NOW, SIZE),
            buffer: Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1)),
            theme: Theme::new(Palette::Dark, true),
            listed: 0,
            story: None,
            now: NOW,
        }
    }

    fn paint(&mut self) {
        self.buffer.reset();
        draw(&self.state, &self.theme, &mut self.buffer);
        std::hint::black_box(&self.buffer);
    }

    fn send(&mut self, event: Event) -> Result<()> {
        let mut effects = update(&mut self.state, event);
        while let Some(effect) = effects.pop() {
            let Effect::Ask(ticket, ask) = effect else {
                continue;
            };
            let answer = Box::new(self.answer(&ask)?);
            effects.extend(update(&mut self.state, Event::Answer(ticket, answer)));
        }
        Ok(())
    }

    fn answer(&mut self, ask: &Ask) -> Result<Answer> {
        let none = || ApiError::NotFound("nothing".to_owned());
        Ok(match ask {
            Ask::Traces(query) if query.changed_since.is_none() => {
                let from = self.listed;
                self.listed = (from + 1_000).min(TRACES);
                Answer::Traces(Ok(TracesPage {
                    traces: (from..self.listed).map(summary).collect(),
                    next_cursor: (self.listed < TRACES).then(|| self.listed.to_string()),
                    as_of: "1".to_owned(),
                    jump: None,
                    reading: false,
                }))
            }
            Ask::Traces(_) => Answer::Traces(Ok(TracesPage {
                traces: Vec::new(),
                next_cursor: None,
                as_of: "1".to_owned(),
                jump: None,
                reading: false,
            })),
            Ask::Story(StoryOf::Trace(_)) => {
                Answer::Story(self.story.take().map(Box::new).ok_or_else(none))
            }
            Ask::Span(..) => Answer::Span(Err(none())),
            Ask::About => Answer::About(Err(none())),
            other => bail!("nobody was to ask {other:?}"),
        })
    }

    /// Presses a key again and again, and draws each time.
    fn measure(&mut self, table: &mut Table, what: &str, key: char, times: u32) -> Result<()> {
        let key = match key {
            '\u{15}' => Key::Ctrl('u'),
            '\u{4}' => Key::Ctrl('d'),
            other => Key::Char(other),
        };
        let mut took = Vec::new();
        for _ in 0..times {
            self.now = self.now.after(Duration::from_millis(1));
            let started = Instant::now();
            self.send(Event::Key(key))?;
            self.paint();
            took.push(started.elapsed());
        }
        row(table, what, took);
        Ok(())
    }
}

/// A row of what was measured some times.
fn row(table: &mut Table, what: &str, mut took: Vec<Duration>) {
    took.sort();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    let longest = took.last().copied().unwrap_or_default();
    table.row(vec![
        what.to_owned(),
        took.len().to_string(),
        micros(median),
        micros(longest),
    ]);
}

fn summary(number: u32) -> TraceSummary {
    let start = NOW.before(Duration::from_millis(u64::from(number) * 40));
    TraceSummary {
        name: "queue.enqueue".to_owned(),
        service: "shop".to_owned(),
        services: vec!["shop".to_owned(), "worker".to_owned()],
        start,
        end: start.after(Duration::from_millis(340)),
        spans: 6,
        failed: number % 97 == 0,
        queue: Some("orders".to_owned()),
        kind: Some("charge".to_owned()),
        job_ids: vec![format!("0199f8b2-7c00-7000-8000-{number:012x}")],
        correlation_id: Some(format!("0199f8b2-7c00-7000-8000-{number:012x}")),
        tenant_id: Some("t-17".to_owned()),
        outcome: Some("completed".to_owned()),
        attempts: 1,
        wait: Duration::from_millis(120),
        run: Duration::from_millis(220),
        ..TraceSummary::unknown(TraceId::from_u128(u128::from(number) + 7))
    }
}

/// A thousand requests with a thousand steps each, no two alike beside each other.
fn story() -> Prepared {
    let trace_id = TraceId::from_u128(1);
    let spans: Vec<Span> = (0..SPANS).map(|number| span(trace_id, number)).collect();
    let mut summary = summary(0);
    summary.trace_id = trace_id;
    Prepared::new(Story {
        chart: Chart::of(&spans, &[], NOW),
        summary,
        time: TimeSpent::default(),
        critical: Vec::new(),
        findings: Vec::new(),
        job: None,
        related: Vec::new(),
        as_of: NOW,
    })
}

fn span(trace_id: TraceId, number: u64) -> Span {
    let at = |micros: u64| NOW.after(Duration::from_micros(micros));
    let (request, step) = (number / 1_000, number % 1_000);
    let parent = match (request, step) {
        (0, 0) => None,
        (_, 0) => Some(1),
        _ => Some(request * 1_000 + 1),
    };
    let from = request * 1_000_000 + step * 900;
    let length = match (number, step) {
        (0, _) => SPANS * 1_000,
        (_, 0) => 900_000,
        _ => 700,
    };
    let names = ["SELECT orders", "POST payments", "SELECT items", "render"];
    let name = if step == 0 {
        "GET /orders"
    } else {
        names[(step % 4) as usize]
    };
    let failed = number % 10_007 == 5;
    Span {
        trace_id,
        span_id: SpanId::from_u64(number + 1),
        parent_span_id: parent.map(SpanId::from_u64),
        parent_is_remote: false,
        flags: TraceFlags::default(),
        trace_state: TraceState::EMPTY,
        name: name.into(),
        kind: SpanKind::Internal,
        start: at(from),
        end: at(from + length),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: if failed {
            SpanStatus::Error("".into())
        } else {
            SpanStatus::Unset
        },
        scope: "shop".into(),
        dropped: Dropped::default(),
        resource: None,
    }
}
