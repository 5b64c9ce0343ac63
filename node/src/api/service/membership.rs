//! What members, attesters and operators say about membership: leaving, revoking, rotating, vouching, expelling.

use chorus_crypto::{codec::Encode as _, credential::Rotation, sign::PublicKey};
use chorus_protocol::{
    fault::Fault,
    ledger::Ledger,
    limits,
    log::entry::{
        AttesterRemoval, Census, Entry, Expulsion, LeafRotation, Registration, Revocation, SignedEntry, Veto, Vouch,
    },
    registry::Departure,
};

use super::{ApiError, Service, people, text, view, wait};
use crate::api::Code;
use crate::config::{invite::AttestationRequest, token::TextForm as _};

impl Service {
    /// Takes an attester's word on somebody back; or leaves, if it is about the person at this node.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if there is nothing to take back, or nobody is sure.
    pub async fn revoke(&self, asked: view::About) -> Result<view::Said, ApiError> {
        let own = self.person()?.key.public();
        let mut ledger = self.ledger().await?;
        let key = people::find(&ledger, &asked.key, own)?;
        if key == own && !asked.sure {
            return Err(ApiError::refused(
                "this is your own key, and leaving is for good: the key cannot come back; say --yes if you mean it",
            ));
        }
        let registered = ledger.registry().person(&key);
        if key == own && registered.is_none_or(|person| person.departure.is_some()) {
            return Err(ApiError::refused("you are not registered here, or have left already"));
        }
        let stands = registered.and_then(|person| person.attestations.get(&own)).filter(|_| key != own);
        let revocation = match stands {
            Some(attestation) => Revocation::of(attestation, reason(asked.reason)?),
            None if key == own => Revocation::leaving(key, reason(asked.reason)?),
            None => {
                return Err(ApiError::refused(
                    "no word of yours on them stands: you have not attested them, or took it back",
                ));
            }
        };
        let entry = Entry::Revoke(revocation);
        self.say_until_logged(&mut ledger, entry, wait(asked.wait_seconds)).await?;
        let left = "You have left: you take part in no round that opens from now on.";
        let taken = "Your attestation is taken back: from the next round on it does not count.";
        Ok(view::Said { key: text(key), effect: if key == own { left } else { taken }.into() })
    }

    /// Takes a fresh leaf. Rounds that are open keep the old one.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) before one has registered, or a second time between two snapshots.
    pub async fn rotate(&self, asked: view::Wait) -> Result<view::Said, ApiError> {
        let person = self.person()?;
        let key = person.key.public();
        super::super::ballots::follow(&self.node, person).await?;
        let mut ledger = self.ledger().await?;
        let community = ledger.community();
        let registered = ledger.registry().person(&key).map(|person| person.claim.leaf);
        let registered = registered.ok_or_else(|| {
            ApiError::refused("you have not registered, so there is no leaf to rotate: see `chorus attest request`")
        })?;
        if ledger.registry().person(&key).is_some_and(|person| person.departure.is_some()) {
            return Err(ApiError::refused("you have left, or another key has taken over: there is no leaf to rotate"));
        }
        let old = person.vault.find(&registered).ok_or(crate::vault::NoLeaf::Elsewhere)?;
        let mut rng = self.randomness.generator("rotation", &registered.to_bytes());
        let (_, next) = person.vault.successor(&mut rng)?;
        let proof = Rotation::prove(&old, &next, &LeafRotation::context(community, key), &mut rng);
        let entry = Entry::Rotate(LeafRotation { leaf: next.leaf(), proof });
        if matches!(
            ledger.clone().apply(&SignedEntry::sign(&person.key, community, entry.clone())),
            Err(Fault::Duplicate(_))
        ) {
            return Err(ApiError::refused(
                "you have a fresh leaf already: the next rotation is possible once another poll or round has opened",
            ));
        }
        self.say_until_logged(&mut ledger, entry, wait(asked.wait_seconds)).await?;
        super::super::ballots::follow(&self.node, person).await?;
        let effect = "You have a fresh leaf: it takes effect in rounds and polls that open from now on.";
        Ok(view::Said { key: text(key), effect: effect.into() })
    }

    /// Denies that one's key was lost.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if nobody wants to take over from the key.
    pub async fn veto(&self, asked: view::About) -> Result<view::Said, ApiError> {
        let own = self.person()?.key.public();
        let mut ledger = self.ledger().await?;
        let named = people::find(&ledger, &asked.key, own)?;
        // Whoever names their own key means the one that is to take over from it.
        let key = if named == own { people::successor(&ledger, &own)? } else { named };
        let recovers = ledger.registry().person(&key).and_then(|person| person.claim.recovers);
        if recovers != Some(own) {
            return Err(ApiError::refused(
                "that key does not take over from yours, so there is nothing to deny: see `chorus attest list --pending`",
            ));
        }
        self.say_until_logged(&mut ledger, Entry::Veto(Veto { key }), wait(asked.wait_seconds)).await?;
        Ok(view::Said { key: text(key), effect: "It will not take over from your key.".into() })
    }

