//! A second, independent contributor, who can be told to cheat: everything it makes is as consistent as a cheat can be.

pub mod credential;
pub mod delta;

use chorus_crypto::{
    RistrettoPoint, Scalar,
    ballot::{Layout, Proof, Vote, Witness},
    codec::{Encode, put_seq},
    credential::{Credential, HiddenLeaf, Holder, Leaf, LeafSecret, ShownLeaf, Statement, Tag},
    domain,
    group::{Base, Generators, Point},
    hash::{self, Digest},
    link::Link,
    mask::{Masking, Shape, masked_digest},
    seal::seal,
    sign::PublicKey,
    transcript::{Item, Transcript},
};
use chorus_protocol::{
    contribution::{BallotContent, Body, Content, Level, SealedBox, Submission, context, layout},
    id::{CommunityId, RoundId},
    ledger::{Ledger, Manifest, RoundRecord},
    log::entry::ClassSource,
};
use rand_core::CryptoRng;

use self::credential::{Opening, Words, ring_points};

/// Where a forger departs from the protocol.
#[derive(Clone, Debug)]
pub enum Cheat {
    /// Nowhere: the result must be acknowledged, or the other cheats are refused for the wrong reason.
    None,
    /// The blinding of one data row is not the sum of the PRG_ρ, and one ζ_T is adapted so that the sums agree.
    Blinding,
    /// The committed and masked ballot names another vote-count bucket than the one that is proved.
    Bucket,
    /// The seed digests are somebody else's.
    SeedDigests(Vec<Digest>),
    /// These data rows hold other values, committed, masked and linked as they are; the proof is the honest ballot's.
    Rows(Vec<(usize, Scalar)>),
    /// These commitments, of which 0 is the link's mask row, have a component that no generator of theirs spans.
    Component(Vec<(usize, RistrettoPoint)>),
    /// A component in a row, and one in row 0 that takes it away again under the γ of the honest contribution.
    Cancelled(usize, RistrettoPoint),
    /// Something else than the contribution goes into the transcript.
    Says(fn(&mut Said)),
    /// Another digest of the manifest goes into the transcript.
    Manifest(Digest),
    /// A message is left out of the transcript.
    Skips(Item),
    /// Commitments, seeds, link and ballot proof are somebody else's.
    Content(Box<BallotContent>),
    /// The boxes are somebody else's.
    Boxes(Vec<Option<SealedBox>>),
    /// The boxes of these operators (1..=n) hold other seeds than those that mask the ballot.
    Seeds(Vec<u8>),
}

/// What goes into the transcript besides link and proof. In the honest case it is what the body says.
#[derive(Clone, Debug)]
pub struct Said {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The operators.
    pub operators: Vec<PublicKey>,
    /// The community of the context.
    pub community: CommunityId,
    /// The round of the context.
    pub round: RoundId,
    /// The tag of the context.
    pub tag: Tag,
    /// The sequence number of the context.
    pub sequence: u8,
    /// Consent to the map.
    pub on_map: bool,
    /// The class.
    pub class: u16,
    /// The shape.
    pub shape: Shape,
    /// The commitments.
    pub commitments: Vec<Point>,
    /// The seed digests.
    pub seed_digests: Vec<Digest>,
    /// H(E).
    pub masked: Digest,
    /// H(boxes).
    pub boxes: Digest,
    /// What is said of the contributor before the link.
    pub eligibility: Statement,
    /// What is said of the contributor at the beginning of the credential.
    pub statement: Statement,
    /// The ring's id.
    pub ring: Digest,
    /// What the equations are about.
    proved: Statement,
    /// What is left out.
    skipped: Option<Item>,
}

impl Said {
    /// Returns the digest of the context.
    pub fn context(&self) -> Digest {
        context(self.community, self.round, &self.tag, self.sequence)
    }

    /// Returns the digest of the core.
    pub fn core(&self) -> Digest {
        let choices = (self.context(), (self.on_map, self.class));
        core_digest(&choices, &self.shape, &self.commitments, &self.seed_digests, &self.masked)
    }

