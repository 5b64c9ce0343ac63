use chorus_crypto::{credential::LeafSecret, sign::SecretKey};
use chorus_protocol::{config::Policy, registry::policy::Attester};

use super::{
    invite::{Address, AttestationRequest},
    *,
};

fn invite(name: &str) -> Invite {
    let key = SecretKey::from_seed(&[3; 32]).public();
    let genesis = Genesis {
        name: name.into(),
        purpose: "To sing together".into(),
        operators: vec![key],
        attesters: vec![Attester { key, organisation: String::new() }],
        policy: Policy::default(),
    };
    Invite { genesis, addresses: vec![Address { text: "/ip4/127.0.0.1/tcp/4101".into() }] }
}

#[test]
fn an_invitation_reads_back_from_its_text() {
    let text = invite("Choir").to_text();

    assert!(text.starts_with("chorus-invite-1-"));
    assert_eq!(Invite::from_text(&format!("  {text}\n")), Ok(invite("Choir")));
}

#[test]
fn an_invitation_that_was_changed_or_cut_is_refused() {
    let text = invite("Choir").to_text();

    for at in ["chorus-invite-1-".len(), text.len() / 2, text.len() - 1] {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("still text");
        assert_eq!(Invite::from_text(&changed), Err(TokenError::Checksum), "at {at}");
        assert!(Invite::from_text(&text[..at]).is_err());
    }
    assert_eq!(Invite::from_text(&(text + &"A".repeat(32 * 1024))), Err(TokenError::TooLong));
}

#[test]
fn one_kind_of_text_is_not_taken_for_another() {
    let (key, leaf) = (SecretKey::from_seed(&[4; 32]), LeafSecret::random([0; 4], &mut rand::rng()));
    let request = AttestationRequest::new(invite("Choir").genesis.id(), key.public(), &leaf, &mut rand::rng());

    assert_eq!(AttestationRequest::from_text(&request.to_text()), Ok(request.clone()));
    assert!(matches!(Invite::from_text(&request.to_text()), Err(TokenError::Kind { .. })));
    assert!(request.verify().is_ok());
    let elsewhere = AttestationRequest { community: CommunityId::from([9; 32]), ..request };
    assert!(elsewhere.verify().is_err());
}

#[test]
fn a_directory_belongs_to_one_community() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = DataDir::new(folder.path().join("new"));

    assert!(matches!(dir.read_community(), Err(ConfigError::NoCommunity(_))));
    dir.write_community(&invite("Choir")).expect("written");
    assert_eq!(dir.read_community().expect("read"), invite("Choir"));
    assert!(matches!(dir.write_community(&invite("Other")), Err(ConfigError::OtherCommunity(_))));
    let moved = Invite { addresses: Vec::new(), ..invite("Choir") };
    dir.write_community(&moved).expect("addresses may change");
    assert_eq!(dir.read_community().expect("read"), moved);
}

use chorus_protocol::id::CommunityId;
