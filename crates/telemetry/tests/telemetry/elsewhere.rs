//! Settings that were made for others: the tools before us, and Cloud Run.

use longshore_telemetry::config::{Exporter, Protocol};
use longshore_telemetry::{Config, Environment};

use super::settings;
use super::variables::pairs;

#[test]
fn the_keys_of_the_tools_before_us_are_understood() {
    let load = |file: &str, variables: &[(&str, &str)]| {
        let files = [("longshore.toml".to_owned(), file.to_owned())];
        let environment = Environment::from_pairs(variables.iter().copied());
        let config = Config::load(&files, &environment, &[]).unwrap();
        assert_eq!(config.warnings(), []);
        config.telemetry()
    };
    let otel = "[otel]\nenabled = true\nendpoint = 'http://localhost:4317'\n\
                service_name = 'palingenesis'\nprotocol = 'grpc'\nsampling_ratio = 0.5\n";
    let telemetry = load(otel, &[]);
    assert!(telemetry.enabled);
    assert_eq!(telemetry.exporter, Exporter::Otlp);
    assert_eq!(telemetry.endpoint.protocol, Protocol::Grpc);
    assert!(telemetry.endpoint.url.starts_with("http://localhost:4317/"));
    assert_eq!(telemetry.service_name, "palingenesis");
    assert!((telemetry.sampling_ratio - 0.5).abs() < 1e-9);

    let tracing = "[tracing]\nenabled = false\nendpoint = 'http://c:4318'\nsample_rate = 0.01\n\
                   [tracing.headers]\nauthorization = 'Bearer x'\n\
                   [tracing.attributes]\nteam = 'blue'\n";
    let telemetry = load(tracing, &[]);
    assert!(!telemetry.enabled);
    assert_eq!(telemetry.endpoint.url, "http://c:4318/v1/traces");
    assert!((telemetry.sampling_ratio - 0.01).abs() < 1e-9);
    assert_eq!(
        telemetry.headers,
        [("authorization".into(), "Bearer x".into())]
    );
    assert_eq!(pairs(&telemetry), [("team", "blue")]);

    for (name, exporter) in [
        ("cloudtrace", Exporter::CloudTrace),
        ("jaeger", Exporter::Otlp),
        ("stdout", Exporter::Stdout),
    ] {
        let telemetry = load(&format!("exporter = '{name}'"), &[]);
        assert_eq!(telemetry.exporter, exporter);
    }
    let project = [
        ("GOOGLE_CLOUD_PROJECT", "other"),
        ("GCP_PROJECT_ID", "shop"),
    ];
    let telemetry = load("exporter = 'cloudtrace'", &project);
    assert_eq!(telemetry.google.project.as_deref(), Some("shop"));
    assert_eq!(pairs(&telemetry), [("gcp.project_id", "shop")]);
}

#[test]
fn cloud_run_is_recognised_by_each_of_its_variables() {
    for (variable, attribute) in [
        ("K_SERVICE", Some(("faas.name", "x"))),
        ("K_REVISION", Some(("faas.version", "x"))),
        ("K_CONFIGURATION", Some(("faas.name", "x"))),
        ("CLOUD_RUN_JOB", Some(("faas.name", "x"))),
        ("KUBERNETES_SERVICE_HOST", None),
    ] {
        let telemetry = settings(&[(variable, "x")]);
        assert_eq!(
            telemetry.google.is_cloud_run,
            attribute.is_some(),
            "{variable}"
        );
        let pairs = pairs(&telemetry);
        if let Some(attribute) = attribute {
            assert!(pairs.contains(&attribute), "{pairs:?}");
            assert!(
                pairs.contains(&("cloud.platform", "gcp_cloud_run")),
                "{pairs:?}"
            );
        }
    }
    let named = settings(&[("K_SERVICE", "x"), ("OTEL_SERVICE_NAME", "till")]);
    assert_eq!(named.service_name, "till");
    assert_eq!(settings(&[("K_SERVICE", "x")]).service_name, "x");
}
