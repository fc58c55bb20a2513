//! What keys do: one table, from which the hint bar and the help screen come too.

mod name;
mod table;

pub(crate) use table::BINDINGS;

use crate::key::Key;

/// What a person wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Quit,
    Help,
    Palette,
    Show(Tab),
    Back,
    Move(Move),
    Open,
    NextPanel,
    PreviousPanel,
    Search,
    Freeze,
    Fold,
    Unfold,
    FoldAll,
    UnfoldAll,
    NextError,
    PreviousError,
    NextFinding,
    CriticalPath,
    Gaps,
    ZoomIn,
    ZoomOut,
    Earlier,
    Later,
    Clocks,
    Details,
    OpenInApm,
    CopyTrace,
    Find,
    FindNext,
    FindPrevious,
    HideService,
    ShowServices,
    Order,
    CopyLink,
    CopyLine,
    Related,
    Holder,
    TraceView,
    FilterByTrace,
    Mark,
    MarkGroup,
    Diff,
    Retry,
    Cancel,
    Discard,
    Pause,
    Trigger,
    State,
    Bars,
    Kind,
    Times,
}

/// A step of the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    Up,
    Down,
    HalfUp,
    HalfDown,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

/// A screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Tab {
    #[default]
    Traces,
    Jobs,
    Queues,
    Workers,
    Schedules,
}

impl Tab {
    pub(crate) const ALL: [Self; 5] = [
        Self::Traces,
        Self::Jobs,
        Self::Queues,
        Self::Workers,
        Self::Schedules,
    ];

    /// The title where there is little room.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Traces => "Trace",
            Self::Jobs => "Jobs",
            Self::Queues => "Queue",
            Self::Workers => "Work",
            Self::Schedules => "Sched",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Traces => "Traces",
            Self::Jobs => "Jobs",
            Self::Queues => "Queues",
            Self::Workers => "Workers",
            Self::Schedules => "Schedules",
        }
    }
}

/// Where the cursor is, which decides what a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Traces,
    Waterfall,
    Span,
    Jobs,
    Job,
    Queues,
    Bars,
    Workers,
    Schedules,
}

impl Place {
    /// The screen that it is on.
    pub(crate) const fn tab(self) -> Tab {
        match self {
            Self::Traces | Self::Waterfall | Self::Span => Tab::Traces,
            Self::Jobs | Self::Job => Tab::Jobs,
            Self::Queues | Self::Bars => Tab::Queues,
            Self::Workers => Tab::Workers,
            Self::Schedules => Tab::Schedules,
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Traces => "List of traces",
            Self::Waterfall => "Waterfall",
            Self::Span => "Span",
            Self::Jobs => "List of jobs",
            Self::Job => "Job",
            Self::Queues => "Queues",
            Self::Bars => "Bars of a queue",
            Self::Workers => "Workers",
            Self::Schedules => "Schedules",
        }
    }
}

/// What one or more keys do, and where.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Their names, between blanks; `gt` is one key after the other.
    pub(crate) keys: &'static str,
    pub(crate) action: Action,
    /// Where they do it; everywhere if empty.
    pub(crate) places: &'static [Place],
    /// A word for the hint bar; none if it is not shown there.
    pub(crate) hint: &'static str,
    /// What it does, for the help screen.
    pub(crate) about: &'static str,
}

impl Binding {
    /// The word of the hint on a screen of so many columns, shorter where there are few; nothing
    /// if it is left out there.
    pub(crate) fn word(&self, width: u16) -> &'static str {
        match self.action {
            _ if width >= 110 => self.hint,
            Action::Palette if width < 60 => "more",
            Action::OpenInApm => "APM",
            Action::CopyTrace => "copy",
            _ if width >= 60 => self.hint,
            Action::Search
            | Action::Find
            | Action::NextError
            | Action::Times
            | Action::Fold
            | Action::CriticalPath => "",
            _ => self.hint,
        }
    }
}

/// What a key sequence comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Action(Action),
    /// More keys decide.
    Begun,
    Nothing,
}

/// What `key` does in a place, after `before` was pressed.
pub(crate) fn find(place: Place, before: Option<Key>, key: Key) -> Found {
    let mut begun = false;
    for binding in here(place) {
        for name in binding.keys.split(' ') {
            let (first, second) = sequence(name);
            match (before, second) {
                (Some(before), Some(second)) if first == Some(before) && second == key => {
                    return Found::Action(binding.action);
                }
                (None, None) if first == Some(key) => return Found::Action(binding.action),
                (None, Some(_)) if first == Some(key) => begun = true,
                _ => {}
            }
        }
    }
    if begun { Found::Begun } else { Found::Nothing }
}

/// The bindings that hold in a place.
pub(crate) fn here(place: Place) -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .filter(move |binding| binding.places.is_empty() || binding.places.contains(&place))
}

/// The keys of a name: one, or two letters one after the other.
fn sequence(name: &str) -> (Option<Key>, Option<Key>) {
    if let Some(key) = Key::parse(name) {
        return (Some(key), None);
    }
    let mut keys = name.chars().map(Key::Char);
    (keys.next(), keys.next())
}

/// The first key of a binding, as a hint shows it.
pub(crate) fn label(binding: &Binding, unicode: bool) -> String {
    let name = binding.keys.split(' ').next().unwrap_or_default();
    Key::parse(name).map_or_else(|| name.to_owned(), |key| key.label(unicode))
}

/// All keys of a binding.
pub(crate) fn labels(binding: &Binding, unicode: bool) -> String {
    let name =
        |name: &str| Key::parse(name).map_or_else(|| name.to_owned(), |key| key.label(unicode));
    let names: Vec<String> = binding.keys.split(' ').map(name).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::Place::{Jobs, Span, Traces, Waterfall};
    use super::*;

    #[test]
    fn every_key_of_the_table_can_be_pressed() {
        for binding in BINDINGS {
            assert!(!binding.about.is_empty());
            for name in binding.keys.split(' ') {
                let (first, second) = sequence(name);
                assert!(first.is_some(), "{name}");
                assert_eq!(second.is_some(), Key::parse(name).is_none(), "{name}");
            }
        }
    }

    #[test]
    fn two_keys_one_after_the_other_are_one_binding() {
        let g = Key::Char('g');
        assert_eq!(find(Traces, None, g), Found::Begun);
        assert_eq!(
            find(Traces, Some(g), g),
            Found::Action(Action::Move(Move::Top))
        );
        assert_eq!(
            find(Jobs, Some(g), Key::Char('t')),
            Found::Action(Action::FilterByTrace)
        );
        assert_eq!(find(Traces, Some(g), Key::Char('x')), Found::Nothing);
    }

    #[test]
    fn the_same_key_means_what_the_place_says() {
        let enter = Key::Enter;
        assert_eq!(find(Waterfall, None, enter), Found::Action(Action::Details));
        assert_eq!(find(Traces, None, enter), Found::Action(Action::Open));
        assert_eq!(
            find(Waterfall, None, Key::Left),
            Found::Action(Action::Fold)
        );
        assert_eq!(find(Span, None, Key::Left), Found::Action(Action::Back));
    }
}
