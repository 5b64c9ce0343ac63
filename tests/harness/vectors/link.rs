//! The link alone: commitments, masked vector and seeds, for a ballot's shape and for a matrix with lanes.
//!
//! Here the transcript absorbs commitments, seed digests and H(E) one by one; a contribution absorbs their digest.

use chorus_crypto::{
    RistrettoPoint, Scalar,
    batch::Batch,
    domain,
    group::{Base, Generators, Point},
    hash::Digest,
    link::Link,
    mask::{Committee, Expansion, Masking, Seed, Shape, masked_digest, seed_digest},
    transcript::{Item, Transcript},
};
use rand_core::Rng as _;

use super::{Refused, Seq, Suite, Values, require, rng, shorten};

const BALLOT: &str = "six bits, four operators";
const MATRIX: &str = "a matrix in lanes, five operators";
const ALONE: &str = "two bits, one operator";

/// What a contributor knows before the link is made, and may lie about.
struct Contribution {
    committee: Committee,
    shape: Shape,
    context: Digest,
    masking: Masking,
    data: Vec<Vec<Scalar>>,
    digests: Vec<Digest>,
    commitments: Vec<Point>,
    masked: Vec<Scalar>,
}

impl Contribution {
    fn new(name: &str, operators: u8, shape: Shape, bound: u32) -> Self {
        let mut rng = rng(name);
        let committee = Committee::new(operators).expect("a committee");
        let mut context = [0; 32];
        rng.fill_bytes(&mut context);
        let masking = Masking::new(&committee, &shape, &context, &mut rng);
        let mut entry = || Scalar::from(rng.next_u32() % bound);
        let data: Vec<Vec<_>> = (0..shape.data_rows).map(|_| (0..shape.columns).map(|_| entry()).collect()).collect();
        let (commitments, masked) = masking.commit_and_mask(&Generators::new(shape.columns), &data);
        let digests = masking.seed_digests();
        Self { committee, shape, context, masking, data, digests, commitments, masked }
    }

    fn transcript(&self) -> Transcript {
        transcript(&self.commitments, &self.digests, &self.masked)
    }

    fn values(&self) -> Values {
        let link = Link::prove(&mut self.transcript(), &self.masking, &self.shape, &self.data);
        let seeds = Seq(self.masking.seeds().iter().map(|seed| *seed.expose()).collect());
        Values::default()
            .plain("operators", self.committee.operators())
            .plain("rows", self.shape.data_rows)
            .plain("columns", self.shape.columns)
            .plain("lane_bits", self.shape.lane_bits)
            .encoded("context", &self.context)
            .encoded("commitments", &Seq(self.commitments.clone()))
            .encoded("masked", &Seq(self.masked.clone()))
            .encoded("seeds", &seeds)
            .encoded("seed_digests", &Seq(self.digests.clone()))
            .encoded("link", &link)
    }
}

