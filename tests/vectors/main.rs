//! Writes the test vectors: `cargo run --release -p chorus-tests --bin vectors -- tests/vectors`; or, with `--bundle FILE`, a
//! small audit bundle for the checker in Python.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;

const USAGE: &str = "usage: vectors FOLDER, or vectors --bundle FILE";

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let first = arguments.next().context(USAGE)?;
    if first == "--bundle" {
        let path = PathBuf::from(arguments.next().context(USAGE)?);
        let (_, bundle) = chorus_tests::bundle::small();
        return fs::write(&path, bundle).with_context(|| format!("cannot write {}", path.display()));
    }
    let folder = PathBuf::from(first);
    for (name, suite) in chorus_tests::vectors::suites() {
        let path = folder.join(name).with_extension("json");
        fs::write(&path, suite.to_json()).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: {} good, {} bad", path.display(), suite.good.len(), suite.bad.len());
    }
    Ok(())
}
