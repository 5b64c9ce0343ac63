//! The rules in force, and their change: a draft, the members' vote on it, and the operators' consent.

use std::{collections::BTreeSet, sync::Arc};

use chorus_crypto::{
    codec::{Decode as _, Encode as _},
    sign::PublicKey,
};
use chorus_protocol::{
    charter::{Amendment, Charter, Consent, Draft, check_vote},
    config::Policy,
    id::{BlobId, RoundId},
    ledger::{Ledger, RoundState},
    log::{
        batch::Height,
        entry::{Entry, PollKind},
    },
    peer::{Command, Peer},
    round::report::RoundReport,
};

use super::{ApiError, Kind, Service, text, view, wait};

/// How many heights lie between the first consent and the effect, if nobody says: time for the other operators to
/// consent.
const HEIGHTS_AHEAD: u64 = 64;

/// An amendment that others state is joined if it leaves at least so many heights.
const HEIGHTS_LEFT: u64 = 4;

impl Service {
    /// Returns the rules in force, and what may become of them.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`] if the node has stopped.
    pub async fn charter(&self) -> Result<view::CharterView, ApiError> {
        let ledger = self.ledger().await?;
        let own = self.person().ok().map(|person| person.key.public());
        Ok(charter_view(&ledger, own))
    }

    /// Drafts an amendment and asks the members: keeps the draft, opens a poll with one item, and begins voting.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Invalid`] if the rules would make no sense, and [`Kind::Refused`] if the person is no operator or an
    /// amendment waits for its height.
    pub async fn draft_amendment(&self, asked: view::DraftAmendment) -> Result<view::DraftView, ApiError> {
        let ledger = self.ledger().await?;
        self.operator(&ledger, "ask for amendments")?;
        if ledger.pending_amendment().is_some() {
            return Err(ApiError::refused("an amendment waits for its height: see `chorus community show`"));
        }
        let charter = changed(ledger.charter(), &asked)?;
        if charter == *ledger.charter().as_ref() {
            return Err(ApiError::invalid("this changes nothing"));
        }
        charter.validate().map_err(|error| ApiError::invalid(error.to_string()))?;
        if !ledger.charter().keeps_attributes_of(&charter) {
            return Err(ApiError::invalid("attributes and their values can be added, but not renamed or removed"));
        }
        let number = u32::try_from(ledger.amendments().len() + 1).unwrap_or(u32::MAX);
        let draft = Draft { number, charter };
        let item = draft.item_text(ledger.charter());
        self.node.command(Command::Keep(draft.to_bytes().into())).await?;
        let opening = view::OpenPoll {
            kind: view::Asks::Amendment,
            question: format!("Shall the rules change? (amendment {number}, draft {})", draft.id()),
            context: String::new(),
            items: vec![item.clone()],
            duration_millis: Some(asked.duration_millis),
            wait_seconds: asked.wait_seconds,
            ..view::OpenPoll::default()
        };
        let poll = self.open_poll(opening).await?;
        Ok(view::DraftView { number, draft: draft.id(), item, poll: poll.id })
    }

    /// States this operator's consent to a draft for which the members voted.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the vote has no result or does not carry the draft, and [`Kind::Invalid`] if there is
    /// no such draft.
    pub async fn approve_amendment(&self, asked: view::ApproveAmendment) -> Result<view::CharterView, ApiError> {
        let wait = wait(asked.wait_seconds);
        let ledger = self.ledger().await?;
        let own = self.operator(&ledger, "consent to amendments")?;
        let found = find_draft(&ledger, &asked.draft)?;
        let draft = Draft::from_bytes(&self.node.fetch(found.draft).await?)
            .map_err(|_| ApiError::invalid("what the poll names is no draft"))?;
        let item = draft.item(ledger.charter());
        if !found.items.contains(&item) {
            return Err(ApiError::refused(
                "the poll's text is not what this draft changes in the rules as they are now",
            ));
        }
        let round = self.vote_that_carries(&ledger, item, &found.votes).await?;
        let effective = asked.effective.map_or_else(|| joined(&ledger, &draft, round), Height);
        let amendment = Amendment { draft, round, effective };
        ledger.check_amendment(&amendment).map_err(|fault| ApiError::refused(fault.to_string()))?;
        let consent =
            Consent { number: ledger.consents_of(&own, round).saturating_add(1), amendment: amendment.clone() };
        self.node.command(Command::Post(Entry::Amend(Box::new(consent)))).await?;
        let number = amendment.draft.number;
        let said = move |peer: &Peer| {
            let ledger = peer.ledger();
            ledger.stated_amendments().get(&own).is_some_and(|stated| stated.as_ref() == &amendment)
                || ledger.amendments().iter().any(|adopted| adopted.number == number)
        };
        self.until(said, wait).await?;
        self.charter().await
    }
}