    /// Publishes how many people this attester has checked for each value; small numbers as zero.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the person is no attester, there are no attributes, or nothing
    /// has changed.
    pub async fn take_census(&self, asked: view::Wait) -> Result<view::CensusView, ApiError> {
        let mut ledger = self.ledger().await?;
        let own = self.check_attester(&ledger)?;
        let policy = ledger.charter().policy.clone();
        if policy.attributes.is_empty() {
            return Err(ApiError::refused("this community has no attributes"));
        }
        let counts: Vec<Vec<u32>> = {
            let mut desk = self.desk.lock().await;
            let open = self.open_desk(&ledger, &mut desk)?;
            let attributes = (0u8..).zip(&policy.attributes);
            let counts =
                attributes.map(|(slot, it)| open.counts(slot, it.values.len(), policy.class_members)).collect();
            *desk = Some(open);
            counts
        };
        let wait = wait(asked.wait_seconds);
        let mut said = false;
        for (slot, counts) in (0u8..).zip(&counts) {
            let number = ledger.registry().censuses(slot, &own).saturating_add(1);
            let entry = Entry::Census(Census { slot, number, counts: counts.clone() });
            let signed = self.sign(&ledger, vec![entry.clone()])?;
            match signed.iter().try_for_each(|entry| ledger.clone().apply(entry)) {
                Err(Fault::Duplicate(_)) => {}
                _ => {
                    self.say_until_logged(&mut ledger, entry, wait).await?;
                    said = true;
                }
            }
        }
        if !said {
            return Err(ApiError::refused("these numbers are on the log already"));
        }
        let named = |(attribute, counts): (&chorus_protocol::config::Attribute, &Vec<u32>)| {
            let values = attribute.values.iter().map(|value| value.text.clone());
            (attribute.name.clone(), values.zip(counts.iter().copied()).collect())
        };
        Ok(view::CensusView { attributes: policy.attributes.iter().zip(&counts).map(named).collect() })
    }

    /// States, as an operator, that somebody is no distinct person.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the person at this node is no operator, or has said so before.
    pub async fn expel(&self, asked: view::About) -> Result<view::Said, ApiError> {
        let own = self.person()?.key.public();
        let mut ledger = self.ledger().await?;
        let key = people::find(&ledger, &asked.key, own)?;
        self.operator(&ledger, "expel")?;
        let entry = Entry::Expel(Expulsion { key, reason: needed_reason(asked.reason)? });
        self.say_until_logged(&mut ledger, entry, wait(asked.wait_seconds)).await?;
        let ledger = self.ledger().await?;
        let departure = ledger.registry().person(&key).and_then(|person| person.departure);
        let done = "They are expelled: they take part in no round that opens from now on.".to_owned();
        let effect = if departure == Some(Departure::Expelled) { done } else { awaits(&ledger) };
        Ok(view::Said { key: text(key), effect })
    }

    /// States, as an operator, that an attester is not to be trusted any more.
    ///
    /// # Errors
    ///
    /// As [`expel`](Self::expel).
    pub async fn remove_attester(&self, asked: view::About) -> Result<view::Said, ApiError> {
        let own = self.person()?.key.public();
        let mut ledger = self.ledger().await?;
        let attester = people::find(&ledger, &asked.key, own)?;
        self.operator(&ledger, "remove attesters")?;
        let entry = Entry::RemoveAttester(AttesterRemoval { attester, reason: needed_reason(asked.reason)? });
        self.say_until_logged(&mut ledger, entry, wait(asked.wait_seconds)).await?;
        let ledger = self.ledger().await?;
        let done =
            "The attester is removed: new attestations are refused, and the earlier ones count for the time of grace.";
        let is_done = ledger.registry().removed_attesters().contains_key(&attester);
        Ok(view::Said { key: text(attester), effect: if is_done { done.into() } else { awaits(&ledger) } })
    }

