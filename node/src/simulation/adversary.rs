//! What liars send.

use chorus_crypto::{hash, sign::SecretKey, sign::Signature};
use chorus_protocol::{
    id::{BlobId, CommunityId},
    log::entry::{Entry, SignedEntry},
    message::Message,
};

/// What a participant is up to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// Contributes.
    Honest,
    /// Sends contributions whose proofs do not hold.
    BadProofs,
    /// Sends two contributions for one, each to half of the operators.
    Doubles,
    /// Sends bytes that mean nothing, many at a time.
    Floods,
}

/// Makes a lie of what an operator sends: acknowledgements with a signature of nothing, and sums of other masks.
pub(super) fn lie(key: &SecretKey, community: CommunityId, bytes: Vec<u8>) -> Vec<u8> {
    let Ok(message) = Message::open(community, &bytes) else { return bytes };
    match message {
        Message::Acknowledgement(mut acknowledgement) => {
            acknowledgement.signature = Signature::from([0; 64]);
            Message::Acknowledgement(acknowledgement).seal(community)
        }
        Message::Entry(SignedEntry { author, entry: Entry::Opening(mut opening), .. }) if author == key.public() => {
            for (subset, sum) in &mut opening.sums {
                *sum = BlobId::from(hash::content(&[*subset]));
            }
            Message::Entry(SignedEntry::sign(key, community, Entry::Opening(opening))).seal(community)
        }
        Message::Hello(_)
        | Message::Consensus(_)
        | Message::Entry(_)
        | Message::Submission(_)
        | Message::Tip(_)
        | Message::LogRequest(_)
        | Message::Log(_)
        | Message::SubmissionRequest(_)
        | Message::Handover(_)
        | Message::Stem(_)
        | Message::Holdings(_)
        | Message::Bodies(_)
        | Message::HeightRequest(_)
        | Message::HeightAnswer(_)
        | Message::Sighting(_) => bytes,
    }
}
