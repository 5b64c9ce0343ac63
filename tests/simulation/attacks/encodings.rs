//! 4: identity points, zero scalars, encodings that are not canonical, lists of the wrong length; on every path.

use chorus_crypto::{
    Scalar,
    credential::{Credential, HiddenLeaf, Leaf, Tag},
    group::{Point, PointError},
    seal::{SealPublic, SealSecret},
    sign::SecretKey,
};
use chorus_protocol::{
    audit::{self, Bundle},
    contribution::{CheckedForm, Contributor},
    ledger::RoundState,
    log::entry::{ContributionHeader, Entry, Registration, RoundKey, RoundOpening, SignedEntry},
    message::Message,
    registry::attestation::Claim,
};
use chorus_tests::{
    bundle::Corrupt,
    malice::forge::credential::Opening,
    scenario::{Play, Scenario},
};

use super::*;

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The prime of the field, little-endian: another way to write zero.
const FIELD: [u8; 32] = {
    let mut bytes = [0xFF; 32];
    (bytes[0], bytes[31]) = (0xED, 0x7F);
    bytes
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Point,
    Scalar,
}

/// Where points and scalars stand in an encoded body, found by their honest values, of which none occurs twice.
struct Places {
    bytes: Vec<u8>,
    found: Vec<(Kind, usize)>,
}

impl Places {
    fn of(body: &Body) -> Self {
        let mut places = Self { bytes: body.to_bytes(), found: Vec::new() };
        places.points(&[body.tag.into()]);
        let mut copy = body.clone();
        let content = content(&mut copy);
        places.points(&content.commitments);
        places.scalars(&content.link.response);
        places.scalars(&[content.link.blinding]);
        for fold in &content.link.folds {
            places.scalars(&fold.values);
            places.scalars(&[fold.blinding]);
        }
        places.proof(&content.proof.to_bytes(), content.proof.auxiliary.len());
        match &body.credential {
            Credential::Open(it) => {
                places.points(&[it.leaf_announcement]);
                places.points(&it.tag_announcements);
                places.scalars(&[it.secret, it.blinding]);
                places.scalars(&it.attributes);
            }
            Credential::Ring(it) => {
                let of = &it.membership.commitments;
                places.points(&[it.holder.leaf.into(), of.masks, of.digits, of.products, of.squares]);
                places.points(&of.lower);
                places.points(&[it.leaf_announcement]);
                places.points(&it.tag_announcements);
                places.scalars(&it.membership.digits);
                let of = &it.membership;
                places.scalars(&[of.digit_blinding, of.product_blinding, of.blinding, it.secret, it.blinding]);
                places.scalars(&it.attributes);
            }
            _ => panic!("a known credential"),
        }
        places
    }

    fn offset(&self, needle: &[u8]) -> usize {
        let mut at = (0..=self.bytes.len() - needle.len()).filter(|at| self.bytes[*at..].starts_with(needle));
        let first = at.next().expect("a part of the body");
        assert_eq!(at.next(), None, "a value that occurs once");
        first
    }

    fn points(&mut self, points: &[Point]) {
        points.iter().for_each(|point| self.found.push((Kind::Point, self.offset(point.as_bytes()))));
    }

    fn scalars(&mut self, scalars: &[Scalar]) {
        scalars.iter().for_each(|scalar| self.found.push((Kind::Scalar, self.offset(scalar.as_bytes()))));
    }

    /// Auxiliary commitments, two points for each round of the sumcheck, three points, four scalars.
    fn proof(&mut self, proof: &[u8], auxiliary: usize) {
        let start = self.offset(proof);
        let end = start + proof.len();
        let (first, rounds) = (start + 4, start + 4 + 32 * auxiliary + 4);
        self.found.extend((first..rounds - 4).step_by(32).map(|at| (Kind::Point, at)));
        self.found.extend((rounds..end - 4 * 32).step_by(32).map(|at| (Kind::Point, at)));
        self.found.extend((end - 4 * 32..end).step_by(32).map(|at| (Kind::Scalar, at)));
    }

    fn replaced(&self, at: usize, value: &[u8; 32]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[at..at + 32].copy_from_slice(value);
        bytes
    }
}

/// The same scalar, written as a number beyond the order.
fn plus_order(bytes: &[u8]) -> [u8; 32] {
    let mut carry = 0;
    core::array::from_fn(|index| {
        let sum = u16::from(bytes[index]) + u16::from(ORDER[index]) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    })
}

