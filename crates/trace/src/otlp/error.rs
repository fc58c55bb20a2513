//! What can be wrong with bytes that should be OTLP.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// They end in the middle of something.
    #[error("they end too early")]
    CutShort,
    /// A number takes more than 64 bits.
    #[error("a number is too large")]
    Number,
    /// The number of a field is 0 or too large.
    #[error("no field has this number")]
    FieldNumber,
    /// A field is written in a way that this format does not have.
    #[error("a field is written in a way that OTLP does not know")]
    WireType,
    /// A field is written as another type than it has.
    #[error("a field has another type than it should")]
    FieldType,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// Values within values go too deep.
    #[error("values are nested deeper than {}", super::MAX_DEPTH)]
    Depth,
    /// A trace id is not 16 bytes, or all zero.
    #[error("a trace id is not 16 bytes, or zero")]
    TraceId,
    /// A span id is not 8 bytes, or all zero.
    #[error("a span id is not 8 bytes, or zero")]
    SpanId,
}

/// Bytes that are not what OTLP says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not OTLP at byte {at}, in {part}: {problem}")]
pub struct OtlpError {
    /// What is wrong.
    pub problem: Problem,
    /// The message it is in, such as `span` or `resource`.
    pub part: &'static str,
    /// Where, in bytes from the beginning of the request.
    pub at: usize,
    /// Whether it concerns one span alone: those after it can be read.
    pub one_span: bool,
}
