//! Replays the corpora of the fuzz targets on stable Rust, each file as it is and with small changes. Finds nothing new
//! by chance: the same inputs each time.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics is a test that fails"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

#[path = "../fuzz/bodies/path.rs"]
mod path;
#[path = "../fuzz/bodies/token.rs"]
mod token;
#[path = "../fuzz/bodies/yaml.rs"]
mod yaml;

#[test]
fn path_corpus() {
    replay("path", path::path, every_byte_changed);
}

#[test]
fn token_corpus() {
    for good in token::GOOD {
        assert!(good.len() > 300, "a good token is missing from the corpus");
    }
    replay("token", token::token, |seed| {
        // Each change costs a signature check; only good tokens are worth one for every byte.
        if token::GOOD.contains(&seed) {
            every_byte_changed(seed)
        } else {
            cuts(seed, 4)
        }
    });
}

#[test]
fn yaml_corpus() {
    replay("yaml", yaml::yaml, |seed| cuts(seed, 64));
}

/// Runs the body on each file and on what `change` makes of it; names every file that fails.
fn replay(target: &str, body: fn(&[u8]), change: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut seeds: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 30, "the corpus of {target} is not there");
    let mut failed = Vec::new();
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        let mut inputs = change(&bytes);
        inputs.insert(0, bytes);
        let bad = inputs
            .iter()
            .find(|input| catch_unwind(AssertUnwindSafe(|| body(input))).is_err());
        if let Some(input) = bad {
            failed.push(format!(
                "{}: {:?}",
                seed.display(),
                String::from_utf8_lossy(input)
            ));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Each byte in turn flipped, taken out, and replaced by what means something.
fn every_byte_changed(seed: &[u8]) -> Vec<Vec<u8>> {
    let mut changed = Vec::new();
    for at in 0..seed.len().min(1_024) {
        for byte in [seed[at] ^ 1, seed[at] ^ 0x20, b'%', b'.', b'='] {
            let mut copy = seed.to_vec();
            copy[at] = byte;
            if copy != seed {
                changed.push(copy);
            }
        }
        let mut copy = seed.to_vec();
        copy.remove(at);
        changed.push(copy);
    }
    changed
}

/// The seed cut short in about `count` places, and with a quote put there.
fn cuts(seed: &[u8], count: usize) -> Vec<Vec<u8>> {
    let step = (seed.len() / count).max(1);
    let places = (0..seed.len()).step_by(step);
    let changed = places.flat_map(|at| {
        let mut quoted = seed[..at].to_vec();
        quoted.push(b'"');
        quoted.extend(&seed[at..]);
        [seed[..at].to_vec(), quoted]
    });
    changed.collect()
}
