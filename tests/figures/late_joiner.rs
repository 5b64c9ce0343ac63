//! Figures of catching up: what it takes somebody who comes late to check the whole past.

use chorus_crypto::hash;
use chorus_protocol::{
    id::{BlobId, CommunityId, RoundId},
    message::{Bodies, Holdings, Message},
    reconcile::{self, Ids},
};
use chorus_tests::history::Past;

use crate::figure::Figure;

/// Plays a past of so many rounds, and lets somebody come late.
pub(crate) fn figures(rounds: u32) -> Vec<Figure> {
    let past = Past { rounds, ..Past::default() };
    let mut history = past.play();
    let arrival = history.arrive();
    let figure = |name: &str, value: f64, unit: &'static str| {
        let Past { operators, people, .. } = past;
        Figure::new(format!("{rounds} sealed rounds, {operators} operators, {people} voters: {name}"), value, unit)
    };
    let compared = figure_of_comparison(10_000, 100);
    let all = (arrival.message_bytes + arrival.body_bytes) as f64;
    vec![
        figure("batches on the log", arrival.heights as f64, "ratio"),
        figure("log", arrival.log_bytes as f64, "B"),
        figure("late joiner, messages", arrival.message_bytes as f64, "B"),
        figure("late joiner, bodies", arrival.body_bytes as f64, "B"),
        figure("late joiner, all bytes", all, "B").at_most(20e6),
        figure("late joiner, everything checked", arrival.elapsed.as_secs_f64(), "s").at_most(10.0),
        figure("late joiner, waits for links", arrival.waited.as_secs_f64(), "s"),
        compared,
    ]
}

/// How many bytes tell two operators which contributions of an open round one of them lacks.
fn figure_of_comparison(all: u32, missing: u32) -> Figure {
    let ids = |numbers: core::ops::Range<u32>| -> Ids { numbers.map(|it| BlobId::of(&it.to_be_bytes())).collect() };
    let (ahead, behind) = (ids(0..all), ids(0..all - missing));
    let round = RoundId::from(hash::content(b"a round"));
    let of = |ids: &Ids, buckets| Message::Holdings(Holdings { round, digest: reconcile::digest(ids), buckets });
    let mut bytes = 0;
    let mut send = |message: Message| bytes += message.seal(CommunityId::default()).len();
    // One list holds so many ids only: again, until nothing is missing.
    let mut behind = behind;
    while behind != ahead {
        send(of(&behind, Vec::new()));
        send(of(&ahead, reconcile::buckets(&ahead)));
        let (buckets, listed) = reconcile::differing(&behind, &reconcile::buckets(&ahead));
        let (lacking, _) = reconcile::compare(&ahead, &buckets, &listed);
        send(Message::Bodies(Bodies { round, buckets, ids: listed }));
        send(Message::Bodies(Bodies { round, buckets: Vec::new(), ids: lacking.clone() }));
        behind.extend(lacking);
    }
    Figure::new(format!("open round, {missing} of {all} contributions missing: comparison"), bytes as f64, "B")
}
