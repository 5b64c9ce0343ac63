//! The checker in Python reads a whole bundle, and refuses every change of it for the right reason.

use std::{
    fs,
    io::{ErrorKind, Write as _, stderr},
    path::Path,
    process::Command,
};

use chorus_crypto::{Scalar, ballot, codec::Decode as _, credential::Credential, sign::PublicKey};
use chorus_protocol::{
    contribution::{Body, Content},
    log::{
        batch::Batch,
        certificate::Certificate,
        entry::{
            AcceptedContribution, BallotPlan, ContributionHeader, MaskOpening, OpenedValues, PartitionChoice,
            PollOpening, RoundKey, RoundPlan, Subject,
        },
    },
    opening::OpenedStep,
};
use chorus_tests::bundle::small;

use super::{ballots::replace, *};

/// A bundle that is not what it should be, and why the checker refuses it.
struct Bad {
    breaks: &'static str,
    reason: &'static str,
    bytes: Vec<u8>,
}

struct Small {
    bytes: Vec<u8>,
    bundle: Bundle,
    corrupt: Corrupt,
}

impl Small {
    fn new() -> Self {
        let (community, bytes) = small();
        let bundle = Bundle::from_bytes(&bytes).expect("what was written reads back");
        let corrupt = Corrupt::new(&community, &bundle);
        Self { bytes, bundle, corrupt }
    }

    /// Changes the file, as somebody without keys can.
    fn file(&self, breaks: &'static str, reason: &'static str, change: impl FnOnce(&mut Bundle)) -> Bad {
        let mut bundle = self.bundle.clone();
        change(&mut bundle);
        Bad { breaks, reason, bytes: bundle.to_bytes() }
    }

    /// Changes the certificate of the second decision.
    fn certificate(&self, breaks: &'static str, reason: &'static str, change: impl FnOnce(&mut Certificate)) -> Bad {
        self.file(breaks, reason, |bundle| change(&mut bundle.decisions[1].certificate))
    }

    /// Changes the log, and lets the operators sign it anew.
    fn signed_anew(&self, change: impl FnOnce(&mut Corrupt)) -> Vec<u8> {
        let mut log = self.corrupt.clone();
        change(&mut log);
        log.bundle()
    }

    /// Changes the log so that it breaks something.
    fn log(&self, breaks: &'static str, reason: &'static str, change: impl FnOnce(&mut Corrupt)) -> Bad {
        Bad { breaks, reason, bytes: self.signed_anew(change) }
    }

    /// Changes the first entry that `pick` finds.
    fn entry<T>(
        &self,
        breaks: &'static str,
        reason: &'static str,
        pick: impl Fn(&mut Entry) -> Option<&mut T>,
        change: impl FnOnce(&mut T),
    ) -> Bad {
        self.log(breaks, reason, |log| {
            change(log.entries().find_map(|entry| pick(&mut entry.entry)).expect("such an entry"));
        })
    }

    /// Changes a counting ballot's body.
    fn body(&self, breaks: &'static str, reason: &'static str, change: impl FnOnce(&mut Body)) -> Bad {
        self.log(breaks, reason, |log| {
            let ledger = log.ledger();
            let sealed = ledger.rounds().values().find_map(|round| round.sealed.as_ref()).expect("sealed");
            let header = sealed.contributions[0].header.clone();
            let mut body = Body::from_bytes(&log.blobs[&header.body]).expect("a body");
            change(&mut body);
            replace(log, &header, body.to_bytes());
        })
    }

    /// Changes what the operators opened.
    fn totals(&self, breaks: &'static str, reason: &'static str, change: impl FnOnce(&mut OpenedStep)) -> Bad {
        self.log(breaks, reason, |log| {
            let totals = log.ledger().rounds().values().find_map(|round| round.agreed_values(Step::Totals));
            let (_, totals) = totals.expect("opened");
            let mut opened = OpenedStep::from_bytes(&log.blobs[&totals]).expect("values");
            change(&mut opened);
            let forged = log.keep(opened.to_bytes());
            for entry in log.entries() {
                if let Entry::Opened(it) = &mut entry.entry {
                    it.values = forged;
                }
            }
        })
    }

