//! How much of a difference between groups is chance.
#![expect(clippy::unwrap_used, reason = "a broken promise is a failed test")]

use longshore_instrument::table::name;
use longshore_trace::Chart;
use longshore_trace::diff::{Diff, DiffRow, Side};

use crate::recordings;
use crate::shop::{ORDER, at, span};

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    /// A time around this one, in microseconds.
    fn around(&mut self, micros: i64) -> i64 {
        micros / 2 + self.below(micros.max(1))
    }
}

/// Traces of jobs that wait and ask two databases, each for so long on average.
fn side(numbers: &mut Numbers, traces: usize, [wait, first, second]: [i64; 3]) -> Side {
    let mut side = Side::new();
    for _ in 0..traces {
        let wait = numbers.around(wait);
        let (first, second) = (numbers.around(first), numbers.around(second));
        let between = wait + first;
        let end = between + second;
        let spans = [
            ORDER.span(1, None, name::ENQUEUE, -10, 0),
            ORDER.span(2, Some(1), name::DEQUEUE, 0, wait),
            ORDER.attempt(3, Some(1), 1, wait, end),
            span(4, Some(3), "SELECT stock", wait, between),
            span(5, Some(3), "SELECT prices", between, end),
        ];
        side.add(&Chart::of(&spans, &[], at(100_000_000)));
    }
    side
}

fn row<'a>(diff: &'a Diff, called: &str) -> &'a DiffRow {
    let mut rows = diff.rows.iter();
    rows.find(|row| row.path.last().is_some_and(|last| last == called))
        .unwrap()
}

/// 300 ms of 400 ms are what one of the queries takes more.
#[test]
fn what_is_said_holds_for_most_groups() {
    let mut numbers = Numbers(7);
    let (mut delta_holds, mut share_holds) = (0, 0);
    for seed in 0..100 {
        let before = side(&mut numbers, 40, [50_000, 100_000, 100_000]);
        let after = side(&mut numbers, 60, [50_000, 400_000, 200_000]);
        let diff = Diff::of(&before, &after, seed);
        let (least, most) = diff.delta_range_nanos.unwrap();
        assert!(least <= diff.delta_nanos && diff.delta_nanos <= most);
        delta_holds += u32::from((least..=most).contains(&400_000_000));
        let place = row(&diff, "SELECT stock");
        let (least, most) = place.explains_range_percent.unwrap();
        assert!((least..=most).contains(&place.explains_percent));
        assert!(most - least < 40, "{least} to {most} %");
        share_holds += u32::from((least..=most).contains(&75));
    }
    // 95 of a hundred, and what chance makes of that.
    assert!(delta_holds >= 88, "{delta_holds}");
    assert!(share_holds >= 88, "{share_holds}");
}

#[test]
fn groups_that_do_not_differ_look_so() {
    let mut numbers = Numbers(11);
    let mut unclear = 0;
    for seed in 0..100 {
        let mut group = || side(&mut numbers, 30, [50_000, 100_000, 100_000]);
        let diff = Diff::of(&group(), &group(), seed);
        let (least, most) = diff.delta_range_nanos.unwrap();
        let may_be_chance = least <= 0 && most >= 0;
        unclear += u32::from(may_be_chance);
        let weighed = diff
            .rows
            .iter()
            .any(|row| row.explains_range_percent.is_some());
        assert_eq!(
            weighed, !may_be_chance,
            "shares of what may be nothing say nothing"
        );
    }
    assert!(unclear >= 88, "{unclear}");
}

#[test]
fn too_few_traces_say_nothing_of_chance() {
    let mut numbers = Numbers(3);
    let figures = [50_000, 100_000, 100_000];
    let few = side(&mut numbers, 9, figures);
    let many = side(&mut numbers, 10, [50_000, 900_000, 100_000]);
    for (before, after) in [(&few, &many), (&many, &few), (&Side::new(), &many)] {
        let diff = Diff::of(before, after, 1);
        assert_eq!(diff.delta_range_nanos, None);
        assert!(
            diff.rows
                .iter()
                .all(|row| row.explains_range_percent.is_none())
        );
    }
    assert!(
        Diff::of(&side(&mut numbers, 10, figures), &many, 1)
            .delta_range_nanos
            .is_some()
    );
}

#[test]
fn the_same_seed_says_the_same() {
    let mut numbers = Numbers(5);
    let before = side(&mut numbers, 20, [50_000, 100_000, 100_000]);
    let after = side(&mut numbers, 20, [50_000, 400_000, 100_000]);
    assert_eq!(Diff::of(&before, &after, 9), Diff::of(&before, &after, 9));
    assert_ne!(
        Diff::of(&before, &after, 9).delta_range_nanos,
        Diff::of(&before, &after, 10).delta_range_nanos
    );
}

/// A group of one recorded run again and again has no spread: all of the difference is certain.
#[test]
fn recorded_runs_that_repeat_differ_for_certain() {
    let group = |of: &str| {
        let spans = recordings::spans(of);
        let chart = Chart::of(&spans, &[], longshore_core::Timestamp::MAX);
        let mut side = Side::new();
        (0..10).for_each(|_| side.add(&chart));
        side
    };
    let diff = Diff::of(&group("waited"), &group("retried"), 1);
    let (least, most) = diff.delta_range_nanos.unwrap();
    assert!(least.abs_diff(diff.delta_nanos) <= 1_000 && most.abs_diff(diff.delta_nanos) <= 1_000);
    let first = &diff.rows[0];
    let (least, most) = first.explains_range_percent.unwrap();
    assert!(most - least <= 1 && least.abs_diff(first.explains_percent) <= 1);
}
