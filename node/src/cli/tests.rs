use clap::CommandFactory as _;

use super::*;

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
