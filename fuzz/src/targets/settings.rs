//! `longshore.toml`, the environment and flags.

use longshore_telemetry::config::KEYS;
use longshore_telemetry::{Config, Environment};

/// Settings from anywhere: they are used, or refused in words. The input is a file, after a line
/// of 32 equal signs the environment, a variable a line.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let line = "=".repeat(32);
    let (file, rest) = text.split_once(&line).unwrap_or((&text, ""));
    let pairs = rest.lines().filter_map(|line| line.split_once('='));
    let environment = Environment::from_pairs(pairs);
    let files = [("longshore.toml".to_owned(), file.to_owned())];
    let config = match Config::load(&files, &environment, &[]) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.to_string().len() <= 4 * data.len() + 1000);
            return;
        }
    };
    let telemetry = config.telemetry();
    assert!((0.0..=1.0).contains(&telemetry.sampling_ratio));
    assert!((1..=telemetry.queue_size).contains(&telemetry.batch_size));
    let _shown = config.shown();
    let kept: Vec<(&str, String)> = KEYS
        .iter()
        .map(|key| (key.name, config.text(key.name).to_owned()))
        .collect();
    let again = Config::load(&[], &Environment::default(), &kept).unwrap();
    assert_eq!(again.warnings(), []);
    for key in KEYS {
        assert_eq!(again.text(key.name), config.text(key.name), "{}", key.name);
    }
}
