//! The rules of a poll, words on its items and what is said beside them: a founding document and a log.

use chorus_crypto::sign::SecretKey;
use chorus_protocol::{
    config::Policy,
    facilitation::{AnnotatedProposal, Annotation, AnyProposal, FailingPrompt, Ground, PollRules, Verdict},
    id::{BlobId, PollId},
    limits,
    log::entry::{
        BallotPlan, Entry, Moderation, PollKind, PollOpening, Proposal, RoundPlan, SignedEntry, StatedRules, Subject,
    },
};

use super::{Refused, Seq, Suite, Values, cards};
use crate::community::Community;

const WORDS: &str = "a strict poll with items of operators and of a member, words on them, and a round";
const REJECTED: &str = "two of four reject what a round has asked";

/// The items: two of operators, one of a member, one with a topic and prompts, one about the voter.
const PLAIN: &str = "Be brief";
const MEMBERS: &str = "Ask before you guess — é";
const CITED: &str = "Say which cleaners may not be mixed";
const ABOUT_VOTER: &str = "I live in the old town";

struct Scene {
    community: Community,
    poll: PollId,
    log: Vec<SignedEntry>,
}

fn strict() -> PollRules {
    PollRules { strict: true, items_per_member: 2, characters: 60, policy: "On topic.".into() }
}

fn annotation() -> Annotation {
    let cited = FailingPrompt { prompt: "May I mix these two?".into(), failure: "It says yes.".into() };
    Annotation { topic: "Safety at home".into(), meta: false, prompts: vec![cited] }
}

fn meta() -> Annotation {
    Annotation { topic: String::new(), meta: true, prompts: Vec::new() }
}

fn id(text: &str) -> BlobId {
    BlobId::of(text.as_bytes())
}

impl Scene {
    fn new(kind: PollKind) -> Self {
        let mut community = Community::new(9, 4, 1, Policy::default());
        let opening = PollOpening { kind, question: "What should it do?".into(), context: String::new() };
        let poll = opening.id(community.id());
        let registration = community.registration(0);
        let mut scene = Self { community, poll, log: vec![registration] };
        scene.say(0, Entry::Poll(opening));
        scene
    }

    fn with_words() -> Self {
        let mut scene = Self::new(PollKind::Statement);
        scene.say(0, scene.rules(1, strict()));
        scene.say(0, scene.propose(PLAIN));
        scene.log.push(scene.by_member(scene.propose(MEMBERS)));
        scene.say(1, scene.propose_with(CITED, annotation()));
        scene.say(2, scene.propose_with(ABOUT_VOTER, meta()));
        scene.say(3, scene.word(MEMBERS, 1, Verdict::Reject));
        scene.say(1, scene.word(MEMBERS, 1, Verdict::Accept));
        scene.say(2, scene.word(PLAIN, 1, Verdict::Meta));
        scene.say(3, scene.plan(1, &[PLAIN, MEMBERS, CITED, ABOUT_VOTER]));
        scene
    }

    fn signed(&self, operator: usize, entry: Entry) -> SignedEntry {
        SignedEntry::sign(&self.community.operators[operator], self.community.id(), entry)
    }

    fn by_member(&self, entry: Entry) -> SignedEntry {
        SignedEntry::sign(&self.community.people[0].key, self.community.id(), entry)
    }

    fn say(&mut self, operator: usize, entry: Entry) {
        let entry = self.signed(operator, entry);
        self.log.push(entry);
    }

    fn rules(&self, number: u8, rules: PollRules) -> Entry {
        Entry::PollRules(StatedRules { poll: self.poll, number, rules })
    }

    fn propose(&self, text: &str) -> Entry {
        Entry::Propose(Proposal { poll: self.poll, text: text.into() })
    }

    fn propose_with(&self, text: &str, annotation: Annotation) -> Entry {
        let proposal = AnyProposal::Open(Proposal { poll: self.poll, text: text.into() });
        Entry::ProposeWith(Box::new(AnnotatedProposal { proposal, annotation }))
    }

