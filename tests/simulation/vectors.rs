//! Test vectors: what stands in `tests/vectors` is what the generator makes, and two verifiers judge it alike.

use std::{
    fs,
    io::{ErrorKind, Write as _, stderr},
    path::PathBuf,
    process::Command,
};

use chorus_tests::vectors::{self, Suite};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn checked_in(name: &str) -> String {
    let path = folder().join("vectors").join(name).with_extension("json");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_checked_in_vectors_are_those_the_generator_makes() {
    for (name, suite) in vectors::suites() {
        assert!(suite.to_json() == checked_in(name), "{name}: run `cargo run -rp chorus-tests --bin vectors`");
    }
}

#[test]
fn every_good_vector_is_accepted_and_every_bad_one_refused() {
    for name in vectors::names() {
        let suite: Suite = serde_json::from_str(&checked_in(name)).expect("a suite");
        assert!(!suite.good.is_empty() && !suite.bad.is_empty());
        for case in suite.cases() {
            let accepted = vectors::accepts(name, &case.values);
            assert_eq!(accepted, case.breaks.is_none(), "{name}: {}: {:?}", case.name, case.breaks);
        }
    }
}

#[test]
fn the_python_checker_agrees_on_every_vector() {
    let run =
        Command::new("python3").arg("-B").arg(folder().join("checker/check.py")).arg(folder().join("vectors")).output();
    match run {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Past the harness, which hides what passing tests print.
            writeln!(stderr(), "SKIPPED: there is no python3 to check the vectors with").expect("an open stderr");
        }
        run => {
            let run = run.expect("python3 starts");
            let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
            assert!(run.status.success(), "the checkers disagree:\n{said}{complained}");
        }
    }
}
