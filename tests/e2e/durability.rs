//! A node that is killed, and a node whose files are damaged. The full runs: `figures durability`.

use std::path::Path;

use chorus_tests::crash::{Report, damage, kill};

const CHORUS: &str = env!("CARGO_BIN_EXE_chorus-under-test");

fn assert_sound(report: &Report, struck: u64) {
    assert_eq!(report.wrong, Vec::<String>::new(), "{report:?}");
    assert_eq!((report.struck, report.lost), (struck, 0));
    assert!(report.acknowledged > 0 && !report.recoveries.is_empty());
}

#[test]
fn the_only_operator_is_killed_fifteen_times_and_nothing_it_acknowledged_is_lost() {
    assert_sound(&kill(Path::new(CHORUS), 1, 1, 15).expect("goes on"), 15);
}

#[test]
fn one_of_four_operators_is_killed_five_times_and_nothing_it_acknowledged_is_lost() {
    assert_sound(&kill(Path::new(CHORUS), 2, 4, 5).expect("goes on"), 5);
}

#[test]
fn the_only_operator_starts_from_damaged_files_rightly_or_says_what_to_do() {
    assert_sound(&damage(Path::new(CHORUS), 3, 1, 18).expect("goes on"), 18);
}

#[test]
fn one_of_four_operators_starts_from_damaged_files_rightly_or_says_what_to_do() {
    assert_sound(&damage(Path::new(CHORUS), 4, 4, 6).expect("goes on"), 6);
}
