//! Enqueues the members of a batch, page by page.
//!
//! The ids of a page are written before its jobs are enqueued, so that whoever repeats the call
//! after a crash enqueues the same ones, which are hits if they are there.

use std::ops::Range;
use std::time::Duration;

use longshore_core::batch::{Batch as Record, Ends, METADATA_MEMBER, Members, Membership};
use longshore_core::round_trip;
use longshore_core::{BatchId, Enqueued, ErrorKind, JobId, NewJob, StoreError};

use super::finish::finish;
use super::papers::{Papers, contended};
use super::request::{Batch, Drafts};
use crate::producer::Producer;

/// How long members that are added may take on their way: well before anyone concludes that they
/// will never come.
const ADDING: Duration = Duration::from_secs(5 * 60);

/// A batch that is enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnqueuedBatch {
    /// Its id.
    pub id: BatchId,
    /// How many members it was made with.
    pub members: usize,
    /// Whether this call has enqueued members; `false` if the batch was there already, whole.
    pub created: bool,
}

impl Producer {
    /// Enqueues a batch of jobs; returns once all are durable. In one span, however many they are.
    ///
    /// If the call fails on the way, some members may be there, and run. Repeating it with the same
    /// [id](Batch::id) and the same jobs goes on where it stopped. Until it has succeeded, what
    /// follows the batch is not enqueued, unless all members are over.
    ///
    /// # Errors
    /// `Invalid` if a value is not allowed: nothing is stored then. `Conflict` if there is a batch
    /// of this id with other jobs or callbacks.
    pub async fn enqueue_batch(&self, batch: Batch) -> Result<EnqueuedBatch, StoreError> {
        let call = Box::pin(self.ship_batch(batch));
        round_trip::watch(self.watching(), call).await
    }

    async fn ship_batch(&self, mut batch: Batch) -> Result<EnqueuedBatch, StoreError> {
        let started_at = self.now();
        let id = match batch.chosen_id()? {
            Some(id) => id,
            None => self.make_batch_id()?,
        };
        let callbacks = batch.callbacks(self)?;
        let mut drafts = Drafts::of(self, &id, batch.members)?;
        let members = drafts.jobs.len();
        let done = |created| EnqueuedBatch {
            id: id.clone(),
            members,
            created,
        };
        let papers = Papers::new(&**self.store(), &id);
        let mut wanted = Record::new(members, callbacks, self.store().now().await?)?;
        let source = drafts.source.take();
        let stamp = self.stamp_members(&mut drafts.jobs, source.as_ref(), started_at);
        wanted.trace = drafts
            .jobs
            .first()
            .and_then(|job| job.trace.traceparent.clone());
        papers.create(&id.document(), wanted.encode()?).await?;
        let (there, _) = papers.batch().await?.ok_or_else(contended)?;
        if !there.is_same_call(&wanted) {
            return Err(StoreError::new(
                ErrorKind::Conflict,
                format!(
                    "there is a batch {id} already, of other jobs or callbacks: choose another id"
                ),
            ));
        }
        if there.is_finished() || (there.is_filled() && members > 0) {
            return Ok(done(false));
        }
        papers.create(&id.open_document(), "{}".into()).await?;
        let shipment = Shipment {
            producer: self,
            papers,
            began: None,
        };
        let shipped = shipment.ship(&mut drafts, there.planned()).await;
        if let Some(stamp) = &stamp {
            self.record_members(&drafts.jobs, stamp, started_at, &shipped);
        }
        shipped?;
        let filled = papers.change(|batch, _| {
            let news = !batch.is_filled();
            batch.fill();
            Ok((news, ()))
        });
        let (batch, ()) = filled.await?.ok_or_else(contended)?;
        if batch.over_at().is_some() {
            finish(self, &id, &batch).await?;
        }
        Ok(done(true))
    }

