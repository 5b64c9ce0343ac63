//! Admission: a newcomer's request, and an attester's word on it.

use chorus_crypto::domain;
use chorus_protocol::log::entry::{Entry, Registration};

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
        if ledger.members().contains_key(&key) {
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
        if !ledger.genesis().attesters.contains(&own) {
            return Err(ApiError::refused("you are no attester of this community"));
        }
        if asked.community != ledger.community() {
            return Err(ApiError::refused("the request is of another community"));
        }
        asked.verify().map_err(|error| ApiError::refused(format!("the request does not hold: {error}")))?;
        let attested = Registration::attested_bytes(asked.community, asked.key, &asked.leaf);
        let registration = Registration {
            key: asked.key,
            leaf: asked.leaf,
            opening: asked.opening,
            attester: own,
            attestation: person.key.sign(domain::ATTESTATION, &attested),
        };
        self.say(&mut ledger, vec![Entry::Register(registration)]).await?;
        let key = asked.key;
        self.until(|peer| peer.ledger().members().contains_key(&key), wait(request.wait_seconds)).await?;
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
        let member = |(key, member): (&chorus_crypto::sign::PublicKey, &chorus_protocol::ledger::Member)| {
            view::Member { key: text(*key), attester: text(member.attester), own: own == Some(*key) }
        };
        Ok(ledger.members().iter().map(member).collect())
    }
}
