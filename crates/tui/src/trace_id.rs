//! Trace ids in what people paste.

use longshore_core::TraceId;

/// The trace id in a text such as an id, a `traceparent`, a line of a log or the address of a trace:
/// the first 32 hexadecimal digits that stand alone.
///
/// ```
/// let text = "https://traces.example/trace/4BF92F3577B34DA6A3CE929D0E0E4736?x=1";
/// let trace = longshore_tui::find_trace_id(text).unwrap();
/// assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// ```
#[must_use]
pub fn find_trace_id(text: &str) -> Option<TraceId> {
    let mut words = text.split(|character: char| !character.is_ascii_alphanumeric());
    words.find_map(|word| {
        let fits = word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        TraceId::from_hex(&word.to_ascii_lowercase()).filter(|_| fits)
    })
}
