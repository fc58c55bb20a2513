//! Why a job that is due is not run.

use crate::backend::Shop;
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
