//! Encodings, certificates and evidence: for every value they bind, change it and expect refusal.

use core::{future::Future, pin::Pin, task};

use arc_malachitebft_core_types::{
    CommitCertificate, CommitSignature, NilOrVal, PublicKey as EngineKey, Signature as EngineSignature,
    ThresholdParams, ValidatorProof, VoteExtensionScope,
};
use arc_malachitebft_signing::{Error as SigningError, VerificationResult, Verifier, VerifierExt};
use chorus_crypto::{
    codec::{DecodeError, Encode},
    sign::Signature,
};
use proptest::prelude::*;

use super::{
    super::{
        message::{Bundle, BundleKind, Message, Proposal},
        *,
    },
    network::*,
};
use crate::{
    id::CommunityId,
    log::certificate::{Certificate, CertificateError, CommitteeError},
};

fn batch() -> Batch {
    Batch::new(Height(3), BatchId::from([4; 32]), vec![vec![1, 2], vec![]]).expect("small")
}

fn precommit(index: usize, value: BatchId) -> Signed<Vote> {
    Signed::new(Vote::precommit(Height(3), 1, value, key(index).public()), community(), &key(index))
}

fn certificate(signers: impl IntoIterator<Item = usize>) -> Certificate {
    let value = batch().id();
    let sign = |index| (key(index).public(), precommit(index, value).signature);
    let mut signatures: Vec<_> = signers.into_iter().map(sign).collect();
    signatures.sort_unstable();
    Certificate { height: Height(3), round: 1, value, signatures }
}

fn verify(certificate: &Certificate) -> Result<(), CertificateError> {
    certificate.verify(&committee(0..4), community(), &batch())
}

#[test]
fn a_committee_has_one_to_seven_distinct_operators_and_the_textbook_quorum() {
    let sizes: Vec<_> = (1..=7).map(|size| (committee(0..size).max_faulty(), committee(0..size).quorum())).collect();
    assert_eq!(sizes, [(0, 1), (0, 2), (0, 3), (1, 3), (1, 4), (1, 5), (2, 5)]);
    assert!((1..=7).all(|size| 3 * committee(0..size).quorum() > 2 * size));

    let keys = |range: core::ops::Range<usize>| range.map(|index| key(index).public());
    assert_eq!(Committee::new(keys(0..0)), Err(CommitteeError::Size(0)));
    assert_eq!(Committee::new(keys(0..8)), Err(CommitteeError::Size(8)));
    assert_eq!(Committee::new(keys(0..2).chain(keys(1..3))), Err(CommitteeError::Twice(key(1).public())));
    let four = committee(0..4);
    assert_eq!(Committee::from_bytes(&four.to_bytes()), Ok(four.clone()));
    let reversed: Vec<_> = four.operators().collect::<Vec<_>>().into_iter().rev().collect();
    let mut bytes = Vec::new();
    chorus_crypto::codec::put_seq(&mut bytes, &reversed);
    assert_eq!(Committee::from_bytes(&bytes), Err(DecodeError::NonCanonical("committee")));
}

#[test]
fn a_certificate_is_refused_for_every_way_it_can_be_wrong() {
    let good = certificate(0..3);
    assert_eq!(verify(&good), Ok(()));
    assert_eq!(Certificate::from_bytes(&good.to_bytes()), Ok(good.clone()));

    let with = |change: fn(&mut Certificate)| {
        let mut changed = good.clone();
        change(&mut changed);
        verify(&changed)
    };
    let first = good.signatures[0].0;
    assert_eq!(
        with(|c| c.height = Height(4)),
        Err(CertificateError::Height { certificate: Height(4), batch: Height(3) })
    );
    assert!(matches!(with(|c| c.value = BatchId::default()), Err(CertificateError::Batch { .. })));
    assert_eq!(with(|c| c.round = 2), Err(CertificateError::Signature(first)));
    assert_eq!(with(|c| c.signatures[0].1 = c.signatures[1].1), Err(CertificateError::Signature(first)));
    assert_eq!(with(|c| c.signatures.swap(0, 1)), Err(CertificateError::Order(first)));
    assert_eq!(with(|c| c.signatures[1] = c.signatures[0]), Err(CertificateError::Order(first)));
    assert_eq!(with(|c| c.signatures.truncate(2)), Err(CertificateError::Quorum { quorum: 3, found: 2 }));
    assert_eq!(verify(&certificate(0..4)), Err(CertificateError::Quorum { quorum: 3, found: 4 }));
    assert_eq!(verify(&certificate([0, 1, 5])), Err(CertificateError::Stranger(key(5).public())));
    assert!(matches!(
        good.verify(&committee(0..4), CommunityId::default(), &batch()),
        Err(CertificateError::Signature(_))
    ));
}

