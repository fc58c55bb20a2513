use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::*;
use crate::otlp::{sample, schema};

fn read(json: &str) -> Result<ExportTraceServiceRequest, String> {
    let bytes = to_protobuf(json.as_bytes(), &schema::TRACES).map_err(|error| error.to_string())?;
    ExportTraceServiceRequest::decode(&*bytes).map_err(|error| error.to_string())
}

#[test]
fn what_another_writer_wrote_is_the_same_as_its_protobuf() {
    let request = sample::traces("Zürich \"quoted\" \\ \u{1F98A}\n");
    let json = serde_json::to_string(&request).unwrap();
    assert_eq!(read(&json).unwrap(), request);
    let logs = sample::logs("word");
    let json = serde_json::to_string(&logs).unwrap();
    let bytes = to_protobuf(json.as_bytes(), &schema::LOGS).unwrap();
    let read =
        opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest::decode(&*bytes);
    assert_eq!(read.unwrap(), logs);
}

/// The forms that the protocol's page and protobuf's JSON allow.
#[test]
fn numbers_names_and_ids_may_be_written_in_several_ways() {
    let span = |fields: &str| {
        let json = format!(
            r#"{{"resourceSpans":[{{"scope_spans":[{{"spans":[{{{fields}}}]}}]}}],"new":{{"a":[1]}}}}"#
        );
        read(&json).map(|request| request.resource_spans[0].scope_spans[0].spans[0].clone())
    };
    let one = span(
        r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","kind":2,
        "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,
        "status":{"code":2},"flags":257,"attributes":[{"key":"n","value":{"intValue":"-9007199254740993"}},
        {"key":"d","value":{"doubleValue":1}},{"key":"b","value":{"bytesValue":"aGk"}}]"#,
    )
    .unwrap();
    let two = span(
        r#""trace_id":"5b8efff798038103d269b633813fc60c","span_id":"EEE19B7EC3C1B174",
        "kind":"SPAN_KIND_SERVER","start_time_unix_nano":1.54471266e18,
        "end_time_unix_nano":"1544712661000000000","status":{"code":"STATUS_CODE_ERROR","message":null},
        "flags":257,"attributes":[{"key":"n","value":{"int_value":-9007199254740993}},
        {"key":"d","value":{"doubleValue":"1"}},{"key":"b","value":{"bytesValue":"aGk="}}]"#,
    )
    .unwrap();
    assert_eq!(one, two);
    let beyond = span(r#""startTimeUnixNano":1.9e19"#);
    assert!(
        beyond
            .unwrap_err()
            .contains("out of range for startTimeUnixNano")
    );
    let before = span(r#""startTimeUnixNano":-1e18"#);
    assert!(before.unwrap_err().contains("out of range"));
    assert!(span(r#""startTimeUnixNano":1e300"#).is_err());
    assert_eq!(
        (one.trace_id.len(), one.span_id.len(), one.kind),
        (16, 8, 2)
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (json, said) in [
        ("{", "line 1"),
        ("[]", "expected an object"),
        (r#"{"resourceSpans":{"a":[1,2]}} x"#, "trailing"),
        (r#"{"resourceSpans":7}"#, "resourceSpans cannot be a number"),
        (
            r#"{"resourceSpans":[[{}]]}"#,
            "resourceSpans cannot be a list",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"LOUD"}]}]}]}"#,
            "kind cannot be \"LOUD\"",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"flags":-1}]}]}]}"#,
            "-1 is out of range for flags",
        ),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.contains(said), "{json}: {error}");
    }
    let bytes = to_protobuf(b"{\"a\":\"\xff\"}", &schema::TRACES).unwrap_err();
    assert!(bytes.to_string().contains("no UTF-8"), "{bytes}");
    let deep = "[".repeat(1000);
    assert!(read(&format!(r#"{{"unknown":{deep}"#)).is_err());
}

#[test]
fn hexadecimal_digits_are_told_from_all_else() {
    for byte in 0..=u8::MAX {
        let digit = char::from(byte).to_digit(16);
        let worth = digit.map_or(NO_DIGIT, |digit| digit as u8);
        assert_eq!(DIGITS[usize::from(byte)], worth, "{byte}");
    }
    let mut id = [0; 2];
    assert_eq!(from_hex("09aF", &mut id), Some(&[0x09, 0xAF][..]));
    for text in ["09ag", "g9aF", "0 aF", "09a", "09aF0", "9äF", ""] {
        assert_eq!(from_hex(text, &mut id), None, "{text}");
    }
}

#[test]
fn whole_numbers_as_texts_are_read_as_far_as_their_field_goes() {
    let start = |text: &str| {
        let json = format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"startTimeUnixNano":"{text}"}}]}}]}}]}}"#
        );
        read(&json)
            .map(|request| request.resource_spans[0].scope_spans[0].spans[0].start_time_unix_nano)
    };
    assert_eq!(start("18446744073709551615"), Ok(u64::MAX));
    for (text, says) in [
        ("18446744073709551616", "out of range"),
        ("-1", "out of range"),
        ("1 ", "cannot be"),
        ("", "cannot be"),
    ] {
        let error = start(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}
