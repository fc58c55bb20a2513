//! The UI without a terminal: keys go in, pictures come out, answers come at once.

use std::time::Duration;

use longshore_core::Timestamp;
use longshore_tui::{
    Ask, Effect, Event, Key, Mouse, MouseKind, Options, Palette, State, Theme, draw, update,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use crate::backend::Shop;
use crate::shop::NOW;

/// The UI on a backend.
pub(crate) struct Stage {
    pub(crate) shop: Shop,
    state: State,
    now: Timestamp,
    size: (u16, u16),
    /// What was asked.
    pub(crate) asked: Vec<Ask>,
    /// What was done besides asking.
    pub(crate) done: Vec<Effect>,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub(crate) fn new(size: (u16, u16)) -> Self {
        Self::with(Shop::default(), Options::default(), size)
    }

    pub(crate) fn with(shop: Shop, options: Options, size: (u16, u16)) -> Self {
        let mut stage = Self {
            shop,
            state: State::new(options, NOW, size),
            now: NOW,
            size,
            asked: Vec::new(),
            done: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        };
        stage.wait(1);
        stage
    }

    /// Lets tenths of a second go by.
    pub(crate) fn wait(&mut self, tenths: u32) {
        for _ in 0..tenths {
            self.now = self.now.after(Duration::from_millis(100));
            self.send(Event::Tick(self.now));
        }
    }

    /// Presses keys, by their names between blanks, and lets a moment go by after each.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        for name in keys.split_whitespace() {
            // A name of no key is keys one after the other.
            let keys = match Key::parse(name) {
                Some(key) => vec![key],
                None => name.chars().map(Key::Char).collect(),
            };
            for key in keys {
                self.send(Event::Key(key));
            }
            self.wait(2);
        }
        self
    }

    /// Types a text, letter by letter.
    pub(crate) fn write(&mut self, text: &str) -> &mut Self {
        for letter in text.chars() {
            self.send(Event::Key(Key::Char(letter)));
        }
        self
    }

    pub(crate) fn paste(&mut self, text: &str) -> &mut Self {
        self.send(Event::Paste(text.to_owned()));
        self.wait(2);
        self
    }

    pub(crate) fn click(&mut self, x: u16, y: u16) -> &mut Self {
        let kind = MouseKind::Click;
        self.send(Event::Mouse(Mouse { kind, x, y }));
        self.wait(2);
        self
    }

    pub(crate) fn resize(&mut self, width: u16, height: u16) -> &mut Self {
        self.size = (width, height);
        self.send(Event::Resize(width, height));
        self
    }

    /// How often something was asked since this was called last.
    pub(crate) fn count(&mut self, which: impl Fn(&Ask) -> bool) -> usize {
        let asked = std::mem::take(&mut self.asked);
        asked.iter().filter(|ask| which(ask)).count()
    }

    fn send(&mut self, event: Event) {
        let mut effects = update(&mut self.state, event);
        let mut rounds = 0;
        while !effects.is_empty() {
            rounds += 1;
            assert!(rounds < 50, "it asks without end: {effects:?}");
            let mut next = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Ask(ticket, ask) => {
                        self.asked.push(ask.clone());
                        let answer = self.runtime.block_on(ask.put(&self.shop));
                        let event = Event::Answer(ticket, Box::new(answer));
                        next.extend(update(&mut self.state, event));
                    }
                    other => self.done.push(other),
                }
            }
            effects = next;
        }
    }

    pub(crate) fn buffer(&self, palette: Palette, unicode: bool) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        draw(&self.state, &Theme::new(palette, unicode), &mut buffer);
        buffer
    }

    /// The picture as text; the line with the cursor begins with `»`.
    pub(crate) fn picture(&self) -> String {
        let buffer = self.buffer(Palette::Plain, true);
        let mut text = String::new();
        for y in 0..self.size.1 {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..self.size.0 {
                let symbol = buffer[(x, y)].symbol();
                if skip == 0 {
                    line.push_str(symbol);
                    skip = longshore_trace::text::width(symbol).max(1);
                }
                skip -= 1;
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The line of the picture that looks selected and holds this text.
    pub(crate) fn is_selected(&self, text: &str) -> bool {
        let buffer = self.buffer(Palette::Plain, true);
        let picture = self.picture();
        let mut lines = picture.lines().zip(0..);
        lines.any(|(line, y)| {
            let marked = |x: u16| buffer[(x, y)].modifier.contains(Modifier::REVERSED);
            line.contains(text) && (0..self.size.0).filter(|x| marked(*x)).count() > 8
        })
    }

    pub(crate) fn shows(&self, text: &str) -> bool {
        self.picture().contains(text)
    }
}
