//! Orders, jobs and spans that somebody looks for by what they are called.

use longshore_tui::Options;

use crate::backend::Shop;
use crate::shop::{CHARGE, STUCK};
use crate::stage::Stage;

#[test]
fn a_word_that_no_trace_says_is_looked_for_among_jobs() {
    let mut stage = Stage::new((120, 40));
    stage.wait(3);
    assert!(stage.shows("queue.enqueue"), "{}", stage.picture());
    stage.press("/").write("t-17").press("Enter");
    assert!(stage.shows("No trace matches t-17"), "{}", stage.picture());
    assert!(
        stage.shows("43 jobs say it: press Enter"),
        "{}",
        stage.picture()
    );
    assert!(!stage.shows("queue.enqueue"), "{}", stage.picture());
    stage.press("Enter");
    assert!(stage.shows("▌Jobs: all ⌕ t-17"), "{}", stage.picture());
    assert!(stage.shows("emails/receipt"), "{}", stage.picture());
}

#[test]
fn a_word_that_nothing_says_comes_with_the_key_to_try() {
    for (tab, size) in [
        ("1", (120, 40)),
        ("2", (120, 40)),
        ("1", (80, 24)),
        ("2", (80, 24)),
    ] {
        let mut stage = Stage::new(size);
        stage
            .press(tab)
            .press("/")
            .write("order-2001")
            .press("Enter");
        let said = stage.picture().replace('\n', " ");
        let words: Vec<&str> = said.split_whitespace().collect();
        assert!(words.join(" ").contains("meta.order=order-2001"), "{said}");
    }
}

#[test]
fn a_job_is_opened_by_its_id_wherever_it_is_typed_or_pasted() {
    let mut stage = Stage::new((120, 40));
    stage.press("2 /").write(CHARGE.id).press("Enter");
    assert!(stage.shows("▌Job "), "{}", stage.picture());
    assert!(
        stage.shows("discarded, attempt 2 of 8"),
        "{}",
        stage.picture()
    );
    let mut stage = Stage::new((80, 24));
    stage.paste(STUCK.id);
    assert!(stage.shows("Story of the job"), "{}", stage.picture());
    assert!(stage.is_selected("POST carrier"), "{}", stage.picture());
    let mut stage = Stage::new((80, 24));
    stage.press("/").paste(&CHARGE.trace_id().to_string());
    assert!(stage.shows("▌Waterfall"), "{}", stage.picture());
    // What has blanks in it is a search to be looked at first.
    stage.press("1 Esc").paste("queue=emails error");
    assert!(stage.shows(" / queue=emails error"), "{}", stage.picture());
}

#[test]
fn spans_of_a_trace_are_found_one_after_the_other() {
    let mut stage = Stage::new((120, 40));
    stage
        .press("e Enter")
        .press("/")
        .write("payments")
        .press("Enter");
    assert!(
        stage.shows("2 spans say payments: n and N go on"),
        "{}",
        stage.picture()
    );
    assert!(stage.shows("⌕ payments in 2 (n N)"), "{}", stage.picture());
    let at = |stage: &Stage| {
        let picture = stage.picture();
        let lines = picture.lines().enumerate();
        let mut selected = lines.filter(|(_, line)| line.contains("POST payments"));
        let first = selected.next().unwrap().0;
        (first, stage.is_selected("POST payments"))
    };
    assert!(at(&stage).1, "{}", stage.picture());
    stage.press("n");
    assert!(
        stage.is_selected("1.41s") || stage.is_selected("300ms"),
        "{}",
        stage.picture()
    );
    let first = stage.is_selected("300ms");
    stage.press("n");
    assert_ne!(stage.is_selected("300ms"), first, "{}", stage.picture());
    stage.press("N");
    assert_eq!(stage.is_selected("300ms"), first, "{}", stage.picture());
    stage.press("/").write("nothing-like-it").press("Enter");
    assert!(stage.shows("No span of this trace says nothing-like-it"));
    // What is folded away is unfolded.
    stage.press("[ /").write("select orders").press("Enter");
    assert!(stage.is_selected("SELECT orders"), "{}", stage.picture());
}

#[test]
fn a_service_is_hidden_and_shown_again() {
    let mut stage = Stage::new((120, 40));
    stage
        .press("e Enter / ")
        .write("post /orders")
        .press("Enter");
    assert!(stage.is_selected("POST /orders"), "{}", stage.picture());
    stage.press("x");
    assert!(!stage.shows("POST /orders"), "{}", stage.picture());
    assert!(stage.shows("queue.enqueue charge"), "{}", stage.picture());
    assert!(stage.shows("without web (X)"), "{}", stage.picture());
    // Whoever looks for one of its spans wants to see it.
    stage.press("n");
    assert!(stage.is_selected("POST /orders"), "{}", stage.picture());
    stage.press("x X");
    assert!(stage.shows("POST /orders"), "{}", stage.picture());
    assert!(!stage.shows("without web"), "{}", stage.picture());
}

#[test]
fn the_longest_traces_come_first_if_wanted() {
    let mut stage = Stage::new((120, 40));
    stage.press("S");
    assert!(
        stage.shows("Traces, longest of the 43 listed"),
        "{}",
        stage.picture()
    );
    let first = stage.picture().lines().nth(2).unwrap().to_owned();
    assert!(first.contains("orders/charge"), "{}", stage.picture());
    assert!(stage.is_selected("orders/charge"), "{}", stage.picture());
    stage.press("j j S");
    let first = stage.picture().lines().nth(2).unwrap().to_owned();
    assert!(first.contains("emails/receipt"), "{}", stage.picture());
    assert!(stage.is_selected("emails/receipt"), "{}", stage.picture());
}

