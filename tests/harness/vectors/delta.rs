//! The delta proof alone, over commitments that the transcript absorbs as the statement.

use chorus_crypto::{
    RistrettoPoint, Scalar,
    batch::Batch,
    delta::{Dimensions, Matrix, Proof, Statement, Witness},
    domain,
    group::{Base, Generators, Point},
    msm::Timing,
    transcript::{Item, Transcript},
};
use rand_core::Rng as _;

use super::{
    Refused, Seq, Suite, Values,
    link::{add_order, negate, shifted},
    proof::{point_plus, scalar_plus},
    require, rng, shorten,
};

const SQUARE: &str = "64 entries, within their bound";
const NARROW: &str = "twelve entries in four columns, at their bound";

/// A delta on its way.
struct Delta {
    statement: Statement,
    witness: Witness,
    blindings: Vec<Scalar>,
    commitments: Vec<Point>,
}

impl Delta {
    /// Eight rows and columns of numbers of ten bits.
    fn square() -> Self {
        let mut rng = rng(SQUARE);
        let numbers: Vec<_> = (0..64).map(|_| (rng.next_u32() % 1023).cast_signed() - 511).collect();
        Self::new(SQUARE, 8, 8, 3000, &numbers)
    }

    /// 3² + 4² + 12² + 84² = 85²: nothing is left for the four squares.
    fn narrow() -> Self {
        Self::new(NARROW, 3, 4, 85, &[3, -4, 0, 12, 0, -84])
    }

    fn new(name: &str, rows: u32, columns: u32, bound: u32, numbers: &[i32]) -> Self {
        let mut rng = rng(name);
        let dimensions = Dimensions::new(rows, columns).expect("dimensions");
        let statement = Statement::new(dimensions, bound).expect("a bound");
        let matrix = Matrix::new(&dimensions, numbers).expect("as many numbers");
        let witness = Witness::new(&statement, matrix, &mut rng).expect("within the bound");
        let blindings: Vec<_> = (0..rows).map(|_| super::proof::random(&mut rng)).collect();
        let commitments = witness.commit(&Generators::new(columns), &blindings, Timing::Constant);
        Self { statement, witness, blindings, commitments }
    }

    fn values(&self) -> Values {
        let dimensions = self.statement.dimensions();
        let columns = u32::try_from(dimensions.columns()).expect("few");
        let proof = Proof::prove(
            &mut transcript(&self.commitments),
            &self.statement,
            &self.witness,
            &Generators::new(columns),
            &self.blindings,
            Timing::Constant,
            &mut rng("delta"),
        );
        Values::default()
            .plain("rows", dimensions.rows())
            .plain("columns", columns)
            .plain("bound", self.statement.bound())
            .encoded("commitments", &Seq(self.commitments.clone()))
            .encoded("proof", &proof)
    }
}

fn transcript(commitments: &[Point]) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb_seq(Item::Statement, commitments);
    transcript
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let dimensions = Dimensions::new(values.number("rows"), values.number("columns"))?;
    let statement = Statement::new(dimensions, values.number("bound"))?;
    let Seq(commitments) = values.decode::<Seq<Point>>("commitments")?;
    let proof: Proof = values.decode("proof")?;
    require(commitments.len() == dimensions.rows())?;
    let mut batch = Batch::new(&[1; 32]);
    let points: Result<Vec<RistrettoPoint>, _> = commitments.iter().map(Point::decompress).collect();
    let first = batch.insert(points?);
    proof.verify(&mut transcript(&commitments), &statement, first, &mut batch)?;
    require(batch.verify())
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    suite.good(SQUARE, Delta::square().values());
    suite.good(NARROW, Delta::narrow().values());
    messages(&mut suite);
    lengths(&mut suite);
    statements(&mut suite);
    liars(&mut suite);
    encodings(&mut suite);
    suite
}

/// Where the parts of the encoded proof of 64 entries begin: each sequence after its count.
struct Places {
    auxiliary: usize,
    projections: usize,
    rounds: usize,
    evaluations: usize,
    vector: usize,
    halvings: usize,
    last: usize,
    opening: usize,
}

const AT: Places = {
    let auxiliary = 4;
    let projections = auxiliary + 49 * 32 + 4;
    let rounds = projections + 378 * 16 + 4;
    let evaluations = rounds + 9 * 64;
    let vector = evaluations + 64;
    let halvings = vector + 4 * 32 + 4;
    let last = halvings + 64 + 4;
    let opening = last + 4 * 32;
    Places { auxiliary, projections, rounds, evaluations, vector, halvings, last, opening }
};

