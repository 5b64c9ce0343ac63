use chorus_protocol::id::BlobId;

use super::*;

fn receipt(own: Option<(bool, bool)>, logged: Option<bool>, sealed: Option<bool>) -> view::Receipt {
    view::Receipt {
        community: CommunityId::ZERO,
        poll: [1; 32].into(),
        question: "What?".into(),
        round: RoundId::from([2; 32]),
        state: if sealed.is_some() { view::RoundState::Sealed } else { view::RoundState::Open },
        own: own.map(|(on_log, withdrawal)| view::Own { sequence: 1, on_log, withdrawal }),
        tag: own.map(|_| "ab".into()),
        logged: logged.map(|withdrawal| view::Logged { sequence: 1, body: BlobId::ZERO, withdrawal }),
        sealed: sealed.map(|included| view::SealedView {
            set: [3; 32].into(),
            contributions: 4,
            included,
            sequence: included.then_some(1),
            acknowledged_by: vec![1, 3],
        }),
        result: None,
    }
}

#[test]
fn every_standing_has_words_of_its_own() {
    let standings = [
        receipt(Some((true, false)), Some(false), Some(true)),
        receipt(Some((true, true)), None, Some(false)),
        receipt(Some((false, false)), None, Some(false)),
        receipt(None, None, Some(false)),
        receipt(Some((true, true)), Some(true), None),
        receipt(Some((true, false)), Some(false), None),
        receipt(Some((false, false)), None, None),
        receipt(None, None, None),
    ];

    let told = standings.map(|receipt| {
        let text = text(&receipt);
        text.lines().find_map(|line| line.strip_prefix("you")).expect("a standing").trim().to_owned()
    });

    assert!(told[0].starts_with("counted") && told[1..4].iter().all(|told| told.starts_with("not counted")));
    let distinct: std::collections::BTreeSet<_> = told.iter().collect();
    assert_eq!(distinct.len(), told.len(), "{told:?}");
}