fn transcript(commitments: &[Point], digests: &[Digest], masked: &[Scalar]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Core, commitments);
    transcript.absorb_seq(Item::Core, digests);
    transcript.absorb(Item::Core, &masked_digest(masked));
    transcript
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let shape = Shape::new(values.number("rows"), values.number("columns"), values.number("lane_bits"))?;
    let committee = Committee::new(values.number("operators"))?;
    let context: Digest = values.decode("context")?;
    let Seq(commitments) = values.decode::<Seq<Point>>("commitments")?;
    let Seq(masked) = values.decode::<Seq<Scalar>>("masked")?;
    let Seq(seeds) = values.decode::<Seq<[u8; 32]>>("seeds")?;
    let Seq(digests) = values.decode::<Seq<Digest>>("seed_digests")?;
    let link: Link = values.decode("link")?;
    let gamma = link.challenge_and_absorb(&mut transcript(&commitments, &digests, &masked));
    require(commitments.len() == 1 + shape.rows())?;
    let mut batch = Batch::new(&[1; 32]);
    let points: Result<Vec<RistrettoPoint>, _> = commitments.iter().map(Point::decompress).collect();
    let first = batch.insert(points?);
    link.check(&committee, &shape, &gamma, &mut batch, first)?;
    require(batch.verify())?;
    link.check_masked(&shape, &gamma, &masked)?;
    require(seeds.len() == committee.subset_count() && digests.len() == seeds.len())?;
    for (index, ((subset, seed), digest)) in committee.subsets().into_iter().zip(&seeds).zip(&digests).enumerate() {
        let seed = Seed::from_bytes(seed);
        require(seed_digest(&context, subset, &seed) == *digest)?;
        link.check_seed(index, &gamma, &Expansion::new(&seed, &context, subset, &shape))?;
    }
    Ok(())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let matrix = Shape::new(3, 10, 31).expect("a shape");
    suite.good(BALLOT, Contribution::new(BALLOT, 4, Shape::ballot(6), 2).values());
    suite.good(MATRIX, Contribution::new(MATRIX, 5, matrix, 1 << 20).values());
    suite.good(ALONE, Contribution::new(ALONE, 1, Shape::ballot(2), 2).values());
    for name in [BALLOT, MATRIX] {
        changed_fields(&mut suite, name);
    }
    suite.bad(MATRIX, "the width of a lane", |values| *values = values.clone().plain("lane_bits", 62u8));
    liars(&mut suite);
    encodings(&mut suite);
    suite
}

/// One field of the message or of what it is about, changed afterwards.
fn changed_fields(suite: &mut Suite, of: &str) {
    let link = |change: fn(&mut Link)| move |values: &mut Values| values.edit_as("link", change);
    suite.bad(of, "the folded data", link(|link| link.response[0] += Scalar::ONE));
    suite.bad(of, "the folded blinding", link(|link| link.blinding += Scalar::ONE));
    suite.bad(of, "the claimed mask of a set", link(|link| link.folds[1].values[0] += Scalar::ONE));
    suite.bad(of, "the claimed blinding of a set", link(|link| link.folds[1].blinding += Scalar::ONE));
    suite.bad(
        of,
        "the claimed blindings of two sets, of the same sum",
        link(|link| {
            link.folds[0].blinding += Scalar::ONE;
            link.folds[1].blinding -= Scalar::ONE;
        }),
    );
    suite.bad(of, "the folds of two sets, exchanged", link(|link| link.folds.swap(0, 1)));
    suite.bad(of, "a set without a fold", link(|link| shorten(&mut link.folds)));
    suite.bad(of, "a fold without a value", link(|link| shorten(&mut link.folds[0].values)));
    suite.bad(of, "a column without a fold", link(|link| shorten(&mut link.response)));
    suite.bad(of, "a column too many", link(|link| link.response.push(Scalar::ZERO)));
    suite.bad(of, "the commitment of the mask row", |values| {
        values.edit_as("commitments", |all: &mut Seq<Point>| all.0[0] = shifted(all.0[0], Base::Blinding));
    });
    suite.bad(of, "the masked vector", |values| {
        values.edit_as("masked", |all: &mut Seq<Scalar>| all.0[2] += Scalar::ONE);
    });
    suite.bad(of, "a seed", |values| values.edit_as("seeds", |seeds: &mut Seq<[u8; 32]>| seeds.0[2][0] ^= 1));
    suite.bad(of, "the digest of a seed", |values| {
        values.edit_as("seed_digests", |digests: &mut Seq<Digest>| digests.0[2][31] ^= 1);
    });
    suite.bad(of, "the context of the seeds", |values| values.edit("context", |context| context[0] ^= 1));
    suite.bad(of, "the number of operators", |values| *values = values.clone().plain("operators", 6u8));
    suite.bad(of, "the number of rows", |values| {
        *values = values.clone().plain("rows", values.number::<u32>("rows") - 1);
    });
}

