//! What can be pressed: the hints in the last line, and the tabs in the first.

use super::text_width;
use crate::binding::{self, Action, Tab};
use crate::state::State;

/// Something to press, and the columns where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Button {
    pub(crate) action: Action,
    pub(crate) key: String,
    pub(crate) word: &'static str,
    pub(crate) from: u16,
    pub(crate) to: u16,
}

/// The hints that fit into a line, from left to right.
pub(crate) fn hints(state: &State, width: u16, unicode: bool) -> Vec<Button> {
    let narrow = width < 60;
    let always: &[Action] = match narrow {
        true => &[Action::Back, Action::Palette],
        false => &[Action::Palette, Action::Help, Action::Quit],
    };
    let gap = if narrow { 1 } else { 2 };
    let mut wanted: Vec<(Action, String, &'static str)> = Vec::new();
    for binding in binding::here(state.place()) {
        let known = wanted.iter().any(|(action, ..)| *action == binding.action);
        if binding.action == Action::Holder && state.holder().is_none() {
            continue;
        }
        if !binding.word(width).is_empty() && !known {
            let label = binding::label(binding, unicode);
            wanted.push((binding.action, label, binding.word(width)));
        }
    }
    let (last, first): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|(action, ..)| always.contains(action));
    let size = |key: &str, word: &str| text_width(key) + 1 + text_width(word);
    let kept: u16 = last
        .iter()
        .map(|(_, key, word)| size(key, word) + gap)
        .sum();
    let mut buttons = Vec::new();
    let mut at = u16::from(!narrow);
    for (list, most) in [(first, width.saturating_sub(kept)), (last, width)] {
        for (action, key, word) in list {
            let to = at + size(&key, word);
            if to > most {
                continue;
            }
            buttons.push(Button {
                action,
                key,
                word,
                from: at,
                to,
            });
            at = to + gap;
        }
    }
    buttons
}

/// The tabs, and the columns where each stands.
pub(crate) fn tabs(width: u16) -> Vec<(Tab, String, u16, u16)> {
    let short = width < 60;
    // Where there is little room, the name of the store says more than that of the program.
    let mut at = match width {
        ..60 => 0,
        60..100 => 1,
        _ => 12,
    };
    let mut placed = Vec::new();
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        let title = tab.title();
        let text = match short {
            true => format!(" {} ", tab.short()),
            false => format!(" {} {title} ", index + 1),
        };
        let to = at + text_width(&text);
        placed.push((tab, text, at, to));
        at = to + u16::from(!short);
    }
    placed
}

/// Whether the name of the store fits beside the tabs.
pub(crate) fn tabs_leave_room(width: u16) -> bool {
    const LEAST: u16 = 12;
    let end = tabs(width).last().map_or(0, |(.., to)| *to);
    width >= end + 3 + LEAST
}
