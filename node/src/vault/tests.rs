use super::*;

struct Home {
    folder: tempfile::TempDir,
    owner: SecretKey,
    first: LeafSecret,
}

impl Home {
    fn new() -> Self {
        let mut rng = rand::rng();
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            owner: SecretKey::random(&mut rng),
            first: LeafSecret::random([0; 4], &mut rng),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("leaves")
    }

    fn open(&self) -> Vault {
        let first = self.first.to_bytes();
        Vault::open(self.path(), &self.owner, first.as_slice()).expect("opens")
    }
}

fn snapshot(leaves: &[Leaf]) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(leaves.to_vec(), [0; 32], [0; 32]))
}

#[test]
fn the_leaf_of_the_keystore_is_the_first_and_a_rotation_survives_restarts() {
    let home = Home::new();
    let vault = home.open();
    let first = vault.current().leaf();
    assert_eq!(first, home.first.leaf());
    vault.settle(&first, &[]).expect("settles");
    let next = vault.successor(&mut rand::rng()).expect("drawn").1.leaf();

    let vault = home.open();

    assert_eq!(vault.current().leaf(), first, "the log has not said so yet");
    assert_eq!(vault.successor(&mut rand::rng()).expect("the same").1.leaf(), next);
    vault.settle(&next, &[]).expect("settles");
    assert_eq!(home.open().current().leaf(), next);
    assert!(home.open().find(&first).is_none(), "nothing pins it");
}

#[test]
fn an_older_leaf_is_kept_while_an_unfinished_round_pins_it_or_the_log_is_behind() {
    let home = Home::new();
    let vault = home.open();
    let first = vault.current().leaf();
    vault.settle(&first, &[]).expect("settles");
    let next = vault.successor(&mut rand::rng()).expect("drawn").1.leaf();
    let round = snapshot(&[first]);
    vault.settle(&next, core::slice::from_ref(&round)).expect("settles");

    assert_eq!(vault.in_snapshot(&round).expect("kept").leaf(), first);
    assert_eq!(vault.in_snapshot(&snapshot(&[next])).expect("there").leaf(), next);
    vault.settle(&first, &[]).expect("a log that is behind changes nothing");
    assert_eq!((vault.current().leaf(), vault.find(&first).is_some()), (next, true));
    vault.settle(&next, &[]).expect("settles");
    assert!(home.open().in_snapshot(&round).is_none(), "the round is finished");
}

#[test]
fn whichever_request_was_answered_the_log_decides() {
    let home = Home::new();
    let vault = home.open();
    let plain = vault.current().leaf();
    let stated = vault.with_attributes([2, 0, 0, 0], &mut rand::rng()).expect("fresh").leaf();
    assert_ne!(stated, plain);
    assert_eq!(vault.with_attributes([2, 0, 0, 0], &mut rand::rng()).expect("the same").leaf(), stated);
    assert_eq!(vault.with_attributes([0; 4], &mut rand::rng()).expect("the first").leaf(), plain);
    assert_eq!(vault.with_attributes([2, 0, 0, 0], &mut rand::rng()).expect("the same").leaf(), stated);

    vault.settle(&plain, &[]).expect("settles");

    assert_eq!(home.open().current().leaf(), plain);
    assert!(matches!(vault.with_attributes([2, 0, 0, 0], &mut rand::rng()), Err(VaultError::Registered)));
    vault.settle(&stated, &[]).expect("nothing happens");
    assert_eq!(vault.current().leaf(), plain, "a registered leaf becomes another by rotation alone");
}

#[test]
fn requests_with_ever_other_attributes_are_bounded() {
    let vault = Home::new();
    let vault = vault.open();
    let mut made = 0;
    let refused = (1..=2 * MAX_OTHERS as u64).find_map(|value| {
        let result = vault.with_attributes([value, 0, 0, 0], &mut rand::rng());
        made += usize::from(result.is_ok());
        result.err()
    });

    assert!(matches!(refused, Some(VaultError::TooMany)));
    assert_eq!(made, MAX_OTHERS);
}

#[test]
fn a_file_that_was_changed_or_is_of_other_keys_is_not_taken_for_a_new_one() {
    let home = Home::new();
    drop(home.open());
    let stranger = SecretKey::random(&mut rand::rng());
    let first = home.first.to_bytes();
    let refused = Vault::open(home.path(), &stranger, first.as_slice());
    assert!(matches!(refused, Err(VaultError::Damaged(_))));

    let whole = fs::read(home.path()).expect("readable");
    assert!(!whole.windows(32).any(|window| *window == first[..32]), "the secret is not in the clear");
    for at in [0, 9, 40, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(home.path(), changed).expect("written");
        let opened = Vault::open(home.path(), &home.owner, first.as_slice());
        assert!(matches!(opened, Err(VaultError::Damaged(_))), "changed at {at}");
    }
}
