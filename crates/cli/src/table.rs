//! Tables of text with aligned columns.

use crate::text::{one_line, tame};

/// Columns between columns.
const GAP: usize = 2;
/// Least width that a column of words is cut to.
const LEAST: usize = 9;

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a head line.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    known: Vec<&'static str>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Whoever reads the table knows what this column says, if it says the same in every row.
    pub(crate) fn known(&mut self, column: &'static str) {
        self.known.push(column);
    }

    /// Appends a row. Cells are shown [`tame`], so that they align and steer nothing.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| tame(&cell));
        self.rows.push(cells.collect());
    }

    /// The lines, head first. Where they do not fit, columns that only say 0, nothing, or what is
    /// known go first, then words are cut, then the last columns go; the first column stays as it is.
    pub(crate) fn lines(&self, most: Option<usize>) -> Vec<String> {
        let all = 0..self.columns.len();
        let mut shown: Vec<Shown> = all.map(|index| self.shown(index)).collect();
        if let Some(most) = most {
            let too_wide = |shown: &[Shown]| total(shown) > most;
            if too_wide(&shown) {
                shown.retain(|column| column.index == 0 || !self.tells_nothing(column.index));
            }
            for column in shown.iter_mut().skip(1) {
                column.width = column.width.min(column.least);
            }
            while shown.len() > 1 && too_wide(&shown) {
                shown.pop();
            }
            grow(&mut shown, most, |index| self.shown(index).width);
        }
        let heads: Vec<String> = self
            .columns
            .iter()
            .map(|(name, _)| (*name).into())
            .collect();
        let rows = std::iter::once(&heads).chain(&self.rows);
        rows.map(|row| line(row, &shown)).collect()
    }

    /// A column as wide as its widest cell.
    fn shown(&self, index: usize) -> Shown {
        let (name, align) = self
            .columns
            .get(index)
            .copied()
            .unwrap_or(("", Align::Left));
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        let width = widest.max(name.chars().count());
        let least = match align {
            Align::Left => name.chars().count().max(LEAST),
            Align::Right => width,
        };
        Shown {
            index,
            align,
            width,
            least,
        }
    }

    fn tells_nothing(&self, index: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(index));
        let Some(first) = cells.next() else {
            return false;
        };
        let name = self.columns.get(index).map_or("", |(name, _)| name);
        let is_plain = first.is_empty() || first == "0" || self.known.contains(&name);
        is_plain && cells.all(|cell| cell == first)
    }
}

/// A column on its way to the screen.
#[derive(Clone, Copy, Debug)]
struct Shown {
    index: usize,
    align: Align,
    width: usize,
    least: usize,
}

/// The width of a line.
fn total(shown: &[Shown]) -> usize {
    shown.iter().map(|column| column.width + GAP).sum::<usize>() - GAP.min(shown.len())
}

/// Gives room that is left to the columns that were cut, from the left.
fn grow(shown: &mut [Shown], most: usize, wanted: impl Fn(usize) -> usize) {
    let mut room = most.saturating_sub(total(shown));
    for column in shown {
        let more = wanted(column.index).saturating_sub(column.width).min(room);
        column.width += more;
        room -= more;
    }
}

fn line(row: &[String], shown: &[Shown]) -> String {
    let cell = |column: &Shown| {
        let text = row.get(column.index).map_or("", String::as_str);
        let (text, width) = (one_line(text, column.width), column.width);
        match column.align {
            Align::Left => format!("{text:<width$}"),
            Align::Right => format!("{text:>width$}"),
        }
    };
    let cells: Vec<String> = shown.iter().map(cell).collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs() -> Table {
        let left = |name| (name, Align::Left);
        let right = |name| (name, Align::Right);
        let columns = [
            left("ID"),
            left("KIND"),
            right("LOST"),
            right("N"),
            left("ERROR"),
        ];
        let mut table = Table::new(&columns);
        let cells = ["0123456789", "charge_the_card", "0", "12", "bank_timeout"];
        table.row(cells.map(str::to_owned));
        table
    }

    #[test]
    fn columns_align() {
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right)]);
        table.row(["mail".to_owned(), "12".to_owned()]);
        table.row(["é".to_owned(), "3".to_owned()]);
        assert_eq!(table.lines(None), ["name   n", "mail  12", "é      3"]);
        assert_eq!(table.lines(Some(8)), table.lines(None));
    }

    #[test]
    fn what_does_not_fit_goes_from_the_least_to_the_most_telling() {
        let row = |most| jobs().lines(most).remove(1);
        let whole = "0123456789  charge_the_card     0  12  bank_timeout";
        assert_eq!(row(None), whole);
        assert_eq!(row(Some(51)), whole);
        assert_eq!(
            row(Some(50)),
            "0123456789  charge_the_card  12  bank_timeout"
        );
        assert_eq!(row(Some(40)), "0123456789  charge_the_c…  12  bank_tim…");
        assert_eq!(row(Some(30)), "0123456789  charge_the_ca…  12");
        assert_eq!(row(Some(5)), "0123456789", "no less than this");
        for most in 10..60 {
            let lines = jobs().lines(Some(most));
            assert!(
                lines.iter().all(|line| line.chars().count() <= most),
                "{most}"
            );
        }
    }

    #[test]
    fn what_is_known_or_empty_goes_first() {
        let mut table = Table::new(&[
            ("ID", Align::Left),
            ("STATE", Align::Left),
            ("LAST", Align::Left),
        ]);
        table.known("STATE");
        table.row(["0123456789", "discarded", "timeout"].map(str::to_owned));
        assert_eq!(table.lines(Some(21))[1], "0123456789  timeout");
        assert_eq!(table.lines(Some(30))[1], "0123456789  discarded  timeout");
        table.row(["0123456789", "running 3 %", ""].map(str::to_owned));
        assert_eq!(table.lines(Some(23))[2], "0123456789  running 3 %");
        let mut table = Table::new(&[
            ("ID", Align::Left),
            ("LAST", Align::Left),
            ("N", Align::Right),
        ]);
        table.row(["0123456789", "", "12"].map(str::to_owned));
        assert_eq!(table.lines(Some(16))[1], "0123456789  12");
    }

    #[test]
    fn cells_steer_no_terminal() {
        let mut table = Table::new(&[("A", Align::Left)]);
        table.row(["a\x1b[2Jb\n".to_owned()]);
        assert_eq!(table.lines(None), ["A", "a·[2Jb·"]);
    }
}
