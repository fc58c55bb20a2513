//! The store on servers of others: what the contract asks for, who is refused, and what goes wrong.

#[path = "remote/answers.rs"]
mod answers;
#[path = "remote/contract.rs"]
mod contract;
#[path = "remote/costs.rs"]
mod costs;
#[path = "remote/dated.rs"]
mod dated;
#[path = "remote/faults.rs"]
mod faults;
#[path = "remote/jobs.rs"]
mod jobs;
#[path = "remote/refused.rs"]
mod refused;
#[path = "remote/traced.rs"]
mod traced;

use longshore_object::{ObjectOptions, RemoteStore};
use longshore_testkit::s3_server::{S3Server, variables};

/// The options of a store that no other test of the server uses.
pub(crate) fn options(address: &str, prefix: &str) -> ObjectOptions {
    let url = format!("s3://{}/{prefix}", S3Server::BUCKET);
    let options = ObjectOptions::from_url(&url).unwrap();
    options.with_variables(variables(address))
}

/// A store below a prefix.
pub(crate) fn store(server: &S3Server, prefix: &str) -> RemoteStore {
    RemoteStore::open(&options(&server.address(), prefix)).unwrap()
}
