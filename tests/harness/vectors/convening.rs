//! A divided round: who runs the cohorts, the lots that deal members to them, and one cohort's certified result.
//!
//! Leaf i is the hash of i, as in the suite of cohorts of a ring.

use chorus_crypto::{
    codec::Encode as _,
    credential::Leaf,
    group::Point,
    hash::{self, Digest},
    sign::{PublicKey, SecretKey, Signature},
};
use chorus_protocol::{
    cohort::{CohortPlan, CohortResult, Convening, Origin, Sums, beacon, commitment, deal, lot},
    config::{Genesis, Policy},
    deliberation::tally::Tally,
    id::{BlobId, CommunityId},
    log::entry::{BallotPlan, Entry, PollKind, PollOpening, RoundPlan, RoundResult, SignedEntry, Subject},
};

use super::{Refused, Seq, Suite, Values, require, shorten};
use crate::community::Community;

const THREE: &str = "three cohorts, of which the second has a result";
const WITHHELD: &str = "the same, where one of the operators kept its lot to itself";

const MEMBERS: u32 = 20;
const NUMBER: u16 = 1;

struct Scene {
    community: Community,
    opening: PollOpening,
    cohorts: Vec<Vec<SecretKey>>,
}

fn keys(number: u8) -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> = (0..4).map(|index| SecretKey::from_seed(&[16 * number + index; 32])).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

fn leaves(members: u32) -> Vec<Leaf> {
    let leaf = |index: u32| Leaf::from(Point::from(hash::content(&index.to_be_bytes())));
    let mut leaves: Vec<Leaf> = (0..members).map(leaf).collect();
    leaves.sort_unstable();
    leaves
}

fn digests(cohorts: &[Vec<Leaf>]) -> Seq<Digest> {
    Seq(cohorts.iter().map(|cohort| hash::content(&Seq(cohort.clone()).to_bytes())).collect())
}

/// The plan of a cohort's round.
fn derived(plan: &RoundPlan, opening: &PollOpening, cohort: CommunityId) -> Result<RoundPlan, Refused> {
    let ballots = plan.ballots().ok_or(Refused)?;
    let ballots = BallotPlan { poll: opening.id(cohort), number: 1, items: ballots.items.clone() };
    Ok(RoundPlan { subject: Subject::Ballots(ballots), ..plan.clone() })
}

impl Scene {
    fn new() -> Self {
        let opening =
            PollOpening { kind: PollKind::Statement, question: "What should it do?".into(), context: "é".into() };
        Self { community: Community::new(13, 4, 0, Policy::default()), opening, cohorts: (1..4).map(keys).collect() }
    }

    fn convening(&self) -> Convening {
        let items = vec![BlobId::of(b"Be brief"), BlobId::of(b"Be kind")];
        let poll = self.opening.id(self.community.id());
        let plan = RoundPlan {
            subject: Subject::Ballots(BallotPlan { poll, number: 3, items }),
            duration_millis: 60_000,
            key_grace_millis: 5_000,
            classes: None,
        };
        let cohort = |keys: &Vec<SecretKey>| CohortPlan {
            operators: keys.iter().map(SecretKey::public).collect(),
            divides: false,
        };
        let cohorts = self.cohorts.iter().map(cohort).collect();
        Convening { plan, cohorts, wait_millis: 3_600_000, most_missing: 7 }
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums { contributions: 5, unopened: 1, ..Sums::none(2) };
        sums.totals.items[0] = Tally { agree: 3, disagree: 1, pass: 1 };
        sums.totals.items[1] = Tally { agree: 0, disagree: 2, pass: 0 };
        sums
    }

    fn cohort(&self, convening: &Convening, number: u16) -> CommunityId {
        let parent = self.community.id();
        let (round, convening) = (convening.plan.id(parent), convening.digest(parent));
        Origin { parent, round, convening, number }.community()
    }

    fn result(&self, convening: &Convening, signers: &[usize], sums: Sums) -> CohortResult {
        let cohort = self.cohort(convening, NUMBER);
        let plan = derived(&convening.plan, &self.opening, cohort).expect("a round of ballots");
        let result = RoundResult { round: plan.id(cohort), result: BlobId::of(b"report"), follows: Some(sums.id()) };
        let sign = |index: &usize| {
            let entry = Entry::Result(result.clone());
            let signature = SignedEntry::sign(&self.cohorts[usize::from(NUMBER)][*index], cohort, entry).signature;
            (u8::try_from(index + 1).expect("few operators"), signature)
        };
        let signatures: Vec<(u8, Signature)> = signers.iter().map(sign).collect();
        CohortResult { round: convening.plan.id(self.community.id()), number: NUMBER, result, signatures, sums }
    }

