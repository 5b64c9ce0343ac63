//! Blobs between real nodes.

use super::*;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

async fn fetched(node: &Node, id: BlobId) -> Vec<u8> {
    timeout(PATIENCE, node.handle.fetch_blob(id)).await.expect("in time").expect("kept")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_of_every_size_are_fetched_and_given_away_again() {
    for transport in [TCP, QUIC] {
        let first = Setup::new(1, transport);
        let blobs: Vec<_> = [0, 1, 40_000, PIECE_BYTES, PIECE_BYTES + 1, 3_000_000].map(pattern).into();
        for blob in &blobs {
            first.shelf.store.put(blob).expect("stored");
        }
        let (mut first, mut second) = pair(first, Setup::new(2, transport)).await;
        for blob in &blobs {
            assert!(fetched(&second, BlobId::of(blob)).await == *blob, "{}", blob.len());
        }
        let traffic = async {
            while second.handle.traffic().received < 3_000_000 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, traffic).await.expect("it is counted");
        first.handle.shutdown().await;
        second.disconnected(first.id()).await;

        let mut third = Setup::new(3, transport).start().await;
        third.dial(&second).await;
        third.connected(second.id()).await;
        for blob in &blobs {
            assert!(fetched(&third, BlobId::of(blob)).await == *blob, "{}", blob.len());
        }
        first.events.close();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_nobody_has_yet_comes_as_soon_as_somebody_does() {
    let (first, second) = pair(Setup::new(1, TCP), Setup::new(2, TCP)).await;
    let blob = pattern(1_000_000);
    let id = BlobId::of(&blob);
    let waiting = tokio::spawn({
        let handle = second.handle.clone();
        async move { handle.fetch_blob(id).await }
    });
    let given_up = timeout(Duration::from_millis(200), first.handle.fetch_blob(id)).await;
    assert!(given_up.is_err(), "nobody has it");
    let origin = Setup::new(3, TCP);
    origin.shelf.store.put(&blob).expect("stored");
    let origin = origin.start().await;

    first.dial(&origin).await;
    assert!(fetched(&first, id).await == blob);

    let passed_on = timeout(PATIENCE, waiting).await.expect("in time").expect("no panic");
    assert!(passed_on.expect("kept") == blob);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn liars_are_found_out_and_shut_out_and_the_blob_comes_from_another() {
    let blob = pattern(2_000_000);
    let id = BlobId::of(&blob);
    for lie in [Lie::Whole, Lie::Slice, Lie::Size] {
        let (mut honest, mut liar) = (Setup::new(1, TCP), Setup::new(3, TCP));
        honest.shelf.store.put(&blob).expect("stored");
        liar.shelf.store.put(&blob).expect("stored");
        liar.shelf.lie = Some(lie);
        honest.caps.upload = Some(4_000_000);
        let (honest, mut reader) = pair(honest, Setup::new(2, TCP)).await;
        let liar = liar.start().await;
        reader.dial(&liar).await;
        reader.connected(liar.id()).await;

        assert!(fetched(&reader, id).await == blob, "{lie:?}");

        for number in 0..8_u8 {
            // Each lie counts once for every blob, for nothing more of it is asked of a liar.
            let other = [b"what only the liar has".as_slice(), &[number]].concat();
            let wanted = reader.handle.clone();
            let absent = timeout(Duration::from_millis(150), wanted.fetch_blob(BlobId::of(&other))).await;
            assert!(absent.is_err());
        }
        if lie == Lie::Whole {
            reader.disconnected(liar.id()).await;
            assert_eq!(reader.handle.peers(), [honest.id()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_here_already_is_not_fetched_again() {
    let blob = pattern(4_000_000);
    let id = BlobId::of(&blob);
    let (origin, reader) = (Setup::new(1, TCP), Setup::new(2, TCP));
    origin.shelf.store.put(&blob).expect("stored");
    let Some(Found::Parts { size, proof, .. }) = origin.shelf.store.find(id).expect("sound") else { panic!("large") };
    reader.shelf.store.begin(id, size, &proof).expect("fits");
    for piece in 0..12 {
        let slice = origin.shelf.store.slice(id, piece).expect("sound").expect("here");
        reader.shelf.store.add(id, piece, &slice).expect("right");
    }
    let (_origin, reader) = pair(origin, reader).await;

    assert!(fetched(&reader, id).await == blob);

    sleep(Duration::from_millis(300)).await;
    let received = reader.handle.traffic().received;
    assert!((850_000..1_300_000).contains(&received), "a quarter of it: {received}");
    assert!(reader.handle.transfers().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_is_kept_and_gossip_goes_first() {
    for upload in [true, false] {
        let cap = Some(1_000_000);
        let (mut origin, mut reader) = (Setup::new(1, TCP), Setup::new(2, TCP));
        let blob = pattern(3_000_000);
        origin.shelf.store.put(&blob).expect("stored");
        if upload {
            origin.caps.upload = cap
        } else {
            reader.caps.download = cap
        }
        let (origin, mut reader) = pair(origin, reader).await;
        meshed(&[&origin, &reader]).await;
        let began = Instant::now();
        let wanted = reader.handle.clone();
        let fetching = tokio::spawn(async move { wanted.fetch_blob(BlobId::of(&blob)).await.map(|_| ()) });
        sleep(Duration::from_millis(1000)).await;
        assert_eq!(reader.handle.transfers().len(), 1, "it is under way");

        let said = Instant::now();
        origin.publish(&[7; 60_000]).await;
        reader.gossip(&[7; 60_000], Verdict::Accept).await;

        assert!(said.elapsed() < Duration::from_millis(500), "{:?}", said.elapsed());
        fetching.await.expect("no panic").expect("fetched");
        let took = began.elapsed().as_secs_f64();
        assert!((2.6..4.5).contains(&took), "three megabytes and sixty kilobytes took {took} s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_that_is_used_up_moves_no_blobs() {
    let mut origin = Setup::new(1, TCP);
    origin.caps.monthly = Some(1000);
    let folder = tempfile::tempdir().expect("a folder");
    origin.caps.ledger = Some(folder.path().join("traffic"));
    let id = origin.shelf.store.put(b"small").expect("stored");
    let (origin, reader) = pair(origin, Setup::new(2, TCP)).await;
    meshed(&[&origin, &reader]).await;

    let fetched = timeout(Duration::from_millis(300), reader.handle.fetch_blob(id)).await;

    assert!(fetched.is_err(), "nothing is given away");
    origin.handle.shutdown().await;
    let line = std::fs::read_to_string(folder.path().join("traffic")).expect("written");
    let used: u64 = line.trim().split_once(' ').expect("two words").1.parse().expect("a number");
    assert!(used > 1000, "{line}");
}
