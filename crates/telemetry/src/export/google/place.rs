//! Where in Google Cloud this process runs.

use std::time::Duration;

use super::account::Account;
use super::ask::Asker;
use crate::config::{Exporter, GoogleSettings, TelemetrySettings};

/// How long the metadata server may take in all.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has to be asked for before spans can say where they come from.
#[derive(Debug)]
pub(crate) struct Place {
    settings: GoogleSettings,
    wants_project: bool,
}

impl Place {
    /// None where the settings tell all.
    pub(crate) fn of(settings: &TelemetrySettings) -> Option<Self> {
        let google = &settings.google;
        let is_known = settings
            .resource_attributes
            .iter()
            .any(|(key, _)| key == PROJECT);
        let logs = settings.logs.as_ref().map(|logs| logs.exporter);
        let to_google = [Some(settings.exporter), logs].contains(&Some(Exporter::CloudTrace));
        let wants_project = to_google && !is_known;
        (wants_project || google.is_cloud_run).then(|| Self {
            settings: google.clone(),
            wants_project,
        })
    }

    /// The attributes that are missing; what cannot be found out is said.
    pub(crate) fn ask(&self) -> Vec<(String, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let asking = self.ask_all(&mut found);
        let in_time = runtime.block_on(async { tokio::time::timeout(PATIENCE, asking).await });
        let has_project = found.iter().any(|(key, _)| key == PROJECT);
        if self.wants_project && !has_project {
            let why = match in_time {
                Ok(()) => "does not tell it",
                Err(_elapsed) => "did not answer in time",
            };
            tracing::warn!(
                target: "longshore",
                "Google Cloud takes no traces and log records without their project, and the metadata server {why}: set telemetry.google_project (GCP_PROJECT_ID)"
            );
        }
        found
    }

    async fn ask_all(&self, found: &mut Vec<(String, String)>) {
        let asker = Asker::default();
        let host = self.settings.metadata_host.as_str();
        let mut add = |key: &str, value: &str| found.push((key.to_owned(), value.to_owned()));
        if self.wants_project {
            let account = Account::find(&self.settings).ok();
            if let Some(project) = account.as_ref().and_then(|account| account.project()) {
                add(PROJECT, project);
            } else if let Ok(project) = asker.metadata(host, "project/project-id").await {
                add(PROJECT, project.trim());
            }
        }
        if !self.settings.is_cloud_run {
            return;
        }
        if let Ok(region) = asker.metadata(host, "instance/region").await {
            // It comes as projects/123/regions/europe-west1.
            add(
                "cloud.region",
                region.trim().rsplit('/').next().unwrap_or_default(),
            );
        }
        if let Ok(instance) = asker.metadata(host, "instance/id").await {
            add("faas.instance", instance.trim());
        }
    }
}

/// The attribute without which Google Cloud takes no traces.
const PROJECT: &str = "gcp.project_id";
