//! What only operators see: masks from seeds, the key of a set, sealed boxes; and the sums that come of it.

use chorus_crypto::{
    Scalar,
    group::{Base, Generators, Point},
    hash::Digest,
    mask::{
        Committee, Expansion, MaskSum, Masking, OpenedSum, Seed, SetKey, Shape, check_sum, open, seed_digest,
        sum_commitments, sum_masked,
    },
    seal::{SealPublic, SealSecret, seal},
};
use rand_core::Rng as _;

use super::{
    Refused, Seq, Suite, Values,
    link::{add_order, shifted},
    require, rng, shorten,
};

const BITS: &str = "single entries, four operators";
const LANES: &str = "eight entries to a scalar, seven operators";
const EMPTY: &str = "a set of no operator";
/// Under which label the stream of a set's key is drawn.
const LABEL: &[u8] = b"cohorts";

/// Names the mask of one seed, and expands it.
fn mask_values(name: &str, operators: u8, index: usize, shape: Shape) -> Values {
    let mut rng = rng(name);
    let subset = Committee::new(operators).expect("a committee").subsets()[index];
    let (seed, mut context) = (Seed::random(&mut rng), [0; 32]);
    rng.fill_bytes(&mut context);
    let mask = Expansion::new(&seed, &context, subset, &shape);
    let rows = 0..=shape.rows();
    let values: Vec<Scalar> = rows.clone().flat_map(|row| mask.values(row).to_vec()).collect();
    let others: Vec<Seed> = (0..3).map(|_| Seed::random(&mut rng)).collect();
    let key = SetKey::new(&context, &others);
    let (mut scalars, mut integers) = (key.scalars(LABEL), key.scalars(b"integers"));
    let mut values = Values::default()
        .plain("operators", operators)
        .plain("index", u64::try_from(index).expect("a small index"))
        .encoded("shape", &shape)
        .encoded("context", &context)
        .encoded("seed", seed.expose())
        .encoded("digest", &seed_digest(&context, subset, &seed))
        .encoded("values", &Seq(values))
        .encoded("blindings", &Seq(rows.map(|row| mask.blinding(row)).collect()))
        .encoded("set_seeds", &Seq(others.iter().map(|seed| *seed.expose()).collect()))
        .encoded("stream", &Seq((0..3).map(|_| scalars.next_scalar()).collect()))
        .encoded("within", &Seq((0..6).map(|_| integers.next_within(1_000)).collect()));
    values.put("label", LABEL);
    values
}

pub(super) fn check_masks(values: &Values) -> Result<(), Refused> {
    let committee = Committee::new(values.number("operators"))?;
    let subset = *committee.subsets().get(values.number::<usize>("index")).ok_or(Refused)?;
    let (shape, context): (Shape, Digest) = (values.decode("shape")?, values.decode("context")?);
    let seed = Seed::from_bytes(&values.decode("seed")?);
    require(seed_digest(&context, subset, &seed) == values.decode::<Digest>("digest")?)?;
    let mask = Expansion::new(&seed, &context, subset, &shape);
    let rows = 0..=shape.rows();
    let expanded: Vec<Scalar> = rows.clone().flat_map(|row| mask.values(row).to_vec()).collect();
    require(values.decode::<Seq<Scalar>>("values")?.0 == expanded)?;
    let blindings: Vec<Scalar> = rows.map(|row| mask.blinding(row)).collect();
    require(values.decode::<Seq<Scalar>>("blindings")?.0 == blindings)?;

    let Seq(seeds) = values.decode::<Seq<[u8; 32]>>("set_seeds")?;
    let seeds: Vec<Seed> = seeds.iter().map(Seed::from_bytes).collect();
    let key = SetKey::new(&context, &seeds);
    let (mut scalars, mut integers) = (key.scalars(&values.bytes("label")), key.scalars(b"integers"));
    let Seq(stream) = values.decode::<Seq<Scalar>>("stream")?;
    require(stream.iter().all(|scalar| *scalar == scalars.next_scalar()))?;
    let Seq(within) = values.decode::<Seq<i64>>("within")?;
    require(within.iter().all(|integer| *integer == integers.next_within(1_000)))
}

