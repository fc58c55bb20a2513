//! Jobs that no worker had yet.

use longshore_core::{Job, JobState};
use longshore_instrument::table::name;

use super::{CHARGE, LABEL, Subject, ago, label};
use crate::tale::Tale;

const REMINDER: Subject = Subject {
    id: "0196-remind-1",
    queue: "orders",
    kind: "remind",
    trace: 0xbbbb_0000_0000_4000_8000_0000_0000_0001,
    age: 500,
};

/// A reminder that was enqueued a moment ago, due in so many milliseconds.
fn reminder(due: i64) -> Tale {
    let mut job = REMINDER.record(JobState::Scheduled, &[]);
    job.available_at = ago(-due);
    Tale {
        spans: vec![REMINDER.span(1, None, name::ENQUEUE, (0, 900))],
        record: job,
        others: Vec::new(),
    }
}

/// The record of a label that no worker had yet, due in so many milliseconds.
pub(crate) fn waiting_label(due: i64) -> Job {
    label_of(LABEL, due)
}

fn label_of(label: Subject, due: i64) -> Job {
    let state = match due {
        ..=0 => JobState::Available,
        _ => JobState::Scheduled,
    };
    let mut job = label.record(state, &[]);
    job.available_at = ago(-due);
    job
}

/// Tells of a label that the charge enqueued and of a reminder, each due in so many milliseconds.
pub(crate) fn tell_of_waiting(
    tales: &mut Vec<Tale>,
    label_due: Option<i64>,
    reminder_due: Option<i64>,
) {
    if let Some(due) = reminder_due {
        let mut tale = reminder(due);
        let label = Subject {
            trace: REMINDER.trace,
            ..LABEL
        };
        tale.others
            .extend(label_due.map(|due| label_of(label, due)));
        tales.insert(0, tale);
    }
    let Some(due) = label_due else {
        return;
    };
    let charge = tales.iter_mut();
    for tale in charge.filter(|tale| tale.trace() == CHARGE.trace_id()) {
        tale.spans.extend(label().into_iter().take(1));
        tale.others.push(waiting_label(due));
    }
}
