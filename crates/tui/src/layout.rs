//! Where everything stands on the screen: what views draw and what the mouse hits.

mod buttons;

use ratatui::layout::Rect;

pub(crate) use buttons::{hints, tabs, tabs_leave_room};

use crate::binding::Tab;
use crate::help;
use crate::job_page;
use crate::page::wrap;
use crate::palette;
use crate::state::open::Open;
use crate::state::{Focus, Note, State};

/// How the panels of a screen stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// List, waterfall and span side by side.
    Three,
    /// List and waterfall side by side, the span in a drawer beneath.
    Two,
    /// One panel at a time, the span beneath the waterfall.
    Stacked,
    /// One panel at a time, two lines for each item.
    Narrow,
}

/// A panel: its title, if there is room for titles, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panel {
    pub(crate) title: Option<Rect>,
    pub(crate) inner: Rect,
}

/// The screen.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) tabs: Rect,
    /// Where it is said that the backend does not answer.
    pub(crate) banner: Option<Rect>,
    pub(crate) body: Rect,
    /// The list of the screen, unless a panel that covers it is shown.
    pub(crate) list: Option<Panel>,
    /// The waterfall, the job, or the bars of a queue.
    pub(crate) main: Option<Panel>,
    /// The span.
    pub(crate) side: Option<Panel>,
    /// What holds the selected job back, where its page is not beside the list.
    pub(crate) strip: Option<Panel>,
    /// How many lines what stands out in the story that is open takes.
    findings: u16,
    /// Where a message stands.
    pub(crate) note: Option<Rect>,
    /// The hints; on a low screen they are left out.
    pub(crate) hints: Option<Rect>,
    /// The line for messages and searches: the last one.
    pub(crate) last: Rect,
}

impl Layout {
    /// Lines above the rows of a comparison: what is compared, the verdict, the heads of columns, the
    /// sum.
    pub(crate) const COMPARED: u16 = 6;

    /// Most lines of a message.
    const MOST_OF_NOTE: usize = 3;

    /// Below this many lines there are no titles and no hints.
    const LOW: u16 = 14;

    pub(crate) fn of(state: &State) -> Self {
        let area = Rect::new(0, 0, state.width, state.height);
        let shape = match area.width {
            140.. => Shape::Three,
            100.. => Shape::Two,
            60.. => Shape::Stacked,
            _ => Shape::Narrow,
        };
        let low = area.height < Self::LOW;
        let (tabs, mut body) = cut_top(area, 1);
        let mut banner = None;
        if state.backend.down.is_some() {
            let (top, rest) = cut_top(body, 1);
            (banner, body) = (Some(top), rest);
        }
        // A narrow screen is often touched, not typed on: it keeps its buttons.
        let bar = u16::from(!low || shape == Shape::Narrow);
        let (body, hints) = cut_bottom(body, bar);
        // A message has a place of its own: it covers nothing of the list, and no key.
        let said = state.note.as_ref();
        let said = said.map_or(0, |note| Self::lines_of_note(state, note).len());
        let (body, note) = cut_bottom(body, u16::try_from(said).unwrap_or(0));
        let last = Rect {
            y: area.bottom().saturating_sub(1),
            height: area.height.min(1),
            ..area
        };
        let mut layout = Self {
            shape,
            tabs,
            banner,
            body,
            list: None,
            main: None,
            side: None,
            strip: None,
            findings: 0,
            note: (said > 0).then_some(note),
            hints: (bar > 0).then_some(hints),
            last,
        };
        layout.place(state, low);
        layout.findings = layout.lines_of_finding(state);
        layout
    }

    /// A message, in as many lines as it takes.
    pub(crate) fn lines_of_note(state: &State, note: &Note) -> Vec<String> {
        let wide = usize::from(state.width.saturating_sub(4));
        let mut lines = wrap(&note.text, wide, !state.options.ascii);
        lines.truncate(Self::MOST_OF_NOTE);
        lines
    }

    /// How many lines it takes to say what stands out in the story that is open.
    fn lines_of_finding(&self, state: &State) -> u16 {
        let is_held = state.open.as_ref().is_some_and(Open::is_held_back);
        let most = match self.shape {
            Shape::Narrow if !is_held => 2,
            Shape::Narrow => 4,
            _ => 3,
        };
        let unicode = !state.options.ascii;
        let open = state.open.as_ref();
        let text = open.and_then(|open| open.finding_in_words(state.now, unicode));
        let Some((text, main)) = text.zip(self.main) else {
            return 0;
        };
        let lines = wrap(
            &text,
            usize::from(main.inner.width.saturating_sub(2)),
            unicode,
        );
        u16::try_from(lines.len()).unwrap_or(most).min(most)
    }

