//! From the failure that decided how a story stands to the others of it.

use crate::backend::Shop;
use crate::stage::Stage;

fn retries() -> Stage {
    let shop = Shop {
        retries: true,
        ..Shop::default()
    };
    Stage::with(shop, longshore_tui::Options::default(), (120, 40))
}

#[test]
fn a_job_that_waits_for_another_attempt_shows_why_the_last_one_failed() {
    let mut stage = retries();
    stage.press("e Enter");
    assert!(stage.is_selected("POST payments"), "{}", stage.picture());
    stage.press("s");
    assert!(stage.shows("card declined"), "{}", stage.picture());
}

#[test]
fn failures_are_gone_through_in_a_round() {
    let mut stage = retries();
    stage.press("e Enter");
    // Two attempts, with a handler and a request each; the cursor is on the last of them.
    let round = ["310ms", "306ms", "300ms", "#2", "1.49s", "1.41s"];
    for at in round.iter().chain(&round) {
        stage.press("e");
        assert!(stage.is_selected(at), "{at} {}", stage.picture());
    }
    for at in round.iter().rev().skip(1).chain(round.iter().rev()) {
        stage.press("E");
        assert!(stage.is_selected(at), "{at} {}", stage.picture());
    }
}

#[test]
fn where_nothing_else_failed_it_is_said() {
    let mut stage = retries();
    stage.press("G k k Enter e");
    assert!(stage.shows("No other failure"), "{}", stage.picture());
}

/// Whoever opens what failed reads why, to the last line, in four keys from the start.
#[test]
fn a_long_stack_is_read_to_its_last_line() {
    for size in [(180, 50), (120, 40), (80, 24)] {
        let shop = Shop {
            frames: 30,
            ..Shop::default()
        };
        let mut stage = Stage::with(shop, longshore_tui::Options::default(), size);
        stage.press("e Enter s");
        for text in [
            "card declined",
            "the bank said: do not honour (51)",
            "src/orders/charge.rs:57:31",
        ] {
            assert!(stage.shows(text), "{size:?} {text}\n{}", stage.picture());
        }
        let before = stage.picture();
        stage.press("PageDown");
        let last = "src/frame_30.rs:30";
        assert!(stage.shows(last), "{size:?} {before}\n{}", stage.picture());
    }
}

#[test]
fn the_next_failure_is_the_row_itself_if_nobody_looked_at_it() {
    let shop = || Shop {
        order: Some("7"),
        ..Shop::default()
    };
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::with(shop(), longshore_tui::Options::default(), size);
        stage.press("/").write("kind=charge").press("Enter").wait(5);
        stage.press("e");
        assert!(stage.shows("This trace failed"), "{}", stage.picture());
        assert!(stage.is_selected("orders/charge"), "{}", stage.picture());
        stage.press("e");
        assert!(stage.shows("No other failed trace"), "{}", stage.picture());
        stage.press("2 s e");
        assert!(stage.shows("This job failed"), "{}", stage.picture());
        stage.press("e");
        assert!(
            stage.shows("No other failed job here"),
            "{}",
            stage.picture()
        );
    }
}

#[test]
fn going_round_is_said() {
    let mut stage = retries();
    stage.press("e Enter e");
    assert!(
        stage.shows("Round again: this is the first"),
        "{}",
        stage.picture()
    );
    stage.press("e");
    assert!(!stage.shows("Round again"), "{}", stage.picture());
    stage.press("E E");
    assert!(
        stage.shows("Round again: this is the last"),
        "{}",
        stage.picture()
    );
    stage.press("gg /").write("payments").press("Enter n");
    assert!(!stage.shows("Round again"), "{}", stage.picture());
    stage.press("n");
    assert!(
        stage.shows("Round again: this is the first one"),
        "{}",
        stage.picture()
    );
    stage.press("N");
    assert!(
        stage.shows("Round again: this is the last one"),
        "{}",
        stage.picture()
    );
}

#[test]
fn a_failed_job_that_is_not_listed_yet_is_found_too() {
    let shop = Shop {
        more_jobs: true,
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, longshore_tui::Options::default(), (80, 24));
    stage.press("2 e");
    assert!(stage.shows("Jobs: failed"), "{}", stage.picture());
    assert!(
        stage.shows("also those that were not listed"),
        "{}",
        stage.picture()
    );
    assert!(stage.is_selected("orders/charge"), "{}", stage.picture());
    stage.press("T");
    assert!(stage.shows("✗ POST"), "{}", stage.picture());
}
