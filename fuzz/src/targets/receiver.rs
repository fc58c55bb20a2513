//! The daemon's receiver: bodies as programs send them, in every form.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use longshore_daemon::otlp::{BodyForm, ReceiverOptions, preview};
use longshore_telemetry::Redactor;
use longshore_trace::otlp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

const PACKINGS: [&str; 3] = ["", "gzip", "zstd"];
const OPTIONS: ReceiverOptions = ReceiverOptions {
    body_bytes: 64 << 10,
    items: 8,
    attributes: 4,
    waiting_bytes: 256 << 10,
    at_once: 1,
    patience: std::time::Duration::ZERO,
};

static REDACTOR: LazyLock<Arc<Redactor>> = LazyLock::new(|| Arc::new(Redactor::default()));

/// The first byte says in which form the rest is. What is taken is what the generated types and
/// the trace store read, and is taken again as it is.
pub fn otlp_receiver(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let form = BodyForm {
        is_logs: first & 1 != 0,
        is_json: first & 2 != 0,
        packing: PACKINGS[usize::from(first >> 2) % PACKINGS.len()],
    };
    let look = |body: &[u8], form| {
        let body = Bytes::copy_from_slice(body);
        preview(body, form, Arc::clone(&REDACTOR), OPTIONS)
    };
    let taken = match look(body, form) {
        Ok(taken) => taken,
        Err(refusal) => {
            assert!(refusal.chars().count() < 400, "{refusal}");
            return;
        }
    };
    assert!(taken.items <= OPTIONS.items);
    assert_eq!(items(&taken.message, form.is_logs), taken.items);
    if !form.is_logs {
        assert_eq!(otlp::spans(&taken.message).count(), taken.items);
    }
    let own = BodyForm {
        is_json: false,
        packing: "",
        ..form
    };
    // What stands for a secret may be longer than the secret, so that the next bound is beyond.
    if taken.message.len() <= OPTIONS.body_bytes {
        let again = look(&taken.message, own).unwrap();
        assert_eq!((again.items, again.rejected), (taken.items, 0));
    }
}

/// The spans or log records of a message, as the generated types count them.
fn items(message: &[u8], is_logs: bool) -> usize {
    if is_logs {
        let request = ExportLogsServiceRequest::decode(message).unwrap();
        let scopes = request
            .resource_logs
            .iter()
            .flat_map(|logs| &logs.scope_logs);
        return scopes.map(|scope| scope.log_records.len()).sum();
    }
    let request = ExportTraceServiceRequest::decode(message).unwrap();
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|spans| &spans.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}
