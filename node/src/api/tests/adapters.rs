//! Series of adapter rounds, from their beginning to a PEFT folder; and the diary.

use chorus_protocol::{
    adapter::{
        entry::GroupScore,
        manifest::{
            Adapted, AdapterManifest, BaseModel, Centre, Combination, Encoding, Gate, Ratio, Schedule, Target, Weights,
        },
        report::AdapterValues,
    },
    config::Name,
    contribution::Contributor,
    ledger::Ledger,
    limits,
    peer::Command,
};

use super::*;
use crate::model::{peft::Adapter, series};

/// How long deltas are taken: long enough for a slow machine, as the protocol has no other end.
const ROUND_MILLIS: u64 = 8_000;

/// A manifest for a model that nobody has.
fn manifest(name: &str) -> AdapterManifest {
    let target = |name: &str, outputs| Target { name: Name { text: name.into() }, inputs: 16, outputs };
    AdapterManifest {
        name: name.into(),
        base: BaseModel { name: "toy".into(), digest: [7; 32] },
        adapted: Adapted {
            rank: 2,
            alpha: 4,
            first_layer: 3,
            layers: 2,
            targets: vec![target("self_attn.q_proj", 16), target("self_attn.v_proj", 8)],
        },
        seed: [8; 32],
        encoding: Encoding { fraction_bits: 16, bound: 1 << 16, lane_bits: 31 },
        schedule: Schedule { rounds: 2, every_millis: None, step: Ratio { numerator: 1, denominator: 1 } },
        combination: Combination { weights: Weights::PerPerson, cohorts: 1, centre: Centre::Mean, floor: 0 },
        gate: None,
        noise: None,
    }
}

/// A delta of a norm well below one, different for everybody.
fn delta(entries: usize, person: usize) -> Vec<f32> {
    (0..entries).map(|entry| ((entry * 31 + person * 17) % 41) as f32 / 4096.0 - 0.005).collect()
}