    fn moderation(&self, text: &str, number: u8, verdict: Verdict) -> Moderation {
        let ground = (verdict == Verdict::Reject).then_some(Ground::Unclear);
        let reason = if verdict == Verdict::Accept { String::new() } else { "As the policy says.".into() };
        Moderation { poll: self.poll, item: id(text), number, verdict, ground, reason }
    }

    fn word(&self, text: &str, number: u8, verdict: Verdict) -> Entry {
        Entry::Moderate(self.moderation(text, number, verdict))
    }

    fn plan(&self, number: u32, items: &[&str]) -> Entry {
        let items = items.iter().map(|text| id(text)).collect();
        let subject = Subject::Ballots(BallotPlan { poll: self.poll, number, items });
        Entry::Plan(RoundPlan { subject, duration_millis: 60_000, key_grace_millis: 5_000, classes: None })
    }

    fn values(&self, more: &[SignedEntry]) -> Values {
        let log = [self.log.as_slice(), more].concat();
        Values::default().encoded("genesis", &self.community.genesis).encoded("log", &Seq(log))
    }
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    cards::check(values)
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let scene = Scene::with_words();
    suite.good(WORDS, scene.values(&[]));
    let mut rejected = Scene::with_words();
    rejected.say(0, rejected.word(MEMBERS, 1, Verdict::Reject));
    suite.good(REJECTED, rejected.values(&[]));
    suite.good("a rejection taken back, and a round that asks again", {
        let back = rejected.signed(3, rejected.word(MEMBERS, 2, Verdict::TakeBack));
        rejected.values(&[back, rejected.signed(0, rejected.plan(2, &[MEMBERS]))])
    });
    suite.good("wider rules that two of four state, and an item that only they admit", {
        let wide = || scene.rules(1, PollRules::default());
        let long = scene.by_member(scene.propose(&"Be kind. ".repeat(9)));
        scene.values(&[scene.signed(2, wide()), scene.signed(3, wide()), long])
    });
    words(&mut suite, &scene);
    rounds(&mut suite, &scene, &rejected);
    rules_and_items(&mut suite, &scene);
    suite
}

/// Words that must not be taken.
fn words(suite: &mut Suite, scene: &Scene) {
    let stranger = SecretKey::from_seed(&[5; 32]);
    let mut bad = |breaks: &str, entry: SignedEntry| {
        suite.bad(WORDS, breaks, |values| *values = scene.values(&[entry]));
    };
    let reject = || scene.moderation(CITED, 1, Verdict::Reject);
    let word = |word: Moderation| scene.signed(0, Entry::Moderate(word));
    bad("a word of a member", scene.by_member(Entry::Moderate(reject())));
    let outside = SignedEntry::sign(&stranger, scene.community.id(), Entry::Moderate(reject()));
    bad("a word of a stranger", outside);
    bad("a rejection without a ground", word(Moderation { ground: None, ..reject() }));
    bad("a rejection without a reason", word(Moderation { reason: " \n".into(), ..reject() }));
    bad("an acceptance with a ground", word(Moderation { verdict: Verdict::Accept, ..reject() }));
    bad("a word on an item that nobody proposed", word(Moderation { item: id("Be loud"), ..reject() }));
    bad("a word on a poll that there is not", word(Moderation { poll: PollId::ZERO, ..reject() }));
    bad("a word that leaves one out", word(Moderation { number: 2, ..reject() }));
    bad("a word without a number", word(Moderation { number: 0, ..reject() }));
    bad("an old word said again", scene.signed(3, scene.word(MEMBERS, 1, Verdict::Reject)));
    bad("the same word again", scene.signed(3, scene.word(MEMBERS, 2, Verdict::Reject)));
    bad("a word that takes nothing back", scene.signed(0, scene.word(CITED, 1, Verdict::TakeBack)));
    let forged = scene.signed(1, scene.word(CITED, 1, Verdict::Reject)).signature;
    bad("a word under another's signature", SignedEntry { signature: forged, ..word(reject()) });
    let turns = [Verdict::Accept, Verdict::Reject].into_iter().cycle();
    let many = (1..=u8::try_from(limits::MAX_WORDS_PER_ITEM + 1).expect("few")).zip(turns);
    let many: Vec<SignedEntry> = many.map(|(number, turn)| scene.signed(0, scene.word(CITED, number, turn))).collect();
    suite.bad(WORDS, "more words on one item than are kept", |values| *values = scene.values(&many));
    let amendment = Scene::new(PollKind::Amendment);
    let item = amendment.signed(0, amendment.propose(PLAIN));
    let said = amendment.signed(1, amendment.word(PLAIN, 1, Verdict::Reject));
    suite.bad(WORDS, "a word on what members are asked about the rules", |values| {
        *values = amendment.values(&[item, said]);
    });
}

