//! Divided rounds, as the log tells them: see [`cohort`](crate::cohort).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_count},
    credential::Leaf,
    domain,
    hash::{self, Digest},
    sign::PublicKey,
    wire_struct,
};

use super::{
    Collects, Governance, Ledger, Poll, Proposer, RoundRecord, Sealed, amend::MAX_STATEMENTS, round::insert_once,
};
use crate::{
    canonical::{map, put_map},
    charter::Charter,
    cohort::{CohortResult, Convening, Convocation, Draw, DrawWord, Origin, Sums, beacon, commitment, deal},
    config::Genesis,
    fault::{Fault, bound, in_turn},
    id::{BlobId, CommunityId, PollId, RoundId},
    limits::{self, MAX_OPERATORS},
    log::entry::{BallotPlan, Entry, PollKind, PollOpening, RoundPlan, RoundResult, Subject},
    registry::{Registry, Snapshot},
    time::Timestamp,
};

/// What the log of a cohort begins with, as its parent's log tells it.
#[derive(Clone, Debug)]
pub struct CohortStart {
    /// The founding document of the root.
    pub genesis: Arc<Genesis>,
    /// Where the cohort comes from.
    pub origin: Origin,
    /// Its rules.
    pub charter: Charter,
    /// Who planned the round that is divided.
    pub planned_by: PublicKey,
    /// Who opened its poll.
    pub opened_by: PublicKey,
    /// The poll.
    pub opening: PollOpening,
    /// The items that are asked.
    pub items: Vec<(BlobId, String, Proposer)>,
    /// The plan of the cohort's own round.
    pub plan: RoundPlan,
    /// The members, ascending.
    pub leaves: Vec<Leaf>,
    /// What dealt them out.
    pub beacon: Digest,
    /// Whether it divides the round again.
    pub divides: bool,
}

/// Whether a round is one, or divided among cohorts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Division {
    /// Its operators collect contributions.
    #[default]
    Whole,
    /// It is to be divided: how each operator would, and how often it has said something.
    Due(BTreeMap<PublicKey, StatedConvening>),
    /// It is.
    Divided(Box<Divided>),
}

/// How an operator would divide a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatedConvening {
    /// How often the operator has stated something.
    pub times: u8,
    /// The last of it.
    pub convening: Arc<Convening>,
}

/// A round that is divided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Divided {
    /// How.
    pub convening: Arc<Convening>,
    /// The convening's digest.
    pub digest: Digest,
    /// The members when n − f operators had stated it.
    pub snapshot: Arc<Snapshot>,
    /// Commitments to lots, by operator.
    pub commitments: BTreeMap<u8, Digest>,
    /// Lots, by operator.
    pub lots: BTreeMap<u8, Digest>,
    /// Who is in which cohort.
    pub dealt: Option<Dealt>,
    /// The certified results, by number of the cohort.
    pub results: BTreeMap<u16, CertifiedResult>,
}

/// Who is in which cohort.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dealt {
    /// What decided it.
    pub beacon: Digest,
    /// From which log time on the round may close without the results that are not there.
    pub deadline: Timestamp,
    /// The leaves of each cohort, ascending.
    pub cohorts: Arc<Vec<Vec<Leaf>>>,
}

/// A cohort's result, which its operators have certified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertifiedResult {
    /// What they state.
    pub result: RoundResult,
    /// What follows from it.
    pub sums: Sums,
}
wire_struct!(CertifiedResult { result, sums });

impl Divided {
    fn new(community: CommunityId, convening: Arc<Convening>, snapshot: Arc<Snapshot>) -> Self {
        Self {
            digest: convening.digest(community),
            convening,
            snapshot,
            commitments: BTreeMap::new(),
            lots: BTreeMap::new(),
            dealt: None,
            results: BTreeMap::new(),
        }
    }

    /// Returns where a cohort comes from.
    pub fn origin(&self, parent: CommunityId, number: u16) -> Origin {
        let round = self.convening.plan.id(parent);
        Origin { parent, round, convening: self.digest, number }
    }

