//! Why a job that is due is not run.

use longshore_api::job::Holder;
use longshore_tui::Options;

use crate::backend::Shop;
use crate::shop::STUCK;
use crate::stage::Stage;

/// The page of a job that is due.
fn due(shop: Shop, size: (u16, u16)) -> Stage {
    let shop = Shop {
        retries: true,
        ..shop
    };
    let mut stage = Stage::with(shop, longshore_tui::Options::default(), size);
    stage.press("2 G Enter");
    assert!(stage.shows("and no worker"), "{}", stage.picture());
    stage
}

#[test]
fn all_that_holds_a_job_back_is_said_until_it_does_no_more() {
    let shop = Shop {
        held_back: vec![
            "the queue was paused 6m 00s ago by ann@web-1: the bank is down",
            "the limit of kind:charge is full: 2 at once; 2 held by 1 worker",
        ],
        ..Shop::default()
    };
    let mut stage = due(shop, (180, 50));
    for why in &stage.shop.held_back {
        let line = format!("held back   {why}");
        assert!(stage.shows(&line), "{}", stage.picture());
    }
    stage.shop.held_back.clear();
    stage.wait(30);
    assert!(!stage.shows("held back"), "{}", stage.picture());
}

#[test]
fn what_holds_a_job_back_is_read_on_any_screen() {
    for size in [(120, 40), (80, 24), (40, 20)] {
        let shop = Shop {
            held_back: vec!["no worker that is seen takes charge from orders"],
            ..Shop::default()
        };
        let stage = due(shop, size);
        assert!(
            stage.shows("held back   no worker that is"),
            "{}",
            stage.picture()
        );
    }
}

const FULL: &str =
    "the limit of kind:charge is full: 1 at once; 1 held by job ship 0196-ship-7355 for 25m";

/// A charge that waits for a job that runs.
fn blocked() -> Shop {
    Shop {
        retries: true,
        held_back: vec![FULL],
        held_by: vec![
            Holder::Job(STUCK.id.to_owned()),
            Holder::Worker("w-7c1e".to_owned()),
        ],
        order: Some("order-2001"),
        ..Shop::default()
    }
}

fn says(stage: &Stage, text: &str) -> bool {
    let picture = stage.picture();
    let words: Vec<&str> = picture.split_whitespace().collect();
    words.join(" ").contains(text)
}

#[test]
fn a_stuck_order_says_who_holds_it_in_four_keys_at_any_size() {
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::with(blocked(), Options::default(), size);
        stage.press("/").write("order-2001").press("Enter");
        // What holds it stands there already: no trace says it, one job does.
        assert!(says(&stage, "1 job says it"), "{}", stage.picture());
        assert!(stage.shows(STUCK.id), "{}", stage.picture());
        stage.press("Enter");
        assert!(stage.shows("▌Job"), "{}", stage.picture());
        assert!(stage.shows(STUCK.id), "{}", stage.picture());
        stage.press("b");
        assert!(stage.shows("▌Job (Esc: back, 1)"), "{}", stage.picture());
        assert!(stage.shows("running, attempt 1"), "{}", stage.picture());
        stage.press("Esc");
        assert!(stage.shows("and no worker"), "{}", stage.picture());
        assert!(stage.shows("▌Job "), "{}", stage.picture());
    }
}

#[test]
fn what_holds_a_job_back_stands_under_the_list_where_its_page_does_not_fit_beside_it() {
    for (size, rows) in [((80, 24), 3), ((40, 20), 4)] {
        let mut stage = Stage::with(blocked(), Options::default(), size);
        stage.press("2");
        assert!(!stage.shows("Held back"), "{}", stage.picture());
        stage.press("G");
        assert!(stage.shows(" Held back ──"), "{}", stage.picture());
        assert!(says(&stage, "the limit of kind:charge is full"));
        assert!(stage.shows(STUCK.id), "{rows} {}", stage.picture());
        assert!(stage.is_selected("orders/charge"), "{}", stage.picture());
        assert!(stage.shows("b blocker"), "{}", stage.picture());
    }
}

#[test]
fn the_story_of_a_job_that_waits_says_who_holds_it() {
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::with(blocked(), Options::default(), size);
        stage.press("e Enter");
        assert!(
            stage.shows("⚠ held back: the limit of"),
            "{}",
            stage.picture()
        );
        assert!(stage.shows(STUCK.id), "{}", stage.picture());
        stage.press("b");
        assert!(stage.shows("▌Job (Esc: back, 1)"), "{}", stage.picture());
        stage.press("Esc");
        assert!(
            stage.shows("⚠ held back: the limit of"),
            "{}",
            stage.picture()
        );
        // Once it is no more, it is not said any more.
        stage.shop.held_back.clear();
        stage.wait(30);
        assert!(!stage.shows("held back"), "{}", stage.picture());
    }
}

