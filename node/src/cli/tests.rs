use clap::{CommandFactory as _, ValueEnum as _};

use super::*;
use crate::api::view::Category;

#[test]
fn the_command_line_is_well_formed() {
    Arguments::command().debug_assert();
}

#[test]
fn durations_are_numbers_with_units() {
    assert_eq!(values::duration("10m").map(|it| it.as_secs()), Ok(600));
    assert_eq!(values::duration("1500ms").map(|it| it.as_millis()), Ok(1_500));
    assert_eq!(values::duration("7").map(|it| it.as_secs()), Ok(7));
    assert!(values::duration("m").is_err() && values::duration("5 weeks").is_err());
    assert!(values::duration("99999999999999999999d").is_err() && values::duration("é").is_err());
}

#[test]
fn grounds_have_names() {
    let grounds = ["spam", "off-topic", "other"].map(values::ground);

    assert_eq!(grounds, [Ok(Category::Spam), Ok(Category::OffTopic), Ok(Category::Other)]);
    assert!(values::ground("off_topic").is_err());
    for ground in Category::ALL {
        assert_eq!(serde_json::json!(ground), ground.name(), "one name for programs and for JSON");
    }
}

#[test]
fn queries_are_escaped() {
    let query = client::query(&[("a", Some("when & where?\u{e9}".into())), ("b", None), ("c", Some("1,2".into()))]);

    assert_eq!(query, "?a=when%20%26%20where%3F%C3%A9&c=1,2");
}

#[test]
fn polls_are_named_by_hexadecimal_digits() {
    assert_eq!(values::poll("AB12"), Ok("ab12".into()));
    assert_eq!(values::poll("-"), Ok("-".into()));
    assert!(values::poll("../status").is_err() && values::poll("").is_err());
}

#[test]
fn attesters_attributes_and_weights_are_read_as_they_are_written() {
    let key = "ab".repeat(32);
    let of = values::attester(&format!("{key}=Town Library")).expect("an attester");
    assert_eq!(of.organisation.as_deref(), Some("Town Library"));
    assert_eq!(values::attester("me").expect("oneself").organisation, None);
    assert!(values::attester("me=").is_err() && values::attester("library").is_err());

    let attribute = values::attribute("region=north, south").expect("an attribute");
    assert_eq!((attribute.name.as_str(), attribute.value("south")), ("region", Some(2)));
    assert!(values::attribute("region").is_err() && values::attribute("region=").is_err());
    assert_eq!(values::weight("north=3"), Ok(("north".into(), 3)));
    assert!(values::weight("north=-1").is_err() && values::pair("=x").is_err());
}

#[test]
fn rules_say_what_is_wrong_with_them() {
    let create = |more: &[&str]| {
        let all = [&["chorus", "community", "create", "--name", "N", "--purpose", "P"], more].concat();
        Arguments::try_parse_from(all)
    };
    assert!(create(&["--rules", "rules.json"]).is_ok());
    assert!(create(&["--rules", "rules.json", "--floor", "3"]).is_err(), "one or the other");
    assert!(create(&["--attestations-needed", "2", "--corrupt-attesters", "1", "--per-organisation", "1"]).is_ok());
}

#[test]
fn an_error_is_classed_by_the_first_cause_that_tells() {
    let disk = anyhow::Error::from(std::io::Error::other("full")).context("while writing");
    let refused = anyhow::Error::from(crate::api::ApiError::refused("no")).context("asked");

    assert_eq!(class(&disk), Class::Store);
    assert_eq!(class(&refused), Class::Refused);
    assert_eq!(class(&anyhow::anyhow!("what is this")).code(), 1);
    assert_eq!(class(&Failure::NotRunning.into()).code(), 5);
    let file = Failure::File { path: "x".into(), source: std::io::ErrorKind::NotFound.into() };
    assert_eq!(class(&file.into()).code(), 2);
}

#[test]
fn a_ballot_on_the_command_line_is_never_printed() {
    let arguments = Arguments::try_parse_from(["chorus", "vote", "ab12", "1=disagree", "2=pass"]).expect("parses");

    assert!(!format!("{arguments:?}").to_lowercase().contains("disagree"));
}

