//! The bundles of a divided round on the command line.

use std::{fs, process::Command};

use chorus_tests::{
    cohorts::{Bundles, DividedPlay, policy},
    scenario::Scenario,
};
use serde_json::Value;

/// The binary under test.
const CHORUS: &str = env!("CARGO_BIN_EXE_chorus-under-test");

#[test]
fn cohorts_are_checked_if_their_bundles_are_given_and_named_if_not() {
    let scenario =
        Scenario { operators: 4, people: 12, followers: 1, items: 6, policy: policy(100), ..Scenario::default() };
    let mut divided = DividedPlay::start(scenario, 3, None);
    divided.vote();
    divided.sum_up(divided.certificates()).expect("the sum of all");
    let folder = tempfile::tempdir().expect("a folder");
    let (root, cohorts) = (folder.path().join("root.bundle"), folder.path().join("cohorts"));
    fs::write(&root, divided.play.bundle(0)).expect("written");
    fs::create_dir(&cohorts).expect("made");
    let verify = |more: &[&str]| {
        let mut command = Command::new(CHORUS);
        command.arg("verify").arg(&root).args(more).env("CHORUS_DATA_DIR", folder.path().join("nobody"));
        command.output().expect("the binary runs")
    };
    let with_cohorts = ["--format", "json", "--cohorts", cohorts.to_str().expect("text")];
    // How many were not checked and were, and the exit code.
    let unchecked = || {
        let answer = verify(&with_cohorts);
        let report: Value = serde_json::from_slice(&answer.stdout).expect("JSON");
        let many = |list: &str| report[list].as_array().map_or(0, Vec::len);
        assert_eq!(many("unchecked") + many("checked"), 3);
        (many("unchecked"), answer.status.code())
    };

    let alone = String::from_utf8(verify(&[]).stdout).expect("text");
    assert!(alone.contains("Not shown: what 3 cohorts of divided rounds certified."), "{alone}");
    for (left, (origin, bytes)) in (0..3).rev().zip(Bundles::of(&divided.cohorts).0) {
        assert_eq!(unchecked(), (left + 1, Some(26)));
        let path = cohorts.join(format!("{}.bundle", origin.community()));
        assert!(alone.contains(&format!("{}.bundle", origin.community())), "{alone}");
        fs::write(&path, &bytes).expect("written");
        if left == 0 {
            let mut forged = bytes;
            let middle = forged.len() / 2;
            forged[middle] ^= 1;
            assert_eq!(unchecked(), (0, Some(0)));
            fs::write(&path, forged).expect("written");
        }
    }
    let refused = verify(&with_cohorts);
    assert!(matches!(refused.status.code(), Some(20..=26)), "{refused:?}");
    let nowhere = folder.path().join("nowhere");
    let mistyped = verify(&["--cohorts", nowhere.to_str().expect("text")]);
    assert_eq!(mistyped.status.code(), Some(2), "{mistyped:?}");
}
