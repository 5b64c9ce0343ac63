//! Writes the test vectors: `cargo run --release -p chorus-tests --bin vectors -- tests/vectors`.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).context("usage: vectors FOLDER")?);
    for (name, suite) in chorus_tests::vectors::suites() {
        let path = folder.join(name).with_extension("json");
        fs::write(&path, suite.to_json()).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: {} good, {} bad", path.display(), suite.good.len(), suite.bad.len());
    }
    Ok(())
}
