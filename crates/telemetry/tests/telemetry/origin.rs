//! Spans say which process of which machine they come from.

use std::time::Duration;

use longshore_core::StoreInfo;
use longshore_instrument::table::key;
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

/// A store as it says what it is.
fn store(system: &'static str, location: &str) -> StoreInfo {
    StoreInfo {
        system,
        location: location.to_owned(),
        clock_error: Duration::ZERO,
        keeps_over_for: Duration::ZERO,
    }
}

/// Which store the spans name that are recorded after each of these was heard of.
async fn named(variables: &[(&str, &str)], stores: &[StoreInfo]) -> Vec<Option<String>> {
    let collector = Collector::start().unwrap();
    let endpoint = collector.http_endpoint();
    let known = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
    ];
    let telemetry = start(&settings(&[&known[..], variables].concat()));
    let recorder = telemetry.recorder();
    let mut named = Vec::new();
    for store in stores {
        recorder.serves(store);
        recorder.record(vec![span(1)]);
        assert!(telemetry.flush(PATIENCE).await);
        let requests = collector.requests();
        let resource = &requests[requests.len() - 1].resource;
        named.push(resource.get(key::STORE).cloned());
    }
    named
}

#[tokio::test]
async fn a_process_says_which_store_it_serves_while_it_is_one() {
    let db = store("postgresql", "db:5432/shop");
    let redis = store("redis", "cache:6379/0");
    let memory = store("memory", "this process");
    let name = Some("postgresql:db:5432/shop".to_owned());
    let all = [memory.clone(), db.clone(), db.clone(), memory, redis, db];
    let expected = [None, name.clone(), name.clone(), name, None, None];
    assert_eq!(named(&[], &all).await, expected);
}

#[tokio::test]
async fn a_file_is_one_store_by_whatever_path_it_is_opened() {
    let folder = std::env::current_dir().unwrap();
    let whole = folder.join("Cargo.toml").canonicalize().unwrap();
    let stores = ["Cargo.toml", "src/../Cargo.toml"].map(|path| store("sqlite", path));
    let name = Some(format!("sqlite:{}", whole.display()));
    assert_eq!(named(&[], &stores).await, [name.clone(), name]);
}

#[tokio::test]
async fn whoever_names_the_store_by_hand_is_right() {
    let stores = [store("redis", "cache:6379/0")];
    let variable = "OTEL_RESOURCE_ATTRIBUTES";
    for (value, name) in [
        ("longshore.store=shop", Some("shop".to_owned())),
        ("longshore.store=", None),
    ] {
        assert_eq!(named(&[(variable, value)], &stores).await, [name]);
    }
}

#[tokio::test]
async fn a_secret_in_the_name_of_a_store_does_not_leave() {
    let stores = [store("sqlite", "/var/lib/4111 1111 1111 1111.db")];
    let name = named(&[], &stores).await.remove(0).unwrap();
    assert!(name.starts_with("sqlite:/var/lib/"), "{name}");
    assert!(!name.contains("1111 1111"), "{name}");
}