    fn absorb(&self, transcript: &mut Transcript, item: Item, value: &impl Encode) {
        if self.skipped != Some(item) {
            transcript.absorb(item, value);
        }
    }

    fn begin(&self) -> Transcript {
        let mut transcript = Transcript::new(domain::CONTRIBUTION);
        self.absorb(&mut transcript, Item::Manifest, &self.manifest);
        if self.skipped != Some(Item::Operators) {
            transcript.absorb_seq(Item::Operators, &self.operators);
        }
        self.absorb(&mut transcript, Item::Core, &(self.context(), self.core()));
        self.absorb(&mut transcript, Item::Boxes, &self.boxes);
        self.absorb(&mut transcript, Item::Eligibility, &self.eligibility);
        transcript
    }
}

/// Somebody who contributes by the letter, but for a [`Cheat`].
#[derive(Clone, Debug)]
pub struct Forger<'a> {
    /// The state of the log.
    pub ledger: &'a Ledger,
    /// The round.
    pub round: &'a RoundRecord,
    /// What the forger knows: the opening of a leaf.
    pub opening: Opening,
    /// The leaf that the forger claims to be theirs.
    pub leaf: Leaf,
    /// The place in the ring that the forger claims, if it is not the leaf's.
    pub position: Option<usize>,
    /// Whether the leaf is shown.
    pub level: Level,
    /// The scope of the tag and of its proof; what is said of it is the round's.
    pub scope: Digest,
    /// Which attempt this is.
    pub sequence: u8,
    /// The class that is shown.
    pub class: u16,
    /// The cheat.
    pub cheat: Cheat,
}

/// The secrets of one forged contribution.
struct Secrets<'a> {
    layout: Layout,
    masking: &'a Masking,
    witness: Witness,
    data: Vec<Vec<Scalar>>,
    blindings: Vec<Scalar>,
    rho: Scalar,
}

/// Adds a point to a commitment.
fn add(said: &mut Said, row: usize, point: RistrettoPoint) {
    let honest = said.commitments[row].decompress().expect("a commitment is a point");
    said.commitments[row] = Point::from(honest + point);
}

/// What a forger adds to the blinding of a row.
const EXCESS: u8 = 5;

impl<'a> Forger<'a> {
    /// Returns a forger with a leaf of their own, who does not cheat.
    ///
    /// # Panics
    ///
    /// Panics if the round is not open.
    pub fn new(ledger: &'a Ledger, round: &'a RoundRecord, leaf: &LeafSecret, level: Level) -> Self {
        let scope = round.manifest.as_ref().expect("the round is open").scope;
        let opening = Opening::from(leaf);
        let leaf = leaf.leaf();
        Self { scope, ledger, round, opening, leaf, position: None, level, sequence: 0, class: 0, cheat: Cheat::None }
    }

    /// Returns the forger with a cheat.
    #[must_use]
    pub fn who(&self, cheat: Cheat) -> Self {
        Self { cheat, ..self.clone() }
    }

