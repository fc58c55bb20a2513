//! Every target, briefly: the files of its corpus, then random changes of them and noise. A panic
//! names the input; put it into a file of the corpus once it is mended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use longshore_fuzz::TARGETS;

/// Inputs of each target; those that go through a store take longer.
fn how_many(target: &str) -> usize {
    match target {
        "rows" | "args" | "trace_store" => 200,
        _ => 4_000,
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// A file of the corpus with a few bytes changed, cut, doubled or taken from another; or noise.
fn changed(corpus: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = random.choice(corpus).cloned().unwrap_or_default();
    if random.u8(..16) == 0 {
        input = (0..random.usize(..300)).map(|_| random.u8(..)).collect();
    }
    for _ in 0..random.usize(..6) {
        let at = random.usize(..=input.len());
        match random.u8(..5) {
            0 => input.truncate(at),
            1 => input.insert(at, random.u8(..)),
            2 if at < input.len() => input[at] = random.u8(..),
            3 => input
                .splice(at..at, b"\xff\x00=,-{[\"%+"[random.usize(..9)..].to_vec())
                .for_each(drop),
            _ => {
                let other = random.choice(corpus).cloned().unwrap_or_default();
                let from = random.usize(..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
    input
}

#[test]
fn every_target_bears_its_corpus_and_random_input() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        let more = (0..how_many(name)).map(|_| changed(&corpus, &mut random));
        let inputs: Vec<Vec<u8>> = corpus.iter().cloned().chain(more).collect();
        for input in inputs {
            let done = catch_unwind(AssertUnwindSafe(|| target(&input)));
            let shown = input.escape_ascii();
            assert!(done.is_ok(), "{name}, seed {seed}: b\"{shown}\"");
        }
    }
}
