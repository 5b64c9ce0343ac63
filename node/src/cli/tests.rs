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
