//! The description of the local interface, before a validator of its own.

use std::process::Command;

use super::python;

/// The binary under test.
const CHORUS: &str = env!("CARGO_BIN_EXE_chorus-under-test");

#[test]
fn the_description_of_the_interface_is_valid_openapi() {
    let Some(python) = python::environment("openapi-validator", "openapi/requirements.txt") else { return };
    let described = Command::new(CHORUS).arg("openapi").output().expect("the binary runs");
    let file = tempfile::NamedTempFile::with_suffix(".json").expect("a file");
    std::fs::write(file.path(), &described.stdout).expect("written");

    let output =
        Command::new(python).args(["-B", "-m", "openapi_spec_validator"]).arg(file.path()).output().expect("it runs");

    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(described.status.success() && output.status.success(), "{}\n{}", said.0, said.1);
}
