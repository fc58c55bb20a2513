//! Calls that are given up half-way.

use longshore_redis::RedisStore;

use crate::server::{Stores as _, shared};

#[tokio::test]
async fn what_comes_after_a_call_that_was_given_up_is_stored() {
    let Some(server) = shared() else {
        return;
    };
    let options = server.options();
    for options in [options.clone(), options.with_script()] {
        let store = RedisStore::open(options.clone());
        let other = RedisStore::open(options);
        longshore_testkit::given_up::check(&store, &other, || {}).await;
    }
}
