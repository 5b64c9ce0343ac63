//! Tools from Python's package index, each in an environment of its own.

use std::{
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The folder of this crate.
pub(super) fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Installs what `requirements` names and returns the interpreter; where that cannot be had, says so, and returns none.
pub(super) fn environment(name: &str, requirements: &str) -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = venv.join("bin/python");
    let installed = || -> Result<(), String> {
        let ran = |output: std::io::Result<Output>| match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        };
        if !python.exists() {
            ran(Command::new("python3").args(["-m", "venv"]).arg(&venv).output())?;
        }
        let requirements = tests().join(requirements);
        ran(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements).output())
    };
    match installed() {
        Ok(()) => Some(python),
        Err(why) => {
            writeln!(stderr(), "SKIPPED: {name} could not be installed: {why}").expect("an open stderr");
            None
        }
    }
}
