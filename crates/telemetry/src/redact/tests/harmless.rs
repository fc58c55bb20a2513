//! Values that are no secrets stay as they are.

use fastrand::Rng;

use super::redactor;

fn hex(rng: &mut Rng, length: usize) -> String {
    (0..length)
        .map(|_| char::from_digit(rng.u32(..16), 16).unwrap())
        .collect()
}

fn word(rng: &mut Rng) -> &'static str {
    const WORDS: &[&str] = &[
        "order",
        "customer",
        "the",
        "shipment",
        "was",
        "sent",
        "to",
        "warehouse",
        "in",
        "Hamburg",
        "and",
        "token",
        "secret",
        "password",
        "basic",
        "bearer",
        "author",
        "risk",
        "task",
        "desk",
        "Bestellung",
        "wurde",
        "gestern",
        "verschickt",
        "größer",
        "Straße",
        "für",
        "Köln",
        "über",
        "retry",
        "failed",
        "because",
        "connection",
        "reset",
        "by",
        "peer",
        "timeout",
        "after",
        "email",
        "card",
        "key",
        "value",
        "is",
        "not",
        "valid",
        "understanding",
        "authentication",
        "cookie",
    ];
    WORDS[rng.usize(..WORDS.len())]
}

fn sentence(rng: &mut Rng) -> String {
    let words: Vec<&str> = (0..4 + rng.usize(..12)).map(|_| word(rng)).collect();
    let end = [".", "!", "?", " (3 of 5)", ", see log", ""][rng.usize(..6)];
    format!("{}{end}", words.join(" "))
}

fn time(rng: &mut Rng) -> String {
    let (year, month, day) = (rng.u32(1990..2040), rng.u32(1..13), rng.u32(1..29));
    let (hour, minute, second) = (rng.u32(..24), rng.u32(..60), rng.u32(..60));
    let nanos = rng.u32(..1_000_000_000);
    match rng.u8(..9) {
        0 => format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
        1 => {
            format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}+01:00")
        }
        2 => format!(
            "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:06}",
            nanos / 1_000
        ),
        3 => rng.u64(600_000_000..4_000_000_000).to_string(),
        4 => rng.u64(600_000_000_000..4_000_000_000_000).to_string(),
        5 => rng
            .u64(1_400_000_000_000_000..2_100_000_000_000_000)
            .to_string(),
        6 => rng
            .u64(1_400_000_000_000_000_000..2_100_000_000_000_000_000)
            .to_string(),
        7 => {
            let name = ["nightly", "orders/eu", "tenant-4711", "report.7"][rng.usize(..4)];
            format!("cron.{name}.{year}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
        }
        _ => format!("{year}{month:02}{day:02}{hour:02}{minute:02}{second:02}"),
    }
}

fn uuid(rng: &mut Rng) -> String {
    let id = hex(rng, 32);
    let dashed = format!(
        "{}-{}-{}-{}-{}",
        &id[..8],
        &id[8..12],
        &id[12..16],
        &id[16..20],
        &id[20..]
    );
    match rng.u8(..5) {
        0 => id,
        1 => dashed.to_uppercase(),
        2 => format!("urn:uuid:{dashed}"),
        3 => format!("{{{dashed}}}"),
        _ => dashed,
    }
}

fn hash(rng: &mut Rng) -> String {
    let length = [8, 16, 32, 40, 56, 64, 96, 128][rng.usize(..8)];
    let digits = hex(rng, length);
    match rng.u8(..5) {
        0 => digits.to_uppercase(),
        1 => format!("sha256:{digits}"),
        2 => format!("0x{digits}"),
        3 => rng.u64(..).to_string(),
        _ => digits,
    }
}

