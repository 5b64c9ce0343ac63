//! Envelopes: what the outside of a message says, and what is signed inside it.

use chorus_crypto::{
    codec::Encode as _,
    credential::Tag,
    domain,
    group::Point,
    hash,
    sign::{PublicKey, SecretKey, Signature},
};
use chorus_protocol::{
    contribution::Acknowledgement,
    id::{BlobId, CommunityId, NodeId, RoundId},
    log::{batch::Height, entry::ContributionHeader},
    message::{HeightAnswer, HeightRequest, Hello, Message, Tip},
    time::Timestamp,
};

use super::{Refused, Seq, Suite, Values, link::add_order, require, shorten};

const TIP: &str = "how far a log reaches";
const QUESTION: &str = "a question for a height";
const ANSWER: &str = "the answer to it";
const HELLO: &str = "a greeting";
const SIGHTING: &str = "a greeting passed on";
const ACKNOWLEDGED: &str = "an acknowledgement of a contribution";
const WITHDRAWN: &str = "an acknowledgement of a withdrawal";

fn community() -> CommunityId {
    hash::content(b"community").into()
}

fn operator(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn values(message: &Message) -> Values {
    let mut operators: Vec<PublicKey> = (1..=4).map(|number| operator(number).public()).collect();
    operators.sort_unstable();
    let mut values = Values::default().encoded("community", &community()).encoded("operators", &Seq(operators));
    values.put("envelope", &message.seal(community()));
    values
}

fn hello() -> Hello {
    let times = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
    Hello::sign(&operator(1), community(), NodeId::from([9; 32]), times)
}

fn header(seeds: u8) -> ContributionHeader {
    ContributionHeader {
        round: RoundId::from([1; 32]),
        tag: Tag::from(Point::from([2; 32])),
        sequence: 3,
        on_map: true,
        class: 0,
        body: BlobId::of(b"body"),
        core: [5; 32],
        seed_digests: (0..seeds).map(|number| [number; 32]).collect(),
    }
}

/// An acknowledgement by the operator that stands first among the keys.
fn acknowledgement(header: ContributionHeader, of: CommunityId) -> Acknowledgement {
    let mut keys: Vec<SecretKey> = (1..=4).map(operator).collect();
    keys.sort_by_key(SecretKey::public);
    let signature = keys[0].sign(domain::ACKNOWLEDGE, &header.acknowledged_bytes(of));
    Acknowledgement { header, operator: 1, signature }
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let community: CommunityId = values.decode("community")?;
    let Seq(operators) = values.decode::<Seq<PublicKey>>("operators")?;
    match Message::open(community, &values.bytes("envelope"))? {
        Message::Hello(hello) | Message::Sighting(hello) => {
            require(operators.contains(&hello.operator))?;
            Ok(hello.verify_signature(community)?)
        }
        Message::Acknowledgement(said) => {
            let key = usize::from(said.operator).checked_sub(1).and_then(|index| operators.get(index));
            let bytes = said.header.acknowledged_bytes(community);
            Ok(key.ok_or(Refused)?.verify(domain::ACKNOWLEDGE, &bytes, &said.signature)?)
        }
        _ => Ok(()),
    }
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let height = Height(0x0102_0304);
    suite.good(TIP, values(&Message::Tip(Tip { height })));
    suite.good(QUESTION, values(&Message::HeightRequest(HeightRequest { nonce: [6; 32] })));
    suite.good(ANSWER, values(&Message::HeightAnswer(HeightAnswer { nonce: [6; 32], height })));
    suite.good(HELLO, values(&Message::Hello(hello())));
    suite.good(SIGHTING, values(&Message::Sighting(hello())));
    let said = |seeds| Message::Acknowledgement(acknowledgement(header(seeds), community()));
    suite.good(ACKNOWLEDGED, values(&said(4)));
    suite.good(WITHDRAWN, values(&said(0)));
    outsides(&mut suite);
    greetings(&mut suite);
    acknowledgements(&mut suite);
    suite
}

/// Version, community, kind, length.
fn outsides(suite: &mut Suite) {
    for of in [TIP, HELLO, ACKNOWLEDGED] {
        suite.bad(of, "the version", |values| values.edit("envelope", |bytes| bytes[0] = 2));
        suite.bad(of, "the community of the envelope", |values| values.edit("envelope", |bytes| bytes[1] ^= 1));
        suite.bad(of, "an unknown kind", |values| values.edit("envelope", |bytes| bytes[33] = 0xFF));
        suite.bad(of, "kind 0", |values| values.edit("envelope", |bytes| bytes[33] = 0));
        suite.bad(of, "encoding: a byte more", |values| values.edit("envelope", |bytes| bytes.push(0)));
        suite.bad(of, "encoding: a byte less", |values| values.edit("envelope", shorten));
    }
    suite.bad(TIP, "another kind with other fields", |values| values.edit("envelope", |bytes| bytes[33] = 14));
}

fn greetings(suite: &mut Suite) {
    let mut bad = |breaks: &str, change: fn(&mut Hello)| {
        let mut hello = hello();
        change(&mut hello);
        suite.bad(HELLO, breaks, |changed| *changed = values(&Message::Hello(hello)));
    };
    bad("the node", |hello| hello.node = NodeId::from([8; 32]));
    bad("when the node was started", |hello| hello.started = Timestamp::from_millis(1_001));
    bad("when it was said", |hello| hello.at = Timestamp::from_millis(2_001));
    bad("the operator", |hello| hello.operator = operator(2).public());
    bad("somebody who is no operator", |hello| {
        let times = (hello.started, hello.at);
        *hello = Hello::sign(&operator(9), community(), hello.node, times);
    });
    bad("a greeting of another community", |hello| {
        let times = (hello.started, hello.at);
        *hello = Hello::sign(&operator(1), CommunityId::from([3; 32]), hello.node, times);
    });
    bad("a signature under another label", |hello| {
        let mut bytes = community().to_bytes();
        hello.node.encode(&mut bytes);
        hello.started.encode(&mut bytes);
        hello.at.encode(&mut bytes);
        hello.signature = operator(1).sign(domain::ENTRY, &bytes);
    });
}

fn acknowledgements(suite: &mut Suite) {
    let mut bad = |breaks: &str, change: fn(&mut Acknowledgement)| {
        let mut said = acknowledgement(header(4), community());
        change(&mut said);
        suite.bad(ACKNOWLEDGED, breaks, |changed| *changed = values(&Message::Acknowledgement(said)));
    };
    bad("the round", |said| said.header.round = RoundId::from([2; 32]));
    bad("the tag", |said| said.header.tag = Tag::from(Point::from([3; 32])));
    bad("the sequence number", |said| said.header.sequence = 4);
    bad("the consent to a point on the map", |said| said.header.on_map = false);
    bad("the class", |said| said.header.class = 1);
    bad("the body", |said| said.header.body = BlobId::of(b"another"));
    bad("the core", |said| said.header.core[0] ^= 1);
    bad("the digest of a seed", |said| said.header.seed_digests[2][0] ^= 1);
    bad("two digests of seeds, exchanged", |said| said.header.seed_digests.swap(0, 1));
    bad("a digest of a seed too few", |said| shorten(&mut said.header.seed_digests));
    bad("another operator", |said| said.operator = 2);
    bad("operator 0", |said| said.operator = 0);
    bad("an operator beyond the last", |said| said.operator = 5);
    bad("an acknowledgement of another community", |said| {
        *said = acknowledgement(header(4), CommunityId::from([3; 32]));
    });
    bad("an s that is not reduced", |said| {
        let mut bytes = *said.signature.as_bytes();
        add_order(&mut bytes[32..]);
        said.signature = Signature::from(bytes);
    });
}
