//! Where the cursor is in a list, and from where on the list is shown.

use crate::binding::Move;

/// A line of a list, and the first line that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) at: usize,
    pub(crate) top: usize,
}

impl Cursor {
    /// Moves it in a list of `len` lines of which `height` are shown.
    pub(crate) fn step(&mut self, step: Move, len: usize, height: usize) {
        let half = (height / 2).max(1);
        let last = len.saturating_sub(1);
        self.at = match step {
            Move::Up => self.at.saturating_sub(1),
            Move::Down => self.at + 1,
            Move::HalfUp => self.at.saturating_sub(half),
            Move::HalfDown => self.at + half,
            Move::Top => 0,
            Move::Bottom => last,
        }
        .min(last);
        self.follow(len, height);
    }

    /// Keeps it within the list and in sight.
    pub(crate) fn follow(&mut self, len: usize, height: usize) {
        self.at = self.at.min(len.saturating_sub(1));
        self.top = self.top.min(self.at);
        if height > 0 && self.at >= self.top + height {
            self.top = self.at + 1 - height;
        }
        self.top = self.top.min(len.saturating_sub(height));
    }

    /// Moves what is shown by lines, and the cursor only as far as it must.
    pub(crate) fn scroll(&mut self, down: bool, len: usize, height: usize) {
        const STEP: usize = 3;
        let most = len.saturating_sub(height);
        self.top = match down {
            true => (self.top + STEP).min(most),
            false => self.top.saturating_sub(STEP),
        };
        let last = (self.top + height).saturating_sub(1);
        self.at = self.at.clamp(self.top, last.max(self.top));
        self.follow(len, height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_in_the_list_and_in_sight() {
        let mut cursor = Cursor::default();
        cursor.step(Move::Bottom, 100, 10);
        assert_eq!(cursor, Cursor { at: 99, top: 90 });
        cursor.step(Move::HalfUp, 100, 10);
        assert_eq!(cursor, Cursor { at: 94, top: 90 });
        cursor.scroll(false, 100, 10);
        assert_eq!(cursor, Cursor { at: 94, top: 87 });
        cursor.follow(3, 10);
        assert_eq!(cursor, Cursor { at: 2, top: 0 });
        cursor.step(Move::Down, 0, 10);
        assert_eq!(cursor, Cursor { at: 0, top: 0 });
    }
}
