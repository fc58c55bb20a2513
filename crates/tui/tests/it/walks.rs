//! What people come for, in as few keys as they may take.

use longshore_api::trace::StoryOf;
use longshore_trace::TraceSummary;
use longshore_tui::{Effect, Options};

use crate::backend::Shop;
use crate::shop::{CHARGE, IMPORT, NOW, STUCK};
use crate::stage::Stage;

pub(crate) const CHARGE_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn the_trace_of_a_failed_job_is_one_key_away() {
    let mut stage = Stage::new((180, 50));
    stage.press("e");
    assert!(stage.shows("orders/charge  4bf9…4736"));
    assert!(stage.shows("✗ discarded 2/8"));
    // The cursor is where it went wrong, and what is known about it stands beside.
    assert!(stage.shows("card declined"));
}

#[test]
fn the_trace_of_a_failed_job_is_three_keys_from_the_list_of_jobs() {
    for size in [(120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::new(size);
        stage.press("2 e");
        assert!(stage.is_selected("orders/charge"));
        stage.press("T");
        assert!(stage.shows("✗ POST"), "{}", stage.picture());
    }
}

#[test]
fn a_failed_trace_that_is_not_listed_yet_is_one_key_away_too() {
    let shop = Shop {
        older: true,
        fine: true,
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, Options::default(), (120, 40));
    stage.press("e").wait(3);
    assert!(stage.shows("Traces ⌕ error"), "{}", stage.picture());
    assert!(
        stage.shows("orders/charge  4bf9…4736"),
        "{}",
        stage.picture()
    );
    stage.press("Esc");
    assert!(stage.shows("emails/"), "{}", stage.picture());
}

#[test]
fn where_no_failed_job_is_listed_it_is_said_how_to_find_those_that_are() {
    let mut stage = Stage::new((80, 24));
    stage.press("2 /").write("queue=mail").press("Enter e");
    let said = stage.shows("No failed job here; s goes through the states");
    assert!(said, "{}", stage.picture());
}

#[test]
fn a_name_that_is_too_long_is_cut_before_what_became_of_it() {
    let mut stage = Stage::new((36, 20));
    stage.press("e Enter");
    let cut = stage.shows("orders/c… 48m 19s  ✗ discarded 2/8");
    assert!(cut, "{}", stage.picture());
}

#[test]
fn queueing_and_processing_time_of_a_queue_are_one_key_away() {
    let mut stage = Stage::new((120, 40));
    stage.press("3");
    assert!(stage.shows("Time in the queue"));
    assert!(stage.shows("Time in the attempt"));
    // From the longest wait to a trace behind it: two keys more.
    stage.press("Enter");
    assert!(stage.is_selected("50m00s"), "{}", stage.picture());
    stage.press("Enter");
    assert!(stage.shows("orders/charge  4bf9…4736"));
}

#[test]
fn queueing_and_processing_time_of_a_class_of_jobs_is_two_keys_away() {
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::new(size);
        stage.press("3 s s");
        // Where only one panel is shown, Enter goes to it.
        if size.0 < 60 {
            stage.press("Enter");
        }
        assert!(stage.shows("orders/ship took"), "{}", stage.picture());
        assert!(stage.shows("≤ 1m00s"), "{}", stage.picture());
        stage.press("s s");
        assert!(stage.shows("jobs of orders took"), "{}", stage.picture());
    }
    let mut stage = Stage::new((120, 40));
    stage.press("3 s Enter Enter");
    assert!(stage.shows("orders/ship  7d1c…9b02"), "{}", stage.picture());
}

#[test]
fn from_a_job_or_its_trace_to_how_long_others_like_it_took_and_to_one_of_them() {
    for keys in ["e w", "e Enter w", "e Enter s w", "2 e w", "2 e Enter w"] {
        for size in [(180, 50), (80, 24), (40, 20)] {
            let mut stage = Stage::new(size);
            stage.press(keys);
            assert!(stage.shows("orders/charge took"), "{}", stage.picture());
            stage.press("Enter");
            assert!(stage.shows("orders/ship  7d1c"), "{}", stage.picture());
        }
    }
}

