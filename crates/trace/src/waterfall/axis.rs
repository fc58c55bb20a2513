//! The time line: round times where they fall, and how long each fold is.

use std::time::Duration;

use super::{Drawing, Glyphs};
use crate::duration;
use crate::text::{Line, Style, fit, width};
use crate::timeline::{Segment, Ticks};

impl Drawing<'_> {
    /// The labels, and the ruler beneath them.
    pub(super) fn axis(&self) -> [Line; 2] {
        let Ticks { labels, marks } = self.timeline.ticks();
        let left = if self.label == 0 { 0 } else { self.label + 1 };
        let mut above = Line::new(self.width);
        // Times are those after the start of what is drawn, if that is not all.
        if let Some(window) = self.waterfall.window.filter(|window| window.from > 0) {
            let from = duration::format(Duration::from_nanos(window.from));
            let from = self.glyphs.duration(&format!("from +{from}"));
            let room = if left == 0 { 0 } else { left - 1 };
            above.push(&fit(&from, room, self.glyphs.more()), Style::Dim);
        }
        for (column, label) in labels {
            above.pad_to(left + column);
            above.push(&self.glyphs.duration(&label), Style::Dim);
        }
        let mut ruler = Line::new(self.width);
        ruler.pad_to(left);
        for segment in self.timeline.segments() {
            if segment.folded {
                ruler.push(&fold(segment, self.glyphs), Style::Plain);
                continue;
            }
            for cell in segment.cell..segment.cell + segment.cells {
                let tick = marks.binary_search(&cell).is_ok();
                let (line, mark) = (self.glyphs.pick("─", "-"), self.glyphs.pick("┬", "+"));
                ruler.push(if tick { mark } else { line }, Style::Dim);
            }
        }
        [above, ruler]
    }
}

/// The mark of a fold: how long it is, if there is room for that.
fn fold(segment: &Segment, glyphs: Glyphs) -> String {
    let length = Duration::from_nanos(segment.time.to - segment.time.from);
    let text = glyphs.duration(&duration::compact(length));
    let inner = segment.cells.saturating_sub(2);
    let text = if width(&text) <= inner {
        text
    } else {
        String::new()
    };
    let (open, close) = (glyphs.pick("╱", "/"), glyphs.pick("╲", "\\"));
    let spare = inner - width(&text);
    let (before, after) = (" ".repeat(spare / 2), " ".repeat(spare.div_ceil(2)));
    format!("{open}{before}{text}{after}{close}")
}
