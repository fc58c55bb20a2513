//! Clocks of different machines disagree. What was stored is never changed; a chart can be shown as
//! if the clocks agreed.

use longshore_core::Timestamp;

use super::{Chart, Content, Marks, Row};

impl Chart {
    /// The same rows with those moved that lie outside of a parent on another service that waited for
    /// them: together with what hangs under them, by as little as makes them fit, and marked
    /// [`Marks::CORRECTED`]. One that is longer than its parent begins with it.
    ///
    /// What nobody waited for stays where it is: a consumer may well run after its producer's span has
    /// ended, and so may a wait, an attempt and whatever hangs by a link. So does what lies within a
    /// service: one machine has one clock.
    #[must_use]
    pub fn corrected(&self) -> Self {
        let mut chart = self.clone();
        let mut moves: Vec<Move> = Vec::new();
        for index in 0..self.rows.len() {
            let Some(row) = self.rows.get(index) else {
                break;
            };
            while moves.last().is_some_and(|last| index >= last.end) {
                moves.pop();
            }
            let above = chart.rows.get(row.parent as usize).copied();
            let above = above.filter(|_| row.parent as usize != index);
            let mut by = moves.last().map_or(0, |last| last.by);
            if by != 0 && row.marks.has(Marks::ASYNC) {
                by = 0;
                let end = row.subtree_end as usize;
                moves.push(Move { end, by });
            }
            let so_far = moved(*row, by);
            let more = above.map_or(0, |above| misfit(&so_far, &above));
            if more != 0 {
                let end = row.subtree_end as usize;
                moves.push(Move { end, by: by + more });
            }
            if let Some(place) = chart.rows.get_mut(index) {
                *place = moved(so_far, more);
                if by + more != 0 {
                    place.marks = place.marks.with(Marks::CORRECTED);
                }
                let fits =
                    above.is_some_and(|above| place.start >= above.start && place.end <= above.end);
                if more != 0 && fits {
                    place.marks = place.marks.without(Marks::OUTSIDE);
                }
            }
        }
        chart
    }
}

/// By how much rows are moved, up to which index.
struct Move {
    end: usize,
    by: i64,
}

fn moved(mut row: Row, by: i64) -> Row {
    let shift = |at: Timestamp| Timestamp::from_unix_nanos(at.unix_nanos().saturating_add(by));
    (row.start, row.end) = (shift(row.start), shift(row.end));
    row
}

/// By how much a row has to move to lie within its parent.
fn misfit(row: &Row, parent: &Row) -> i64 {
    let spans = row.content == Content::Span && parent.content == Content::Span;
    let open = row.marks.has(Marks::OPEN) || parent.marks.has(Marks::OPEN);
    if !spans || open || row.marks.has(Marks::ASYNC) || row.service == parent.service {
        return 0;
    }
    let late = nanos(row.end).saturating_sub(nanos(parent.end)).max(0);
    let early = nanos(parent.start).saturating_sub(nanos(row.start)).max(0);
    match (early, late) {
        (0, 0) => 0,
        (early, 0) => early,
        // Moved back, but not to before its parent began.
        (0, late) => -late.min(nanos(row.start).saturating_sub(nanos(parent.start))),
        (early, _) => early,
    }
}

const fn nanos(at: Timestamp) -> i64 {
    at.unix_nanos()
}
