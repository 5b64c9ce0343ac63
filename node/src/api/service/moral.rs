//! The moral graph, from the results of rounds.

use std::{collections::BTreeSet, sync::Arc};

use chorus_protocol::{
    deliberation::moral_graph::{CountingRule, MoralGraph, MoralVotes, Options, Thresholds, Weighting},
    ledger::{Collects, Ledger, RoundRecord},
    log::entry::PollKind,
    round::moral::{cards_of_case, moral_votes},
};

use super::{ApiError, Service, values::poll_of, view};

impl Service {
    /// Returns the moral graph that is asked for, and the votes that it was made from.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`](super::Kind::Invalid) if a filter names what there is not, and
    /// [`Kind::Unavailable`](super::Kind::Unavailable) if a result cannot be had.
    pub async fn moral_graph(&self, asked: &view::AskGraph) -> Result<(MoralGraph, MoralVotes), ApiError> {
        let ledger = self.ledger().await?;
        let rounds = asked.rounds.as_deref().map(rounds).transpose()?;
        let case = asked.case.as_deref().map(|case| poll_of(&ledger, case, PollKind::Value)).transpose()?;
        let mut votes = self.votes_on_values(&ledger, rounds.as_ref()).await?;
        if !asked.unmerged {
            votes = votes.merged(ledger.cards().merges());
        }
        if let Some(case) = case {
            let cards: BTreeSet<_> = cards_of_case(&ledger, &case, !asked.unmerged);
            votes = votes.among(&cards);
        }
        if let Some(context) = asked.context.as_deref().filter(|context| !votes.contexts().contains(context)) {
            let known: Vec<&str> = votes.contexts().into_iter().collect();
            return Err(ApiError::invalid(format!(
                "nobody was asked in the context {context:?}; there are: {}",
                known.join("; ")
            )));
        }
        let options = options(asked);
        let make = move || (MoralGraph::new(&votes, options), votes);
        Ok(tokio::task::spawn_blocking(make).await?)
    }

    /// Returns what people said about values, merges not applied: in all finished rounds, or in those with these numbers.
    pub(super) async fn votes_on_values(
        &self,
        ledger: &Ledger,
        rounds: Option<&BTreeSet<u32>>,
    ) -> Result<MoralVotes, ApiError> {
        let is_about_values = |round: &&Arc<RoundRecord>| {
            matches!(round.collects, Collects::Ballots(PollKind::Value | PollKind::Transition))
        };
        let about_values: Vec<&Arc<RoundRecord>> = ledger.rounds().values().filter(is_about_values).collect();
        if let Some(unknown) = rounds.into_iter().flatten().find(|number| {
            !about_values.iter().any(|round| round.ordinal == **number && round.agreed_result().is_some())
        }) {
            return Err(ApiError::invalid(format!("round {unknown} is no finished round of votes on values")));
        }
        let mut reports = Vec::new();
        for round in about_values.iter().filter(|round| rounds.is_none_or(|rounds| rounds.contains(&round.ordinal))) {
            let Some(result) = round.agreed_result() else { continue };
            reports.push(self.finished_result(result.result).await?);
        }
        Ok(moral_votes(ledger, reports.iter().map(|finished| finished.report())))
    }
}

fn options(asked: &view::AskGraph) -> Options {
    let rule = CountingRule::from(asked.rule);
    let usual = rule.thresholds();
    Options {
        thresholds: Thresholds {
            min_wiser: asked.min_wiser.unwrap_or(usual.min_wiser),
            min_likelihood: asked.min_likelihood.unwrap_or(usual.min_likelihood),
            max_entropy: asked.max_entropy.unwrap_or(usual.max_entropy),
        },
        weighting: if asked.equal { Weighting::Equal } else { Weighting::Likelihood },
        context: asked.context.clone(),
        ..rule.into()
    }
}

/// Reads numbers of rounds, separated by commas.
fn rounds(text: &str) -> Result<BTreeSet<u32>, ApiError> {
    let number = |part: &str| part.trim().parse();
    text.split(',')
        .map(number)
        .collect::<Result<_, _>>()
        .map_err(|_| ApiError::invalid(format!("{text:?} are no numbers of rounds: see `chorus status`")))
}
