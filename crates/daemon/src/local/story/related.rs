//! The other jobs of a story.

use longshore_api::ApiError;
use longshore_api::job::trace_of;
use longshore_api::trace::RelatedJob;
use longshore_core::batch::METADATA_BATCH;
use longshore_core::{Job, JobFilter};

use crate::local::LocalBackend;

/// Most jobs that are named.
const MOST: usize = 100;

impl LocalBackend {
    /// Parent, children, those of the same correlation id and of the same batch.
    pub(super) async fn related(
        &self,
        about: Option<&Job>,
        in_story: &[Job],
    ) -> Result<Vec<RelatedJob>, ApiError> {
        let mut found = Found::default();
        let Some(about) = about else {
            found.add_all("trace", in_story);
            return Ok(found.jobs);
        };
        found.skip.push(about.id.to_string());
        if let Some(parent) = &about.parent_correlation_id {
            let filter = JobFilter {
                correlation_id: Some(parent.clone()),
                ..JobFilter::default()
            };
            found.add_all("parent", &self.some(&filter).await?);
        }
        let own = Some(about.correlation_id.as_str());
        let is_child = |job: &&Job| job.parent_correlation_id.as_deref() == own;
        let children: Vec<Job> = in_story.iter().filter(is_child).cloned().collect();
        found.add_all("child", &children);
        let same = JobFilter {
            correlation_id: Some(about.correlation_id.clone()),
            ..JobFilter::default()
        };
        found.add_all("correlation", &self.some(&same).await?);
        if let Some(batch) = about.metadata.get(METADATA_BATCH) {
            let filter = JobFilter {
                metadata: Some((METADATA_BATCH.to_owned(), batch.clone())),
                ..JobFilter::default()
            };
            found.add_all("batch", &self.some(&filter).await?);
        }
        found.add_all("trace", in_story);
        Ok(found.jobs)
    }

    async fn some(&self, filter: &JobFilter) -> Result<Vec<Job>, ApiError> {
        Ok(self.store.list(filter, None, MOST).await?.jobs)
    }
}

#[derive(Default)]
struct Found {
    jobs: Vec<RelatedJob>,
    /// Who is named already, or need not be.
    skip: Vec<String>,
}

impl Found {
    fn add_all(&mut self, relation: &str, jobs: &[Job]) {
        for job in jobs {
            let id = job.id.to_string();
            if self.jobs.len() >= MOST || self.skip.contains(&id) {
                continue;
            }
            self.skip.push(id.clone());
            self.jobs.push(RelatedJob {
                relation: relation.to_owned(),
                id,
                kind: job.kind.to_string(),
                queue: job.queue.to_string(),
                state: job.state.as_str().to_owned(),
                trace_id: trace_of(job),
            });
        }
    }
}
