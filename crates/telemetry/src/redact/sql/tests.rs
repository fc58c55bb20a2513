//! Statements of several dialects.

use proptest::prelude::*;

use super::sanitized;

const STATEMENTS: &[(&str, &str)] = &[
    (
        "SELECT * FROM t WHERE a = 'x' AND b = 1.5e-3",
        "SELECT * FROM t WHERE a = ? AND b = ?",
    ),
    (
        "SELECT 'it''s', E'a\\'b', X'1F', b'01', N'x', U&'x', _utf8'x'",
        "SELECT ?, ?, ?, ?, ?, ?, ?",
    ),
    ("SELECT $$secret$$, $tag$it's $$ here$tag$", "SELECT ?, ?"),
    (
        "SELECT q'[it's]', nq'{x}', q'!a!' FROM dual",
        "SELECT ?, ?, ? FROM dual",
    ),
    (
        "SELECT 0x1F, 0b01, 1_000, .5, 5., -7, 12abc",
        "SELECT ?, ?, ?, ?, ?, -?, ?",
    ),
    (
        "SELECT a /* secret */ FROM t -- more 'secret\nWHERE x=1 # secret",
        "SELECT a FROM t WHERE x=?",
    ),
    (
        "SELECT a FROM t WHERE id IN (1, 2, 3)",
        "SELECT a FROM t WHERE id IN (?)",
    ),
    (
        "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        "INSERT INTO t (a, b) VALUES (?)",
    ),
    (
        "SELECT $1, ?, ?2, :name, @v, @@version, %s",
        "SELECT $1, ?, ?2, :name, @v, @@version, %s",
    ),
    (
        "SELECT a::text, x[1:2], j->>'k' FROM t",
        "SELECT a::text, x[??], j->>? FROM t",
    ),
    (
        r#"SELECT "u"."name" FROM "users" AS "u" WHERE "u"."id" = "secret""#,
        r#"SELECT "u"."name" FROM "users" AS ? WHERE "u"."id" = ?"#,
    ),
    (
        "SELECT `a` FROM `b`.`c` WHERE `d` = \"secret\"",
        "SELECT `a` FROM `b`.`c` WHERE `d` = ?",
    ),
    ("SELECT `an odd, long one` FROM t", "SELECT ? FROM t"),
    (
        "ALTER USER bob IDENTIFIED BY tiger",
        "ALTER USER bob IDENTIFIED ?",
    ),
    ("SET SESSION timeout = 5", "SET ?"),
    ("SET user:1 secret; GET secret", "SET ?"),
    ("pragma key = hunter", "PRAGMA ?"),
    (
        "(SELECT 1) UNION (SELECT 2);",
        "(SELECT ?) UNION (SELECT ?);",
    ),
    ("BEGIN; SELECT 1; COMMIT", "BEGIN; SELECT ?; COMMIT"),
    (
        "SELECT größe FROM straße WHERE ort = 'Köln'",
        "SELECT größe FROM straße WHERE ort = ?",
    ),
    ("", ""),
    (" -- only said", ""),
];

#[test]
fn literals_of_all_dialects_are_gone() {
    for (statement, expected) in STATEMENTS {
        assert_eq!(
            sanitized(statement).as_deref(),
            Some(*expected),
            "{statement}"
        );
    }
}

#[test]
fn what_cannot_be_read_wholly_is_refused() {
    for statement in [
        "SELECT 'secret",
        "SELECT \"secret",
        "SELECT `secret",
        "SELECT $$secret",
        "SELECT $a$secret$b$",
        "SELECT 1 /* secret",
        "SELECT q'[secret'",
        // Where this text ends depends on the dialect.
        "SELECT 'C:\\', secret, '",
        "SELECT \"a\\\", secret, \"",
        "SELECT ‘secret’",
        "SELECT \\secret",
        "SELECT a --'x\nsecret'",
        "HSET user:1 name secret",
        "SELECT a; GET c",
        "SELECT 1; PRAGMA key = secret",
        "COPY t FROM stdin;\nsecret",
        "db.users.find({name: 'secret'})",
        "{\"find\": \"users\"}",
        "SELECT \u{1}",
    ] {
        assert_eq!(sanitized(statement), None, "{statement}");
    }
    assert_eq!(sanitized(&format!("SELECT {}", "1, ".repeat(40_000))), None);
}

/// A literal, and the piece of it that must not survive.
fn literal() -> impl Strategy<Value = (String, String)> {
    let secret = "[a-z]{4}[0-9]{4}[a-z]{3}";
    let form = 0..12_usize;
    (secret, form, "[0-9]{9,14}").prop_map(|(secret, form, number)| {
        let text = match form {
            0 => format!("'{secret}'"),
            1 => format!("'it''s {secret}'"),
            2 => format!("E'a\\'{secret}\\\\'"),
            3 => format!("$${secret}$$"),
            4 => format!("$t${secret} $$ '$t$"),
            5 => format!("N'{secret}'"),
            6 => format!("\"{secret}\""),
            7 => format!("q'[{secret}]'"),
            8 => format!("'日本{secret}語'"),
            9 => format!("'{secret}' /* {secret} */"),
            10 => return (number.clone(), number),
            _ => return (format!("0x{number}"), number),
        };
        (text, secret)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_literal_of_a_statement_survives(literals in prop::collection::vec(literal(), 1..8), form in 0..6_usize) {
        let texts: Vec<&str> = literals.iter().map(|(text, _)| text.as_str()).collect();
        let statement = match form {
            0 => format!("SELECT a FROM t WHERE b IN ({})", texts.join(", ")),
            1 => format!("INSERT INTO t VALUES ({})", texts.join(",")),
            2 => format!("UPDATE t SET a = {} WHERE 1 = 1 -- done", texts.join(", b = ")),
            3 => format!("select f({}) from \"t\"", texts.join(" , ")),
            4 => format!("WITH x AS (SELECT {}) SELECT * FROM x", texts.join("\n,\n")),
            _ => format!("SELECT CASE WHEN a LIKE {} THEN 1 END FROM t LIMIT 5", texts.join(" OR a = ")),
        };
        let shown = sanitized(&statement).unwrap();
        for (_, secret) in &literals {
            prop_assert!(!shown.contains(secret.as_str()), "{} became {}", statement, shown);
        }
        prop_assert_eq!(sanitized(&shown), Some(shown.clone()));
    }

    #[test]
    fn a_statement_cut_anywhere_shows_no_literal(literals in prop::collection::vec(literal(), 1..5), cut in 0.0..1.0_f64) {
        let texts: Vec<&str> = literals.iter().map(|(text, _)| text.as_str()).collect();
        let statement = format!("SELECT {} FROM t", texts.join(", "));
        let end = statement.floor_char_boundary((statement.len() as f64 * cut) as usize);
        if let Some(shown) = sanitized(&statement[..end]) {
            for (_, secret) in &literals {
                prop_assert!(!shown.contains(&secret[..4]), "{} became {}", statement, shown);
            }
        }
    }

    #[test]
    fn anything_is_borne_and_settles(text in "(SELECT |VALUES )?[ -~é日'\"$`?:/*#\n-]{0,80}") {
        if let Some(shown) = sanitized(&text) {
            prop_assert_eq!(sanitized(&shown), Some(shown.clone()), "{}", text);
        }
    }
}
