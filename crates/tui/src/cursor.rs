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
        let (half, page) = (height / 2, height.saturating_sub(1));
        match step {
            Move::Up => self.at = self.at.saturating_sub(1),
            Move::Down => self.at += 1,
            Move::HalfUp => self.turn(false, half),
            Move::HalfDown => self.turn(true, half),
            Move::PageUp => self.turn(false, page),
            Move::PageDown => self.turn(true, page),
            Move::Top => self.at = 0,
            Move::Bottom => self.at = len,
        }
        self.at = self.at.min(len.saturating_sub(1));
        self.follow(len, height);
    }

    /// Moves it, and what is shown with it.
    fn turn(&mut self, down: bool, lines: usize) {
        let lines = lines.max(1);
        let by = |line: usize| match down {
            true => line + lines,
            false => line.saturating_sub(lines),
        };
        (self.at, self.top) = (by(self.at), by(self.top));
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
        assert_eq!(cursor, Cursor { at: 94, top: 85 });
        cursor.scroll(false, 100, 10);
        assert_eq!(cursor, Cursor { at: 91, top: 82 });
        cursor.follow(3, 10);
        assert_eq!(cursor, Cursor { at: 2, top: 0 });
        cursor.step(Move::Down, 0, 10);
        assert_eq!(cursor, Cursor { at: 0, top: 0 });
    }

    #[test]
    fn a_page_further_down_begins_where_the_one_before_ended() {
        let mut cursor = Cursor::default();
        cursor.step(Move::PageDown, 30, 10);
        assert_eq!(cursor, Cursor { at: 9, top: 9 });
        cursor.step(Move::PageDown, 30, 10);
        assert_eq!(cursor, Cursor { at: 18, top: 18 });
        cursor.step(Move::PageDown, 30, 10);
        assert_eq!(cursor, Cursor { at: 27, top: 20 });
        cursor.step(Move::PageUp, 30, 10);
        assert_eq!(cursor, Cursor { at: 18, top: 11 });
        // What fits moves no further.
        cursor.step(Move::PageDown, 5, 10);
        assert_eq!(cursor, Cursor { at: 4, top: 0 });
    }
}
