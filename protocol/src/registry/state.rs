//! The registry as bytes: see [`Ledger`](crate::ledger::Ledger) for why a state has them.

use std::sync::Arc;

use chorus_crypto::{
    codec::{Decode, DecodeError, Encode, Reader, put_count, put_seq},
    wire_enum, wire_struct,
};

use super::{Departure, Person, Recovery, Registry};
use crate::{
    canonical::{map, put_map, put_set, set},
    limits,
};

wire_enum!(Departure { 1 => Left, 2 => Expelled, 3 => Recovered(key) });
wire_struct!(Recovery { due, vetoed, done });

/// Attesters that ever had a word on one person: amendments change who is one.
const MAX_WORDS: usize = 4 * limits::MAX_ATTESTERS * limits::MAX_ATTESTERS;

/// Vouches that stand: a member's stock, for everybody.
const MAX_VOUCHES: usize = limits::MAX_STOCK as usize * limits::MAX_REGISTRATIONS;

impl Encode for Person {
    fn encode(&self, out: &mut Vec<u8>) {
        let Self { claim, attestations, departure, recovery, sponsor, withdrawn, rotated } = self;
        claim.encode(out);
        put_map(out, attestations, Encode::encode);
        departure.encode(out);
        recovery.encode(out);
        sponsor.encode(out);
        put_map(out, withdrawn, Encode::encode);
        rotated.encode(out);
    }
}

impl Decode for Person {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            claim: Decode::decode(input)?,
            attestations: map(input, MAX_WORDS, Decode::decode)?,
            departure: Decode::decode(input)?,
            recovery: Decode::decode(input)?,
            sponsor: Decode::decode(input)?,
            withdrawn: map(input, MAX_WORDS, Decode::decode)?,
            rotated: Decode::decode(input)?,
        })
    }
}

impl Encode for Registry {
    fn encode(&self, out: &mut Vec<u8>) {
        let Self {
            people,
            leaves,
            vouches,
            vouch_words,
            last_vouch,
            penalised,
            vouched,
            refreshed,
            removals,
            removed,
            expulsions,
            census,
            snapshots,
            // Follows from where the community comes from.
            fixed: _,
        } = self;
        put_count(out, people.len());
        people.values().for_each(|person| person.encode(out));
        put_set(out, leaves);
        put_map(out, vouches, Encode::encode);
        put_map(out, vouch_words, Encode::encode);
        put_map(out, last_vouch, Encode::encode);
        put_map(out, penalised, Encode::encode);
        put_set(out, vouched);
        refreshed.encode(out);
        put_map(out, removals, |keys, out| put_set(out, keys));
        put_map(out, removed, Encode::encode);
        put_map(out, expulsions, |keys, out| put_set(out, keys));
        put_map(out, census, |(number, counts), out| {
            number.encode(out);
            put_seq(out, counts);
        });
        snapshots.encode(out);
    }
}

impl Decode for Registry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const PEOPLE: usize = limits::MAX_REGISTRATIONS;
        let people = input.seq::<Person>(PEOPLE)?;
        if !people.is_sorted_by(|a, b| a.claim.key < b.claim.key) {
            return Err(DecodeError::NonCanonical("the order of people"));
        }
        Ok(Self {
            people: people.into_iter().map(|person| (person.claim.key, Arc::new(person))).collect(),
            leaves: set(input, limits::MAX_LEAVES)?,
            vouches: map(input, MAX_VOUCHES, Decode::decode)?,
            vouch_words: map(input, limits::MAX_BLOB_BYTES, Decode::decode)?,
            last_vouch: map(input, PEOPLE, Decode::decode)?,
            penalised: map(input, PEOPLE, Decode::decode)?,
            vouched: Arc::new(set(input, PEOPLE)?),
            refreshed: Decode::decode(input)?,
            removals: map(input, MAX_WORDS, |input| set(input, MAX_WORDS))?,
            removed: map(input, MAX_WORDS, Decode::decode)?,
            expulsions: map(input, PEOPLE, |input| set(input, MAX_WORDS))?,
            census: map(input, MAX_WORDS, |input| {
                Ok((Decode::decode(input)?, input.seq(limits::MAX_ATTRIBUTE_VALUES)?))
            })?,
            snapshots: Decode::decode(input)?,
            fixed: false,
        })
    }
}
