//! Secrets of every kind, as they are written in texts, by the number of a seed.

use fastrand::Rng;

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

/// A secret, and a text in which it stands.
pub(super) fn plant(seed: u64) -> (String, String) {
    let mut rng = Rng::with_seed(seed);
    let (before, secret, after) = planted(&mut rng);
    let (left, right) = AROUND[rng.usize(..AROUND.len())];
    (
        secret.clone(),
        format!("{left}{before}{secret}{after}{right}"),
    )
}