/// Rounds that ask what they must not.
fn rounds(suite: &mut Suite, scene: &Scene, rejected: &Scene) {
    suite.bad(REJECTED, "a round that asks what two of four reject", |values| {
        *values = rejected.values(&[rejected.signed(0, rejected.plan(2, &[PLAIN, MEMBERS]))]);
    });
    suite.bad(WORDS, "a round that asks what no operator has accepted", |values| {
        let item = scene.by_member(scene.propose("Be kind"));
        *values = scene.values(&[item, scene.signed(0, scene.plan(2, &["Be kind"]))]);
    });
    suite.bad(WORDS, "a round that asks what its operator has taken back", |values| {
        let word = scene.signed(1, scene.word(CITED, 1, Verdict::Reject));
        *values = scene.values(&[word, scene.signed(0, scene.plan(2, &[CITED]))]);
    });
}

/// Rules and items that must not be taken.
fn rules_and_items(suite: &mut Suite, scene: &Scene) {
    let mut bad = |breaks: &str, entries: &[SignedEntry]| {
        suite.bad(WORDS, breaks, |values| *values = scene.values(entries));
    };
    let rules = |operator, number, rules| scene.signed(operator, scene.rules(number, rules));
    let usual = PollRules::default;
    bad("rules by a member", &[scene.by_member(scene.rules(1, usual()))]);
    bad("rules said again", &[rules(0, 1, strict())]);
    bad("rules that leave one out", &[rules(1, 2, usual())]);
    bad("rules for more items than any poll has", &[rules(1, 1, PollRules { items_per_member: 21, ..usual() })]);
    bad("rules for longer items than any poll has", &[rules(1, 1, PollRules { characters: 4_097, ..usual() })]);
    bad("rules for items without a character", &[rules(1, 1, PollRules { characters: 0, ..usual() })]);
    let long = || scene.by_member(scene.propose(&"Be kind. ".repeat(9)));
    bad("an item that is too long for the rules", &[long()]);
    bad("an item that is too long, as one operator alone wants other rules", &[rules(2, 1, usual()), long()]);
    bad(
        "an item too many of a member",
        &[scene.by_member(scene.propose("Be kind")), scene.by_member(scene.propose("Be calm"))],
    );
    let with = |operator, annotation| scene.signed(operator, scene.propose_with("Be kind", annotation));
    bad("nothing beside an item that has something beside it", &[with(0, Annotation::default())]);
    bad("a member's item about the voter", &[scene.by_member(scene.propose_with("Be kind", meta()))]);
    for (breaks, topic) in [
        ("a topic with two spaces", "At  home"),
        ("a topic with a space at its end", "Home "),
        ("a topic with a character that nobody sees", "Ho\u{202e}me"),
    ] {
        bad(breaks, &[with(0, Annotation { topic: topic.into(), ..annotation() })]);
    }
    let blank = FailingPrompt { prompt: " ".into(), failure: "It fails.".into() };
    bad("a blank prompt", &[with(0, Annotation { prompts: vec![blank], ..annotation() })]);
    let cited = annotation().prompts[0].clone();
    bad("a prompt too many", &[with(0, Annotation { prompts: vec![cited; limits::MAX_PROMPTS + 1], ..annotation() })]);
    bad("an item again, with other words beside it", &[scene.signed(0, scene.propose_with(PLAIN, annotation()))]);
}
