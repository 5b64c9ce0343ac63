//! The frames of a bundle. What the checks refuse is a table in the simulation tests, over the bundle of a whole round.

use std::io::{self, Read};

use chorus_crypto::{
    codec::{Decode as _, DecodeError},
    sign::SecretKey,
};
use proptest::prelude::*;

use super::{format::FrameWriter, *};
use crate::{
    config::{Genesis, Policy},
    id::BlobId,
    limits,
    log::{batch::Height, consensus::Decision},
    registry::policy::Attester,
};

fn genesis() -> Genesis {
    Genesis {
        name: "Choir".into(),
        purpose: "To sing".into(),
        operators: vec![SecretKey::from_seed(&[1; 32]).public()],
        attesters: vec![Attester { key: SecretKey::from_seed(&[2; 32]).public(), organisation: String::new() }],
        policy: Policy::default(),
    }
}

/// A bundle without a log, whose founding document is followed by `more`.
fn bundle(more: &[u8]) -> Vec<u8> {
    let mut bytes = Bundle { genesis: genesis(), decisions: Vec::new(), blobs: Vec::new() }.to_bytes();
    bytes.truncate(bytes.len() - 1);
    bytes.extend_from_slice(more);
    bytes
}

fn check(bytes: &[u8]) -> Result<Report, VerifyError> {
    verify(&mut &bytes[..], &mut |_| {})
}

fn blob(content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2];
    bytes.extend_from_slice(BlobId::of(content).as_ref());
    bytes.extend_from_slice(&u32::try_from(content.len()).expect("short").to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn the_bundle_of_an_empty_log_is_the_founding_document() {
    let mut bytes = Vec::new();

    let summary = write(&mut bytes, &genesis(), &[], |_| None).expect("nothing is missing");

    assert_eq!(bytes, bundle(&[0]));
    assert_eq!((summary.height, summary.blobs, summary.bytes), (Height::GENESIS, 0, bytes.len() as u64));
    let report = check(&bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((report.community, report.tip, report.members), (genesis().id(), summary.tip, 0));
}

#[test]
fn what_is_no_bundle_is_told_from_one_of_another_version() {
    let mut other = bundle(&[0]);
    other[0] ^= 1;
    assert!(matches!(check(&other), Err(VerifyError::Magic)));

    other[0] ^= 1;
    other[MAGIC.len()] = 2;
    assert!(matches!(check(&other), Err(VerifyError::Version { found: 2 })));
    assert!(matches!(check(b""), Err(VerifyError::Encoding { offset: 0, .. })));
}

#[test]
fn an_invalid_founding_document_founds_nothing() {
    let genesis = Genesis { operators: Vec::new(), ..genesis() };
    let mut bytes = Vec::new();

    assert!(matches!(write(&mut bytes, &genesis, &[], |_| None), Err(WriteError::Log(VerifyError::Genesis(_)))));
    let bytes = Bundle { genesis, decisions: Vec::new(), blobs: Vec::new() }.to_bytes();
    assert_eq!(check(&bytes).map_err(|error| error.exit_code()), Err(21));
}

#[test]
fn frames_are_bounded_known_and_in_order() {
    let length = |bytes: usize| u32::try_from(bytes).expect("small").to_be_bytes();
    let decision = |bytes: usize| [vec![1], length(bytes).to_vec(), vec![0xFF; bytes]].concat();
    let blob_of = |bytes: usize| [&[2][..], &[7; 32], &length(bytes)].concat();
    let (most, most_of_blob) = (limits::MAX_DECISION_BYTES, limits::MAX_BLOB_BYTES);
    let unknown = |found| DecodeError::UnknownTag { of: "frame", found };
    let too_long = |bound| DecodeError::TooLong { bound, found: bound + 1 };
    let cases: [(&str, Vec<u8>, DecodeError); 9] = [
        ("no end", vec![], DecodeError::Truncated { missing: 1 }),
        ("an unknown frame", vec![3], unknown(3)),
        ("half an id", vec![2, 7, 7], DecodeError::Truncated { missing: 30 }),
        ("a decision that is too long", decision(most + 1), too_long(most)),
        ("a blob that is too long", blob_of(most_of_blob + 1), too_long(most_of_blob)),
        ("a blob that is not there", blob_of(255), DecodeError::Truncated { missing: 255 }),
        ("half a blob", [blob_of(255), vec![0; 100]].concat(), DecodeError::Truncated { missing: 155 }),
        ("a decision after a blob", [&blob(b"a")[..], &decision(0)].concat(), unknown(1)),
        ("bytes after the end", vec![0, 0], DecodeError::Trailing(1)),
    ];
    let encoding = |more: &[u8]| match Bundle::from_bytes(&bundle(more)) {
        Err(VerifyError::Encoding { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    for (what, more, expected) in cases {
        assert_eq!(encoding(&more), expected, "{what}");
        assert!(check(&bundle(&more)).is_err_and(|error| error.exit_code() == 20), "{what}");
    }
    // As long as a decision may be, and none.
    assert_ne!(encoding(&decision(most)), DecodeError::TooLong { bound: most, found: most });
    assert_eq!(encoding(&decision(0)), Decision::from_bytes(&[]).expect_err("nothing"));
    let mut wrong = blob(b"a");
    wrong[37] ^= 1;
    wrong.push(0);
    assert!(matches!(Bundle::from_bytes(&bundle(&wrong)), Err(VerifyError::BlobHash(_))));
    assert!(matches!(check(&bundle(&[&blob(b"a")[..], &[0]].concat())), Err(VerifyError::BlobSuperfluous(_))));
}

#[test]
fn an_error_says_where_it_is() {
    let begin = bundle(&[]).len() as u64;

    let error = check(&bundle(&[9])).expect_err("an unknown frame");

    assert!(matches!(
        error,
        VerifyError::Encoding { offset, error: DecodeError::UnknownTag { found: 9, .. }, .. } if offset == begin
    ));
    assert_eq!(error.to_string(), format!("a frame at byte {begin} is not in canonical form: unknown tag 9 of frame"));
}

/// Gives one byte at a time, with interruptions, and then fails.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match (self.0.split_first(), out.first_mut()) {
            (Some((byte, rest)), Some(out)) => {
                *out = *byte;
                self.0 = rest;
                Ok(1)
            }
            _ => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
}

#[test]
fn a_failing_disk_is_no_fault_of_the_bundle() {
    let error = verify(&mut Slow(&bundle(&[]), false), &mut |_| {}).expect_err("the end cannot be read");

    assert!(matches!(&error, VerifyError::Read(error) if error.kind() == io::ErrorKind::ConnectionReset));
    assert_eq!(error.exit_code(), 4);
}

proptest! {
    #[test]
    fn whatever_decodes_encodes_to_itself(blobs in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..4), at: prop::sample::Index, flip: u8) {
        let mut writer = FrameWriter::new(Vec::new(), &genesis()).expect("memory");
        blobs.iter().for_each(|bytes| writer.blob(&BlobId::of(bytes), bytes).expect("memory"));
        let mut bytes = bundle(&blobs.iter().flat_map(|bytes| blob(bytes)).chain([0]).collect::<Vec<_>>());
        prop_assert_eq!(writer.end().expect("memory"), bytes.len() as u64);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;

        let read = Bundle::from_bytes(&bytes);

        if flip == 0 {
            prop_assert_eq!(read.map(|bundle| bundle.blobs.len()).ok(), Some(blobs.len()));
        } else if let Ok(bundle) = read {
            prop_assert_eq!(bundle.to_bytes(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(more in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&bundle(&more));
        let _ = Bundle::from_bytes(&more);
    }
}
