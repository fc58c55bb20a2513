//! The workers that run within a daemon.

use std::time::Duration;

use longshore_core::QueueName;
use serde_json::{Map, Value};

use super::value::parse_duration;

/// What a table `[[serve.workers]]` may say.
const KEYS: [&str; 5] = ["queue", "exec", "concurrency", "lease", "timeout"];
/// Most jobs that a worker runs at once.
const MOST: u64 = 1000;

/// One worker of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeWorker {
    /// The queues that it takes jobs from.
    pub queues: Vec<QueueName>,
    /// The program that it runs for every job.
    pub exec: String,
    /// How many jobs it runs at once; else as `worker.concurrency` says.
    pub concurrency: Option<u32>,
    /// How long it holds a job without a sign of life; else as `worker.lease` says.
    pub lease: Option<Duration>,
    /// How long an attempt may take; else as `worker.timeout` says.
    pub timeout: Option<Duration>,
}

/// Reads workers that stand as a list in JSON; none of an empty text.
pub(super) fn parse(text: &str) -> Result<Vec<ServeWorker>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = || "write each worker as a table [[serve.workers]] with queue and exec".to_owned();
    let list: Vec<Value> = serde_json::from_str(text).map_err(|_error| wanted())?;
    let tables = list.iter().enumerate();
    let workers = tables.map(|(index, table)| {
        let number = index + 1;
        let table = table.as_object().ok_or_else(wanted)?;
        worker(table).map_err(|problem| format!("worker {number}: {problem}"))
    });
    workers.collect()
}

fn worker(table: &Map<String, Value>) -> Result<ServeWorker, String> {
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let known = KEYS.join(", ");
        return Err(format!("unknown key `{unknown}`; there are {known}"));
    }
    let names = match table.get("queue") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => {
            let texts = (1..).zip(names).map(|(place, name)| {
                let problem = || format!("`queue`: name {place} of the list is {name}, not a text");
                name.as_str().ok_or_else(problem)
            });
            texts.collect::<Result<_, _>>()?
        }
        Some(other) => return Err(format!("`queue` is {other}, not a name or a list of names")),
        None => Vec::new(),
    };
    if names.is_empty() {
        return Err("`queue` is missing: name the queue, or a list of queues".to_owned());
    }
    let queues: Result<Vec<QueueName>, _> = names.iter().map(|name| name.parse()).collect();
    let exec = table
        .get("exec")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if exec.trim().is_empty() {
        return Err("`exec` is missing: say which program runs the jobs".to_owned());
    }
    let concurrency = match table.get("concurrency") {
        None => None,
        Some(number) => {
            let number = number.as_u64().filter(|number| (1..=MOST).contains(number));
            let number = number.and_then(|number| u32::try_from(number).ok());
            Some(
                number
                    .ok_or_else(|| format!("`concurrency` is a whole number from 1 to {MOST}"))?,
            )
        }
    };
    let duration = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(value) => {
            let text = value.as_str().unwrap_or_default();
            parse_duration(text)
                .map(Some)
                .map_err(|problem| format!("`{key}`: {problem}"))
        }
    };
    Ok(ServeWorker {
        queues: queues.map_err(|error| error.to_string())?,
        exec: exec.to_owned(),
        concurrency,
        lease: duration("lease")?,
        timeout: duration("timeout")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment};

    fn load(file: &str) -> Result<Config, String> {
        let files = [("longshore.toml".to_owned(), file.to_owned())];
        Config::load(&files, &Environment::from_pairs([]), &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn workers_are_read_in_their_order() {
        let config = load(
            "[[serve.workers]]\nqueue = 'thumbs'\nexec = './resize.sh --to=80,60'\nconcurrency = 4\n\
             [[serve.workers]]\nqueue = ['mail', 'reports']\nexec = 'python3 work.py'\ntimeout = '5m'\n\
             lease = '10s'",
        )
        .unwrap();
        let [thumbs, mail] = &config.serve_workers()[..] else {
            panic!("{config:?}");
        };
        assert_eq!(
            (thumbs.exec.as_str(), thumbs.concurrency),
            ("./resize.sh --to=80,60", Some(4))
        );
        assert_eq!(
            (mail.queues.len(), mail.timeout.unwrap().as_secs()),
            (2, 300)
        );
        assert!(Config::default().serve_workers().is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_the_worker() {
        for (file, said) in [
            ("[serve]\nworkers = 'mail'", "write each worker as a table"),
            (
                "[[serve.workers]]\nexec = 'x'",
                "worker 1: `queue` is missing",
            ),
            (
                "[[serve.workers]]\nqueue = ['mail', 7]\nexec = 'x'",
                "worker 1: `queue`: name 2 of the list is 7, not a text",
            ),
            (
                "[[serve.workers]]\nqueue = 'q'\nexec = 'x'\n[[serve.workers]]\nqueue = 7\nexec = 'x'",
                "worker 2: `queue` is 7, not a name or a list of names",
            ),
            (
                "[[serve.workers]]\nqueue = 'q'",
                "worker 1: `exec` is missing",
            ),
            (
                "[[serve.workers]]\nqueue = 'q'\nexec = 'x'\nconcurency = 1",
                "unknown key `concurency`",
            ),
            (
                "[[serve.workers]]\nqueue = 'q'\nexec = 'x'\nconcurrency = 0",
                "from 1 to 1000",
            ),
            (
                "[[serve.workers]]\nqueue = 'q'\nexec = 'x'\nlease = 5",
                "`lease`",
            ),
        ] {
            let problem = load(file).unwrap_err();
            assert!(problem.contains(said), "{file}: {problem}");
        }
    }
}
