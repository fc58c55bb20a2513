//! Args and results that lie in objects of their own.

use longshore_object::{Batch, BatchKey, Key, Ledger};

use crate::server::Server;

/// Every one is there that a batch or a ledger names. `batch` gives a batch, if it counts.
pub(crate) fn check(
    server: &Server,
    batch: impl Fn(BatchKey) -> Option<Batch>,
) -> Result<(), String> {
    let mut named = Vec::new();
    for key in server.keys("i/") {
        if let Key::Batch(key) = key {
            // One that comes after all was pruned is void.
            named.extend(batch(key).iter().flat_map(args));
        }
    }
    for key in server.keys("l/") {
        let (bytes, _) = server.peek(&key).unwrap();
        named.extend(of_ledger(&Ledger::decode(&bytes).unwrap()));
    }
    match named.iter().find(|key| server.peek(key).is_none()) {
        Some(key) => Err(format!("{key} is gone, and an object names it")),
        None => Ok(()),
    }
}

fn of_ledger(ledger: &Ledger) -> Vec<Key> {
    if ledger.pruned {
        return Vec::new();
    }
    let unmade = ledger.outbox.iter().filter_map(|to| to.batch.as_ref());
    let batches = ledger.carried.iter().chain(unmade);
    let mut named: Vec<Key> = batches.flat_map(|batch| args(batch)).collect();
    let batch = ledger.key.name;
    for index in 0..batch.jobs() {
        let row = ledger.row(index);
        named.extend(
            row.and_then(|row| row.result_token)
                .map(|token| Key::Outcome {
                    batch,
                    index,
                    token,
                }),
        );
    }
    named
}

fn args(batch: &Batch) -> Vec<Key> {
    let slots = (0..).zip(&batch.jobs);
    let tokens = slots.filter_map(|(index, slot)| {
        let token = slot.as_ref()?.args_token?;
        Some(Key::Args {
            batch: batch.key.name,
            index,
            token,
        })
    });
    tokens.collect()
}