    /// Returns the numbers of the cohorts.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        (0u16..).take(self.convening.cohorts.len())
    }

    /// Returns how many members a cohort has; 0 before they are dealt out.
    pub fn members_of(&self, number: u16) -> usize {
        let dealt = self.dealt.as_ref().and_then(|dealt| dealt.cohorts.get(usize::from(number)));
        dealt.map_or(0, Vec::len)
    }

    /// Returns the cohorts that have no result.
    pub fn missing(&self) -> BTreeSet<u16> {
        self.numbers().filter(|number| !self.results.contains_key(number)).collect()
    }

    /// Returns whether every cohort has a result.
    pub fn is_complete(&self) -> bool {
        self.results.len() == self.convening.cohorts.len()
    }

    /// Returns what the results add up to.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::none(self.convening.plan.items().len());
        self.results.values().for_each(|certified| sums.add(&certified.sums));
        let missing: usize = self.missing().into_iter().map(|number| self.members_of(number)).sum();
        sums.missing = sums.missing.saturating_add(missing as u64);
        sums
    }

    /// Returns when operators may go on without commitments, and without lots, that are not there: counted from when the log's
    /// time was fresh after the division.
    pub fn graces(&self, planned_at: Timestamp) -> (Timestamp, Timestamp) {
        let grace = self.convening.plan.key_grace_millis;
        (planned_at.plus_millis(grace), planned_at.plus_millis(grace.saturating_mul(2)))
    }

    /// Returns the digest of what a closing fixes: which cohorts count, and with which results.
    fn set(&self, round: RoundId) -> Digest {
        let mut bytes = round.to_bytes();
        self.digest.encode(&mut bytes);
        put_map(&mut bytes, &self.results, |certified, out| certified.result.encode(out));
        hash::digest_bytes(domain::COHORT_SET, &bytes)
    }

    fn on_draw(&mut self, operator: u8, author: PublicKey, word: DrawWord, rules: &DrawRules) -> Result<(), Fault> {
        if self.dealt.is_some() {
            return Err(Fault::Phase("a lot after members were dealt out"));
        }
        match word {
            DrawWord::Committed(_) if !self.lots.is_empty() => Err(Fault::Phase("a commitment after the first lot")),
            DrawWord::Committed(digest) => {
                insert_once(&mut self.commitments, operator, digest, "a commitment to a lot")
            }
            DrawWord::Lot(lot) => {
                rules.admit_lots(self)?;
                let expected = self.commitments.get(&operator).ok_or(Fault::NotAllowed("a lot without commitment"))?;
                if *expected != commitment(&self.digest, author, &lot) {
                    return Err(Fault::Mismatch("the commitment to a lot"));
                }
                insert_once(&mut self.lots, operator, lot, "a lot")
            }
        }
    }

    fn deal(&mut self, rules: &DrawRules) -> Result<(), Fault> {
        if self.dealt.is_some() {
            return Err(Fault::Duplicate("the dealing of members"));
        }
        rules.admit_dealing(self)?;
        let beacon = beacon(&self.digest, &self.lots);
        let deadline = rules.now.plus_millis(self.convening.wait_millis);
        self.dealt = Some(self.dealt_by(beacon, deadline));
        Ok(())
    }

    fn dealt_by(&self, beacon: Digest, deadline: Timestamp) -> Dealt {
        let cohorts = Arc::new(deal(self.snapshot.leaves(), beacon, self.convening.cohorts.len()));
        Dealt { beacon, deadline, cohorts }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>, put_snapshot: impl FnOnce(&mut Vec<u8>, &Snapshot)) {
        let Self { convening, digest: _, snapshot, commitments, lots, dealt, results } = self;
        convening.encode(out);
        put_snapshot(out, snapshot);
        put_map(out, commitments, Encode::encode);
        put_map(out, lots, Encode::encode);
        // Beacon and cohorts follow from the lots.
        dealt.as_ref().map(|dealt| dealt.deadline).encode(out);
        put_map(out, results, Encode::encode);
    }

    fn read(
        input: &mut Reader<'_>,
        community: CommunityId,
        snapshot: impl FnOnce(&mut Reader<'_>) -> Result<Arc<Snapshot>, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let convening = Arc::new(Convening::decode(input)?);
        let mut divided = Self::new(community, convening, snapshot(input)?);
        divided.commitments = map(input, MAX_OPERATORS, Decode::decode)?;
        divided.lots = map(input, MAX_OPERATORS, Decode::decode)?;
        if let Some(deadline) = Option::<Timestamp>::decode(input)? {
            divided.dealt = Some(divided.dealt_by(beacon(&divided.digest, &divided.lots), deadline));
        }
        divided.results = map(input, limits::MAX_COHORTS, Decode::decode)?;
        Ok(divided)
    }
}

