//! Connections that lead nowhere.

use std::time::{Duration, Instant};

use chorus_tests::flood::{
    is_ended, silent, socket_of,
    target::{LIMITS, Target},
};
use futures::future::join_all;

const CONNECTIONS: usize = 300;

/// What a handshake may take, twice.
const HANDSHAKE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_or_half_a_handshake_are_ended_and_others_let_in() {
    let target = Target::start(1, LIMITS).await;
    let honest = target.meet(1).await;
    let socket = socket_of(&target.address);

    let opened = join_all((0..CONNECTIONS).map(|number| silent(socket, number % 2 == 0))).await;
    target.assert_answers(&honest).await;

    // Those that could not be opened were refused as well; of the others at most the few that may be set up last longer.
    let ended = opened.into_iter().flatten().map(|stream| async {
        let began = Instant::now();
        (is_ended(stream, HANDSHAKE).await, began.elapsed() < HANDSHAKE / 4)
    });
    let ended = join_all(ended).await;
    assert!(ended.iter().all(|(ended, _)| *ended));
    let late = ended.iter().filter(|(_, at_once)| !at_once).count();
    assert!(late <= LIMITS.pending_per_address as usize, "{late} were held");
    target.assert_answers(&honest).await;
    target.stop(honest).await;
}
