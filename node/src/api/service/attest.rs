//! Admission: a newcomer's request, and an attester's word on it.

use chorus_protocol::{
    log::entry::{Entry, Registration},
    registry::attestation::Attestation,
    time::Timestamp,
};

use super::{ApiError, Service, text, view, wait};
use crate::config::{invite::AttestationRequest, token::TextForm as _};

impl Service {
    /// Returns the request of the person at this node, to be handed to an attester.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the person is a member already.
    pub async fn request_attestation(&self) -> Result<view::Request, ApiError> {
        let person = self.person()?;
        let key = person.key.public();
        let ledger = self.ledger().await?;
        if ledger.is_member(&key) {
            return Err(ApiError::refused("you are a member already"));
        }
        let mut rng = self.randomness.generator("attestation request", &[]);
        let request = AttestationRequest::new(ledger.community(), key, &person.leaf, &mut rng);
        Ok(view::Request { request: request.to_text(), wait_seconds: None })
    }

    /// Attests that a request comes from one distinct person, and makes them a member.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the person at this node is no attester, or if the request
    /// does not hold or is of another community.
    pub async fn approve(&self, request: view::Request) -> Result<view::Member, ApiError> {
        let person = self.person()?;
        let asked =
            AttestationRequest::from_text(&request.request).map_err(|error| ApiError::invalid(error.to_string()))?;
        let mut ledger = self.ledger().await?;
        let own = person.key.public();
        if ledger.genesis().attester(&own).is_none() {
            return Err(ApiError::refused("you are no attester of this community"));
        }
        if asked.community != ledger.community() {
            return Err(ApiError::refused("the request is of another community"));
        }
        asked.verify().map_err(|error| ApiError::refused(format!("the request does not hold: {error}")))?;
        let ever = (ledger.time(), Timestamp::from_millis(u64::MAX));
        let policy = ledger.genesis().policy_digest();
        let attestation = Attestation::sign(&person.key, asked.community, asked.claim, policy, ever);
        let key = asked.claim.key;
        let entry = if ledger.registry().person(&key).is_some() {
            Entry::Attest(attestation)
        } else {
            let attestations = vec![attestation];
            Entry::Register(Registration { claim: asked.claim, opening: asked.opening, attestations })
        };
        self.say(&mut ledger, vec![entry]).await?;
        self.until(|peer| peer.ledger().is_member(&key), wait(request.wait_seconds)).await?;
        Ok(view::Member { key: text(key), attester: text(own), own: key == own })
    }

    /// Returns all members.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Internal`](super::Kind::Internal) if the node has stopped.
    pub async fn members(&self) -> Result<Vec<view::Member>, ApiError> {
        let own = self.person.as_ref().map(|person| person.key.public());
        let ledger = self.ledger().await?;
        let member = |key: chorus_crypto::sign::PublicKey| {
            let attesters = ledger.registry().person(&key).into_iter().flat_map(|person| person.attestations.keys());
            let attester = attesters.map(|attester| text(*attester)).next().unwrap_or_default();
            view::Member { key: text(key), attester, own: own == Some(key) }
        };
        Ok(ledger.members().into_iter().map(member).collect())
    }
}
