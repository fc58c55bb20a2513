//! Secrets of every kind, planted everywhere.

use std::borrow::Cow;

use fastrand::Rng;
use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::{
    Attribute, AttributeValue, Dropped, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
use proptest::prelude::*;

use super::redactor;

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

fn pick(rng: &mut Rng, from: &str, length: usize) -> String {
    let letters: Vec<char> = from.chars().collect();
    (0..length)
        .map(|_| letters[rng.usize(..letters.len())])
        .collect()
}

/// What stands before the secret, the secret, what stands after it.
type Planted = (String, String, String);

fn bare(secret: String) -> Planted {
    (String::new(), secret, String::new())
}

fn after(before: impl Into<String>, secret: String) -> Planted {
    (before.into(), secret, String::new())
}

fn base64(text: &str) -> String {
    let letters: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        .chars()
        .collect();
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for index in 0..4 {
            let six = (bits >> (18 - 6 * index)) & 63;
            out.push(if index > three.len() {
                '='
            } else {
                letters[six as usize]
            });
        }
    }
    out
}

fn card(rng: &mut Rng, prefix: &str, length: usize) -> String {
    let mut digits = format!("{prefix}{}", pick(rng, DIGITS, length - prefix.len() - 1));
    for check in '0'..='9' {
        digits.push(check);
        let sum: u32 = digits
            .bytes()
            .rev()
            .enumerate()
            .map(|(index, byte)| {
                let digit = u32::from(byte - b'0');
                let doubled = if index % 2 == 1 { digit * 2 } else { digit };
                doubled / 10 + doubled % 10
            })
            .sum();
        if sum.is_multiple_of(10) {
            break;
        }
        digits.pop();
    }
    digits
}

fn iban(country: &str, body: &str) -> String {
    let numbers: String = format!("{body}{country}00")
        .chars()
        .map(|c| c.to_digit(36).unwrap().to_string())
        .collect();
    let remainder = numbers
        .bytes()
        .fold(0, |rest, byte| (rest * 10 + u32::from(byte - b'0')) % 97);
    format!("{country}{:02}{body}", 98 - remainder)
}

fn grouped(text: &str, size: usize, separator: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters
        .chunks(size)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(separator)
}