    /// The values of a round dealt out by the lots of some operators.
    fn values(&self, convening: &Convening, shown: &[u8], result: &CohortResult) -> Values {
        let digest = convening.digest(self.community.id());
        let key = |operator: u8| &self.community.operators[usize::from(operator - 1)];
        let own = |operator: u8| lot(key(operator), &digest);
        let committed = |operator: u8| (operator, commitment(&digest, key(operator).public(), &own(operator)));
        let lots: Vec<(u8, Digest)> = shown.iter().map(|operator| (*operator, own(*operator))).collect();
        let beacon = beacon(&digest, lots.iter().map(|(operator, lot)| (operator, lot)));
        let dealt = deal(&leaves(MEMBERS), beacon, convening.cohorts.len());
        Values::default()
            .encoded("genesis", &self.community.genesis)
            .encoded("opening", &self.opening)
            .encoded("convening", convening)
            .encoded("commitments", &Seq((1..=4).map(committed).collect()))
            .encoded("lots", &Seq(lots))
            .plain("members", MEMBERS)
            .encoded("beacon", &beacon)
            .encoded("cohorts", &digests(&dealt))
            .encoded("result", result)
    }
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let genesis: Genesis = values.decode("genesis")?;
    genesis.validate()?;
    let (parent, charter) = (genesis.id(), genesis.charter());
    let opening: PollOpening = values.decode("opening")?;
    let convening: Convening = values.decode("convening")?;
    convening.validate(&charter)?;
    require(convening.plan.ballots().is_some_and(|plan| plan.poll == opening.id(parent)))?;
    let digest = convening.digest(parent);

    let Seq(commitments) = values.decode::<Seq<(u8, Digest)>>("commitments")?;
    let Seq(lots) = values.decode::<Seq<(u8, Digest)>>("lots")?;
    for list in [&commitments, &lots] {
        require(list.is_sorted_by(|(a, _), (b, _)| a < b))?;
    }
    require(commitments.len() >= charter.quorum())?;
    require(lots.len() >= charter.quorum() - usize::from(charter.faulty()))?;
    for (operator, lot) in &lots {
        let key: PublicKey = *charter.operator_key(*operator).ok_or(Refused)?;
        require(commitments.contains(&(*operator, commitment(&digest, key, lot))))?;
    }
    let beacon = beacon(&digest, lots.iter().map(|(operator, lot)| (operator, lot)));
    require(beacon == values.decode::<Digest>("beacon")?)?;
    let dealt = deal(&leaves(values.number("members")), beacon, convening.cohorts.len());
    require(digests(&dealt).to_bytes() == values.bytes("cohorts"))?;

    let result: CohortResult = values.decode("result")?;
    require(result.round == convening.plan.id(parent))?;
    let number = usize::from(result.number);
    let plan = convening.cohorts.get(number).ok_or(Refused)?;
    let origin = Origin { parent, round: result.round, convening: digest, number: result.number };
    let cohort = origin.community();
    require(result.result.round == derived(&convening.plan, &opening, cohort)?.id(cohort))?;
    result.sums.check(dealt.get(number).map_or(0, Vec::len), convening.plan.items().len())?;
    Ok(result.verify(cohort, &plan.charter(&charter))?)
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let scene = Scene::new();
    let convening = scene.convening();
    let result = scene.result(&convening, &[0, 1, 3], scene.sums());
    suite.good(THREE, scene.values(&convening, &[1, 2, 3, 4], &result));
    suite.good(WITHHELD, scene.values(&convening, &[1, 2, 4], &result));
    convenings(&mut suite, &scene);
    lots(&mut suite);
    results(&mut suite, &scene, &convening);
    suite
}

/// Convenings that are against the rules, each with everything that would follow from it.
fn convenings(suite: &mut Suite, scene: &Scene) {
    let mut bad = |breaks: &str, change: &dyn Fn(&mut Convening)| {
        let mut convening = scene.convening();
        change(&mut convening);
        let result = scene.result(&convening, &[0, 1, 3], scene.sums());
        suite.bad(THREE, breaks, |values| *values = scene.values(&convening, &[1, 2, 3, 4], &result));
    };
    bad("three operators in a cohort", &|it| shorten(&mut it.cohorts[0].operators));
    bad("an operator alone in a cohort", &|it| it.cohorts[0].operators.truncate(1));
    bad("operators of a cohort in another order", &|it| it.cohorts[0].operators.swap(0, 1));
    bad("an operator of a cohort twice", &|it| it.cohorts[0].operators[1] = it.cohorts[0].operators[0]);
    bad("a round with classes", &|it| {
        let source = chorus_protocol::log::entry::ClassSource::Attribute(0);
        it.plan.classes = Some(chorus_protocol::log::entry::ClassPlan { source, weights: vec![1] });
    });
    let changed = |change: fn(&mut Convening)| {
        move |values: &mut Values| values.edit_as("convening", |convening: &mut Convening| change(convening))
    };
    suite.bad(THREE, "how long results are awaited", changed(|it| it.wait_millis += 1));
    suite.bad(THREE, "how many may be missing", changed(|it| it.most_missing += 1));
    suite.bad(THREE, "a cohort that divides the round again", changed(|it| it.cohorts[2].divides = true));
    suite.bad(THREE, "a cohort too few", changed(|it| shorten(&mut it.cohorts)));
    suite.bad(THREE, "another question", |values| {
        values.edit_as("opening", |opening: &mut PollOpening| opening.question.push('?'));
    });
    suite.bad(THREE, "encoding: bytes after the convening", |values| values.edit("convening", |bytes| bytes.push(0)));
}