impl Service {
    /// Returns the latest of these rounds whose result carries an item; an error says why the latest does not.
    async fn vote_that_carries(
        &self,
        ledger: &Ledger,
        item: BlobId,
        votes: &[(RoundId, BlobId)],
    ) -> Result<RoundId, ApiError> {
        let mut refused = None;
        for (round, _) in votes.iter().filter(|(_, asked)| *asked == item) {
            let record = ledger.rounds().get(round).ok_or_else(|| ApiError::invalid("there is no such round"))?;
            let Some(result) = record.agreed_result().map(|result| result.result) else { continue };
            let report = RoundReport::from_bytes(&self.node.fetch(result).await?)
                .map_err(|error| ApiError::new(Kind::Internal, format!("the result does not read: {error}")))?;
            match check_vote(&report, item, &record.charter.policy) {
                Ok(_) => return Ok(*round),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        Err(ApiError::refused(refused.map_or_else(
            || "the vote has no result yet: `chorus result --wait 1h` waits for it".to_owned(),
            |why| why.to_string(),
        )))
    }
}

/// The height that other operators state for the same draft, or one that leaves them time.
fn joined(ledger: &Ledger, draft: &Draft, round: RoundId) -> Height {
    let alike = |amendment: &&Arc<Amendment>| {
        amendment.draft == *draft
            && amendment.round == round
            && amendment.effective.0 > ledger.height().0 + HEIGHTS_LEFT
    };
    let stated = ledger.stated_amendments().values().filter(alike).map(|amendment| amendment.effective).min();
    stated.unwrap_or(Height(ledger.height().0 + HEIGHTS_AHEAD))
}

struct Found {
    draft: BlobId,
    /// The items that ask for it.
    items: BTreeSet<BlobId>,
    /// The finished rounds that asked for it, and for which item, the latest first.
    votes: Vec<(RoundId, BlobId)>,
}

/// Finds a draft by the beginning of its id, or the only one that has been asked for and not adopted. Of the polls that ask
/// for it that one counts whose vote carries it: any operator may ask again, and the votes that were cast stay.
fn find_draft(ledger: &Ledger, reference: &str) -> Result<Found, ApiError> {
    let adopted: BTreeSet<BlobId> = ledger.amendments().iter().map(|adopted| adopted.draft).collect();
    let polls = ledger.polls().values().filter(|poll| poll.opening.kind == PollKind::Amendment);
    let drafts = polls.flat_map(|poll| poll.items.iter().map(move |item| (poll, item)));
    let named = drafts.filter_map(|(poll, (item, text, _))| Some((poll, *item, Draft::named_in(text)?)));
    let matching: Vec<_> = named
        .filter(|(_, _, draft)| !adopted.contains(draft) && draft.to_string().starts_with(reference.trim()))
        .collect();
    let distinct: BTreeSet<BlobId> = matching.iter().map(|(_, _, draft)| *draft).collect();
    let (Some((_, _, draft)), 1) = (matching.first(), distinct.len()) else {
        return Err(ApiError::invalid(match distinct.len() {
            0 => "there is no such draft, or it has been adopted",
            _ => "there are several drafts: give the beginning of one's id",
        }));
    };
    // The latest first. The text is a function of the charter in force as well: a draft of the same id may be asked for in another item.
    let votes = matching.iter().flat_map(|(poll, item, _)| poll.rounds.iter().map(move |round| (round, *item)));
    let finished = votes.filter_map(|(round, item)| {
        let record = ledger.rounds().get(round)?;
        (record.state() == RoundState::Finished && record.plan.items().contains(&item)).then_some((record, item))
    });
    let mut votes: Vec<(u32, RoundId, BlobId)> =
        finished.map(|(record, item)| (record.ordinal, record.id, item)).collect();
    votes.sort_unstable_by(|a, b| b.cmp(a));
    let items = matching.iter().map(|(_, item, _)| *item).collect();
    Ok(Found { draft: *draft, items, votes: votes.into_iter().map(|(_, round, item)| (round, item)).collect() })
}

/// Returns the charter with what is asked.
fn changed(current: &Charter, asked: &view::DraftAmendment) -> Result<Charter, ApiError> {
    let mut charter = current.clone();
    for key in &asked.remove_operators {
        let gone = find_operator(&charter, key)?;
        charter.operators.retain(|known| *known != gone);
    }
    charter.operators.extend(asked.add_operators.iter().map(|key| read_key(key)).collect::<Result<Vec<_>, _>>()?);
    charter.operators.sort_unstable();
    if let Some(changes) = &asked.policy {
        charter.policy = with_changes(&charter.policy, changes)?;
    }
    if let Some(weights) = &asked.weights {
        charter.weights.clone_from(weights);
        charter.weights.sort_unstable_by_key(|weights| weights.slot);
    }
    Ok(charter)
}

fn find_operator(charter: &Charter, reference: &str) -> Result<PublicKey, ApiError> {
    let mut matching = charter.operators.iter().filter(|key| key.to_string().starts_with(reference));
    match (matching.next(), matching.next()) {
        (Some(key), None) if reference.len() >= 6 => Ok(*key),
        _ => Err(ApiError::invalid(format!("{reference} is no operator's key, nor the first 6 or more digits of one"))),
    }
}

fn read_key(text: &str) -> Result<PublicKey, ApiError> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let key = bytes.and_then(|bytes| <[u8; PublicKey::LEN]>::try_from(bytes).ok());
    key.map(Into::into).ok_or_else(|| ApiError::invalid(format!("{text} is no key: those are 64 hexadecimal digits")))
}

/// Returns a policy with the fields that change.
fn with_changes(policy: &Policy, changes: &serde_json::Map<String, serde_json::Value>) -> Result<Policy, ApiError> {
    let unreadable = |error: serde_json::Error| ApiError::invalid(format!("these are no rules: {error}"));
    let mut all = serde_json::to_value(policy).map_err(unreadable)?;
    if let Some(all) = all.as_object_mut() {
        all.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    serde_json::from_value(all).map_err(unreadable)
}

fn charter_view(ledger: &Ledger, own: Option<PublicKey>) -> view::CharterView {
    let charter = ledger.charter();
    let adopted = |adopted: &chorus_protocol::ledger::Adopted| view::AdoptedView {
        number: adopted.number,
        draft: adopted.draft,
        round: adopted.round,
        effective: adopted.effective.0,
        in_force: adopted.effective <= ledger.height().next(),
    };
    let stated = |(key, amendment): (&PublicKey, &Arc<Amendment>)| view::StatedView {
        operator: text(*key),
        draft: amendment.draft.id(),
        effective: amendment.effective.0,
    };
    view::CharterView {
        community: ledger.community(),
        name: ledger.genesis().name.clone(),
        height: ledger.height().0,
        operators: charter.operators.iter().copied().map(text).collect(),
        own: own.and_then(|own| charter.operator(&own)),
        consents_needed: charter.quorum(),
        attesters: charter.attesters.iter().map(|attester| text(attester.key)).collect(),
        policy: charter.policy.clone(),
        weights: charter.weights.clone(),
        stated: ledger.stated_amendments().iter().map(stated).collect(),
        amendments: ledger.amendments().iter().map(adopted).collect(),
    }
}