    /// Returns bundles that differ and are as they should be: what one operator states alone means nothing.
    fn everything_good(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("as it is", self.bytes.clone()),
            (
                "other values of one operator",
                self.signed_anew(|log| {
                    log.entries().find_map(|entry| opened(&mut entry.entry)).expect("opened").inputs = [3; 32];
                }),
            ),
            ("one operator's values of a step that there is not", self.signed_anew(|log| state(log, 1, buckets))),
            ("one operator's partition", self.signed_anew(|log| state(log, 1, blocks))),
            ("as many rounds as one may have open", self.signed_anew(|log| plan_more(log, 14))),
            (
                "a question that is no white space",
                self.signed_anew(|log| {
                    again(log, poll, |it| it.question = "\u{1f}".into());
                }),
            ),
        ]
    }

    fn everything_bad(&self) -> Vec<Bad> {
        let mut all = self.bad_files();
        all.extend(self.bad_logs());
        all.extend(self.bad_rounds());
        all.extend(self.bad_statements());
        all
    }

    fn bad_files(&self) -> Vec<Bad> {
        let mut magic = self.bytes.clone();
        magic[3] ^= 1;
        let longer = [&self.bytes[..], &[0]].concat();
        let last = self.bundle.blobs.len() - 1;
        vec![
            Bad { breaks: "magic", reason: "bundle: magic", bytes: magic },
            Bad { breaks: "a byte more", reason: "encoding: bytes are left over", bytes: longer },
            Bad { breaks: "cut", reason: "encoding: ended early", bytes: self.bytes[..self.bytes.len() - 9].to_vec() },
            self.file("another name", "batch: chain", |bundle| bundle.genesis.name.push('.')),
            self.file("no name", "genesis: name", |bundle| bundle.genesis.name = "\u{3000}".into()),
            self.file("a floor of one", "policy: floor", |bundle| bundle.genesis.policy.floor = 1),
            self.file("operators swapped", "charter: keys", |bundle| bundle.genesis.operators.swap(0, 1)),
            self.file("decisions swapped", "batch: height", |bundle| bundle.decisions.swap(1, 2)),
            self.file("a decision dropped", "batch: height", |bundle| drop(bundle.decisions.remove(1))),
            self.certificate("of another batch", "certificate: batch", |it| it.value = [9; 32].into()),
            self.certificate("a signature less", "certificate: number", |it| shorten(&mut it.signatures)),
            self.certificate("signers swapped", "certificate: order", |it| it.signatures.swap(0, 1)),
            self.certificate("a stranger", "certificate: a signer who is no operator", |it| {
                it.signatures[0].0 = PublicKey::from([0; 32]);
            }),
            self.certificate("another round", "certificate: signature", |it| it.round += 1),
            self.certificate("a round beyond all", "log: a round beyond all rounds", |it| it.round = u32::MAX),
            self.file("a blob's bytes", "blob: hash", |bundle| bundle.blobs[1].1[40] ^= 1),
            self.file("a blob dropped", "blob: order", |bundle| drop(bundle.blobs.remove(0))),
            self.file("the last blob dropped", "incomplete: a blob is missing", |bundle| bundle.blobs.truncate(last)),
            self.file("a blob more", "blob: one that is not needed", |bundle| {
                bundle.blobs.push((BlobId::of(b"more"), b"more".to_vec()));
            }),
            self.log("a batch that follows another", "batch: chain", |_| {}).with(
                |bundle, log| {
                    let batch = &bundle.decisions[2].batch;
                    let batch = Batch::new(batch.height(), [7; 32].into(), batch.entries().to_vec()).expect("fits");
                    bundle.decisions[2] = log.certify(batch);
                },
                &self.corrupt,
            ),
            self.log("an entry that nobody signed", "log: signature of an entry", |_| {}).with(
                |bundle, log| {
                    let batch = &bundle.decisions[0].batch;
                    let mut entries = batch.entries().to_vec();
                    *entries[0].last_mut().expect("a signature") ^= 1;
                    bundle.decisions[0] =
                        log.certify(Batch::new(batch.height(), batch.previous(), entries).expect("fits"));
                },
                &self.corrupt,
            ),
        ]
    }

    fn bad_logs(&self) -> Vec<Bad> {
        let result = BlobId::of(b"another result");
        vec![
            self.entry("too few acknowledgements", "log: acknowledgements", accepted, |it| {
                it.acknowledgements.truncate(1);
            }),
            self.entry("acknowledgements swapped", "log: acknowledgements", accepted, |it| {
                it.acknowledgements.swap(0, 1)
            }),
            self.entry("an acknowledgement of something else", "log: signature of an ack", accepted, |it| {
                it.header.core[0] ^= 1;
            }),
            self.log("a contribution twice", "log: ", |log| {
                let again = log.log.iter().flatten().find(|entry| matches!(entry.entry, Entry::Contribution(_)));
                let again = again.expect("one").clone();
                let place = log.log.iter().position(|entries| entries.contains(&again)).expect("there");
                log.log[place].push(again);
            }),
            self.log("closed at once", "log: ", |log| {
                let closing = log.log.iter().flatten().find(|entry| matches!(entry.entry, Entry::Close(_)));
                let closing = closing.expect("closed").clone();
                let voted = |entry: &SignedEntry| matches!(entry.entry, Entry::Contribution(_));
                let place = log.log.iter().position(|entries| entries.iter().any(voted)).expect("votes");
                log.log[place].insert(0, closing);
            }),
            self.entry("another set", "log: a step of another set", opening, |it| it.set = [9; 32].into()),
            self.entry("a sum less", "log: subsets of an opening", opening, |it| shorten(&mut it.sums)),
            self.body("a link", "link: ", |body| {
                if let Content::Ballot(content) = &mut body.content {
                    content.link.response[0] += Scalar::ONE;
                }
            }),
            self.body("a ballot proof", "ballot: linear relations", |body| {
                if let Content::Ballot(content) = &mut body.content {
                    // The last response.
                    let mut bytes = content.proof.to_bytes();
                    let last = bytes.len() - 32;
                    bytes[last] ^= 1;
                    content.proof = ballot::Proof::from_bytes(&bytes).expect("a reduced scalar");
                }
            }),
            self.body("a credential", "credential", |body| {
                if let Credential::Ring(it) = &mut body.credential {
                    it.blinding += Scalar::ONE;
                } else if let Credential::Open(it) = &mut body.credential {
                    it.blinding += Scalar::ONE;
                }
            }),
            self.log("another header", "contribution: another than the log says", |log| {
                let ledger = log.ledger();
                let sealed = ledger.rounds().values().find_map(|round| round.sealed.as_ref()).expect("sealed");
                let header = sealed.contributions[0].header.clone();
                let changed = ContributionHeader { core: [5; 32], ..header.clone() };
                let accepted = log.acknowledge(changed);
                let place = log.entries().find_map(|entry| match &mut entry.entry {
                    Entry::Contribution(it) if it.header == header => Some(it),
                    _ => None,
                });
                *place.expect("on the log") = accepted;
            }),
            self.totals("a total", "opening: sum of row 1", |opened| {
                if let OpenedStep::Sums(sums) = opened {
                    sums[0].totals[1][0] += 1;
                }
            }),
            self.totals("a blinding", "opening: sum of row 0", |opened| {
                if let OpenedStep::Sums(sums) = opened {
                    sums[0].blindings[0] += Scalar::ONE;
                }
            }),
            self.totals("a row less", "opening: number of rows", |opened| {
                if let OpenedStep::Sums(sums) = opened {
                    shorten(&mut sums[0].totals);
                }
            }),
            self.log("another plan", "opening: of something else", |log| {
                for entry in log.entries() {
                    if let Entry::Opened(it) = &mut entry.entry {
                        it.inputs = [3; 32];
                    }
                }
            }),
            self.log("another result", "result: another follows", |log| {
                log.keep(b"another result".to_vec());
                for entry in log.entries() {
                    if let Entry::Result(it) = &mut entry.entry {
                        it.result = result;
                    }
                }
            }),
            self.log("something that follows", "result: nothing follows", |log| {
                log.keep(b"another result".to_vec());
                for entry in log.entries() {
                    if let Entry::Result(it) = &mut entry.entry {
                        it.follows = Some(result);
                    }
                }
            }),
            self.log("no result", "incomplete: a sealed round without result", |log| {
                retain(log, |entry| !matches!(entry, Entry::Result(_) | Entry::Erased(_)));
            }),
        ]
    }

    fn bad_rounds(&self) -> Vec<Bad> {
        vec![
            self.entry("a blank question", "log: question", poll, |it| it.question = "\u{3000}\n".into()),
            self.log("more rounds than one may have open", "log: too many open rounds", |log| plan_more(log, 15)),
            self.entry("a key that opens nothing", "log: a key of small order", round_key, |it| {
                it.key = [0; 32].into();
            }),
            self.log("opened at an old time", "log: an opening before the clocks were read", |log| {
                let mut is_open = false;
                retain(log, |entry| {
                    is_open |= matches!(entry, Entry::Open(_));
                    is_open || !matches!(entry, Entry::Clock(_))
                });
            }),
            self.log("opened without a key", "log: an opening without every key", |log| take_keys(log, 1)),
            self.log("opened without two", "log: too few keys", |log| take_keys(log, 2)),
        ]
    }

    fn bad_statements(&self) -> Vec<Bad> {
        vec![
            self.log("other values once some are agreed", "log: other values than are agreed", |log| {
                let last = log.entries().filter_map(|entry| opened(&mut entry.entry)).last();
                last.expect("opened").inputs = [3; 32];
            }),
            self.log("values of a step that there is not", "opening: of what was not asked for", |log| {
                state(log, 2, buckets);
            }),
            self.log("totals of too few", "opening: of what was not asked for", |log| {
                let ledger = log.ledger();
                let sealed = ledger.rounds().values().find_map(|round| round.sealed.as_ref()).expect("sealed");
                let two: Vec<_> = sealed.contributions.iter().take(2).map(|one| &one.header).collect();
                retain(log, |entry| match entry {
                    Entry::Opening(_) => false,
                    Entry::Contribution(it) => two.contains(&&it.header),
                    _ => true,
                });
            }),
            self.entry("groups before a partition", "log: an opening of groups before", opening, |it| {
                it.step = Step::Groups;
            }),
            self.log("a partition of a round without", "partition: of a round that comes to none", |log| {
                state(log, 2, blocks);
            }),
            self.log("another partition than is agreed", "log: other blocks than are agreed", |log| {
                state(log, 3, blocks);
                if let Some(Entry::Partition(it)) = log.entries().last().map(|entry| &mut entry.entry) {
                    it.partition = [2; 32];
                }
            }),
        ]
    }
}

