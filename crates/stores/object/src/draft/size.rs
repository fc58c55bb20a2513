use longshore_core::{NewJob, Outcome, WorkerId};
use longshore_testkit::SeededRandom;

use super::*;
use crate::batch_key::BatchName;
use crate::minted_id::StoreMark;

const SECOND: Duration = Duration::from_secs(1);

/// What a hundred jobs take, each with 60 bytes of args and a trace, when all have run once.
#[test]
fn a_hundred_jobs_are_small() {
    let now = Timestamp::from_unix_millis(1_767_225_600_000);
    let key = BatchKey {
        name: BatchName::mint(now, 100, &SeededRandom::new(3)),
        line: Line::read("1", "0", "2").unwrap(),
        due: BatchKey::due_millis(now),
    };
    let mut batch = Batch::new(key, StoreMark::from_bits(1), "mail".parse().unwrap(), now);
    for index in 0..100 {
        let id = crate::MintedId {
            batch: key,
            index,
            mark: batch.mark,
        };
        let kind = "send_mail".parse().unwrap();
        let id = id.to_job_id().unwrap();
        let mut new = NewJob::new(id, batch.queue.clone(), kind, vec![b'x'; 60]);
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        new.trace.traceparent = Some(context.to_owned());
        assert!(batch.put(index, new, None));
    }
    let batch = Arc::new(batch);
    let mut draft = Draft::of(Ledger::blank(key, 1), Arc::clone(&batch));
    for index in 0..100 {
        let token = LeaseToken::from_bits(u64::MAX - u64::from(index));
        let worker = WorkerId::new("web-1.example:4711:0");
        let (claimed_at, expires_at) = (now, now.after(SECOND * 30));
        let hold = Hold {
            token,
            worker,
            claimed_at,
            expires_at,
        };
        let job = draft.claim(index, &hold).unwrap();
        let trace = longshore_core::TraceId::from_u128(1 << 127);
        let span = job
            .id
            .derive_span_id(1, longshore_core::id::SpanPart::Process);
        let settlement = Settlement {
            job_id: job.id,
            token,
            outcome: Outcome::Complete { result: None },
            follow_ups: Vec::new(),
            keep: None,
            span: Some((trace, span)),
        };
        draft
            .settle(index, &settlement, Vec::new(), now.after(SECOND))
            .unwrap();
    }
    let mut bare = draft.ledger().clone();
    bare.carried = None;
    let sizes = [&batch.encode().unwrap(), &bare.encode().unwrap()].map(|bytes| bytes.len() / 100);
    assert!(sizes[0] <= 180 && sizes[1] <= 90, "{sizes:?} bytes a job");
}
