//! Templates, and what all of them can use.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value, context, value::Kwargs};

use super::{
    Page,
    failure::Failed,
    guard::Visit,
    text,
    words::{Catalogue, Language},
};
use crate::api::{ApiError, Kind};

/// All templates.
pub(super) const TEMPLATES: [(&str, &str); 35] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("item.html", include_str!("templates/item.html")),
    ("beside.html", include_str!("templates/beside.html")),
    ("prompts.html", include_str!("templates/prompts.html")),
    ("cards.html", include_str!("templates/cards.html")),
    ("live.html", include_str!("templates/live.html")),
    ("moderate.html", include_str!("templates/moderate.html")),
    ("moderation.html", include_str!("templates/moderation.html")),
    ("values.html", include_str!("templates/values.html")),
    ("dialogue.html", include_str!("templates/dialogue.html")),
    ("graph.html", include_str!("templates/graph.html")),
    ("chat.html", include_str!("templates/chat.html")),
    ("refused.html", include_str!("templates/refused.html")),
    ("failure.html", include_str!("templates/failure.html")),
    ("outside.html", include_str!("templates/outside.html")),
    ("notice.html", include_str!("templates/notice.html")),
    ("when.html", include_str!("templates/when.html")),
    ("stands.html", include_str!("templates/stands.html")),
    ("bar.html", include_str!("templates/bar.html")),
    ("poll_card.html", include_str!("templates/poll_card.html")),
    ("home.html", include_str!("templates/home.html")),
    ("polls.html", include_str!("templates/polls.html")),
    ("poll.html", include_str!("templates/poll.html")),
    ("card.html", include_str!("templates/card.html")),
    ("review.html", include_str!("templates/review.html")),
    ("propose.html", include_str!("templates/propose.html")),
    ("result.html", include_str!("templates/result.html")),
    ("map.svg.html", include_str!("templates/map.svg.html")),
    ("receipt.html", include_str!("templates/receipt.html")),
    ("own.html", include_str!("templates/own.html")),
    ("constitution.html", include_str!("templates/constitution.html")),
    ("members.html", include_str!("templates/members.html")),
    ("adapter.html", include_str!("templates/adapter.html")),
    ("network.html", include_str!("templates/network.html")),
    ("operate.html", include_str!("templates/operate.html")),
];

/// The templates, compiled.
#[derive(Debug)]
pub(super) struct Views(Environment<'static>, Arc<Catalogue>);

impl Views {
    /// Compiles all templates.
    pub(super) fn new() -> Self {
        let mut views = Environment::new();
        // Whatever a template is called: nothing is written that is not escaped.
        views.set_auto_escape_callback(|_| AutoEscape::Html);
        views.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        views.set_trim_blocks(true);
        views.set_lstrip_blocks(true);
        let catalogue = Arc::new(Catalogue::new());
        let words = Arc::clone(&catalogue);
        views
            .add_function("t", move |state: &State<'_, '_>, key: &str, values: Kwargs| words.call(state, key, &values));
        views.add_filter("inert", |text: &str| text::inert(text));
        views.add_filter("plain", |text: &str| text::plain(text));
        views.add_filter("short", |id: &str| id.chars().take(8).collect::<String>());
        views.add_filter("percent", |share: f64| (share * 100.0).round() as i64);
        views.add_filter("moment", moment);
        views.add_filter("left", left);
        for (name, source) in TEMPLATES {
            views.add_template(name, source).expect("the templates are read by the tests");
        }
        Self(views, catalogue)
    }
}

/// Returns a moment in words that every locale reads: `2026-11-23 05:30 UTC`.
fn moment(millis: u64) -> String {
    let (days, seconds) = (millis / 86_400_000, millis / 1_000 % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60)
}

/// Returns the date of a day since 1970, by the Gregorian calendar (era of 400 years, years that begin in March).
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// Returns how far off a moment is: the unit and the number, for `t("left.UNIT", n=…)`.
fn left(millis: u64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = Duration::from_millis(millis).saturating_sub(now).as_secs();
    let (unit, n) = match seconds {
        0 => ("now", 0),
        1..=119 => ("seconds", seconds),
        120..=7_199 => ("minutes", seconds / 60),
        7_200..=172_799 => ("hours", seconds / 3_600),
        _ => ("days", seconds / 86_400),
    };
    context! { unit, n }
}

impl Page {
    /// Shows a page: a template with its values, in the frame that all pages have.
    pub(super) async fn show(&self, visit: &Visit, template: &str, values: Value) -> Result<Response, Failed> {
        let key = self.service.key();
        let look = move |peer: &chorus_protocol::peer::Peer| {
            let ledger = peer.ledger();
            context! {
                community => ledger.genesis().name,
                operator => key.is_some_and(|key| ledger.charter().operator(&key).is_some()),
                member => key.is_some_and(|key| ledger.is_member(&key)),
                person => key.is_some(),
            }
        };
        let frame = self.service.node().view(look).await?;
        self.render(visit, template, context! { frame, ..values })
    }

    /// Shows what went wrong.
    pub(super) async fn failure(&self, visit: &Visit, failed: &Failed) -> Response {
        let values = context! { key => failed.key(), refused => failed.error().map(|error| self.told(visit, error)) };
        // Whoever names this server otherwise may be a page elsewhere, with the cookie of a person who is in.
        let is_in = !visit.csrf.is_empty() && failed.status() != StatusCode::MISDIRECTED_REQUEST;
        let shown = match is_in {
            true => self.show(visit, "failure.html", values.clone()).await,
            false => self.render(visit, "outside.html", values.clone()),
        };
        match shown {
            Ok(response) => (failed.status(), response).into_response(),
            // The node has stopped: there is no frame any more.
            Err(_) => match self.render(visit, "outside.html", values) {
                Ok(response) => (failed.status(), response).into_response(),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            },
        }
    }

    /// Returns what went wrong in the language of who asks, with the node's own words as far as they say more.
    pub(super) fn told(&self, visit: &Visit, error: &ApiError) -> Value {
        let words = self.views.1.error(visit.language, error);
        context! { words, detail => error.message }
    }

    /// Returns what went wrong in the language of who asks.
    pub(super) fn words(&self, visit: &Visit, error: &ApiError) -> String {
        self.views.1.error(visit.language, error)
    }

    fn render(&self, visit: &Visit, template: &str, values: Value) -> Result<Response, Failed> {
        let other = match visit.language {
            Language::English => Language::German,
            Language::German => Language::English,
        };
        let values = context! {
            language => visit.language.tag(),
            other_language => other.tag(),
            csrf => visit.csrf.as_str(),
            path => visit.path,
            ..values
        };
        let rendered = self.views.0.get_template(template).and_then(|template| template.render(values));
        let html = rendered.map_err(|error| {
            tracing::error!(template, error = %format!("{error:#}"), "a page cannot be rendered");
            ApiError::new(Kind::Internal, "this page cannot be shown: that is a bug of Chorus")
        })?;
        Ok(Html(html).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(moment(1_795_411_800_000), "2026-11-23 05:30 UTC");
    }

    #[test]
    fn all_templates_compile() {
        assert_eq!(Views::new().0.templates().count(), TEMPLATES.len());
    }
}