impl Bad {
    /// Changes the file that was made.
    fn with(self, change: impl FnOnce(&mut Bundle, &Corrupt), log: &Corrupt) -> Self {
        let mut bundle = Bundle::from_bytes(&self.bytes).expect("a bundle");
        change(&mut bundle, log);
        Self { bytes: bundle.to_bytes(), ..self }
    }
}

fn accepted(entry: &mut Entry) -> Option<&mut AcceptedContribution> {
    if let Entry::Contribution(it) = entry { Some(it) } else { None }
}

fn opening(entry: &mut Entry) -> Option<&mut MaskOpening> {
    if let Entry::Opening(it) = entry { Some(it) } else { None }
}

fn opened(entry: &mut Entry) -> Option<&mut OpenedValues> {
    if let Entry::Opened(it) = entry { Some(it) } else { None }
}

fn poll(entry: &mut Entry) -> Option<&mut PollOpening> {
    if let Entry::Poll(it) = entry { Some(it) } else { None }
}

fn planned(entry: &mut Entry) -> Option<&mut BallotPlan> {
    if let Entry::Plan(RoundPlan { subject: Subject::Ballots(it), .. }) = entry { Some(it) } else { None }
}

fn round_key(entry: &mut Entry) -> Option<&mut RoundKey> {
    if let Entry::RoundKey(it) = entry { Some(it) } else { None }
}