/// When lots may be shown, and members dealt out by them.
struct DrawRules {
    operators: usize,
    faulty: usize,
    planned_at: Timestamp,
    now: Timestamp,
}

impl DrawRules {
    fn of(round: &RoundRecord, now: Timestamp) -> Result<Self, Fault> {
        let planned_at = round.planned_at.ok_or(Fault::Phase("lots before the clocks were read"))?;
        let (operators, faulty) = (round.charter.operators.len(), usize::from(round.charter.faulty()));
        Ok(Self { operators, faulty, planned_at, now })
    }

    fn admit_lots(&self, divided: &Divided) -> Result<(), Fault> {
        let (from, _) = divided.graces(self.planned_at);
        self.admit(divided.commitments.len(), (self.operators, self.operators - self.faulty), from)
    }

    fn admit_dealing(&self, divided: &Divided) -> Result<(), Fault> {
        let (_, from) = divided.graces(self.planned_at);
        let committed = divided.commitments.len();
        let least = (self.operators - 2 * self.faulty).max(1);
        self.admit(divided.lots.len(), (committed.max(least), least), from)
    }

    fn admit(&self, found: usize, (all, least): (usize, usize), from: Timestamp) -> Result<(), Fault> {
        if found < least {
            return Err(Fault::Quorum { needed: least, found });
        }
        if found < all && self.now < from {
            return Err(Fault::Early { what: "a lot, or a dealing, without those that lack", from, now: self.now });
        }
        Ok(())
    }
}

impl Division {
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    fn encoded(&self, out: &mut Vec<u8>, put_snapshot: impl FnOnce(&mut Vec<u8>, &Snapshot)) {
        match self {
            Self::Whole => out.push(0),
            Self::Due(stated) => {
                out.push(1);
                put_map(out, stated, |stated, out| {
                    stated.times.encode(out);
                    stated.convening.encode(out);
                });
            }
            Self::Divided(divided) => {
                out.push(2);
                divided.put(out, put_snapshot);
            }
        }
    }

    fn decoded(
        input: &mut Reader<'_>,
        community: CommunityId,
        snapshot: impl FnOnce(&mut Reader<'_>) -> Result<Arc<Snapshot>, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let stated = |input: &mut Reader<'_>| {
            Ok(StatedConvening { times: u8::decode(input)?, convening: Arc::new(Convening::decode(input)?) })
        };
        match u8::decode(input)? {
            1 => Ok(Self::Due(map(input, MAX_OPERATORS, stated)?)),
            2 => Ok(Self::Divided(Box::new(Divided::read(input, community, snapshot)?))),
            found => Err(DecodeError::UnknownTag { of: "division", found: found.into() }),
        }
    }
}

impl RoundRecord {
    /// Returns how the round is divided, if it is.
    pub fn divided(&self) -> Option<&Divided> {
        match &self.division {
            Division::Divided(divided) => Some(divided),
            Division::Whole | Division::Due(_) => None,
        }
    }

