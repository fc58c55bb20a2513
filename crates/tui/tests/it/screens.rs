//! Whole screens, as text, on every shape. `LONGSHORE_BLESS=1 cargo test -p longshore-tui` writes
//! them anew; look at each before it is committed.

use std::path::Path;

use longshore_tui::{Options, Palette};

use crate::backend::Shop;
use crate::stage::Stage;

const SIZES: [(u16, u16); 4] = [(180, 50), (120, 40), (80, 24), (40, 20)];

/// A screen, and the keys that lead there.
const SCREENS: [(&str, &str); 11] = [
    ("traces", ""),
    ("waterfall", "e Enter"),
    ("span", "e Enter s"),
    ("running", "G k Enter"),
    ("import", "G k k Enter"),
    ("jobs", "2"),
    ("job", "2 e Enter"),
    ("queues", "3"),
    ("bars", "3 Enter"),
    ("workers", "4 j"),
    ("schedules", "5"),
];

/// What lies over a screen.
const OVERLAYS: [(&str, &str); 4] = [
    ("help", "e Enter ?"),
    ("confirm", "2 e R"),
    ("related", "e Enter r"),
    ("search", "/ q u e u e = o"),
];

/// Compares a picture with the one on disk.
fn check(name: &str, (width, height): (u16, u16), picture: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = folder.join(format!("{name}.{width}x{height}.txt"));
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, picture).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        expected == picture,
        "{name} at {width}x{height} is now\n{picture}"
    );
}

#[test]
fn screens_look_as_they_were_approved() {
    for size in SIZES {
        for (name, keys) in SCREENS {
            let mut stage = Stage::new(size);
            stage.wait(2);
            stage.press(keys);
            check(name, size, &stage.picture());
        }
    }
}

#[test]
fn overlays_look_as_they_were_approved() {
    for size in [(120, 40), (40, 20)] {
        for (name, keys) in OVERLAYS {
            let mut stage = Stage::new(size);
            stage.press(keys);
            check(name, size, &stage.picture());
        }
    }
}

#[test]
fn comparisons_look_as_they_were_approved() {
    for size in SIZES {
        for (name, keys) in [
            ("diff", "e Space k d"),
            (
                "diff-groups",
                "/ kind=charge Enter m Esc / kind=ship Enter d",
            ),
        ] {
            let mut stage = Stage::new(size);
            stage.press(keys);
            check(name, size, &stage.picture());
        }
    }
}

/// No two places of one table read the same, however little room there is.
#[test]
fn places_of_a_comparison_read_differently() {
    for size in SIZES {
        let mut stage = Stage::new(size);
        stage.press("e Space k d G");
        let picture = stage.picture();
        let settles = picture.lines().filter(|line| line.contains("job.settle"));
        assert_eq!(settles.count(), 3, "{picture}");
        for place in ["in charge_card", "in send_mail"] {
            assert!(picture.contains(place), "{place}\n{picture}");
        }
    }
}

/// Whoever has the cursor on a handler that failed reads why: the attempt around it knows.
#[test]
fn a_failed_handler_says_what_its_attempt_says() {
    for size in SIZES {
        let mut stage = Stage::new(size);
        stage.press("e Enter k k s");
        check("handler", size, &stage.picture());
    }
    let mut stage = Stage::new((180, 50));
    stage.press("e Enter k k");
    for text in [
        "payment_declined",
        "the bank said: do not honour (51)",
        "src/orders/charge.rs:57:31",
    ] {
        assert!(stage.shows(text), "{text}\n{}", stage.picture());
    }
    stage.press("k");
    for text in [
        "the bank said: do not honour (51)",
        "src/orders/charge.rs:57:31",
    ] {
        assert!(stage.shows(text), "{text}\n{}", stage.picture());
    }
}

#[test]
fn corrected_clocks_look_as_they_were_approved() {
    for size in SIZES {
        for (name, keys) in [("clocks", "e Enter"), ("clocks-as-recorded", "e Enter K")] {
            let shop = Shop {
                skewed: true,
                ..Shop::default()
            };
            let mut stage = Stage::with(shop, Options::default(), size);
            stage.press(keys);
            check(name, size, &stage.picture());
        }
    }
}

#[test]
fn a_part_of_the_time_looks_as_it_was_approved() {
    for size in SIZES {
        let mut stage = Stage::new(size);
        stage.press("e Enter > > > > > > > > > > , ,");
        check("zoomed", size, &stage.picture());
    }
}

#[test]
fn actions_by_name_look_as_they_were_approved() {
    for size in SIZES {
        for (name, keys) in [("actions", ":"), ("actions-typed", "e Enter : t r")] {
            let mut stage = Stage::new(size);
            stage.press(keys);
            check(name, size, &stage.picture());
        }
    }
}

#[test]
fn a_newcomer_is_told_what_to_do() {
    for (name, keys) in [
        ("traces", "1"),
        ("jobs", "2"),
        ("queues", "3"),
        ("workers", "4"),
        ("schedules", "5"),
    ] {
        let shop = Shop {
            empty: true,
            ..Shop::default()
        };
        let mut stage = Stage::with(shop, Options::default(), (80, 24));
        stage.press(keys);
        check(&format!("empty-{name}"), (80, 24), &stage.picture());
    }
}

#[test]
fn a_low_screen_keeps_its_rows() {
    let mut stage = Stage::new((80, 10));
    stage.press("e Enter");
    check("waterfall", (80, 10), &stage.picture());
}

/// Whatever the size, nothing is drawn outside, and nothing panics.
#[test]
fn every_size_can_be_drawn() {
    for keys in [
        "",
        "e Enter",
        "e Enter s",
        "2 e Enter",
        "3 Enter",
        "4",
        "5",
        "?",
        "/ q",
        "2 R",
        ":",
        "3 : w",
    ] {
        let mut stage = Stage::new((180, 50));
        stage.press(keys);
        for (width, height) in (1..60)
            .map(|at| (at * 3, at))
            .chain([(1, 50), (200, 1), (0, 0)])
        {
            stage.resize(width, height);
            stage.wait(1);
            stage.picture();
        }
    }
}

/// Without colours and without Unicode the same is said: signs stand for both.
#[test]
fn ascii_says_the_same() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter");
    let buffer = stage.buffer(Palette::Plain, false);
    let text: String = buffer.content().iter().map(|cell| cell.symbol()).collect();
    assert!(
        text.is_ascii(),
        "{}",
        text.chars()
            .filter(|letter| !letter.is_ascii())
            .collect::<String>()
    );
    assert!(text.contains("x job.process #2"));
    assert!(text.contains("/ 48m02s \\"));
}

/// What cannot be told by colour alone: failed and fine bars differ by a word, the critical path by
/// its fill, waiting by its pattern.
#[test]
fn no_colour_is_needed_to_read_a_waterfall() {
    let mut stage = Stage::new((120, 40));
    stage.press("e Enter");
    let buffer = stage.buffer(Palette::Plain, true);
    let colours = buffer.content().iter().any(|cell| {
        cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset
    });
    assert!(!colours);
    let picture = stage.picture();
    for sign in ["✗ job.process #1", "timeout", "░░░", "▒▒▒", "███", "┄┄┄"]
    {
        assert!(picture.contains(sign), "{sign}");
    }
}