/// A contributor who is wrong from the beginning, and proves as well as can be: one check finds it.
fn liars(suite: &mut Suite) {
    let contribution = || Contribution::new(BALLOT, 4, Shape::ballot(6), 2);
    let mut liar = contribution();
    liar.commitments[3] = shifted(liar.commitments[3], Base::Column(0));
    suite.bad(BALLOT, "a commitment to another bit than the masked one", |values| *values = liar.values());

    let mut liar = contribution();
    liar.masked[3] += Scalar::ONE;
    suite.bad(BALLOT, "a masked vector of another bit than the committed one", |values| *values = liar.values());

    // All public checks hold: only holders of the seed can tell.
    let mut liar = contribution();
    liar.digests[1][0] ^= 1;
    suite.bad(BALLOT, "a digest of another seed than the one that masks", |values| *values = liar.values());

    let mut jam = contribution();
    jam.commitments[2] = shifted(jam.commitments[2], Base::Blinding);
    let power = jam.transcript().challenge(Item::LinkChallenge);
    let power = power * power;
    suite.bad(BALLOT, "a blinding that no seed gives, with folds that fit", |values| {
        *values = jam.values();
        values.edit_as("link", |link: &mut Link| {
            link.blinding += power;
            link.folds[1].blinding += power;
        });
    });

    let mut jam = contribution();
    jam.masked[2] -= Scalar::ONE;
    let power = jam.transcript().challenge(Item::LinkChallenge);
    let power = power * power;
    suite.bad(BALLOT, "a mask that no seed gives, with folds that fit", |values| {
        *values = jam.values();
        values.edit_as("link", |link: &mut Link| link.folds[1].values[0] += power);
    });
}

/// Bytes that are no encoding, or not the canonical one.
fn encodings(suite: &mut Suite) {
    let at_blinding = 4 + 32;
    suite.bad(BALLOT, "encoding: bytes after the link", |values| values.edit("link", |link| link.push(0)));
    suite.bad(BALLOT, "encoding: a link cut short", |values| values.edit("link", shorten));
    suite.bad(BALLOT, "encoding: a count over its bound", |values| values.edit("link", |link| link[0] = 0xFF));
    suite.bad(BALLOT, "encoding: a scalar that is not reduced", |values| {
        values.edit("link", |link| add_order(&mut link[at_blinding..at_blinding + 32]));
    });
    suite.bad(BALLOT, "encoding: a commitment that is no point", |values| {
        values.edit("commitments", |bytes| bytes[4..36].fill(0xFF));
    });
    suite.bad(BALLOT, "encoding: a commitment with a negative coordinate", |values| {
        values.edit("commitments", |bytes| negate(&mut bytes[4..36]));
    });
}

/// The point plus a base.
pub(super) fn shifted(point: Point, base: Base) -> Point {
    (point.decompress().expect("an honest point") + base.point()).into()
}

/// Adds ℓ to an encoded scalar: the same number, encoded in another way.
pub(super) fn add_order(scalar: &mut [u8]) {
    let mut minus_one = *(-Scalar::ONE).as_bytes();
    minus_one[0] += 1;
    add(scalar, &minus_one);
}

/// Replaces the encoded field element x by p − x: the same point, encoded in another way.
pub(super) fn negate(element: &mut [u8]) {
    element.iter_mut().for_each(|byte| *byte = !*byte);
    element[31] &= 0x7F;
    // p = 2^255 − 19, and the complement is 2^255 − 1 − x.
    let mut minus_eighteen = [0xFF; 32];
    minus_eighteen[0] = 0xEE;
    add(element, &minus_eighteen);
    element[31] &= 0x7F;
}

fn add(number: &mut [u8], other: &[u8; 32]) {
    let mut carry = 0;
    for (byte, other) in number.iter_mut().zip(other) {
        let sum = u16::from(*byte) + u16::from(*other) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
}
