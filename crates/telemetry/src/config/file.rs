//! `longshore.toml`.

use super::{Config, ConfigError, Origin, Shape, keys};

pub(super) fn apply(config: &mut Config, name: &str, content: &str) -> Result<(), ConfigError> {
    let table: toml::Table = content.parse().map_err(|source| ConfigError::Syntax {
        file: name.to_owned(),
        source: Box::new(source),
    })?;
    for (key, value) in table {
        visit(config, name, &key, value)?;
    }
    Ok(())
}

fn visit(
    config: &mut Config,
    file: &str,
    path: &str,
    value: toml::Value,
) -> Result<(), ConfigError> {
    let takes_pairs = keys::find(path).is_some_and(|key| key.shape == Shape::Pairs);
    match value {
        toml::Value::Table(table) if !takes_pairs => {
            for (key, value) in table {
                visit(config, file, &format!("{path}.{key}"), value)?;
            }
            Ok(())
        }
        value => config.set(path, &as_text(value), Origin::File(file.to_owned())),
    }
}

fn as_text(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        toml::Value::Array(items) => {
            let texts: Vec<String> = items.into_iter().map(as_text).collect();
            texts.join(",")
        }
        toml::Value::Table(table) => {
            let pair = |(key, value)| format!("{key}={}", as_text(value));
            let pairs: Vec<String> = table.into_iter().map(pair).collect();
            pairs.join(",")
        }
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(yes) => yes.to_string(),
        toml::Value::Datetime(at) => at.to_string(),
    }
}