pub(super) fn masks_suite() -> Suite {
    let mut suite = Suite::default();
    suite.good(BITS, mask_values(BITS, 4, 2, Shape::ballot(3)));
    suite.good(LANES, mask_values(LANES, 7, 20, Shape::new(2, 10, 31).expect("a shape")));
    suite.good(EMPTY, mask_values(EMPTY, 1, 0, Shape::ballot(1)));
    for of in [BITS, LANES] {
        let mut bad = |breaks: &str, name: &str, change: fn(&mut Vec<u8>)| {
            suite.bad(of, breaks, |values| values.edit(name, change));
        };
        bad("the seed", "seed", |bytes| bytes[0] ^= 1);
        bad("the context", "context", |bytes| bytes[31] ^= 1);
        bad("the digest of the seed", "digest", |bytes| bytes[0] ^= 1);
        bad("a value of the mask row", "values", |bytes| bytes[4] ^= 1);
        bad("a value of the last row", "values", |bytes| {
            let end = bytes.len();
            bytes[end - 32] ^= 1;
        });
        bad("a blinding", "blindings", |bytes| bytes[4] ^= 1);
        bad("a seed of the set", "set_seeds", |bytes| bytes[4] ^= 1);
        bad("two seeds of the set, exchanged", "set_seeds", |bytes| {
            let (first, second) = bytes[4..68].split_at_mut(32);
            first.swap_with_slice(second);
        });
        bad("the label of the stream", "label", |bytes| bytes[0] ^= 1);
        bad("a scalar of the stream", "stream", |bytes| bytes[4] ^= 1);
        bad("an integer of the stream", "within", |bytes| bytes[11] ^= 1);
        bad("a blinding too few", "blindings", |bytes| {
            bytes[3] -= 1;
            bytes.truncate(bytes.len() - 32);
        });
        suite.bad(of, "another set", |values| *values = values.clone().plain("index", 1u8));
        suite.bad(of, "encoding: a value that is not reduced", |values| {
            values.edit("values", |bytes| add_order(&mut bytes[4..36]));
        });
    }
    suite.bad(LANES, "the rows of the shape", |values| values.edit("shape", |bytes| bytes[3] = 3));
    suite.bad(LANES, "the lanes of the shape", |values| values.edit("shape", |bytes| bytes[9] = 125));
    suite
}

const BOX: &str = "three seeds for an operator";
const NOTHING: &str = "nothing, under nothing";

fn seal_values(name: &str, aad: &[u8], plain: &[u8]) -> Values {
    let mut rng = rng(name);
    let secret = SealSecret::random(&mut rng);
    let sealed = seal(&secret.public(), aad, plain, &mut rng).expect("a usable key");
    let mut values = Values::default().encoded("secret", &*secret.to_bytes()).encoded("public", &secret.public());
    for (name, bytes) in [("aad", aad), ("plain", plain), ("sealed", sealed.as_slice())] {
        values.put(name, bytes);
    }
    values
}

pub(super) fn check_seal(values: &Values) -> Result<(), Refused> {
    let secret = SealSecret::from_bytes(&values.decode("secret")?);
    let public: SealPublic = values.decode("public")?;
    require(public.is_usable() && secret.public() == public)?;
    let plain = secret.open(&values.bytes("aad"), &values.bytes("sealed"))?;
    require(*plain == values.bytes("plain"))
}

pub(super) fn seal_suite() -> Suite {
    let mut suite = Suite::default();
    suite.good(BOX, seal_values(BOX, b"core, operator, key", &[5; 96]));
    suite.good(NOTHING, seal_values(NOTHING, b"", b""));
    let mut bad = |breaks: &str, name: &str, change: fn(&mut Vec<u8>)| {
        suite.bad(BOX, breaks, |values| values.edit(name, change));
    };
    bad("the recipient's secret", "secret", |bytes| bytes[1] ^= 1);
    bad("the recipient's key", "public", |bytes| bytes[0] ^= 1);
    bad("the associated data", "aad", |bytes| bytes[0] ^= 1);
    bad("associated data that end earlier", "aad", shorten);
    bad("the encapsulated key", "sealed", |bytes| bytes[0] ^= 1);
    bad("an encapsulated key of small order", "sealed", |bytes| bytes[..32].fill(0));
    bad("the ciphertext", "sealed", |bytes| bytes[32] ^= 1);
    bad("the tag", "sealed", |bytes| *bytes.last_mut().expect("a tag") ^= 1);
    bad("a box cut short", "sealed", shorten);
    bad("a box without a ciphertext", "sealed", |bytes| bytes.truncate(40));
    bad("what is said to be in it", "plain", |bytes| bytes[0] ^= 1);
    suite
}

const BALLOTS: &str = "three ballots, four operators";
const MATRICES: &str = "two matrices in lanes, five operators";

