//! How SQLite runs each statement: never by looking at every job.

use longshore_sqlite::rusqlite::Connection;

use crate::support::Folder;

/// Statements that may sort, each with why that is bounded.
const MAY_SORT: [&str; 6] = [
    // Entries of the delayed index whose promotion is due, counted by state.
    "count_delayed_due",
    // Asked only where few jobs wait for their time.
    "list_failed",
    // Asked only where few jobs are over.
    "list_over",
    // Asked only where few jobs run.
    "list_running",
    // Asked only where few jobs wait.
    "list_waiting",
    // Asked only where few jobs of the queue wait.
    "list_waiting_of_queue",
];

/// The steps of a statement's plan.
fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let rows = statement.raw_query().mapped(|row| row.get(3));
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn no_statement_looks_at_every_job() {
    let folder = Folder::new();
    drop(folder.store());
    let conn = Connection::open(folder.file()).unwrap();
    let statements = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql");
    let mut seen = 0;
    for file in std::fs::read_dir(statements).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let steps = plan(&conn, &std::fs::read_to_string(&file).unwrap());
        for step in &steps {
            // A partial index may be walked whole: it holds the jobs that are asked for alone.
            let whole =
                step.starts_with("SCAN longshore_job") && !step.contains("INDEX longshore_job_");
            assert!(!whole, "{name}: {step}");
            let sorts = step.contains("TEMP B-TREE");
            assert!(!sorts || MAY_SORT.contains(&&*name), "{name}: {steps:?}");
        }
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}
