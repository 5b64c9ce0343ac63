//! Who is admitted, who is on the way, and by whom.

use chorus_crypto::sign::PublicKey;
use chorus_protocol::{
    ledger::Ledger,
    registry::{
        Departure, Person as Registered,
        policy::{Admission, Quorum},
        snapshot::cohorts_of,
    },
};

use super::{ApiError, Service, text, view};
use crate::api::Code;
use crate::{attester::Fate, vault::NoLeaf};

impl Service {
    /// Returns everybody who has registered and not gone, the attesters, recoveries and attributes.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`](super::Kind::Internal) if the node has stopped.
    pub async fn people(&self) -> Result<view::People, ApiError> {
        let own = self.person.as_ref().map(|person| person.key.public());
        let ledger = self.ledger().await?;
        let registry = ledger.registry();
        let present = registry.people().filter(|(_, person)| person.departure.is_none());
        let (members, candidates): (Vec<_>, Vec<_>) = present
            .map(|(key, person)| member(&ledger, key, person, own))
            .partition(|member: &view::Member| member.standing.member);
        let attester = |attester: &chorus_protocol::registry::policy::Attester| view::AttesterView {
            key: text(attester.key),
            organisation: attester.organisation.clone(),
            own: own == Some(attester.key),
            removed_at: registry.removed_attesters().get(&attester.key).map(|at| at.as_millis()),
        };
        let recoveries = registry.people().filter(|(_, person)| person.departure.is_none());
        Ok(view::People {
            members,
            candidates,
            attesters: ledger.charter().attesters.iter().map(attester).collect(),
            recoveries: recoveries.filter_map(|(key, person)| recovery(key, person, own)).collect(),
            attributes: attributes(&ledger),
            log_time: ledger.time().as_millis(),
        })
    }
}

fn member(ledger: &Ledger, key: &PublicKey, person: &Registered, own: Option<PublicKey>) -> view::Member {
    let attested_by = person.attestations.values().map(|attestation| view::AttestedBy {
        attester: text(attestation.attester),
        expires: attestation.expires.as_millis(),
    });
    let attributes = ledger.charter().policy.attributes.iter();
    let checked = (0u8..).zip(attributes).filter(|(slot, _)| person.claim.slots >> slot & 1 == 1);
    view::Member {
        key: text(*key),
        own: own == Some(*key),
        standing: standing(ledger, key),
        attested_by: attested_by.collect(),
        checked: checked.map(|(_, attribute)| attribute.name.clone()).collect(),
    }
}

fn recovery(key: &PublicKey, person: &Registered, own: Option<PublicKey>) -> Option<view::RecoveryView> {
    let (recovery, lost) = (person.recovery.filter(|recovery| !recovery.done)?, person.claim.recovers?);
    Some(view::RecoveryView {
        key: text(*key),
        lost: text(lost),
        due: recovery.due.as_millis(),
        vetoed: recovery.vetoed,
        own: own == Some(lost),
    })
}

fn attributes(ledger: &Ledger) -> Vec<view::AttributeView> {
    let charter = ledger.charter();
    let cohorts = cohorts_of(ledger.members().len());
    (0u8..)
        .zip(&charter.policy.attributes)
        .map(|(slot, attribute)| {
            let open = ledger.registry().open_values(charter, slot, cohorts);
            let value =
                |(number, name): (u16, &chorus_protocol::config::Name)| (name.text.clone(), open.contains(&number));
            view::AttributeView {
                name: attribute.name.clone(),
                values: (1..).zip(&attribute.values).map(value).collect(),
            }
        })
        .collect()
}

/// Returns the key that is to take over from a key.
pub(super) fn successor(ledger: &Ledger, lost: &PublicKey) -> Result<PublicKey, ApiError> {
    let takes_over = |(_, person): &(&PublicKey, &Registered)| {
        person.claim.recovers == Some(*lost) && person.recovery.is_some_and(|recovery| !recovery.done)
    };
    let mut pending = ledger.registry().people().filter(takes_over).map(|(key, _)| *key);
    match (pending.next(), pending.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(ApiError::refused("nobody wants to take over from your key: there is nothing to deny")),
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "several keys want to take over from yours: deny each by name, see `chorus attest list --pending`",
        )),
    }
}

