//! The pause that a gRPC server asks for: `google.rpc.RetryInfo` among the details of a status.

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;

/// Binary headers come with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `google.rpc.Status`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The pause in the value of `grpc-status-details-bin`, if it holds one. One that is no length of
/// time is none at all.
pub(super) fn pause(header: &str) -> Option<Duration> {
    let status = Status::decode(BASE64.decode(header).ok()?.as_slice()).ok()?;
    let is_retry_info = |any: &&Any| any.type_url.ends_with("/google.rpc.RetryInfo");
    let info = status.details.iter().find(is_retry_info)?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let nanos = u32::try_from(delay.nanos).ok()?;
    let seconds = Duration::from_secs(u64::try_from(delay.seconds).ok()?);
    seconds.checked_add(Duration::from_nanos(u64::from(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A status as servers send it, in base64.
    pub(crate) fn header(type_url: &str, seconds: i64, nanos: i32) -> String {
        let retry_delay = Some(Delay { seconds, nanos });
        let other = Any {
            type_url: "type.googleapis.com/google.rpc.DebugInfo".to_owned(),
            value: vec![0xff; 3],
        };
        let info = Any {
            type_url: type_url.to_owned(),
            value: RetryInfo { retry_delay }.encode_to_vec(),
        };
        let details = vec![other, info];
        BASE64.encode(Status { details }.encode_to_vec())
    }

    const URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

    #[test]
    fn a_pause_is_read_with_padding_and_without() {
        let header = header(URL, 3, 500_000_000);
        assert_eq!(pause(&header), Some(Duration::from_millis(3500)));
        let bare = header.trim_end_matches('=');
        assert_eq!(pause(bare), Some(Duration::from_millis(3500)));
    }

    #[test]
    fn what_is_no_pause_is_none() {
        let no = [
            header(URL, -1, 0),
            header(URL, 1, -1),
            header("type.googleapis.com/google.rpc.Help", 1, 0),
            "!".to_owned(),
            BASE64.encode([0xff; 9]),
            String::new(),
        ];
        for header in no {
            assert_eq!(pause(&header), None, "{header}");
        }
        let long = header(URL, i64::MAX, i32::MAX);
        assert!(pause(&long).is_some());
    }
}
