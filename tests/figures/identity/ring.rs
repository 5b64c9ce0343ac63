//! Figures of the anonymous credential: bytes, time to make, time to check.
//!
//! One core, credentials of four hidden slots and one scope. Times are the least of several; those to check in a batch are
//! divided by the number in it.

use std::{sync::Arc, time::Instant};

use chorus_crypto::{
    batch::Batch,
    codec::Encode as _,
    credential::{Credential, HiddenLeaf, Hiding, Holder, Leaf, LeafSecret, Ring, Rings, Statement},
    domain,
    transcript::{Item, Transcript},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::figure::Figure;

/// A ring that is measured, and what is claimed for it.
struct Case {
    members: usize,
    batch: usize,
    bytes: f64,
    make: f64,
    verify: f64,
}

const CASES: [Case; 3] = [
    Case { members: 256, batch: 64, bytes: 1_100.0, make: 0.020, verify: 0.0003 },
    Case { members: 1_024, batch: 256, bytes: 1_200.0, make: 0.080, verify: 0.0005 },
    Case { members: 4_096, batch: 128, bytes: 1_600.0, make: 0.250, verify: 0.0012 },
];

/// Credentials that are made; a batch repeats their statements with proofs of their own.
const MADE: usize = 8;
/// Repetitions of each check.
const RUNS: usize = 3;

/// Measures rings of 256, 1,024 and 4,096 leaves.
pub(crate) fn figures() -> Vec<Figure> {
    CASES.iter().flat_map(Case::figures).collect()
}

fn begin(statement: &Statement) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Eligibility, statement);
    transcript
}

/// What one credential costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Its bytes.
    pub(crate) bytes: f64,
    /// Seconds to make it.
    pub(crate) make: f64,
    /// Seconds to check it in a batch.
    pub(crate) batched: f64,
    /// Seconds to check it alone.
    pub(crate) alone: f64,
    /// Seconds to put its ring together.
    pub(crate) ring: f64,
}

impl Case {
    fn figures(&self) -> Vec<Figure> {
        let Cost { bytes, make, batched, alone, ring } = Cost::measured(self.members, self.batch);
        let figure = |name: &str, value: f64, unit: &'static str| {
            Figure::new(format!("ring of {}: credential, {name}", self.members), value, unit)
        };
        vec![
            figure("bytes", bytes, "B").at_most(self.bytes),
            figure("make", make, "s").at_most(self.make),
            figure(&format!("verify, each in a batch of {}", self.batch), batched, "s").at_most(self.verify),
            figure("verify alone", alone, "s"),
            figure("put the ring together, once for each snapshot", ring, "s"),
        ]
    }
}

impl Cost {
    /// Measures credentials in a ring of so many members, `together` of them checked at a time.
    pub(crate) fn measured(members: usize, together: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let secrets: Vec<LeafSecret> = (0..members).map(|_| LeafSecret::random([1, 2, 3, 4], &mut rng)).collect();
        let mut leaves: Vec<Leaf> = secrets.iter().map(LeafSecret::leaf).collect();
        leaves.sort_unstable();
        let start = Instant::now();
        let ring = Arc::new(Ring::of_leaves(&leaves).expect("as many leaves as a ring holds"));
        let decompress = start.elapsed().as_secs_f64();
        let rings = Rings { leaves: Some(&ring), group: None };
        let (mut make, mut made) = (f64::INFINITY, Vec::new());
        for secret in secrets.iter().step_by(members / MADE) {
            let hiding = Hiding::random(&mut rng);
            let holder = Holder::Ring(HiddenLeaf { cohort: 0, leaf: hiding.leaf(secret) });
            let scopes = vec![([7; 32], secret.tag(&[7; 32]))];
            let statement = Statement { scopes, holder, disclosed: Vec::new(), group: None, snapshot_root: [8; 32] };
            let start = Instant::now();
            let credential =
                Credential::prove_ring(&mut begin(&statement), &statement, secret, &hiding, rings, &mut rng);
            make = make.min(start.elapsed().as_secs_f64());
            made.push((statement, credential));
        }
        let alone = Self::verify(rings, &made, 1);
        let batched = Self::verify(rings, &made, together) / together as f64;
        let bytes = made.iter().map(|(_, credential)| credential.to_bytes().len()).max().unwrap_or(0) as f64;
        Self { bytes, make, batched, alone, ring: decompress }
    }

    /// Returns the time to verify `count` credentials together: those that were made, in turn.
    fn verify(rings: Rings<'_>, made: &[(Statement, Credential)], count: usize) -> f64 {
        let run = |run: usize| {
            let start = Instant::now();
            let mut batch = Batch::new(&[run as u8; 32]);
            for (index, (statement, credential)) in made.iter().cycle().take(count).enumerate() {
                let mut alone = Batch::new(&[index as u8; 32]);
                credential.verify(&mut begin(statement), statement, rings, &mut alone).expect("well-formed");
                batch.merge(alone);
            }
            assert!(batch.verify(), "credentials that were just made");
            start.elapsed().as_secs_f64()
        };
        (0..RUNS).map(run).fold(f64::INFINITY, f64::min)
    }
}