    fn divided_mut(&mut self) -> Result<&mut Divided, Fault> {
        match &mut self.division {
            Division::Divided(divided) => Ok(divided),
            Division::Whole => Err(Fault::NotAllowed("entries of a divided round about one that is not")),
            Division::Due(_) => Err(Fault::Phase("an entry of a round that is not divided yet")),
        }
    }

    /// Returns how many contributions a sealed round counts, its cohorts' included; 0 before the seal.
    pub fn counted(&self) -> usize {
        match (&self.sealed, self.divided()) {
            (None, _) => 0,
            (Some(_), Some(divided)) => usize::try_from(divided.sums().contributions).unwrap_or(usize::MAX),
            (Some(sealed), None) => sealed.contributions.len(),
        }
    }

    /// Returns the entries that operators of a divided round make out for themselves by the log alone, and that are due at log
    /// time `now`: that which deals members out, that which closes the round.
    pub fn due_of_division(&self, now: Timestamp) -> Option<Entry> {
        let divided = self.divided().filter(|_| self.sealed.is_none())?;
        let rules = DrawRules::of(self, now).ok()?;
        match &divided.dealt {
            None => {
                let dealing = crate::cohort::Dealing { round: self.id };
                rules.admit_dealing(divided).is_ok().then_some(Entry::Deal(dealing))
            }
            Some(dealt) => (divided.is_complete() || now >= dealt.deadline)
                .then_some(Entry::Close(crate::log::entry::RoundClosing { round: self.id })),
        }
    }

    /// Returns whether an operator may show its lot at log time `now`.
    pub fn admits_lots(&self, now: Timestamp) -> bool {
        let rules = DrawRules::of(self, now).ok();
        self.divided().zip(rules).is_some_and(|(divided, rules)| rules.admit_lots(divided).is_ok())
    }

    /// Returns the moment of log time that a divided round waits for, if it waits for one.
    pub fn awaited_moment(&self) -> Option<Timestamp> {
        let divided = self.divided().filter(|_| self.sealed.is_none())?;
        let (without_commitments, without_lots) = divided.graces(self.planned_at?);
        match &divided.dealt {
            Some(dealt) => (!divided.is_complete()).then_some(dealt.deadline),
            None if divided.lots.is_empty() => {
                (divided.commitments.len() < self.charter.operators.len()).then_some(without_commitments)
            }
            None => (divided.lots.len() < divided.commitments.len()).then_some(without_lots),
        }
    }

    pub(super) fn close_divided(&mut self, now: Timestamp) -> Result<(), Fault> {
        let divided = self.divided_mut()?;
        let dealt = divided.dealt.as_ref().ok_or(Fault::Phase("a closing"))?;
        if !divided.is_complete() && now < dealt.deadline {
            return Err(Fault::Early { what: "a closing", from: dealt.deadline, now });
        }
        self.sealed = Some(self.seal());
        Ok(())
    }

    pub(super) fn sealed_cohorts(&self, divided: &Divided) -> Sealed {
        Sealed { set: divided.set(self.id).into(), contributions: Vec::new() }
    }

    /// Appends how the round is divided.
    pub(super) fn put_division(&self, out: &mut Vec<u8>, put_snapshot: impl FnOnce(&mut Vec<u8>, &Snapshot)) {
        self.division.encoded(out, put_snapshot);
    }

