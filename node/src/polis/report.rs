//! The analysis of a conversation as JSON.

use chorus_protocol::deliberation::{
    analyze::Analysis,
    consensus::Support,
    statistics::{Lean, Leaning, Majority, Representative},
    tally::{Totals, Vote},
};
use serde_json::{Map, Value, json};

use super::Conversation;

/// Writes the report; `names` are the names of groups 0, 1, …, as many as the analysis has.
pub(super) fn report(conversation: &Conversation, analysis: &Analysis, names: &[usize]) -> Value {
    let ids: Vec<u64> = conversation.statements.iter().map(|statement| statement.id).collect();
    let findings = &analysis.findings;
    let by_group = |of: &dyn Fn(usize) -> Value| -> Value {
        let entry = |(group, name): (usize, &usize)| (name.to_string(), of(group));
        Value::Object(names.iter().enumerate().map(entry).collect())
    };
    let label = |(participant, label): (&u64, &Option<usize>)| {
        let name = names.get((*label)?)?;
        Some((participant.to_string(), json!(name)))
    };
    let labels: Map<String, Value> = conversation.participants.iter().zip(&analysis.labels).filter_map(label).collect();
    let in_conv: Vec<u64> = analysis.in_conversation.iter().map(|&row| conversation.participants[row]).collect();
    let approximate = |supports: &[Support]| supports.iter().map(Support::approximate).collect::<Vec<_>>();
    let entries = |group: usize| findings.representative[group].iter().map(|entry| representative(entry, &ids));
    let majorities = |list: &[Majority]| list.iter().map(|entry| majority(entry, &ids)).collect::<Vec<_>>();
    json!({
        "statement_ids": ids,
        "totals": without_pass(&analysis.totals),
        "in_conv": {
            "rule": "votes >= min(7, statements); topped up to 15",
            "n": in_conv.len(),
            "ids": in_conv,
        },
        "pca": pca(analysis),
        "consensus": {
            "agree": majorities(&findings.majority_agree),
            "disagree": majorities(&findings.majority_disagree),
        },
        "k": names.len(),
        "sizes": by_group(&|group| json!(analysis.sizes[group])),
        "labels": labels,
        "group_votes": by_group(&|group| with_pass(&analysis.groups[group])),
        "gac_agree": approximate(&findings.agree),
        "gac_disagree": approximate(&findings.disagree),
        "repness_stats": by_group(&|group| statistics(&findings.leanings[group])),
        "representative": by_group(&|group| json!(entries(group).collect::<Vec<_>>())),
        "priorities": findings.priorities,
    })
}

fn pca(analysis: &Analysis) -> Value {
    let pca = &analysis.pca;
    let ratio = |variance: &f64| if pca.total_variance > 0.0 { variance / pca.total_variance } else { 0.0 };
    json!({
        "center": pca.center,
        "comp1": pca.axes.first(),
        "comp2": pca.axes.get(1),
        "variance": pca.variance,
        "variance_ratio": pca.variance.iter().map(ratio).collect::<Vec<_>>(),
        "statement_extremity": analysis.extremity,
    })
}

fn counts(totals: &Totals, vote: Vote) -> Vec<u64> {
    totals.items.iter().map(|tally| tally.count(vote)).collect()
}

fn without_pass(totals: &Totals) -> Value {
    let seen: Vec<u64> = totals.items.iter().map(|tally| tally.seen()).collect();
    json!({ "agree": counts(totals, Vote::Agree), "disagree": counts(totals, Vote::Disagree), "seen": seen })
}

fn with_pass(totals: &Totals) -> Value {
    let mut value = without_pass(totals);
    value["pass"] = json!(counts(totals, Vote::Pass));
    value
}

fn majority(entry: &Majority, ids: &[u64]) -> Value {
    json!({
        "tid": ids[entry.item],
        "n_success": entry.count,
        "n_trials": entry.seen,
        "p_success": entry.probability,
        "p_test": entry.z,
    })
}

fn representative(entry: &Representative, ids: &[u64]) -> Value {
    let mut value = json!({
        "tid": ids[entry.item],
        "n_success": entry.lean.count,
        "n_trials": entry.lean.seen,
        "p_success": entry.lean.probability,
        "p_test": entry.lean.z,
        "repness": entry.lean.ratio,
        "repness_test": entry.lean.ratio_z,
        "repful_for": if entry.direction == Vote::Agree { "agree" } else { "disagree" },
    });
    if let Some(count) = entry.best_agree {
        value["n_agree"] = json!(count);
        value["best_agree"] = json!(true);
    }
    value
}

fn statistics(leanings: &[Leaning]) -> Value {
    let column = |of: &dyn Fn(&Lean) -> f64, agree: bool| -> Vec<f64> {
        leanings.iter().map(|leaning| of(if agree { &leaning.agree } else { &leaning.disagree })).collect()
    };
    json!({
        "pa": column(&|lean| lean.probability, true),
        "pd": column(&|lean| lean.probability, false),
        "pat": column(&|lean| lean.z, true),
        "pdt": column(&|lean| lean.z, false),
        "ra": column(&|lean| lean.ratio, true),
        "rd": column(&|lean| lean.ratio, false),
        "rat": column(&|lean| lean.ratio_z, true),
        "rdt": column(&|lean| lean.ratio_z, false),
    })
}