    /// Enqueues more members into a batch, on behalf of one that still runs.
    pub(super) async fn add_to_batch(
        &self,
        id: &BatchId,
        drafts: Drafts,
    ) -> Result<usize, StoreError> {
        let call = Box::pin(self.ship_more(id, drafts));
        round_trip::watch(self.watching(), call).await
    }

    async fn ship_more(&self, id: &BatchId, mut drafts: Drafts) -> Result<usize, StoreError> {
        let members = drafts.jobs.len();
        if members == 0 {
            return Ok(0);
        }
        let started_at = self.now();
        let papers = Papers::new(&**self.store(), id);
        let source = drafts.source.take();
        let stamp = self.stamp_members(&mut drafts.jobs, source.as_ref(), started_at);
        let added = papers.change(|batch, now| Ok((true, batch.add(members, now)?)));
        let Some((_, pages)) = added.await? else {
            let problem = format!("the batch {id} is not there any more");
            return Err(StoreError::new(ErrorKind::Conflict, problem));
        };
        let shipment = Shipment {
            producer: self,
            papers,
            began: Some(self.reading()),
        };
        let shipped = shipment.ship(&mut drafts, pages.clone()).await;
        if let Some(stamp) = &stamp {
            self.record_members(&drafts.jobs, stamp, started_at, &shipped);
        }
        shipped?;
        papers
            .change(|batch, _| {
                batch.fill_added(pages.clone());
                Ok((true, ()))
            })
            .await?;
        Ok(members)
    }
}

/// What became of the members.
type Answers = Result<Vec<Result<Enqueued, StoreError>>, StoreError>;

/// Members on their way into the pages of a batch.
struct Shipment<'a> {
    producer: &'a Producer,
    papers: Papers<'a>,
    /// When it began, by the producer's clock, if it must not take long.
    began: Option<Duration>,
}

