//! On what an attester may admit somebody: exactly one of four kinds of evidence.
//!
//! A subject on the allow-list; an unspent code of this attester; what a hook says; or the attester's own word. If more
//! than one held, nobody could tell later what the attestation rests on, and a code could be spent for nothing.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use chorus_crypto::sign::PublicKey;

use super::{
    ClientTag, Code, CodeState, Desk, DeskError,
    hook::{self, HookError, HookRequest},
    normalised,
};
use crate::config::settings::Attesting;

/// The most bytes of an allow-list.
const MAX_LIST_BYTES: u64 = 16 * 1024 * 1024;

/// Why there is no evidence, or too much.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Nothing speaks for the newcomer.
    #[error(
        "no evidence: the request carries no unspent code of yours, {list}, and there is no hook; if you have met the person, say --in-person --subject TEXT"
    )]
    None {
        /// What the allow-list says.
        list: &'static str,
    },
    /// More than one thing does.
    #[error("more than one evidence: {0}; an attestation rests on one, so leave one out")]
    Several(&'static str),
    /// The code was used for somebody else, or used up.
    #[error("the code in the request has been used")]
    Spent,
    /// The attester's word is about somebody.
    #[error("--in-person needs --subject: what identifies the person, so that nobody is admitted twice")]
    Nameless,
    /// The hook says that it is somebody else.
    #[error("the hook says that this is somebody else than the subject given")]
    OtherSubject,
    /// An attribute was stated and not checked.
    #[error("the request states {name} = {value}: check it, and confirm it with --attribute {name}={value}")]
    Unchecked {
        /// The attribute.
        name: String,
        /// The value stated.
        value: String,
    },
    /// Something else was found than was stated.
    #[error("{name} was found to be {found:?}, and the request states {stated:?}")]
    OtherValue {
        /// The attribute.
        name: String,
        /// What was found.
        found: String,
        /// What the request states; empty if nothing.
        stated: String,
    },
    /// The allow-list cannot be read.
    #[error("the allow-list {path} cannot be read")]
    List {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The hook gave no answer.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The books, or the subject.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

/// What the attester says about a request. Not printed: it says who somebody is.
#[derive(Clone, Default)]
pub struct Statement<'a> {
    /// Whom they take the newcomer for.
    pub subject: Option<&'a str>,
    /// Whether they have met the newcomer.
    pub in_person: bool,
    /// The attributes that they have checked.
    pub checked: BTreeMap<String, String>,
}

impl core::fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Statement").field("in_person", &self.in_person).finish_non_exhaustive()
    }
}

/// What speaks for a newcomer.
#[derive(Debug)]
pub struct Evidence {
    /// What it rests on.
    pub kind: EvidenceKind,
    /// Who it is, if that is known.
    pub tag: Option<ClientTag>,
    /// The code to spend.
    pub code: Option<Code>,
}

/// What an attestation rests on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// The subject is on the allow-list.
    AllowList,
    /// The request carried an unspent code.
    Code,
    /// The hook said who it is.
    Hook,
    /// The attester said so.
    InPerson,
}

