//! One rule after the other, and what each setting changes.

use std::borrow::Cow;

use longshore_instrument::{Attribute, AttributeValue};

use super::super::{Action, CustomRedactor, RedactionPolicy, Redactor, Rule, Verdict};
use super::{changed, redactor, with};

fn names(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn value(
    redactor: &Redactor,
    key: &str,
    value: impl Into<AttributeValue>,
) -> Option<AttributeValue> {
    let mut value = value.into();
    redactor.attribute(key, &mut value).then_some(value)
}

#[test]
fn what_is_found_is_masked_by_the_name_of_its_rule() {
    let redactor = redactor();
    for (text, expected) in [
        ("mail ada@example.com now", "mail [REDACTED:email] now"),
        ("git@github.com:shop/app.git", "git@github.com:shop/app.git"),
        (
            "paid with 4111 1111 1111 1111.",
            "paid with [REDACTED:card].",
        ),
        (
            "to DE89 3704 0044 0532 0130 00, thanks",
            "to [REDACTED:iban], thanks",
        ),
        (
            "postgres://app:hunter22@db/x",
            "postgres://[REDACTED:userinfo]@db/x",
        ),
        ("Bearer abc123def456ghi789jk", "Bearer [REDACTED:bearer]"),
        ("Basic dXNlcjpwYXNz", "Basic [REDACTED:basic]"),
        ("key AKIAIOSFODNN7EXAMPLE", "key [REDACTED:aws_key]"),
        (
            "password=hunter22&user=ada",
            "password=[REDACTED:secret]&user=ada",
        ),
        (
            r#"{"password":"hun\"ter22","user":"ada"}"#,
            r#"{"password":"[REDACTED:secret]","user":"ada"}"#,
        ),
        (
            "{\\\"token\\\":\\\"abcdefgh\\\",\\\"a\\\":1}",
            "{\\\"token\\\":\\\"[REDACTED:secret]\\\",\\\"a\\\":1}",
        ),
        (
            "Cookie: a=b; c=d\nHost: x",
            "Cookie: [REDACTED:secret]\nHost: x",
        ),
        (
            "--password hunter22 --user ada",
            "--password [REDACTED:secret] --user ada",
        ),
        (
            "token_count=12 max_tokens: 4096 author=ada",
            "token_count=12 max_tokens: 4096 author=ada",
        ),
        ("token: expired", "token: expired"),
        ("password=$1", "password=$1"),
        ("token::parse failed", "token::parse failed"),
        ("curl -u ada:hunter22", "curl -u ada:hunter22"),
    ] {
        assert_eq!(redactor.text(text), expected);
    }
}

#[test]
fn nothing_is_copied_if_nothing_is_found() {
    assert!(matches!(
        redactor().text("order 17 was sent"),
        Cow::Borrowed(_)
    ));
}

#[test]
fn keys_tell_secrets_whatever_the_value() {
    let redactor = redactor();
    let masked = AttributeValue::from("[REDACTED:secret_key]");
    for key in [
        "hmac_secret",
        "oidc_token",
        "authorization",
        "password",
        "api_key",
        "bearer_token",
        "http.request.header.cookie",
        "X-API-Key",
    ] {
        assert_eq!(
            value(&redactor, key, "short"),
            Some(masked.clone()),
            "{key}"
        );
        assert_eq!(
            value(&redactor, key, 1234_i64),
            Some(masked.clone()),
            "{key}"
        );
    }
    assert_eq!(
        value(&redactor, "password", true),
        Some(AttributeValue::Bool(true))
    );
    assert_eq!(
        value(&redactor, "token_count", 12_i64),
        Some(AttributeValue::Int(12))
    );
    assert_eq!(redactor.counts()[&Rule::SecretKey], 16);
}

#[test]
fn numbers_of_cards_are_found_in_numbers() {
    let redactor = redactor();
    let masked = AttributeValue::from("[REDACTED:card]");
    assert_eq!(
        value(&redactor, "n", 4_111_111_111_111_111_i64),
        Some(masked.clone())
    );
    assert_eq!(
        value(&redactor, "n", 4_111_111_111_111_111_f64),
        Some(masked)
    );
    assert_eq!(
        value(&redactor, "n", 4_111_111_111_111_112_i64),
        Some(AttributeValue::Int(4_111_111_111_111_112))
    );
    assert_eq!(
        value(&redactor, "n", f64::NAN).map(|v| format!("{v:?}")),
        Some("Double(NaN)".to_owned())
    );
}

#[test]
fn a_flag_in_a_list_tells_that_the_next_is_secret() {
    let mut list = AttributeValue::Strings(
        ["psql", "--password", "hunter22", "-h", "db", "a@b.de"]
            .map(Cow::Borrowed)
            .to_vec(),
    );
    assert!(redactor().attribute("process.command_args", &mut list));
    let expected = [
        "psql",
        "--password",
        "[REDACTED:secret_key]",
        "-h",
        "db",
        "[REDACTED:email]",
    ];
    assert_eq!(
        list,
        AttributeValue::Strings(expected.map(Cow::Borrowed).to_vec())
    );
}

#[test]
fn statements_and_urls_lose_their_values() {
    let redactor = redactor();
    let statement = "SELECT * FROM users WHERE name = 'Ada' AND age > 36";
    assert_eq!(
        redactor.pair("db.query.text", statement).unwrap(),
        "SELECT * FROM users WHERE name = ? AND age > ?"
    );
    assert_eq!(
        redactor
            .pair("db.statement", "HSET user:1 name Ada")
            .unwrap(),
        "[REDACTED:sql]"
    );
    assert_eq!(
        redactor.pair("db.query.parameter.0", "Ada").unwrap(),
        "[REDACTED:sql]"
    );
    assert_eq!(
        redactor.pair("url.full", "https://u:p@h/x?a=b#c").unwrap(),
        "https://[REDACTED:userinfo]@h/x?a=[REDACTED:url]#[REDACTED:url]"
    );
    assert_eq!(
        redactor.pair("url.query", "a=b&c=").unwrap(),
        "a=[REDACTED:url]&c="
    );
    let off = with(|policy| policy.sanitize_sql = false);
    assert_eq!(off.pair("db.query.text", statement).unwrap(), statement);
}

#[test]
fn payloads_stay_unless_told_otherwise() {
    assert_eq!(
        redactor().pair("job.args", "{}").unwrap(),
        "[REDACTED:payload]"
    );
    assert_eq!(
        redactor().pair("http.request.body", "x").unwrap(),
        "[REDACTED:payload]"
    );
    let off = with(|policy| policy.redact_payloads = false);
    assert_eq!(off.pair("job.args", "{}").unwrap(), "{}");
    assert_eq!(
        off.pair("job.args", "ada@example.com").unwrap(),
        "[REDACTED:email]"
    );
}

#[test]
fn an_empty_allow_list_lets_nothing_through() {
    let redactor = with(|policy| policy.allowed_attributes = Some(Vec::new()));
    for key in ["app.note", "messaging.system", "longshore.job.attempt", ""] {
        assert_eq!(redactor.pair(key, "x"), None, "{key}");
    }
    // A text without a key is no attribute.
    assert_eq!(redactor.text("x"), "x");
}

#[test]
fn allow_and_block_lists_understand_stars_and_aliases() {
    let redactor = with(|policy| {
        policy.allowed_attributes = Some(names(&["job.id", "http.*"]));
        policy.blocked_attributes = names(&["http.route", "*.email"]);
    });
    assert!(redactor.pair("messaging.message.id", "x").is_some());
    assert!(redactor.pair("http.method", "GET").is_some());
    assert!(redactor.pair("http.route", "/x").is_none());
    assert!(redactor.pair("http.email", "x").is_none());
    assert!(redactor.pair("app.note", "x").is_none());
    let mut attributes = vec![
        Attribute::new("job.id", "x"),
        Attribute::new("app.note", "x"),
    ];
    assert_eq!(redactor.attributes(&mut attributes), 1);
    assert_eq!(redactor.counts()[&Rule::NotAllowed], 2);
    assert_eq!(redactor.counts()[&Rule::Blocked], 2);
    // What may leave by its key is searched all the same.
    assert_eq!(
        redactor.pair("http.method", "ada@example.com").unwrap(),
        "[REDACTED:email]"
    );
}

#[test]
fn actions_are_chosen_by_rule() {
    let policy = RedactionPolicy::default()
        .with_action(Rule::Email, Action::Hash)
        .with_action(Rule::Card, Action::KeepLast)
        .with_action(Rule::Jwt, Action::Hash)
        .with_action(Rule::Iban, Action::Drop)
        .with_action(Rule::SecretKey, Action::Drop);
    let (plain, _) = Redactor::new(&policy);
    // Without a key, what should be hashed is masked.
    assert_eq!(plain.text("ada@example.com"), "[REDACTED:email]");
    let (keyed, _) = Redactor::new(&policy.clone().with_hash_key("k"));
    let (other, _) = Redactor::new(&policy.with_hash_key("l"));
    let hash = keyed.text("ada@example.com").into_owned();
    assert!(
        hash.starts_with("[HASHED:email:") && hash.len() == 31,
        "{hash}"
    );
    assert_eq!(keyed.text("ada@example.com"), hash);
    assert_ne!(other.text("ada@example.com"), hash);
    assert_ne!(keyed.text("bob@example.com"), hash);
    assert_eq!(keyed.text("4111111111111111"), "[REDACTED:card:1111]");
    assert_eq!(keyed.text("to DE89370400440532013000."), "to .");
    assert_eq!(keyed.pair("password", "x"), None);
    for text in [hash.as_str(), "[REDACTED:card:1111]"] {
        assert_eq!(keyed.text(text), text);
    }
}

#[test]
fn patterns_of_the_user_hide_what_they_match() {
    let redactor = with(|policy| policy.patterns = names(&["K-[0-9]{4}", "(?i)project [a-z]+"]));
    assert_eq!(
        redactor.text("K-1234 is of Project Zeus"),
        "[REDACTED:pattern] is of [REDACTED:pattern]"
    );
    assert_eq!(redactor.counts()[&Rule::Pattern], 2);
    let greedy = with(|policy| policy.patterns = names(&[r"\w+", ".*", ""]));
    let once = greedy.text("any thing").into_owned();
    assert_eq!(greedy.text(&once), once);
}

#[test]
fn a_wrong_pattern_is_a_warning_and_no_text_leaves() {
    let policy = changed(|policy| policy.patterns = names(&["fine", "K-[0-9"]));
    let (redactor, warnings) = Redactor::new(&policy);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].0.contains("`K-[0-9`") && warnings[0].0.contains("unclosed character class"),
        "{warnings:?}"
    );
    assert_eq!(redactor.text("anything"), "[REDACTED:pattern]");
    assert_eq!(
        redactor.pair("db.query.text", "SELECT 1").unwrap(),
        "[REDACTED:pattern]"
    );
    assert_eq!(redactor.text(""), "");
}

