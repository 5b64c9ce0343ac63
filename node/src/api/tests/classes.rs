//! Rounds with classes, as an operator asks for them and a voter sees them.

use chorus_crypto::{ballot::Vote, credential::LeafSecret};
use chorus_protocol::{contribution::Contributor, id::RoundId, ledger::Ledger, peer::Command};

use super::*;

/// How long votes are taken: long enough for a slow machine, as the protocol has no other end.
pub(super) const VOTING_MILLIS: u64 = 8_000;

/// A community with regions, in which two people are enough for a class.
async fn start() -> Fixture {
    Fixture::start_with(Policy {
        attributes: vec![Attribute::new("region", &["north", "south"])],
        class_members: 2,
        class_floor: 2,
        ..Policy::default()
    })
    .await
}

impl Fixture {
    /// Admits the person at the node, of the north, and `others`, each with the value of their region.
    pub(super) async fn admit(&self, others: &[u64]) -> Vec<LeafSecret> {
        let (_, own) = self.post("/attest/request", json!({ "attributes": [["region", "north"]] })).await;
        self.confirm(own["request"].as_str().expect("a request"), "me", 1).await;
        let mut leaves = Vec::new();
        for (number, region) in (10..).zip(others) {
            let leaf = LeafSecret::random([*region, 0, 0, 0], &mut rand::rng());
            let request = self.request(number, &leaf, "", None).await;
            self.confirm(&request, &number.to_string(), *region).await;
            leaves.push(leaf);
        }
        leaves
    }

    async fn confirm(&self, request: &str, subject: &str, region: u64) {
        let value = if region == 1 { "north" } else { "south" };
        let said = json!({ "in_person": true, "subject": subject, "attributes": [["region", value]] });
        let (status, answer) = self.approve(request, said).await;
        assert_eq!((status, &answer["standing"]["member"]), (200, &json!(true)), "{answer}");
    }

    /// Begins voting in a new poll over these items, and returns the poll's path and the round.
    async fn plan(&self, question: &str, items: &[String], classes: Value) -> (String, Value) {
        let (_, poll) = self.post("/polls", json!({ "question": question, "items": items })).await;
        let path = format!("/polls/{}", poll["id"].as_str().expect("an id"));
        let plan = json!({ "duration_millis": VOTING_MILLIS, "classes": classes });
        let (status, poll) = self.post(&format!("{path}/rounds"), plan).await;
        assert_eq!(status, 200, "{poll}");
        (path, poll["rounds"][0].clone())
    }

    /// Casts the ballots of people who are not at this node, and waits until they are on the log.
    pub(super) async fn others_vote(&self, round: &Value, ballots: Vec<(&LeafSecret, Vec<Vote>)>) {
        let id: RoundId = round["id"].as_str().expect("an id").parse().expect("an id");
        let node = self.service.node();
        let ledger: Ledger = node.view(|peer| peer.ledger().clone()).await.expect("runs");
        let (record, count) = (&ledger.rounds()[&id], ballots.len());
        for (leaf, votes) in ballots {
            let submission = Contributor::anonymous(leaf).cast(&ledger, record, &votes, &mut rand::rng());
            node.command(Command::Contribute(submission.expect("a member"))).await.expect("runs");
        }
        let logged = move |peer: &chorus_protocol::peer::Peer| peer.ledger().rounds()[&id].contributions.len() > count;
        let patience = std::time::Duration::from_millis(VOTING_MILLIS);
        assert!(node.wait_until(logged, patience).await.expect("runs"), "the others' ballots are on the log");
    }

    pub(super) async fn result(&self, path: &str) -> Value {
        let poll = path.trim_start_matches("/polls/");
        let (status, result) = self.get(&format!("/result?poll={poll}&wait_seconds=60")).await;
        assert_eq!(status, 200, "{result}");
        result
    }
}

