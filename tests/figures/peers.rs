//! Chorus beside the programs that people would otherwise pick: the same work, on the same machine, in the same run.
//!
//! `tests/peers/install.sh DIR` installs them. One core; times are the least of several runs.

mod analysis;
mod tally;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::{
    contribution,
    delta::Measured,
    identity,
    table::{Printed, Table},
};

/// Questions of an election.
const ITEMS: usize = 100;
/// Ballots of Belenios' election.
const BALLOTS: usize = 4;
/// Neighbours of a client of SecAgg+, as many as its paper takes for a thousand clients.
const NEIGHBOURS: usize = 20;
/// Contributors to a sum.
const CLIENTS: usize = 100;

/// What a peer's program printed of one operation.
#[derive(Debug, Deserialize)]
struct Line {
    operation: String,
    seconds: f64,
    bytes: Option<f64>,
}

/// What a peer's operations cost, by name.
struct Peer(BTreeMap<String, Line>);

impl Peer {
    fn run(command: &mut Command) -> anyhow::Result<Self> {
        let lines = output(command)?;
        let lines = lines.lines().map(serde_json::from_str::<Line>).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(lines.into_iter().map(|line| (line.operation.clone(), line)).collect()))
    }

    fn seconds(&self, operation: &str) -> f64 {
        self.0.get(operation).map_or(f64::NAN, |line| line.seconds)
    }

    fn bytes(&self, operation: &str) -> f64 {
        self.0.get(operation).and_then(|line| line.bytes).unwrap_or(f64::NAN)
    }
}

/// Runs a program on one core and returns what it printed.
fn output(command: &mut Command) -> anyhow::Result<String> {
    for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(threads, "1");
    }
    let done = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// Where the peers are.
struct Installed(PathBuf);

impl Installed {
    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.0.join("venv/bin/python"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name));
        command
    }

    fn program(&self) -> Command {
        Command::new(self.0.join("target/release/peers"))
    }
}

/// A row for each operation: ours, a peer's, and how much more the peer's is.
struct Rows(Table);

impl Rows {
    fn new() -> Self {
        let columns = ["operation", "Chorus", "peer", "", "ratio", "what differs"];
        Self(Table::new("Beside others, on one core", &columns))
    }

    fn seconds(&mut self, operation: &str, ours: f64, (peer, theirs): (&str, f64), differs: &str) {
        self.row(operation, (ours, time(ours)), peer, (theirs, time(theirs)), differs);
    }

    fn bytes(&mut self, operation: &str, ours: f64, (peer, theirs): (&str, f64), differs: &str) {
        self.row(operation, (ours, size(ours)), peer, (theirs, size(theirs)), differs);
    }

    /// What the peer does not do at all.
    fn alone(&mut self, operation: &str, ours: f64, peer: &str, differs: &str) {
        let cells = [operation, &time(ours), peer, "–", "", differs].map(String::from);
        self.0.row(cells);
    }

    fn row(&mut self, operation: &str, ours: (f64, String), peer: &str, theirs: (f64, String), differs: &str) {
        let ratio = theirs.0 / ours.0;
        let digits = usize::from(ratio < 10.0);
        self.0.row([operation.into(), ours.1, peer.into(), theirs.1, format!("{ratio:.digits$}"), differs.into()]);
    }
}

fn time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn size(bytes: f64) -> String {
    if bytes < 1e5 { format!("{bytes:.0} B") } else { format!("{:.2} MB", bytes / 1e6) }
}

/// Measures Chorus and its peers, which are installed in `folder`.
///
/// # Errors
///
/// Returns which peer could not be run.
pub(crate) fn figures(folder: &Path, mut show: impl FnMut(Vec<Printed>)) -> anyhow::Result<()> {
    let installed = Installed(folder.to_path_buf());
    let mut rows = Rows::new();
    let crates = Peer::run(&mut installed.program())?;
    elections(&mut rows, &installed, &crates)?;
    rings(&mut rows, &crates);
    deltas(&mut rows, &installed, &crates)?;
    let figures = analysis::compared(&mut rows, &installed)?;
    show(core::iter::once(rows.0.into()).chain(figures.into_iter().map(Printed::from)).collect());
    Ok(())
}