    /// Reads how the round is divided.
    pub(super) fn read_division(
        &mut self,
        input: &mut Reader<'_>,
        community: CommunityId,
        snapshot: impl FnOnce(&mut Reader<'_>) -> Result<Arc<Snapshot>, DecodeError>,
    ) -> Result<(), DecodeError> {
        self.division = Division::decoded(input, community, snapshot)?;
        // Everything else counts on it, as everywhere: who decides, and by how many.
        if let Some(Divided { convening, results, .. }) = self.divided() {
            let is_known = |number: &u16| usize::from(*number) < convening.cohorts.len();
            if convening.plan != self.plan
                || convening.validate(&self.charter).is_err()
                || !results.keys().all(is_known)
            {
                return Err(DecodeError::OutOfRange("convening"));
            }
        }
        if self.sealed.is_some() {
            self.sealed = Some(self.seal());
        }
        Ok(())
    }
}

impl Ledger {
    /// Returns where this community comes from, if it is a cohort.
    pub const fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Checks that a cohort's log may hold an entry: nobody joins it, and it is asked nothing but the one round.
    pub(super) fn check_in_cohort(&self, entry: &Entry) -> Result<(), Fault> {
        match entry {
            Entry::RoundKey(_)
            | Entry::Open(_)
            | Entry::Contribution(_)
            | Entry::Clock(_)
            | Entry::Close(_)
            | Entry::Opening(_)
            | Entry::Opened(_)
            | Entry::ShareHash(_)
            | Entry::Share(_)
            | Entry::EndPass(_)
            | Entry::Partition(_)
            | Entry::Result(_)
            | Entry::Erased(_)
            | Entry::Evidence(_)
            | Entry::Checkpoint(_)
            | Entry::Convene(_)
            | Entry::Draw(_)
            | Entry::Deal(_)
            | Entry::CohortResult(_) => Ok(()),
            Entry::Register(_)
            | Entry::Attest(_)
            | Entry::Revoke(_)
            | Entry::Vouch(_)
            | Entry::Rotate(_)
            | Entry::Veto(_)
            | Entry::RemoveAttester(_)
            | Entry::Expel(_)
            | Entry::Census(_) => Err(Fault::NotAllowed("entries about members in a cohort")),
            Entry::Poll(_)
            | Entry::Propose(_)
            | Entry::ProposeAnonymously(_)
            | Entry::ProposeWith(_)
            | Entry::PollRules(_)
            | Entry::Moderate(_)
            | Entry::Plan(_)
            | Entry::Series(_)
            | Entry::Weigh(_)
            | Entry::Assess(_)
            | Entry::Beacon(_)
            | Entry::Canonical(_)
            | Entry::MergeCards(_)
            | Entry::Amend(_) => Err(Fault::NotAllowed("another question, or other rules, in a cohort")),
        }
    }

    /// Takes an operator's word on how a round is divided; n − f equal ones divide it.
    pub(super) fn convene(&mut self, author: PublicKey, word: &Convocation) -> Result<(), Fault> {
        let Convocation { number, convening } = word;
        let id = convening.plan.id(self.community);
        let known = self.rounds.get(&id);
        let charter = Arc::clone(known.map_or_else(|| self.charter(), |round| &round.charter));
        if charter.operator(&author).is_none() {
            return Err(Fault::NotAllowed("a convening"));
        }
        convening.validate(&charter)?;
        let poll = convening.plan.ballots().and_then(|plan| self.polls.get(&plan.poll));
        // What operators of cohorts certify is theirs to say, and the rules are not.
        if poll.is_some_and(|poll| poll.opening.kind == PollKind::Amendment) {
            return Err(Fault::NotAllowed("cohorts of a vote on the rules"));
        }
        let nothing = BTreeMap::new();
        let stated = match known.map(|round| &round.division) {
            Some(Division::Whole) => return Err(Fault::NotAllowed("a convening of a round that is planned as one")),
            Some(Division::Divided(_)) => return Err(Fault::Duplicate("the convening of this round")),
            Some(Division::Due(stated)) => stated,
            None if self.origin.is_some() => return Err(Fault::NotAllowed("another question in a cohort")),
            None => &nothing,
        };
        let own = stated.get(&author);
        let times = own.map_or(0, |own| own.times);
        in_turn(times, *number, "word on how a round is divided")?;
        if own.is_some_and(|own| own.convening.as_ref() == convening) {
            return Err(Fault::Duplicate("this convening"));
        }
        bound("convenings of one operator for one round", MAX_STATEMENTS, usize::from(times) + 1)?;
        let is_alike =
            |(key, stated): &(&PublicKey, &StatedConvening)| **key != author && stated.convening.as_ref() == convening;
        let is_agreed = stated.iter().filter(is_alike).count() + 1 >= charter.quorum();
        let taken = is_agreed.then(|| self.snapshot_after(id.as_ref(), &[]));
        if let Some((_, snapshot)) = &taken {
            let smallest = snapshot.leaves().len() / convening.cohorts.len().max(1);
            if smallest < charter.policy.class_members as usize {
                return Err(Fault::NotAllowed("cohorts smaller than the members of a class that may be shown"));
            }
        }
        if known.is_none() {
            self.plan_round(author, &convening.plan)?;
        }
        let convening = Arc::new(convening.clone());
        let divided = taken.map(|(after, snapshot)| {
            self.registry = Arc::new(after);
            Box::new(Divided::new(self.community, Arc::clone(&convening), self.shared(snapshot)))
        });
        let record = Arc::make_mut(&mut self.rounds).get_mut(&id).ok_or(Fault::Unknown("round"))?;
        let record = Arc::make_mut(record);
        if let Some(divided) = divided {
            record.division = Division::Divided(divided);
            // Whatever time passed before operators were of one mind, those who draw have their graces.
            record.planned_at = None;
            record.clocks_read.clear();
            return Ok(());
        }
        if record.division.is_whole() {
            record.division = Division::Due(BTreeMap::new());
        }
        if let Division::Due(stated) = &mut record.division {
            stated.insert(author, StatedConvening { times: *number, convening });
        }
        Ok(())
    }

