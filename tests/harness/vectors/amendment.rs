//! An operator's consent to an amendment: the founding document, the consent, and the result of the members' vote.
//!
//! Of the log, only its height counts here: that the round came to this result is what a bundle is checked for.

use chorus_crypto::{
    codec::Encode as _,
    sign::{PublicKey, SecretKey},
};
use chorus_protocol::{
    charter::{Amendment, Charter, ClassWeights, Consent, Draft, check_vote},
    config::{Attribute, Genesis, Policy},
    deliberation::tally::{Tally, Totals},
    fault::Fault,
    id::{BlobId, RoundId, SetId},
    ledger::Ledger,
    log::{
        batch::Height,
        entry::{Entry, SignedEntry},
    },
    registry::policy::{Admission, Attester, Quorum},
    round::report::{Outcome, RoundReport},
};

use super::{Refused, Suite, Values, require};
use crate::community::Community;

const REPLACED: &str = "an operator replaced by another, carried by exactly two thirds";
const RULES: &str = "other rules, one attester more, an attribute with weights";
const SEVEN: &str = "three operators more";

const HEIGHT: u64 = 20;

struct Scene {
    community: Community,
}

/// What is consented to, and how the vote went.
#[derive(Clone)]
struct Case {
    draft: Draft,
    effective: u64,
    tally: Tally,
}

fn key(number: u8) -> PublicKey {
    SecretKey::from_seed(&[number; 32]).public()
}

fn attribute() -> Attribute {
    Attribute::new("region", &["north", "south"])
}

impl Scene {
    fn new() -> Self {
        let policy = Policy { attributes: vec![attribute()], ..Policy::default() };
        Self { community: Community::new(11, 4, 1, policy) }
    }

    /// The case of another charter, carried as narrowly as can be.
    fn case(&self, change: impl FnOnce(&mut Charter)) -> Case {
        let mut charter = self.community.genesis.charter();
        change(&mut charter);
        charter.operators.sort_unstable();
        charter.attesters.sort_unstable();
        let tally = Tally { agree: 8, disagree: 4, pass: 1 };
        Case { draft: Draft { number: 1, charter }, effective: HEIGHT + 2, tally }
    }

    fn values(&self, case: &Case) -> Values {
        self.values_of(case, |_, _| {}, |_| {})
    }

    fn values_of(
        &self,
        case: &Case,
        consent: impl FnOnce(&mut Amendment, &mut u8),
        report: impl FnOnce(&mut RoundReport),
    ) -> Values {
        let (community, round) = (self.community.id(), RoundId::from([7; 32]));
        let item = case.draft.item(&self.community.genesis.charter());
        let other = Tally { agree: 13, disagree: 0, pass: 0 };
        let mut result = RoundReport {
            community,
            poll: [6; 32].into(),
            round,
            set: SetId::from([5; 32]),
            ballots: 13,
            items: vec![BlobId::from([4; 32]), item],
            outcome: Outcome::Totals { totals: Totals { items: vec![other, case.tally] } },
        };
        report(&mut result);
        let mut said = Amendment { draft: case.draft.clone(), round, effective: Height(case.effective) };
        let mut number = 1;
        consent(&mut said, &mut number);
        let entry = Entry::Amend(Box::new(Consent { amendment: said, number }));
        let entry = SignedEntry::sign(&self.community.operators[2], community, entry);
        Values::default()
            .encoded("genesis", &self.community.genesis)
            .plain("height", HEIGHT)
            .encoded("consent", &entry)
            .encoded("report", &result)
    }
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let genesis: Genesis = values.decode("genesis")?;
    genesis.validate()?;
    let mut ledger = Ledger::new(genesis);
    ledger.complete(Height(values.number("height")));
    let consent: SignedEntry = values.decode("consent")?;
    consent.verify(ledger.community())?;
    require(ledger.charter().operator(&consent.author).is_some())?;
    let Entry::Amend(said) = &consent.entry else { return Err(Refused) };
    let Consent { amendment, number } = said.as_ref();
    // Nothing was said before.
    require(*number == 1)?;
    // The round is on no log here; it is the last that is looked for.
    match ledger.check_amendment(amendment) {
        Err(Fault::Unknown("round")) => {}
        other => other?,
    }
    let report: RoundReport = values.decode("report")?;
    require(report.community == ledger.community() && report.round == amendment.round)?;
    check_vote(&report, amendment.draft.item(ledger.charter()), &ledger.charter().policy)?;
    Ok(())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let scene = Scene::new();
    let replaced = scene.case(|charter| charter.operators[1] = key(1));
    let rules = scene.case(|charter| {
        charter.attesters.push(Attester { key: key(2), organisation: "Library é".into() });
        charter.policy.admission = Admission::Quorum(Quorum::usual(2));
        charter.policy.floor = 5;
        charter.policy.bar_numerator = 8;
        charter.policy.veto_millis += 1;
        charter.policy.attributes[0].values.push(chorus_protocol::config::Name { text: "east".into() });
        charter.weights = vec![ClassWeights { slot: 0, weights: vec![1, 2, 1, 1_000_000] }];
    });
    let seven = scene.case(|charter| charter.operators.extend([key(3), key(4), key(5)]));
    for (name, case) in [(REPLACED, &replaced), (RULES, &rules), (SEVEN, &seven)] {
        suite.good(name, scene.values(case));
    }
    consents(&mut suite, &scene, &replaced);
    votes(&mut suite, &scene, &replaced);
    charters(&mut suite, &scene, &rules);
    signatures(&mut suite, &scene, &replaced);
    suite
}

