//! Checking and reading single values.

use std::borrow::Cow;
use std::time::Duration;

use super::keys::{Key, Shape};
use super::workers;
use crate::keep::KeepRule;
use crate::redact;
use crate::rule::Rules;
use crate::sampler::parse_ratio;

/// Reads a number with its unit: `500ms`, `30s`, `5m`, `1h`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let problem = || {
        format!(
            "`{text}` is not a duration; write a number and its unit, such as 500ms, 30s, 5m, 1h or 7d"
        )
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(problem)?;
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(problem()),
    };
    nanos(number, unit)
        .and_then(|nanos| {
            let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
            let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
            Some(Duration::new(seconds, rest))
        })
        .ok_or_else(problem)
}

/// A decimal number of units, in nanoseconds: exact, which a floating-point number is not.
fn nanos(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // Further digits are less than a nanosecond of any unit.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let mut nanos = u128::from(whole) * u128::from(unit);
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).ok()?;
        let part: u128 = fraction.parse().ok()?;
        nanos += part * u128::from(unit) / 10_u128.pow(digits);
    }
    Some(nanos)
}

/// The value in the form in which it is kept, or what is wrong with it. The problem never repeats
/// the values of pairs, which may be secret.
pub(super) fn checked(key: &Key, value: &str) -> Result<String, String> {
    let value = value.trim();
    // An empty value takes a setting back.
    if value.is_empty() && key.default.is_empty() {
        return Ok(String::new());
    }
    let as_it_is = || value.to_owned();
    match key.shape {
        // Wrong patterns are kept: they hide everything, see `concern`.
        Shape::Text | Shape::Secret | Shape::Words | Shape::Patterns | Shape::Propagators => {
            Ok(as_it_is())
        }
        Shape::Flag => flag(value),
        Shape::Count => match value.parse::<u32>() {
            Ok(number) if number > 0 => Ok(number.to_string()),
            _ => Err(format!("`{value}` is not a whole number above zero")),
        },
        Shape::Limit => match value.parse::<u32>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(format!("`{value}` is not a whole number")),
        },
        Shape::Ratio => match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio.to_string()),
            _ => Err(format!("`{value}` is not a number from 0 to 1")),
        },
        Shape::SamplingRules => Rules::parse(value, parse_ratio).map(|_rules| as_it_is()),
        Shape::KeepRules => keep_rules(value).map(|()| as_it_is()),
        Shape::Duration => parse_duration(value).map(|_duration| as_it_is()),
        Shape::Pairs => check_pairs(value).map(|()| as_it_is()),
        Shape::Choice(words) => choice(words, value),
        Shape::Workers => workers::parse(value).map(|_workers| as_it_is()),
        Shape::LogFilter => crate::logs::check_filter(value).map(|()| as_it_is()),
        Shape::Proxy => check_proxy(value).map(|()| as_it_is()),
        Shape::Url => match value.parse::<hyper::Uri>() {
            Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) => Ok(as_it_is()),
            // Host and port alone.
            Ok(uri) if uri.scheme().is_none() && uri.port().is_some() => Ok(as_it_is()),
            _ => Err(format!(
                "`{value}` is not a URL such as http://localhost:4318"
            )),
        },
    }
}

fn flag(value: &str) -> Result<String, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok("true".to_owned()),
        "false" | "0" | "no" | "off" => Ok("false".to_owned()),
        _ => Err(format!("`{value}` is neither true nor false")),
    }
}

fn keep_rules(value: &str) -> Result<(), String> {
    if Rules::parse(value, KeepRule::parse)?.look_at_routes() {
        return Err("`route` is known where a job is enqueued, \
             not where it ends; use it in `telemetry.sampling_rules`"
            .to_owned());
    }
    Ok(())
}

fn check_pairs(value: &str) -> Result<(), String> {
    let is_pair = |pair: &str| {
        pair.split_once('=')
            .is_some_and(|(key, _)| !key.trim().is_empty())
    };
    let mut parts = value.split(',').filter(|part| !part.trim().is_empty());
    if parts.all(is_pair) {
        Ok(())
    } else {
        Err("it is not a list such as key=value,other=value".to_owned())
    }
}

fn choice(words: &[&str], value: &str) -> Result<String, String> {
    let word = value.to_ascii_lowercase();
    if words.contains(&word.as_str()) {
        return Ok(word);
    }
    if word == "zstd" {
        return Err("`zstd` is not built in; set it to gzip".to_owned());
    }
    let known: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| !word.is_empty())
        .collect();
    Err(format!("`{value}` is none of {}", known.join(", ")))
}

/// What is wrong with a proxy is said without it: it may hold a password.
fn check_proxy(value: &str) -> Result<(), String> {
    let unreadable = || Err("it is not a proxy such as http://proxy:3128".to_owned());
    match value.parse::<hyper::Uri>() {
        Ok(uri) if uri.authority().is_none() => unreadable(),
        Ok(uri) if matches!(uri.scheme_str(), None | Some("http" | "https")) => Ok(()),
        Ok(uri) => Err(format!(
            "{} proxies are not spoken to; set it to an HTTP proxy such as http://proxy:3128",
            uri.scheme_str().unwrap_or_default()
        )),
        Err(_) => unreadable(),
    }
}

