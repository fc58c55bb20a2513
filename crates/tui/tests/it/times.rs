//! How long jobs of one kind waited and ran, from wherever somebody is.

use longshore_tui::Options;

use crate::backend::Shop;
use crate::stage::Stage;

const SIZES: [(u16, u16); 4] = [(180, 50), (120, 40), (80, 24), (40, 20)];

/// The shop where a charge had a label printed, by a job of another queue.
fn with_label(size: (u16, u16)) -> Stage {
    let shop = Shop {
        label: true,
        ..Shop::default()
    };
    Stage::with(shop, Options::default(), size)
}

#[test]
fn the_kind_that_was_searched_for_is_meant_though_it_runs_as_a_child_alone() {
    for size in SIZES {
        for search in ["kind=label", "label"] {
            let mut stage = with_label(size);
            stage.press("/").write(search).press("Enter w");
            assert!(stage.shows("emails/label took"), "{}", stage.picture());
        }
    }
}

#[test]
fn the_kind_of_the_row_is_meant() {
    for size in SIZES {
        let mut stage = with_label(size);
        stage
            .press("e Enter / ")
            .write("0196-label-9")
            .press("Enter w");
        assert!(stage.shows("emails/label took"), "{}", stage.picture());
        stage.press("1 gg w");
        assert!(stage.shows("orders/charge took"), "{}", stage.picture());
    }
}

#[test]
fn a_kind_that_is_kept_no_more_is_said() {
    let mut stage = Stage::new((120, 40));
    stage.press("/").write("kind=gone").press("Enter w");
    assert!(
        stage.shows("No job of the kind gone is kept any more"),
        "{}",
        stage.picture()
    );
}

#[test]
fn queues_and_kinds_are_found_by_their_names_among_queues() {
    for size in SIZES {
        let mut stage = with_label(size);
        for (text, title) in [
            ("label", "emails/label took"),
            ("kind=charge", "orders/charge took"),
            ("emails", "jobs of emails took"),
            ("ord", "jobs of orders took"),
            ("queue=imports", "jobs of imports took"),
        ] {
            stage.press("3 /").write(text).press("Enter");
            assert!(stage.shows(title), "{text} {}", stage.picture());
        }
        stage.press("/").write("nonsense").press("Enter");
        assert!(
            stage.shows("No queue and no kind of"),
            "{}",
            stage.picture()
        );
    }
    let mut stage = Stage::new((80, 24));
    stage.press("3 /").write("im");
    assert!(stage.shows("imports"), "{}", stage.picture());
    stage.press("Tab Enter");
    assert!(stage.shows("jobs of imports took"), "{}", stage.picture());
}

/// Waiting against running is what people come for: both are in sight, wherever the cursor is.
#[test]
fn what_waiting_and_running_come_to_is_in_sight_on_a_low_screen_too() {
    for size in [(120, 40), (80, 24), (80, 18), (40, 20), (80, 10)] {
        let mut stage = with_label(size);
        for keys in ["3 Enter", "G", "gg"] {
            stage.press(keys);
            let picture = stage.picture();
            for word in ["Time in the queue  p50", "Time in the attempt  p50"] {
                assert!(picture.contains(word), "{size:?} {keys} {picture}");
            }
        }
        stage.press("G");
        assert!(stage.is_selected("2.05s"), "{size:?} {}", stage.picture());
    }
}