    fn manifest(&self) -> &'a Manifest {
        self.round.manifest.as_ref().expect("the round is open")
    }

    /// Casts a ballot.
    ///
    /// # Panics
    ///
    /// Panics if the round is not open, or the leaf is not in its snapshot.
    pub fn cast(&self, votes: &[Vote], rng: &mut impl CryptoRng) -> Submission {
        let ledger = self.ledger;
        let tag = self.opening.tag(&self.scope);
        let context = context(ledger.community(), self.round.id, &tag, self.sequence);
        let layout = layout(self.round).expect("a round has items");
        let shape = Shape::ballot(u32::try_from(layout.data_rows()).expect("few rows"));
        let masking = Masking::new(&ledger.charter().sharing(), &shape, &context, rng);
        let witness = Witness::new(&layout, votes, rng).expect("as many votes as items");
        let data = self.data(&layout, &witness);
        let (commitments, masked) = masking.commit_and_mask(Generators::single(), &data);
        let blindings = masking.data_blindings().to_vec();
        let rho = Scalar::random(rng);
        let mut secrets = Secrets { layout, masking: &masking, witness, data, blindings, rho };

        let mut said = self.said(&masking, tag, (commitments, masked_digest(&masked)), &rho);
        self.spoil(&mut said, &mut secrets);
        let astray = if let Cheat::Seeds(operators) = &self.cheat { operators.as_slice() } else { &[] };
        let mut boxes = boxes((ledger, self.round), &said.core(), &masking, astray, rng);
        if let Cheat::Boxes(copied) = &self.cheat {
            boxes.clone_from(copied);
        }
        if !matches!(self.cheat, Cheat::Content(_)) {
            said.boxes = boxes_digest(&boxes);
        }
        let honest = said.clone();
        match &self.cheat {
            Cheat::Says(change) => change(&mut said),
            Cheat::Manifest(digest) => said.manifest = *digest,
            Cheat::Skips(item) => said.skipped = Some(*item),
            _ => {}
        }
        let (content, mut transcript) = self.content(&honest, &said, &secrets, rng);
        let credential = self.credential(&mut transcript, &said, &secrets, rng);
        let (round, sequence, on_map, class) = (self.round.id, self.sequence, honest.on_map, self.class);
        let body =
            Body { round, tag, sequence, on_map, class, content: Content::Ballot(Box::new(content)), credential };
        Submission { body: body.to_bytes(), masked, boxes }
    }

    /// What is committed to.
    fn data(&self, layout: &Layout, witness: &Witness) -> Vec<Vec<Scalar>> {
        let mut data: Vec<Vec<Scalar>> = witness.data().iter().map(|bit| vec![*bit]).collect();
        if matches!(self.cheat, Cheat::Bucket) {
            // The one bit set moves to the next bucket.
            data[layout.bucket_row(0)..=layout.bucket_row(7)].rotate_right(1);
        }
        if let Cheat::Rows(rows) = &self.cheat {
            rows.iter().for_each(|(row, value)| data[*row] = vec![*value]);
        }
        data
    }

    /// What an honest contributor would say, but for the boxes.
    fn said(&self, masking: &Masking, tag: Tag, committed: (Vec<Point>, Digest), rho: &Scalar) -> Said {
        let manifest = self.manifest();
        let holder = match self.level {
            Level::Open => {
                let index = manifest.snapshot.index(&self.leaf).expect("a member");
                Holder::Open(ShownLeaf { index, leaf: self.leaf })
            }
            Level::Anonymous => {
                let cohort = manifest.snapshot.cohort_of(&self.leaf).expect("a member");
                Holder::Ring(HiddenLeaf { cohort, leaf: self.opening.hidden(rho).leaf() })
            }
        };
        let slot = match self.round.plan.classes.as_ref().map(|plan| &plan.source) {
            Some(ClassSource::Attribute(slot)) if self.class != 0 => Some((*slot, u64::from(self.class))),
            Some(ClassSource::Attribute(_) | ClassSource::Groups(_)) | None => None,
        };
        let statement = Statement {
            scopes: vec![(manifest.scope, tag)],
            holder,
            disclosed: slot.into_iter().collect(),
            group: None,
            snapshot_root: manifest.root,
        };
        let ring = match &statement.holder {
            Holder::Open(_) => [0; 32],
            Holder::Ring(hidden) => *manifest.snapshot.ring(hidden.cohort).expect("a cohort").id(),
        };
        Said {
            manifest: manifest.digest,
            operators: self.ledger.charter().operators.clone(),
            community: self.ledger.community(),
            round: self.round.id,
            tag,
            sequence: self.sequence,
            on_map: self.round.plan.classes.is_none(),
            class: self.class,
            shape: *masking.shape(),
            commitments: committed.0,
            seed_digests: masking.seed_digests(),
            masked: committed.1,
            boxes: [0; 32],
            eligibility: statement.clone(),
            statement: statement.clone(),
            ring,
            proved: Statement { scopes: vec![(self.scope, tag)], ..statement },
            skipped: None,
        }
    }

    /// Changes what is committed to.
    fn spoil(&self, said: &mut Said, secrets: &mut Secrets<'_>) {
        match &self.cheat {
            Cheat::Blinding => {
                add(said, 1, Base::Blinding.point() * Scalar::from(EXCESS));
                secrets.blindings[0] += Scalar::from(EXCESS);
            }
            Cheat::Component(components) => components.iter().for_each(|(row, point)| add(said, *row, *point)),
            Cheat::Cancelled(row, point) => {
                let gamma = said.begin().challenge(Item::LinkChallenge);
                let power: Scalar = (0..*row).map(|_| gamma).product();
                add(said, *row, *point);
                add(said, 0, -(point * power));
            }
            Cheat::SeedDigests(digests) => said.seed_digests.clone_from(digests),
            Cheat::Content(content) => {
                said.commitments.clone_from(&content.commitments);
                said.seed_digests.clone_from(&content.seed_digests);
                (said.shape, said.masked, said.boxes) = (content.shape, content.masked, content.boxes);
            }
            Cheat::None
            | Cheat::Bucket
            | Cheat::Rows(_)
            | Cheat::Says(_)
            | Cheat::Manifest(_)
            | Cheat::Skips(_)
            | Cheat::Boxes(_)
            | Cheat::Seeds(_) => {}
        }
    }

    /// Makes link and proof under what is said; returns them with the transcript that the credential signs.
    fn content(
        &self,
        honest: &Said,
        said: &Said,
        secrets: &Secrets<'_>,
        rng: &mut impl CryptoRng,
    ) -> (BallotContent, Transcript) {
        let mut transcript = said.begin();
        if let Cheat::Content(content) = &self.cheat {
            content.link.challenge_and_absorb(&mut transcript);
            // The copied proof goes into the transcript as it went into that of its maker.
            let mut batch = chorus_crypto::batch::Batch::new(&[0; 32]);
            let points = content.commitments.iter().map(|point| point.decompress().expect("a commitment"));
            let first = batch.insert(points.collect::<Vec<_>>());
            let _ = content.proof.verify(&mut transcript, &secrets.layout, first + 1, &mut batch);
            return ((**content).clone(), transcript);
        }
        let mut link = Link::prove(&mut transcript.clone(), secrets.masking, &honest.shape, &secrets.data);
        let gamma = transcript.clone().challenge(Item::LinkChallenge);
        if matches!(self.cheat, Cheat::Blinding) {
            link.blinding += gamma * Scalar::from(EXCESS);
            link.folds[0].blinding += gamma * Scalar::from(EXCESS);
        }
        if said.skipped == Some(Item::Folds) {
            transcript.challenge(Item::LinkChallenge);
        } else {
            link.challenge_and_absorb(&mut transcript);
        }
        let (layout, witness, blindings) = (&secrets.layout, &secrets.witness, &secrets.blindings);
        // Without the ballot proof's messages, the credential does not depend on them.
        let before = transcript.clone();
        let proof = Proof::prove(&mut transcript, layout, witness, blindings, rng);
        if said.skipped == Some(Item::Round) {
            transcript = before;
        }
        let content = BallotContent {
            shape: honest.shape,
            commitments: honest.commitments.clone(),
            seed_digests: honest.seed_digests.clone(),
            masked: honest.masked,
            boxes: honest.boxes,
            link,
            proof,
        };
        (content, transcript)
    }

    fn credential(
        &self,
        transcript: &mut Transcript,
        said: &Said,
        secrets: &Secrets<'_>,
        rng: &mut impl CryptoRng,
    ) -> Credential {
        let words = Words { proved: &said.proved, said: &said.statement, ring: said.ring, skipped: said.skipped };
        let Holder::Ring(hidden) = said.proved.holder else {
            return Credential::Open(credential::open(transcript, &words, &self.opening, rng));
        };
        let manifest = self.manifest();
        let ring = manifest.snapshot.ring(hidden.cohort).expect("a cohort");
        let leaves: Vec<Leaf> = manifest.snapshot.leaves().to_vec();
        let cohort = &manifest.snapshot.cohorts()[hidden.cohort as usize];
        let members: Vec<Leaf> = leaves.into_iter().filter(|leaf| cohort.has_leaf(leaf)).collect();
        let own = || ring.position(&self.leaf.into()).expect("a member of the cohort");
        let points = ring_points(&members, ring.size());
        let place = (points.as_slice(), self.position.unwrap_or_else(own));
        let hidden = (&self.opening.hidden(&secrets.rho), &secrets.rho);
        Credential::Ring(Box::new(credential::ring(transcript, &words, hidden, place, rng)))
    }
}

