//! Figures of the verifier: a whole bundle, from the file to the verdict, on one core.
//!
//! Each level is measured in a process of its own, which does nothing else: memory is the most that it ever held. The
//! bundle is of a community that is played here, unless one is named.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use chorus_protocol::{
    audit::{Level, Options, Progress, Sample, verify_with},
    config::Policy,
};
use chorus_tests::scenario::{Play, Scenario};

use crate::{delta::peak, figure::Figure};

/// Tells this program that it is the process that verifies: the level, then the bundle.
pub(crate) const CHILD: &str = "verify-one-level";

/// Ballots of the bundle that is played.
const BALLOTS: usize = 1_000;

/// Items that they are about.
const ITEMS: usize = 100;

/// Contributions drawn by lot.
const SAMPLES: usize = 300;

/// Ballots of the rounds of the bundle that shows that memory does not grow with the number of rounds.
const SMALL: usize = 60;

/// Measures each level on a bundle of [`BALLOTS`] ballots, or on the one that is named.
pub(crate) fn figures(bundle: Option<&Path>, mut show: impl FnMut(Vec<Figure>)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Some(bundle) = bundle {
        return show(all_levels("the bundle that is named", bundle, None));
    }
    let path = folder.path().join("large");
    std::fs::write(&path, played(BALLOTS, ITEMS, 1)).expect("room for a bundle");
    show(all_levels(&format!("{BALLOTS} ballots on {ITEMS} items"), &path, Some(4.0)));
    for rounds in [8, 32] {
        let path: PathBuf = folder.path().join("rounds");
        std::fs::write(&path, played(SMALL, 20, rounds)).expect("room for a bundle");
        let name = format!("{SMALL} ballots on 20 items, {rounds} rounds");
        show(level(&name, &path, "full", None));
    }
}

/// Plays rounds of a community in which everybody votes, and returns the bundle.
fn played(people: usize, items: usize, rounds: usize) -> Vec<u8> {
    let policy = Policy { min_contributions: 10, floor: 10, ..Policy::default() };
    let scenario =
        Scenario { operators: 4, followers: 1, people, items, policy, duration_millis: 60_000, ..Scenario::default() };
    let mut play = scenario.start();
    assert!(play.register(), "everybody is a member");
    for round in 1..=rounds {
        let kind = (play.scenario.kind, items, 60_000);
        play.poll = play.community.poll_by_class(&format!("What about question {round}?"), kind, None);
        vote(&mut play);
    }
    play.bundle(0)
}

fn vote(play: &mut Play) {
    play.ask();
    assert!(play.wait(chorus_protocol::ledger::RoundState::Open, 60_000), "voting begins");
    for person in 0..play.community.people.len() {
        let votes = play.votes[person].clone();
        play.vote(person, 0, &votes);
        // Not all at once: what waits is bounded.
        if person % 50 == 49 {
            play.network.run_until(200, |_| false);
        }
    }
    assert!(play.finish().is_some(), "a result: {:?}", play.network.notices);
}

fn all_levels(name: &str, bundle: &Path, bound: Option<f64>) -> Vec<Figure> {
    let bytes = std::fs::metadata(bundle).map_or(f64::NAN, |metadata| metadata.len() as f64);
    let mut figures = vec![Figure::new(format!("{name}: bundle"), bytes, "B")];
    for (what, bound) in [("full", bound), ("light", None), ("sums", None)] {
        figures.extend(level(name, bundle, what, bound));
    }
    figures
}

fn level(name: &str, bundle: &Path, what: &str, bound: Option<f64>) -> Vec<Figure> {
    let output = Command::new(std::env::current_exe().expect("this program has a path"))
        .args([CHILD, what])
        .arg(bundle)
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let mut numbers = said.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
    let mut next = || numbers.next().expect("five numbers");
    let (log, bodies, seconds, processor, memory) = (next(), next(), next(), next(), next());
    let figure = |part: &str, value: f64, unit: &'static str| {
        Figure::new(format!("{name}: level {what}, one core: {part}"), value, unit)
    };
    let whole = figure("all told, processor time", processor, "s");
    vec![
        bound.map_or_else(|| whole.clone(), |bound| whole.clone().at_most(bound)),
        figure("all told", seconds, "s"),
        figure("of it the log", log, "s"),
        figure("of it contributions and openings", bodies, "s"),
        figure("most memory", memory, "B"),
    ]
}

/// Verifies a bundle and prints five numbers: seconds for the log, for the rest, in all, of processor time; bytes of memory.
#[expect(clippy::print_stdout, reason = "the process that measures reads it")]
pub(crate) fn child(arguments: &[String]) {
    let [level, path] = arguments else { panic!("a level and a bundle") };
    let level = match level.as_str() {
        "sums" => Level::Sums,
        "light" => Level::Light(Sample { count: SAMPLES, seed: [7; 32] }),
        _ => Level::Full,
    };
    let begun = Instant::now();
    let mut log = 0.0;
    let mut file = File::open(path).expect("the bundle is there");
    let options = Options { level, receipt: None };
    let report = verify_with(&mut file, &options, &mut |progress| {
        if let Progress::Log(_) = progress {
            log = begun.elapsed().as_secs_f64();
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    assert!(report.is_ok(), "{report:?}");
    println!("{log} {} {seconds} {} {}", seconds - log, processor(), peak());
}

/// Returns the processor time of this process, in seconds.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything: fields 14 and 15 of the line, in ticks of a hundredth of a second.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
