use chorus_protocol::{
    adapter::manifest::{Adapted, BaseModel, Centre, Combination, Encoding, Gate, Ratio, Schedule, Weights},
    id::{BlobId, PollId},
};

use super::*;

fn manifest(gate: Option<Gate>) -> AdapterManifest {
    AdapterManifest {
        name: "harbour".into(),
        base: BaseModel { name: "toy".into(), digest: [7; 32] },
        adapted: Adapted { rank: 2, alpha: 4, first_layer: 0, layers: 1, targets: Vec::new() },
        seed: [8; 32],
        encoding: Encoding { fraction_bits: 16, bound: 1 << 18, lane_bits: 31 },
        schedule: Schedule { rounds: 1, every_millis: None, step: Ratio { numerator: 1, denominator: 1 } },
        combination: Combination { weights: Weights::PerPerson, cohorts: 1, centre: Centre::Mean, floor: 0 },
        gate,
        noise: None,
    }
}

fn vote(round: u8, text: &str, choice: Choice) -> view::OwnVote {
    let (round, poll) = (RoundId::from([round; 32]), PollId::from([1; 32]));
    view::OwnVote { round, poll, item: BlobId::of(text.as_bytes()), text: text.into(), choice }
}

#[test]
fn the_latest_vote_on_a_statement_counts_and_what_is_held_out_is_left_out() {
    let votes = vec![
        vote(1, "AI should lie.", Choice::Agree),
        vote(1, "AI should sing.", Choice::Pass),
        vote(2, "AI should lie.", Choice::Disagree),
        vote(2, "AI should help.", Choice::Agree),
    ];
    let diary = view::Diary { kept: true, votes, cards: Vec::new() };

    let (mut all, none) = opinions(&diary, &manifest(None));
    all.sort_by(|a, b| a.text.cmp(&b.text));
    let everything = Gate { round: RoundId::ZERO, groups: 1, held_out: 1, tolerance: 0 };
    let (kept, held_out) = opinions(&diary, &manifest(Some(everything)));

    let of = |text: &str, agrees| Opinion { text: text.into(), agrees };
    assert_eq!((all, none), (vec![of("AI should help.", true), of("AI should lie.", false)], 0));
    assert_eq!((kept.len(), held_out), (0, 3));
}
