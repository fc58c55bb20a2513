//! A scenario that is cut short at each of its points in turn.

use std::panic::{RefUnwindSafe, catch_unwind};
use std::sync::Arc;

use longshore::Store;
use longshore_testkit::way::Around;

use crate::clock::SimulatedClock;
use crate::echo::Echo;
use crate::process::{self, Death, End, Stage, Stepped, UnderWay};
use crate::subject::Kind;
use crate::{chosen, is_all};

/// Where a process dies, and how; nowhere, if it is to live.
pub(crate) type Dies = Option<(u64, Death)>;

/// The calls to the store that were cut short, over all points.
pub(crate) struct Cut {
    calls: UnderWay,
    /// Whether nobody chose some of the points alone.
    is_whole: bool,
}

impl Cut {
    /// These calls, and perhaps others, were cut short before their effect, and after.
    pub(crate) fn includes(&self, calls: &[&'static str]) {
        for call in calls.iter().filter(|_| self.is_whole) {
            for stage in [Stage::NotBegun, Stage::DoneNotAnswered] {
                assert!(self.calls.contains(&(call, stage)), "{call}, {stage}");
            }
        }
    }

    /// These calls were, and no others.
    pub(crate) fn is_of(&self, calls: &[&'static str]) {
        self.includes(calls);
        let others = self.calls.iter().filter(|(call, _)| !calls.contains(call));
        let others: Vec<_> = others.collect();
        assert!(others.is_empty(), "{others:?} were cut short, too");
    }
}

/// Plays a scenario once to count its points, and then with a death after each of them.
pub(crate) fn crash_everywhere(
    variable: &str,
    kind: Kind,
    death: Death,
    play: impl Fn(Dies) -> End + RefUnwindSafe,
) -> Cut {
    let count = play(None).points;
    let die_at = |point| play(Some((point, death)));
    crash_at_each(variable, kind, count, die_at)
}

/// Plays with a death after each of so many points, or of those that the variable names.
pub(crate) fn crash_at_each(
    variable: &str,
    kind: Kind,
    count: u64,
    play: impl Fn(u64) -> End + RefUnwindSafe,
) -> Cut {
    assert!(count > 0);
    let points = match is_all(variable) {
        true => (0..count).collect(),
        false => chosen(variable, (0..count).step_by(kind.step(count))),
    };
    let mut cut = Cut {
        calls: UnderWay::new(),
        is_whole: points.len() as u64 == count,
    };
    for point in points {
        let ended = catch_unwind(|| play(point));
        let Ok(End { died, points }) = ended else {
            panic!("point {point} fails; {variable}={point} runs it again");
        };
        let died = died.unwrap_or_else(|| panic!("there are only {points} points"));
        cut.calls.extend(died);
    }
    cut
}

/// A process that lives on its own way to a store until its death, or its end.
pub(crate) fn mortal<F>(
    store: Arc<dyn Store>,
    clock: &SimulatedClock,
    dies: Dies,
    life: impl FnOnce(Arc<dyn Store>) -> F,
) -> End
where
    F: Future<Output = ()> + Send + 'static,
{
    let echo = Arc::new(Around::through(store, Echo::default()));
    let way = Stepped::new(echo.clone());
    let store = Arc::new(Around::through(echo, way.clone()));
    process::live(life(store), clock, &way, dies)
}