fn items(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("Item {number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_by_an_attribute_sums_each_value_and_tells_voters_what_their_ballot_shows() {
    let fixture = start().await;
    let others = fixture.admit(&[1, 1, 2, 2]).await;
    let (_, census) = fixture.post("/attest/census", json!({})).await;
    let (_, poll) = fixture.post("/polls", json!({ "question": "Which?", "items": ["Be kind"] })).await;
    let rounds = format!("/polls/{}/rounds", poll["id"].as_str().expect("an id"));
    let plan = |classes: Value| json!({ "duration_millis": VOTING_MILLIS, "classes": classes });

    let nowhere = fixture.post(&rounds, plan(json!({ "by": { "attribute": "colour" } }))).await;
    let unknown = plan(json!({ "by": { "attribute": "region" }, "weights": [["west", 2]] }));
    let unknown = fixture.post(&rounds, unknown).await;
    let hiding = plan(json!({ "by": { "attribute": "region" }, "weights": [["other", 2]] }));
    let hiding = fixture.post(&rounds, hiding).await;
    let by = json!({ "by": { "attribute": "region" }, "weights": [["south", 3]] });
    let (path, round) = fixture.plan("How?", &items(2), by).await;
    let shown = fixture.post(&format!("{path}/vote"), json!({ "votes": [["1", "agree"]] })).await;
    let hidden = json!({ "votes": [["1", "agree"], ["2", "pass"]], "hide_class": true });
    let hidden = fixture.post(&format!("{path}/vote"), hidden).await;
    let ballot = |vote: Vote| vec![vote, Vote::Unseen];
    let votes = [Vote::Agree, Vote::Disagree, Vote::Disagree, Vote::Disagree].map(ballot);
    fixture.others_vote(&round, others.iter().zip(votes).collect()).await;
    let result = fixture.result(&path).await;

    assert_eq!(census["attributes"][0][1], json!([["north", 3], ["south", 2]]));
    assert_eq!((nowhere.0, unknown.0, hiding.0), (400, 400, 409));
    assert_eq!((&round["classes_by"], &round["members"]), (&json!("region"), &json!(5)));
    let shows = json!({ "level": "anonymous", "among": 5, "on_map": false, "class": "north" });
    assert_eq!((shown.0, &shown.1["shows"]), (200, &shows), "{shown:?}");
    assert_eq!((hidden.0, &hidden.1["shows"]["class"]), (200, &json!("other")), "{hidden:?}");
    // One ballot shows no class: too few for a sum of its own, so the smallest class goes with it.
    let classes: Vec<(&str, u64)> = result["classes"]
        .as_array()
        .expect("classes")
        .iter()
        .map(|class| (class["name"].as_str().expect("a name"), class["ballots"].as_u64().expect("a number")))
        .collect();
    assert_eq!(classes.iter().map(|(_, ballots)| ballots).sum::<u64>(), 5, "{result}");
    assert!(classes.contains(&("other", 3)) && classes.len() == 2, "{result}");
    assert_eq!(result["items"][0]["total"], json!({ "agree": 2, "disagree": 3, "pass": 0 }));
    assert_eq!((&result["outcome"], &result["needed"]), (&json!("classes"), &json!(2)));
    fixture.service.node().clone().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_by_the_groups_of_an_earlier_one_sums_those_who_were_in_them() {
    let fixture = start().await;
    let others = fixture.admit(&[1; 23]).await;
    let size = 16;
    let side = |at: usize| at < 11;
    let camp = |at: usize| -> Vec<Vote> {
        // Two camps, in which everybody has passed on something else: people who are all alike make no map.
        let vote = |item: usize| match item.is_multiple_of(2) == side(at) {
            _ if (31 * at + 17 * item + at * item).is_multiple_of(7) => Vote::Pass,
            true => Vote::Agree,
            false => Vote::Disagree,
        };
        (0..size).map(vote).collect()
    };
    let (first, round) = fixture.plan("Who are we?", &items(size), Value::Null).await;
    let own: Vec<Value> = (0..size)
        .map(|item| json!([(item + 1).to_string(), if item.is_multiple_of(2) { "agree" } else { "disagree" }]))
        .collect();
    let early = json!({ "duration_millis": VOTING_MILLIS, "classes": { "by": { "groups_of": "1" } } });
    let cast = fixture.post(&format!("{first}/vote"), json!({ "votes": own })).await;
    let (_, second) = fixture.post("/polls", json!({ "question": "Soon?", "items": ["Now"] })).await;
    let early = fixture.post(&format!("/polls/{}/rounds", second["id"].as_str().expect("an id")), early).await;
    fixture.others_vote(&round, others.iter().enumerate().map(|(at, leaf)| (leaf, camp(at))).collect()).await;
    let map = fixture.result(&first).await;
    assert_eq!((&map["outcome"], map["groups"].as_array().map(Vec::len)), (&json!("map"), Some(2)), "{map}");

    let (path, round) = fixture.plan("And now?", &items(2), json!({ "by": { "groups_of": "1" } })).await;
    let shown = fixture.post(&format!("{path}/vote"), json!({ "votes": [["1", "agree"]] })).await;
    let vote = |at: usize| vec![if side(at) { Vote::Agree } else { Vote::Disagree }, Vote::Unseen];
    fixture.others_vote(&round, others.iter().enumerate().map(|(at, leaf)| (leaf, vote(at))).collect()).await;
    let result = fixture.result(&path).await;
    let none = json!({ "by": { "groups_of": "2" } });
    let none = json!({ "duration_millis": VOTING_MILLIS, "classes": none });
    let none = fixture.post(&format!("{path}/rounds"), none).await;
    let again = json!({ "duration_millis": VOTING_MILLIS, "classes": { "by": { "groups_of": "1" } } });
    let rotated = fixture.post("/attest/rotate", json!({})).await;
    let changed = fixture.post(&format!("{path}/rounds"), again).await;

    assert_eq!((cast.0, early.0), (200, 409), "groups are known once the round is finished: {early:?}");
    assert_eq!(cast.1["shows"]["among"], 24);
    assert_eq!(round["classes_by"], json!("the opinion groups of round 1"));
    assert_eq!((shown.0, &shown.1["shows"]["among"]), (200, &json!(12)), "half of all: {shown:?}");
    let classes = result["classes"].as_array().expect("classes");
    let own = classes.iter().find(|class| class["name"] == shown.1["shows"]["class"]).expect("the own group");
    assert_eq!(own["items"][0], json!({ "agree": 12, "disagree": 0, "pass": 0 }), "{result}");
    assert_eq!(classes.len(), 2, "nobody hid: {result}");
    assert_eq!(none.0, 409, "a round with classes has no groups: {none:?}");
    assert_eq!((rotated.0, changed.0), (200, 409), "a leaf that was not there cannot prove a group");
    assert!(changed.1["error"]["message"].as_str().is_some_and(|why| why.contains("rotated")), "{changed:?}");
    fixture.service.node().clone().shutdown().await;
}