fn top_bit(bytes: &[u8]) -> [u8; 32] {
    let mut changed: [u8; 32] = bytes.try_into().expect("32 bytes");
    changed[31] ^= 0x80;
    changed
}

#[test]
fn attack_04_every_point_and_scalar_of_a_body_has_one_encoding_and_one_value() {
    let (town, poll) = town(4, 3, (PollKind::Value, 1));
    for level in LEVELS {
        let honest = cast(&forger(&town, poll.round, 1, level), 1);
        assert_eq!(verdict(&town, &honest), Ok(()));
        let places = Places::of(&body(&honest));
        assert!(places.found.len() > 30);
        for (kind, at) in &places.found {
            let value = &places.bytes[*at..at + 32];
            let mut one = [0; 32];
            one[0] = 1;
            let other: Vec<[u8; 32]> = match kind {
                Kind::Point => vec![[0; 32], FIELD, [0xFF; 32], one, top_bit(value)],
                Kind::Scalar => vec![[0; 32], ORDER, plus_order(value), [0xFF; 32], top_bit(value)],
            };
            for (case, other) in other.iter().enumerate() {
                let changed = Submission { body: places.replaced(*at, other), ..honest.clone() };
                let verdict = verdict(&town, &changed);
                assert!(verdict.is_err(), "{kind:?} at {at}, case {case}, {level:?}");
                if *kind == Kind::Scalar && case > 0 {
                    assert!(matches!(verdict, Err(Fault::Encoding(_))), "scalar at {at}, case {case}: {verdict:?}");
                }
            }
        }
    }
}

const IDENTITY: PointError = PointError::Identity;

#[test]
fn attack_04_the_identity_is_neither_tag_nor_leaf() {
    let (town, poll) = town(1, 3, (PollKind::Value, 1));
    let honest = body(&cast(&forger(&town, poll.round, 0, Level::Anonymous), 1));
    let submission = cast(&forger(&town, poll.round, 0, Level::Anonymous), 1);
    let identity = |what| Err(Fault::Credential(CredentialError::Point { what, error: IDENTITY }));
    let alone = |body: &Body| {
        // The credential alone, after a content that would hold.
        let form = CheckedForm::new(&town.ledger, &body.to_bytes())?;
        let mut batch = chorus_crypto::batch::Batch::new(&[1; 32]);
        form.add_equations(&town.ledger, &mut batch).map(drop)
    };
    assert_eq!(alone(&honest), Ok(()));

    let nobody = Body { tag: Tag::from(Point::from([0; 32])), ..honest.clone() };
    assert_eq!(alone(&nobody), identity("tag"));
    assert!(verdict(&town, &with(&submission, &nobody)).is_err());
    let mut hidden = honest;
    if let Credential::Ring(ring) = &mut hidden.credential {
        ring.holder = HiddenLeaf { leaf: Leaf::from(Point::from([0; 32])), ..ring.holder };
    }
    assert_eq!(alone(&hidden), identity("leaf"));
    assert!(verdict(&town, &with(&submission, &hidden)).is_err());
}

/// The entry that registers a key with a leaf, of which nothing needs to hold.
fn registration(town: &Town, key: &SecretKey, leaf: Leaf, opening: &Opening) -> SignedEntry {
    let community = town.community.id();
    let claim = Claim { key: key.public(), leaf, slots: 0, recovers: None };
    let attestations = vec![town.community.attestation(&town.community.attesters[0], claim)];
    let context = Registration::opening_context(community, &claim);
    let opening = opening.prove_opening(&leaf, &context, &Registration::zero_slots(0), &mut rng(5));
    SignedEntry::sign(key, community, Entry::Register(Registration { claim, opening, attestations }))
}

#[test]
fn attack_04_a_leaf_with_a_secret_of_zero_has_no_tag() {
    let mut town = Town::new(Community::new(3, 1, 3, Policy::default()), 3);
    town.register_all();
    let nothing = [Scalar::ZERO; 4];
    let opening = Opening { secret: Scalar::ZERO, attributes: nothing, blinding: Scalar::from(8u8) };
    let key = SecretKey::random(&mut rng(2));
    let identity = Opening { blinding: Scalar::ZERO, ..opening };
    let refused = town.ledger.apply(&registration(&town, &key, identity.leaf(), &identity));
    let expected = CredentialError::Point { what: "leaf", error: IDENTITY };
    assert_eq!(refused, Err(Fault::Credential(expected)), "the identity as a leaf");

    // A hiding leaf does not show that its secret is zero; its holder can say nothing, to everybody's surprise but ours.
    let entry = registration(&town, &key, opening.leaf(), &opening);
    assert_eq!(town.ledger.apply(&entry), Ok(()));
    let poll = town.community.poll(PollKind::Value, 1, 60_000);
    town.open(&poll).expect("honest entries");

    for level in LEVELS {
        let honest = forger(&town, poll.round, 0, level);
        assert_eq!(verdict(&town, &cast(&honest, 1)), Ok(()));
        let nobody = Forger { opening, leaf: opening.leaf(), ..honest };
        let no_tag = CredentialError::Point { what: "tag", error: IDENTITY };
        assert_eq!(verdict(&town, &cast(&nobody, 1)), Err(Fault::Credential(no_tag)), "{level:?}");
    }
}