    fn place(&mut self, state: &State, low: bool) {
        let panel = |area: Rect| Panel::new(area, low);
        let body = self.body;
        match (state.tab, self.shape) {
            (Tab::Traces, _) => self.place_traces(state.focus, low),
            (Tab::Jobs, Shape::Three | Shape::Two) => {
                let (left, right) = cut_left(body, body.width * 11 / 20);
                self.list = Some(panel(left));
                self.main = Some(panel(right));
            }
            (Tab::Jobs, _) if state.jobs.inside => self.main = Some(panel(body)),
            (Tab::Jobs, _) => {
                let lines = u16::try_from(self.held_back(state).len()).unwrap_or(0);
                let title = u16::from(!low);
                let strip = if lines > 0 { lines + title } else { 0 };
                let (list, strip) = cut_bottom(body, strip);
                self.list = Some(panel(list));
                self.strip = (lines > 0).then(|| panel(strip));
            }
            (Tab::Queues, Shape::Three | Shape::Two) => {
                let (left, right) = cut_left(body, body.width * 9 / 20);
                self.list = Some(panel(left));
                self.main = Some(panel(right));
            }
            (Tab::Queues, Shape::Stacked) if body.height >= 18 => {
                let queues = u16::try_from(state.queues.list.items().len()).unwrap_or(u16::MAX);
                let most = body.height * 2 / 5;
                let (top, bottom) = cut_top(body, queues.saturating_add(3).clamp(5, most));
                self.list = Some(panel(top));
                self.main = Some(panel(bottom));
            }
            (Tab::Queues, _) if state.queues.bars.is_some() => self.main = Some(panel(body)),
            _ => self.list = Some(panel(body)),
        }
    }

    /// What holds the selected job back, as it stands under the list.
    pub(crate) fn held_back(&self, state: &State) -> Vec<String> {
        let Some(job) = state.jobs.selected() else {
            return Vec::new();
        };
        let most = if self.shape == Shape::Narrow { 4 } else { 3 };
        let wide = usize::from(self.body.width.saturating_sub(2));
        job_page::held_back_in_short(job, wide, most, !state.options.ascii)
    }

    fn place_traces(&mut self, focus: Focus, low: bool) {
        let panel = |area: Rect| Panel::new(area, low);
        let body = self.body;
        match (self.shape, focus) {
            (Shape::Three, _) => {
                let (list, rest) = cut_left(body, if body.width < 170 { 35 } else { 42 });
                let (main, side) = cut_left(rest, rest.width.saturating_sub(41));
                self.list = Some(panel(list));
                self.main = Some(panel(main));
                self.side = Some(panel(side));
            }
            (Shape::Two, _) => {
                let (list, main) = cut_left(body, (body.width * 5 / 16).max(34));
                self.list = Some(panel(list));
                self.stack(main, focus, low);
            }
            (Shape::Stacked | Shape::Narrow, Focus::List) => self.list = Some(panel(body)),
            // What is known of a span is long: it needs all of a screen that is not high.
            (Shape::Stacked, Focus::Span) if body.height < 32 => self.side = Some(panel(body)),
            (Shape::Stacked, _) => self.stack(body, focus, low),
            (Shape::Narrow, Focus::Waterfall) => self.main = Some(panel(body)),
            (Shape::Narrow, Focus::Span) => self.side = Some(panel(body)),
        }
    }

    /// The waterfall, and the span beneath it if it is looked at.
    fn stack(&mut self, area: Rect, focus: Focus, low: bool) {
        let drawer = match focus {
            Focus::Span => (area.height * 3 / 5).max(area.height.min(6)),
            Focus::List | Focus::Waterfall => 0,
        };
        let (main, side) = cut_bottom(area, drawer);
        self.main = Some(Panel::new(main, low));
        if drawer > 0 {
            self.side = Some(Panel::new(side, low));
        }
    }

    /// How many lines an item of a list takes.
    pub(crate) const fn item_height(&self) -> u16 {
        match self.shape {
            Shape::Narrow => 2,
            Shape::Three | Shape::Two | Shape::Stacked => 1,
        }
    }

    /// How many lines there are within a frame that lies over the whole body.
    pub(crate) fn framed(&self) -> u16 {
        self.body.height.saturating_sub(2)
    }

    /// Where a frame of this size stands: in the middle of the screen.
    pub(crate) fn middle(&self, (width, height): (u16, u16)) -> Rect {
        let body = self.body;
        let width = width.min(body.width);
        let height = height.min(body.height);
        Rect {
            x: body.x + (body.width - width) / 2,
            y: body.y + (body.height - height) / 2,
            width,
            height,
        }
    }

