use super::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const PLAINTEXT: &[u8] = b"seeds";

fn sealed(secret: &SealSecret) -> Vec<u8> {
    seal(&secret.public(), b"core", PLAINTEXT, &mut ChaCha20Rng::from_seed([1; 32])).expect("a usable key")
}

#[test]
fn a_box_opens_for_its_recipient_under_its_associated_data_only() {
    let (secret, other) = (SealSecret::from_bytes(&[5; 32]), SealSecret::from_bytes(&[6; 32]));
    let sealed = sealed(&secret);

    assert_eq!(sealed.len(), PLAINTEXT.len() + OVERHEAD);
    assert_eq!(secret.open(b"core", &sealed).expect("opens").as_slice(), PLAINTEXT);
    assert_eq!(secret.open(b"cord", &sealed), Err(SealError::Open));
    assert_eq!(secret.open(b"", &sealed), Err(SealError::Open));
    assert_eq!(other.open(b"core", &sealed), Err(SealError::Open));
}

#[test]
fn every_changed_byte_and_every_truncation_is_refused() {
    let secret = SealSecret::from_bytes(&[5; 32]);
    let sealed = sealed(&secret);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(secret.open(b"core", &changed), Err(SealError::Open));
        assert_eq!(secret.open(b"core", &sealed[..at]), Err(SealError::Open));
    }
    assert_eq!(secret.open(b"core", &[sealed.as_slice(), &[0]].concat()), Err(SealError::Open));
}

#[test]
fn secrets_are_equal_if_their_bytes_are() {
    assert_eq!(SealSecret::from_bytes(&[5; 32]), SealSecret::from_bytes(&[5; 32]));
    assert_ne!(SealSecret::from_bytes(&[5; 32]), SealSecret::from_bytes(&[6; 32]));
}

#[test]
fn nothing_is_sealed_to_or_opened_from_a_key_of_small_order() {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut one = [0; 32];
    one[0] = 1;
    assert!(SealSecret::from_bytes(&[5; 32]).public().is_usable());
    for key in [[0; 32], one] {
        assert!(!SealPublic::from(key).is_usable());
        assert_eq!(seal(&SealPublic::from(key), b"", PLAINTEXT, &mut rng), Err(SealError::Recipient));
        let forged = [key.as_slice(), &[0; 21]].concat();
        assert_eq!(SealSecret::from_bytes(&[5; 32]).open(b"", &forged), Err(SealError::Open));
    }
}

#[test]
fn two_boxes_of_one_plaintext_differ() {
    let secret = SealSecret::from_bytes(&[5; 32]);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut seal = || seal(&secret.public(), b"", PLAINTEXT, &mut rng).expect("a usable key");
    let (first, second) = (seal(), seal());

    assert!(first.iter().zip(&second).filter(|(a, b)| a == b).count() < 16);
}

#[test]
fn a_secret_survives_its_bytes_and_is_not_printed() {
    let secret = SealSecret::random(&mut ChaCha20Rng::from_seed([2; 32]));

    assert_eq!(SealSecret::from_bytes(&secret.to_bytes()), secret);
    assert_eq!(format!("{secret:?}"), "SealSecret { .. }");
    let public = secret.public();
    assert_eq!(SealPublic::from_bytes(&public.to_bytes()), Ok(public));
    // RFC 7748, §6.1: Alice's key pair.
    let decode = |hex: &str| -> [u8; 32] {
        core::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
    };
    let alice = SealSecret::from_bytes(&decode("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
    let expected = decode("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_eq!(alice.public().as_bytes(), &expected);
}
