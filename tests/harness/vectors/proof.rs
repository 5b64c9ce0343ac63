//! The ballot proof alone, over commitments that the transcript absorbs as the statement.

use chorus_crypto::{
    RistrettoPoint, Scalar,
    ballot::{Layout, Proof, Vote, Witness},
    batch::Batch,
    codec::Decode as _,
    domain,
    group::{Base, Point},
    transcript::{Item, Transcript},
};

use super::{
    Refused, Seq, Suite, Values,
    link::{add_order, negate, shifted},
    require, rng, shorten,
};

const MAP: &str = "nine items with a map";
const FEW: &str = "sixteen items with a map, four votes";
const ALL: &str = "seven items with a map, all voted on";
const PLAIN: &str = "three items without a map";

/// The opening proof at the end: three announcements and four responses.
const OPENING: usize = 7 * 32;

struct Ballot {
    layout: Layout,
    witness: Witness,
    blindings: Vec<Scalar>,
    commitments: Vec<Point>,
}

impl Ballot {
    fn new(name: &str, items: u16, map: bool, votes: u16) -> Self {
        let mut rng = rng(name);
        let layout = Layout::new(items, map).expect("a layout");
        let vote = |index| match index {
            _ if index >= votes => Vote::Unseen,
            _ => [Vote::Agree, Vote::Disagree, Vote::Pass][usize::from(index % 3)],
        };
        let votes: Vec<_> = (0..items).map(vote).collect();
        let witness = Witness::new(&layout, &votes, &mut rng).expect("one vote per item");
        let blindings: Vec<_> = (0..layout.data_rows()).map(|_| random(&mut rng)).collect();
        let commitments = witness.commit(&blindings);
        Self { layout, witness, blindings, commitments }
    }

    fn values(&self) -> Values {
        let mut rng = rng("proof");
        let mut transcript = transcript(&self.commitments);
        let proof = Proof::prove(&mut transcript, &self.layout, &self.witness, &self.blindings, &mut rng);
        Values::default()
            .plain("items", self.layout.items())
            .plain("map", self.layout.map())
            .encoded("commitments", &Seq(self.commitments.clone()))
            .encoded("proof", &proof)
    }
}

pub(super) fn random(rng: &mut impl rand_core::CryptoRng) -> Scalar {
    let mut wide = [0; 64];
    rng.fill_bytes(&mut wide);
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn transcript(commitments: &[Point]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Statement, commitments);
    transcript
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let layout = Layout::new(values.number("items"), values.truth("map"))?;
    let Seq(commitments) = values.decode::<Seq<Point>>("commitments")?;
    let proof: Proof = values.decode("proof")?;
    require(commitments.len() == layout.data_rows())?;
    let mut batch = Batch::new(&[1; 32]);
    let points: Result<Vec<RistrettoPoint>, _> = commitments.iter().map(Point::decompress).collect();
    let first = batch.insert(points?);
    proof.verify(&mut transcript(&commitments), &layout, first, &mut batch)?;
    require(batch.verify())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    suite.good(MAP, Ballot::new(MAP, 9, true, 8).values());
    suite.good(FEW, Ballot::new(FEW, 16, true, 4).values());
    suite.good(ALL, Ballot::new(ALL, 7, true, 7).values());
    suite.good(PLAIN, Ballot::new(PLAIN, 3, false, 3).values());
    messages(&mut suite);
    statements(&mut suite);
    liars(&mut suite);
    encodings(&mut suite);
    suite
}

/// Each message of the proof, changed afterwards.
fn messages(suite: &mut Suite) {
    for of in [MAP, PLAIN] {
        let announcements = ["the announcement for the value", "… for the square", "… for the linear relations"];
        for (index, what) in announcements.into_iter().enumerate() {
            suite.bad(of, what, |values| from_end(values, OPENING - 32 * index, point_plus));
        }
        let responses =
            ["the value", "the value's blinding", "the square's blinding", "the linear relations' blinding"];
        for (index, what) in responses.into_iter().enumerate() {
            suite.bad(of, format!("the response for {what}"), |values| from_end(values, 32 * (4 - index), scalar_plus));
        }
        suite.bad(of, "the last round's linear coefficient", |values| from_end(values, OPENING + 64, point_plus));
        suite.bad(of, "the last round's quadratic coefficient", |values| from_end(values, OPENING + 32, point_plus));
    }
    let auxiliary = |change: fn(&mut Proof)| move |values: &mut Values| values.edit_as("proof", change);
    let shift =
        |proof: &mut Proof, index: usize| proof.auxiliary[index] = shifted(proof.auxiliary[index], Base::Blinding);
    suite.bad(MAP, "a slack bit above the bucket's lower edge", move |values| {
        values.edit_as("proof", |proof| shift(proof, 0));
    });
    suite.bad(MAP, "a slack bit below the bucket's upper edge", move |values| {
        values.edit_as("proof", |proof: &mut Proof| shift(proof, proof.auxiliary.len() - 1));
    });
    suite.bad(MAP, "a slack bit too few", auxiliary(|proof| shorten(&mut proof.auxiliary)));
    suite.bad(MAP, "a slack bit too many", auxiliary(|proof| proof.auxiliary.push(proof.auxiliary[0])));
    let first_round = |values: &Values| {
        let proof: Proof = values.decode("proof").expect("a good case decodes");
        4 + 32 * proof.auxiliary.len() + 4
    };
    suite.bad(MAP, "the first round's linear coefficient", |values| {
        let at = first_round(values);
        values.edit("proof", |bytes| point_plus(&mut bytes[at..at + 32]));
    });
    suite.bad(MAP, "a round too few", |values| {
        let at = first_round(values);
        values.edit("proof", |bytes| {
            bytes[at - 1] -= 1;
            bytes.drain(at..at + 64);
        });
    });
    suite.bad(MAP, "rounds in another order", |values| {
        let at = first_round(values);
        values.edit("proof", |bytes| bytes[at..at + 128].rotate_left(64));
    });
}

