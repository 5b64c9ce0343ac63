//! Admission: a newcomer's request, and an attester's word on it.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chorus_crypto::{credential::SLOTS, sign::PublicKey};
use chorus_protocol::{
    config::Policy,
    fault::Fault,
    ledger::Ledger,
    log::entry::{Entry, Registration, SignedEntry},
    registry::attestation::{Attestation, Claim},
    time::Timestamp,
};

use super::{ApiError, Kind, Service, people, text, try_entries, view, wait};
use crate::api::Code;
use crate::{
    attester::{
        Acquaintance, CodeState, Desk, MAX_CODES_AT_ONCE,
        evidence::{self, Evidence, Statement},
        hook::HookRequest,
    },
    config::{
        invite::{AttestationRequest, MAX_EVIDENCE_BYTES},
        token::TextForm as _,
    },
};

/// How long an attestation counts if nobody says how long: a year, in milliseconds.
const USUAL_EXPIRY_MILLIS: u64 = 365 * 24 * 3_600_000;

impl Service {
    /// Returns the request of the person at this node, to be handed to an attester. Somebody who has registered asks
    /// with what is registered: for another attestation, or for one to be renewed.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if other attributes are registered, and [`Kind::Invalid`] if there are none such.
    pub async fn request_attestation(&self, asked: view::AskForAttestation) -> Result<view::Request, ApiError> {
        let person = self.person()?;
        let key = person.key.public();
        let ledger = self.ledger().await?;
        let policy = &ledger.charter().policy;
        if asked.evidence.len() > MAX_EVIDENCE_BYTES {
            return Err(ApiError::coded(Code::TooLong, format!("what is shown has over {MAX_EVIDENCE_BYTES} bytes"))
                .with("bound", MAX_EVIDENCE_BYTES));
        }
        // Who asks a second attester says the same as to the first.
        let attributes = match asked.attributes.as_slice() {
            [] => *person.vault.current().attributes(),
            stated => slots(policy, stated)?,
        };
        let recovers = asked.recovers.as_deref().map(|lost| people::find(&ledger, lost, key)).transpose()?;
        if recovers == Some(key) {
            return Err(ApiError::invalid("that is your present key: recover with the keys of a new data directory"));
        }
        let (claim, leaf) = match ledger.registry().person(&key) {
            Some(registered) => {
                if registered.departure.is_some() {
                    return Err(ApiError::coded(
                        Code::Left,
                        "this key has left, was expelled, or another has taken over from it: it cannot come back. \
                         Begin with the keys of a new data directory",
                    ));
                }
                let leaf = person.vault.find(&registered.claim.leaf).ok_or(crate::vault::NoLeaf::Elsewhere)?;
                if *leaf.attributes() != attributes {
                    return Err(ApiError::coded(
                        Code::Registered,
                        "you have registered with other attributes, which cannot be changed",
                    ));
                }
                if recovers.is_some() && recovers != registered.claim.recovers {
                    return Err(ApiError::refused("your key is registered, and does not recover another"));
                }
                (registered.claim, leaf)
            }
            None => {
                let mut rng = self.randomness.generator("leaf", &attributes.map(u64::to_be_bytes).concat());
                let leaf = person.vault.with_attributes(attributes, &mut rng)?;
                (Claim { recovers, ..Claim::of(key, &leaf) }, leaf)
            }
        };
        let mut rng = self.randomness.generator("attestation request", &[]);
        let request = AttestationRequest::new(ledger.community(), claim, &leaf, asked.evidence, &mut rng);
        Ok(view::Request {
            attributes: stated(policy, &request)?,
            request: request.to_text(),
            standing: people::standing(&ledger, &key),
        })
    }

