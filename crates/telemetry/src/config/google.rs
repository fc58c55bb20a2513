//! What is known of Google Cloud before anybody asks.

use std::path::PathBuf;

use super::Config;

/// The account and the place of a process in Google Cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoogleSettings {
    /// The project that traces belong to; if none, the one that the credentials or the metadata
    /// server name.
    pub project: Option<String>,
    /// The file of credentials; if none, that in `gcloud_folder`, else the metadata server.
    pub credentials: Option<PathBuf>,
    /// Where `gcloud` keeps what it knows.
    pub gcloud_folder: Option<PathBuf>,
    /// The token server, where it is not the one that the credentials name.
    pub token_url: Option<String>,
    /// Host and port of the metadata server.
    pub metadata_host: String,
    /// Whether this process runs in Cloud Run.
    pub is_cloud_run: bool,
}

impl GoogleSettings {
    pub(super) fn from_config(config: &Config) -> Self {
        let text = |key| {
            let text = config.text(key);
            (!text.is_empty()).then(|| text.to_owned())
        };
        Self {
            project: text("telemetry.google_project"),
            credentials: text("telemetry.google_credentials").map(PathBuf::from),
            gcloud_folder: text("telemetry.gcloud_folder").map(PathBuf::from),
            token_url: text("telemetry.google_token_url"),
            metadata_host: config.text("telemetry.google_metadata_host").to_owned(),
            is_cloud_run: CLOUD_RUN.iter().any(|key| text(key).is_some()),
        }
    }
}

const CLOUD_RUN: [&str; 3] = [
    "telemetry.cloud_run_service",
    "telemetry.cloud_run_revision",
    "telemetry.cloud_run_configuration",
];

/// The resource attributes that follow from the settings, where `given` has no others.
pub(super) fn attributes(config: &Config, given: &[(String, String)]) -> Vec<(String, String)> {
    let text = |key: &str| Some(config.text(key)).filter(|text| !text.is_empty());
    let [service, revision, configuration] = CLOUD_RUN.map(text);
    let in_cloud_run = service.or(revision).or(configuration).is_some();
    let constant = |value| in_cloud_run.then_some(value);
    let found = [
        ("gcp.project_id", text("telemetry.google_project")),
        ("cloud.provider", constant("gcp")),
        ("cloud.platform", constant("gcp_cloud_run")),
        ("faas.name", service.or(configuration)),
        ("faas.version", revision),
    ];
    let found = found.into_iter().filter_map(|(key, value)| {
        let is_given = given.iter().any(|(name, _)| name == key);
        let value = value.filter(|_| !is_given)?;
        Some((key.to_owned(), value.to_owned()))
    });
    found.collect()
}
