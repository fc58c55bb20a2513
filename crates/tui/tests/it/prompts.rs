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
    stage.press("/ Tab Enter Enter");
    let searched = stage.shows("Traces ⌕ kind=charge queue=orders");
    assert!(searched, "{}", stage.picture());
}
