//! Secrets wherever a person or a program can put them, looked for in all that leaves and all that
//! is shown of errors.

use longshore_testkit::SeededRandom;
use longshore_testkit::collector::Collector;

use longshore_core::Random as _;

use crate::shell::Shell;

const SEEDS: [u64; 4] = [1, 2, 3, 4];

/// Secrets of the kinds that are told by their looks, none twice.
struct Secrets {
    random: SeededRandom,
    planted: Vec<String>,
}

impl Secrets {
    fn letters(&self, count: usize) -> String {
        let of = b"ABCDEFGHJKLMNPQRSTUVWXYZ234567";
        let letter = |_| char::from(of[usize::try_from(self.random.next_u64() % 30).unwrap()]);
        (0..count).map(letter).collect()
    }

    /// One that may stand in a name.
    fn word(&mut self) -> String {
        let secret = format!("AKIA{}", self.letters(16));
        self.planted.push(secret.clone());
        secret
    }

    /// One in a sentence.
    fn text(&mut self) -> String {
        let random = self.letters(24);
        let text = match self.planted.len() % 4 {
            0 => format!("no login for {random}@example.com today"),
            1 => format!("sent Authorization: Bearer {random} there"),
            2 => format!("postgres://app:{random}@db/shop is away"),
            _ => format!("with password={random} at last"),
        };
        self.planted.push(random);
        text
    }
}

/// What somebody outside of the store can read.
fn outside(shell: &Shell, collector: &Collector, lines: String) -> Vec<(&'static str, Vec<u8>)> {
    let mut outside = vec![("lines of the log", lines.into_bytes())];
    for request in collector.requests() {
        outside.push(("OTLP", request.message));
    }
    let spans = shell.folder.join(".local/share/longshore/spans");
    for entry in std::fs::read_dir(spans).unwrap() {
        outside.push(("files", std::fs::read(entry.unwrap().path()).unwrap()));
    }
    outside
}

fn assert_none(seed: u64, place: &str, bytes: &[u8], secrets: &[String]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in secrets {
        assert!(
            !text.contains(secret),
            "seed {seed}: {secret} in {place}:\n{text}"
        );
    }
}

#[test]
fn no_secret_leaves_the_store_but_where_its_owner_asks_for_it() {
    for seed in SEEDS {
        let collector = Collector::start().unwrap();
        let format = if seed % 2 == 0 { "json" } else { "human" };
        let shell = Shell::new()
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.http_endpoint())
            .with("OTEL_BSP_SCHEDULE_DELAY", "10")
            .with("LONGSHORE_LOG", "trace")
            .with("LONGSHORE_LOG_FORMAT", format);
        let mut secrets = Secrets {
            random: SeededRandom::new(seed),
            planted: Vec::new(),
        };
        let args = format!("{{\"note\": \"{}\"}}", secrets.text());
        let (kind, tenant, namespace) = (secrets.word(), secrets.text(), secrets.text());
        let (tag, correlation) = (secrets.text(), secrets.text());
        let pair = format!("{}={}", secrets.word(), secrets.text());
        let id = shell.enqueue(
            &[
                &["q", kind.as_str(), args.as_str(), "--max-attempts", "2"][..],
                &["--tenant", &tenant, "--namespace", &namespace],
                &["--tag", &tag, "--meta", &pair],
                &["--correlation-id", &correlation, "--unique-key", &tag],
            ]
            .concat(),
        );
        let of_the_owner = secrets.planted.len();
        // The first attempt fails, the second is stopped for good.
        let (first, second) = (secrets.text(), secrets.text());
        let (third, result) = (secrets.text(), secrets.text());
        let program = format!(
            "echo '{result}'; test $LONGSHORE_ATTEMPT = 2 && {{ echo '{second}' >&2; exit 65; }}; \
             printf '%s\\n%s' '{first}' '{third}' >&2; exit 9"
        );
        let worker = shell.run(&[
            "worker",
            "--queue",
            "q",
            "--concurrency",
            "1",
            "--exec",
            &program,
            "--drain",
        ]);
        assert_eq!(worker.code, 3, "seed {seed}: {}", worker.err);
        assert_eq!(shell.run(&["jobs", "retry", &id]).code, 0);
        assert_eq!(shell.run(&["jobs", "cancel", &id]).code, 0);

        let outside = outside(&shell, &collector, worker.err);
        for (place, bytes) in &outside {
            assert_none(seed, place, bytes, &secrets.planted);
        }
        let errors = &secrets.planted[of_the_owner..];
        for args in [
            &["jobs", "show", &id][..],
            &["jobs", "show", &id, "--json"],
            &["jobs", "list"],
            &["jobs", "list", "--json"],
        ] {
            let shown = shell.run(args);
            assert_eq!(shown.code, 0);
            assert_none(seed, "what is shown", shown.out.as_bytes(), errors);
            assert_none(seed, "what is said", shown.err.as_bytes(), &secrets.planted);
        }
        let all: usize = outside.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(all > 5_000, "seed {seed}: only {all} bytes left");
        let marks = |(_, bytes): &(_, Vec<u8>)| {
            String::from_utf8_lossy(bytes).matches("[REDACTED:").count()
        };
        assert!(outside.iter().map(marks).sum::<usize>() > 10, "seed {seed}");
    }
}