/// Each message of the proof, changed afterwards.
fn messages(suite: &mut Suite) {
    let points = [
        (AT.auxiliary, "the commitment to the four squares"),
        (AT.auxiliary + 32, "the first commitment to masks"),
        (AT.auxiliary + 48 * 32, "the last commitment to masks"),
        (AT.rounds, "the first round's linear coefficient"),
        (AT.rounds + 32, "the first round's quadratic coefficient"),
        (AT.rounds + 8 * 64, "the last round's linear coefficient"),
        (AT.rounds + 8 * 64 + 32, "the last round's quadratic coefficient"),
        (AT.evaluations, "the commitment to the matrix at r"),
        (AT.evaluations + 32, "the commitment to the masks at r"),
        (AT.vector, "the announced vector"),
        (AT.vector + 32, "the value of the announced vector"),
        (AT.halvings, "the left side of the halving"),
        (AT.halvings + 32, "the right side of the halving"),
        (AT.opening, "the announcement for the value"),
        (AT.opening + 32, "the announcement for the square"),
        (AT.opening + 64, "the announcement for zero"),
    ];
    for (at, what) in points {
        suite.bad(SQUARE, what, |values| change(values, at, 32, point_plus));
    }
    let scalars = [
        (AT.vector + 64, "the value of the vector"),
        (AT.vector + 96, "the blinding of the vector"),
        (AT.last, "the first entry that is left"),
        (AT.last + 96, "the last entry that is left"),
        (AT.opening + 96, "the response for the value"),
        (AT.opening + 128, "the response for the value's blinding"),
        (AT.opening + 160, "the response for the square's blinding"),
        (AT.opening + 192, "the response for zero's blinding"),
    ];
    for (at, what) in scalars {
        suite.bad(SQUARE, what, |values| change(values, at, 32, scalar_plus));
    }
    for (index, which) in [(0, "first"), (1, "second"), (377, "last")] {
        let at = AT.projections + 16 * index;
        suite.bad(SQUARE, format!("the {which} projection"), |values| change(values, at, 16, |bytes| bytes[15] ^= 1));
    }
    for (index, value) in [(5, 1i128 << 110), (6, -(1 << 110)), (7, i128::MIN)] {
        let at = AT.projections + 16 * index;
        suite.bad(SQUARE, format!("a projection of {value}, which is too large"), |values| {
            change(values, at, 16, |bytes| bytes.copy_from_slice(&value.to_be_bytes()));
        });
    }
}

fn change(values: &mut Values, at: usize, length: usize, change: impl FnOnce(&mut [u8])) {
    values.edit("proof", |bytes| change(&mut bytes[at..at + length]));
}

/// A part too few or too many, which no equation is needed for.
fn lengths(suite: &mut Suite) {
    let parts = [
        (AT.auxiliary, 32, "commitment to masks"),
        (AT.projections, 16, "projection"),
        (AT.rounds, 64, "round"),
        (AT.halvings, 64, "halving"),
        (AT.last, 32, "last entry"),
    ];
    for (at, length, what) in parts {
        suite.bad(SQUARE, format!("a {what} too few"), |values| {
            values.edit("proof", |bytes| {
                bytes[at - 1] -= 1;
                bytes.drain(at..at + length);
            });
        });
    }
    suite.bad(SQUARE, "a round too many", |values| {
        values.edit("proof", |bytes| {
            bytes[AT.rounds - 1] += 1;
            let round = bytes[AT.rounds..AT.rounds + 64].to_vec();
            bytes.splice(AT.rounds..AT.rounds, round);
        });
    });
}

/// The statement, changed afterwards.
fn statements(suite: &mut Suite) {
    for (of, bounds) in [(SQUARE, [2999u32, 3001]), (NARROW, [84, 86])] {
        for bound in bounds {
            suite.bad(of, format!("a bound of {bound}"), |values| *values = values.clone().plain("bound", bound));
        }
    }
    suite.bad(SQUARE, "a bound of zero", |values| *values = values.clone().plain("bound", 0u32));
    suite.bad(SQUARE, "a bound of 2^31", |values| *values = values.clone().plain("bound", 1u32 << 31));
    suite.bad(SQUARE, "another number of rows", |values| *values = values.clone().plain("rows", 9u32));
    suite.bad(NARROW, "another number of columns", |values| *values = values.clone().plain("columns", 3u32));
    suite.bad(NARROW, "no columns", |values| *values = values.clone().plain("columns", 0u32));
    for of in [SQUARE, NARROW] {
        let edit = |change: fn(&mut Vec<Point>)| {
            move |values: &mut Values| values.edit_as("commitments", |all: &mut Seq<Point>| change(&mut all.0))
        };
        suite.bad(of, "a commitment too few", edit(shorten));
        suite.bad(of, "two commitments, exchanged", edit(|all| all.swap(0, 1)));
        suite.bad(of, "the commitment of a row", edit(|all| all[1] = shifted(all[1], Base::Blinding)));
    }
}

/// A contributor who commits to another matrix, and proves the honest one as well as can be.
fn liars(suite: &mut Suite) {
    let mut liar = Delta::narrow();
    liar.commitments[2] = shifted(liar.commitments[2], Base::Column(1));
    suite.bad(NARROW, "an entry of one more than is proved", |values| *values = liar.values());
}

/// Bytes that are no encoding, or not the canonical one.
fn encodings(suite: &mut Suite) {
    suite.bad(NARROW, "encoding: bytes after the proof", |values| values.edit("proof", |proof| proof.push(0)));
    suite.bad(NARROW, "encoding: a proof cut short", |values| values.edit("proof", shorten));
    suite.bad(SQUARE, "encoding: a count over its bound", |values| values.edit("proof", |proof| proof[0] = 1));
    suite.bad(SQUARE, "encoding: a response that is not reduced", |values| {
        change(values, AT.opening + 192, 32, add_order);
    });
    suite.bad(SQUARE, "encoding: an announcement with a negative coordinate", |values| {
        change(values, AT.opening, 32, negate);
    });
    suite.bad(SQUARE, "encoding: a halving that is no point", |values| {
        change(values, AT.halvings, 32, |bytes| bytes.fill(0xFF));
    });
    suite.bad(SQUARE, "encoding: a commitment that is no point", |values| {
        values.edit("commitments", |bytes| bytes[4..36].fill(0xFF));
    });
}

#[cfg(test)]
mod tests {
    use chorus_crypto::codec::Decode as _;

    use super::*;

    #[test]
    fn the_places_are_those_of_the_encoding() {
        let values = Delta::square().values();

        assert_eq!(values.bytes("proof").len(), AT.opening + 7 * 32);
        assert!(Proof::from_bytes(&values.bytes("proof")).is_ok());
    }
}
