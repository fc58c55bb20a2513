//! What can be clicked and tapped.

use longshore_tui::Effect;

use crate::shop::STUCK;
use crate::stage::Stage;
use crate::walks::CHARGE_TRACE;

#[test]
fn the_mouse_does_what_keys_do() {
    let mut stage = Stage::new((120, 40));
    // The second tab, and the first.
    stage.click(26, 0);
    assert!(stage.shows("Jobs: all"));
    stage.click(14, 0);
    // A line of the list, once to select and once to open.
    stage.click(5, 5);
    assert!(stage.is_selected("emails/"));
    stage.click(5, 5);
    assert!(stage.shows("▌Waterfall"));
    // A row of the waterfall, twice: its span.
    stage.click(50, 8).click(50, 8);
    assert!(stage.shows("▌Span"), "{}", stage.picture());
}

#[test]
fn buttons_of_a_narrow_screen_can_be_tapped() {
    let mut stage = Stage::new((40, 20));
    stage.press("e Enter");
    let picture = stage.picture();
    let bar = picture.lines().last().unwrap();
    let at = bar.chars().take_while(|letter| *letter != 't').count();
    assert!(bar.contains("t copy"), "{bar}");
    stage.click(u16::try_from(at).unwrap() + 2, 19);
    assert_eq!(stage.done, [Effect::Copy(CHARGE_TRACE.to_owned())]);
}

#[test]
fn what_is_listed_over_a_screen_can_be_clicked() {
    let mut stage = Stage::new((120, 40));
    let line = |stage: &Stage, text: &str| {
        let picture = stage.picture();
        let at = picture.lines().position(|line| line.contains(text));
        u16::try_from(at.unwrap()).unwrap()
    };
    stage.press("e Enter r");
    let y = line(&stage, "correlation");
    stage.click(40, y);
    assert!(stage.shows("orders/ship  7d1c"), "{}", stage.picture());
    stage.press(":");
    let y = line(&stage, " copy-trace-id  ");
    stage.click(40, y);
    assert_eq!(stage.done, [Effect::Copy(STUCK.trace_id().to_string())]);
    stage.press(":").click(1, 20);
    assert!(!stage.shows("Actions ("), "{}", stage.picture());
}