    /// Attests that a request comes from one distinct person, if exactly one evidence speaks for it.
    ///
    /// # Correctness
    ///
    /// The rules are asked first; then the person is noted and the code spent, durably; then the attestation leaves. A
    /// crash in between leaves somebody noted who is not attested: the same request can be approved again.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the person at this node is no attester, if the request does not hold or is of another
    /// community, or if the evidence does not suffice.
    pub async fn approve(&self, asked: view::Approve) -> Result<view::Approved, ApiError> {
        let person = self.person()?;
        let wait = wait(asked.wait_seconds);
        let request = AttestationRequest::from_text(&asked.request)
            .map_err(|error| ApiError::coded(Code::Request, error.to_string()))?;
        let mut desk = self.desk.lock().await;
        let mut ledger = self.ledger().await?;
        self.check_attester(&ledger)?;
        if request.community != ledger.community() {
            return Err(ApiError::coded(Code::RequestElsewhere, "the request is of another community"));
        }
        request
            .verify()
            .map_err(|error| ApiError::coded(Code::RequestFalse, format!("the request does not hold: {error}")))?;
        let attributes = stated(&ledger.charter().policy, &request)?;
        let opened = self.open_desk(&ledger, &mut desk)?;
        let (evidence, returned) = self.evidence(opened, &ledger, &asked, &request, &attributes).await;
        *desk = Some(returned);
        let (evidence, open) = (evidence?, desk.as_mut().ok_or_else(|| ApiError::new(Kind::Internal, "no desk"))?);
        let claim = request.claim;
        let acquaintance = acquaintance(open, &ledger, &evidence, &claim)?;
        let attestation = self.attestation(&ledger, &claim, asked.expires_millis);
        let entry = match ledger.registry().person(&claim.key) {
            Some(_) => Entry::Attest(attestation),
            None => {
                let opening = request.opening.clone();
                Entry::Register(Registration { claim, opening, attestations: vec![attestation] })
            }
        };
        let signed = self.sign(&ledger, vec![entry])?;
        try_entries(&mut ledger, &signed)?;
        note(open, &evidence, &claim.key, acquaintance, &request)?;
        drop(desk);
        self.send(signed).await?;
        self.until_attested(&attestation, person.key.public(), wait).await?;
        let ledger = self.ledger().await?;
        Ok(view::Approved {
            key: text(claim.key),
            evidence: evidence.kind,
            attributes,
            standing: people::standing(&ledger, &claim.key),
        })
    }

    /// Makes invite codes.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`] if the person at this node is no attester.
    pub async fn issue_codes(&self, asked: view::IssueCodes) -> Result<view::IssuedCodes, ApiError> {
        if !(1..=MAX_CODES_AT_ONCE).contains(&asked.count) {
            return Err(ApiError::coded(
                Code::TooManyCodes,
                format!("1 to {MAX_CODES_AT_ONCE} codes can be made at once"),
            )
            .with("bound", MAX_CODES_AT_ONCE));
        }
        let ledger = self.ledger().await?;
        self.check_attester(&ledger)?;
        let mut desk = self.desk.lock().await;
        let mut open = self.open_desk(&ledger, &mut desk)?;
        // From the system always: codes that come again would admit somebody else.
        let codes = open.issue(asked.count, &mut rand::rng());
        *desk = Some(open);
        Ok(view::IssuedCodes { codes: codes?.iter().map(crate::attester::Code::to_text).collect() })
    }

    /// Checks that the person at this node attests for this community.
    pub(super) fn check_attester(&self, ledger: &Ledger) -> Result<PublicKey, ApiError> {
        let own = self.person()?.key.public();
        if ledger.charter().attester(&own).is_none() {
            return Err(ApiError::coded(Code::NoAttester, "you are no attester of this community"));
        }
        if ledger.registry().removed_attesters().contains_key(&own) {
            return Err(ApiError::coded(Code::NoAttester, "the operators have removed you from the attesters"));
        }
        Ok(own)
    }

    /// Takes the attester's books out of their place, opening them if need be.
    pub(super) fn open_desk(&self, ledger: &Ledger, desk: &mut Option<Desk>) -> Result<Desk, ApiError> {
        match desk.take() {
            Some(open) => Ok(open),
            None => Ok(Desk::open(&self.dir.attester(), &self.person()?.key, ledger.community())?),
        }
    }

    /// Finds the evidence, and returns the books: a hook may take long, and runs on a thread of its own.
    async fn evidence(
        &self,
        desk: Desk,
        ledger: &Ledger,
        asked: &view::Approve,
        request: &AttestationRequest,
        attributes: &BTreeMap<String, String>,
    ) -> (Result<Evidence, ApiError>, Desk) {
        let settings = match self.settings() {
            Ok(settings) => settings.attester,
            Err(error) => return (Err(error), desk),
        };
        let claim = request.claim;
        let question = HookRequest {
            community: ledger.community().to_string(),
            key: text(claim.key),
            recovers: claim.recovers.map(text),
            attributes: attributes.clone(),
            evidence: request.evidence.clone(),
            subject: asked.subject.clone(),
        };
        let own = self.person().map(|person| person.key.public()).ok();
        let is_attested = ledger.registry().person(&claim.key).is_some_and(|person| {
            own.is_some_and(|own| person.attestations.get(&own).is_some_and(|it| it.is_valid_at(ledger.time())))
        });
        let asked = asked.clone();
        let finding = tokio::task::spawn_blocking(move || {
            let said = Statement {
                subject: asked.subject.as_deref(),
                in_person: asked.in_person,
                checked: asked.attributes.iter().cloned().collect(),
            };
            let found = evidence::find(&desk, &settings, &said, &question, (&claim.key, is_attested));
            (found.map_err(ApiError::from), desk)
        });
        // The task panics only by a bug; the lock on the desk then ends with this request, and the books open again.
        finding.await.expect("finding evidence does not panic")
    }

