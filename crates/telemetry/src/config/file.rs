//! `longshore.toml`.

use super::{Config, ConfigError, Origin, Shape, keys};

pub(super) fn apply(config: &mut Config, name: &str, content: &str) -> Result<(), ConfigError> {
    let table: toml::Table = content
        .parse()
        .map_err(|error| not_toml(name, content, &error))?;
    for (key, value) in table {
        visit(config, name, &key, value)?;
    }
    Ok(())
}

/// The parser's own text repeats the line, in which a password may stand.
fn not_toml(name: &str, content: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| content.get(..span.start));
    ConfigError::Syntax {
        file: name.to_owned(),
        line: 1 + before.unwrap_or_default().matches('\n').count(),
        problem: error.message().to_owned(),
    }
}

fn visit(
    config: &mut Config,
    file: &str,
    path: &str,
    value: toml::Value,
) -> Result<(), ConfigError> {
    let shape = keys::find(path).map(|key| key.shape);
    let takes_pairs = shape == Some(Shape::Pairs);
    // A comma may be a part of a pattern.
    let separator = match shape {
        Some(Shape::Patterns) => "\n",
        _ => ",",
    };
    if shape == Some(Shape::Workers) {
        let text = serde_json::to_string(&value).unwrap_or_default();
        return config.set(path, &text, Origin::File(file.to_owned()));
    }
    match value {
        toml::Value::Table(table) if !takes_pairs => {
            for (key, value) in table {
                visit(config, file, &format!("{path}.{key}"), value)?;
            }
            Ok(())
        }
        value => config.set(
            path,
            &as_text(value, separator),
            Origin::File(file.to_owned()),
        ),
    }
}

fn as_text(value: toml::Value, separator: &str) -> String {
    match value {
        toml::Value::String(text) => text,
        toml::Value::Array(items) => {
            let text = |item| as_text(item, separator);
            let texts: Vec<String> = items.into_iter().map(text).collect();
            texts.join(separator)
        }
        toml::Value::Table(table) => {
            let pair = |(key, value)| format!("{key}={}", as_text(value, separator));
            let pairs: Vec<String> = table.into_iter().map(pair).collect();
            pairs.join(",")
        }
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(yes) => yes.to_string(),
        toml::Value::Datetime(at) => at.to_string(),
    }
}
