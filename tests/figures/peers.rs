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
const CLIENTS: u32 = 100;
/// Members of the community that a ballot's author is hidden in.
const MEMBERS: usize = 1_024;

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

    fn seconds(&self, operation: &str) -> anyhow::Result<f64> {
        Ok(self.line(operation)?.seconds)
    }

    fn bytes(&self, operation: &str) -> anyhow::Result<f64> {
        self.line(operation)?.bytes.with_context(|| format!("the peer does not say the bytes of: {operation}"))
    }

    fn line(&self, operation: &str) -> anyhow::Result<&Line> {
        self.0.get(operation).with_context(|| format!("the peer did not measure: {operation}"))
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
    rings(&mut rows, &crates)?;
    deltas(&mut rows, &installed, &crates)?;
    let figures = analysis::compared(&mut rows, &installed)?;
    show(core::iter::once(rows.0.into()).chain(figures.into_iter().map(Printed::from)).collect());
    Ok(())
}

/// A hundred questions, to agree or disagree with.
fn elections(rows: &mut Rows, installed: &Installed, crates: &Peer) -> anyhow::Result<()> {
    let ours = contribution::Cost::measured(ITEMS, MEMBERS);
    let mut command = installed.script("belenios.py");
    let belenios = Peer::run(command.args([ITEMS.to_string(), BALLOTS.to_string()]))?;
    let of = |operation: &str| Ok::<_, anyhow::Error>(("Belenios 2.0", belenios.seconds(operation)?));
    rows.seconds(
        "make a ballot of 100 questions",
        ours.make,
        of("make a ballot")?,
        "ours hides its author among 1,024 and is masked for 5 operators; theirs is signed, for 1 trustee, in a field of 2,048 bits \
         (later versions have Ed25519), and verified afterwards, which is not counted",
    );
    rows.seconds("… verify it, as anyone", ours.public, of("verify a ballot")?, "ours in a batch of 64");
    rows.bytes("… its bytes", ours.bytes, ("Belenios 2.0", belenios.bytes("make a ballot")?), "");
    rows.seconds(
        "… tally of 4, and its proof",
        tally::measured(ITEMS, BALLOTS)?,
        of("tally")?,
        "one operator's or trustee's work and the check of the sum; ballots were verified before",
    );
    let prio = |operation: &str| {
        Ok::<_, anyhow::Error>(("Prio3SumVec", crates.seconds(&format!("Prio3SumVec, 200 bits: {operation}"))?))
    };
    let trust = "theirs can be checked by its 5 aggregators alone, who share a key, and stays secret though 4 collude; ours by anybody, \
                 though 1 colludes, hides its author, and is checked in a batch of 64";
    rows.seconds("make a ballot of 100 questions", ours.make, prio("make")?, trust);
    rows.seconds("… check it, as one operator", ours.public + ours.private, prio("helper")?, trust);
    Ok(())
}

/// One of so many people, and which is hidden.
fn rings(rows: &mut Rows, crates: &Peer) -> anyhow::Result<()> {
    for (members, batch) in [(1_024, 256), (4_096, 128)] {
        let ours = identity::ring::Cost::measured(members, batch);
        let name = |what: &str| format!("Triptych, ring of {members}: {what}");
        let differs = "ours also binds four hidden attributes; theirs builds on dalek 4 and has AVX2, ours has AVX-512 where the machine \
                       does: 1.6 times quicker to make, 1.3 to check";
        let of = |what: &str| Ok::<_, anyhow::Error>(("Triptych", crates.seconds(&name(what))?));
        rows.seconds(&format!("ring of {members}: make"), ours.make, of("make")?, differs);
        rows.seconds("… verify alone", ours.alone, of("verify alone")?, differs);
        let together = format!("verify, each in a batch of {batch}");
        rows.seconds(&format!("… {together}"), ours.batched, of(&together)?, differs);
        rows.bytes(
            "… bytes",
            ours.bytes,
            ("Triptych", crates.bytes(&name("make"))?),
            "ours also binds four hidden attributes",
        );
    }
    Ok(())
}

/// Vectors of numbers of 16 bits.
fn deltas(rows: &mut Rows, installed: &Installed, crates: &Peer) -> anyhow::Result<()> {
    let small = Measured::new(14, CLIENTS);
    let prio = |what: &str| format!("Prio3SumVec, 2^14 numbers of 16 bits: {what}");
    let norm = "ours proves a bound of the norm to everybody, theirs one of each number to 5 aggregators, of whom 4 may collude (of ours 1); \
                credential and sealed seeds, some 2 kB and what a ballot shows, come on top of ours";
    rows.seconds("vector of 2^14: make", small.all(), ("Prio3SumVec", crates.seconds(&prio("make"))?), norm);
    let operator = small.batched + small.operator;
    rows.seconds("… check, as one operator", operator, ("Prio3SumVec", crates.seconds(&prio("helper"))?), norm);
    let upload = crates.bytes(&prio("make"))?;
    rows.bytes("… upload", small.upload_bytes as f64, ("Prio3SumVec", upload), norm);
    for exponent in [17, 20] {
        let ours = Measured::new(exponent, CLIENTS);
        let mut command = installed.script("secagg.py");
        let flower =
            Peer::run(command.args([(1_usize << exponent).to_string(), NEIGHBOURS.to_string(), CLIENTS.to_string()]))?;
        let of = |what: &str| Ok::<_, anyhow::Error>(("SecAgg+ (Flower)", flower.seconds(what)?));
        rows.seconds(
            &format!("vector of 2^{exponent}: mask"),
            ours.mask,
            of("mask")?,
            "theirs stretches seeds of 32 bits by a generator that is not cryptographic, and takes four steps online",
        );
        rows.seconds(
            "… all that a contributor computes",
            ours.all(),
            of("mask")?,
            "theirs proves nothing: one contributor can make the sum anything. Ours commits, masks, and proves a bound of the norm",
        );
        let masks = f64::from(CLIENTS) * ours.masks;
        rows.seconds(
            "… masks of 100, and opening their sum",
            masks + ours.sum,
            of("unmask")?,
            "ours adds 4 cryptographic masks of each contributor as contributions come in, theirs 1 that is not, and all at the end",
        );
        rows.seconds(
            "… from the last contribution to the sum",
            ours.sum,
            of("unmask")?,
            "the same without what ours has done by then; the sum is checked against the commitments, theirs is not",
        );
    }
    Ok(())
}
