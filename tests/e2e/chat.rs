//! Conversations with the community's model: real processes, and OpenAI's own client.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    cli::{LOCAL, Person},
    python::{self, tests},
};

/// Makes a tiny model of bytes, with room for long prompts.
fn model(folder: &TempDir) -> PathBuf {
    let (fixtures, model) = (tests().join("fixtures"), folder.path().join("tiny"));
    fs::create_dir(&model).expect("made");
    let config = fs::read_to_string(fixtures.join("tiny-llama/config.json")).expect("the fixture");
    let config = config.replace("\"max_position_embeddings\": 128", "\"max_position_embeddings\": 16384");
    fs::write(model.join("config.json"), config).expect("written");
    fs::copy(fixtures.join("tiny-llama/model.safetensors"), model.join("model.safetensors")).expect("copied");
    fs::copy(fixtures.join("bytes/tokenizer.json"), model.join("tokenizer.json")).expect("copied");
    model
}

/// Founds a community of two people that agree on one of two statements, and returns the founder, whose node runs.
fn with_a_constitution(folder: &TempDir) -> (Person, Person) {
    let (mut founder, _) = Person::public_key(folder, "founder");
    let rules = ["--min-contributions", "2", "--floor", "2", "--group-floor", "16", "--bar", "1/2", "--min-seen", "1"];
    founder.ok(&[&["community", "create", "--name", "Choir", "--purpose", "To sing"], &rules[..]].concat());
    founder.run(&LOCAL);
    let invite = founder.ok(&["invite"])["invite"].as_str().expect("an invitation").to_owned();
    let (mut member, _) = Person::public_key(folder, "member");
    member.ok(&["join", &invite]);
    member.run(&LOCAL);
    founder.admitted_by(&founder);
    member.until(&["status"], |status| status["members"] == 1 && status["operators_connected"] == 1);
    member.admitted_by(&founder);
    let items = ["poll", "open", "--question", "How?", "--item", "Be kind", "--item", "Be rude"];
    founder.ok(&items);
    founder.ok(&["poll", "open", "-", "--vote", "--duration", "15s"]);
    founder.ok(&["vote", "-", "1=agree", "2=disagree"]);
    member.until(&["poll", "list"], |polls| polls[0]["rounds"][0]["state"] == "open");
    member.ok(&["vote", "-", "1=agree", "2=disagree"]);
    let result = founder.ok(&["result", "-", "--wait", "45s"]);
    assert_eq!(result["constitution"]["principles"][0]["text"], "Be kind", "{result:#}");
    (founder, member)
}

#[test]
fn a_constitution_governs_what_existing_clients_and_the_command_line_are_told() {
    let folder = TempDir::new().expect("a folder");
    let (founder, _member) = with_a_constitution(&folder);
    assert_eq!(founder.fails(&["chat", "Why?"]), (3, "configuration".into()), "no model");
    let model = model(&folder);
    founder.ok(&["config", "set", "model.path", model.to_str().expect("text")]);

    let compared = founder.ok(&["chat", "Why sing?", "--compare", "--max-tokens", "8"]);

    let steps = |answer: &Value| -> Vec<String> {
        let steps = answer["steps"].as_array().into_iter().flatten();
        steps.filter_map(|step| step["step"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(steps(&compared["before"]), ["answer"]);
    assert_eq!(steps(&compared["after"]), ["analyse", "draft", "evaluate", "refine"]);
    assert_eq!(compared["after"]["constitution"]["principles"], 1);
    let cases = folder.path().join("cases.txt");
    fs::write(&cases, "Why sing?\n\nHow?\n").expect("written");
    founder.ok(&["config", "set", "model.max-tokens", "8"]);
    let pairs = founder.ok(&["chat", "--cases", cases.to_str().expect("text")]);
    assert_eq!((pairs.as_array().map(Vec::len), &pairs[1]["prompt"]), (Some(2), &"How?".into()));
    let environment = founder.ok(&["chat", "--environment"]);
    python_client_agrees(&environment);
}

/// Has OpenAI's client talk with the node, in an environment of its own; where it cannot be had, that is said.
fn python_client_agrees(environment: &Value) {
    let Some(python) = python::environment("openai-client", "openai/requirements.txt") else { return };
    let text = |name: &str| environment[name].as_str().expect("text").to_owned();
    let output = Command::new(&python)
        .arg("-B")
        .arg(tests().join("openai/chat.py"))
        .env("OPENAI_BASE_URL", text("base_url"))
        .env("OPENAI_API_KEY", text("api_key"))
        .output()
        .expect("the client runs");
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{}", said.0, said.1);
}
