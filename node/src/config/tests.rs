use chorus_crypto::{credential::LeafSecret, sign::SecretKey};
use chorus_protocol::{
    config::Policy,
    log::batch::Height,
    peer::Landmark,
    registry::{attestation::Claim, policy::Attester},
};

use super::{
    invite::{Address, AttestationRequest, MAX_SHORT_ADDRESSES, ShortInvite, SlotValue},
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
    Invite { genesis, addresses: vec![Address { text: "/ip4/127.0.0.1/tcp/4101".into() }], checkpoint: None }
}

#[test]
fn an_invitation_reads_back_from_its_text() {
    let text = invite("Choir").to_text();

    assert!(text.starts_with("chorus-invite-2-"));
    assert_eq!(Invite::from_text(&format!("  {text}\n")), Ok(invite("Choir")));
}

#[test]
fn a_short_invitation_is_completed_by_the_founding_document_and_by_no_other() {
    let address = |number| Address {
        text: format!(
            "/ip4/192.0.2.{number}/udp/4001/quic-v1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        ),
    };
    let checkpoint = Some(Landmark { height: Height(7), batch: BatchId::from([8; 32]) });
    let full = Invite { addresses: (0..9).map(address).collect(), checkpoint, ..invite("Choir") };
    let short = ShortInvite::from_text(&full.short().to_text()).expect("reads back");

    assert_eq!(short.checkpoint, checkpoint);
    assert_eq!(short.addresses, full.addresses[..MAX_SHORT_ADDRESSES]);
    assert_eq!(short.clone().with(invite("Other").genesis), None);
    let completed = short.with(full.genesis.clone()).expect("the right one");
    assert_eq!(completed.genesis, full.genesis);
    assert_eq!(Invite::from_text(&full.to_text()), Ok(full));
}

#[test]
fn an_invitation_that_was_changed_or_cut_is_refused() {
    let text = invite("Choir").to_text();

    for at in ["chorus-invite-2-".len(), text.len() / 2, text.len() - 1] {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("still text");
        assert_eq!(Invite::from_text(&changed), Err(TokenError::Checksum), "at {at}");
        assert!(Invite::from_text(&text[..at]).is_err());
    }
    assert_eq!(Invite::from_text(&(text + &"A".repeat(2 * Invite::MAX_BYTES))), Err(TokenError::TooLong));
}

#[test]
fn one_kind_of_text_is_not_taken_for_another() {
    let request = request([0; 4], "");

    assert_eq!(AttestationRequest::from_text(&request.to_text()), Ok(request.clone()));
    assert!(matches!(Invite::from_text(&request.to_text()), Err(TokenError::Kind { .. })));
}

fn request(attributes: [u64; 4], evidence: &str) -> AttestationRequest {
    let (key, leaf) = (SecretKey::from_seed(&[4; 32]), LeafSecret::random(attributes, &mut rand::rng()));
    let claim = Claim::of(key.public(), &leaf);
    AttestationRequest::new(invite("Choir").genesis.id(), claim, &leaf, evidence.into(), &mut rand::rng())
}

#[test]
fn a_request_proves_what_it_states_and_carries_no_secret() {
    let request = request([3, 0, 7, 0], "a code");
    assert!(request.verify().is_ok());
    assert_eq!(request.values, [SlotValue { slot: 0, value: 3 }, SlotValue { slot: 2, value: 7 }]);
    assert!(!format!("{request:?}").contains("a code"));

    let value = |slot, value| SlotValue { slot, value };
    for values in [vec![value(0, 4), value(2, 7)], vec![value(0, 3)], vec![value(2, 7), value(0, 3)], vec![]] {
        assert!(AttestationRequest { values, ..request.clone() }.verify().is_err());
    }
    let longer = vec![value(0, 3), value(2, 7), value(3, 0)];
    assert!(AttestationRequest { values: longer, ..request.clone() }.verify().is_err());
    let elsewhere = AttestationRequest { community: CommunityId::from([9; 32]), ..request.clone() };
    assert!(elsewhere.verify().is_err());
    let thief = SecretKey::from_seed(&[5; 32]).public();
    let claims = [
        Claim { key: thief, ..request.claim },
        Claim { slots: 1, ..request.claim },
        Claim { recovers: Some(thief), ..request.claim },
    ];
    for claim in claims {
        assert!(AttestationRequest { claim, ..request.clone() }.verify().is_err());
    }
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

use chorus_protocol::id::{BatchId, CommunityId};
