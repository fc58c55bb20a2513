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
    "the limit of kind:charge is full: 1 at once; 1 held by 1 worker: ship 0196-ship-7355 for 25m";

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