#[test]
fn long_values_are_cut_between_characters_and_not_within_marks() {
    let redactor = with(|policy| policy.max_attribute_length = 10);
    assert_eq!(redactor.text("größergröß"), "größergröß");
    assert_eq!(redactor.text("größergröße"), "größergrö…");
    assert_eq!(redactor.text("mail x ada@example.com"), "mail x …");
    // A JSON web token is found before it is cut.
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc";
    assert!(!redactor.text(token).contains("eyJ"));
}

#[derive(Debug)]
struct Moody;

impl CustomRedactor for Moody {
    fn redact(&self, key: &str, value: &AttributeValue) -> Verdict {
        match (key, value) {
            ("drop", _) => Verdict::Drop,
            ("replace", _) => Verdict::Replace(AttributeValue::from("by ada@example.com")),
            ("number", _) => Verdict::Replace(AttributeValue::Int(7)),
            ("panic", _) => panic!("a bug of the application"),
            ("", AttributeValue::String(text)) if text == "secret" => Verdict::Drop,
            _ => Verdict::Keep,
        }
    }
}

#[test]
fn redactors_of_the_application_come_first() {
    let policy = RedactionPolicy::default().with_redactor(Moody);
    let (redactor, _) = Redactor::new(&policy);
    assert_eq!(value(&redactor, "drop", 1_i64), None);
    assert_eq!(
        value(&redactor, "replace", "x"),
        Some(AttributeValue::from("by [REDACTED:email]"))
    );
    assert_eq!(
        value(&redactor, "number", "x"),
        Some(AttributeValue::Int(7))
    );
    assert_eq!(
        value(&redactor, "panic", "x"),
        Some(AttributeValue::from("[REDACTED:custom]"))
    );
    assert_eq!(redactor.pair("panic", "x").unwrap(), "[REDACTED:custom]");
    assert_eq!(redactor.pair("drop", "x"), None);
    assert_eq!(redactor.text("secret"), "");
    assert_eq!(redactor.text("fine"), "fine");
    assert_eq!(redactor.counts()[&Rule::Custom], 7);
}