#[test]
fn a_prevote_is_no_precommit() {
    let mut certificate = certificate(0..3);
    for (signer, signature) in &mut certificate.signatures {
        let index = (0..3).find(|index| key(*index).public() == *signer).expect("a signer");
        let mut statement = precommit(index, batch().id()).statement;
        statement.kind = arc_malachitebft_core_types::VoteType::Prevote;
        *signature = Signed::new(statement, community(), &key(index)).signature;
    }

    assert!(matches!(verify(&certificate), Err(CertificateError::Signature(_))));
}

/// The engine's verifier with our signatures.
struct Strict;

type Verdict<'a> = Pin<Box<dyn Future<Output = Result<VerificationResult, SigningError>> + Send + 'a>>;

fn verdict<'a>(valid: bool) -> Verdict<'a> {
    Box::pin(core::future::ready(Ok(VerificationResult::from_bool(valid))))
}

// These are `async fn`s of the trait, written as the trait's macro expands them.
impl Verifier<Chorus> for Strict {
    fn verify_signed_vote<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        vote: &'b Vote,
        signature: &'c EngineSignature<Chorus>,
        public_key: &'d EngineKey<Chorus>,
    ) -> Verdict<'e>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
    {
        let signed = Signed { statement: *vote, signature: *signature };
        verdict(vote.signer() == *public_key && signed.verify(community()).is_ok())
    }

    fn verify_signed_proposal<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        proposal: &'b Proposal,
        signature: &'c EngineSignature<Chorus>,
        public_key: &'d EngineKey<Chorus>,
    ) -> Verdict<'e>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
    {
        let signed = Signed { statement: proposal.head, signature: *signature };
        verdict(proposal.head.signer() == *public_key && signed.verify(community()).is_ok())
    }

    fn verify_signed_vote_extension<'a, 'b, 'c, 'd, 'f, 'e>(
        &'a self,
        _scope: &'b VoteExtensionScope<Chorus>,
        _extension: &'c (),
        _signature: &'d EngineSignature<Chorus>,
        _public_key: &'f EngineKey<Chorus>,
    ) -> Verdict<'e>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
        'f: 'e,
    {
        verdict(false)
    }

    fn verify_validator_proof<'a, 'b, 'e>(&'a self, _proof: &'b ValidatorProof<Chorus>) -> Verdict<'e>
    where
        'a: 'e,
        'b: 'e,
    {
        verdict(false)
    }
}

/// Asks the engine's own check.
fn engine_accepts(certificate: &Certificate, committee: &Committee) -> bool {
    let commit = |(signer, signature): &(PublicKey, Signature)| CommitSignature::new(Member(*signer), *signature);
    let certificate = CommitCertificate::<Chorus> {
        height: certificate.height,
        round: Round::new(certificate.round),
        value_id: certificate.value,
        commit_signatures: certificate.signatures.iter().map(commit).collect(),
    };
    let mut check = Strict.verify_commit_certificate(&Chorus, &certificate, committee, ThresholdParams::default());
    match check.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(result) => result.is_ok(),
        task::Poll::Pending => unreachable!("nothing is awaited"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Ours is the engine's check and canonical form: sorted, exactly a quorum.
    #[test]
    fn our_check_agrees_with_the_engines(
        size in 1usize..=7,
        signers in proptest::collection::vec((0usize..8, 0u8..12), 0..8),
        sort: bool,
    ) {
        let value = batch().id();
        let sign = |(index, flaw): (usize, u8)| {
            let signed_value = if flaw == 0 { BatchId::default() } else { value };
            let signer = if flaw == 1 { 0 } else { index };
            (key(index).public(), precommit(signer, signed_value).signature)
        };
        let mut signatures: Vec<_> = signers.into_iter().map(sign).collect();
        if sort {
            signatures.sort_unstable();
            signatures.dedup_by_key(|(signer, _)| *signer);
            signatures.truncate(committee(0..size).quorum());
        }
        let certificate = Certificate { height: Height(3), round: 1, value, signatures };
        let committee = committee(0..size);

        let canonical = certificate.signatures.len() == committee.quorum()
            && certificate.signatures.is_sorted_by(|(a, _), (b, _)| a < b);
        let ours = certificate.verify(&committee, community(), &batch()).is_ok();

        prop_assert_eq!(ours, canonical && engine_accepts(&certificate, &committee));
    }

    #[test]
    fn what_decodes_re_encodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for tag in 0..3 {
            let bytes = [&[tag], bytes.as_slice()].concat();
            if let Ok(message) = Message::from_bytes(&bytes) {
                prop_assert_eq!(message.to_bytes(), bytes);
            }
        }
    }
}