fn consents(suite: &mut Suite, scene: &Scene, case: &Case) {
    let mut bad = |breaks: &str, change: fn(&mut Amendment)| {
        suite.bad(REPLACED, breaks, |values| *values = scene.values_of(case, |it, _| change(it), |_| {}));
    };
    bad("a height that is being decided", |amendment| amendment.effective = Height(HEIGHT + 1));
    bad("a height too far ahead", |amendment| amendment.effective = Height(HEIGHT + 1 + 4_097));
    bad("another round than the one with the result", |amendment| amendment.round = RoundId::from([8; 32]));
    bad("another draft than members voted on", |amendment| amendment.draft.charter.policy.min_seen += 1);
    let of_number = |number| {
        let mut draft = case.draft.clone();
        draft.number = number;
        scene.values(&Case { draft, ..case.clone() })
    };
    for number in [0, 2] {
        suite.bad(REPLACED, format!("amendment {number} in place of 1"), |values| *values = of_number(number));
    }
}

fn votes(suite: &mut Suite, scene: &Scene, case: &Case) {
    let mut bad = |breaks: &str, change: &dyn Fn(&mut RoundReport)| {
        suite.bad(REPLACED, breaks, |values| *values = scene.values_of(case, |_, _| {}, change));
    };
    bad("a result of another community", &|report| report.community = [1; 32].into());
    bad("a result of a round that did not ask", &|report| report.items.truncate(1));
    bad("a result without totals", &|report| report.outcome = Outcome::TooFew);
    bad("totals of fewer items", &|report| {
        if let Outcome::Totals { totals } = &mut report.outcome {
            totals.items.truncate(1);
        }
    });
    for (breaks, agree, disagree, pass) in [
        ("one vote short of two thirds", 7, 4, 2),
        ("nobody agreed, and nobody disagreed", 0, 0, 13),
        ("too few said anything", 9, 0, 0),
        ("all disagreed", 0, 13, 0),
    ] {
        bad(breaks, &|report| {
            if let Outcome::Totals { totals } = &mut report.outcome {
                totals.items[1] = Tally { agree, disagree, pass };
            }
        });
    }
}

