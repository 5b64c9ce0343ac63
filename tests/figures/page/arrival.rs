//! Somebody new: how long it takes from an invitation to a vote that the log has.
//!
//! All nodes are processes of their own. A round asks those who are members when it opens, so the operators' poll collects
//! items while the newcomer comes, and an operator begins voting as soon as they are in. What people do between the commands
//! (hand over a request, read the items) takes no time here.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{figure::Figure, idle::Node, table::Printed};

const OPERATORS: usize = 4;
const ITEMS: usize = 20;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the figures of one newcomer.
///
/// # Errors
///
/// Returns what keeps them from voting.
pub(crate) fn figures() -> anyhow::Result<Vec<Printed>> {
    let folder = tempfile::tempdir()?;
    let (mut operators, keys): (Vec<Node>, Vec<String>) =
        (1..=OPERATORS).map(|number| Node::new(folder.path(), &format!("operator-{number}"))).unzip();
    let mut create = vec!["community", "create", "--name", "Harbour", "--purpose", "To answer", "--attester", "me"];
    create.extend(keys.iter().flat_map(|key| ["--operator", key.as_str()]));
    operators[0].ask(&create);
    let invite = text(&operators[0].ask(&["invite"])["invite"])?;
    let mut addresses = Vec::new();
    for operator in &mut operators {
        operator.ask(&["join", &invite]);
        let address = operator.run(&addresses);
        addresses.push(address);
    }
    let founder = &operators[0];
    until(founder, &["status"], |status| status["operators_connected"] == OPERATORS - 1)?;
    let items: Vec<String> = (1..=ITEMS).map(|item| format!("The assistant should keep to principle {item}")).collect();
    let mut open = vec!["poll", "open", "--question", "What should the assistant do?"];
    open.extend(items.iter().flat_map(|item| ["--item", item.as_str()]));
    founder.ask(&open);
    let invite = text(&founder.ask(&["invite"])["invite"])?;
    let code = text(&founder.ask(&["attest", "invite"])["codes"][0])?;

    let began = Instant::now();
    let (mut newcomer, _) = Node::new(folder.path(), "newcomer");
    newcomer.ask(&["join", &invite]);
    let run = Instant::now();
    newcomer.run(&[]);
    let mut steps = vec![("`chorus run` is ready", run.elapsed())];
    until(&newcomer, &["poll", "list"], |polls| polls[0]["item_count"] == ITEMS)?;
    steps.push(("the log is there", run.elapsed()));
    let request = text(&newcomer.ask(&["attest", "request", "--code", &code])["request"])?;
    founder.ask(&["attest", "approve", &request]);
    until(&newcomer, &["status"], |status| status["node"]["member"] == true)?;
    steps.push(("they are a member", run.elapsed()));
    founder.ask(&["poll", "open", "-", "--vote", "--duration", "10min"]);
    until(&newcomer, &["poll", "list"], |polls| polls[0]["rounds"][0]["state"] == "open")?;
    steps.push(("voting is open to them", run.elapsed()));
    let votes: Vec<String> = (1..=ITEMS).map(|item| format!("{item}=agree")).collect();
    let cast =
        newcomer.ask(&[&["vote", "-"], votes.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
    ensure!(cast["own"]["on_log"] == true, "the vote is on the log: {cast}");
    let (voted, all) = (run.elapsed(), began.elapsed());

    let figure = |what: &str, took: Duration| {
        Figure::new(format!("somebody with an invitation, {OPERATORS} operators: {what}"), took.as_secs_f64(), "s")
    };
    let mut figures: Vec<Printed> =
        steps.iter().map(|(what, took)| figure(&format!("from `chorus run` until {what}"), *took).into()).collect();
    figures.push(figure("from `chorus run` to the first vote on the log", voted).at_most(60.0).into());
    figures.push(figure("the same, from `chorus init`", all).into());
    Ok(figures)
}

fn text(value: &Value) -> anyhow::Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("no text: {value}"))
}

/// Asks until the answer is as it should be.
fn until(node: &Node, arguments: &[&str], holds: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let answer = node.ask(arguments);
        if holds(&answer) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{arguments:?}: still {answer}");
        thread::sleep(Duration::from_millis(50));
    }
}