#[test]
fn a_vote_has_the_documented_bytes() {
    let vote = Vote::precommit(Height(0x0102), 3, BatchId::from([5; 32]), PublicKey::from([6; 32]));
    let expected = [
        &[1][..],                  // precommit
        &[0, 0, 0, 0, 0, 0, 1, 2], // height
        &[0, 0, 0, 3],             // round
        &[1],                      // not nil
        &[5; 32],                  // the batch
        &[6; 32],                  // the signer
    ]
    .concat();

    assert_eq!(vote.to_bytes(), expected);
    assert_eq!(vote.preimage(community()), [&[9; 32][..], &expected].concat());
}

#[test]
fn messages_that_no_honest_operator_sends_do_not_decode() {
    let batch = Arc::new(batch());
    let head = |round, valid_round, value| ProposalHead {
        height: Height(3),
        round,
        value,
        valid_round,
        signer: Member(key(0).public()),
    };
    let proposal = |head| {
        let head = Signed::new(head, community(), &key(0));
        Message::Proposal(SignedProposal { head, value: Value::new(batch.clone()) })
    };
    let good = proposal(head(2, Some(1), batch.id()));
    assert_eq!(Message::from_bytes(&good.to_bytes()), Ok(good));

    let bad = [
        (proposal(head(2, Some(2), batch.id())), DecodeError::OutOfRange("valid round")),
        (proposal(head(u32::MAX, None, batch.id())), DecodeError::OutOfRange("round")),
        (proposal(head(0, None, BatchId::default())), DecodeError::NonCanonical("proposal")),
    ];
    for (message, error) in bad {
        assert_eq!(Message::from_bytes(&message.to_bytes()), Err(error));
    }
    let votes: Vec<_> = (0..3).map(|index| precommit(index, BatchId::default())).collect();
    assert_eq!(Bundle::new(BundleKind::Polka, votes.clone()), None, "precommits are no polka");
    assert_eq!(Bundle::new(BundleKind::Skip, vec![]), None);
    let bundle = Bundle::new(BundleKind::Skip, votes).expect("votes of one round");
    let mut bytes = Message::Bundle(bundle.clone()).to_bytes();
    assert_eq!(Message::from_bytes(&bytes), Ok(Message::Bundle(bundle)));
    bytes[2..6].copy_from_slice(&8u32.to_be_bytes());
    assert_eq!(Message::from_bytes(&bytes), Err(DecodeError::TooLong { bound: 7, found: 8 }));
}

#[test]
fn evidence_convicts_only_whom_it_should() {
    let vote = |value: u8, index: usize, signer: usize, round| {
        let statement = Vote::precommit(Height(3), round, BatchId::from([value; 32]), key(index).public());
        Signed::new(statement, community(), &key(signer))
    };
    let evidence = Evidence::votes(vote(1, 2, 2, 0), vote(2, 2, 2, 0));

    assert_eq!(evidence.verify(community()), Ok(key(2).public()));
    assert_eq!(evidence, Evidence::votes(vote(2, 2, 2, 0), vote(1, 2, 2, 0)), "one form, whoever saw what first");
    assert_eq!(Evidence::from_bytes(&evidence.to_bytes()), Ok(evidence.clone()));
    assert_eq!(evidence.verify(CommunityId::default()), Err(EvidenceError::Signature));
    let cases = [
        (vote(1, 2, 2, 0), vote(2, 1, 1, 0), EvidenceError::Signers),
        (vote(1, 2, 2, 0), vote(2, 2, 2, 1), EvidenceError::Steps),
        (vote(1, 2, 2, 0), vote(1, 2, 2, 0), EvidenceError::Equal),
        (vote(1, 2, 2, 0), vote(2, 2, 1, 0), EvidenceError::Signature),
    ];
    for (first, second, error) in cases {
        assert_eq!(Evidence::votes(first, second).verify(community()), Err(error));
    }
    let nil = Vote { value: NilOrVal::Nil, ..vote(1, 2, 2, 0).statement };
    let against_nil = Evidence::votes(vote(1, 2, 2, 0), Signed::new(nil, community(), &key(2)));
    assert_eq!(against_nil.verify(community()), Ok(key(2).public()));
}
