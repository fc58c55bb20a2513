//! Why a job that is due is not run.

use longshore_api::queue::Pause;

use crate::backend::Shop;
use crate::shop::ago;
use crate::stage::Stage;

/// The page of a job that is due.
fn due(shop: Shop, size: (u16, u16)) -> Stage {
    let shop = Shop {
        retries: true,
        ..shop
    };
    let mut stage = Stage::with(shop, longshore_tui::Options::default(), size);
    stage.press("2 G Enter");
    assert!(stage.shows("no worker has it"), "{}", stage.picture());
    stage
}

#[test]
fn a_pause_is_said_with_who_made_it_since_when_and_why() {
    let shop = Shop {
        pause: Some(Pause {
            since: ago(360_000),
            by: Some("ann@web-1".to_owned()),
            reason: Some("the bank is down".to_owned()),
        }),
        ..Shop::default()
    };
    let stage = due(shop, (180, 50));
    let why = "held back   the queue was paused 6m ago by ann@web-1: the bank is down";
    assert!(stage.shows(why), "{}", stage.picture());
    let shop = Shop {
        pause: Some(Pause {
            since: ago(360_000),
            by: None,
            reason: None,
        }),
        ..Shop::default()
    };
    let mut stage = due(shop, (80, 24));
    let why = "held back   the queue was paused 6m ago";
    assert!(stage.shows(why), "{}", stage.picture());
    // Once it goes on, that is seen before long.
    stage.shop.pause = None;
    stage.wait(60);
    assert!(!stage.shows("paused"), "{}", stage.picture());
    assert!(stage.shows("workers are busy, or a limit is full"));
}

#[test]
fn a_queue_that_nobody_serves_is_said_to_be_one() {
    let shop = Shop {
        unserved: true,
        ..Shop::default()
    };
    let stage = due(shop, (120, 40));
    let why = "held back   no worker that is seen takes charge";
    assert!(stage.shows(why), "{}", stage.picture());
}

#[test]
fn what_is_not_known_is_not_said() {
    let shop = Shop {
        broken: Some("workers"),
        ..Shop::default()
    };
    let stage = due(shop, (120, 40));
    assert!(!stage.shows("held back"), "{}", stage.picture());
}