/// Leaves entries out, and batches that are then empty.
fn retain(log: &mut Corrupt, mut stays: impl FnMut(&Entry) -> bool) {
    log.log.iter_mut().for_each(|entries| entries.retain(|entry| stays(&entry.entry)));
    log.log.retain(|entries| !entries.is_empty());
}

/// Lets the author of the first entry that `pick` finds say it again at the end, changed.
fn again<T>(log: &mut Corrupt, pick: impl Fn(&mut Entry) -> Option<&mut T>, change: impl Fn(&mut T)) {
    let changed = |mut entry: SignedEntry| {
        change(pick(&mut entry.entry)?);
        Some(entry)
    };
    let said = log.log.iter().flatten().cloned().find_map(changed).expect("such an entry");
    log.log.last_mut().expect("a batch").push(said);
}

/// Lets the operator who planned the round plan so many more.
fn plan_more(log: &mut Corrupt, rounds: u32) {
    (2..2 + rounds).for_each(|number| again(log, planned, |it| it.number = number));
}

/// Takes so many operators' keys out of the round.
fn take_keys(log: &mut Corrupt, operators: usize) {
    let mut gone = Vec::new();
    retain(log, |entry| match entry {
        Entry::RoundKey(it) if gone.len() < operators => {
            gone.push(it.key);
            false
        }
        _ => true,
    });
    for entry in log.entries() {
        if let Entry::Open(it) = &mut entry.entry {
            let of_gone = it.keys.iter_mut().filter(|key| key.is_some_and(|key| gone.contains(&key)));
            of_gone.for_each(|key| *key = None);
        }
    }
}

