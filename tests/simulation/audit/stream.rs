//! What somebody without keys can do to the file.

use chorus_crypto::{codec::Decode as _, codec::Encode as _, sign::Signature};
use chorus_protocol::audit::MAGIC;
use chorus_tests::replayed::assert_nothing_replays;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::*;

/// Random single-bit changes that are tried.
const FLIPS: usize = 300;

/// Changes the bundle and asserts that it is refused.
fn refuse(what: &str, codes: &[u8], change: impl FnOnce(&mut Bundle)) {
    let mut bundle = BASE.bundle.clone();
    change(&mut bundle);
    assert_ne!(bundle, BASE.bundle, "{what} changes something");
    assert_refused(what, &bundle.to_bytes(), codes);
}

#[test]
fn nothing_that_stands_on_the_log_can_be_said_again_with_effect() {
    let said = assert_nothing_replays(&BASE.bundle.genesis, &BASE.bundle.decisions);

    assert!(said > 100, "{said} entries");
}

#[test]
fn a_bundle_has_one_encoding() {
    assert_eq!(BASE.bundle.to_bytes(), BASE.bytes);
    assert!(BASE.bytes.starts_with(&MAGIC));
}

#[test]
fn no_bit_of_a_bundle_can_be_flipped() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let header = (0..64).map(|byte| byte * 3);
    let random = (0..FLIPS).map(|_| usize::try_from(rng.next_u64() % BASE.bytes.len() as u64).expect("a length"));
    for (nth, at) in header.chain(random.collect::<Vec<_>>()).enumerate() {
        let mut bytes = BASE.bytes.clone();
        bytes[at] ^= 1 << (nth % 8);
        assert_refused(&format!("bit {} of byte {at}", nth % 8), &bytes, &[20, 21]);
    }
}

#[test]
fn no_byte_can_be_cut_off_or_added() {
    for at in
        [0, 5, 8, 9, 12, 100, BASE.bytes.len() / 3, BASE.bytes.len() / 2, BASE.bytes.len() - 2, BASE.bytes.len() - 1]
    {
        assert_refused(&format!("cut at {at}"), &BASE.bytes[..at], &[20]);
    }
    for more in [&[0u8][..], &[1], &[2; 40], &BASE.bytes] {
        assert_refused("something appended", &[&BASE.bytes, more].concat(), &[20]);
    }
}

#[test]
fn the_founding_document_cannot_be_changed() {
    refuse("name", &[21], |bundle| bundle.genesis.name.push('.'));
    refuse("purpose", &[21], |bundle| bundle.genesis.purpose.push('.'));
    refuse("no name", &[21], |bundle| bundle.genesis.name.clear());
    refuse("one operator less", &[21], |bundle| bundle.genesis.operators.truncate(4));
    refuse("no operator", &[21], |bundle| bundle.genesis.operators.clear());
    refuse("operators' order", &[21], |bundle| bundle.genesis.operators.swap(0, 1));
    refuse("another attester", &[21], |bundle| bundle.genesis.attesters[0].key = bundle.genesis.operators[0]);
    refuse("minimum", &[21], |bundle| bundle.genesis.policy.min_contributions += 1);
    refuse("floor", &[21], |bundle| bundle.genesis.policy.floor += 1);
    refuse("floor of 0", &[21], |bundle| bundle.genesis.policy.floor = 0);
    refuse("group floor", &[21], |bundle| bundle.genesis.policy.group_floor += 1);
    refuse("bar", &[21], |bundle| bundle.genesis.policy.bar_numerator -= 1);
    refuse("bar's divisor", &[21], |bundle| bundle.genesis.policy.bar_denominator += 1);
    refuse("least seen", &[21], |bundle| bundle.genesis.policy.min_seen += 1);
}

#[test]
fn certificates_cannot_be_changed() {
    let at = BASE.bundle.decisions.len() / 2;
    let change = |what, change: &dyn Fn(&mut Decision)| {
        refuse(what, &[21], |bundle| change(&mut bundle.decisions[at]));
    };
    change("certified height", &|decision| decision.certificate.height = decision.certificate.height.next());
    change("certified round", &|decision| decision.certificate.round += 1);
    change("certified batch", &|decision| decision.certificate.value = [1; 32].into());
    change("a signature less", &|decision| decision.certificate.signatures.truncate(3));
    change("a signature more", &|decision| {
        let last = decision.certificate.signatures[3];
        decision.certificate.signatures.push(last);
    });
    change("a signature twice", &|decision| decision.certificate.signatures[1] = decision.certificate.signatures[0]);
    change("order of signers", &|decision| decision.certificate.signatures.swap(0, 1));
    change("a signer", &|decision| decision.certificate.signatures[3].0 = BASE.community.attesters[0].public());
    change("a signature", &|decision| {
        let mut bytes = *decision.certificate.signatures[2].1.as_bytes();
        bytes[40] ^= 1;
        decision.certificate.signatures[2].1 = Signature::from(bytes);
    });
    refuse("a certificate of another batch", &[21], |bundle| {
        bundle.decisions[at].certificate = bundle.decisions[at + 1].certificate.clone();
    });
}

#[test]
fn entries_of_every_kind_cannot_be_changed_dropped_repeated_or_reordered() {
    let mut seen = BTreeSet::new();
    for (height, decision) in BASE.bundle.decisions.iter().enumerate() {
        for (index, entry) in decision.batch.entries().iter().enumerate() {
            // The kind stands after the author's key.
            if !seen.insert(entry[32]) {
                continue;
            }
            for at in [0, 32, 33, entry.len() / 2, entry.len() - 1] {
                change_entries(&format!("byte {at} of kind {}", entry[32]), height, |entries| entries[index][at] ^= 1);
            }
            change_entries("an entry dropped", height, |entries| drop(entries.remove(index)));
            change_entries("an entry repeated", height, |entries| entries.push(entries[index].clone()));
            if decision.batch.entries().len() > 1 {
                change_entries("entries reversed", height, |entries| entries.reverse());
            }
        }
    }
    assert_eq!(seen, (1..=27).collect());
}