/// Every way to write a point of small order on Curve25519 and its twist.
fn small_order_keys() -> Vec<[u8; 32]> {
    let number = |low: u8| {
        let mut bytes = [0; 32];
        bytes[0] = low;
        bytes
    };
    let near_field = |low: u8| {
        let mut bytes = FIELD;
        bytes[0] = low;
        bytes
    };
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let hex = |text: &str| {
        core::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).expect("hexadecimal"))
    };
    let low = [number(0), number(1), near_field(0xEC), near_field(0xED), near_field(0xEE)];
    let points: Vec<[u8; 32]> = low.into_iter().chain(order_8.map(hex)).collect();
    let high = points.iter().map(|point| top_bit(point)).collect::<Vec<_>>();
    [points, high].concat()
}

#[test]
fn attack_04_an_operators_round_key_of_small_order_is_refused_and_stops_nobody() {
    let mut town = Town::new(Community::new(3, 4, 3, Policy::default()), 3);
    town.register_all();
    let poll = town.community.poll(PollKind::Value, 1, 60_000);
    let operators = town.community.operators.clone();
    let before = [poll.opening.clone()].into_iter().chain(poll.proposals.clone()).chain([poll.plan.clone()]);
    before.into_iter().for_each(|entry| town.say(&operators[0], entry).expect("an honest entry"));
    let offer = |key| Entry::RoundKey(RoundKey { round: poll.round, key });
    for bytes in small_order_keys() {
        let key = SealPublic::from(bytes);
        let sealed = chorus_crypto::seal::seal(&key, b"", b"seed", &mut rng(1));
        assert!(sealed.is_err(), "nothing is sealed to {bytes:02x?}");
        let refused = town.say(&operators[3], offer(key));
        assert_eq!(refused, Err(Fault::Mismatch("a round key")), "{bytes:02x?}");
    }

    let keys: Vec<SealSecret> = (0..3).map(|seed| SealSecret::random(&mut rng(seed))).collect();
    for (operator, key) in operators.iter().zip(&keys) {
        town.say(operator, offer(key.public())).expect("an honest key");
    }
    town.pass(1);
    town.pass(10_000);
    let public: Vec<_> = keys.iter().map(|key| Some(key.public())).chain([None]).collect();
    let snapshot = town.ledger.snapshot(poll.round, &public).root();
    let opening = RoundOpening { round: poll.round, keys: public, snapshot };
    town.say(&operators[0], Entry::Open(opening)).expect("three keys suffice");
    let honest = cast(&forger(&town, poll.round, 0, Level::Anonymous), 1);
    assert!(town.submit(&honest).is_ok());
}