#[test]
fn a_click_on_a_kind_looks_at_it() {
    let mut stage = Stage::new((180, 50));
    stage.press("3");
    let picture = stage.picture();
    let line = picture.lines().position(|line| line.contains(" refund "));
    stage.click(120, u16::try_from(line.unwrap()).unwrap());
    assert!(stage.shows("orders/refund took"), "{}", stage.picture());
}

#[test]
fn one_job_is_one_job() {
    let mut stage = Stage::new((120, 40));
    stage.press("3 j");
    stage.wait(12);
    assert!(stage.shows("1 job in the last hour"), "{}", stage.picture());
}

#[test]
fn the_trace_of_an_exemplar_opens_when_it_is_pasted() {
    for text in [
        CHARGE_TRACE.to_owned(),
        format!("00-{CHARGE_TRACE}-00f067aa0ba902b7-01"),
        format!("https://traces.example/trace/{CHARGE_TRACE}?uiFind=x"),
        format!("trace_id=\"{}\"\n", CHARGE_TRACE.to_uppercase()),
    ] {
        let mut stage = Stage::new((80, 24));
        stage.paste(&text);
        assert!(stage.shows("orders/charge  4bf9…4736"), "{text}");
    }
    let mut stage = Stage::new((80, 24));
    stage.press("/").paste(CHARGE_TRACE).press("Enter");
    assert!(stage.shows("orders/charge  4bf9…4736"));
}

#[test]
fn a_stuck_order_is_found_by_its_id_and_shows_what_blocks_it() {
    let mut stage = Stage::new((80, 24));
    stage.press("/").paste(STUCK.id).press("Enter");
    assert!(
        stage.is_selected("POST carrier/labels"),
        "{}",
        stage.picture()
    );
    assert!(stage.shows("25m 12s  ▶ running"), "{}", stage.picture());
    assert!(stage.shows("▸"));
}

#[test]
fn the_ui_opens_on_a_trace() {
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        let options = Options {
            open: Some(StoryOf::Trace(IMPORT.trace_id())),
            ..Options::default()
        };
        let mut stage = Stage::with(Shop::default(), options, size);
        assert!(stage.shows("parent not received"), "{}", stage.picture());
        assert!(stage.shows("×512 INSERT items"));
        stage.press("Esc");
        assert!(stage.shows("emails/"), "{}", stage.picture());
    }
}

#[test]
fn siblings_unfold_and_fold_again() {
    let mut stage = Stage::new((120, 40));
    stage.press("G k k Enter G k");
    assert!(
        stage.is_selected("×512 INSERT items"),
        "{}",
        stage.picture()
    );
    stage.press("l");
    assert!(!stage.shows("×512"));
    assert!(stage.is_selected("INSERT items"));
    stage.press("h");
    assert!(stage.shows("×512 INSERT items"));
    stage.press("[");
    assert!(stage.shows("queue.enqueue catalogue") && stage.shows("+"));
    assert!(!stage.shows("handler.execution"));
    stage.press("]");
    assert!(stage.shows("handler.execution"));
}

#[test]
fn errors_are_visited_one_by_one_even_when_folded_away() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter gg [");
    stage.press("e");
    assert!(stage.is_selected("job.process #1"));
    stage.press("e e");
    assert!(stage.is_selected("POST payments/charg"));
    stage.press("E E");
    assert!(stage.is_selected("job.process #1"));
}

#[test]
fn gaps_zoom_and_the_critical_path_can_be_turned() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter");
    assert!(stage.shows("╱ 48m02s ╲"));
    stage.press("z");
    assert!(!stage.shows("╱ 48m02s ╲"));
    stage.press("z > > >");
    assert!(stage.shows("zoomed"));
    assert!(stage.shows("from +"));
    stage.press("< < <");
    assert!(!stage.shows("zoomed"));
    assert!(stage.shows("▒▒▒"));
    stage.press("c");
    assert!(!stage.shows("▒▒▒"));
}

#[test]
fn ids_and_links_are_copied_and_opened() {
    let mut stage = Stage::new((120, 40));
    stage.press("e t y o");
    let address = format!("https://traces.example/trace/{CHARGE_TRACE}");
    let done = [
        Effect::Copy(CHARGE_TRACE.to_owned()),
        Effect::Copy(address.clone()),
        Effect::Browse(address.clone()),
    ];
    assert_eq!(stage.done, done);
    let remote = Options {
        remote: true,
        ..Options::default()
    };
    let mut stage = Stage::with(Shop::default(), remote, (120, 40));
    stage.press("e o");
    assert_eq!(stage.done, [Effect::Copy(address.clone())]);
    assert!(stage.shows(&address));
    stage.press("Esc");
    assert!(!stage.shows(&address));
}