/// Changes the entries of a batch, and what the certificate says of it, but not the signatures.
fn change_entries(what: &str, at: usize, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    refuse(what, &[21], |bundle| {
        let batch = &bundle.decisions[at].batch;
        let mut entries = batch.entries().to_vec();
        change(&mut entries);
        let batch = chorus_protocol::log::batch::Batch::new(batch.height(), batch.previous(), entries).expect("fits");
        bundle.decisions[at].certificate.value = batch.id();
        bundle.decisions[at].batch = batch;
    });
}

#[test]
fn decisions_cannot_be_dropped_repeated_or_reordered() {
    let all = BASE.bundle.decisions.len();
    for at in [0, 1, all / 3, all / 2, all - 2] {
        refuse("a decision dropped", &[21], |bundle| drop(bundle.decisions.remove(at)));
        refuse("a decision repeated", &[21], |bundle| bundle.decisions.insert(at, bundle.decisions[at].clone()));
        refuse("decisions swapped", &[21], |bundle| bundle.decisions.swap(at, at + 1));
    }
}

/// A log may end anywhere, and then shows what it showed then: that is not tampering. But it ends in no other way than
/// a log that is written there would, and never while a round is between its closing and its result.
#[test]
fn a_log_cut_short_is_shown_as_that_or_refused() {
    let (mut incomplete, mut shorter) = (0, 0);
    for height in 0..BASE.bundle.decisions.len() {
        let mut bundle = BASE.bundle.clone();
        bundle.decisions.truncate(height);
        match check(&bundle.to_bytes()) {
            Ok(report) => {
                assert_eq!(report.height.0, height as u64);
                assert_eq!(report.tip, bundle.decisions[height - 1].batch.id());
                shorter += 1;
            }
            Err(VerifyError::Unfinished(_)) => incomplete += 1,
            Err(error) => assert!(matches!(error, VerifyError::BlobSuperfluous(_)), "{error}"),
        }
    }
    assert!(incomplete > 0 && shorter > 0);
}

#[test]
fn blobs_cannot_be_changed_dropped_repeated_or_reordered() {
    let all = BASE.bundle.blobs.len();
    let chosen = [0, 1, VOTERS / 2, VOTERS, VOTERS + 2, all - 2, all - 1];
    for at in chosen {
        refuse("bytes of a blob", &[20], |bundle| {
            let middle = bundle.blobs[at].1.len() / 2;
            bundle.blobs[at].1[middle] ^= 1;
        });
        refuse("id of a blob", &[20], |bundle| bundle.blobs[at].0 = BlobId::of(b"another"));
        refuse("another blob in its place", &[20], |bundle| {
            bundle.blobs[at].1.push(0);
            bundle.blobs[at].0 = BlobId::of(&bundle.blobs[at].1);
        });
        refuse("a blob dropped", &[26], |bundle| drop(bundle.blobs.remove(at)));
        refuse("a blob repeated", &[20], |bundle| bundle.blobs.insert(at, bundle.blobs[at].clone()));
        refuse("blobs swapped", &[20], |bundle| bundle.blobs.swap(at, (at + 1) % all));
    }
    refuse("a blob moved to the end", &[20], |bundle| bundle.blobs.rotate_left(1));
    refuse("all blobs dropped", &[26], |bundle| bundle.blobs.clear());
    refuse("a blob that nobody needs", &[20], |bundle| bundle.blobs.push((BlobId::of(b"more"), b"more".to_vec())));
}

#[test]
fn a_blob_in_the_wrong_place_is_told_from_one_too_many_and_one_too_few() {
    let refused = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = BASE.bundle.clone();
        change(&mut bundle);
        check(&bundle.to_bytes()).expect_err("another bundle").to_string()
    };
    let id = |at: usize| BASE.bundle.blobs[at].0;

    let order = |expected, found| VerifyError::BlobOrder { expected, found }.to_string();
    assert_eq!(refused(&|it| it.blobs.swap(1, 2)), order(id(1), id(2)));
    assert_eq!(refused(&|it| it.blobs.swap(1, 3)), order(id(1), id(3)));
    assert_eq!(refused(&|it| drop(it.blobs.remove(1))), VerifyError::MissingBlob(id(1)).to_string());
    assert_eq!(refused(&|it| it.blobs.truncate(1)), VerifyError::MissingBlob(id(1)).to_string());
    let superfluous = VerifyError::BlobSuperfluous(id(0)).to_string();
    assert_eq!(refused(&|it| it.blobs.insert(2, it.blobs[0].clone())), superfluous);
    assert_eq!(refused(&|it| it.blobs.push(it.blobs[0].clone())), superfluous);
}

#[test]
fn contents_of_two_blobs_cannot_be_exchanged() {
    refuse("contents", &[20], |bundle| {
        let (first, second) = (bundle.blobs[0].1.clone(), bundle.blobs[1].1.clone());
        bundle.blobs[0].1 = second;
        bundle.blobs[1].1 = first;
    });
}

#[test]
fn what_decodes_encodes_to_itself() {
    let decision = &BASE.bundle.decisions[0];

    assert_eq!(Decision::from_bytes(&decision.to_bytes()).as_ref(), Ok(decision));
}
