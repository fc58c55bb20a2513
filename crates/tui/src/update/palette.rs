//! What is done by its name.

use crate::binding;
use crate::key::Key;
use crate::layout::Layout;
use crate::palette;
use crate::state::State;
use crate::state::overlay::{Overlay, Palette};

impl State {
    pub(super) fn press_in_palette(&mut self, mut palette: Box<Palette>, key: Key) {
        let entries = palette::found(self.place(), &palette.typed.text);
        let Palette { typed, cursor } = &mut *palette;
        let height = Layout::of(self).entries();
        let step = match key {
            Key::Down | Key::Ctrl('n') => Some(binding::Move::Down),
            Key::Up | Key::Ctrl('p') => Some(binding::Move::Up),
            Key::PageDown => Some(binding::Move::HalfDown),
            Key::PageUp => Some(binding::Move::HalfUp),
            _ => None,
        };
        match key {
            Key::Esc => return,
            Key::Enter => return self.do_entry(&palette, palette.cursor.at),
            Key::Backspace if typed.text.is_empty() => return,
            Key::Tab => {
                if let Some(entry) = entries.get(cursor.at) {
                    *typed = crate::typed::Typed::new(entry.binding.action.name());
                    *cursor = Default::default();
                }
            }
            _ => match step {
                Some(step) => cursor.step(step, entries.len(), height),
                None if typed.edit(key) => *cursor = Default::default(),
                None => {}
            },
        }
        self.overlay = Some(Overlay::Palette(palette));
    }

    /// Does what stands in a line of the list; what is done elsewhere is shown there.
    pub(super) fn do_entry(&mut self, palette: &Palette, at: usize) {
        let entries = palette::found(self.place(), &palette.typed.text);
        let Some(entry) = entries.get(at) else {
            return;
        };
        let binding = entry.binding;
        let Some(place) = entry.elsewhere else {
            return self.act(binding.action);
        };
        self.show(place.tab());
        let key = binding::label(binding, !self.options.ascii);
        self.say(format!("{}, {key}: {}", place.title(), binding.about));
    }
}
