//! `longshore tui`, as far as it concerns the terminal: what it shows is tested where it is made.

use std::process::Command;

use crate::shell::Shell;
use crate::terminal::{Terminal, typing};

#[test]
fn the_terminal_is_given_back() {
    let shell = Shell::new();
    shell.enqueue(&["mail", "welcome"]);
    let answer = typing(&shell, 100, "tui", "2?qq");
    assert_eq!(answer.code, 0, "{}", answer.out);
    let taken = answer.out.find("\x1b[?1049h").unwrap();
    let given_back = answer.out.rfind("\x1b[?1049l").unwrap();
    assert!(taken < given_back);
    let shown = &answer.out[taken..given_back];
    assert!(shown.contains("longshore") && shown.contains("Schedules"));
    assert!(
        answer.out[given_back..].contains("\x1b[?25h"),
        "the cursor is shown again"
    );
}

#[test]
fn the_terminal_is_given_back_when_a_signal_ends_it() {
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let shell = Shell::new().with_store();
        let line = format!(
            "sh -c 'echo $$ >pid; exec {} tui'; code=$?; stty -a; exit $code",
            env!("CARGO_BIN_EXE_longshore")
        );
        let mut terminal = Terminal::start(&shell, 100, &line);
        // The second screen is taken after raw mode; the tabs are there once it is drawn.
        terminal.wait_for("Schedules");
        let id = std::fs::read_to_string(shell.folder.join("pid")).unwrap();
        let kill = ["-s", signal, id.trim()];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let answer = terminal.end();
        assert_eq!(answer.code, code, "{signal}: {}", answer.out);
        let given_back = answer.out.rfind("\x1b[?1049l").unwrap();
        let after = &answer.out[given_back..];
        assert!(answer.out.contains("\x1b[?1000l"), "the mouse is let go");
        assert!(after.contains("\x1b[?25h"), "the cursor is shown again");
        // What `stty` says stands behind a minus where it is off.
        for off in ["-icanon", "-echo ", "-isig"] {
            assert!(!after.contains(off), "{signal}: {off} in {after}");
        }
    }
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let answer = Shell::new().run(&["tui"]);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("needs a terminal"), "{}", answer.err);
    assert!(answer.err.contains("jobs list --json"), "{}", answer.err);
}

#[test]
fn what_cannot_be_meant_is_refused_before_the_screen_is_taken() {
    let shell = Shell::new().with_store();
    for (args, says) in [
        ("tui --trace-url zipkin", "none of jaeger, tempo"),
        ("tui --connect nowhere", "--connect"),
    ] {
        let answer = typing(&shell, 80, args, "");
        assert_eq!(answer.code, 2, "{args}: {}", answer.out);
        assert!(answer.out.contains(says), "{args}: {}", answer.out);
        assert!(!answer.out.contains("\x1b[?1049h"));
    }
}

#[test]
fn what_is_no_id_is_searched_for() {
    let shell = Shell::new();
    shell.enqueue(&["mail", "welcome", "--meta", "order=order-2001"]);
    let line = format!("{} tui order-2001", env!("CARGO_BIN_EXE_longshore"));
    let mut terminal = Terminal::start(&shell, 120, &line);
    terminal.wait_for("order-2001");
    terminal.wait_for("takes welcome from mail");
    assert_eq!(terminal.end_with("qq").code, 0);
}

#[test]
fn the_settings_say_where_traces_are_opened_unless_a_flag_does() {
    let shell = Shell::new().with("LONGSHORE_TRACE_URL", "zipkin");
    let answer = typing(&shell, 80, "tui", "");
    assert_eq!(answer.code, 2, "{}", answer.out);
    assert!(answer.out.contains("LONGSHORE_TRACE_URL"), "{}", answer.out);
    let shell = Shell::new().with_store();
    shell.write("longshore.toml", "trace_url = 'jaeger'\n");
    assert_eq!(typing(&shell, 100, "tui", "qq").code, 0);
}