/// Finds the one evidence for a request. `is_attested` says whether this attester's word for the key stands already: a
/// code that was spent for it is used up then, and else the attempt was interrupted and goes on.
///
/// Blocks while the hook runs.
///
/// # Errors
///
/// Returns an [`EvidenceError`]; nothing has been spent or noted.
pub fn find(
    desk: &Desk,
    settings: &Attesting,
    said: &Statement<'_>,
    request: &HookRequest,
    (key, is_attested): (&PublicKey, bool),
) -> Result<Evidence, EvidenceError> {
    let code = Code::parse(&request.evidence).ok();
    let state = code.as_ref().map_or(CodeState::Unknown, |code| desk.code(code));
    let code_holds = match state {
        CodeState::Unspent => true,
        CodeState::Spent(by) => by == *key && !is_attested,
        CodeState::Unknown => false,
    };
    let listed = match (&settings.allow_list, said.subject) {
        (Some(path), Some(subject)) => is_listed(path, subject)?,
        (_, _) => false,
    };
    let kind = match (listed, code_holds, said.in_person) {
        (true, true, _) => {
            return Err(EvidenceError::Several("the subject is on your list, and the request carries a code"));
        }
        (true, _, true) => return Err(EvidenceError::Several("the subject is on your list, and you say --in-person")),
        (_, true, true) => return Err(EvidenceError::Several("the request carries a code, and you say --in-person")),
        (true, false, false) => EvidenceKind::AllowList,
        (false, true, false) => EvidenceKind::Code,
        (false, false, true) => EvidenceKind::InPerson,
        (false, false, false) if matches!(state, CodeState::Spent(_)) => return Err(EvidenceError::Spent),
        (false, false, false) if settings.hook.is_some() => EvidenceKind::Hook,
        (false, false, false) => return Err(EvidenceError::None { list: list_state(settings, said) }),
    };
    let tag = said.subject.map(|subject| desk.tag(subject)).transpose()?;
    if kind == EvidenceKind::Hook {
        return ask_hook(desk, settings, said, request, tag);
    }
    if kind == EvidenceKind::InPerson && tag.is_none() {
        return Err(EvidenceError::Nameless);
    }
    confirm(&request.attributes, &said.checked)?;
    Ok(Evidence { kind, tag, code: code.filter(|_| kind == EvidenceKind::Code) })
}

fn ask_hook(
    desk: &Desk,
    settings: &Attesting,
    said: &Statement<'_>,
    request: &HookRequest,
    expected: Option<ClientTag>,
) -> Result<Evidence, EvidenceError> {
    let hook = settings.hook.as_deref().unwrap_or_default();
    let answer = hook::ask(hook, request, settings.hook_timeout())?;
    let tag = desk.tag(&answer.subject)?;
    if expected.is_some_and(|expected| expected != tag) {
        return Err(EvidenceError::OtherSubject);
    }
    let mut checked = said.checked.clone();
    checked.extend(answer.attributes.into_iter().filter(|(name, _)| request.attributes.contains_key(name)));
    confirm(&request.attributes, &checked)?;
    Ok(Evidence { kind: EvidenceKind::Hook, tag: Some(tag), code: None })
}

/// Checks that what was stated is what was checked.
fn confirm(stated: &BTreeMap<String, String>, checked: &BTreeMap<String, String>) -> Result<(), EvidenceError> {
    for (name, value) in stated {
        match checked.get(name) {
            Some(found) if found == value => {}
            Some(found) => return Err(other_value(name, found, value)),
            None => return Err(EvidenceError::Unchecked { name: name.clone(), value: value.clone() }),
        }
    }
    let more = checked.iter().find(|(name, _)| !stated.contains_key(*name));
    more.map_or(Ok(()), |(name, found)| Err(other_value(name, found, "")))
}

fn other_value(name: &str, found: &str, stated: &str) -> EvidenceError {
    EvidenceError::OtherValue { name: name.into(), found: found.into(), stated: stated.into() }
}

const fn list_state(settings: &Attesting, said: &Statement<'_>) -> &'static str {
    match (&settings.allow_list, said.subject) {
        (None, _) => "there is no allow-list",
        (Some(_), None) => "no --subject was given to look up in the allow-list",
        (Some(_), Some(_)) => "the subject is not on the allow-list",
    }
}

fn is_listed(path: &Path, subject: &str) -> Result<bool, EvidenceError> {
    let refused = |source| EvidenceError::List { path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(refused)?;
    let read = file.take(MAX_LIST_BYTES + 1).read_to_string(&mut text).map_err(refused)?;
    if read as u64 > MAX_LIST_BYTES {
        return Err(refused(io::ErrorKind::FileTooLarge.into()));
    }
    let subject = normalised(subject);
    Ok(!subject.is_empty() && text.lines().map(normalised).any(|line| !line.starts_with('#') && line == subject))
}
