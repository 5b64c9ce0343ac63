use super::*;
use crate::{
    api::tests::Fixture,
    chat::tests::{adapter, model_folder},
};

const MANNER: Manner = Manner { max_tokens: 12, sampling: Sampling::Greedy, seed: 0 };

/// An answer of the model at `path`, with or without an adapter.
async fn answered(fixture: &Fixture, path: &Path, adapter: Option<&(BlobId, Arc<Adapter>)>) -> String {
    let wearing = |id| Wearing { series: SeriesId::ZERO, name: "Harbour".into(), number: 1, id };
    let about = About {
        provider: Place::Local,
        host: None,
        model: "tiny".into(),
        constitution: None,
        adapter: adapter.map(|(id, _)| wearing(*id)),
        notes: Vec::new(),
    };
    let prepared = Prepared { about, constitution: None, adapter: adapter.cloned() };
    let messages = vec![Message::new(Role::User, "Why sing?")];
    let answer = fixture.service.answer(&Source::Local(path.to_owned()), prepared, messages, MANNER, drop).await;
    answer.expect("an answer").text().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn side_by_side_the_adapter_is_on_for_one_answer_and_off_for_the_other() {
    let fixture = Fixture::start().await;
    let folder = model_folder();
    let (id, worn) = adapter("adapter");
    let worn = (id, Arc::new(worn));

    let without = answered(&fixture, folder.path(), None).await;
    let with = answered(&fixture, folder.path(), Some(&worn)).await;
    let without_again = answered(&fixture, folder.path(), None).await;
    let with_again = answered(&fixture, folder.path(), Some(&worn)).await;

    assert_ne!(with, without);
    assert_eq!((without_again, with_again), (without, with));
    fixture.service.node().clone().shutdown().await;
}