/// Returns how far somebody is on the way to membership.
pub(super) fn standing(ledger: &Ledger, key: &PublicKey) -> view::Standing {
    let (charter, registry) = (ledger.charter(), ledger.registry());
    let quorum = quorum(&charter.policy.admission);
    let vouching = charter.policy.admission.vouching();
    let expiry = vouching.map_or(0, |vouching| vouching.expiry_millis);
    let lives = |given: &chorus_protocol::time::Timestamp| ledger.time() < given.plus_millis(expiry);
    view::Standing {
        attestations: quorum.map_or(0, |quorum| attestations(ledger, quorum, key)),
        attestations_needed: quorum.map(|quorum| quorum.needed),
        vouches: registry.vouches().iter().filter(|((_, to), given)| to == key && lives(given)).count(),
        vouches_needed: vouching.map(|vouching| vouching.min_vouches),
        member: ledger.is_member(key),
    }
}

/// Returns how many attestations count, given the bound for each organisation.
fn attestations(ledger: &Ledger, quorum: &Quorum, key: &PublicKey) -> usize {
    let (charter, registry, now) = (ledger.charter(), ledger.registry(), ledger.time());
    let Some(person) = registry.person(key) else { return 0 };
    let mut by_organisation = std::collections::BTreeMap::<&str, usize>::new();
    for attestation in person.attestations.values().filter(|attestation| attestation.is_valid_at(now)) {
        let Some(attester) = charter.attester(&attestation.attester) else { continue };
        let removed = registry.removed_attesters().get(&attester.key);
        if removed.is_none_or(|at| now < at.plus_millis(charter.policy.grace_millis)) {
            *by_organisation.entry(&attester.organisation).or_default() += 1;
        }
    }
    by_organisation.values().map(|count| (*count).min(quorum.per_organisation.into())).sum()
}

/// Returns the first quorum of a formula.
pub(super) fn quorum(admission: &Admission) -> Option<&Quorum> {
    match admission {
        Admission::Quorum(quorum) => Some(quorum),
        Admission::Vouch(_) => None,
        Admission::All(rules) | Admission::Any(rules) => rules.iter().find_map(quorum),
    }
}

/// Returns what became of a key that was attested before.
pub(super) fn fate(ledger: &Ledger, key: &PublicKey) -> Fate {
    let Some(person) = ledger.registry().person(key) else { return Fate::Stands };
    match person.departure {
        Some(Departure::Recovered(by)) => Fate::Succeeded(by),
        // Who left may come back with another key; who was expelled may not.
        Some(Departure::Left) => Fate::Void,
        Some(Departure::Expelled) => Fate::Stands,
        None if person.recovery.is_some_and(|recovery| recovery.vetoed) => Fate::Void,
        None => Fate::Stands,
    }
}

/// Returns why somebody cannot speak in what has begun, and what they can do.
pub(super) fn no_leaf(ledger: &Ledger, key: &PublicKey, why: NoLeaf) -> ApiError {
    let departed = ledger.registry().person(key).is_some_and(|person| person.departure.is_some());
    let code = match (why, departed) {
        (_, true) => Code::Left,
        (NoLeaf::Elsewhere, false) => Code::LeafElsewhere,
        (NoLeaf::NotInForce, false) => Code::NotInForce,
    };
    ApiError::coded(
        code,
        match (why, departed, ledger.is_member(key)) {
            (NoLeaf::Elsewhere, false, _) => why.to_string(),
            (_, true, _) => {
                "you are no member any more: this key has left, or another has taken over from it".to_owned()
            }
            (NoLeaf::NotInForce, false, true) => {
                format!("{why}: you take part in what begins from now on")
            }
            (NoLeaf::NotInForce, false, false) => {
                "you are not a member yet: see `chorus attest request`, and `chorus attest list` for how far you are"
                    .to_owned()
            }
        },
    )
}

/// Finds somebody by a key, the beginning of one that has registered or attests, or `me`.
pub(super) fn find(ledger: &Ledger, reference: &str, own: PublicKey) -> Result<PublicKey, ApiError> {
    if reference == "me" {
        return Ok(own);
    }
    let reference = reference.to_ascii_lowercase();
    let is_hex = (6..=64).contains(&reference.len()) && reference.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex {
        return Err(ApiError::coded(
            Code::NoKey,
            "a key is 64 hexadecimal digits, or the first 6 or more of them, or me",
        ));
    }
    let attesters = ledger.charter().attesters.iter().map(|attester| attester.key);
    let known = ledger.registry().people().map(|(key, _)| *key).chain(attesters);
    let matching: std::collections::BTreeSet<PublicKey> =
        known.filter(|key| text(*key).starts_with(&reference)).collect();
    match (matching.len(), matching.first()) {
        (1, Some(key)) => Ok(*key),
        (0, _) => Err(ApiError::coded(Code::NoKey, format!("nobody here has a key that begins with {reference}"))),
        (_, _) => Err(ApiError::coded(Code::Ambiguous, format!("several keys begin with {reference}"))),
    }
}
