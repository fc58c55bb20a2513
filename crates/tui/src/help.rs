//! The help page, made from the table of bindings.

use crate::binding::{self, BINDINGS, Binding, Place};
use crate::page::wrap;

/// Columns of the page and its frame, where there is room for them.
pub(crate) const WIDE: u16 = 84;

/// A line of the help page: keys and what they do, or a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) label: String,
    /// Empty in a heading.
    pub(crate) about: String,
}

/// Columns of the keys on a page of this width.
pub(crate) const fn label_width(width: u16) -> u16 {
    if width < 50 { 9 } else { 14 }
}

/// What the keys do, those of a place first, wrapped for a page of this width.
pub(crate) fn page(place: Place, width: u16, unicode: bool) -> Vec<Line> {
    let (own, everywhere): (Vec<_>, Vec<_>) =
        binding::here(place).partition(|binding| !binding.places.is_empty());
    let elsewhere = BINDINGS
        .iter()
        .filter(|binding| !binding.places.is_empty() && !binding.places.contains(&place));
    let chapters = [
        (place.title(), own),
        ("Everywhere", everywhere),
        ("On other screens", elsewhere.collect()),
    ];
    let room = usize::from(width.saturating_sub(label_width(width)));
    let mut lines = Vec::new();
    for (heading, bindings) in chapters {
        lines.push(Line {
            label: heading.to_owned(),
            about: String::new(),
        });
        for binding in bindings {
            keys(binding, room, unicode, &mut lines);
        }
    }
    lines
}

fn keys(binding: &Binding, room: usize, unicode: bool, lines: &mut Vec<Line>) {
    let mut label = format!(" {}", binding::labels(binding, unicode));
    for about in wrap(binding.about, room, unicode) {
        lines.push(Line {
            label: std::mem::take(&mut label),
            about,
        });
    }
}
