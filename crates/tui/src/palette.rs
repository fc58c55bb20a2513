//! What can be done, found by its name in the table of bindings.

use crate::binding::{self, Action, BINDINGS, Binding, Place};

/// Columns of the list with its frame, where there is room for them.
pub(crate) const WIDE: u16 = 90;

/// Lines within the frame that are no entries: what is typed, a blank one, and two for what the
/// chosen entry does.
pub(crate) const AROUND: u16 = 5;

/// Something that can be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) binding: &'static Binding,
    /// Where it can be done, if not where the cursor is.
    pub(crate) elsewhere: Option<Place>,
}

/// What can be done that `typed` may mean: what is called so first, then what is about it; what can
/// be done where the cursor is before what can be done elsewhere.
pub(crate) fn found(place: Place, typed: &str) -> Vec<Entry> {
    let typed = typed.trim().to_lowercase();
    let mut entries: Vec<(usize, Entry)> = Vec::new();
    let elsewhere = BINDINGS.iter().filter_map(|binding| {
        let place = *binding.places.first()?;
        Some((binding, Some(place)))
    });
    // What is of this place comes before what can be done anywhere.
    let (own, anywhere): (Vec<_>, Vec<_>) =
        binding::here(place).partition(|binding| !binding.places.is_empty());
    let here = own.into_iter().chain(anywhere);
    for (binding, elsewhere) in here.map(|binding| (binding, None)).chain(elsewhere) {
        let action = binding.action;
        let known = entries
            .iter()
            .any(|(_, entry)| entry.binding.action == action);
        if known || action == Action::Palette {
            continue;
        }
        if let Some(rank) = rank(binding, &typed) {
            entries.push((rank, Entry { binding, elsewhere }));
        }
    }
    entries.sort_by_key(|(rank, entry)| (*rank, entry.elsewhere.is_some()));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// How well what was typed fits: the lower, the better.
fn rank(binding: &Binding, typed: &str) -> Option<usize> {
    let name = binding.action.name();
    let about = binding.about.to_lowercase();
    let begins = |text: &str| text.split(['-', ' ']).any(|word| word.starts_with(typed));
    let mut words = typed.split_whitespace();
    if name.starts_with(typed) {
        Some(0)
    } else if begins(name) {
        Some(1)
    } else if begins(&about) {
        Some(2)
    } else if words.all(|word| name.contains(word) || about.contains(word)) {
        Some(3)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own_and_can_be_found_from_anywhere() {
        for binding in BINDINGS {
            let name = binding.action.name();
            if binding.action == Action::Palette {
                continue;
            }
            for place in [Place::Traces, Place::Job, Place::Bars, Place::Schedules] {
                let first = found(place, name).into_iter().next().unwrap();
                assert_eq!(first.binding.action, binding.action, "{name}");
            }
        }
    }

    #[test]
    fn what_is_called_so_comes_before_what_is_about_it_and_here_before_elsewhere() {
        let names = |place, typed| -> Vec<&str> {
            let found = found(place, typed);
            found
                .iter()
                .map(|entry| entry.binding.action.name())
                .collect()
        };
        assert_eq!(names(Place::Schedules, "r")[0], "run-now");
        assert_eq!(names(Place::Traces, "r")[0], "related");
        assert_eq!(names(Place::Traces, "run")[0], "run-now");
        assert_eq!(names(Place::Schedules, "once")[0], "run-now");
        assert!(names(Place::Traces, "failure").contains(&"next-failure"));
        assert!(names(Place::Traces, "no such thing").is_empty());
    }
}
