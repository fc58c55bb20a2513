//! What asks back before it does something, and what is typed.

use crate::stage::Stage;

/// Enter is what people press to get rid of a question.
#[test]
fn a_question_is_answered_with_yes_by_y_alone() {
    let mut stage = Stage::new((80, 24));
    for keys in ["2 e R", "C", "D", "3 p", "5 p", "x"] {
        stage.press(keys).press("Enter Enter");
        assert!(stage.shows("Sure?"), "{keys} {}", stage.picture());
        stage.press("n");
        assert!(stage.shows("Nothing was changed"), "{}", stage.picture());
    }
    assert!(stage.shop.changes.lock().unwrap().is_empty());
}

#[test]
fn the_first_letter_of_a_search_replaces_the_one_before() {
    for (tab, heading) in [("1", "Traces ⌕ "), ("2", "Jobs: all ⌕ ")] {
        let mut stage = Stage::new((80, 24));
        let searches = |stage: &Stage, text: &str| {
            let heading = format!("{heading}{text} ");
            assert!(stage.shows(&heading), "{heading} {}", stage.picture());
        };
        stage.press(tab).press("/").write("queue=emails");
        stage.press("Enter");
        searches(&stage, "queue=emails");
        stage.press("/");
        let hint = " / queue=emails  typing replaces it, an arrow keeps it";
        assert!(stage.shows(hint), "{}", stage.picture());
        stage.write("queue=orders").press("Enter");
        searches(&stage, "queue=orders");
        stage.press("/").paste("queue=imports").press("Enter");
        searches(&stage, "queue=imports");
        stage.press("/ Left Right").write(" kind=charge");
        assert!(!stage.shows("typing replaces it"), "{}", stage.picture());
        stage.press("Enter");
        searches(&stage, "queue=imports kind=charge");
        stage.press("/ Backspace").write("ing").press("Enter");
        searches(&stage, "queue=imports kind=charging");
        stage.press("/ End ^w").press("Enter");
        searches(&stage, "queue=imports");
    }
}

#[test]
fn a_suggestion_goes_on_from_the_search_before() {
    let mut stage = Stage::new((80, 24));
    stage.press("/").write("kind=charge queue=o").press("Enter");
    stage.press("/ Tab Enter");
    let searched = stage.shows("Traces ⌕ kind=charge queue=orders");
    assert!(searched, "{}", stage.picture());
}

#[test]
fn the_prompt_says_what_can_be_looked_for_here() {
    let mut stage = Stage::new((120, 40));
    stage.press("/");
    assert!(stage.shows("orders error >2s"), "{}", stage.picture());
    stage.press("Esc 2 /");
    let hint = "order-17, queue=orders state=running meta.order=17, a job id";
    assert!(stage.shows(hint), "{}", stage.picture());
    stage.write("order=17").press("Enter");
    let near = "order is no key of jobs; did you mean meta.order=17?";
    assert!(stage.shows(near), "{}", stage.picture());
}

#[test]
fn a_message_leaves_the_keys_in_sight() {
    for size in [(180, 50), (120, 40), (80, 24), (40, 20)] {
        let mut stage = Stage::new(size);
        let keys = stage.picture().lines().last().unwrap().to_owned();
        stage.press("t");
        assert!(stage.shows("Copied"), "{}", stage.picture());
        let after = stage.picture().lines().last().unwrap().to_owned();
        assert_eq!(keys, after);
    }
}

#[test]
fn enter_does_on_every_line_of_a_job_what_the_last_line_says() {
    let mut stage = Stage::new((120, 40));
    stage.press("2 e Enter");
    assert!(stage.shows("⏎ trace"), "{}", stage.picture());
    for lines in 0..6 {
        stage.press(&"j ".repeat(lines)).press("Enter");
        assert!(
            stage.shows("▌Waterfall") || stage.shows("▌Story"),
            "{}",
            stage.picture()
        );
        assert!(stage.done.is_empty(), "{:?}", stage.done);
        stage.press("2 gg");
    }
    stage.press("j j Y");
    let copied = longshore_tui::Effect::Copy("orders".to_owned());
    assert_eq!(stage.done, [copied]);
}

#[test]
fn the_store_is_named_on_any_screen() {
    for size in [
        (180, 50),
        (120, 40),
        (100, 30),
        (80, 24),
        (60, 24),
        (40, 20),
    ] {
        let stage = Stage::new(size);
        assert!(stage.shows("shop.db"), "{}", stage.picture());
    }
}
