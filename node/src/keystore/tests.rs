use super::*;

fn protection(text: &str) -> Protection {
    Protection::Passphrase(Passphrase::from(text.to_owned()), Cost::TEST)
}

fn keys() -> Keys {
    let mut keys = Keys::generate(&mut rand::rng());
    keys.leaf = Zeroizing::new(b"leaf".to_vec());
    keys.other.insert("operator", Zeroizing::new(vec![5; 100])).expect("in bounds");
    keys
}

fn stored(protection: &Protection) -> (tempfile::TempDir, PathBuf, Keys) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("keys");
    let keys = keys();
    keys.create(&path, protection, &mut rand::rng()).expect("written");
    (folder, path, keys)
}

#[test]
fn keys_read_back_under_their_passphrase_and_no_other() {
    let (_folder, path, keys) = stored(&protection("correct horse"));

    assert!(Keys::load(&path, &protection("correct horse")).expect("opens") == keys);
    assert!(matches!(Keys::load(&path, &protection("correct hors")), Err(KeystoreError::WrongPassphrase)));
    let unprotected = Keys::load(&path, &Protection::Unprotected);
    assert!(matches!(unprotected, Err(KeystoreError::OtherProtection { needs_passphrase: true })));
    assert!(Keys::needs_passphrase(&path).expect("readable"));
    let file = fs::read(&path).expect("readable");
    assert!(!file.windows(32).any(|window| window == keys.signing.as_slice()));
}

#[test]
fn an_unprotected_keystore_must_be_asked_for_by_name() {
    let (folder, path, keys) = stored(&Protection::Unprotected);

    assert!(Keys::load(&path, &Protection::Unprotected).expect("opens") == keys);
    let other = Keys::load(&path, &protection("x"));
    assert!(matches!(other, Err(KeystoreError::OtherProtection { needs_passphrase: false })));
    assert!(!Keys::needs_passphrase(&path).expect("readable"));
    let empty = keys.create(&folder.path().join("new"), &protection(""), &mut rand::rng());
    assert!(matches!(empty, Err(KeystoreError::EmptyPassphrase)));
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    for protection in [protection("p"), Protection::Unprotected] {
        let (_folder, path, _) = stored(&protection);
        let file = fs::read(&path).expect("readable");

        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(open(&flipped, &protection), Err(KeystoreError::Damaged(_))), "bit {bit}");
        }
        for cut in 0..file.len() {
            assert!(matches!(open(&file[..cut], &protection), Err(KeystoreError::Damaged(_))), "cut {cut}");
        }
        assert!(open(&[file, vec![0]].concat(), &protection).is_err());
    }
}

#[test]
fn a_change_with_a_mended_checksum_is_refused_by_the_cipher() {
    let protection = protection("p");
    let (_folder, path, _) = stored(&protection);
    let file = fs::read(&path).expect("readable");
    let body = file.len() - CHECKSUM_LEN;
    // From the salt on: before it are the magic, the protection and the cost, which would only change the error.
    for index in 8 + 1 + 12..body {
        let mut changed = file[..body].to_vec();
        changed[index] ^= 1;
        let checksum = hash::digest_bytes(domain::KEYSTORE, &changed);
        changed.extend_from_slice(&checksum);

        let opened = open(&changed, &protection);

        assert!(matches!(opened, Err(KeystoreError::WrongPassphrase | KeystoreError::Damaged(_))), "byte {index}");
    }
}

#[test]
fn a_keystore_is_never_overwritten_by_accident_and_replaced_whole() {
    let (folder, path, keys) = stored(&protection("old"));
    let mut changed = keys.clone();
    assert!(changed.other.remove("operator"));

    assert!(matches!(changed.create(&path, &protection("new"), &mut rand::rng()), Err(KeystoreError::Exists(_))));
    changed.replace(&path, &protection("new"), &mut rand::rng()).expect("replaced");

    assert!(Keys::load(&path, &protection("new")).expect("opens") == changed);
    assert!(matches!(Keys::load(&path, &protection("old")), Err(KeystoreError::WrongPassphrase)));
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    let missing = Keys::load(&folder.path().join("absent"), &protection("p"));
    assert!(matches!(missing, Err(KeystoreError::Missing(_))));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, path, _) = stored(&protection("p"));

    assert_eq!(fs::metadata(&path).expect("readable").permissions().mode() & 0o777, 0o600);
}

#[test]
fn secrets_are_bounded_and_not_printed() {
    let mut secrets = Secrets::default();

    assert!(secrets.insert("large", Zeroizing::new(vec![0; MAX_SECRET_BYTES + 1])).is_err());
    assert!(secrets.insert(&"n".repeat(MAX_NAME_BYTES + 1), Zeroizing::default()).is_err());
    for number in 0..MAX_SECRETS {
        secrets.insert(&number.to_string(), Zeroizing::new(vec![0; MAX_SECRET_BYTES])).expect("in bounds");
    }
    assert!(secrets.insert("one more", Zeroizing::default()).is_err());
    secrets.insert("0", Zeroizing::new(vec![1])).expect("replaces");
    assert_eq!(format!("{secrets:?}"), "Secrets { number: 64, .. }");
    assert_eq!(format!("{:?}", keys()), "Keys { .. }");
    let file = seal(&secrets, &Protection::Unprotected, &mut rand::rng()).expect("fits");
    assert!(file.len() <= MAX_FILE_BYTES);
    assert!(open(&file, &Protection::Unprotected).expect("opens") == secrets);
}

#[test]
fn the_standard_cost_works() {
    let protection = Protection::Passphrase(Passphrase::from("p".to_owned()), Cost::STANDARD);
    let (_folder, path, keys) = stored(&protection);

    assert!(Keys::load(&path, &protection).expect("opens") == keys);
}