fn octets(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Fixture {
    /// Sends octets, and returns status and JSON of the answer.
    async fn send(&self, path: &str, octets: Vec<u8>) -> (u16, Value) {
        let url = format!("http://{}{BASE}{path}", self.address);
        let token = self.token.clone();
        let asking = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut answer = agent.post(url).header("Authorization", token).send(&octets[..]).expect("an answer");
            (answer.status().as_u16(), answer.body_mut().read_json().expect("JSON"))
        };
        tokio::task::spawn_blocking(asking).await.expect("no panic")
    }

    /// Fetches octets.
    async fn fetch(&self, path: &str) -> Vec<u8> {
        let url = format!("http://{}{BASE}{path}", self.address);
        let token = self.token.clone();
        let asking = move || {
            let mut answer = ureq::get(url).header("Authorization", token).call().expect("an answer");
            answer.body_mut().read_to_vec().expect("octets")
        };
        tokio::task::spawn_blocking(asking).await.expect("no panic")
    }

    /// Admits people who are not at this node.
    async fn admit_others(&self, count: u8) -> Vec<LeafSecret> {
        let mut leaves = Vec::new();
        for number in 10..10 + count {
            let leaf = LeafSecret::random([0; 4], &mut rand::rng());
            let request = self.request(number, &leaf, "", None).await;
            let (status, answer) =
                self.approve(&request, json!({ "in_person": true, "subject": number.to_string() })).await;
            assert_eq!((status, &answer["standing"]["member"]), (200, &json!(true)), "{answer}");
            leaves.push(leaf);
        }
        leaves
    }

    /// Begins a series, and returns its path.
    async fn begin(&self, manifest: &AdapterManifest) -> String {
        let (status, series) = self.post("/adapters", json!({ "manifest": manifest })).await;
        assert_eq!(status, 200, "{series}");
        format!("/adapters/{}", series["id"].as_str().expect("an id"))
    }

    /// Opens the next round of a series.
    async fn open_deltas(&self, series: &str) -> RoundId {
        let plan = json!({ "duration_millis": ROUND_MILLIS });
        let (status, series) = self.post(&format!("{series}/rounds"), plan).await;
        assert_eq!(status, 200, "{series}");
        let rounds = series["rounds"].as_array().expect("rounds");
        rounds.last().expect("a round")["id"].as_str().expect("an id").parse().expect("an id")
    }

    /// Lets others contribute, and waits until the round has `count` contributions.
    async fn others_contribute(&self, round: RoundId, leaves: &[LeafSecret], deltas: &[Vec<i32>], count: usize) {
        let node = self.service.node();
        let ledger: Ledger = node.view(|peer| peer.ledger().clone()).await.expect("runs");
        for (leaf, delta) in leaves.iter().zip(deltas) {
            let contributor = Contributor::anonymous(leaf);
            let submission = contributor.contribute(&ledger, &ledger.rounds()[&round], delta, &mut rand::rng());
            node.command(Command::Contribute(submission.expect("a member"))).await.expect("runs");
        }
        let logged =
            move |peer: &chorus_protocol::peer::Peer| peer.ledger().rounds()[&round].contributions.len() == count;
        let patience = std::time::Duration::from_millis(ROUND_MILLIS);
        assert!(node.wait_until(logged, patience).await.expect("runs"), "all contributions are on the log");
    }

    /// Waits until the last round of a series is finished, and returns the series.
    async fn finished(&self, series: &str, round: RoundId) -> Value {
        let done = move |peer: &chorus_protocol::peer::Peer| peer.ledger().rounds()[&round].agreed_result().is_some();
        let patience = std::time::Duration::from_secs(60);
        assert!(self.service.node().wait_until(done, patience).await.expect("runs"), "there is a result");
        self.get(series).await.1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_leads_from_deltas_to_an_adapter_that_can_be_exported() {
    let fixture = Fixture::start().await;
    fixture.admit_self().await;
    let others = fixture.admit_others(3).await;
    let manifest = manifest("harbour");
    let entries = manifest.entries();
    let series = fixture.begin(&manifest).await;
    let round = fixture.open_deltas("/adapters/harbour").await;

    let own = fixture.send(&format!("{series}/contribute"), octets(&delta(entries, 0))).await;
    let again = fixture.send(&format!("{series}/contribute?hide_class=true"), octets(&delta(entries, 1))).await;
    let units = |person| delta(entries, person).iter().map(|value| (value * 65_536.0).round() as i32).collect();
    let deltas: Vec<Vec<i32>> = (2..5).map(units).collect();
    fixture.others_contribute(round, &others, &deltas, 4).await;
    let early = fixture.post(&format!("{series}/rounds"), json!({ "duration_millis": ROUND_MILLIS })).await;
    let found = fixture.finished(&series, round).await;
    let adopted = found["adopted"]["adapter"].as_str().unwrap_or_else(|| panic!("adopted: {found}")).to_owned();
    let octets = fixture.fetch(&format!("{series}/values/{adopted}")).await;
    let stranger = fixture.get(&format!("{series}/values/{}", "ab".repeat(32))).await;

    assert_eq!((own.0, &own.1["own"]["sequence"], &own.1["clipped"]), (200, &json!(0), &json!(1.0)), "{own:?}");
    assert_eq!((again.0, &again.1["own"]["sequence"], &again.1["shows"]["among"]), (200, &json!(1), &json!(4)));
    assert_eq!((early.0, stranger.0), (409, 400), "{early:?}");
    assert_eq!(found["rounds"][0]["standing"], "adopted");
    assert_eq!(found["rounds"][0]["classes"][0]["contributions"], 4);
    assert_eq!(found["rounds"][0]["variants"], json!([{ "name": "person", "adapter": adopted }]));
    let published = AdapterValues::read(&octets, found["id"].as_str().expect("an id").parse().expect("an id"), entries);
    let values = series::values(&manifest, &published.expect("values"));
    let mean = |entry: usize| (1..5).map(|person| delta(entries, person)[entry]).sum::<f32>() / 4.0;
    let apart = values.iter().enumerate().map(|(entry, value)| (value - mean(entry)).abs()).fold(0.0, f32::max);
    assert!(apart < 2f32.powi(-16), "the secret mean is the clear one: {apart}");
    let folder = tempfile::tempdir().expect("a folder");
    let adapter = series::adapter(&manifest, Some(&values)).expect("an adapter");
    adapter.write(&folder.path().join("peft")).expect("written");
    let read = Adapter::read(&folder.path().join("peft")).expect("read");
    assert_eq!((read.modules.len(), read.config.r, read.config.lora_alpha), (4, 2, 4.0));
    assert_eq!(series::entries(&manifest, &read).expect("values"), values);
    fixture.service.node().clone().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_is_refused_by_participation_by_size_and_by_round_and_clipped_by_norm() {
    let fixture = Fixture::start().await;
    fixture.admit_self().await;
    let manifest = manifest("harbour");
    let entries = manifest.entries();
    let before = fixture.send("/adapters/-/contribute", octets(&delta(entries, 0))).await;
    let series = fixture.begin(&manifest).await;
    let unplanned = fixture.send(&format!("{series}/contribute"), octets(&delta(entries, 0))).await;
    let twice = fixture.post("/adapters", json!({ "manifest": manifest })).await;
    fixture.open_deltas(&series).await;
    let contribute = format!("{series}/contribute");

    fixture.set(settings::Name::Participation, "basic");
    let basic = fixture.send(&contribute, octets(&delta(entries, 0))).await;
    fixture.set(settings::Name::Participation, "full");
    let open = fixture.send(&format!("{contribute}?open=true"), octets(&delta(entries, 0))).await;
    let short = fixture.send(&contribute, octets(&delta(entries - 1, 0))).await;
    let broken = fixture.send(&contribute, vec![0; 4 * entries + 1]).await;
    let infinite = fixture.send(&contribute, octets(&vec![f32::INFINITY; entries])).await;
    let huge = fixture.send(&contribute, vec![0; 4 * limits::MAX_ADAPTER_ENTRIES + 4]).await;
    let nowhere = fixture.send("/adapters/nowhere/contribute", octets(&delta(entries, 0))).await;
    let nothing = fixture.post(&format!("{series}/withdraw"), json!({})).await;
    let long = fixture.send(&contribute, octets(&vec![1.0; entries])).await;
    let withdrawn = fixture.post(&format!("{series}/withdraw"), json!({})).await;

    assert_eq!((before.0, unplanned.0, twice.0), (400, 409, 409));
    assert_eq!((basic.0, open.0), (409, 409), "{basic:?}");
    assert!(basic.1["error"]["message"].as_str().is_some_and(|why| why.contains("participation")));
    assert_eq!((short.0, broken.0, infinite.0, huge.0, nowhere.0), (400, 400, 400, 413, 400), "{infinite:?}");
    assert_eq!(nothing.0, 409);
    let factor = long.1["clipped"].as_f64().expect("a factor");
    assert!(long.0 == 200 && (factor - 1.0 / (entries as f64).sqrt()).abs() < 1e-6, "{long:?}");
    assert_eq!((withdrawn.0, &withdrawn.1["own"]["withdrawal"]), (200, &json!(true)), "{withdrawn:?}");
    fixture.service.node().clone().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_weigh_classes_and_a_gate_waits_for_their_assessment() {
    let policy = Policy {
        attributes: vec![Attribute::new("region", &["north", "south"])],
        class_members: 2,
        class_floor: 2,
        ..Policy::default()
    };
    let fixture = Fixture::start_with(policy).await;
    let others = fixture.admit(&[1, 1, 2, 2]).await;
    fixture.post("/attest/census", json!({})).await;
    let (_, poll) = fixture.post("/polls", json!({ "question": "What?", "items": ["AI should lie."] })).await;
    let voting = json!({ "duration_millis": 600_000 });
    let (_, poll) = fixture.post(&format!("/polls/{}/rounds", poll["id"].as_str().expect("an id")), voting).await;
    let asked: RoundId = poll["rounds"][0]["id"].as_str().expect("an id").parse().expect("an id");
    let mut manifest = manifest("harbour");
    manifest.combination.weights = Weights::Posted;
    manifest.gate = Some(Gate { round: asked, groups: 1, held_out: 1, tolerance: 0 });
    let series = fixture.begin(&manifest).await;
    let plan = json!({ "duration_millis": ROUND_MILLIS, "classes": { "by": { "attribute": "region" } } });
    let (status, planned) = fixture.post(&format!("{series}/rounds"), plan).await;
    assert_eq!(status, 200, "{planned}");
    let round = planned["rounds"][0]["id"].as_str().expect("an id").parse().expect("an id");

    let entries = manifest.entries();
    let shown = fixture.send(&format!("{series}/contribute"), octets(&vec![0.0; entries])).await;
    let deltas: Vec<Vec<i32>> = [0, 0, 64, 64].map(|units| vec![units; entries]).to_vec();
    fixture.others_contribute(round, &others, &deltas, 5).await;
    let found = fixture.finished(&series, round).await;
    let early = fixture.post(&format!("{series}/rounds"), json!({ "duration_millis": ROUND_MILLIS })).await;
    let weigh = |weights: Value| (format!("{series}/weigh"), json!({ "weights": weights }));
    let (path, one) = weigh(json!([["north", 1]]));
    let one = fixture.post(&path, one).await;
    let (path, all) = weigh(json!([["north", 1], ["south", 3]]));
    let weighed = fixture.post(&path, all).await;
    let adapter = weighed.1["rounds"][0]["adapter"].as_str().unwrap_or_else(|| panic!("{weighed:?}")).to_owned();
    let octets = fixture.fetch(&format!("{series}/values/{adapter}")).await;
    let values = AdapterValues::from_bytes(&octets).expect("values").values;
    let questions = fixture.get(&format!("{series}/evaluation")).await;
    let score = GroupScore { candidate: 4_000, reference: 5_000 };
    let other = json!({ "adapter": "ab".repeat(32), "groups": [score] });
    let other = fixture.post(&format!("{series}/assess"), other).await;
    let assessed = fixture.post(&format!("{series}/assess"), json!({ "adapter": adapter, "groups": [score] })).await;

    assert_eq!((shown.0, &shown.1["shows"]["class"]), (200, &json!("north")), "{shown:?}");
    assert_eq!(found["rounds"][0]["standing"], "unweighed");
    assert_eq!((early.0, one.0, weighed.0, other.0), (409, 400, 200, 409), "{one:?}");
    assert_eq!(weighed.1["rounds"][0]["standing"], "candidate");
    let variants = weighed.1["rounds"][0]["variants"].as_array().expect("variants");
    let names: Vec<&str> = variants.iter().filter_map(|variant| variant["name"].as_str()).collect();
    assert_eq!(names, ["person", "class", "planned", "north", "south", "weighed"]);
    assert!(values.iter().all(|value| *value == 48 << 16), "three quarters of 64 units: {:?}", values.first());
    assert_eq!((questions.0, questions.1["error"]["kind"].as_str()), (409, Some("refused")), "voting goes on");
    assert_eq!((assessed.0, &assessed.1["rounds"][0]["standing"]), (200, &json!("refused")), "{assessed:?}");
    assert_eq!(assessed.1["adopted"], Value::Null);
    fixture.service.node().clone().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_diary_holds_the_last_ballot_and_cards_until_it_is_switched_off() {
    let fixture = Fixture::start().await;
    fixture.open_voting().await;
    let card = |title: &str| json!({ "title": title, "instruction": "Ask first", "policies": ["MOMENTS of doubt"] });

    fixture.post("/polls/-/vote", json!({ "votes": [["1", "agree"], ["2", "pass"]] })).await;
    let (_, first) = fixture.get("/diary").await;
    fixture.post("/polls/-/vote", json!({ "votes": [["2", "disagree"]] })).await;
    let added = fixture.post("/diary/cards", card("Care")).await;
    let empty = fixture.post("/diary/cards", card(" ")).await;
    let unknown = fixture.post("/diary/cards/remove", json!({ "title": "Speed" })).await;
    let (_, diary) = fixture.get("/diary").await;
    let (_, poll) = fixture.get("/polls/-").await;
    fixture.post("/polls/-/withdraw", json!({})).await;
    let (_, withdrawn) = fixture.get("/diary").await;
    fixture.set(settings::Name::Diary, "off");
    fixture.post("/polls/-/vote", json!({ "votes": [["1", "agree"]] })).await;
    let (_, off) = fixture.get("/diary").await;
    let refused = fixture.post("/diary/cards", card("Care")).await;

    assert_eq!(first["votes"].as_array().map(Vec::len), Some(2));
    assert_eq!((empty.0, unknown.0, refused.0), (400, 400, 409));
    assert_eq!(added.1["cards"][0]["policies"], json!(["MOMENTS of doubt"]));
    let votes = diary["votes"].as_array().expect("votes");
    assert_eq!((votes.len(), &votes[0]["text"], &votes[0]["choice"]), (1, &json!("Be brief"), &json!("disagree")));
    assert_eq!((&poll["items"][0]["own"], &poll["items"][1]["own"]), (&Value::Null, &json!("disagree")));
    assert_eq!(
        (withdrawn["votes"].as_array().map(Vec::len), withdrawn["cards"].as_array().map(Vec::len)),
        (Some(0), Some(1))
    );
    assert_eq!(off, json!({ "kept": false, "votes": [], "cards": [] }));
    assert!(!fixture.folder.path().join("diary.json").exists(), "nothing is left of it");
    fixture.service.node().clone().shutdown().await;
}
