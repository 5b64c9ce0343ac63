use std::fs;

use super::*;

const COMMENTS: &str = "timestamp,comment-id,author-id,agrees,disagrees,moderated,is-meta,comment-body\n\
    5,3,1,0,0,-1,false,\"rejected, with a comma\"\n5,1,1,0,0,1,false,first\n5,2,1,0,0,0,true,about you\n5,9,1,0,0,1,false,unseen\n";
const VOTES: &str = "timestamp,datetime,comment-id,voter-id,vote\n\
    20,x,1,7,1\n10,x,1,7,-1\n10,x,2,7,0\n10,x,2,7,1\n10,x,3,4,-1\n";
const MATRIX: &str = "participant,group-id,n-comments,n-votes,n-agree,n-disagree,1\n4,,0,1,0,1,\n7,1,0,1,0,1,1\n";
const SUMMARY: &str = "topic,\"A, b\"\nviews,3\n";

fn export(replace: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let files = [
        ("comments.csv", COMMENTS),
        ("votes.csv", VOTES),
        ("participants-votes.csv", MATRIX),
        ("summary.csv", SUMMARY),
    ];
    for (name, text) in files {
        let text = replace.iter().find(|(replaced, _)| *replaced == name).map_or(text, |(_, text)| text);
        fs::write(dir.path().join(name), text).expect("writable");
    }
    dir
}

#[test]
fn the_latest_vote_counts_and_of_equal_times_the_later_row() {
    let conversation = Conversation::read(export(&[]).path()).expect("a whole export");

    assert_eq!(conversation.participants, [4, 7]);
    assert_eq!(conversation.statements.iter().map(|statement| statement.id).collect::<Vec<_>>(), [1, 2, 3]);
    let expected = [[None, None, Some(Vote::Disagree)], [Some(Vote::Agree), Some(Vote::Agree), None]];
    assert_eq!(conversation.matrix.rows(), expected);
    assert_eq!(conversation.moderation().hidden, [false, true, true]);
    assert_eq!(conversation.moderation().meta, [false, true, false]);
    assert_eq!(conversation.groups, BTreeMap::from([(7, 1)]));
    assert_eq!(conversation.summary["topic"], "A, b");
}

#[test]
fn what_is_missing_or_garbled_is_named() {
    let error =
        |name: &str, text: &str| Conversation::read(export(&[(name, text)]).path()).expect_err("garbled").to_string();

    assert!(error("votes.csv", "timestamp,comment-id,voter-id\n1,2,3\n").contains("no column \"vote\""));
    assert!(error("votes.csv", &VOTES.replace("4,-1", "4,2")).contains("line 6: \"vote\" is \"2\""));
    assert!(error("votes.csv", &VOTES.replace("20,", "twenty,")).contains("line 2: \"timestamp\" is \"twenty\""));
    assert!(error("votes.csv", "timestamp,comment-id,voter-id,vote\n").contains("no vote"));
    assert!(error("votes.csv", &VOTES.replace("x,3,", "x,8,")).contains("statement 8"));
    assert!(error("comments.csv", &COMMENTS.replace("true", "yes")).contains("\"is-meta\" is \"yes\""));
    assert!(error("participants-votes.csv", "participant,group-id\n4,two\n").contains("\"group-id\" is \"two\""));
    let dir = export(&[]);
    fs::remove_file(dir.path().join("summary.csv")).expect("it was there");
    assert!(
        matches!(Conversation::read(dir.path()), Err(PolisError::Read { path, .. }) if path.ends_with("summary.csv"))
    );
}

#[test]
fn given_labels_keep_their_names_and_leave_the_rest_ungrouped() {
    let report = analyze_dir(export(&[]).path(), Some(BTreeMap::from([(7, 3)]))).expect("a whole export");

    assert_eq!(report["labels"], serde_json::json!({ "7": 3 }));
    assert_eq!(report["sizes"], serde_json::json!({ "3": 1 }));
    assert_eq!(report["group_votes"]["3"]["agree"], serde_json::json!([1, 1, 0]));
    assert_eq!(report["totals"]["disagree"], serde_json::json!([0, 0, 1]));
    assert_eq!(report["priorities"][1], 49.0);
}

#[test]
fn labels_of_nobody_here_make_no_group() {
    let report = analyze_dir(export(&[]).path(), Some(BTreeMap::from([(1000, usize::MAX)]))).expect("a whole export");

    assert_eq!(report["sizes"], serde_json::json!({}));
    assert_eq!(report["k"], 0);
}