    /// How many actions are shown at once where one is looked for by its name.
    pub(crate) fn entries(&self) -> usize {
        usize::from(self.framed().saturating_sub(palette::AROUND))
    }

    /// How many columns there are within the frame of a page of text.
    pub(crate) fn page(&self) -> u16 {
        self.body.width.min(help::WIDE).saturating_sub(4)
    }

    /// How many rows of a comparison are shown.
    pub(crate) fn differences(&self) -> usize {
        usize::from(self.framed().saturating_sub(Self::COMPARED) / self.item_height())
    }

    /// How many items the list shows.
    pub(crate) fn list_items(&self, state: &State) -> usize {
        let Some(list) = self.list else {
            return 0;
        };
        let height = list.inner.height.saturating_sub(self.heading(state));
        usize::from(height / self.item_height())
    }

    /// Lines above the first item of the list that name its columns.
    pub(crate) const fn heading(&self, state: &State) -> u16 {
        match (state.tab, self.shape) {
            (Tab::Traces | Tab::Workers, _) | (_, Shape::Narrow) => 0,
            _ => 1,
        }
    }

    /// Lines of the waterfall that stand above its rows.
    pub(crate) fn waterfall_head(&self) -> u16 {
        match (self.shape, self.hints) {
            (Shape::Narrow, _) => 2 + self.finding_lines(),
            (_, None) => 1,
            _ => 4 + self.finding_lines(),
        }
    }

    /// How many of them say what stands out.
    pub(crate) const fn finding_lines(&self) -> u16 {
        self.findings
    }

    /// How many rows the waterfall shows.
    pub(crate) fn waterfall_rows(&self) -> usize {
        let height = self.main.map_or(0, |main| main.inner.height);
        usize::from(height.saturating_sub(self.waterfall_head()) / self.item_height())
    }

    /// The columns of the waterfall.
    pub(crate) fn columns(&self) -> Columns {
        let width = self.main.map_or(0, |main| main.inner.width);
        if self.shape == Shape::Narrow {
            return Columns {
                label: 0,
                bar: usize::from(width),
            };
        }
        // Beside a list there is little room, and what names are cut to says nothing.
        let share = match self.shape {
            Shape::Two => width * 2 / 5,
            _ => width * 9 / 25,
        };
        let label = share.clamp(16, 46).min(width);
        let bar = width.saturating_sub(label + 1 + Columns::RIGHT);
        Columns {
            label: usize::from(label),
            bar: usize::from(bar),
        }
    }

    /// Which item of a list of items with this height lies at a line of the screen.
    pub(crate) fn item_at(&self, panel: Panel, head: u16, y: u16) -> Option<usize> {
        let first = panel.inner.y + head;
        let inside = y >= first && y < panel.inner.bottom();
        inside.then(|| usize::from((y - first) / self.item_height()))
    }
}

/// The columns of a waterfall; a label of none stands above its bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) label: usize,
    pub(crate) bar: usize,
}

impl Columns {
    /// Columns of the durations.
    pub(crate) const RIGHT: u16 = 9;
}

impl Panel {
    const fn new(area: Rect, low: bool) -> Self {
        if low {
            return Self {
                title: None,
                inner: area,
            };
        }
        let (title, inner) = cut_top(area, 1);
        Self {
            title: Some(title),
            inner,
        }
    }

    /// The panel with its title.
    pub(crate) fn whole(self) -> Rect {
        self.title
            .map_or(self.inner, |title| title.union(self.inner))
    }

    pub(crate) fn contains(self, x: u16, y: u16) -> bool {
        let area = self.whole();
        (area.x..area.right()).contains(&x) && (area.y..area.bottom()).contains(&y)
    }
}

const fn cut_top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = if height < area.height {
        height
    } else {
        area.height
    };
    let top = Rect { height, ..area };
    let rest = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (top, rest)
}

const fn cut_bottom(area: Rect, height: u16) -> (Rect, Rect) {
    let height = if height < area.height {
        height
    } else {
        area.height
    };
    cut_top(area, area.height - height)
}

/// What is left of a column, which becomes a line between the two, and what is right of it.
const fn cut_left(area: Rect, width: u16) -> (Rect, Rect) {
    let width = if width < area.width {
        width
    } else {
        area.width
    };
    let left = Rect {
        width: width.saturating_sub(1),
        ..area
    };
    let right = Rect {
        x: area.x + width,
        width: area.width - width,
        ..area
    };
    (left, right)
}

pub(crate) fn text_width(text: &str) -> u16 {
    u16::try_from(longshore_trace::text::width(text)).unwrap_or(u16::MAX)
}
