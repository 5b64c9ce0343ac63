//! What operators say about values cards: a founding document and a log with such words.

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    config::{Genesis, Policy},
    deliberation::moral_graph::ValuesCard,
    id::BlobId,
    ledger::Ledger,
    log::entry::{CanonicalCard, Entry, MergeCards, PollKind, Proposal, SignedEntry},
};

use super::{Refused, Seq, Suite, Values};
use crate::community::Community;

const WORDS: &str = "two words about three cards, and a third that takes one back";

/// Where the log has what.
const OPENING: usize = 0;
const CARDS: usize = 1;
const FIRST_WORD: usize = 4;

struct Scene {
    community: Community,
    log: Vec<SignedEntry>,
}

fn card(title: &str) -> ValuesCard {
    let policies = ["MOMENTS where somebody hesitates", "SIGNS that é and — survive"];
    ValuesCard::new(title, "Help people see their options", &policies).expect("a card")
}

fn id(title: &str) -> BlobId {
    card(title).id()
}

fn reason() -> String {
    "They attend to the same.".into()
}

/// The `number`-th word of an operator on `card`.
fn merge(number: u16, card: &str, into: &str) -> Entry {
    Entry::MergeCards(MergeCards { card: id(card), into: id(into), number, reason: reason() })
}

fn canonical(number: u16, card: &str) -> Entry {
    Entry::Canonical(CanonicalCard { card: id(card), number, reason: reason() })
}

impl Scene {
    fn new() -> Self {
        let community = Community::new(9, 4, 1, Policy::default());
        let poll = community.poll_of("What do you care about?", (PollKind::Value, Vec::new(), 60_000), None);
        let propose = |title| Entry::Propose(Proposal { poll: poll.poll, text: card(title).text() });
        let entries = [
            poll.opening,
            propose("Autonomy"),
            propose("Freedom"),
            propose("Care"),
            merge(1, "Freedom", "Autonomy"),
            merge(1, "Autonomy", "Care"),
            canonical(1, "Freedom"),
        ];
        let mut scene = Self { community, log: Vec::new() };
        for (number, entry) in entries.into_iter().enumerate() {
            let entry = scene.signed(number % 4, entry);
            scene.log.push(entry);
        }
        scene
    }

    fn signed(&self, operator: usize, entry: Entry) -> SignedEntry {
        SignedEntry::sign(&self.community.operators[operator], self.community.id(), entry)
    }

    fn values(&self, log: &[SignedEntry]) -> Values {
        Values::default().encoded("genesis", &self.community.genesis).encoded("log", &Seq(log.to_vec()))
    }
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let genesis: Genesis = values.decode("genesis")?;
    genesis.validate()?;
    let mut ledger = Ledger::new(genesis);
    let Seq(log) = values.decode::<Seq<SignedEntry>>("log")?;
    Ok(log.iter().try_for_each(|entry| ledger.apply(entry))?)
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let scene = Scene::new();
    suite.good(WORDS, scene.values(&scene.log));
    suite.good("a merge in place of another", {
        let log = [&scene.log[..], &[scene.signed(0, merge(1, "Autonomy", "Freedom"))]].concat();
        scene.values(&log)
    });
    suite.good("a word that an operator says again, as its next one", {
        let log = [&scene.log[..], &[scene.signed(0, merge(2, "Freedom", "Autonomy"))]].concat();
        scene.values(&log)
    });
    added(&mut suite, &scene);
    changed(&mut suite, &scene);
    suite
}