    /// Vouches for somebody, or takes that back. A request instead of a key registers its author first.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the rules of vouching do not admit it.
    pub async fn vouch(&self, asked: view::GiveVouch) -> Result<view::Said, ApiError> {
        let own = self.person()?.key.public();
        let wait = wait(asked.wait_seconds);
        let mut ledger = self.ledger().await?;
        let key = match AttestationRequest::from_text(&asked.whom) {
            Ok(request) => {
                let key = self.register(&mut ledger, request, wait).await?;
                if key == own {
                    return Ok(view::Said { key: text(key), effect: "You have registered.".into() });
                }
                key
            }
            Err(_) => people::find(&ledger, &asked.whom, own)?,
        };
        if let Some(vouching) = ledger.charter().policy.admission.vouching().filter(|_| !asked.withdraw) {
            let next = ledger.registry().next_vouch(&own, vouching).as_millis();
            let left = next.saturating_sub(ledger.time().as_millis());
            if left > 0 {
                let when = super::remaining(std::time::Duration::from_millis(left));
                return Err(ApiError::coded(
                    Code::VouchEarly,
                    format!("you have vouched for somebody not long ago: the next vouch is possible {when}"),
                ));
            }
        }
        let number = ledger.registry().vouch_words(&own, &key).saturating_add(1);
        let vouch = Vouch { key, stands: !asked.withdraw, number };
        if !asked.withdraw && !self.vouches().await?.may_vouch {
            return Err(ApiError::coded(Code::CannotVouch, CANNOT_VOUCH));
        }
        self.say_until_logged(&mut ledger, Entry::Vouch(vouch), wait).await?;
        let effect = if asked.withdraw { "Your vouch is taken back." } else { "You vouch for them." };
        Ok(view::Said { key: text(key), effect: effect.into() })
    }

    /// Registers whoever wrote a request, without an attester's word.
    async fn register(
        &self,
        ledger: &mut Ledger,
        request: AttestationRequest,
        wait: std::time::Duration,
    ) -> Result<PublicKey, ApiError> {
        let key = request.claim.key;
        if request.community != ledger.community() {
            return Err(ApiError::coded(Code::RequestElsewhere, "the request is of another community"));
        }
        if ledger.registry().person(&key).is_some() {
            return Ok(key);
        }
        let registration = Registration { claim: request.claim, opening: request.opening, attestations: Vec::new() };
        let signed: Vec<SignedEntry> = self.sign(ledger, vec![Entry::Register(registration)])?;
        let own = self.person()?.key.public();
        signed.iter().try_for_each(|entry| ledger.apply(entry)).map_err(|fault| match fault {
            Fault::NotAllowed(_) if key == own => ApiError::coded(
                Code::CannotVouch,
                "only seeds register themselves: hand your request to a member who vouches for you",
            ),
            Fault::NotAllowed(_) => ApiError::coded(Code::CannotVouch, CANNOT_VOUCH),
            fault => fault.into(),
        })?;
        self.send(signed).await?;
        let registered = move |peer: &chorus_protocol::peer::Peer| peer.ledger().registry().person(&key).is_some();
        self.until(registered, wait).await?;
        *ledger = self.ledger().await?;
        Ok(key)
    }

    /// Returns the vouches given and received.
    ///
    /// # Errors
    ///
    /// Returns [`Kind::Refused`](super::Kind::Refused) if the community has none.
    pub async fn vouches(&self) -> Result<view::Vouches, ApiError> {
        let own = self.person()?.key.public();
        let ledger = self.ledger().await?;
        let vouching = ledger.charter().policy.admission.vouching();
        let vouching =
            vouching.ok_or_else(|| ApiError::coded(Code::NoVouching, "this community admits nobody by vouches"))?;
        let (registry, now) = (ledger.registry(), ledger.time());
        let mut vouches = view::Vouches {
            given: Vec::new(),
            received: Vec::new(),
            left: 0,
            next_at: registry.next_vouch(&own, vouching).as_millis(),
            log_time: now.as_millis(),
            may_vouch: ledger.is_member(&own) || (vouching.is_seed(&own) && registry.person(&own).is_some()),
        };
        for ((from, to), since) in registry.vouches() {
            let expires = since.plus_millis(vouching.expiry_millis);
            let vouch = |key: &PublicKey| view::VouchView {
                key: text(*key),
                since: since.as_millis(),
                expires: expires.as_millis(),
            };
            if expires > now && *from == own {
                vouches.given.push(vouch(to));
            } else if expires > now && *to == own {
                vouches.received.push(vouch(from));
            }
        }
        vouches.left = usize::from(vouching.stock).saturating_sub(vouches.given.len());
        Ok(vouches)
    }
}

/// Why somebody cannot vouch.
const CANNOT_VOUCH: &str = "only members vouch, and seeds that have registered: see `chorus vouch --list`";

fn awaits(ledger: &Ledger) -> String {
    format!(
        "It is on the log. It takes effect once {} of {} operators have said so.",
        ledger.charter().quorum(),
        ledger.charter().operators.len()
    )
}

fn reason(text: String) -> Result<String, ApiError> {
    if text.len() > limits::MAX_TEXT_BYTES {
        return Err(ApiError::coded(Code::TooLong, format!("a reason has at most {} bytes", limits::MAX_TEXT_BYTES))
            .with("bound", limits::MAX_TEXT_BYTES));
    }
    Ok(text)
}

fn needed_reason(text: String) -> Result<String, ApiError> {
    if text.trim().is_empty() {
        return Err(ApiError::coded(Code::Reason, "a reason is needed: everybody can read it"));
    }
    reason(text)
}
