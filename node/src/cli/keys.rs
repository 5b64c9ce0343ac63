//! Opening and making the keystore: where the passphrase comes from.

use std::io::IsTerminal as _;

use chorus_crypto::sign::SecretKey;

use super::{Failure, Global, values::read_file};
use crate::{
    api::Person,
    config::DataDir,
    keystore::{Cost, Keys, Passphrase, Protection},
    vault::Vault,
};

/// The environment variable that holds the passphrase.
const VARIABLE: &str = "CHORUS_PASSPHRASE";

/// Returns the protection for a new keystore.
pub(super) fn new_protection(global: &Global, no_passphrase: bool) -> anyhow::Result<Protection> {
    if no_passphrase {
        return Ok(Protection::Unprotected);
    }
    if let Some(passphrase) = given(global)? {
        return Ok(Protection::Passphrase(passphrase, Cost::STANDARD));
    }
    let (first, second) = (ask("Passphrase for the new keys: ")?, ask("The same once more: ")?);
    if *first != *second {
        return Err(Failure::PassphrasesDiffer.into());
    }
    Ok(Protection::Passphrase(first.as_str().to_owned().into(), Cost::STANDARD))
}

/// Opens the keystore.
pub(super) fn open(global: &Global, dir: &DataDir) -> anyhow::Result<Keys> {
    let path = dir.keystore();
    let protection = if Keys::needs_passphrase(&path)? {
        let passphrase = match given(global)? {
            Some(passphrase) => passphrase,
            None => ask("Passphrase: ")?.as_str().to_owned().into(),
        };
        Protection::Passphrase(passphrase, Cost::STANDARD)
    } else {
        Protection::Unprotected
    };
    Ok(Keys::load(&path, &protection)?)
}

/// Returns the person whose keys these are.
pub(super) fn person(keys: &Keys, dir: &DataDir) -> anyhow::Result<Person> {
    let key = SecretKey::from_seed(&keys.signing);
    let vault = Vault::open(dir.leaves(), &key, &keys.leaf)?;
    Ok(Person { key, vault })
}

/// The passphrase from a file or the environment.
fn given(global: &Global) -> Result<Option<Passphrase>, Failure> {
    if let Some(path) = &global.passphrase_file {
        let text = zeroize::Zeroizing::new(read_file(path)?);
        return Ok(Some(text.lines().next().unwrap_or_default().to_owned().into()));
    }
    Ok(std::env::var(VARIABLE).ok().map(Passphrase::from))
}

fn ask(prompt: &str) -> Result<zeroize::Zeroizing<String>, Failure> {
    let terminal = console::Term::stderr();
    if !std::io::stdin().is_terminal() || !terminal.is_term() {
        return Err(Failure::NoPassphrase);
    }
    let read = terminal.write_str(prompt).and_then(|()| terminal.read_secure_line());
    read.map(zeroize::Zeroizing::new).map_err(|_| Failure::NoPassphrase)
}
