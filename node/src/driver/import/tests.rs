use std::sync::Arc;

use chorus_crypto::sign::SecretKey;

use super::{
    super::{
        Node,
        copy::{JournalCopy, write_log},
        tests::{key, options, post},
    },
    *,
};

fn genesis() -> Genesis {
    options(Path::new(""), None).genesis
}

fn import_into(folder: &Path, genesis: &Genesis, file: &Path) -> Result<Imported, ImportError> {
    let home = Home { folder, genesis, quota: 1 << 30, signed: false };
    import(&home, file, &mut rand::rng(), &mut |_| {})
}

fn write_bundle(file: &Path, genesis: &Genesis, decisions: &[Arc<Decision>]) {
    let mut out = File::create(file).expect("made");
    audit::write(&mut out, genesis, decisions, |_| None).expect("written");
}

/// Runs the only operator, which puts so many polls on the log, and returns the log.
async fn founded(folder: &Path, polls: &[&str]) -> Vec<Arc<Decision>> {
    let node = Node::start(options(folder, Some(key()))).await.expect("starts");
    for question in polls {
        post(&node, question).await;
    }
    let decisions = node.decisions().await.expect("reads");
    node.shutdown().await;
    decisions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_home_takes_in_a_log_and_follows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (there, here, file) = (folder.path().join("there"), folder.path().join("here"), folder.path().join("file"));
    let log = founded(&there, &["one", "two", "three"]).await;
    write_bundle(&file, &genesis(), &log);

    let imported = import_into(&here, &genesis(), &file).expect("taken in");
    let again = import_into(&here, &genesis(), &file).expect("taken in");

    let height = log.len() as u64;
    assert_eq!((imported.before, imported.height, imported.in_file), (0, height, height));
    assert_eq!((again.before, again.height), (height, height));
    let alone = Node::start(options(&here, Some(key()))).await;
    assert!(matches!(alone, Err(NodeError::JournalLost)), "the only operator has spoken elsewhere: {alone:?}");
    let node = Node::start(options(&here, None)).await.expect("follows");
    assert_eq!(node.view(|peer| peer.height().0).await.expect("runs"), height);
    assert!(matches!(import_into(&here, &genesis(), &file), Err(ImportError::Node(_))), "a node runs there");
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_operator_whose_store_is_lost_goes_on_once_the_whole_log_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, part, whole) = (folder.path().join("home"), folder.path().join("part"), folder.path().join("whole"));
    let log = founded(&home, &["one", "two", "three"]).await;
    let height = log.len() as u64;
    write_bundle(&part, &genesis(), &log[..log.len() - 1]);
    write_log(&home, &mut File::create(&whole).expect("made")).expect("exported");
    let journal = JournalCopy::read(&home).expect("reads");
    fs::remove_dir_all(home.join("store")).expect("lost");

    let imported = import_into(&home, &genesis(), &part).expect("taken in");

    assert_eq!((imported.height, imported.journal), (height - 1, height));
    let lagging = Node::start(options(&home, Some(key()))).await;
    assert!(matches!(lagging, Err(NodeError::LogLost { .. })), "{lagging:?}");
    // The rest from the other kind of file; then from the shorter one again, which takes nothing away.
    assert_eq!(import_into(&home, &genesis(), &whole).expect("taken in").height, height);
    assert_eq!(import_into(&home, &genesis(), &part).expect("taken in").height, height);
    assert_eq!(JournalCopy::read(&home).expect("reads"), journal, "the journal is as it was");
    let node = Node::start(options(&home, Some(key()))).await.expect("goes on");
    assert_eq!(post(&node, "four").await, height + 1);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_certified_or_contradicts_the_home_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, other, file) = (folder.path().join("home"), folder.path().join("other"), folder.path().join("file"));
    let log = founded(&home, &["one", "two"]).await;
    let fork = founded(&other, &["uno", "due", "tre"]).await;
    let refused = |bytes: &[u8], into: &Path| {
        fs::write(&file, bytes).expect("written");
        import_into(into, &genesis(), &file).expect_err("refused")
    };
    let mut decisions: Vec<Decision> = fork.iter().map(|decision| (**decision).clone()).collect();
    decisions[2].certificate.signatures.clear();
    let forged = audit::Bundle { genesis: genesis(), decisions, blobs: Vec::new() }.to_bytes();
    let mut sound = Vec::new();
    audit::write(&mut sound, &genesis(), &fork, |_| None).expect("written");
    let empty = folder.path().join("empty");

    assert!(matches!(refused(&forged, &empty), ImportError::Verify(VerifyError::Certificate { .. })));
    assert!(matches!(refused(&sound[..sound.len() - 1], &empty), ImportError::Verify(VerifyError::Encoding { .. })));
    assert!(matches!(refused(b"something else", &empty), ImportError::Node(NodeError::Store(_))));
    assert_eq!(fs::read_dir(&empty).expect("reads").count(), 0, "nothing is left of what was refused");
    assert!(matches!(refused(&sound, &home), ImportError::Forked(_)));
    let stranger = Genesis { name: "Quay".into(), ..genesis() };
    let foreign = import_into(&home, &stranger, &file).expect_err("of another community");
    assert!(matches!(foreign, ImportError::OtherCommunity { .. }));
    let node = Node::start(options(&home, Some(key()))).await.expect("starts");
    assert_eq!(node.view(|peer| peer.height().0).await.expect("runs"), log.len() as u64);
    node.shutdown().await;
}

#[test]
fn an_operator_of_several_whose_home_is_new_is_silent_until_the_log_has_passed_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, file) = (folder.path().join("home"), folder.path().join("file"));
    let mut operators: Vec<_> = (1..=4).map(|seed| SecretKey::from_seed(&[seed; 32]).public()).collect();
    operators.sort_unstable();
    let genesis = Genesis { operators, ..genesis() };
    write_bundle(&file, &genesis, &[]);
    let signed = folder.path().join("signed");

    import_into(&home, &genesis, &file).expect("taken in");
    let used = Home { folder: &signed, genesis: &genesis, quota: 0, signed: true };
    import(&used, &file, &mut rand::rng(), &mut |_| {}).expect("taken in");

    let journal = JournalCopy::read(&home).expect("reads").expect("there");
    let spoken = Record::Restored(RestoredRecord { height: Height(0), current: false });
    assert_eq!(journal.records, [spoken]);
    assert_eq!(
        JournalCopy::read(&signed).expect("reads"),
        None,
        "the journal of a key that was used is never made anew"
    );
}