#[test]
fn changes_are_made_after_a_yes_and_only_then() {
    let mut stage = Stage::new((120, 40));
    stage.press("2 e R n");
    assert!(stage.shows("Nothing was changed"));
    stage.press("R y C y D y 3 p y 5 p y x y");
    let changes = stage.shop.changes.lock().unwrap().clone();
    assert_eq!(
        changes,
        [
            format!("Retry {}", CHARGE.id),
            format!("Cancel {}", CHARGE.id),
            format!("Discard {}", CHARGE.id),
            "pause orders true".to_owned(),
            "Pause nightly-catalogue".to_owned(),
            "Trigger nightly-catalogue".to_owned(),
        ]
    );
}

#[test]
fn a_search_is_completed_and_its_errors_stand_beside_it() {
    let mut stage = Stage::new((80, 24));
    stage.press("/").write("queue=o");
    assert!(stage.shows("orders"));
    // One suggestion that is alone needs no second key.
    stage.press("Tab Enter");
    assert!(stage.shows("Traces ⌕ queue=orders"), "{}", stage.picture());
    assert!(!stage.shows("emails/"));
    stage.press("Esc");
    assert!(stage.shows("emails/"));
    stage.press("/").write("quue=orders").press("Enter");
    assert!(stage.shows("This search cannot be done"));
    assert!(stage.shows("queue"), "{}", stage.picture());
}

#[test]
fn the_list_stands_still_when_frozen_and_counts_what_came() {
    let fresh = |number: u128| {
        let trace = longshore_core::TraceId::from_u128(number);
        TraceSummary {
            name: format!("GET /fresh/{number}"),
            start: NOW,
            end: NOW,
            ..TraceSummary::unknown(trace)
        }
    };
    let mut stage = Stage::new((120, 40));
    stage.press("f");
    stage
        .shop
        .fresh
        .lock()
        .unwrap()
        .extend([fresh(1), fresh(2)]);
    stage.wait(15);
    assert!(stage.shows("2 new"));
    assert!(!stage.shows("GET /fresh"));
    stage.press("f");
    assert!(stage.shows("GET /fresh"));
    stage
        .shop
        .fresh
        .lock()
        .unwrap()
        .extend([fresh(3), fresh(2)]);
    stage.wait(15);
    let picture = stage.picture();
    assert_eq!(picture.matches("GET /fre").count(), 3, "{picture}");
}

#[test]
fn a_backend_that_is_gone_is_said_and_what_was_known_stays() {
    let mut stage = Stage::new((120, 40));
    stage.press("e");
    stage.shop.gone = true;
    stage.wait(12);
    assert!(
        stage.shows("nothing listens on 127.0.0.1:7419"),
        "{}",
        stage.picture()
    );
    assert!(stage.shows("orders/charge"));
    stage.wait(40);
    stage.shop.gone = false;
    stage.wait(90);
    assert!(!stage.shows("nothing listens"));
}

#[test]
fn two_marked_traces_are_compared() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Space k k Space d");
    assert!(stage.shows(
        "B took 410 ms longer; SELECT order_items in place_order › charge_card explains 92 % of it"
    ));
}

#[test]
fn related_jobs_lead_on_and_back() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter r");
    assert!(stage.shows("correlation"));
    stage.press("G Enter");
    assert!(stage.shows("POST carrier/labels"), "{}", stage.picture());
    stage.press("Esc");
    assert!(stage.shows("orders/charge  4bf9…4736"));
}

#[test]
fn a_trace_filters_the_list_by_either_key() {
    for keys in ["^t", "gt"] {
        let mut stage = Stage::new((120, 40));
        stage.press("e").press(keys);
        assert!(!stage.shows("emails/"), "{}", stage.picture());
        stage.press("Esc");
        assert!(stage.shows("emails/"));
    }
}

#[test]
fn the_story_and_the_trace_alone_take_turns() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter T");
    assert!(stage.shows("Trace alone"));
    stage.press("T");
    assert!(stage.shows("Story of the job"));
}