#[test]
fn adapter_commands_say_what_goes_together() {
    let parse = |words: &[&str]| Arguments::try_parse_from([&["chorus", "adapter"], words].concat());
    let new = ["open", "--base-model", "model", "--name", "harbour"];
    let with = |more: &[&'static str]| parse(&[&new[..], more].concat());

    assert!(
        with(&[]).is_ok() && with(&["--targets", "q_proj,down_proj", "--centre", "trimmed:2", "--step", "3/2"]).is_ok()
    );
    assert!(
        with(&["--every", "7d", "--weights", "posted", "--gate", "ab12", "--for", "1h", "--by-groups-of", "1"]).is_ok()
    );
    assert!(with(&["--targets", "lm_head"]).is_err() && with(&["--centre", "mode"]).is_err());
    assert!(with(&["--step", "0"]).is_err() && with(&["--rank", "0"]).is_err() && with(&["--held-out", "3"]).is_err());
    assert!(parse(&["open"]).is_err() && parse(&["open", "harbour"]).is_err(), "a round needs --for");
    assert!(parse(&["open", "harbour", "--for", "1h"]).is_ok());
    assert!(parse(&["open", "harbour", "--for", "1h", "--base-model", "model"]).is_err());
    assert!(parse(&["train", "--contribute", "--open"]).is_ok() && parse(&["train", "a/b"]).is_err());
    assert!(parse(&["weigh"]).is_err() && parse(&["weigh", "--minimax", "--per-person"]).is_err());
    assert!(parse(&["weigh", "--weight", "A=3", "--weight", "B=1"]).is_ok());
    assert!(parse(&["export", "--variant", "class", "--out", "x"]).is_ok());
    assert!(parse(&["export", "dir", "--variant", "class", "--out", "x"]).is_err());
    assert!(parse(&["import", "dir"]).is_ok() && parse(&["import", "dir", "--onto", "other"]).is_err());
    assert!(parse(&["eval", "--own", "--adapter", "dir"]).is_err());
    assert!(parse(&["card", "add", "Care", "--instruction", "Ask", "--attend", "WORDS"]).is_ok());
}

#[test]
fn steps_are_fractions_and_series_are_named_in_one_word_of_an_address() {
    let ratio = |text| values::ratio(text).ok().map(|ratio| (ratio.numerator, ratio.denominator));

    assert_eq!(
        (ratio("2"), ratio("3/2"), ratio("1.5"), ratio("0.25")),
        (Some((2, 1)), Some((3, 2)), Some((15, 10)), Some((25, 100)))
    );
    assert_eq!((ratio("0"), ratio("1/0"), ratio("-1"), ratio("1.00001"), ratio("")), (None, None, None, None, None));
    assert_eq!(values::series("town harbour"), Ok("town%20harbour".into()));
    assert!(values::series("../polls").is_err() && values::series("").is_err() && values::series("a?b").is_err());
}

const DEPLOYED: [(&str, &str); 4] = [
    ("README.md", include_str!("../../deploy/README.md")),
    ("Containerfile", include_str!("../../deploy/Containerfile")),
    ("chorus.service", include_str!("../../deploy/chorus.service")),
    ("alerts.yml", include_str!("../../deploy/alerts.yml")),
];

/// The commands in a text: what follows `chorus` at the beginning of a line, of a quotation or of the next command in a line.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for part in text.lines().flat_map(|line| line.split(['`', '#'])).flat_map(|part| part.split("&&")) {
        let part = part.trim();
        let part = part.strip_prefix("ExecStart=/usr/local/bin/").unwrap_or(part);
        let part = part.strip_prefix("$run ").or_else(|| part.strip_prefix("podman exec chorus ")).unwrap_or(part);
        let words: Vec<&str> = part.split_whitespace().collect();
        let is_command = words.first() == Some(&"chorus") && words.len() > 1 && !part.contains('…');
        found.extend(is_command.then_some(words));
    }
    found
}

#[test]
fn what_the_files_for_deployment_say_is_understood_here() {
    let known = |command: &clap::Command| -> Vec<String> {
        command.get_arguments().filter_map(|it| it.get_env()?.to_str().map(str::to_owned)).collect()
    };
    let all = Arguments::command();
    let mut variables: Vec<String> = known(&all);
    all.get_subcommands().for_each(|command| variables.extend(known(command)));
    variables.extend(crate::config::settings::Name::value_variants().iter().map(|name| name.variable()));
    variables.push("CHORUS_PASSPHRASE".into());
    let mut seen = (0, 0);

    for (file, text) in DEPLOYED {
        for words in commands(text) {
            let parsed = Arguments::try_parse_from(&words);
            assert!(parsed.is_ok(), "{file}: {words:?}: {}", parsed.expect_err("not understood"));
            seen.0 += 1;
        }
        for (at, _) in text.match_indices("CHORUS_") {
            let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
            let name: String = text[at..].chars().take_while(|c| is_part(*c)).collect();
            assert!(variables.contains(&name), "{file}: {name}");
            seen.1 += 1;
        }
    }
    assert!(seen.0 >= 8 && seen.1 >= 8, "{seen:?}");
    let [(readme, text), (_, image), ..] = DEPLOYED;
    for file in ["chorus.service", "Containerfile", "alerts.yml", "grafana.json"] {
        assert!(text.contains(&format!("`{file}`")), "{readme} names {file}");
    }
    assert!(image.contains("--bin chorus ") && image.contains("EXPOSE 4101/tcp 4101/udp 9464/tcp"));
    let listen = crate::config::profile::Profile::Server.bearing().listen;
    assert!(listen.iter().all(|address| address.contains("/4101")), "the ports that the image names: {listen:?}");
}