/// A hundred questions, to agree or disagree with.
fn elections(rows: &mut Rows, installed: &Installed, crates: &Peer) -> anyhow::Result<()> {
    let ours = contribution::Cost::measured(ITEMS);
    let mut command = installed.script("belenios.py");
    let belenios = Peer::run(command.args([ITEMS.to_string(), BALLOTS.to_string()]))?;
    let whole =
        "ours hides who votes and is masked for 5 operators; theirs is signed, for 1 trustee, in a field of 2,048 bits";
    let row = |operation| ("Belenios 2.0", belenios.seconds(operation));
    rows.seconds("make a ballot of 100 questions", ours.make, row("make a ballot"), whole);
    rows.seconds("verify it, as anyone", ours.public, row("verify a ballot"), "ours in a batch of 64");
    rows.bytes("its bytes", ours.bytes, ("Belenios 2.0", belenios.bytes("make a ballot")), "");
    let tally = tally::measured(ITEMS, BALLOTS)?;
    rows.seconds(
        "tally of 4 ballots, and its proof",
        tally,
        row("tally"),
        "ours: one operator's sums of masks, opening, check",
    );
    let prio = |operation: &str| ("Prio3SumVec", crates.seconds(&format!("Prio3SumVec, 200 bits: {operation}")));
    let trust = "theirs is checked only by its 5 aggregators together, who share a secret key; anybody checks ours";
    rows.seconds("make a ballot of 100 questions", ours.make, prio("make"), trust);
    rows.seconds("check it, as one operator", ours.public + ours.private, prio("helper"), trust);
    Ok(())
}

/// One of so many people, and which is hidden.
fn rings(rows: &mut Rows, crates: &Peer) {
    for (members, batch) in [(1_024, 256), (4_096, 128)] {
        let ours = identity::ring::Cost::measured(members, batch);
        let name = |what: &str| format!("Triptych, ring of {members}: {what}");
        let differs = "ours also binds four hidden attributes";
        let of = |what: &str| ("Triptych", crates.seconds(&name(what)));
        rows.seconds(&format!("ring of {members}: make"), ours.make, of("make"), differs);
        rows.seconds("… verify alone", ours.alone, of("verify alone"), differs);
        let together = format!("verify, each in a batch of {batch}");
        rows.seconds(&format!("… {together}"), ours.batched, of(&together), differs);
        rows.bytes("… bytes", ours.bytes, ("Triptych", crates.bytes(&name("make"))), differs);
    }
}

/// Vectors of numbers of 16 bits.
fn deltas(rows: &mut Rows, installed: &Installed, crates: &Peer) -> anyhow::Result<()> {
    let small = Measured::new(14);
    let prio = |what: &str| format!("Prio3SumVec, 2^14 numbers of 16 bits: {what}");
    let norm = "ours proves a bound of the norm to everybody, theirs one of each number to 5 aggregators";
    rows.seconds("vector of 2^14: make", small.all(), ("Prio3SumVec", crates.seconds(&prio("make"))), norm);
    let operator = small.batched + small.operator;
    rows.seconds("… check, as one operator", operator, ("Prio3SumVec", crates.seconds(&prio("helper"))), norm);
    let upload = crates.bytes(&prio("make"));
    rows.bytes("… upload", small.upload_bytes as f64, ("Prio3SumVec", upload), norm);
    for exponent in [17, 20] {
        let ours = Measured::new(exponent);
        let mut command = installed.script("secagg.py");
        let flower =
            Peer::run(command.args([(1_usize << exponent).to_string(), NEIGHBOURS.to_string(), CLIENTS.to_string()]))?;
        let proof = "theirs proves nothing, stretches seeds of 32 bits by a generator that is not cryptographic, and takes four steps online";
        let of = |what: &str| ("SecAgg+ (Flower)", flower.seconds(what));
        rows.seconds(&format!("vector of 2^{exponent}: mask"), ours.mask, of("mask"), proof);
        rows.alone("… commit and prove besides", ours.commit + ours.prove, "SecAgg+ (Flower)", "theirs has no proof");
        let unmask = "ours: commitments of 1,000 added up, sum opened and checked; theirs: the masks of 100 taken off";
        rows.seconds("… open the sum", ours.sum, of("unmask"), unmask);
    }
    Ok(())
}
