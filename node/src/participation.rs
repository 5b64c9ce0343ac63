//! How a person takes part, and what a node therefore does not send in their name.
//!
//! One question, [`check`], for every way by which something can leave: the local interface asks it for ballots and
//! proposals, and whatever sends adapters asks it too.

use core::fmt;

use chorus_protocol::contribution::Level;
use serde::{Deserialize, Serialize};

use crate::config::settings::Settings;

/// What a person contributes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Participation {
    /// Votes and proposals.
    Basic,
    /// Adapters as well.
    #[default]
    Full,
}

impl fmt::Display for Participation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic => "basic",
            Self::Full => "full",
        })
    }
}

/// Something that would leave this node in the person's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// A ballot, or taking one back, at a level.
    Ballot(Level),
    /// A proposal at a level.
    Proposal(Level),
    /// An adapter at a level.
    Adapter(Level),
}

/// Why something does not leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It would show who the person is, who has chosen to be anonymous.
    #[error("that would show who you are, and your level is anonymous: see `chorus config set level open`")]
    Shows,
    /// The person contributes no adapters.
    #[error("your participation is basic, without adapters: see `chorus config set participation full`")]
    NoAdapters,
}

/// Checks that what the person has chosen admits an action.
///
/// # Errors
///
/// Returns the [`Refusal`].
pub fn check(settings: &Settings, action: Action) -> Result<(), Refusal> {
    let (Action::Ballot(level) | Action::Proposal(level) | Action::Adapter(level)) = action;
    if level == Level::Open && settings.level == Level::Anonymous {
        return Err(Refusal::Shows);
    }
    match (action, settings.participation) {
        (Action::Adapter(_), Participation::Basic) => Err(Refusal::NoAdapters),
        (Action::Adapter(_), Participation::Full) | (Action::Ballot(_) | Action::Proposal(_), _) => Ok(()),
    }
}

/// Returns whether a ballot has a public point on the opinion map, if the person says nothing about it.
///
/// An anonymous ballot has: nobody can tell whose point it is. One that shows its leaf has not.
pub const fn usually_on_map(level: Level) -> bool {
    match level {
        Level::Anonymous => true,
        Level::Open => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_shows_the_person_leaves_at_the_anonymous_level() {
        let anonymous = Settings::default();
        let open = Settings { level: Level::Open, ..Settings::default() };

        for action in [Action::Ballot, Action::Proposal, Action::Adapter] {
            assert_eq!(check(&anonymous, action(Level::Open)), Err(Refusal::Shows));
            assert_eq!(check(&anonymous, action(Level::Anonymous)), Ok(()));
            assert_eq!(check(&open, action(Level::Open)), Ok(()));
            assert_eq!(check(&open, action(Level::Anonymous)), Ok(()));
        }
    }

    #[test]
    fn basic_participation_sends_no_adapters_and_all_else() {
        let basic = Settings { participation: Participation::Basic, ..Settings::default() };

        assert_eq!(check(&basic, Action::Adapter(Level::Anonymous)), Err(Refusal::NoAdapters));
        assert_eq!(check(&basic, Action::Ballot(Level::Anonymous)), Ok(()));
        assert_eq!(check(&basic, Action::Proposal(Level::Anonymous)), Ok(()));
    }
}
