use super::oracle::agreement;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

#[test]
fn vector_proof_and_oracle_and_plain_relation_agree() {
    let found = agreement(&mut ChaCha20Rng::seed_from_u64(5), 400);

    assert_eq!(found.disagreements, 0, "{found:?}");
    assert!((210..390).contains(&found.valid), "{found:?}");
}