/// Casts a ballot with a cheat in it, and shows whose it is.
///
/// # Panics
///
/// Panics if the round is not open, or the person no member.
pub fn forge(
    ledger: &Ledger,
    round: &RoundRecord,
    (leaf, sequence): (&LeafSecret, u8),
    votes: &[Vote],
    cheat: &Cheat,
    rng: &mut impl CryptoRng,
) -> Submission {
    let forger = Forger { sequence, ..Forger::new(ledger, round, leaf, Level::Open) };
    forger.who(cheat.clone()).cast(votes, rng)
}

/// Returns the transcript of a contribution up to the challenge of its link.
pub fn opening_transcript(
    ledger: &Ledger,
    manifest: &Manifest,
    core: &(Digest, Digest),
    boxes: &Digest,
    statement: &Statement,
) -> Transcript {
    let mut transcript = Transcript::new(domain::CONTRIBUTION);
    transcript.absorb(Item::Manifest, &manifest.digest);
    transcript.absorb_seq(Item::Operators, &ledger.charter().operators);
    transcript.absorb(Item::Core, core);
    transcript.absorb(Item::Boxes, boxes);
    transcript.absorb(Item::Eligibility, statement);
    transcript
}

/// Returns the digest of a core: context and consent, shape, commitments, seed digests, H(E).
pub fn core_digest(
    (context, choices): &(Digest, (bool, u16)),
    shape: &Shape,
    commitments: &[Point],
    seed_digests: &[Digest],
    masked: &Digest,
) -> Digest {
    let mut core = context.to_bytes();
    choices.encode(&mut core);
    shape.encode(&mut core);
    put_seq(&mut core, commitments);
    put_seq(&mut core, seed_digests);
    masked.encode(&mut core);
    hash::digest_bytes(domain::CORE, &core)
}