/// One word too many, signed by whoever says it.
fn added(suite: &mut Suite, scene: &Scene) {
    let stranger = SecretKey::from_seed(&[5; 32]);
    let mut bad = |breaks: &str, entry: SignedEntry| {
        let log = [&scene.log[..], &[entry]].concat();
        suite.bad(WORDS, breaks, |values| *values = scene.values(&log));
    };
    let by_stranger = |entry| SignedEntry::sign(&stranger, scene.community.id(), entry);
    bad("a merge by somebody who is no operator", by_stranger(merge(1, "Care", "Freedom")));
    bad("a separation by somebody who is no operator", by_stranger(canonical(1, "Autonomy")));
    bad("a merge that leads back to the card", scene.signed(0, merge(1, "Care", "Autonomy")));
    bad("a merge of a card into itself", scene.signed(0, merge(1, "Care", "Care")));
    bad("what was said last, again, by another operator", scene.signed(0, canonical(2, "Freedom")));
    bad("a merge that is there, by another operator", scene.signed(0, merge(1, "Autonomy", "Care")));
    bad("a separation of a card that nobody proposed", scene.signed(0, canonical(1, "Courage")));
    bad("a merge of a card that nobody proposed", scene.signed(0, merge(1, "Courage", "Care")));
    bad("a merge into a card that nobody proposed", scene.signed(0, merge(1, "Care", "Courage")));
    bad("an old merge said again", scene.log[FIRST_WORD].clone());
    bad("a merge without a number", scene.signed(0, merge(0, "Freedom", "Autonomy")));
    bad("a merge that leaves a number out", scene.signed(0, merge(3, "Freedom", "Autonomy")));
    bad("a separation that leaves a number out", scene.signed(0, canonical(2, "Autonomy")));
    for (breaks, reason) in [("a merge without a reason", ""), ("a merge with a blank reason", " \n\t")] {
        let blank = MergeCards { card: id("Freedom"), into: id("Care"), number: 2, reason: reason.into() };
        bad(breaks, scene.signed(0, Entry::MergeCards(blank)));
    }
    let blank = CanonicalCard { card: id("Autonomy"), number: 1, reason: " ".into() };
    bad("a separation with a blank reason", scene.signed(0, Entry::Canonical(blank)));
    let forged = scene.signed(1, merge(1, "Freedom", "Care")).signature;
    bad("a word under another's signature", SignedEntry { signature: forged, ..scene.signed(0, canonical(1, "Care")) });
}

/// The log that leads to the words, otherwise.
fn changed(suite: &mut Suite, scene: &Scene) {
    let mut bad = |breaks: &str, change: &dyn Fn(&mut Vec<SignedEntry>)| {
        let mut log = scene.log.clone();
        change(&mut log);
        suite.bad(WORDS, breaks, |values| *values = scene.values(&log));
    };
    let again = |log: &mut Vec<SignedEntry>, index: usize, change: &dyn Fn(&mut Entry)| {
        let mut entry = log[index].entry.clone();
        change(&mut entry);
        log[index] = scene.signed(index % 4, entry);
    };
    bad("a card whose item is missing", &|log| {
        log.remove(CARDS);
    });
    for (breaks, from, to) in [
        ("a card with two spaces", "their options", "their  options"),
        ("a card with a character that nobody sees", "their options", "their\u{200b} options"),
        ("a card without an instruction", "Instruction: Help", "Help"),
        ("a card with a line more", "Attend to: SIGNS", "Attend to: \nAttend to: SIGNS"),
    ] {
        bad(breaks, &|log| {
            // The words name the item as it is, so that its form is all that is wrong.
            let text = card("Autonomy").text().replace(from, to);
            let item = BlobId::of(text.as_bytes());
            again(log, CARDS, &|entry| {
                if let Entry::Propose(proposal) = entry {
                    proposal.text.clone_from(&text);
                }
            });
            for index in FIRST_WORD..log.len() {
                again(log, index, &|entry| {
                    if let Entry::MergeCards(it) = entry {
                        for card in [&mut it.card, &mut it.into] {
                            *card = if *card == id("Autonomy") { item } else { *card };
                        }
                    }
                });
            }
        });
    }
    bad("cards of a poll about statements", &|log| {
        again(log, OPENING, &|entry| {
            if let Entry::Poll(opening) = entry {
                opening.kind = PollKind::Statement;
            }
        });
        let Entry::Poll(opening) = log[OPENING].entry.clone() else { return };
        for index in CARDS..FIRST_WORD {
            again(log, index, &|entry| {
                if let Entry::Propose(proposal) = entry {
                    proposal.poll = opening.id(scene.community.id());
                }
            });
        }
    });
    suite.bad(WORDS, "the founding document", |values| {
        values.edit_as("genesis", |genesis: &mut Genesis| genesis.purpose.push('!'));
    });
    suite.bad(WORDS, "encoding: bytes after the log", |values| values.edit("log", |bytes| bytes.push(0)));
}