    fn attestation(&self, ledger: &Ledger, claim: &Claim, expires_millis: Option<u64>) -> Attestation {
        // The log's time lags behind while nothing happens, so it is no measure of how long from now.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(ledger.time().as_millis());
        let expires = Timestamp::from_millis(now).plus_millis(expires_millis.unwrap_or(USUAL_EXPIRY_MILLIS));
        let key = &self.person.as_ref().expect("an attester is a person").key;
        let policy = ledger.charter().policy_digest();
        Attestation::sign(key, ledger.community(), *claim, policy, (ledger.time(), expires))
    }

    /// Waits until an attestation is on the log. If somebody else registers the person meanwhile, it is sent by itself.
    async fn until_attested(&self, attestation: &Attestation, own: PublicKey, wait: Duration) -> Result<(), ApiError> {
        let (key, expires) = (attestation.claim.key, attestation.expires);
        let registered = move |peer: &chorus_protocol::peer::Peer| peer.ledger().registry().person(&key).is_some();
        let began = std::time::Instant::now();
        self.until(registered, wait).await?;
        let stands = move |peer: &chorus_protocol::peer::Peer| {
            let person = peer.ledger().registry().person(&key);
            person.and_then(|person| person.attestations.get(&own)).is_some_and(|known| known.expires >= expires)
        };
        if !self.node.view(stands).await? {
            let mut ledger = self.ledger().await?;
            let signed: Vec<SignedEntry> = self.sign(&ledger, vec![Entry::Attest(*attestation)])?;
            match signed.iter().try_for_each(|entry| ledger.apply(entry)) {
                Ok(()) => self.send(signed).await?,
                // It is there by now.
                Err(Fault::Duplicate(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        self.until(stands, wait.saturating_sub(began.elapsed())).await
    }
}

/// Returns how the person stands with this attester; nothing is known of somebody without a name.
fn acquaintance(desk: &Desk, ledger: &Ledger, evidence: &Evidence, claim: &Claim) -> Result<Acquaintance, ApiError> {
    match &evidence.tag {
        Some(tag) => Ok(desk.check(tag, &claim.key, claim.recovers.as_ref(), |key| people::fate(ledger, key))?),
        None if claim.recovers.is_some() => Err(crate::attester::DeskError::Nameless.into()),
        None => {
            let fresh = evidence.code.as_ref().is_some_and(|code| desk.code(code) == CodeState::Unspent);
            Ok(if fresh { Acquaintance::New } else { Acquaintance::Renewed })
        }
    }
}

/// Notes somebody, durably: from now on, neither they nor their code can be used for another key.
fn note(
    desk: &mut Desk,
    evidence: &Evidence,
    key: &PublicKey,
    acquaintance: Acquaintance,
    request: &AttestationRequest,
) -> Result<(), ApiError> {
    if let Some(tag) = &evidence.tag {
        desk.note(tag, key)?;
    }
    if let Some(code) = &evidence.code {
        desk.spend(code, key)?;
    }
    if acquaintance == Acquaintance::New {
        let values: Vec<(u8, u64)> = request.values.iter().map(|value| (value.slot, value.value)).collect();
        desk.count(&values)?;
    }
    Ok(())
}

/// Returns the slots of a leaf with these attributes.
fn slots(policy: &Policy, attributes: &[(String, String)]) -> Result<[u64; SLOTS], ApiError> {
    let mut slots = [0; SLOTS];
    for (name, value) in attributes {
        let known = policy.attributes.iter().zip(&mut slots).find(|(attribute, _)| attribute.name == *name);
        let Some((attribute, slot)) = known else {
            let names: Vec<&str> = policy.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            return Err(ApiError::coded(
                Code::Attribute,
                format!("there is no attribute {name:?}; there are: {}", names.join(", ")),
            ));
        };
        if *slot != 0 {
            return Err(ApiError::coded(Code::Attribute, format!("attribute {name:?} stands twice")));
        }
        *slot = attribute.value(value).ok_or_else(|| {
            let values: Vec<&str> = attribute.values.iter().map(|value| value.text.as_str()).collect();
            ApiError::coded(Code::Attribute, format!("{name} has no value {value:?}; it has: {}", values.join(", ")))
        })?;
    }
    Ok(slots)
}

/// Returns what a request states, by name.
fn stated(policy: &Policy, request: &AttestationRequest) -> Result<BTreeMap<String, String>, ApiError> {
    let named = |value: &crate::config::invite::SlotValue| {
        let attribute = policy.attributes.get(usize::from(value.slot))?;
        let index = usize::try_from(value.value).ok()?.checked_sub(1)?;
        Some((attribute.name.clone(), attribute.values.get(index)?.text.clone()))
    };
    let unknown = || ApiError::refused("the request states values that this community does not know");
    request.values.iter().map(|value| named(value).ok_or_else(unknown)).collect()
}
