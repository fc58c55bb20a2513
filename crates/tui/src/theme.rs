//! Colours and signs. Colour never says anything alone: a sign or a word says it too.

use ratatui::style::{Color, Modifier, Style};

/// Which colours to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// For light text on a dark ground.
    #[default]
    Dark,
    /// For dark text on a light ground.
    Light,
    /// None: bold, dim and inverse alone.
    Plain,
}

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    palette: Palette,
    unicode: bool,
}

/// What something is, from which its look follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Strong,
    Dim,
    Rule,
    /// The title of the panel that has the cursor.
    Active,
    Key,
    Error,
    Warning,
    Good,
    Enqueue,
    Wait,
    Attempt,
    Handler,
    Settle,
    /// The spans of a service, by its index.
    Service(u32),
    Banner,
}

impl Theme {
    /// A theme of a palette; without `unicode`, of ASCII characters alone.
    #[must_use]
    pub const fn new(palette: Palette, unicode: bool) -> Self {
        Self { palette, unicode }
    }

    pub(crate) const fn unicode(self) -> bool {
        self.unicode
    }

    /// Whether cells may be drawn in inverse video without looking as if they were selected.
    pub(crate) fn inverse(self) -> bool {
        self.unicode && self.palette != Palette::Plain
    }

    pub(crate) const fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    pub(crate) const fn more(self) -> &'static str {
        self.pick("…", "~")
    }

    pub(crate) fn style(self, role: Role) -> Style {
        let style = Style::new();
        let color = match self.palette {
            Palette::Dark => dark(role),
            Palette::Light => light(role),
            Palette::Plain => None,
        };
        let style = match color {
            Some(color) => style.fg(color),
            None => style,
        };
        let plain = self.palette == Palette::Plain;
        match role {
            Role::Strong | Role::Active => style.add_modifier(Modifier::BOLD),
            Role::Error if plain => style.add_modifier(Modifier::BOLD),
            Role::Key if plain => style.add_modifier(Modifier::UNDERLINED),
            Role::Dim | Role::Rule if plain => style.add_modifier(Modifier::DIM),
            Role::Banner => style.add_modifier(Modifier::REVERSED),
            _ => style,
        }
    }

    /// What is added to the line that has the cursor.
    pub(crate) fn selected(self, active: bool) -> Style {
        let style = Style::new();
        match (self.palette, active) {
            (Palette::Dark, true) => style.bg(Color::Indexed(238)),
            (Palette::Dark, false) => style.bg(Color::Indexed(235)),
            (Palette::Light, true) => style.bg(Color::Indexed(252)),
            (Palette::Light, false) => style.bg(Color::Indexed(255)),
            (Palette::Plain, true) => style.add_modifier(Modifier::REVERSED),
            (Palette::Plain, false) => style.add_modifier(Modifier::UNDERLINED),
        }
    }
}

const fn dark(role: Role) -> Option<Color> {
    Some(match role {
        Role::Plain | Role::Strong => return None,
        Role::Dim => Color::Indexed(245),
        Role::Rule => Color::Indexed(240),
        Role::Active | Role::Enqueue => Color::Cyan,
        Role::Key => Color::LightCyan,
        Role::Error => Color::LightRed,
        Role::Warning | Role::Wait | Role::Banner => Color::Yellow,
        Role::Good => Color::Green,
        Role::Attempt => Color::Indexed(33),
        Role::Handler => Color::Indexed(75),
        Role::Settle => Color::Magenta,
        Role::Service(index) => service(index, DARK),
    })
}

const fn light(role: Role) -> Option<Color> {
    Some(match role {
        Role::Plain | Role::Strong => return None,
        Role::Dim => Color::Indexed(242),
        Role::Rule => Color::Indexed(248),
        Role::Active | Role::Key | Role::Enqueue => Color::Indexed(30),
        Role::Error => Color::Indexed(160),
        Role::Warning | Role::Wait | Role::Banner => Color::Indexed(130),
        Role::Good => Color::Indexed(28),
        Role::Attempt => Color::Indexed(25),
        Role::Handler => Color::Indexed(32),
        Role::Settle => Color::Indexed(90),
        Role::Service(index) => service(index, LIGHT),
    })
}

/// Colours of services in the order in which a trace names them, so that few of them never meet.
const DARK: [u8; 8] = [71, 172, 140, 37, 179, 168, 109, 143];
const LIGHT: [u8; 8] = [28, 130, 97, 30, 94, 125, 24, 58];

const fn service(index: u32, colors: [u8; 8]) -> Color {
    let [a, b, c, d, e, f, g, h] = colors;
    Color::Indexed(match index % 8 {
        0 => a,
        1 => b,
        2 => c,
        3 => d,
        4 => e,
        5 => f,
        6 => g,
        _ => h,
    })
}