#[test]
fn lines_that_name_a_job_or_a_worker_lead_there() {
    let shop = Shop {
        held_back: vec!["the only worker that takes it, w-7c1e, is busy: 0196-ship-7355"],
        ..blocked()
    };
    let mut stage = Stage::with(shop, Options::default(), (120, 40));
    stage.press("2 G Enter j j j j j j j");
    assert!(stage.is_selected("held back"), "{}", stage.picture());
    stage.press("Enter");
    assert!(stage.shows("running, attempt 1"), "{}", stage.picture());
    // From there to the worker that runs it.
    stage.press("j j j j j j j j");
    assert!(
        stage.is_selected("worker      w-7c1e"),
        "{}",
        stage.picture()
    );
    stage.press("Enter");
    assert!(stage.is_selected("● w-7c1e"), "{}", stage.picture());
    stage.press("2 Esc");
    let worker = stage.picture();
    let line = worker.lines().position(|line| line.contains("by worker"));
    let line = u16::try_from(line.unwrap()).unwrap();
    stage.click(80, line).click(80, line);
    assert!(stage.is_selected("● w-7c1e"), "{}", stage.picture());
}

#[test]
fn of_a_job_that_nothing_holds_back_it_is_said() {
    let mut stage = Stage::new((120, 40));
    stage.press("2 b");
    assert!(stage.shows("No other job or worker"), "{}", stage.picture());
}

/// A charge that is over, and enqueued a label that waits for a job that runs.
fn blocked_child(due: i64) -> Shop {
    Shop {
        label_due: Some(due),
        held_back: vec![FULL],
        held_by: vec![Holder::Job(STUCK.id.to_owned())],
        ..Shop::default()
    }
}

#[test]
fn the_story_of_a_job_that_is_over_says_who_holds_its_child_back() {
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::with(blocked_child(-60_000), Options::default(), size);
        stage.press("e Enter");
        // Wherever the cursor is, and that more is to come.
        assert!(stage.shows("⚠ label held back: the"), "{}", stage.picture());
        let waits = match size.0 {
            40 => "discarded 2/8, more waits",
            _ => "discarded 2/8, 1 job waits",
        };
        assert!(stage.shows(waits), "{}", stage.picture());
        stage.press("b");
        assert!(stage.shows("▌Job (Esc: back, 1)"), "{}", stage.picture());
        assert!(stage.shows("running, attempt 1"), "{}", stage.picture());
        stage.press("Esc");
        assert!(stage.shows("⚠ label held back: the"), "{}", stage.picture());
        // Back in the list it is said of its trace.
        stage.press("Esc");
        let waits = match size.0 {
            80 => ", 1 job waits",
            _ => ", 1 waits",
        };
        assert!(stage.shows(waits), "{}", stage.picture());
        stage.shop.label_due = None;
        stage.press("Enter").wait(30);
        assert!(!stage.shows("held back"), "{}", stage.picture());
        assert!(!stage.shows("waits"), "{}", stage.picture());
    }
}

#[test]
fn what_holds_a_job_back_is_gone_to_from_the_list_too() {
    let mut stage = Stage::with(blocked_child(-60_000), Options::default(), (120, 40));
    stage.press("e").wait(10);
    assert!(stage.shows("⚠ label held back"), "{}", stage.picture());
    assert!(stage.shows("b blocker"), "{}", stage.picture());
    stage.press("b");
    assert!(stage.shows("running, attempt 1"), "{}", stage.picture());
    // Of a trace that is not open beside the list nothing is known yet.
    let mut stage = Stage::with(blocked_child(-60_000), Options::default(), (80, 24));
    stage.press("b");
    assert!(
        stage.shows("Enter opens the trace and says"),
        "{}",
        stage.picture()
    );
}

#[test]
fn of_a_job_that_is_not_due_yet_it_is_said_when_it_is() {
    let mut stage = Stage::with(blocked_child(3_570_000), Options::default(), (180, 50));
    stage.press("e Enter");
    assert!(stage.shows(", 1 job waits"), "{}", stage.picture());
    assert!(!stage.shows("held back"), "{}", stage.picture());
    stage.press("b");
    let said = "Nothing holds label 0196-label-9 back: it is due in 59m";
    assert!(stage.shows(said), "{}", stage.picture());
    stage.press("/").write("scheduled").press("Enter");
    assert!(stage.is_selected("scheduled"), "{}", stage.picture());
    assert!(stage.shows("when        due in 59m"), "{}", stage.picture());
    let shop = Shop {
        reminder_due: Some(3_570_000),
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, Options::default(), (120, 40));
    stage.wait(10);
    assert!(stage.is_selected("due in 59m"), "{}", stage.picture());
    let verdict = "○ scheduled, due in 59m";
    assert!(stage.shows(verdict), "{}", stage.picture());
    // It is wanted so, and nobody backs off.
    assert!(stage.shows(": delay "), "{}", stage.picture());
    assert!(!stage.shows("back-off"), "{}", stage.picture());
    stage.press("b");
    let said = "Nothing holds remind 0196-remind-1 back: it is due in 59m";
    assert!(stage.shows(said), "{}", stage.picture());
}

#[test]
fn what_is_due_is_looked_at_before_what_is_not() {
    let shop = Shop {
        reminder_due: Some(3_570_000),
        ..blocked_child(-60_000)
    };
    let mut stage = Stage::with(shop, Options::default(), (120, 40));
    stage.press("Enter").wait(10);
    assert!(stage.is_selected("wait"), "{}", stage.picture());
    assert!(stage.shows("⚠ label held back"), "{}", stage.picture());
}
