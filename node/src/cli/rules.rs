//! A community's rules in words.

use chorus_protocol::{
    config::Policy,
    deliberation::pca::MIN_ITEMS,
    registry::policy::{Admission, Quorum},
};

use super::output::Lines;

const DAY_MILLIS: u64 = 24 * 3_600_000;

/// Adds the rules, a line for each.
pub(super) fn describe(lines: &mut Lines, policy: &Policy, attesters: usize) {
    lines.field("admission", admission(&policy.admission, attesters));
    for attribute in &policy.attributes {
        let values: Vec<&str> = attribute.values.iter().map(|value| value.text.as_str()).collect();
        lines.field("attribute", format!("{}: {}", attribute.name, values.join(", ")));
    }
    if !policy.attributes.is_empty() {
        let (members, floor) = (policy.class_members, policy.class_floor);
        lines.field("classes", format!("values that {members} people have may be shown; summed from {floor} ballots"));
    }
    let (least, floor, map) = (policy.min_contributions, policy.floor, policy.group_floor);
    // The budget of the map is a quarter of the smaller of the two numbers, whatever the rules say.
    let map = map.max(u32::try_from(MIN_ITEMS).unwrap_or(u32::MAX));
    lines.field(
        "opened",
        format!("from {least} ballots; groups of {floor} or more; a map from {map} ballots on {MIN_ITEMS} items"),
    );
    let (part, whole, seen) = (policy.bar_numerator, policy.bar_denominator, policy.min_seen);
    lines.field("principles", format!("need {part}/{whole} support in every group, seen by {seen} of each"));
    lines.field("proposals", format!("{} anonymous ones of each member for a poll", policy.anonymous_proposals));
    let (veto, grace) = (span(policy.veto_millis), span(policy.grace_millis));
    lines.field("recovery", format!("can be denied for {veto}; a removed attester's word counts for {grace} more"));
}

fn admission(rule: &Admission, attesters: usize) -> String {
    match rule {
        Admission::Quorum(quorum) => quorum_in_words(quorum, attesters),
        Admission::Vouch(vouching) => {
            let seeds: usize = vouching.seeds.iter().map(|group| group.keys.len()).sum();
            format!(
                "vouches: {} needed, each member gives {}, from {seeds} seeds in {} groups, of which {} may be corrupt",
                vouching.min_vouches,
                vouching.stock,
                vouching.seeds.len(),
                vouching.tolerated
            )
        }
        Admission::All(rules) => joined(rules, attesters, " and "),
        Admission::Any(rules) => joined(rules, attesters, " or "),
    }
}

fn joined(rules: &[Admission], attesters: usize, word: &str) -> String {
    let rules: Vec<String> = rules.iter().map(|rule| format!("({})", admission(rule, attesters))).collect();
    rules.join(word)
}

fn quorum_in_words(quorum: &Quorum, attesters: usize) -> String {
    let organisation = match quorum.per_organisation {
        u8::MAX => String::new(),
        most => format!(", at most {most} of one organisation"),
    };
    let attesters = super::output::many(attesters, "attester");
    format!("{} of {attesters}, of whom {} may be corrupt{organisation}", quorum.needed, quorum.faulty)
}

fn span(millis: u64) -> String {
    match millis {
        0..DAY_MILLIS => format!("{} s", millis / 1_000),
        _ => format!("{} days", millis / DAY_MILLIS),
    }
}