fn lots(suite: &mut Suite) {
    let changed = |name: &'static str, change: fn(&mut Vec<(u8, Digest)>)| {
        move |values: &mut Values| values.edit_as(name, |list: &mut Seq<(u8, Digest)>| change(&mut list.0))
    };
    suite.bad(THREE, "a lot", changed("lots", |lots| lots[2].1[0] ^= 1));
    suite.bad(THREE, "a lot that is left out", changed("lots", shorten));
    suite.bad(THREE, "lots in another order", changed("lots", |lots| lots.swap(0, 1)));
    suite.bad(THREE, "one lot alone", changed("lots", |lots| lots.truncate(1)));
    suite.bad(WITHHELD, "a lot without its commitment", changed("commitments", shorten));
    suite.bad(
        THREE,
        "two commitments exchanged",
        changed("commitments", |list| {
            let one = list[0].1;
            list[0].1 = list[1].1;
            list[1].1 = one;
        }),
    );
    suite.bad(THREE, "too few commitments", changed("commitments", |list| list.truncate(2)));
    suite.bad(THREE, "the beacon", |values| values.edit("beacon", |beacon| beacon[31] ^= 1));
    suite.bad(THREE, "the members of a cohort", |values| values.edit("cohorts", |bytes| bytes[40] ^= 1));
    suite.bad(THREE, "one member more", |values| *values = values.clone().plain("members", MEMBERS + 1));
}

fn results(suite: &mut Suite, scene: &Scene, convening: &Convening) {
    let good = scene.result(convening, &[0, 1, 3], scene.sums());
    let mut bad = |breaks: &str, result: CohortResult| {
        suite.bad(THREE, breaks, |values| *values = values.clone().encoded("result", &result));
    };
    bad("signatures of two operators", scene.result(convening, &[0, 1], scene.sums()));
    bad("one signature twice", scene.result(convening, &[0, 1, 1], scene.sums()));
    bad("signatures in another order", scene.result(convening, &[1, 0, 3], scene.sums()));
    let with = |change: &dyn Fn(&mut CohortResult)| {
        let mut result = good.clone();
        change(&mut result);
        result
    };
    bad("the signature of another operator", with(&|it| it.signatures[0].1 = it.signatures[1].1));
    bad("a signature of nobody", with(&|it| it.signatures[2].0 = 5));
    bad("another cohort", with(&|it| it.number = 2));
    bad("a cohort that there is not", with(&|it| it.number = 3));
    bad("another round of the parent", with(&|it| it.round = [1; 32].into()));
    bad("another round of the cohort", with(&|it| it.result.round = [1; 32].into()));
    bad("another report", with(&|it| it.result.result = BlobId::of(b"another")));
    bad("other sums than those stated", with(&|it| it.sums.unopened = 0));
    bad("nothing that follows", with(&|it| it.result.follows = None));
    let mut later = scene.convening();
    later.wait_millis += 1;
    bad("a result of another convening", scene.result(&later, &[0, 1, 3], scene.sums()));
    let of = |change: &dyn Fn(&mut Sums)| {
        let mut sums = scene.sums();
        change(&mut sums);
        scene.result(convening, &[0, 1, 3], sums)
    };
    bad("more people than members", of(&|sums| sums.missing = 2));
    bad("so many people that they overflow", of(&|sums| sums.unopened = u64::MAX));
    bad("more votes than contributions", of(&|sums| sums.totals.items[1].pass = 4));
    bad("so many votes that they overflow", of(&|sums| sums.totals.items[1].pass = u64::MAX));
    bad("sums of fewer items", of(&|sums| shorten(&mut sums.totals.items)));
    suite.bad(THREE, "encoding: a result cut short", |values| values.edit("result", shorten));
    suite.bad(THREE, "encoding: bytes after the result", |values| values.edit("result", |bytes| bytes.push(0)));
}