/// The statement, changed afterwards.
fn statements(suite: &mut Suite) {
    for (row, what) in [(0, "a vote"), (27, "a dither bit"), (67, "a bucket bit"), (74, "an unused bucket's bit")] {
        suite.bad(MAP, format!("the commitment of {what}"), |values| {
            values.edit_as("commitments", |all: &mut Seq<Point>| all.0[row] = shifted(all.0[row], Base::Blinding));
        });
    }
    suite.bad(MAP, "a commitment too few", |values| {
        values.edit_as("commitments", |all: &mut Seq<Point>| shorten(&mut all.0));
    });
    suite.bad(MAP, "the number of items", |values| *values = values.clone().plain("items", 10u8));
    suite.bad(PLAIN, "the number of items", |values| *values = values.clone().plain("items", 0u8));
    suite.bad(MAP, "the map", |values| *values = values.clone().plain("map", false));
    suite.bad(PLAIN, "two commitments, exchanged", |values| {
        values.edit_as("commitments", |all: &mut Seq<Point>| all.0.swap(0, 1));
    });
}

/// A voter who commits to something else, and proves an honest ballot as well as can be.
fn liars(suite: &mut Suite) {
    let changes = [
        (MAP, 9, true, 8, 0, "a vote that counts twice"),
        (MAP, 9, true, 8, 1, "a second vote on one item"),
        (MAP, 9, true, 8, 25, "one vote more than the bucket says"),
        (MAP, 9, true, 8, 69, "a second bucket"),
        (MAP, 9, true, 8, 74, "a bucket that nine items do not need"),
        (PLAIN, 3, false, 3, 2, "a vote both in favour and without opinion"),
    ];
    for (of, items, map, votes, row, breaks) in changes {
        let mut liar = Ballot::new(of, items, map, votes);
        liar.commitments[row] = shifted(liar.commitments[row], Base::Column(0));
        suite.bad(of, breaks, |values| *values = liar.values());
    }
}

/// Bytes that are no encoding, or not the canonical one.
fn encodings(suite: &mut Suite) {
    suite.bad(PLAIN, "encoding: bytes after the proof", |values| values.edit("proof", |proof| proof.push(0)));
    suite.bad(PLAIN, "encoding: a proof cut short", |values| values.edit("proof", shorten));
    suite.bad(PLAIN, "encoding: a count over its bound", |values| values.edit("proof", |proof| proof[0] = 1));
    suite.bad(PLAIN, "encoding: a response that is not reduced", |values| from_end(values, 32, add_order));
    suite
        .bad(PLAIN, "encoding: an announcement with a negative coordinate", |values| from_end(values, OPENING, negate));
    suite.bad(PLAIN, "encoding: a round that is no point", |values| {
        from_end(values, OPENING + 64, |bytes| bytes.fill(0xFF))
    });
}

/// Changes the 32 bytes that start `distance` before the end of the proof.
fn from_end(values: &mut Values, distance: usize, change: impl FnOnce(&mut [u8])) {
    values.edit("proof", |bytes| {
        let at = bytes.len() - distance;
        change(&mut bytes[at..at + 32]);
    });
}

/// Adds B' to an encoded point.
pub(super) fn point_plus(bytes: &mut [u8]) {
    let point = Point::from_bytes(bytes).expect("32 bytes");
    bytes.copy_from_slice(shifted(point, Base::Blinding).as_bytes());
}

/// Adds one to an encoded scalar.
pub(super) fn scalar_plus(bytes: &mut [u8]) {
    let scalar = Scalar::from_bytes(bytes).expect("a reduced scalar");
    bytes.copy_from_slice(&(scalar + Scalar::ONE).to_bytes());
}
