//! Spans say which process of which machine they come from.

use longshore_testkit::collector::Collector;

use crate::{PATIENCE, settings, span, start};

/// What the resource of a span says that a process of these variables recorded.
async fn said(collector: &Collector, variables: &[(&str, &str)]) -> [Option<String>; 2] {
    let endpoint = collector.http_endpoint();
    let known = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
    ];
    let telemetry = start(&settings(&[&known[..], variables].concat()));
    telemetry.recorder().record(vec![span(1)]);
    assert!(telemetry.flush(PATIENCE).await);
    let requests = collector.requests();
    let resource = &requests[requests.len() - 1].resource;
    ["service.instance.id", "host.name"].map(|key| resource.get(key).cloned())
}

#[tokio::test]
async fn processes_are_told_apart_and_machines_named() {
    let collector = Collector::start().unwrap();
    let [one, host] = said(&collector, &[]).await;
    let [other, same] = said(&collector, &[]).await;
    assert!(one.is_some() && one != other, "{one:?}");
    assert!(host.is_some() && host == same, "{host:?}");
}

#[tokio::test]
async fn whoever_names_a_process_by_hand_is_right() {
    let collector = Collector::start().unwrap();
    let named = "service.instance.id=till-3,host.name=till";
    let said_so = said(&collector, &[("OTEL_RESOURCE_ATTRIBUTES", named)]).await;
    assert_eq!(
        said_so,
        [Some("till-3".to_owned()), Some("till".to_owned())]
    );
    let [instance, host] = said(&collector, &[("OTEL_RESOURCE_ATTRIBUTES", "host.name=")]).await;
    assert!(instance.is_some());
    assert_eq!(host, None);
}