fn statement(rng: &mut Rng) -> String {
    let id = rng.u32(..);
    match rng.u8(..6) {
        0 => format!(
            "SELECT id, state FROM longshore_job WHERE queue = $1 AND due_at <= {id} LIMIT 100"
        ),
        1 => format!("UPDATE orders SET state = 'shipped' WHERE id IN ({id}, 7, 9)"),
        2 => "INSERT INTO users (email, password_hash, token) VALUES ($1, $2, $3)".to_owned(),
        3 => format!("DELETE FROM sessions WHERE token = $1 AND created_at < '2026-01-01' -- {id}"),
        4 => "SELECT count(*) FROM cards WHERE api_key = ? AND secret = :secret".to_owned(),
        _ => format!(
            "WITH due AS (SELECT * FROM job WHERE priority < {id}) SELECT max(id)::bigint FROM due"
        ),
    }
}

fn name(rng: &mut Rng) -> String {
    let names = [
        "queue.enqueue",
        "job.process",
        "GET /api/v1/orders/{id}",
        "HTTP POST",
        "redis.get",
        "send_welcome_mail",
        "com.shop.checkout.PaymentService/Charge",
        "charge_card",
        "handler.execution",
        "S3 PutObject",
        "SELECT longshore_job",
        "std::io::error::Error",
        "BankTimeout",
        "com.mysql.cj.jdbc.Driver",
        "orders-eu-west-1",
        "text/html; charset=utf-8",
        "application/json",
        "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
        "arn:aws:s3:::shop-uploads",
        "projects/shop/locations/europe-west1",
        "ip-10-0-12-7.eu-central-1.compute.internal",
        "max_tokens=4096",
        "token_count: 1234",
        "author=ada",
        "next_page_token",
        "gpt-4o-mini",
        "claude-sonnet-4-5",
    ];
    names[rng.usize(..names.len())].to_owned()
}

fn path(rng: &mut Rng) -> String {
    let id = rng.u32(..);
    match rng.u8(..8) {
        0 => format!("/var/lib/longshore/{id}/jobs.db-wal"),
        1 => format!("C:\\Users\\ada\\Documents\\report_{id}.pdf"),
        2 => format!(
            "/home/ada/.cargo/registry/src/index.crates.io-6f17d22bba15001f/tokio-1.{}.0/src/runtime/task/core.rs:{}",
            id % 60,
            id % 900
        ),
        3 => format!("s3://bucket/2026/11/21/part-{id:010}.parquet"),
        4 => format!(
            "https://shop.example/orders/{id}?page={}&sort=desc",
            id % 10
        ),
        5 => format!("http://localhost:{}/v1/traces", id % 65_536),
        6 => format!(
            "{}.{}.{}.{}:{}",
            id & 255,
            (id >> 8) & 255,
            (id >> 16) & 255,
            id >> 24,
            id % 65_536
        ),
        _ => format!(
            "fe80::{:x}:{:x}ff:fe{:02x}:{:x}",
            id & 0xffff,
            (id >> 8) & 0xff,
            id & 0xff,
            id >> 16
        ),
    }
}

fn version(rng: &mut Rng) -> String {
    let (a, b, c) = (rng.u8(..), rng.u8(..), rng.u16(..));
    match rng.u8(..7) {
        0 => format!("{a}.{b}.{c}"),
        1 => format!("v{a}.{b}.{c}-rc.{b}+build.{c}"),
        2 => format!("left-pad@{a}.{b}.{c}"),
        3 => format!("{:.17}", rng.f64()),
        4 => format!("{}", rng.f64() * 1e6),
        5 => format!("@types/node@{a}.{b}.{c}"),
        _ => format!("rustc 1.{a}.0 ({} 2026-04-0{})", hex(rng, 9), b % 10),
    }
}

fn number(rng: &mut Rng) -> String {
    let number = rng.u64(..);
    match rng.u8(..7) {
        0 => format!("ORD-2026-{:06}", number % 1_000_000),
        1 => format!("#{}", number % 100_000_000),
        2 => format!("{}", number % 1_000_000_000_000),
        3 => format!("INV/{}/{:08}", number % 30 + 2000, number % 100_000_000),
        4 => format!("+49 40 {:07}", number % 10_000_000),
        5 => format!(
            "{},{:03}.{:02} EUR",
            number % 1000,
            number % 999,
            number % 100
        ),
        _ => format!(
            "[{}, {}, {}, {}]",
            number % 9,
            number % 999,
            number % 77_777,
            number % 5
        ),
    }
}

