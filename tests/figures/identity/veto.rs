//! How many fakes it takes to empty a constitution.
//!
//! A principle needs the support of every opinion group, so whoever makes up a group, or takes one over, has a veto.
//! Fakes are added to real Polis conversations until the constitution that the secret pipeline finds has no principle
//! left; then what it takes to get that many fakes admitted is counted.

use std::path::Path;

use chorus_node::polis::Conversation;
use chorus_protocol::{
    config::Policy,
    deliberation::{
        consensus::Bar,
        constitution::{Constitution, Criteria, Preamble},
        groups::GroupFloor,
        matrix::VoteMatrix,
        simulate::{SecretOptions, SecretOutcome, secret_pipeline},
        tally::Vote,
    },
    id::{CommunityId, PollId},
};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::table::{Printed, Table};

/// Draws of noise and dithers. Fakes have won where most draws leave no principle.
const DRAWS: u8 = 5;

/// The floor of a community that does not think of fakes: any ballot can be a group.
const ANY_GROUP: GroupFloor = GroupFloor { ballots: 1, percent: 0 };

/// How fakes vote.
#[derive(Clone, Copy, Debug)]
enum Strategy {
    /// As one block: against all that people on the whole agree with, for all that they reject.
    Simple,
    /// As a real member of the smallest group each, but against the principles.
    Cunning,
}

impl Strategy {
    const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple: one block against everything",
            Self::Cunning => "cunning: as the smallest group, but against the principles",
        }
    }
}

pub(super) fn figures() -> Vec<Printed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let mut table = Table::new(
        "Minority veto: fakes that empty the constitution (most of five draws), and what admits them",
        &[
            "conversation",
            "people",
            "principles",
            "strategy",
            "no floor",
            "floor of 10, 5 %",
            "corrupt attesters, 4 of 5",
            "5 of 7",
            "corrupt vouchers, at least",
        ],
    );
    for name in ["bg2050", "brexit"] {
        match Conversation::read(&folder.join(format!("polis-{name}"))) {
            Ok(conversation) => rows(name, &Poll::new(&conversation), &mut table),
            Err(error) => eprintln!("SKIPPED: {name}: {error} (data sets are not part of the repository)"),
        }
    }
    vec![table.into()]
}

fn rows(name: &str, poll: &Poll<'_>, table: &mut Table) {
    let people = poll.conversation.matrix.rows().len();
    for strategy in [Strategy::Simple, Strategy::Cunning] {
        let with_floor = poll.fakes_needed(strategy, SecretOptions::default().floor);
        let shown = |needed: Option<usize>| needed.map_or_else(|| format!("> {people}"), |fakes| fakes.to_string());
        // Keys of nobody need k corrupt attesters; 2k − n are enough for as many real people who take a second key.
        let attesters =
            |quorum: usize, attesters: usize| format!("{quorum} ({} for second keys)", 2 * quorum - attesters);
        table.row([
            name.to_owned(),
            people.to_string(),
            poll.principles.len().to_string(),
            strategy.name().to_owned(),
            shown(poll.fakes_needed(strategy, ANY_GROUP)),
            shown(with_floor),
            attesters(4, 5),
            attesters(5, 7),
            with_floor.map_or_else(|| format!("> {}", people / 3), |fakes| fakes.div_ceil(3).to_string()),
        ]);
    }
}

/// A conversation, and what it finds without fakes.
struct Poll<'a> {
    conversation: &'a Conversation,
    /// The items that are principles in most draws.
    principles: Vec<usize>,
    /// The rows of the smallest group of the first draw.
    minority: Vec<usize>,
}

impl<'a> Poll<'a> {
    fn new(conversation: &'a Conversation) -> Self {
        let honest = Self { conversation, principles: Vec::new(), minority: Vec::new() };
        let floor = SecretOptions::default().floor;
        let outcomes: Vec<SecretOutcome> =
            (1..=DRAWS).map(|draw| honest.run(&conversation.matrix, floor, draw)).collect();
        let found: Vec<Vec<usize>> = outcomes.iter().map(|outcome| honest.principles_of(outcome)).collect();
        let in_most = |item: &usize| 2 * found.iter().filter(|found| found.contains(item)).count() > found.len();
        let partition = &outcomes.first().expect("there are draws").partition;
        // Groups are numbered from the largest on.
        let smallest = partition.k - 1;
        let minority = partition.assignment.iter().enumerate().filter(|(_, block)| **block == smallest);
        Self {
            minority: minority.map(|(row, _)| row).collect(),
            principles: (0..conversation.matrix.items()).filter(in_most).collect(),
            ..honest
        }
    }

    /// Returns the least number of fakes, up to that of the real people, with which most draws leave no principle.
    fn fakes_needed(&self, strategy: Strategy, floor: GroupFloor) -> Option<usize> {
        let most = self.conversation.matrix.rows().len();
        // Not monotone: one fake more can move people from group to group. So every number is tried, in order.
        (0..=most).find(|&fakes| {
            let matrix = self.with_fakes(strategy, fakes);
            let empty = |draw: u8| self.principles_of(&self.run(&matrix, floor, draw)).is_empty();
            2 * (1..=DRAWS).into_par_iter().filter(|&draw| empty(draw)).count() > usize::from(DRAWS)
        })
    }

    fn run(&self, matrix: &VoteMatrix, floor: GroupFloor, draw: u8) -> SecretOutcome {
        let options = SecretOptions { floor, moderation: self.conversation.moderation(), ..SecretOptions::default() };
        secret_pipeline(matrix, [draw; 32], &options).expect("few items")
    }

    /// Returns the items of the constitution that follows, by the default policy.
    fn principles_of(&self, outcome: &SecretOutcome) -> Vec<usize> {
        let policy = Policy::default();
        let criteria = Criteria {
            bar: Bar::new(policy.bar_numerator, policy.bar_denominator).expect("the default is a fraction"),
            min_seen: policy.min_seen.into(),
        };
        let preamble = Preamble {
            community: CommunityId::default(),
            name: "Town".into(),
            purpose: "To agree".into(),
            version: 1,
            poll: PollId::default(),
        };
        let hidden = self.conversation.moderation().hidden;
        let draft = Constitution::draft(preamble, criteria, &outcome.groups, &hidden, |_| Some(String::new()));
        draft.principles.iter().map(|principle| usize::try_from(principle.item).expect("few items")).collect()
    }

    fn with_fakes(&self, strategy: Strategy, fakes: usize) -> VoteMatrix {
        let real = &self.conversation.matrix;
        let totals = real.totals();
        let opposed: Vec<Option<Vote>> = totals
            .items
            .iter()
            .map(|tally| Some(if tally.agree >= tally.disagree { Vote::Disagree } else { Vote::Agree }))
            .collect();
        let ballot = |fake: usize| {
            let mut ballot = match strategy {
                Strategy::Simple => opposed.clone(),
                Strategy::Cunning => real.rows()[self.minority[fake % self.minority.len()]].clone(),
            };
            self.principles.iter().for_each(|&item| ballot[item] = Some(Vote::Disagree));
            ballot
        };
        let rows = real.rows().iter().cloned().chain((0..fakes).map(ballot)).collect();
        VoteMatrix::new(real.items(), rows).expect("each ballot has one entry per item")
    }
}