type Length = (&'static str, fn(&mut Body));

fn longer<T: Clone>(list: &mut Vec<T>) {
    list.extend(list.last().cloned());
}

macro_rules! lengths {
    ($($what:literal => |$body:ident| $list:expr),* $(,)?) => {
        vec![$(
            ($what, (|$body: &mut Body| { $list.pop(); }) as fn(&mut Body)),
            ($what, (|$body: &mut Body| longer($list)) as fn(&mut Body)),
            ($what, (|$body: &mut Body| $list.clear()) as fn(&mut Body)),
        )*]
    };
}

fn open(body: &mut Body) -> &mut chorus_crypto::credential::OpenCredential {
    match &mut body.credential {
        Credential::Open(it) => it,
        _ => panic!("an open credential"),
    }
}

fn hidden(body: &mut Body) -> &mut chorus_crypto::credential::RingCredential {
    match &mut body.credential {
        Credential::Ring(it) => it,
        _ => panic!("a ring credential"),
    }
}

#[test]
fn attack_04_no_list_of_a_body_has_another_length() {
    let (town, poll) = town(4, 3, (PollKind::Statement, 2));
    let of_content: Vec<Length> = lengths! {
        "commitments" => |body| &mut content(body).commitments,
        "seed digests" => |body| &mut content(body).seed_digests,
        "the link's response" => |body| &mut content(body).link.response,
        "the link's folds" => |body| &mut content(body).link.folds,
        "a fold" => |body| &mut content(body).link.folds[1].values,
        "auxiliary rows" => |body| &mut content(body).proof.auxiliary,
    };
    let of_open: Vec<Length> = lengths! {
        "tags announced" => |body| &mut open(body).tag_announcements,
        "hidden slots" => |body| &mut open(body).attributes,
    };
    let of_ring: Vec<Length> = lengths! {
        "tags announced" => |body| &mut hidden(body).tag_announcements,
        "hidden slots" => |body| &mut hidden(body).attributes,
        "digits" => |body| &mut hidden(body).membership.digits,
        "lower powers" => |body| &mut hidden(body).membership.commitments.lower,
    };
    for (level, of_credential) in LEVELS.into_iter().zip([of_open, of_ring]) {
        let honest = cast(&forger(&town, poll.round, 1, level), 1);
        assert_eq!(verdict(&town, &honest), Ok(()));
        for (what, change) in of_content.iter().chain(&of_credential) {
            let mut changed = body(&honest);
            change(&mut changed);
            let verdict = verdict(&town, &with(&honest, &changed));
            assert!(verdict.is_err(), "{what}, {level:?}");
        }
        rounds(&town, &honest, level);
        private_lists(&town, &honest, level);
    }
}

/// One round of the sumcheck more, and one less: its list is inside the ballot proof.
fn rounds(town: &Town, honest: &Submission, level: Level) {
    let mut copy = body(honest);
    let proof = &content(&mut copy).proof;
    let (bytes, auxiliary) = (proof.to_bytes(), proof.auxiliary.len());
    let at = Places::of(&body(honest)).offset(&bytes) + 4 + 32 * auxiliary;
    for more in [false, true] {
        let mut changed = honest.body.clone();
        let count = changed[at + 3];
        if more {
            let round: Vec<u8> = changed[at + 4..at + 4 + 64].to_vec();
            changed.splice(at + 4..at + 4, round);
            changed[at + 3] = count + 1;
        } else {
            changed.drain(at + 4..at + 4 + 64);
            changed[at + 3] = count - 1;
        }
        let changed = Submission { body: changed, ..honest.clone() };
        let verdict = verdict(town, &changed);
        assert!(matches!(verdict, Err(Fault::Ballot(_))), "rounds, {more}, {level:?}: {verdict:?}");
    }
}

/// What operators alone see.
fn private_lists(town: &Town, honest: &Submission, level: Level) {
    let changes: [fn(&mut Submission); 5] = [
        |it| longer(&mut it.masked),
        |it| it.masked.clear(),
        |it| longer(&mut it.boxes),
        |it| it.boxes.clear(),
        |it| it.boxes[0] = None,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = honest.clone();
        change(&mut changed);
        let verdicts = town.check_private(&changed).expect("the public part holds");
        assert!(verdicts.iter().all(Result::is_err), "{number}, {level:?}");
    }
}

#[test]
fn attack_04_nothing_is_carried_in_a_withdrawal() {
    let (town, poll) = town(4, 3, (PollKind::Value, 2));
    let ballot = cast(&forger(&town, poll.round, 0, Level::Anonymous), 1);
    let contributor = Contributor::anonymous(&town.community.people[0].leaf);
    let withdrawal =
        contributor.withdraw(&town.ledger, town.round(poll.round), &mut rng(2)).expect("a member may withdraw");

    assert_eq!(town.check_private(&withdrawal), Ok(vec![Ok(()); 4]));
    for (masked, boxes) in [(ballot.masked, Vec::new()), (Vec::new(), ballot.boxes)] {
        let laden = Submission { masked, boxes, ..withdrawal.clone() };
        assert_eq!(town.check_private(&laden), Ok(vec![Err(Fault::Mismatch("a withdrawal's masks")); 4]));
    }
}

/// Bodies that are refused for their encoding, all of one tag or of none.
fn malformed(town: &(impl Fn(Level) -> Submission + ?Sized)) -> Vec<Submission> {
    let mut malformed = Vec::new();
    for level in LEVELS {
        let honest = town(level);
        let places = Places::of(&body(&honest));
        let of = |kind| places.found.iter().filter(move |(of, _)| *of == kind).map(|(_, at)| *at);
        let value = |at: usize| &places.bytes[at..at + 32];
        let points = of(Kind::Point).step_by(4).map(|at| places.replaced(at, &[0; 32]));
        let scalars = of(Kind::Scalar).step_by(4).map(|at| places.replaced(at, &plus_order(value(at))));
        let last = of(Kind::Scalar).next_back().map(|at| places.replaced(at, &[0; 32]));
        let bodies = points.chain(scalars).chain(last);
        malformed.extend(bodies.map(|body| Submission { body, ..honest.clone() }));
        let mut short = body(&honest);
        content(&mut short).link.folds.clear();
        malformed.push(with(&honest, &short));
    }
    malformed
}

fn small(operators: usize) -> Play {
    let policy = Policy { min_contributions: 2, floor: 2, group_floor: 4, ..Policy::default() };
    let scenario =
        Scenario { operators, people: 4, followers: 1, items: 1, kind: PollKind::Value, policy, ..Scenario::default() };
    scenario.start()
}

/// What a member's forger casts in the round as it stands.
fn forged(play: &Play, person: usize, level: Level) -> Submission {
    let ledger = play.network.peer(0).ledger();
    let round = &ledger.rounds()[&play.poll.round];
    cast(&Forger::new(ledger, round, &play.community.people[person].leaf, level), 1)
}

#[test]
fn attack_04_no_operator_acknowledges_a_malformed_body_and_no_verifier_accepts_it() {
    let mut play = small(4);
    assert!(play.open(), "{:?}", play.network.notices);
    let community = play.community.id();
    let bad = malformed(&|level| forged(&play, 0, level));
    for submission in &bad {
        (0..4).for_each(|host| {
            play.network.deliver(host, 4, Message::Submission(submission.clone()).seal(community));
        });
    }
    play.network.run_until(2_000, |_| false);
    for host in 0..4 {
        let (_, private) = play.network.disk(host);
        assert!(private.is_empty(), "operator {host} keeps something malformed");
    }
    assert!(play.round().expect("a round").contributions.is_empty());

    play.vote_all();
    assert!(play.wait(RoundState::Sealed, 60_000));
    play.finish().unwrap_or_else(|| panic!("a result: {:?}", play.network.notices));
    assert_eq!(play.round().and_then(|round| round.sealed.as_ref()).map(|sealed| sealed.contributions.len()), Some(4));
    let erased = |play: &Play| play.round().is_some_and(|round| round.erased.len() == 4);
    play.network.run_until(10_000, |_| false);
    assert!(erased(&play));
    audited(&play, &bad);
}

/// All operators together put malformed bodies on the log, with as true headers as they admit.
fn audited(play: &Play, bad: &[Submission]) {
    let bytes = play.bundle(0);
    let verify = |bytes: &[u8]| audit::verify(&mut &bytes[..], &mut |_| {});
    assert!(verify(&bytes).is_ok());
    let bundle = Bundle::from_bytes(&bytes).expect("what was written reads back");
    let corrupt = Corrupt::new(&play.community, &bundle);
    assert!(verify(&corrupt.bundle()).is_ok(), "signed anew without a change");
    let ledger = corrupt.ledger();
    let scope = ledger.rounds()[&play.poll.round].manifest.as_ref().expect("open").scope;
    let tag = play.community.people[0].leaf.tag(&scope);
    for (number, submission) in bad.iter().enumerate() {
        let mut log = corrupt.clone();
        let of_person = |entry: &mut SignedEntry| match &mut entry.entry {
            Entry::Contribution(it) if it.header.tag == tag => Some(it.header.clone()),
            _ => None,
        };
        let header = log.entries().find_map(of_person).expect("a contribution");
        let form = CheckedForm::new(&ledger, &submission.body).ok();
        let true_header = form.map(|form| form.header).filter(|header| header.tag == tag);
        let named = ContributionHeader { body: log.keep(submission.body.clone()), ..true_header.unwrap_or(header) };
        let accepted = log.acknowledge(named);
        for entry in log.entries() {
            match &mut entry.entry {
                Entry::Contribution(it) if it.header.tag == tag => *it = accepted.clone(),
                _ => {}
            }
        }
        let code = verify(&log.bundle()).map_err(|error| error.exit_code()).map(drop);
        assert!(matches!(code, Err(20 | 22 | 23)), "malformed body {number}: {code:?}");
    }
}
