//! Every domain-separation label of Chorus, on one screen.
//!
//! A label names the protocol, the object and its version. Two objects never share a label; a change of meaning or of
//! bytes makes a new one. Nothing outside this file writes a label into a hash, a signature, a transcript or a key.

/// A label that separates one use of a primitive from all others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Domain(&'static str);

impl Domain {
    /// Returns the label as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident = $label:literal;)*) => {
        $($(#[$doc])* pub const $name: Domain = Domain($label);)*
        /// All labels, for the test that none is used twice.
        pub const ALL: &[Domain] = &[$($name),*];
    };
}

domains! {
    /// Generators `G_c` of the columns of a commitment.
    GENERATOR_COLUMN = "chorus/v1/generator/column";
    /// The blinding base `B'` of a commitment.
    GENERATOR_BLINDING = "chorus/v1/generator/blinding";
    /// The base `J` of the inner product while a vector is folded.
    GENERATOR_INNER_PRODUCT = "chorus/v1/generator/inner-product";
    /// The base `G₀` of the secret in a leaf.
    GENERATOR_LEAF_SECRET = "chorus/v1/generator/leaf-secret";
    /// The bases `A_j` of the attribute slots of a leaf.
    GENERATOR_LEAF_ATTRIBUTE = "chorus/v1/generator/leaf-attribute";
    /// The blinding base `H` of a leaf.
    GENERATOR_LEAF_BLINDING = "chorus/v1/generator/leaf-blinding";
    /// The base of a tag: one per scope.
    GENERATOR_SCOPE = "chorus/v1/generator/scope";
    /// Generators of the digit commitments of a one-out-of-many proof.
    GENERATOR_RING_DIGIT = "chorus/v1/generator/ring-digit";
    /// Points that fill a ring up: nobody knows an opening of one.
    PADDING = "chorus/v1/credential/padding";
    /// The id of a ring, over all its points.
    RING = "chorus/v1/credential/ring";
    /// A scope of the credential (community, policy, snapshot, round, purpose).
    SCOPE = "chorus/v1/scope";
    /// Proof that a leaf's opening is known, at registration.
    LEAF_OPENING = "chorus/v1/leaf-opening";
    /// Proof that a leaf's successor has the same attributes, at rotation.
    LEAF_ROTATION = "chorus/v1/leaf-rotation";
    /// The transcript of a contribution: link, proof, credential.
    CONTRIBUTION = "chorus/v1/contribution";
    /// The context of a contribution (community, round, tag, sequence).
    CONTEXT = "chorus/v1/context";
    /// The core of a contribution, to which the sealed seeds are bound.
    CORE = "chorus/v1/core";
    /// The key of a mask, from a seed and its context.
    MASK_KEY = "chorus/v1/mask/values";
    /// The key of the blindings, from a seed and its context.
    MASK_BLINDING_KEY = "chorus/v1/mask/blindings";
    /// The public commitment `h_T` to a seed.
    SEED_DIGEST = "chorus/v1/mask/seed-digest";
    /// The key `K_T` that the holders of T derive from all sealed seeds.
    SET_KEY = "chorus/v1/mask/set-key";
    /// Pseudorandom scalars from `K_T`.
    SET_PRF = "chorus/v1/mask/set-prf";
    /// Sharings of zero from `K_T`.
    SET_ZERO = "chorus/v1/mask/set-zero";
    /// Noise from `K_T`.
    SET_NOISE = "chorus/v1/mask/set-noise";
    /// Coefficients of the search for the polynomial that shares lie on.
    SHARE_CHECK = "chorus/v1/mask/share-check";
    /// The masked vector's digest `H(E)`.
    MASKED_DIGEST = "chorus/v1/masked-digest";
    /// Sealing to an operator's round key.
    SEAL = "chorus/v1/seal";
    /// The random rows and columns that a delta is projected on.
    PROJECTION = "chorus/v1/delta/projection";
    /// Coefficients of the check of a sum.
    SUM_CHECK = "chorus/v1/sum-check";
    /// Coefficients of batch verification.
    BATCH = "chorus/v1/batch";
    /// The lot by which a verifier draws contributions.
    SAMPLE = "chorus/v1/sample";
    /// Hedged nonces of a prover.
    NONCE = "chorus/v1/nonce";
    /// Transcript of the textbook Sigma-OR ballot proof.
    ORACLE = "chorus/v1/ballot-oracle";
    /// Content ids that are not plain BLAKE3: a typed object's digest.
    OBJECT = "chorus/v1/object";
    /// A batch of log entries.
    BATCH_ID = "chorus/v1/log/batch";
    /// The signature of a log entry by its author.
    ENTRY = "chorus/v1/log/entry";
    /// An operator's acknowledgement of a contribution.
    ACKNOWLEDGE = "chorus/v1/acknowledge";
    /// A consensus prevote or precommit.
    VOTE = "chorus/v1/log/vote";
    /// A consensus proposal.
    PROPOSAL = "chorus/v1/log/proposal";
    /// An envelope between peers.
    ENVELOPE = "chorus/v1/envelope";
    /// An attester's statement about a leaf.
    ATTESTATION = "chorus/v1/attestation";
    /// A leaf of the registry's Merkle tree.
    REGISTRY_LEAF = "chorus/v1/registry/leaf";
    /// An inner node of the registry's Merkle tree.
    REGISTRY_NODE = "chorus/v1/registry/node";
    /// The order in which members are dealt out to cohorts.
    COHORT = "chorus/v1/registry/cohort";
    /// The transcript of an item proposed anonymously.
    ANONYMOUS_PROPOSAL = "chorus/v1/anonymous-proposal";
    /// An attester's keyed tag of one of its clients.
    CLIENT_TAG = "chorus/v1/attester/client-tag";
    /// The key under which an attester keeps its invite codes.
    INVITE_CODE = "chorus/v1/attester/invite-code";
    /// The key of the file that holds a person's leaves.
    LEAF_VAULT = "chorus/v1/leaf-vault";
    /// A community's id, from its genesis.
    COMMUNITY = "chorus/v1/community";
    /// A poll's id, from its opening.
    POLL = "chorus/v1/poll";
    /// A round's id, from its opening.
    ROUND = "chorus/v1/round";
    /// The id of a series of adapter rounds, from its manifest.
    SERIES = "chorus/v1/series";
    /// The random order that splits a sealed set into cohorts.
    SPLIT = "chorus/v1/adapter/split";
    /// Which statements a series of adapter rounds holds out of training.
    HELD_OUT = "chorus/v1/adapter/held-out";
    /// The id of a cohort: a community whose log begins at a state.
    COHORT_COMMUNITY = "chorus/v1/cohort/community";
    /// The id of a convening.
    CONVENING = "chorus/v1/cohort/convening";
    /// The signature from which an operator's lot follows; it is never shown.
    LOT_KEY = "chorus/v1/cohort/lot-key";
    /// An operator's lot, from that signature.
    LOT = "chorus/v1/cohort/lot";
    /// The commitment to a lot.
    LOT_COMMITMENT = "chorus/v1/cohort/lot-commitment";
    /// What deals members to the cohorts of a divided round, from all lots.
    COHORT_BEACON = "chorus/v1/cohort/beacon";
    /// The order in which members are dealt to the cohorts of a divided round.
    COHORT_ORDER = "chorus/v1/cohort/order";
    /// Which results of cohorts a divided round adds up.
    COHORT_SET = "chorus/v1/cohort/set";
    /// The digest of a sealed set.
    SEALED_SET = "chorus/v1/sealed-set";
    /// The registry snapshot's root.
    SNAPSHOT = "chorus/v1/snapshot";
    /// Values opened in a step of a round.
    OPENING = "chorus/v1/opening";
    /// The first matrix Ω of the secret PCA.
    OMEGA = "chorus/v1/pca/omega";
    /// A share of the secret PCA.
    PCA_SHARE = "chorus/v1/pca/share";
    /// A result object.
    RESULT = "chorus/v1/result";
    /// A constitution.
    CONSTITUTION = "chorus/v1/constitution";
    /// The stream that the factor A of an adapter is drawn from.
    MODEL_FROZEN_A = "chorus/v1/model/frozen-a";
    /// The digest of a base model's checkpoint.
    MODEL_CHECKPOINT = "chorus/v1/model/checkpoint";
    /// What a state of a training belongs to.
    MODEL_TRAINING = "chorus/v1/model/training";
    /// A record of the journal.
    JOURNAL = "chorus/v1/journal";
    /// The key of a backup, from the keystore that stands at its beginning.
    BACKUP = "chorus/v1/backup";
    /// A file of the keystore.
    KEYSTORE = "chorus/v1/keystore";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_used_twice() {
        let distinct: std::collections::BTreeSet<_> = ALL.iter().map(|label| label.as_str()).collect();

        assert_eq!(distinct.len(), ALL.len());
        assert!(distinct.iter().all(|label| label.starts_with("chorus/v1/")));
    }
}
