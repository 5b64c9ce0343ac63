//! `chorus adapter card`: own value cards, which never leave the machine.

use std::time::Duration;

use clap::Subcommand;

use super::super::{Global, client::Client, output::Lines};
use crate::{api::view, diary::ValueCard};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Card {
    /// Add a card, in the place of one with the same title.
    Add {
        /// What the value is called, as in "Honest help".
        title: String,
        /// What an AI does that holds it.
        #[arg(long)]
        instruction: String,
        /// What to pay attention to, as in "WORDS that hurt"; may be repeated.
        #[arg(long = "attend", value_name = "TEXT")]
        policies: Vec<String>,
    },
    /// Show your cards.
    List,
    /// Remove the card with a title.
    Remove {
        /// The title.
        title: String,
    },
}

impl Card {
    pub(super) fn carry_out(self, global: &Global) -> anyhow::Result<()> {
        let client = Client::new(global)?;
        let diary: view::Diary = match self {
            Self::Add { title, instruction, policies } => {
                client.post("/diary/cards", &ValueCard { title, instruction, policies }, Duration::ZERO)?
            }
            Self::List => client.get("/diary")?,
            Self::Remove { title } => {
                client.post("/diary/cards/remove", &view::RemoveCard { title }, Duration::ZERO)?
            }
        };
        global.output().print(&diary.cards, |cards| {
            let mut lines = Lines::default();
            if cards.is_empty() {
                lines.line(
                    "No value card. They stay on this machine, and say how your adapter should make a model act.",
                );
            }
            for card in cards {
                lines.line(format!("{}: {}", card.title, card.instruction));
                card.policies.iter().for_each(|policy| {
                    lines.line(format!("  - {policy}"));
                });
            }
            lines.finish()
        })
    }
}