impl Shipment<'_> {
    /// Enqueues the members into these pages, which they fill in order.
    async fn ship(&self, drafts: &mut Drafts, pages: Range<u16>) -> Answers {
        let mut answers = Vec::with_capacity(drafts.jobs.len());
        let size = usize::from(Record::PAGE);
        let chunks = drafts.jobs.chunks_mut(size).zip(drafts.chosen.chunks(size));
        for (page, (jobs, chosen)) in pages.zip(chunks) {
            self.number(page, jobs);
            answers.extend(self.page(page, jobs, chosen).await?);
        }
        Ok(answers)
    }

    /// Tells each member which one it is.
    fn number(&self, page: u16, jobs: &mut [NewJob]) {
        for (slot, job) in (0u16..).zip(jobs) {
            let batch = self.papers.id.clone();
            let number = Membership { batch, page, slot }.number();
            let number = (METADATA_MEMBER.to_owned(), number.to_string());
            job.metadata.extend([number]);
        }
    }

    async fn page(&self, page: u16, jobs: &mut [NewJob], chosen: &[bool]) -> Answers {
        let papers = self.papers;
        let old = papers.members(page).await?;
        let version = match old {
            Some((Members(ids), version)) => {
                take(jobs, ids)?;
                Some(version)
            }
            None => {
                self.assign(jobs, chosen).await?;
                self.write_ids(page, 0, jobs).await?;
                None
            }
        };
        let members = u16::try_from(jobs.len()).unwrap_or(u16::MAX);
        let ends = papers.id.ends_document(page);
        let is_new = papers.create(&ends, Ends::new(members).encode()).await?;
        self.check_time(is_new)?;
        let noted = match is_new {
            true => None,
            false => papers.ends(page).await?.map(|(ends, _)| ends),
        };
        let answers = self.put(jobs, noted.as_ref()).await?;
        let lost = |(answer, chosen): (&Result<_, StoreError>, &bool)| match answer {
            Err(error) => !chosen && error.kind() == ErrorKind::Invalid,
            Ok(_) => false,
        };
        let lost: Vec<bool> = answers.iter().zip(chosen).map(lost).collect();
        let Some(version) = version.filter(|_| lost.contains(&true)) else {
            return answered(answers);
        };
        // Those ids are of a call that stopped half an hour ago or more: no job has them.
        let kept: Vec<bool> = lost.iter().map(|lost| !lost).collect();
        self.assign(jobs, &kept).await?;
        self.write_ids(page, version, jobs).await?;
        answered(self.put(jobs, noted.as_ref()).await?)
    }

    /// Enqueues the members of a page that are not noted as over. Those were there, and must not run
    /// again even if they are pruned.
    async fn put(&self, jobs: &[NewJob], noted: Option<&Ends>) -> Answers {
        let is_over = |slot| noted.is_some_and(|ends| ends.get(slot).is_some());
        let left = (0u16..).zip(jobs).filter(|(slot, _)| !is_over(*slot));
        let left: Vec<NewJob> = left.map(|(_, job)| job.clone()).collect();
        let answers = match left.is_empty() {
            true => Vec::new(),
            false => self.producer.put_members(left).await?,
        };
        let mut answers = answers.into_iter();
        let hit = |id| Ok(Enqueued::Hit { id, span: None });
        let all = (0u16..).zip(jobs).map(|(slot, job)| match is_over(slot) {
            true => hit(job.id.clone()),
            false => answers.next().unwrap_or_else(|| Err(contended())),
        });
        Ok(all.collect())
    }

    /// Members that are added come in time and into a page that nobody has closed, or not at all.
    fn check_time(&self, is_new: bool) -> Result<(), StoreError> {
        let passed = |began| self.producer.reading().saturating_sub(began);
        if self
            .began
            .is_some_and(|began| !is_new || passed(began) > ADDING)
        {
            let problem = "the members took too long on their way to the store; not all are added";
            return Err(StoreError::new(ErrorKind::Unavailable, problem));
        }
        Ok(())
    }

    /// Mints ids for the jobs that have none to keep.
    async fn assign(&self, jobs: &mut [NewJob], kept: &[bool]) -> Result<(), StoreError> {
        let lacking = || kept.iter().map(|kept| !kept);
        let places: Vec<_> = (jobs.iter().zip(lacking()))
            .filter(|(_, lacks)| *lacks)
            .map(|(job, _)| job.place())
            .collect();
        let mut ids = self.producer.mint(&places).await?.into_iter();
        for (job, _) in jobs.iter_mut().zip(lacking()).filter(|(_, lacks)| *lacks) {
            job.id = ids.next().ok_or_else(contended)?;
        }
        Ok(())
    }

    /// Writes the ids of a page. If another call has written them meanwhile, takes those.
    async fn write_ids(
        &self,
        page: u16,
        expected: u64,
        jobs: &mut [NewJob],
    ) -> Result<(), StoreError> {
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
        let (name, body) = (
            self.papers.id.members_document(page),
            Members(ids).encode()?,
        );
        match self
            .papers
            .store
            .write_document(&name, expected, body)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let (Members(ids), _) = self.papers.members(page).await?.ok_or(error)?;
                take(jobs, ids)
            }
            Err(error) => Err(error),
        }
    }
}

/// Gives jobs the ids that are written down for them.
fn take(jobs: &mut [NewJob], ids: Vec<JobId>) -> Result<(), StoreError> {
    if ids.len() != jobs.len() {
        let (has, wants) = (ids.len(), jobs.len());
        return Err(StoreError::new(
            ErrorKind::Corrupt,
            format!("a page of the batch has the ids of {has} members, not of {wants}"),
        ));
    }
    for (job, id) in jobs.iter_mut().zip(ids) {
        job.id = id;
    }
    Ok(())
}

/// The answers, if no job was refused.
fn answered(answers: Vec<Result<Enqueued, StoreError>>) -> Answers {
    match answers.iter().all(Result::is_ok) {
        true => Ok(answers),
        false => answers
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map(|_| Vec::new()),
    }
}