#[test]
fn findings_lead_to_their_rows() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter gg !");
    assert!(
        stage.is_selected("SELECT order_items"),
        "{}",
        stage.picture()
    );
}

#[test]
fn what_a_trace_says_cannot_move_the_cursor() {
    let mut stage = Stage::new((120, 40));
    let hostile = TraceSummary {
        name: "GET \x1b[2J\x1b]52;c;aGk=\x07\u{202e}".to_owned(),
        start: NOW,
        end: NOW,
        ..TraceSummary::unknown(longshore_core::TraceId::from_u128(9))
    };
    stage.shop.fresh.lock().unwrap().push(hostile);
    stage.wait(15);
    let picture = stage.picture();
    assert!(picture.contains("GET ·[2J·]"), "{picture}");
    assert!(!picture.contains(['\x1b', '\x07', '\u{202e}']));
}

#[test]
fn a_screen_that_stands_still_still_shows_what_it_has_not_shown_yet() {
    let mut stage = Stage::new((120, 40));
    stage.press("f 4");
    assert!(stage.shows("w-7c1e"), "{}", stage.picture());
    stage.press("2");
    assert!(stage.shows("emails/welcome"));
}

#[test]
fn a_change_that_is_forbidden_is_said_and_nothing_else_stops() {
    let mut stage = Stage::new((120, 40));
    stage.shop.read_only = true;
    stage.press("3 p y");
    assert!(
        stage.shows("this token is for reading alone"),
        "{}",
        stage.picture()
    );
    stage.wait(60);
    assert!(!stage.shows("no answer"));
}

#[test]
fn the_cursor_among_bars_stays_in_sight() {
    let mut stage = Stage::new((80, 24));
    stage.press("3 Enter G");
    assert!(stage.is_selected("2.05s"), "{}", stage.picture());
}

#[test]
fn the_cursor_among_differences_stays_in_sight() {
    let shop = Shop {
        differences: 60,
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, Options::default(), (80, 24));
    stage.press("e Space k k Space d");
    for (keys, row) in [("G", "shop step 59"), ("^u k", "shop step 51")] {
        stage.press(keys);
        assert!(stage.is_selected(row), "{keys} {}", stage.picture());
    }
}

#[test]
fn a_help_that_was_scrolled_to_its_end_comes_back_at_once() {
    let mut stage = Stage::new((80, 24));
    stage.press("? G");
    let end = stage.picture();
    assert!(end.contains("On other screens") || end.contains("Let it fire once"));
    stage.press("k");
    assert_ne!(stage.picture(), end);
}

#[test]
fn what_a_key_does_is_done_by_its_name_too() {
    let mut stage = Stage::new((120, 40));
    stage.press(":").write("next-f");
    assert!(stage.is_selected("next-failure"), "{}", stage.picture());
    stage.press("Enter");
    assert!(stage.shows("orders/charge  4bf9…4736"));
    stage.press(":").write("copy t").press("Tab");
    assert!(stage.shows(": copy-trace-id"), "{}", stage.picture());
    stage.press("Enter");
    assert_eq!(stage.done, [Effect::Copy(CHARGE_TRACE.to_owned())]);
    // What is done elsewhere is shown there, with its key.
    stage.press(":").write("run-now").press("Enter");
    let said = stage.shows("✓ Schedules, x: Let it fire once, now");
    assert!(
        said && stage.shows("nightly-catalogue"),
        "{}",
        stage.picture()
    );
    stage.press(": Down Down Up Esc");
    assert!(!stage.shows("Actions ("));
    stage.press(":").write("zzz");
    assert!(stage.shows("Nothing is called so."));
    stage.press("Enter");
    assert!(!stage.shows("Actions ("));
}

#[test]
fn times_of_no_jobs_are_not_zero() {
    for (size, keys) in [
        ((120, 40), "3 G"),
        ((80, 24), "3 G"),
        ((40, 20), "3 G Enter"),
    ] {
        let mut stage = Stage::new(size);
        stage.press(keys);
        assert!(stage.shows("Time in the queue  –\n"), "{}", stage.picture());
        assert!(!stage.shows("0ns"), "{}", stage.picture());
    }
}
