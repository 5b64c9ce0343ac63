//! Figures of catching up: what it takes somebody who comes late to check the whole past.

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
    let all = (arrival.message_bytes + arrival.body_bytes) as f64;
    vec![
        figure("batches on the log", arrival.heights as f64, "ratio"),
        figure("log", arrival.log_bytes as f64, "B"),
        figure("late joiner, messages", arrival.message_bytes as f64, "B"),
        figure("late joiner, bodies", arrival.body_bytes as f64, "B"),
        figure("late joiner, all bytes", all, "B").at_most(20e6),
        figure("late joiner, everything checked", arrival.elapsed.as_secs_f64(), "s").at_most(10.0),
        figure("late joiner, waits for links", arrival.waited.as_secs_f64(), "s"),
    ]
}