/// Lets so many operators say something more at the end, each of the values that it stated.
fn state(log: &mut Corrupt, operators: usize, more: fn(&OpenedValues) -> Entry) {
    let stated = |entry: &SignedEntry| match &entry.entry {
        Entry::Opened(it) => Some(SignedEntry { entry: more(it), ..entry.clone() }),
        _ => None,
    };
    let said: Vec<_> = log.log.iter().flatten().filter_map(stated).take(operators).collect();
    log.log.last_mut().expect("a batch").extend(said);
}

fn buckets(it: &OpenedValues) -> Entry {
    Entry::Opened(OpenedValues { step: Step::Buckets, ..it.clone() })
}

fn blocks(it: &OpenedValues) -> Entry {
    Entry::Partition(PartitionChoice { round: it.round, set: it.set, partition: [1; 32] })
}

#[test]
fn the_python_checker_reads_a_whole_bundle_and_refuses_every_change_of_it_for_the_right_reason() {
    let small = Small::new();
    assert!(small.bytes.len() < 200_000, "{}", small.bytes.len());
    let report = check(&small.bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((report.contributions, report.rounds[0].ballots), (5, 4));
    let (good, bad) = (small.everything_good(), small.everything_bad());
    for (differs, bytes) in &good {
        check(bytes).unwrap_or_else(|error| panic!("{differs}: {error}"));
    }
    for bad in &bad {
        assert!(check(&bad.bytes).is_err(), "{}: the first verifier accepts it", bad.breaks);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: usize| folder.path().join(format!("{name:02}"));
    let files: Vec<&Vec<u8>> = good.iter().map(|(_, bytes)| bytes).chain(bad.iter().map(|bad| &bad.bytes)).collect();
    for (name, bytes) in files.iter().enumerate() {
        fs::write(file(name), bytes).expect("written");
    }

    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("checker/bundle.py");
    let run = Command::new("python3").arg("-B").arg(program).args((0..files.len()).map(file)).output();

    if run.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        writeln!(stderr(), "SKIPPED: there is no python3 to check a bundle with").expect("an open stderr");
        return;
    }
    let run = run.expect("python3 starts");
    let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), files.len(), "{said}{complained}");
    for ((differs, _), line) in good.iter().zip(&lines) {
        assert!(line.contains("accepted: 5 members, 5 contributions, 1 rounds"), "{differs}: {line}");
    }
    for (bad, line) in bad.iter().zip(&lines[good.len()..]) {
        assert!(line.contains(&format!("refused: {}", bad.reason)), "{}: {line}", bad.breaks);
    }
}
