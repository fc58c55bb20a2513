//! What is asked of the backend, and how often, where not all of it works.

use longshore_tui::Ask;

use crate::backend::Shop;
use crate::shop::STUCK;
use crate::stage::Stage;

const SIZE: (u16, u16) = (120, 40);

fn older(ask: &Ask) -> bool {
    matches!(ask, Ask::Traces(query) if query.cursor.is_some())
}

fn broken(what: &'static str, older: bool) -> Stage {
    let shop = Shop {
        broken: Some(what),
        older,
        ..Shop::default()
    };
    Stage::with(shop, longshore_tui::Options::default(), SIZE)
}

#[test]
fn older_traces_that_cannot_be_read_are_asked_for_now_and_then() {
    let mut stage = broken("older traces", true);
    assert!(stage.shows("The traces cannot be"));
    stage.count(older);
    stage.wait(40);
    assert_eq!(stage.count(older), 0);
    stage.shop.broken = None;
    stage.wait(60);
    assert!(stage.shows("emails/"), "{}", stage.picture());
}

#[test]
fn the_end_of_one_search_is_not_where_another_goes_on() {
    let shop = Shop {
        older: true,
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, longshore_tui::Options::default(), SIZE);
    stage.count(older);
    stage.press("/").paste(STUCK.id);
    stage.press("Enter");
    let traces: Vec<_> = stage
        .asked
        .iter()
        .filter_map(|ask| match ask {
            Ask::Traces(query) => Some((query.search.as_str(), query.cursor.is_some())),
            _ => None,
        })
        .collect();
    // Where the id led, all traces are listed again, from the first.
    assert_eq!(traces, [(STUCK.id, false), ("", false), ("", true)]);
}

#[test]
fn what_could_not_be_read_is_tried_again_at_leisure() {
    for (what, keys, asks, shows) in [
        (
            "traces",
            "1",
            (|ask| matches!(ask, Ask::Traces(_))) as fn(&Ask) -> bool,
            "emails/",
        ),
        ("jobs", "2", |ask| matches!(ask, Ask::Jobs(_)), "emails/"),
        (
            "times",
            "3",
            |ask| matches!(ask, Ask::Latency(_)),
            "Time in the queue",
        ),
        (
            "story",
            "1",
            |ask| matches!(ask, Ask::Story(_)),
            "job.process",
        ),
    ] {
        let mut stage = broken(what, false);
        stage.press(keys).wait(10);
        let says = format!("the {what} are unreadable");
        assert!(stage.shows(&says), "{}", stage.picture());
        stage.count(asks);
        stage.wait(100);
        let again = stage.count(asks);
        assert!((1..=3).contains(&again), "{what}: {again}");
        stage.shop.broken = None;
        stage.wait(60);
        assert!(stage.shows(shows), "{what}: {}", stage.picture());
    }
}

#[test]
fn a_job_that_cannot_be_read_is_not_asked_for_at_every_tick() {
    let mut stage = broken("job", false);
    stage.press("2");
    stage.count(|_| true);
    stage.wait(40);
    let asked = stage.count(|ask| matches!(ask, Ask::Job(_)));
    assert!((1..=3).contains(&asked), "{asked}");
    stage.press("j");
    assert_eq!(stage.count(|ask| matches!(ask, Ask::Job(_))), 1);
}

#[test]
fn a_span_that_was_asked_for_in_vain_is_known_once_the_backend_is_back() {
    let mut stage = Stage::new((180, 50));
    stage.press("e Enter");
    stage.shop.gone = true;
    stage.press("j").wait(12);
    assert!(stage.shows("no answer"));
    stage.shop.gone = false;
    stage.wait(100);
    assert!(!stage.shows("nothing listens"), "{}", stage.picture());
}

#[test]
fn what_is_known_is_shown_while_the_rest_is_read() {
    let shop = Shop {
        reading: true,
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, longshore_tui::Options::default(), SIZE);
    stage.wait(3);
    assert!(stage.shows("reading traces…"), "{}", stage.picture());
    assert!(stage.shows("emails/"));
    let first = |stage: &Stage| {
        let picture = stage.picture();
        let line: String = picture.lines().nth(2).unwrap().chars().take(29).collect();
        line
    };
    let before = first(&stage);
    stage.shop.reading = false;
    stage.wait(2);
    assert!(!stage.shows("reading traces…"), "{}", stage.picture());
    // Newer ones came above, and the cursor is still on the first.
    let after = first(&stage);
    assert_ne!(before, after);
    assert!(stage.is_selected(&after), "{}", stage.picture());
}

#[test]
fn the_list_is_read_anew_where_too_much_changed() {
    let mut stage = broken("changes of traces", false);
    stage.wait(30);
    assert!(stage.shows("emails/"), "{}", stage.picture());
    assert!(!stage.shows("unreadable"));
    let first = |ask: &Ask| matches!(ask, Ask::Traces(query) if query.changed_since.is_none());
    assert!((2..=4).contains(&stage.count(first)));
}