/// Returns what a box is bound to.
pub fn box_context(core: &Digest, operator: u8, key: &impl Encode) -> Vec<u8> {
    let mut bound = core.to_vec();
    operator.encode(&mut bound);
    key.encode(&mut bound);
    bound
}

/// Returns H(boxes).
pub fn boxes_digest(boxes: &[Option<SealedBox>]) -> Digest {
    let mut bytes = Vec::new();
    put_seq(&mut bytes, boxes);
    hash::content(&bytes)
}

/// Seals the seeds; those of the operators in `astray` are drawn anew.
fn boxes(
    (ledger, round): (&Ledger, &RoundRecord),
    core: &Digest,
    masking: &Masking,
    astray: &[u8],
    rng: &mut impl CryptoRng,
) -> Vec<Option<SealedBox>> {
    let keys = round.manifest.as_ref().map(|manifest| manifest.keys.clone()).unwrap_or_default();
    let mut boxes = Vec::with_capacity(keys.len());
    for (operator, key) in (1u8..).zip(keys) {
        let sealed = key.map(|key| {
            let held = ledger.charter().sharing().held_by(operator);
            let mut seeds: Vec<u8> = held.iter().flat_map(|index| *masking.seeds()[*index].expose()).collect();
            if astray.contains(&operator) {
                rng.fill_bytes(&mut seeds);
            }
            let bytes = seal(&key, &box_context(core, operator, &key), &seeds, rng).expect("a usable key");
            SealedBox { bytes }
        });
        boxes.push(sealed);
    }
    boxes
}
