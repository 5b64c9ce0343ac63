//! Signatures alone: where verifiers of Ed25519 are known to differ, strict verification decides.
//!
//! The odd keys and signatures cannot be made with an honest key: they were computed from the curve's arithmetic, for a
//! fixed message and label (as in Chalkias, Garillot, Nikolaenko, *Taming the many EdDSAs*, 2020).

use chorus_crypto::{
    domain,
    sign::{PublicKey, SecretKey, Signature},
};

use super::{Refused, Suite, Values, hex, link::add_order};

const PREFIX: &str = "chorus/v1/";
const LABEL: &str = "log/vote";
const MESSAGE: &[u8] = b"a message";

const HONEST: &str = "an honest key";
const MIXED: &str = "a key with a part of order eight, which divides the challenge";

/// A key `a·B + T` with T of order eight.
const MIXED_KEY: &str = "c668425144eca1e8f9a8e178986f150a310e6f426cbc38a42c17a9e0c0e71982";
/// Its signature with a challenge that is a multiple of eight: the equation holds as it stands.
const MIXED_HOLDS: &str = concat!(
    "b1d2b0edaf2082f3c441b5021bded1009ce6eb33dabd62730cb4d995289d5aa3",
    "a69afb921a93db48e7400c37b7abd20c0860245363fa1dbef63ead701580f309"
);
/// Its signature with another challenge: the equation holds times eight only.
const MIXED_COFACTOR: &str = concat!(
    "7962a9c4f9aaa4d896413a9812319cb45bc568fba5fd2761cbf94a509a5d3f5d",
    "e202ab8652e94fe9c8ecc66aef774b20d973d657e9b001d2364947e21e630807"
);
/// The key `a·B`.
const KEY: &str = "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad";

/// Keys and signatures that laxer verification takes: what is odd, key, signature.
const ODD: [(&str, &str, &str); 8] = [
    ("an equation that holds only times the cofactor", MIXED_KEY, MIXED_COFACTOR),
    (
        "an R with a part of order eight",
        KEY,
        concat!(
            "bddff68e90493cbd570984e942df75f8c18f6b527afd86f7f744669e362d0500",
            "879ba3929a1794b0dd9a161dbad6148dd6463e4e581467273877eb4216461801"
        ),
    ),
    (
        "an R that is the identity",
        KEY,
        concat!(
            "0100000000000000000000000000000000000000000000000000000000000000",
            "8ca06c895055d168e688a0c9d468127ade0bd8464605295853637199b8e7120b"
        ),
    ),
    (
        "an R that is the identity, not reduced",
        KEY,
        concat!(
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "e4a565cd2815c803bcbc9a3e78d25bbbf73ca12b5ae2d5d715b91ac10b50110f"
        ),
    ),
    (
        "a key of order two",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        concat!(
            "7962a9c4f9aaa4d896413a9812319cb45bc568fba5fd2761cbf94a509a5d3f5d",
            "279920a266e516b8327be031ffa5b5fecde2d8b514c99537d9ccea2500174b0f"
        ),
    ),
    (
        "a key of order eight",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        concat!(
            "95e6ba469d9a84eadc2211311bdb8c2b42b6dbf76d4150e8189da2b681ccb924",
            "129aa0ea3244987dd6ca26bae0cef060ffe40b4210da63201f5c143d8fd59b05"
        ),
    ),
    (
        "a key that is the identity, not reduced",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        concat!(
            "b1d2b0edaf2082f3c441b5021bded1009ce6eb33dabd62730cb4d995289d5aa3",
            "efa60ae0fff01efa116d848e5ab45181bf8fb9730320e99e0e2a5e6c9254c102"
        ),
    ),
    (
        "a key that is the identity, with the sign of minus zero",
        "0100000000000000000000000000000000000000000000000000000000000080",
        concat!(
            "b1d2b0edaf2082f3c441b5021bded1009ce6eb33dabd62730cb4d995289d5aa3",
            "efa60ae0fff01efa116d848e5ab45181bf8fb9730320e99e0e2a5e6c9254c102"
        ),
    ),
];

fn values(key: &[u8], signature: &[u8]) -> Values {
    let mut values = Values::default().plain("label", LABEL);
    for (name, bytes) in [("key", key), ("message", MESSAGE), ("signature", signature)] {
        values.put(name, bytes);
    }
    values
}

pub(super) fn check(values: &Values) -> Result<(), Refused> {
    let label = values.text("label");
    let named = |domain: &&domain::Domain| domain.as_str().strip_prefix(PREFIX) == Some(label);
    let domain = domain::ALL.iter().find(named).ok_or(Refused)?;
    let (key, signature): (PublicKey, Signature) = (values.decode("key")?, values.decode("signature")?);
    Ok(key.verify(*domain, &values.bytes("message"), &signature)?)
}

pub(super) fn suite() -> Suite {
    let mut suite = Suite::default();
    let key = SecretKey::from_seed(&[7; 32]);
    let signature = key.sign(domain::VOTE, MESSAGE);
    suite.good(HONEST, values(key.public().as_bytes(), signature.as_bytes()));
    suite.good(MIXED, values(&hex(MIXED_KEY), &hex(MIXED_HOLDS)));
    for (breaks, key, signature) in ODD {
        suite.bad(MIXED, breaks, |changed| *changed = values(&hex(key), &hex(signature)));
    }
    suite.bad(HONEST, "the label", |values| *values = values.clone().plain("label", "log/proposal"));
    suite.bad(HONEST, "the message", |values| values.edit("message", |message| message[0] ^= 1));
    suite.bad(HONEST, "the message, longer", |values| values.edit("message", |message| message.push(0)));
    suite.bad(HONEST, "the key", |values| values.put("key", SecretKey::from_seed(&[8; 32]).public().as_bytes()));
    suite.bad(HONEST, "the sign of the key", |values| values.edit("key", |key| key[31] ^= 0x80));
    suite.bad(HONEST, "R", |values| values.edit("signature", |signature| signature[0] ^= 1));
    suite.bad(HONEST, "s", |values| values.edit("signature", |signature| signature[32] ^= 1));
    suite.bad(HONEST, "an s that is not reduced", |values| {
        values.edit("signature", |signature| add_order(&mut signature[32..]));
    });
    suite.bad(HONEST, "a key that is no point", |values| {
        values.edit("key", |key| {
            key.fill(0);
            key[0] = 2;
        })
    });
    suite
}