#[test]
fn workers_name_the_jobs_that_they_run() {
    let mut stage = Stage::new((120, 40));
    stage.press("4");
    let job = format!("▶ ship {}", STUCK.id);
    assert!(stage.shows(&job), "{}", stage.picture());
}

#[test]
fn an_id_that_is_typed_in_a_trace_goes_to_its_own_trace_or_job() {
    let charge = CHARGE.trace_id().to_string();
    let stuck = STUCK.trace_id().to_string();
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        // The whole id of another trace, how one begins, and the id of a job.
        for text in [stuck.as_str(), &stuck[..8], &stuck[3..14], STUCK.id] {
            let mut stage = Stage::new(size);
            stage.press("e Enter /").write(text).press("Enter");
            assert!(stage.shows("orders/ship"), "{text} {}", stage.picture());
            assert!(!stage.shows("discarded 2/8"), "{text} {}", stage.picture());
        }
        let mut stage = Stage::new(size);
        stage.press("e Enter /").write(CHARGE.id).press("Enter");
        assert!(stage.shows("spans say 0196"), "{}", stage.picture());
        stage.press("/").write(&charge).press("Enter");
        assert!(stage.shows("orders/char"), "{}", stage.picture());
        // What is nobody's leaves nothing of the trace that was open.
        stage.press("/").write("0badc0ffee").press("Enter");
        assert!(
            stage.shows("No trace matches 0badc0ffee"),
            "{}",
            stage.picture()
        );
        assert!(!stage.shows("job.process"), "{}", stage.picture());
    }
}

#[test]
fn a_search_that_finds_nothing_leaves_nothing_of_another_trace() {
    for search in ["nothing-like-it", "quue=orders", "kind=gone"] {
        let mut stage = Stage::new((120, 40));
        stage.press("e Enter Esc");
        assert!(stage.shows("job.process"), "{}", stage.picture());
        stage.press("/").write(search).press("Enter").wait(5);
        assert!(!stage.shows("job.process"), "{search} {}", stage.picture());
    }
    // And one that finds something shows that.
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter r G Enter Tab Tab");
    assert!(stage.shows("POST carrier"), "{}", stage.picture());
    stage.press("/").write("kind=charge").press("Enter").wait(5);
    assert!(stage.shows("orders/charge  4bf9"), "{}", stage.picture());
}

#[test]
fn what_is_to_be_searched_for_is_searched_for_at_the_start() {
    let options = Options {
        search: Some("kind=charge".to_owned()),
        ..Options::default()
    };
    let mut stage = Stage::with(Shop::default(), options, (120, 40));
    stage.wait(5);
    assert!(stage.shows("Traces ⌕ kind=charge"), "{}", stage.picture());
    assert!(stage.shows("orders/charge  4bf9"), "{}", stage.picture());
}

#[test]
fn a_message_covers_nothing_of_a_list() {
    for size in [(120, 40), (80, 24), (40, 20), (80, 10), (40, 10)] {
        let mut stage = Stage::new(size);
        stage.press("2 G");
        let before = stage.picture();
        let last = "orders/charge";
        assert!(stage.is_selected(last), "{before}");
        stage.press("y");
        assert!(stage.is_selected(last), "{}", stage.picture());
        assert!(stage.shows("✓ Copied https://"), "{}", stage.picture());
        // It stays until the next key, and no longer than it takes to read it.
        stage.press("k");
        assert!(!stage.shows("✓ Copied"), "{}", stage.picture());
    }
}

#[test]
fn the_jobs_that_took_longest_come_first_if_wanted() {
    for size in [(120, 40), (80, 24)] {
        let mut stage = Stage::new(size);
        stage.press("2 S");
        assert!(
            stage.shows("Jobs: all, longest of the 43 listed"),
            "{}",
            stage.picture()
        );
        assert!(stage.is_selected("48m19s") || stage.is_selected("orders/charge"));
        stage.wait(30);
        assert!(stage.is_selected("orders/charge"), "{}", stage.picture());
        stage.press("S");
        assert!(stage.is_selected("emails/receipt"), "{}", stage.picture());
    }
}

#[test]
fn rows_of_two_lines_tell_apart_what_is_called_the_same() {
    let mut stage = Stage::new((40, 20));
    assert!(stage.shows("aaaa…0000"), "{}", stage.picture());
    assert!(stage.shows("aaaa…0001"), "{}", stage.picture());
    stage.press("2");
    assert!(stage.shows("…l-0001"), "{}", stage.picture());
}

#[test]
fn the_last_service_is_not_hidden() {
    let shop = Shop {
        retries: true,
        ..Shop::default()
    };
    let mut stage = Stage::with(shop, Options::default(), (120, 40));
    stage.press("e Enter x gg x");
    assert!(
        stage.shows("without payments and 1 more"),
        "{}",
        stage.picture()
    );
    // What is left besides are back-off and wait, which the record of the job tells.
    stage.press("gg x");
    assert!(
        stage.shows("No other service is shown"),
        "{}",
        stage.picture()
    );
    assert!(stage.shows("job.process #1"), "{}", stage.picture());
}

#[test]
fn the_id_of_a_trace_goes_there_wherever_it_is_typed() {
    let id = CHARGE.trace_id().to_string();
    for size in [(120, 40), (80, 24)] {
        for tab in ["1", "2", "3"] {
            let mut stage = Stage::new(size);
            stage.press(tab).press("/").write(&id).press("Enter");
            assert!(stage.shows("▌Waterfall"), "{tab} {}", stage.picture());
            assert!(stage.shows("discarded 2/8"), "{tab} {}", stage.picture());
        }
    }
}
