//! The help page, made from the table of bindings.

use crate::binding::{self, BINDINGS, Binding, Place};

/// A line of the help page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    Heading(&'static str),
    Key(&'static Binding),
}

/// What the keys do, those of a place first.
pub(crate) fn lines(place: Place) -> Vec<Line> {
    let (own, everywhere): (Vec<_>, Vec<_>) =
        binding::here(place).partition(|binding| !binding.places.is_empty());
    let mut lines = vec![Line::Heading(place.title())];
    lines.extend(own.into_iter().map(Line::Key));
    lines.push(Line::Heading("Everywhere"));
    lines.extend(everywhere.into_iter().map(Line::Key));
    let elsewhere = BINDINGS
        .iter()
        .filter(|binding| !binding.places.is_empty() && !binding.places.contains(&place));
    lines.push(Line::Heading("On other screens"));
    lines.extend(elsewhere.map(Line::Key));
    lines
}
