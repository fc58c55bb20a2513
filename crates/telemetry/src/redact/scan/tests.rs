//! The time that a search takes.

use super::Scanner;

/// Pieces that make detectors look back and ahead, over and over.
const PIECES: &[&str] = &[
    "a@",
    "@",
    "a.b@c",
    "\"@",
    "://",
    "a://b:c",
    "a:b",
    "4111 ",
    "4111",
    "411-",
    "1 ",
    "DE89 ",
    "DE89",
    "eyJ",
    "eyJa.",
    "Bearer ",
    "bearer+",
    "basic+",
    "basic/",
    "basic:",
    "password=",
    "password=\"",
    "password: [",
    "\"password\":",
    "token='",
    "token= ",
    "token=-",
    "=",
    ":",
    " = ",
    "--token ",
    "--",
    "-",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "sk-",
    "sk-a",
    "AKIA",
    "AKIA-",
    "SK0",
    "key-",
    "8Q~",
    "Q~",
    "~",
    "1:AA",
    "-us1",
    "%40",
    "%3D",
    "%3A%2F%2F",
    "password%3D",
    "<password>",
    "password>",
    "[REDACTED:",
    "[",
    "'",
    " '",
    "by '",
    "identified by '",
    "cookie: ",
    "\\\"",
    "xoxb-",
    "ghp_",
    "hooks.slack.com/services/",
    "SG.",
    "é",
    "é@",
];

fn steps(text: &str) -> usize {
    let mut scanner = Scanner::new(text);
    scanner.run();
    scanner.steps.get()
}

#[test]
fn a_search_takes_time_linear_in_the_text() {
    let mut worst = 0;
    for first in PIECES {
        for second in PIECES {
            let piece = format!("{first}{second}");
            let times = 1_024 / piece.len();
            let half = piece.repeat(times);
            let whole = piece.repeat(times * 2);
            let (short, long) = (steps(&half), steps(&whole));
            worst = worst.max(long / whole.len());
            assert!(
                long <= short * 2 + short / 4 + 4_096,
                "{piece:?}: {short}, then {long}"
            );
            assert!(
                long <= whole.len() * 400,
                "{piece:?}: {long} for {}",
                whole.len()
            );
        }
    }
    // A look back is bounded, so is what a byte can cost.
    assert!(worst > 0);
}