/// Bytes that mean something to a program, as base64: ids of spans, protobuf, cursors.
fn base64(rng: &mut Rng) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let length = 8 + 4 * rng.usize(..30);
    (0..length)
        .map(|_| char::from(LETTERS[rng.usize(..64)]))
        .collect()
}

fn stack(rng: &mut Rng) -> String {
    let line = rng.u32(..2_000);
    match rng.u8(..4) {
        0 => format!(
            "thread 'tokio-runtime-worker' panicked at src/orders/token.rs:{line}:13:\nindex out of bounds: the len is 3 but the index is {line}\nstack backtrace:\n   0: rust_begin_unwind\n             at /rustc/{}/library/std/src/panicking.rs:697:5\n   1: shop::token::parse\n             at ./src/token.rs:{line}:9",
            hex(rng, 40)
        ),
        1 => format!(
            "Traceback (most recent call last):\n  File \"/app/shop/password.py\", line {line}, in check\n    raise ValueError(\"too short\")\nValueError: too short"
        ),
        2 => format!(
            "java.lang.IllegalStateException: no such order\n\tat com.shop.auth.TokenService.find(TokenService.java:{line})\n\tat com.shop.Main$$Lambda$14/0x{}.run(Unknown Source)",
            hex(rng, 16)
        ),
        _ => format!(
            "Error: connect ECONNREFUSED 127.0.0.1:{line}\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)"
        ),
    }
}

type Make = fn(&mut Rng) -> String;

const KINDS: &[(&str, Make)] = &[
    ("uuids", uuid),
    ("hashes", hash),
    ("times", time),
    ("statements", statement),
    ("names", name),
    ("paths", path),
    ("versions", version),
    ("numbers", number),
    ("base64", base64),
    ("sentences", sentence),
    ("stacks", stack),
];

#[test]
fn harmless_values_stay_as_they_are() {
    let redactor = redactor();
    let mut rng = Rng::with_seed(20_261_121);
    let mut wrong = 0;
    let mut report = String::new();
    let each = 10_000;
    for (kind, make) in KINDS {
        let mut hits = Vec::new();
        for _ in 0..each {
            let value = make(&mut rng);
            let shown = redactor.text(&value);
            if shown != value {
                hits.push(format!("{value:?} became {shown:?}"));
            }
        }
        wrong += hits.len();
        report += &format!(
            "{kind}: {} of {each}\n{}\n",
            hits.len(),
            hits[..hits.len().min(3)].join("\n")
        );
        // No kind may hide behind the others.
        assert!(hits.len() * 500 <= each, "{report}");
    }
    assert!(wrong * 1_000 < each * KINDS.len(), "{report}");
    assert_eq!(
        redactor.counts().values().sum::<u64>(),
        wrong as u64,
        "{report}"
    );
}

#[test]
fn harmless_numbers_stay_numbers() {
    let redactor = redactor();
    let mut rng = Rng::with_seed(7);
    let mut wrong = 0;
    for _ in 0..100_000 {
        let number = match rng.u8(..4) {
            0 => rng.i64(..),
            1 => rng.i64(1_400_000_000_000..2_100_000_000_000),
            2 => rng.i64(1_400_000_000_000_000_000..2_100_000_000_000_000_000),
            _ => rng.i64(..1_000_000),
        };
        let mut value = longshore_instrument::AttributeValue::Int(number);
        assert!(redactor.attribute("app.number", &mut value));
        wrong += usize::from(value != longshore_instrument::AttributeValue::Int(number));
    }
    assert!(wrong < 100, "{wrong} of 100,000");
}