    pub(super) fn draw(&mut self, author: PublicKey, draw: &Draw) -> Result<(), Fault> {
        let now = self.time();
        self.in_round(draw.round, author, |round, operator| {
            let rules = DrawRules::of(round, now)?;
            round.divided_mut()?.on_draw(operator, author, draw.word, &rules)
        })
    }

    pub(super) fn deal(&mut self, author: PublicKey, round: RoundId) -> Result<(), Fault> {
        self.witnessed(round, author, |round, rules| {
            let rules = DrawRules::of(round, rules.now)?;
            round.divided_mut()?.deal(&rules)
        })
    }

    /// Takes a cohort's result. Whoever posts it, it carries its own proof.
    pub(super) fn take_cohort_result(&mut self, said: &CohortResult) -> Result<(), Fault> {
        let record = self.rounds.get(&said.round).ok_or(Fault::Unknown("round"))?;
        let divided = record.divided().ok_or(Fault::NotAllowed("a cohort's result of a round that is not divided"))?;
        let plan = divided.convening.cohorts.get(usize::from(said.number));
        let plan = plan.ok_or(Fault::NotAllowed("the result of a cohort that there is not"))?;
        if divided.dealt.is_none() {
            return Err(Fault::Phase("a cohort's result before members were dealt out"));
        }
        if divided.results.contains_key(&said.number) {
            return Err(Fault::Duplicate("this cohort's result"));
        }
        if record.sealed.is_some() {
            return Err(Fault::NotAllowed("a cohort's result after the closing"));
        }
        let cohort = divided.origin(self.community, said.number).community();
        let derived = self.derived_plan(record, cohort).ok_or(Fault::Unknown("poll"))?;
        if said.result.round != derived.id(cohort) {
            return Err(Fault::Mismatch("the round of a cohort's result"));
        }
        said.sums.check(divided.members_of(said.number), record.plan.items().len())?;
        said.verify(cohort, &plan.charter(&record.charter))?;
        let certified = CertifiedResult { result: said.result.clone(), sums: said.sums.clone() };
        let record = Arc::make_mut(&mut self.rounds).get_mut(&said.round).ok_or(Fault::Unknown("round"))?;
        Arc::make_mut(record).divided_mut()?.results.insert(said.number, certified);
        Ok(())
    }

    /// Returns the plan of a cohort's round: that of the divided one, about the cohort's poll.
    fn derived_plan(&self, record: &RoundRecord, cohort: CommunityId) -> Option<RoundPlan> {
        let ballots = record.plan.ballots()?;
        let poll: PollId = self.polls.get(&ballots.poll)?.opening.id(cohort);
        let subject = Subject::Ballots(BallotPlan { poll, number: 1, items: ballots.items.clone() });
        Some(RoundPlan { subject, ..record.plan.clone() })
    }

