//! Finds what nobody has noted of batches, and removes those that are long over.
//!
//! Whoever ends a job notes that in its batch; if it dies before, the job itself tells. So one worker
//! at a time looks at members that are not noted, a bounded number each time: in a batch that is
//! almost over those are few, so that none waits long for what was lost.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::batch::{Batch as Record, End, Ends, Members, OPEN_PREFIX, PREFIX};
use longshore_core::{BatchId, Document, JobId, Random, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use super::turn;
use crate::batches::finish::finish;
use crate::batches::id_of;
use crate::batches::mark::mark;
use crate::batches::papers::Papers;
use crate::worker::Shared;

/// How often.
const EVERY: Duration = Duration::from_secs(10);
/// How often batches that are over are looked at.
const TIDY_EVERY: Duration = Duration::from_secs(3_600);
/// Most documents and jobs that are looked at in a turn.
const LOOKS: usize = 500;

/// Looks after batches until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tidied = None;
    loop {
        ticks.tick().await;
        if let Err(error) = round(&shared, &mut tidied).await
            && shared.complaints.is_due("batches", error.kind())
        {
            let kind = error.kind().as_str();
            tracing::warn!(error.kind = kind, %error, "batches could not be looked after");
        }
    }
}

async fn round(shared: &Shared, tidied: &mut Option<Duration>) -> Result<(), StoreError> {
    let store = &*shared.store;
    let reading = shared.clock.monotonic();
    let tidy = tidied.is_none_or(|last| reading.saturating_sub(last) >= TIDY_EVERY);
    let mut open = named(store, OPEN_PREFIX).await?;
    let all = match tidy {
        true => named(store, PREFIX).await?,
        false => Vec::new(),
    };
    let is_idle = open.is_empty() && all.is_empty();
    if !is_idle && turn::take(store, "batches", shared.id.as_str(), EVERY).await? {
        turn_round(&mut open, &*shared.random);
        let mut looks = LOOKS;
        for id in open {
            usable(&id, look_at(shared, &id, &mut looks).await)?;
        }
        for id in all {
            usable(&id, tidy_up(store, &id).await)?;
        }
    }
    if tidy {
        *tidied = Some(reading);
    }
    Ok(())
}

/// A batch that cannot be used does not hold up the others.
fn usable(id: &BatchId, answer: Result<(), StoreError>) -> Result<(), StoreError> {
    use longshore_core::ErrorKind;
    match answer {
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        Err(error) => {
            tracing::warn!(batch = %id, %error, "a batch cannot be looked after");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// The batches whose documents' names begin so.
async fn named(store: &dyn Store, prefix: &str) -> Result<Vec<BatchId>, StoreError> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let listed = store.list_documents(prefix, after.as_deref(), Document::MAX_LISTED);
        let listed = listed.await?;
        all.extend(listed.iter().filter_map(|entry| id_of(&entry.name, prefix)));
        match listed.last() {
            Some(last) if listed.len() >= Document::MAX_LISTED => after = Some(last.name.clone()),
            Some(_) | None => return Ok(all),
        }
    }
}

/// Begins somewhere else each time, so that everything has its turn.
fn turn_round<T>(items: &mut [T], random: &dyn Random) {
    let many = u64::try_from(items.len()).unwrap_or(u64::MAX).max(1);
    let first = usize::try_from(random.next_u64() % many).unwrap_or_default();
    items.rotate_left(first);
}

/// Looks at a batch that is not finished, as long as looks are left.
async fn look_at(shared: &Shared, id: &BatchId, looks: &mut usize) -> Result<(), StoreError> {
    if !spend(looks) {
        return Ok(());
    }
    let store = &*shared.store;
    let papers = Papers::new(store, id);
    let Some((batch, _)) = papers
        .batch()
        .await?
        .filter(|(batch, _)| !batch.is_finished())
    else {
        return papers.delete(&id.open_document()).await;
    };
    if batch.over_at().is_some() {
        return finish(&shared.producer, id, &batch).await;
    }
    let pages = (0u16..).zip(batch.pages());
    let pages = pages.filter(|(_, page)| page.ended.is_none());
    let mut pages: Vec<u16> = pages.map(|(number, _)| number).collect();
    turn_round(&mut pages, &*shared.random);
    for page in pages {
        if !spend(looks) {
            return Ok(());
        }
        let (ends, members) = (papers.ends(page).await?, papers.members(page).await?);
        let (Some((ends, _)), Some((members, _))) = (ends, members) else {
            give_up(shared, papers, (&batch, page)).await?;
            continue;
        };
        let marks = ended(shared, (&batch, page), (&ends, &members), looks).await?;
        if !marks.is_empty() || ends.is_complete() {
            mark(&shared.producer, id, page, &marks).await?;
        }
    }
    Ok(())
}

/// Closes a page that someone died over before its members were on their way: whoever comes back to
/// life finds that it is closed, and adds nothing.
async fn give_up(
    shared: &Shared,
    papers: Papers<'_>,
    (batch, page): (&Record, u16),
) -> Result<(), StoreError> {
    let members = batch
        .pages()
        .get(usize::from(page))
        .map(|page| page.members);
    let missing = batch.missing(page, shared.store.now().await?);
    if let (Some(members), Some(End::Absent)) = (members, missing) {
        let name = papers.id.ends_document(page);
        papers.create(&name, Ends::absent(members).encode()).await?;
        mark(&shared.producer, papers.id, page, &[]).await?;
    }
    Ok(())
}

const fn spend(looks: &mut usize) -> bool {
    match looks.checked_sub(1) {
        Some(left) => {
            *looks = left;
            true
        }
        None => false,
    }
}

/// Members of a page that are over and not noted.
async fn ended(
    shared: &Shared,
    (batch, page): (&Record, u16),
    (ends, members): (&Ends, &Members),
    looks: &mut usize,
) -> Result<Vec<(u16, End)>, StoreError> {
    let mut pending: Vec<(u16, &JobId)> = ends
        .pending()
        .filter_map(|slot| Some((slot, members.0.get(usize::from(slot))?)))
        .collect();
    turn_round(&mut pending, &*shared.random);
    let mut marks = Vec::new();
    for (slot, id) in pending {
        if !spend(looks) {
            break;
        }
        let end = match shared.store.get(id).await? {
            Some(job) => End::of(job.state),
            None => batch.missing(page, shared.store.now().await?),
        };
        marks.extend(end.map(|end| (slot, end)));
    }
    Ok(marks)
}

/// Removes a batch that nobody needs any more, the document that tells of the others last.
async fn tidy_up(store: &dyn Store, id: &BatchId) -> Result<(), StoreError> {
    let papers = Papers::new(store, id);
    let now = store.now().await?;
    let Some((batch, _)) = papers
        .batch()
        .await?
        .filter(|(batch, _)| batch.is_past(now))
    else {
        return Ok(());
    };
    for (page, _) in (0u16..).zip(batch.pages()) {
        papers.delete(&id.ends_document(page)).await?;
        papers.delete(&id.members_document(page)).await?;
    }
    papers.delete(&id.open_document()).await?;
    papers.delete(&id.document()).await
}