/// What is wrong with a value that is kept all the same. Passing over a pattern that was to hide
/// something would let it leave.
pub(super) fn concern(key: &Key, value: &str) -> Option<String> {
    if key.shape == Shape::Propagators {
        let is_known = |word: &&str| matches!(*word, "tracecontext" | "baggage" | "none");
        let unknown: Vec<&str> = words(value).filter(|word| !is_known(word)).collect();
        return (!unknown.is_empty()).then(|| {
            format!(
                "knows no propagator {}; use tracecontext, baggage or none",
                unknown.join(", ")
            )
        });
    }
    if key.shape != Shape::Patterns {
        return None;
    }
    let problems = redact::pattern::problems(&redact::policy::lines(value));
    (!problems.is_empty()).then(|| format!("hides every text: {}", problems.join("; ")))
}

/// The words of a list such as `one,two`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// The pairs of a list such as `key=value,other=value`, percent-decoded.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), percent_decoded(value.trim())))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// The parameters of URLs that are no secrets. Of all others the names alone are shown.
const OPEN_PARAMETERS: [&str; 29] = [
    "account_name",
    "application_name",
    "base_url",
    "cacert",
    "cert",
    "connections",
    "dbname",
    "durability",
    "endpoint",
    "host",
    "hostaddr",
    "options",
    "pooler",
    "port",
    "prefix",
    "region",
    "request_payer",
    "schema",
    "server_side_encryption",
    "service_account",
    "shards",
    "skip_signature",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "timeout",
    "use_emulator",
    "virtual_hosted_style_request",
];

/// A URL for people to see: without user and password, and without the values of parameters that
/// may be secrets, as the keys of a bucket are.
pub(crate) fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // A password may hold anything: all before the last sign counts as one.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_user, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let mut shown = match scheme {
        "" => user.to_owned(),
        scheme => format!("{scheme}://{user}"),
    };
    for part in rest.split_inclusive(['?', '&']) {
        let (parameter, sign) = match part.char_indices().last() {
            Some((at, '?' | '&')) => part.split_at_checked(at).unwrap_or((part, "")),
            _ => (part, ""),
        };
        shown.push_str(&shown_parameter(parameter));
        shown.push_str(sign);
    }
    shown
}

fn shown_parameter(parameter: &str) -> Cow<'_, str> {
    match parameter.split_once('=') {
        // A server in a parameter may have a password of its own.
        Some((name, value)) if !OPEN_PARAMETERS.contains(&name) || value.contains("%40") => {
            format!("{name}=***").into()
        }
        _ => parameter.into(),
    }
}

/// The value for people to see: headers keep their names only, and URLs lose user and password.
pub(super) fn masked(key: &Key, value: &str) -> String {
    if matches!(key.shape, Shape::Proxy | Shape::Url)
        || (key.name == "store" && value.contains("://"))
    {
        return without_password(value);
    }
    if key.shape == Shape::Secret && !value.is_empty() {
        return "***".to_owned();
    }
    if !matches!(key.name, "telemetry.headers" | "telemetry.logs_headers") {
        return value.to_owned();
    }
    let masked = |(name, _): (String, String)| format!("{name}=***");
    let shown: Vec<String> = pairs(value).into_iter().map(masked).collect();
    shown.join(",")
}

/// The text with its percent escapes resolved; what is no escape stays.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            // Reading a number alone would take a sign for a digit.
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("1.5s").unwrap(), Duration::from_millis(1500));
        assert_eq!(parse_duration("5m").unwrap(), Duration::from_secs(300));
        assert_eq!(parse_duration(".5h").unwrap(), Duration::from_secs(1800));
        let exact = Duration::from_millis(23_189_093_288);
        assert_eq!(parse_duration("23189093288ms").unwrap(), exact);
        let bad = [
            "",
            "5",
            "s",
            ".s",
            "1.2.3s",
            "5 parsecs",
            "-5s",
            "1e400h",
            "é",
            "18446744073709551616s",
            "18446744073709551615h",
        ];
        for bad in bad {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_shows_no_secret_wherever_it_stands() {
        for (url, shown) in [
            (
                "postgres://app:hush@h/app?schema=x",
                "postgres://***@h/app?schema=x",
            ),
            (
                "postgres://h/app?user=hush&sslmode=require",
                "postgres://h/app?user=***&sslmode=require",
            ),
            (
                "redis://:hu/s?h#@h:1/0?prefix=p",
                "redis://***@h:1/0?prefix=p",
            ),
            (
                "s3://b/p?access_key_id=hush&secret_access_key=hu/sh+=&region=r",
                "s3://b/p?access_key_id=***&secret_access_key=***&region=r",
            ),
            (
                "s3://b?endpoint=http://u:hush@h:1&session_token=hush",
                "s3://***@h:1&session_token=***",
            ),
            (
                "s3://b?endpoint=http%3A%2F%2Fu:hush%40h",
                "s3://b?endpoint=***",
            ),
            (
                "az://c/p?sas_token=hush?sig=hush",
                "az://c/p?sas_token=***?sig=***",
            ),
            (
                "https://c:4318/v1/traces?key=hush",
                "https://c:4318/v1/traces?key=***",
            ),
            ("http://c:4318", "http://c:4318"),
            ("hush@proxy:1", "***@proxy:1"),
            ("", ""),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn pairs_are_percent_decoded() {
        let read = pairs("a=b%20c, authorization=Basic%20eA==,odd=%zz,sign=%+1%");
        let expected = [
            ("a", "b c"),
            ("authorization", "Basic eA=="),
            ("odd", "%zz"),
            ("sign", "%+1%"),
        ];
        assert_eq!(read, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