#[test]
fn baggage_is_redacted_member_by_member() {
    let redactor = with(|policy| policy.blocked_attributes = names(&["internal.*"]));
    let header = "tenant=acme;p=1, token=abc, mail=ada%40example.com, internal.x=1, broken";
    let shown = redactor.baggage(header);
    assert_eq!(
        shown,
        "tenant=acme;p=1,token=[REDACTED:secret_key],mail=[REDACTED:email]"
    );
    assert_eq!(redactor.baggage(&shown), shown);
}

#[test]
fn what_the_engine_writes_of_bounded_words_is_not_searched() {
    use longshore_instrument::table::key;
    let redactor = redactor();
    let mut value = AttributeValue::from("ada@example.com".to_owned());
    assert!(redactor.value(key::OUTCOME, &mut value, true));
    assert_eq!(value, AttributeValue::from("ada@example.com"));
    // The same key on a user's span is.
    assert!(redactor.value(key::OUTCOME, &mut value, false));
    assert_eq!(value, AttributeValue::from("[REDACTED:email]"));
}

#[test]
fn the_hash_key_is_in_no_debug_output() {
    let policy = RedactionPolicy::default().with_hash_key("topsecretkey");
    let (redactor, _) = Redactor::new(&policy);
    let shown = format!("{policy:?} {redactor:?}");
    let bytes = format!("{:?}", b"topsecretkey".as_slice());
    assert!(!shown.contains("topsecretkey") && !shown.contains(bytes.trim_matches(['[', ']'])));
}
