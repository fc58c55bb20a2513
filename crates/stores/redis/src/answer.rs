//! What a function gives back, read with suspicion.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use longshore_core::{ErrorKind, StoreError, Timestamp};
use redis::Value;

use crate::micros;

/// Something on the server that is not as Longshore left it.
pub(crate) fn corrupt(what: &str, problem: impl fmt::Display) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!(
            "the {what} that the server gave cannot be read: {problem}. Was a key of the store \
             changed or evicted? `longshore doctor` says what to look at"
        ),
    )
}

pub(crate) fn array(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(corrupt("answer", format_args!("{other:?} is no array"))),
    }
}

/// As many values as there are names for.
pub(crate) fn tuple<const N: usize>(value: Value) -> Result<[Value; N], StoreError> {
    let values = array(value)?;
    <[Value; N]>::try_from(values)
        .map_err(|values| corrupt("answer", format_args!("it has {} parts", values.len())))
}

pub(crate) fn optional_bytes(value: Value) -> Result<Option<Bytes>, StoreError> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        Value::SimpleString(text) => Ok(Some(Bytes::from(text))),
        Value::Int(number) => Ok(Some(Bytes::from(number.to_string()))),
        other => Err(corrupt("value", format_args!("{other:?} are no bytes"))),
    }
}

pub(crate) fn bytes(value: Value) -> Result<Bytes, StoreError> {
    optional_bytes(value)?.ok_or_else(|| corrupt("value", "it is missing"))
}

pub(crate) fn text(value: Value) -> Result<String, StoreError> {
    let bytes = bytes(value)?;
    String::from_utf8(bytes.into()).map_err(|error| corrupt("text", error))
}

pub(crate) fn number<N: FromStr<Err: fmt::Display>>(value: Value) -> Result<N, StoreError> {
    parsed("number", &text(value)?)
}

pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(
    what: &str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse().map_err(|error| corrupt(what, error))
}

pub(crate) fn time(value: Value) -> Result<Timestamp, StoreError> {
    number(value).map(micros::time)
}
