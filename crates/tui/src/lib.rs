//! The terminal UI of Longshore: traces, jobs, queues, workers and schedules, as they are now.
//!
//! [`State`] is all that is known and shown. [`update()`] changes it by events and says what is
//! to be done; [`draw`] turns it into a picture; neither looks at the world. [`run`] does: it reads
//! keys, asks a [`Backend`](longshore_api::Backend), and writes to the terminal.
//!
//! ```
//! use longshore_core::Timestamp;
//! use longshore_tui::{Event, Key, Options, Palette, State, Theme, draw, update};
//! use ratatui::{buffer::Buffer, layout::Rect};
//!
//! let mut state = State::new(Options::default(), Timestamp::default(), (120, 40));
//! update(&mut state, Event::Key(Key::Char('2')));
//! let mut picture = Buffer::empty(Rect::new(0, 0, 120, 40));
//! draw(&state, &Theme::new(Palette::Dark, true), &mut picture);
//! assert_eq!(picture[(1, 0)].symbol(), "l");
//! ```

pub mod apm;
mod ask;
mod binding;
mod cursor;
mod details;
mod find;
mod help;
mod job_page;
mod key;
mod layout;
mod page;
mod palette;
mod prepared;
mod rows;
mod runtime;
mod state;
mod terminal;
mod theme;
mod trace_id;
mod typed;
mod update;
mod view;

pub use ask::{Answer, Ask};
pub use key::Key;
pub use prepared::Prepared;
pub use runtime::{Host, run};
pub use state::{Options, State};
pub use theme::{Palette, Theme};
pub use trace_id::find_trace_id;
pub use update::{Effect, Event, Mouse, MouseKind, update};
pub use view::draw;
