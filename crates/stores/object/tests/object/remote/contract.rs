//! The store holds the contract on a server, and does there what the memory store does.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Random, Store, SystemRandom};
use longshore_memory::MemoryStore;
use longshore_object::{ObjectStore, RemoteObjects, Tuning};
use longshore_testkit::s3_server::{S3Server, shared};

use super::dated::Dated;
use super::options;

async fn fresh(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> (Arc<dyn Store>, Arc<S3Server>) {
    let server = shared().unwrap();
    let prefix = format!("{:016x}", SystemRandom.next_u64());
    let remote = RemoteObjects::new(&options(&server.address(), &prefix)).unwrap();
    let dated = Arc::new(Dated::new(remote, clock));
    let tuning = Tuning {
        gather: Duration::ZERO,
        ..Tuning::default()
    };
    let store = ObjectStore::open_with(dated, random, tuning).await.unwrap();
    (Arc::new(store), server)
}

async fn memory(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Arc<dyn Store> {
    Arc::new(MemoryStore::with(clock, random))
}

/// The checks of one of several tests of about the same length, which can run side by side.
fn part_of_the_contract(part: usize) {
    let Some(_server) = shared() else {
        return;
    };
    let all = longshore_testkit::store_conformance!(list fresh);
    for (_, check) in all.into_iter().skip(part).step_by(PARTS) {
        check();
    }
}

const PARTS: usize = 4;

#[test]
fn the_contract_holds_on_a_server_first_part() {
    part_of_the_contract(0);
}

#[test]
fn the_contract_holds_on_a_server_second_part() {
    part_of_the_contract(1);
}

#[test]
fn the_contract_holds_on_a_server_third_part() {
    part_of_the_contract(2);
}

#[test]
fn the_contract_holds_on_a_server_fourth_part() {
    part_of_the_contract(3);
}

#[test]
fn on_a_server_it_is_the_memory_store_over_any_calls() {
    let Some(_server) = shared() else {
        return;
    };
    longshore_testkit::model::check(3, 7, memory, fresh);
}