    /// Returns the state that the log of a cohort begins with, once members have been dealt out.
    ///
    /// It is a function of the parent's log up to that point: what is said later about members, items or rules is nothing to a
    /// cohort. Whoever follows the parent computes it.
    pub fn cohort(&self, round: &RoundId, number: u16) -> Option<Self> {
        let record = self.rounds.get(round)?;
        let divided = record.divided()?;
        let dealt = divided.dealt.as_ref()?;
        let leaves = dealt.cohorts.get(usize::from(number))?;
        let cohort = divided.convening.cohorts.get(usize::from(number))?;
        let origin = divided.origin(self.community, number);
        let plan = self.derived_plan(record, origin.community())?;
        let (asked, ballots) = (self.polls.get(&record.plan.ballots()?.poll)?, plan.ballots()?);
        let is_asked = |(item, _, _): &&(_, String, _)| ballots.items.contains(item);
        let begun = CohortStart {
            genesis: Arc::clone(&self.genesis),
            origin,
            charter: cohort.charter(&record.charter),
            planned_by: record.planned_by,
            opened_by: asked.opened_by,
            opening: asked.opening.clone(),
            items: asked.items.iter().filter(is_asked).cloned().collect(),
            leaves: leaves.clone(),
            beacon: dealt.beacon,
            divides: cohort.divides,
            plan,
        };
        let mut ledger = Self::of_cohort(begun)?;
        let (poll, id) = (*ledger.polls.keys().next()?, *ledger.rounds.keys().next()?);
        ledger.carry_meta((poll, id), self.meta_of(*round));
        Some(ledger)
    }

    /// Returns the state that the log of a cohort begins with, put together from what its parent says; `None` if the plan is not
    /// one of ballots.
    pub fn of_cohort(start: CohortStart) -> Option<Self> {
        let community = start.origin.community();
        let governance = Governance::new(start.charter);
        let (policy, id, poll) = (governance.policy_digest(), start.plan.id(community), start.plan.ballots()?.poll);
        let asked = Poll {
            items: start.items,
            rounds: vec![id],
            snapshot: Arc::new(Snapshot::new(start.leaves.clone(), policy, start.beacon)),
            policy,
            opened_by: start.opened_by,
            opening: start.opening,
        };
        let (by, collects) = ((start.planned_by, start.plan), Collects::Ballots(asked.opening.kind));
        let mut own = RoundRecord::new(id, by, Arc::clone(governance.charter()), collects, 1);
        if start.divides {
            own.division = Division::Due(BTreeMap::new());
        }
        Some(Self {
            origin: Some(start.origin),
            genesis: start.genesis,
            community,
            governance,
            registry: Arc::new(Registry::fixed(start.leaves)),
            clocks: BTreeMap::new(),
            polls: Arc::new(BTreeMap::from([(poll, Arc::new(asked))])),
            series: Arc::default(),
            rounds: Arc::new(BTreeMap::from([(id, Arc::new(own))])),
            cards: Arc::default(),
            facilitation: Arc::default(),
            convicted: BTreeSet::new(),
            at_end: true,
        })
    }

    /// Returns the rounds that are not one, for the encoding.
    pub(super) fn divisions(&self) -> Vec<(&RoundId, &RoundRecord)> {
        let divided = self.rounds.iter().filter(|(_, round)| !round.division.is_whole());
        divided.map(|(id, round)| (id, round.as_ref())).collect()
    }

    /// Appends how rounds are divided.
    pub(super) fn put_divisions(&self, out: &mut Vec<u8>, put_snapshot: impl Fn(&mut Vec<u8>, &Snapshot)) {
        let divided = self.divisions();
        put_count(out, divided.len());
        for (id, round) in divided {
            id.encode(out);
            round.put_division(out, &put_snapshot);
        }
    }
}