fn jwt(rng: &mut Rng) -> String {
    let header = base64(r#"{"alg":"HS256","typ":"JWT"}"#).replace('=', "");
    let claims = base64(&format!(r#"{{"sub":"{}"}}"#, pick(rng, ALNUM, 12))).replace('=', "");
    format!("{header}.{claims}.{}", pick(rng, ALNUM, 43))
}

fn pem(rng: &mut Rng, newline: &str) -> String {
    let kind = [
        "RSA PRIVATE KEY",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ][rng.usize(..5)];
    let lines: Vec<String> = (0..5).map(|_| pick(rng, ALNUM, 64)).collect();
    format!(
        "-----BEGIN {kind}-----{newline}{}{newline}-----END {kind}-----",
        lines.join(newline)
    )
}

/// API keys by the form that the services give them.
fn api_key(rng: &mut Rng) -> String {
    let forms: &[(&str, &str, usize)] = &[
        ("AKIA", UPPER, 16),
        ("ASIA", UPPER, 16),
        ("AIza", ALNUM, 35),
        ("ya29.", ALNUM, 60),
        ("GOCSPX-", ALNUM, 28),
        ("ghp_", ALNUM, 36),
        ("gho_", ALNUM, 36),
        ("ghs_", ALNUM, 36),
        ("github_pat_", ALNUM, 82),
        ("glpat-", ALNUM, 20),
        ("glrt-", ALNUM, 20),
        ("xapp-", ALNUM, 40),
        ("xoxb-", ALNUM, 40),
        ("xoxp-", ALNUM, 50),
        ("sk_live_", ALNUM, 24),
        ("rk_live_", ALNUM, 24),
        ("sk_test_", ALNUM, 24),
        ("whsec_", ALNUM, 32),
        ("sk-", ALNUM, 48),
        ("sk-proj-", ALNUM, 64),
        ("sk-ant-api03-", ALNUM, 95),
        ("hf_", ALNUM, 34),
        ("gsk_", ALNUM, 52),
        ("npm_", ALNUM, 36),
        ("pypi-AgEIcHlwaS5vcmc", ALNUM, 70),
        ("SK", HEX, 32),
        ("AC", HEX, 32),
        ("shpat_", HEX, 32),
        ("dop_v1_", HEX, 64),
        ("key-", HEX, 32),
        ("dapi", HEX, 32),
        ("lin_api_", ALNUM, 40),
        ("glsa_", ALNUM, 32),
        ("NRAK-", UPPER, 27),
        ("sq0atp-", ALNUM, 22),
        ("hvs.", ALNUM, 90),
        ("dckr_pat_", ALNUM, 27),
        ("AGE-SECRET-KEY-1", UPPER, 58),
        ("ATATT3", ALNUM, 186),
        ("tskey-auth-", ALNUM, 30),
        ("hooks.slack.com/services/T", UPPER, 40),
        ("pscale_pw_", ALNUM, 43),
        ("secret_", ALNUM, 43),
        ("LTAI", ALNUM, 20),
        ("sntrys_", ALNUM, 60),
        ("rubygems_", HEX, 48),
        ("figd_", ALNUM, 40),
    ];
    let (prefix, letters, length) = forms[rng.usize(..forms.len())];
    format!("{prefix}{}", pick(rng, letters, length))
}

fn odd_key(rng: &mut Rng) -> String {
    match rng.u8(..4) {
        0 => format!("SG.{}.{}", pick(rng, ALNUM, 22), pick(rng, ALNUM, 43)),
        1 => format!("{}8Q~{}", pick(rng, ALNUM, 3), pick(rng, ALNUM, 34)),
        2 => format!("{}:AA{}", pick(rng, "123456789", 9), pick(rng, ALNUM, 33)),
        _ => format!("{}-us{}", pick(rng, HEX, 32), rng.u8(1..20)),
    }
}

const SECRET_NAMES: &[&str] = &[
    "password",
    "Password",
    "PASSWORD",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "clientSecret",
    "token",
    "access_token",
    "accessToken",
    "refresh-token",
    "api_key",
    "apiKey",
    "API_KEY",
    "api-key",
    "apikey",
    "X-Api-Key",
    "hmac_secret",
    "oidc_token",
    "bearer_token",
    "db.password",
    "AWS_SECRET_ACCESS_KEY",
    "AccountKey",
    "SharedAccessKey",
    "private_key",
    "PGPASSWORD",
    "spring.datasource.password",
    "jwt",
    "sessionid",
    "credentials",
    "signing_key",
];

const SIGNS: &[&str] = &[
    "=",
    ": ",
    ":",
    " = ",
    " : ",
    "=\"",
    "='",
    ": \"",
    " => '",
    "\": \"",
    "\":\"",
    "' : '",
    "\\\":\\\"",
    "%3D",
    "%3A",
    "\\u0022:\\u0022",
    "=%22",
    " := ",
    "==",
    " != '",
    "]=",
    "\"] = \"",
];

/// Names that call a value secret, with the signs that may stand between.
fn assigned(rng: &mut Rng) -> Planted {
    let name = SECRET_NAMES[rng.usize(..SECRET_NAMES.len())];
    let sign = SIGNS[rng.usize(..SIGNS.len())];
    let close = match sign.chars().last() {
        Some('"') if sign.ends_with("\\\"") => "\\\"",
        Some(quote @ ('"' | '\'')) => {
            if quote == '"' {
                "\""
            } else {
                "'"
            }
        }
        _ => "",
    };
    let length = 8 + rng.usize(..40);
    let secret = pick(rng, ALNUM, length);
    (format!("{name}{sign}"), secret, close.to_owned())
}

fn told(rng: &mut Rng) -> Planted {
    let length = 8 + rng.usize(..30);
    let secret = pick(rng, ALNUM, length);
    match rng.u8(..10) {
        0 => after("--password ", secret),
        1 => after("--api-key=", secret),
        2 => (
            String::from("<password>"),
            secret,
            String::from("</password>"),
        ),
        3 => (String::from("IDENTIFIED BY '"), secret, String::from("'")),
        4 => after("Server=db;User Id=app;Password=", secret),
        5 => after(
            "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=",
            secret + "==",
        ),
        6 => (
            String::from("password: Some(\""),
            secret,
            String::from("\")"),
        ),
        7 => (String::from("\"token\": [\""), secret, String::from("\"]")),
        8 => (String::from("the password '"), secret, String::from("'")),
        _ => after("password%3D", secret),
    }
}

fn person(rng: &mut Rng) -> String {
    let top = ["com", "de", "co.uk", "museum", "info"][rng.usize(..5)];
    let name = match rng.u8(..4) {
        0 => format!("{}.{}", pick(rng, LOWER, 6), pick(rng, LOWER, 8)),
        1 => format!("{}+{}", pick(rng, LOWER, 9), pick(rng, DIGITS, 3)),
        2 => format!("{}müller{}", pick(rng, LOWER, 2), pick(rng, DIGITS, 3)),
        _ => pick(rng, ALNUM, 10),
    };
    format!("{name}@{}.{top}", pick(rng, LOWER, 9))
}

fn printed_card(rng: &mut Rng) -> Planted {
    let separator = [
        " ", "-", ".", "_", "\u{a0}", "\u{202f}", "\u{2009}", "\u{2011}", "%20", "+", "\n", "/",
        "  ", "\t", " - ",
    ][rng.usize(..15)];
    bare(grouped(&card(rng, "4", 16), 4, separator))
}

fn printed_iban(rng: &mut Rng) -> Planted {
    let (country, letters, length) = [
        ("DE", DIGITS, 18),
        ("GB", UPPER, 18),
        ("FR", DIGITS, 23),
        ("NL", UPPER, 14),
        ("AT", DIGITS, 16),
        ("CH", DIGITS, 17),
        ("NO", DIGITS, 11),
    ][rng.usize(..7)];
    let body = pick(rng, letters, length);
    let whole = iban(country, &body);
    let separator = ["", " ", "-", "\u{a0}", "%20"][rng.usize(..5)];
    bare(if separator.is_empty() {
        whole
    } else {
        grouped(&whole, 4, separator)
    })
}

fn planted(rng: &mut Rng) -> Planted {
    match rng.u8(..14) {
        0 => bare(person(rng)),
        1 => bare(person(rng).replace('@', "%40")),
        2 => {
            let (prefix, length) = [
                ("4", 16),
                ("51", 16),
                ("2223", 16),
                ("34", 15),
                ("37", 15),
                ("6011", 16),
                ("3530", 16),
                ("62", 16),
                ("36", 14),
            ][rng.usize(..9)];
            bare(card(rng, prefix, length))
        }
        3 => printed_card(rng),
        4 => printed_iban(rng),
        5 => bare(jwt(rng)),
        6 => {
            let scheme = [
                "Bearer ",
                "bearer ",
                "BEARER ",
                "Bearer%20",
                "Authorization: Bearer ",
                "authorization=bearer ",
                "Bearer: ",
            ][rng.usize(..7)];
            let length = 20 + rng.usize(..40);
            after(scheme, pick(rng, ALNUM, length))
        }
        7 => {
            let pair = format!("{}:{}", pick(rng, LOWER, 6), pick(rng, ALNUM, 12));
            let scheme = [
                "Basic ",
                "basic ",
                "Authorization: Basic ",
                "Proxy-Authorization: Basic ",
                "Basic%20",
            ][rng.usize(..5)];
            after(scheme, base64(&pair))
        }
        8 => {
            let scheme = [
                "https://",
                "postgres://",
                "redis://",
                "amqp://",
                "mongodb+srv://",
                "sftp://",
                "//x.example//",
            ][rng.usize(..6)];
            let secret = format!("{}:{}", pick(rng, LOWER, 8), pick(rng, ALNUM, 12));
            (
                scheme.to_owned(),
                secret,
                "@db.internal:5432/app".to_owned(),
            )
        }
        9 => {
            let newline = ["\n", "\r\n", "\\n", " ", ""][rng.usize(..5)];
            bare(pem(rng, newline))
        }
        10 => bare(odd_key(rng)),
        11 => assigned(rng),
        12 => told(rng),
        _ => bare(api_key(rng)),
    }
}

const AROUND: &[(&str, &str)] = &[
    ("", ""),
    ("", " is what we got"),
    ("we got ", " from them"),
    ("we got ", ""),
    ("'", "'"),
    ("\"", "\""),
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("<", ">"),
    ("«", "»"),
    ("„", "“"),
    ("{\"value\":\"", "\",\"other\":1}"),
    ("{\\\"value\\\":\\\"", "\\\"}"),
    ("https://shop.example/find?q=", "&page=2"),
    ("SELECT * FROM t WHERE a = '", "' AND b = 2"),
    ("ü", "ß"),
    ("日本", "語"),
    ("→", "←"),
    ("🦀", "🦀"),
    ("x=", ""),
    ("value:", ";"),
    (",", ","),
    ("line one\n", "\nline three"),
    ("\t", "\t"),
    ("12:30:45 ", " took 12 ms"),
    ("\u{feff}", "\u{200b}"),
    (
        "at 2026-11-21T16:05:21.123456Z INFO shop: ",
        " (retry 3 of 5)",
    ),
    ("a b c … ", " …"),
];

/// No piece of eight characters of a secret stands in a text.
fn leaked(secret: &str, shown: &str) -> Option<String> {
    let letters: Vec<char> = secret.chars().collect();
    let pieces = letters.windows(8.min(letters.len()));
    pieces
        .map(|piece| piece.iter().collect::<String>())
        .find(|piece| shown.contains(piece.as_str()))
}

fn plant(seed: u64) -> (String, String) {
    let mut rng = Rng::with_seed(seed);
    let (before, secret, after) = planted(&mut rng);
    let (left, right) = AROUND[rng.usize(..AROUND.len())];
    (
        secret.clone(),
        format!("{left}{before}{secret}{after}{right}"),
    )
}

#[test]
fn secrets_do_not_survive_anywhere_in_a_text() {
    let redactor = redactor();
    let mut leaks = Vec::new();
    for seed in 0..60_000 {
        let (secret, text) = plant(seed);
        let shown = redactor.text(&text);
        if let Some(piece) = leaked(&secret, &shown) {
            leaks.push(format!("{piece:?} of {text:?} in {shown:?}"));
        }
        assert_eq!(redactor.text(&shown), shown, "redacting twice, {text:?}");
    }
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks[..leaks.len().min(40)].join("\n")
    );
}

#[test]
fn secrets_do_not_survive_several_in_a_text() {
    let redactor = redactor();
    for seed in 0..10_000 {
        let (first, left) = plant(seed * 2 + 1_000_000);
        let (second, right) = plant(seed * 2 + 1_000_001);
        let text = format!("{left} {right}");
        let shown = redactor.text(&text);
        for secret in [&first, &second] {
            assert_eq!(leaked(secret, &shown), None, "{text:?} became {shown:?}");
        }
        assert_eq!(redactor.text(&shown), shown, "redacting twice, {text:?}");
    }
}

fn text_attribute(key: &'static str, text: &str) -> Attribute {
    Attribute::new(key, text.to_owned())
}

/// A span with a text everywhere that a text can stand.
fn span_of(text: &str, engine: bool) -> Span {
    let owned = || Cow::<'static, str>::Owned(text.to_owned());
    let attributes = || {
        vec![
            text_attribute("messaging.destination.name", text),
            text_attribute("app.note", text),
            text_attribute("url.path", text),
            text_attribute("exception.message", text),
            Attribute {
                key: Cow::Borrowed("app.notes"),
                value: AttributeValue::Strings(vec![owned(), Cow::Borrowed("x"), owned()]),
            },
            Attribute {
                key: owned(),
                value: AttributeValue::Int(1),
            },
        ]
    };
    let context = SpanContext {
        trace_id: TraceId::from_u128(1),
        span_id: SpanId::from_u64(1),
        flags: TraceFlags::new(1),
        trace_state: TraceState::parse("").0,
    };
    Span {
        trace_id: context.trace_id,
        span_id: context.span_id,
        parent_span_id: None,
        parent_is_remote: false,
        flags: context.flags,
        trace_state: context.trace_state.clone(),
        name: owned(),
        kind: SpanKind::Internal,
        start: Timestamp::from_unix_millis(1),
        end: Timestamp::from_unix_millis(2),
        attributes: attributes(),
        events: vec![SpanEvent {
            name: owned(),
            at: Timestamp::from_unix_millis(1),
            attributes: attributes(),
        }],
        links: vec![SpanLink {
            context,
            attributes: attributes(),
        }],
        status: SpanStatus::Error(owned()),
        scope: if engine {
            Cow::Borrowed(Span::ENGINE_SCOPE)
        } else {
            owned()
        },
        dropped: Dropped::default(),
    }
}

#[test]
fn secrets_do_not_survive_anywhere_in_a_span() {
    let redactor = redactor();
    for seed in 0..1_000 {
        let (secret, text) = plant(seed + 2_000_000);
        for engine in [true, false] {
            let mut span = span_of(&text, engine);
            redactor.span(&mut span);
            // What Debug escapes, such as a newline, would hide a leak.
            let shown = format!("{span:?}")
                .replace("\\n", "\n")
                .replace("\\t", "\t")
                .replace("\\\"", "\"");
            assert_eq!(leaked(&secret, &shown), None, "{text:?} became {shown}");
            let once = span.clone();
            redactor.span(&mut span);
            assert_eq!(span, once);
        }
    }
}

#[test]
fn long_texts_are_cut_and_leak_nothing_at_the_cut() {
    let redactor = redactor();
    for seed in 0..3_000 {
        let (secret, text) = plant(seed + 3_000_000);
        let mut rng = Rng::with_seed(seed);
        // Around the limit of what leaves, and around that of what is searched.
        let room = [950, 12_100][rng.usize(..2)] + rng.usize(..200);
        let text = format!(
            "{}{text}{}",
            "lorem ipsum ".repeat(room / 12),
            " dolor sit amet".repeat(rng.usize(..200))
        );
        let shown = redactor.text(&text);
        assert!(shown.chars().count() <= 1_000);
        assert_eq!(leaked(&secret, &shown), None, "{shown:?}");
        assert_eq!(redactor.text(&shown), shown);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_redacted_once_and_for_all(text in "\\PC{0,200}") {
        let redactor = redactor();
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&once), once.as_str());
    }

    #[test]
    fn texts_of_telling_pieces_are_redacted_once_and_for_all(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let text: String = pieces.concat();
        for key in ["", "db.query.text", "url.full", "url.query", "http.request.header.cookie", "stderr"] {
            for length in [1_000, 20] {
                let redactor = super::with(|policy| policy.max_attribute_length = length);
                let once = redactor.pair(key, &text).unwrap().into_owned();
                prop_assert!(once.chars().count() <= length.max(64));
                prop_assert_eq!(redactor.pair(key, &once).unwrap(), once.as_str(), "{} {}", key, text);
            }
        }
    }

    #[test]
    fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        let redactor = redactor();
        for key in ["", "db.query.text", "url.full", "url.query"] {
            let _ = redactor.pair(key, &text);
        }
        let _ = redactor.baggage(&text);
    }
}

/// Pieces that detectors look for.
const PIECES: &[&str] = &[
    "@",
    ":",
    "=",
    "%",
    "%40",
    "%3D",
    "%22",
    ">",
    "<",
    "'",
    "\"",
    "`",
    "-",
    "--",
    "~",
    "[",
    "]",
    "[REDACTED:",
    "[REDACTED:email]",
    "[HASHED:",
    "password",
    "token",
    "basic",
    "bearer",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9",
    ".",
    "4111 1111 1111 1111",
    "4111",
    "1111",
    "1",
    "DE89370400440532013000",
    "AKIAIOSFODNN7EXAMPLE",
    "sk-",
    "ghp_",
    "-----BEGIN PRIVATE KEY-----",
    "-----END",
    "://",
    "//",
    "a",
    "x.com",
    "user",
    " ",
    "\n",
    "\\",
    "\\\"",
    "ü",
    "日",
    "…",
    "SELECT",
    "$$",
    "$1",
    "?",
    "(",
    ")",
    ",",
    ";",
    "/*",
    "*/",
    "&",
    "#",
    "E'",
    "0x1F",
    "authorization",
    "cookie",
    "Some(",
    "{",
    "}",
];
