//! `chorus init`: a data directory with fresh keys.

use chorus_crypto::{credential::LeafSecret, sign::SecretKey};
use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Global, keys, output::Lines};
use crate::keystore::{Keys, Protection};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Protect the keys by the file's permissions alone: whoever can read the file has them.
    #[arg(long)]
    no_passphrase: bool,
}

#[derive(Serialize)]
struct Answer {
    data_dir: String,
    public_key: String,
    protected: bool,
}

impl Init {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let dir = global.data_dir()?;
        let path = dir.keystore();
        if path.exists() {
            return Err(crate::keystore::KeystoreError::Exists(path).into());
        }
        let protection = keys::new_protection(global, self.no_passphrase)?;
        dir.create()?;
        let mut rng = global.randomness().generator("keys", &[]);
        let mut keys = Keys::generate(&mut rng);
        keys.leaf = Zeroizing::new(LeafSecret::random([0; 4], &mut rng).to_bytes().to_vec());
        keys.create(&path, &protection, &mut rng)?;
        let answer = Answer {
            data_dir: dir.root().display().to_string(),
            public_key: SecretKey::from_seed(&keys.signing).public().to_string(),
            protected: matches!(protection, Protection::Passphrase(_, _)),
        };
        let joined = dir.community().exists();
        global.output().print(&answer, |answer| {
            let mut lines = Lines::default();
            lines.field("directory", &answer.data_dir).field("public key", &answer.public_key);
            if !answer.protected {
                lines.line("The keys are protected by the file's permissions alone.");
            }
            lines.line("").line("Keep a copy of the keystore, and of the file `leaves` once you have voted: without them, nobody can vote in your name, not even you.");
            lines.line(if joined {
                "Next: `chorus run`, and `chorus attest request` for an attester."
            } else {
                "Next: `chorus community create --name NAME --purpose PURPOSE`, or `chorus join INVITE`."
            });
            lines.finish()
        })
    }
}
