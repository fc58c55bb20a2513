//! Groups that are compared, clocks as they were, and parts of the time.

use longshore_api::trace::{DiffQuery, DiffSide};
use longshore_tui::{Ask, Options};

use crate::backend::Shop;
use crate::shop::CHARGE;
use crate::stage::Stage;

fn compared(stage: &Stage) -> Option<DiffQuery> {
    let asked = stage.asked.iter().rev();
    let mut diffs = asked.filter_map(|ask| match ask {
        Ask::Diff(query) => Some(query.clone()),
        _ => None,
    });
    diffs.next()
}

fn search(text: &str) -> DiffSide {
    DiffSide::Search(text.to_owned())
}

#[test]
fn two_searches_are_compared() {
    let mut stage = Stage::new((120, 40));
    stage.press("d");
    assert!(stage.shows("Mark a trace with Space (or all that a search found with m)"));
    stage.press("/ kind=charge Enter m");
    assert!(stage.shows("A Traces ⌕ kind=charge"), "{}", stage.picture());
    stage.press("Esc / kind=ship Enter d");
    let query = compared(&stage).unwrap();
    assert_eq!(
        (query.before, query.after),
        (search("kind=charge"), search("kind=ship"))
    );
    let said = "B took 410 ms longer on average; SELECT order_items in place_order › charge_card explains 92 % (85 to 97 %) of it";
    assert!(stage.shows(said), "{}", stage.picture());
    // Enter leads to what B is: a list.
    stage.press("Enter");
    assert!(stage.shows("Traces ⌕ kind=ship") && !stage.shows("A and B compared"));
}

#[test]
fn a_trace_is_compared_with_a_group() {
    let mut stage = Stage::new((120, 40));
    stage.press("m e d");
    let query = compared(&stage).unwrap();
    let charge = DiffSide::Trace(CHARGE.trace_id());
    assert_eq!((query.before, query.after), (search(""), charge));
    assert!(
        stage.shows("A all traces  40 traces"),
        "{}",
        stage.picture()
    );
    stage.press("Esc m");
    assert!(stage.shows("Not marked any more"));
}

#[test]
fn clocks_are_shown_as_they_were_where_one_was_corrected() {
    let shop = Shop {
        skewed: true,
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, Options::default(), (120, 40));
    stage.press("e Enter");
    let corrected = stage.picture();
    stage.press("K");
    assert!(stage.shows("clocks as recorded (K)"), "{}", stage.picture());
    assert!(
        stage
            .asked
            .iter()
            .any(|ask| matches!(ask, Ask::StoryAsRecorded(_)))
    );
    stage.press("K").wait(60);
    let bars = |picture: &str| {
        let lines = picture.lines().filter(|line| line.contains("POST /orders"));
        lines
            .map(|line| line.chars().skip(31).collect())
            .collect::<Vec<String>>()
    };
    assert_eq!(bars(&stage.picture()), bars(&corrected));
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter K");
    assert!(stage.shows("No clock was corrected in this trace"));
}

#[test]
fn a_part_of_the_time_is_moved_to_its_ends() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter .");
    assert!(stage.shows("All of the time is in sight; > looks closer"));
    stage.press("> , , , , , ,");
    assert!(stage.shows("There is no more time in this direction") && !stage.shows("from +"));
    stage.press(".");
    assert!(stage.shows("from +6m 02s"), "{}", stage.picture());
    stage.press(". . . . . .");
    assert!(stage.shows("There is no more time in this direction"));
    assert!(stage.shows("from +24m 09s"), "{}", stage.picture());
    stage.press("<");
    assert!(!stage.shows("zoomed"));
}

#[test]
fn a_comparison_says_what_it_shows() {
    for size in [(120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::new(size);
        stage.press("e Space k d ?");
        assert!(stage.shows("without what ran"), "{}", stage.picture());
        stage.press("Esc");
        assert!(!stage.shows("without what ran"), "{}", stage.picture());
        assert!(stage.shows("A and B compared"), "{}", stage.picture());
    }
}

#[test]
fn the_times_of_a_comparison_are_those_that_the_end_waited_for_and_add_up() {
    for size in [(180, 50), (120, 40), (80, 24)] {
        let mut stage = Stage::new(size);
        stage.press("e Space k d");
        let picture = stage.picture();
        assert!(stage.shows("end waited for"), "{picture}");
        assert!(stage.shows("585ms → 995ms"), "{picture}");
        // What a place did beside that explains nothing, and is not shown: it would contradict it.
        let dequeue = picture.lines().find(|line| line.contains("queue.dequeue"));
        assert!(
            dequeue.unwrap().contains("31.0ms → 38.0ms      2 %"),
            "{picture}"
        );
    }
}