fn sum_values(name: &str, operators: u8, shape: Shape, entries: &[&[i32]]) -> Values {
    let mut rng = rng(name);
    let committee = Committee::new(operators).expect("a committee");
    let generators = Generators::new(shape.columns);
    let mut sums = vec![MaskSum::new(&shape); committee.subset_count()];
    let (mut masked, mut commitments) = (Vec::new(), Vec::new());
    for entries in entries {
        let mut context = [0; 32];
        rng.fill_bytes(&mut context);
        let masking = Masking::new(&committee, &shape, &context, &mut rng);
        let scalar = |entry: &i32| {
            if *entry < 0 { -Scalar::from(entry.unsigned_abs()) } else { Scalar::from(entry.unsigned_abs()) }
        };
        let data: Vec<Vec<Scalar>> =
            entries.chunks(shape.width()).map(|row| row.iter().map(scalar).collect()).collect();
        let (points, vector) = masking.commit_and_mask(&generators, &data);
        masked.extend(vector);
        commitments.extend(points.into_iter().skip(1));
        for ((sum, subset), seed) in sums.iter_mut().zip(committee.subsets()).zip(masking.seeds()) {
            sum.add(&Expansion::new(seed, &context, subset, &shape));
        }
    }
    let total = sum_masked(&shape, masked.chunks(shape.scalars())).expect("vectors of this shape");
    let opened = open(&shape, &total, &sums).expect("sums in their lanes");
    Values::default()
        .encoded("shape", &shape)
        .encoded("set", &[3u8; 32])
        .encoded("masked", &Seq(masked))
        .encoded("commitments", &Seq(commitments))
        .encoded("mask_sums", &Seq(sums))
        .encoded("opened", &opened)
}

pub(super) fn check_sums(values: &Values) -> Result<(), Refused> {
    let (shape, set): (Shape, Digest) = (values.decode("shape")?, values.decode("set")?);
    let Seq(masked) = values.decode::<Seq<Scalar>>("masked")?;
    let Seq(commitments) = values.decode::<Seq<Point>>("commitments")?;
    let Seq(sums) = values.decode::<Seq<MaskSum>>("mask_sums")?;
    let opened: OpenedSum = values.decode("opened")?;
    require(open(&shape, &sum_masked(&shape, masked.chunks(shape.scalars()))?, &sums)? == opened)?;
    let points: Vec<_> = commitments.iter().map(Point::decompress).collect::<Result<_, _>>()?;
    let total = sum_commitments(&shape, points.chunks(shape.rows()))?;
    Ok(check_sum(&Generators::new(shape.columns), &shape, &opened, &total, &set)?)
}

pub(super) fn sums_suite() -> Suite {
    let mut suite = Suite::default();
    let matrix = Shape::new(2, 10, 31).expect("a shape");
    suite.good(BALLOTS, sum_values(BALLOTS, 4, Shape::ballot(3), &[&[1, 0, 1], &[0, 0, 1], &[1, 1, 1]]));
    let up: Vec<i32> = (0..20).collect();
    let down: Vec<i32> = (0..20).map(|entry| -3 * entry).collect();
    suite.good(MATRICES, sum_values(MATRICES, 5, matrix, &[&up, &down]));
    for of in [BALLOTS, MATRICES] {
        suite.bad(of, "a masked vector", |values| {
            values.edit_as("masked", |all: &mut Seq<Scalar>| {
                let last = all.0.len() - 1;
                all.0[last] += Scalar::ONE;
            });
        });
        suite.bad(of, "a sum of masks that is missing", |values| {
            values.edit_as("mask_sums", |all: &mut Seq<MaskSum>| shorten(&mut all.0));
        });
        suite.bad(of, "a sum of masks twice", |values| {
            values.edit_as("mask_sums", |all: &mut Seq<MaskSum>| all.0[1] = all.0[0].clone());
        });
        suite.bad(of, "a total", |values| {
            values.edit_as("opened", |opened: &mut OpenedSum| opened.totals[1][0] += 1);
        });
        suite.bad(of, "the blinding of a total", |values| {
            values.edit_as("opened", |opened: &mut OpenedSum| opened.blindings[0] += Scalar::ONE);
        });
        suite.bad(of, "a row too few", |values| {
            values.edit_as("opened", |opened: &mut OpenedSum| shorten(&mut opened.totals));
        });
        suite.bad(of, "a commitment", |values| {
            values.edit_as("commitments", |all: &mut Seq<Point>| all.0[1] = shifted(all.0[1], Base::Blinding));
        });
        suite.bad(of, "a commitment that is missing", |values| {
            values.edit_as("commitments", |all: &mut Seq<Point>| shorten(&mut all.0));
        });
        suite.bad(of, "a commitment that is no point", |values| {
            values.edit("commitments", |bytes| bytes[4..36].fill(0xFF));
        });
    }
    // The operators agree on a lie: everything fits but the commitments.
    suite.bad(BALLOTS, "a sum of masks that moves a total, and the total", |values| {
        values.edit("mask_sums", |bytes| add_one(&mut bytes[8..40]));
        values.edit_as("opened", |opened: &mut OpenedSum| opened.totals[0][0] += 1);
    });
    suite.bad(BALLOTS, "a sum of masks that leaves a lane", |values| {
        values.edit("mask_sums", |bytes| {
            bytes[8..40].fill(0);
            bytes[39] = 0x08;
        });
    });
    suite
}

/// Adds one to an encoded scalar.
fn add_one(bytes: &mut [u8]) {
    let scalar = Scalar::from_canonical_bytes(bytes.try_into().expect("32 bytes")).expect("a scalar") + Scalar::ONE;
    bytes.copy_from_slice(&scalar.to_bytes());
}