/// Charters that no community can have, or not this one, each with a vote for it.
fn charters(suite: &mut Suite, scene: &Scene, case: &Case) {
    let mut bad = |breaks: &str, change: fn(&mut Charter)| {
        let mut case = case.clone();
        change(&mut case.draft.charter);
        suite.bad(RULES, breaks, |values| *values = scene.values(&case));
    };
    bad("two operators", |charter| charter.operators.truncate(2));
    bad("no operator", |charter| charter.operators.clear());
    bad("operators in another order", |charter| charter.operators.swap(0, 1));
    bad("an operator twice", |charter| charter.operators[1] = charter.operators[0]);
    bad("attesters in another order", |charter| charter.attesters.swap(0, 1));
    bad("no attester", |charter| charter.attesters.clear());
    bad("a floor of one", |charter| charter.policy.floor = 1);
    bad("fewer ballots than the floor", |charter| charter.policy.min_contributions = 4);
    bad("a map for fewer than two floors", |charter| charter.policy.group_floor = 9);
    bad("a bar of nothing", |charter| charter.policy.bar_numerator = 0);
    bad("a bar of all", |charter| charter.policy.bar_numerator = 10);
    bad("a class below the floor", |charter| charter.policy.class_floor = 4);
    bad("classes shown from fewer than their floor", |charter| charter.policy.class_members = 19);
    bad("too many anonymous proposals", |charter| charter.policy.anonymous_proposals = 21);
    bad("more attestations than there are attesters", |charter| {
        charter.policy.admission = Admission::Quorum(Quorum { needed: 3, faulty: 0, per_organisation: 9 });
    });
    bad("two quorums of attesters that share nobody", |charter| {
        charter.policy.admission = Admission::Quorum(Quorum { needed: 1, faulty: 0, per_organisation: 9 });
    });
    bad("no attestation of an organisation that counts", |charter| {
        charter.policy.admission = Admission::Quorum(Quorum { needed: 2, faulty: 0, per_organisation: 0 });
    });
    bad("an attribute renamed", |charter| charter.policy.attributes[0].name = "regions".into());
    bad("an attribute's values exchanged", |charter| charter.policy.attributes[0].values.swap(0, 1));
    bad("an attribute with one value twice", |charter| {
        let again = charter.policy.attributes[0].values[0].clone();
        charter.policy.attributes[0].values[2] = again;
    });
    bad("an attribute with a blank value", |charter| charter.policy.attributes[0].values[2].text = " ".into());
    bad("an attribute that is gone", |charter| {
        charter.policy.attributes.clear();
        charter.weights.clear();
    });
    bad("a weight below that of \"other\"", |charter| charter.weights[0].weights[1] = 0);
    bad("a weight over its bound", |charter| charter.weights[0].weights[1] = 1_000_001);
    bad("a weight too few", |charter| charter.weights[0].weights.truncate(3));
    bad("weights of a slot that means nothing", |charter| charter.weights[0].slot = 1);
    bad("weights of one slot twice", |charter| charter.weights.push(charter.weights[0].clone()));
    suite.bad(REPLACED, "an amendment that changes nothing", |values| *values = scene.values(&scene.case(|_| {})));
}

fn signatures(suite: &mut Suite, scene: &Scene, case: &Case) {
    let good = scene.values(case);
    let consent: SignedEntry = good.decode("consent").expect("a good case decodes");
    let mut bad = |breaks: &str, entry: SignedEntry| {
        suite.bad(REPLACED, breaks, |values| *values = good.clone().encoded("consent", &entry));
    };
    let sign = |key: &SecretKey, entry: Entry| SignedEntry::sign(key, scene.community.id(), entry);
    bad("the consent of an operator to be", sign(&SecretKey::from_seed(&[1; 32]), consent.entry.clone()));
    bad("the consent of a member", sign(&scene.community.people[0].key, consent.entry.clone()));
    bad(
        "the signature of another operator",
        SignedEntry {
            signature: sign(&scene.community.operators[0], consent.entry.clone()).signature,
            ..consent.clone()
        },
    );
    let elsewhere = SignedEntry::sign(&scene.community.operators[2], [1; 32].into(), consent.entry.clone());
    bad("a consent in another community", elsewhere);
    suite.bad(REPLACED, "the height of the log", |values| *values = values.clone().plain("height", HEIGHT + 1));
    suite.bad(REPLACED, "the policy that the community has", |values| {
        values.edit_as("genesis", |genesis: &mut Genesis| genesis.policy.min_seen += 1);
    });
    let length = consent.to_bytes().len();
    suite.bad(REPLACED, "encoding: bytes after the consent", |values| values.edit("consent", |bytes| bytes.push(0)));
    suite.bad(REPLACED, "encoding: an entry of no kind", |values| values.edit("consent", |bytes| bytes[32] = 32));
    suite.bad(REPLACED, "encoding: a consent cut short", |values| {
        values.edit("consent", |bytes| bytes.truncate(length - 1));
    });
    suite.bad(REPLACED, "encoding: bytes after the result", |values| values.edit("report", |bytes| bytes.push(0)));
}
