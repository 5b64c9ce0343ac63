//! The moral graph of a community: from the public results of its rounds, and what its operators say about cards.

use std::collections::{BTreeMap, BTreeSet};

use super::report::RoundReport;
use crate::{
    deliberation::{
        moral_graph::{MoralGraph, MoralVotes, Options, Transition, ValuesCard},
        tally::Tally,
    },
    id::{BlobId, PollId},
    ledger::Ledger,
    log::entry::PollKind,
};

/// Returns what people said about values and transitions in rounds of value and transition polls, merges not applied.
///
/// Every item of a value poll that is a values card is one; an item of a transition poll counts if it is a transition
/// between two such cards. In which order the reports come does not matter, and which are given decides what the graph is
/// of: all rounds, or those of some polls.
///
/// Everybody votes in every round anew, and nobody can tell who voted in which. So that no person counts twice for one
/// item, only the latest of the rounds counts that asked about it, by its place on the log.
pub fn moral_votes<'a>(ledger: &Ledger, reports: impl IntoIterator<Item = &'a RoundReport>) -> MoralVotes {
    let mut votes = MoralVotes::default();
    let polls = || ledger.polls().values();
    let items = |kind| polls().filter(move |poll| poll.opening.kind == kind).flat_map(|poll| &poll.items);
    items(PollKind::Value)
        .filter_map(|(_, text, _)| ValuesCard::from_text(text).ok())
        .for_each(|it| votes.add_card(it));
    let mut latest = BTreeMap::<(PollKind, BlobId), (u32, Tally)>::new();
    for report in reports {
        let known = (ledger.rounds().get(&report.round), ledger.polls().get(&report.poll), report.totals());
        let (Some(round), Some(poll), Some(totals)) = known else { continue };
        for (item, tally) in report.items.iter().zip(&totals.items) {
            let standing = latest.entry((poll.opening.kind, *item)).or_default();
            if round.ordinal > standing.0 {
                *standing = (round.ordinal, *tally);
            }
        }
    }
    let tally = |kind, item: &BlobId| latest.get(&(kind, *item)).map(|(_, tally)| *tally);
    // A text in two polls is one item.
    let transitions: BTreeMap<_, _> = items(PollKind::Transition).map(|(id, text, _)| (*id, text)).collect();
    for (id, text) in transitions {
        if let (Some(tally), Ok(transition)) = (tally(PollKind::Transition, &id), Transition::from_text(text)) {
            votes.add_answers(transition.question(), tally);
        }
    }
    for ((kind, item), (_, tally)) in &latest {
        if *kind == PollKind::Value {
            votes.add_endorsement(*item, *tally);
        }
    }
    votes
}

/// Returns the cards of a case: the items of a value poll that are values cards; with merges, each as the card that stands
/// for it.
pub fn cards_of_case(ledger: &Ledger, case: &PollId, is_merged: bool) -> BTreeSet<BlobId> {
    let poll = ledger.polls().get(case).filter(|poll| poll.opening.kind == PollKind::Value);
    let items = poll.into_iter().flat_map(|poll| &poll.items);
    let cards = items.filter(|(_, text, _)| ValuesCard::from_text(text).is_ok());
    cards.map(|(id, _, _)| if is_merged { ledger.cards().merges().canonical(*id) } else { *id }).collect()
}

/// Returns the moral graph of a community with the merges that count, and the votes that it was made from.
pub fn moral_graph<'a>(
    ledger: &Ledger,
    reports: impl IntoIterator<Item = &'a RoundReport>,
    options: Options,
) -> (MoralGraph, MoralVotes) {
    let votes = moral_votes(ledger, reports).merged(ledger.cards().merges());
    (MoralGraph::new(&votes, options), votes)
}
