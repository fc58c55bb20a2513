//! Settings of any text: from files, variables and flags.

use std::time::Duration;

use longshore_telemetry::config::{KEYS, Shape, Warning, parse_duration};
use longshore_telemetry::{Config, Environment};
use proptest::collection::vec;
use proptest::prelude::*;

/// Values of all kinds, and values that are nearly right.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[+-]?[0-9]{0,30}(\\.[0-9]{0,9})?(e[0-9]{1,3})?(ms|s|m|h| )?",
        "(true|false|1|0|yes|NO|On|NaN|inf|-0|grpc|otlp|gzip|traceidratio)",
        "([a-z.%]{0,9}=[a-z0-9%+ ]{0,9},?){0,9}",
        "(https?|ftp)?(://)?[a-z0-9@:.%/\\[\\]-]{0,40}",
    ]
}

/// Everything that is made of settings, made.
fn use_all(config: &Config) {
    let telemetry = config.telemetry();
    assert!((0.0..=1.0).contains(&telemetry.sampling_ratio));
    assert!((1..=telemetry.queue_size).contains(&telemetry.batch_size));
    for shown in config.shown() {
        let key = KEYS.iter().find(|key| key.name == shown.key).unwrap();
        let value = config.text(shown.key);
        if !value.is_empty() && key.shape == Shape::Duration {
            assert!(config.duration(shown.key).is_some(), "{value}");
        }
        if !value.is_empty() && key.shape == Shape::Count {
            assert!(config.count(shown.key).unwrap() > 0, "{value}");
        }
    }
}

fn variables() -> Vec<&'static str> {
    let of_keys = KEYS.iter().flat_map(|key| key.variables);
    of_keys.map(|variable| variable.name).collect()
}

proptest! {
    #[test]
    fn variables_are_used_or_passed_over(values in vec((any::<prop::sample::Index>(), value()), 0..20)) {
        let names = variables();
        let pairs: Vec<(&str, &str)> = values
            .iter()
            .map(|(index, value)| (*index.get(&names), value.as_str()))
            .collect();
        if let Ok(config) = Config::load(&[], &Environment::from_pairs(pairs), &[]) {
            use_all(&config);
        }
    }

    #[test]
    fn a_file_is_used_or_refused(
        lines in vec((any::<prop::sample::Index>(), value(), 0..4u8), 0..9),
        rest in prop_oneof![Just(String::new()), any::<String>(), "([a-z]{1,3}[.=\\[\\]{}\"'#\n ]){0,60}"],
    ) {
        let mut file = String::new();
        for (index, value, form) in lines {
            let key = index.get(KEYS).name;
            file += &match form {
                0 => format!("{key} = {value}\n"),
                1 => format!("{key} = {value:?}\n"),
                2 => format!("{key} = [{value:?}, 1, true]\n"),
                _ => format!("{key} = {{ a = {value:?} }}\n"),
            };
        }
        file += &rest;
        let files = [("longshore.toml".to_owned(), file)];
        if let Ok(config) = Config::load(&files, &Environment::default(), &[]) {
            use_all(&config);
        }
    }

    #[test]
    fn what_was_kept_is_kept_again(values in vec((any::<prop::sample::Index>(), value()), 0..9)) {
        let flags: Vec<(&str, String)> =
            values.into_iter().map(|(index, value)| (index.get(KEYS).name, value)).collect();
        let Ok(config) = Config::load(&[], &Environment::default(), &flags) else {
            return Ok(());
        };
        let kept: Vec<(&str, String)> =
            KEYS.iter().map(|key| (key.name, config.text(key.name).to_owned())).collect();
        let again = Config::load(&[], &Environment::default(), &kept).unwrap();
        // Patterns that are wrong are kept, as are propagators that are not known, and warned of
        // each time.
        for Warning(text) in again.warnings() {
            let is_kept = text.contains("hides every text") || text.contains("knows no propagator");
            prop_assert!(is_kept, "{}", text);
        }
        for key in KEYS {
            prop_assert_eq!(again.text(key.name), config.text(key.name), "{}", key.name);
        }
    }

    #[test]
    fn a_duration_round_trips(millis in 0..1u64 << 40, text in value()) {
        prop_assert_eq!(parse_duration(&format!("{millis}ms")).map(|read| read.as_millis()), Ok(u128::from(millis)));
        match parse_duration(&text) {
            Ok(read) => prop_assert!(read <= Duration::MAX),
            Err(problem) => prop_assert!(problem.len() < text.len() + 200),
        }
    }
}

#[test]
fn a_file_that_nests_for_ever_is_refused() {
    for depth in [100, 10_000, 200_000] {
        for (open, close) in [("a.", "a = 1"), ("a = [", ""), ("{", ""), ("[", "")] {
            let text = format!("{}{close}", open.repeat(depth));
            let files = [("longshore.toml".to_owned(), text)];
            assert!(Config::load(&files, &Environment::default(), &[]).is_err());
        }
        let dotted = format!("telemetry.headers = {{ {}a = 1 }}", "a.".repeat(depth));
        let files = [("longshore.toml".to_owned(), dotted)];
        let _read = Config::load(&files, &Environment::default(), &[]);
    }
}

#[test]
fn a_service_name_among_attributes_is_percent_decoded() {
    let attributes = "service.name=my%20shop,deployment.environment.name=pre%2Dview";
    let environment = Environment::from_pairs([("OTEL_RESOURCE_ATTRIBUTES", attributes)]);
    let telemetry = Config::load(&[], &environment, &[]).unwrap().telemetry();
    assert_eq!(telemetry.service_name, "my shop");
    assert_eq!(telemetry.environment, "pre-view");
}
