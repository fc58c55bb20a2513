//! The loop that runs: events in, effects out, pictures in between.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_api::Backend;
use longshore_core::Clock;
use ratatui::crossterm::event::{self, Event as Input, MouseButton, MouseEventKind};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::key::Key;
use crate::state::{Options, State};
use crate::terminal::{self, Screen};
use crate::theme::Theme;
use crate::update::{Effect, Event, Mouse, MouseKind, update};
use crate::view;

/// How often the state is told the time.
const TICK: Duration = Duration::from_millis(100);

/// How often the picture is drawn though nothing happens: each age on it turns at its own moment.
const BEAT_MILLIS: i64 = 250;

/// How long the thread that reads keys waits before it looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// So many letters at once nobody types.
const LEAST_PASTED: usize = 8;

/// Most events and answers that wait to be taken in.
const WAITING: usize = 1_024;

/// What surrounds the UI.
#[derive(Clone, Debug)]
pub struct Host {
    /// How it looks.
    pub theme: Theme,
    /// Whether the terminal is tmux's, through which copied text must be handed.
    pub tmux: bool,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

/// Shows the UI on this terminal until the person quits.
///
/// # Errors
/// The terminal cannot be taken over or drawn on.
pub async fn run(backend: Arc<dyn Backend>, options: Options, host: Host) -> io::Result<()> {
    let mut screen = Screen::take()?;
    let size = screen.terminal.size()?;
    let now = host.clock.now();
    let options = Options {
        ascii: !host.theme.unicode(),
        ..options
    };
    let mut state = State::new(options, now, (size.width, size.height));
    let (sender, mut events) = mpsc::channel(WAITING);
    let reader = Reader::start(sender.clone());
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut beat = 0;
    paint(&mut screen, &state, host.theme)?;
    loop {
        let (event, tick) = tokio::select! {
            event = events.recv() => match event {
                Some(event) => (event, false),
                None => break,
            },
            _ = ticks.tick() => (Event::Tick(host.clock.now()), true),
        };
        let mut effects = update(&mut state, event);
        let mut quiet = tick && effects.is_empty();
        // What came in together is shown together.
        while let Ok(event) = events.try_recv() {
            quiet = false;
            effects.extend(update(&mut state, event));
        }
        for effect in effects {
            if effect == Effect::Quit {
                drop(reader);
                return Ok(());
            }
            perform(effect, &backend, &sender, &host)?;
        }
        let now = host.clock.now().unix_millis() / BEAT_MILLIS;
        if !quiet || state.is_moving() || now != beat {
            beat = now;
            paint(&mut screen, &state, host.theme)?;
        }
    }
    drop(reader);
    Ok(())
}

fn paint(screen: &mut Screen, state: &State, theme: Theme) -> io::Result<()> {
    let mut pieces = Vec::new();
    screen.terminal.draw(|frame| {
        let buffer = frame.buffer_mut();
        view::draw(state, &theme, buffer);
        if let Some(url) = state.link() {
            pieces = view::link_on(state, url, theme);
        }
    })?;
    match state.link() {
        Some(url) => terminal::link(url, &pieces),
        None => Ok(()),
    }
}

fn perform(
    effect: Effect,
    backend: &Arc<dyn Backend>,
    sender: &mpsc::Sender<Event>,
    host: &Host,
) -> io::Result<()> {
    match effect {
        Effect::Ask(ticket, ask) => {
            let (backend, sender) = (Arc::clone(backend), sender.clone());
            tokio::spawn(async move {
                let answer = ask.put(&*backend).await;
                // Nobody waits for it any more if this fails.
                let _ = sender.send(Event::Answer(ticket, Box::new(answer))).await;
            });
        }
        Effect::Copy(text) => terminal::copy(&text, host.tmux)?,
        Effect::Browse(url) => browse(&url),
        Effect::Quit => {}
    }
    Ok(())
}

/// Starts the person's browser. The address is on the screen too, should there be none.
fn browse(url: &str) {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut command = std::process::Command::new(program);
    command.arg(url);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        // Waited for, so that it does not stay behind as a zombie.
        std::thread::spawn(move || child.wait());
    }
}

/// The thread that reads keys and the mouse, until it is dropped.
struct Reader {
    stop: Arc<AtomicBool>,
}

impl Reader {
    fn start(sender: mpsc::Sender<Event>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match event::poll(LOOK) {
                    Ok(false) => continue,
                    Ok(true) => {}
                    Err(_) => return,
                }
                let Some(burst) = read_burst() else {
                    return;
                };
                let mut events = pasted(burst).into_iter();
                if events.any(|event| sender.blocking_send(event).is_err()) {
                    return;
                }
            }
        });
        Self { stop }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What is there all at once; nothing if the terminal is gone.
fn read_burst() -> Option<Vec<Event>> {
    let mut burst = Vec::new();
    loop {
        burst.extend(translate(event::read().ok()?));
        let is_more = matches!(event::poll(Duration::ZERO), Ok(true));
        if !is_more || burst.len() >= WAITING {
            return Some(burst);
        }
    }
}

/// What came all at once, with every run of letters too long to be keys as the text that a terminal
/// pasted without saying so. A key that is held down repeats itself, and is no text.
fn pasted(events: Vec<Event>) -> Vec<Event> {
    let mut told = Vec::with_capacity(events.len());
    let mut letters = String::new();
    for event in events {
        match event {
            Event::Key(Key::Char(letter)) => letters.push(letter),
            other => {
                told.extend(keys_or_text(&mut letters));
                told.push(other);
            }
        }
    }
    told.extend(keys_or_text(&mut letters));
    told
}

fn keys_or_text(letters: &mut String) -> Vec<Event> {
    let text = std::mem::take(letters);
    let is_one_key = text.chars().all(|letter| text.starts_with(letter));
    if text.chars().count() >= LEAST_PASTED && !is_one_key {
        return vec![Event::Paste(text)];
    }
    text.chars().map(Key::Char).map(Event::Key).collect()
}

/// What the terminal tells, if it concerns us.
fn translate(input: Input) -> Option<Event> {
    match input {
        Input::Key(key) => Key::of(key).map(Event::Key),
        Input::Paste(text) => Some(Event::Paste(text)),
        Input::Resize(width, height) => Some(Event::Resize(width, height)),
        Input::Mouse(mouse) => {
            let kind = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => MouseKind::Click,
                MouseEventKind::ScrollUp => MouseKind::WheelUp,
                MouseEventKind::ScrollDown => MouseKind::WheelDown,
                _ => return None,
            };
            Some(Event::Mouse(Mouse {
                kind,
                x: mouse.column,
                y: mouse.row,
            }))
        }
        Input::FocusGained | Input::FocusLost => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(keys: &str) -> Vec<Event> {
        pasted(keys.chars().map(Key::Char).map(Event::Key).collect())
    }

    #[test]
    fn letters_that_come_all_at_once_are_a_text_and_not_keys() {
        let id = "0196f3c2-77aa";
        assert!(matches!(told(id).as_slice(), [Event::Paste(text)] if text == id));
        assert_eq!(told("2sT").len(), 3);
        assert_eq!(told("jjjjjjjjjjjj").len(), 12);
        let mut keys: Vec<Event> = id.chars().map(Key::Char).map(Event::Key).collect();
        keys.push(Event::Key(Key::Enter));
        let told = pasted(keys);
        assert!(matches!(
            told.as_slice(),
            [Event::Paste(_), Event::Key(Key::Enter)]
        ));
    }
}
