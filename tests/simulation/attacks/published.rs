//! What is published, searched for anybody's ballot.

use std::collections::BTreeMap;

use super::*;
use crate::faults::small;

/// The ways in which a row of votes could be written down: what stands for agreeing, disagreeing, passing and not having seen.
const WORDS: [[u8; 4]; 6] = [[1, 255, 0, 2], [1, 255, 0, 0], [0, 1, 2, 3], [1, 2, 3, 0], *b"adpu", [2, 0, 1, 3]];

/// One row in every encoding.
fn rows(votes: &[Vote]) -> Vec<Vec<u8>> {
    let choice = |vote: &Vote| match vote {
        Vote::Agree => 0,
        Vote::Disagree => 1,
        Vote::Pass => 2,
        Vote::Unseen => 3,
    };
    let widened = |bytes: &[u8], width: usize| -> Vec<u8> {
        bytes.iter().flat_map(|byte| [vec![*byte], vec![0; width - 1]].concat()).collect()
    };
    let bits: Vec<u8> = votes.iter().flat_map(|vote| (0..3).map(move |bit| u8::from(choice(vote) == bit))).collect();
    let mut written: Vec<Vec<u8>> =
        WORDS.iter().map(|words| votes.iter().map(|vote| words[choice(vote)]).collect()).collect();
    written.push(bits.clone());
    let wide = |row: &Vec<u8>| [1, 2, 4, 8, 32].map(|width| widened(row, width));
    let mut rows: Vec<Vec<u8>> = written.iter().flat_map(wide).collect();
    let first_low = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
    let first_high = |bits: &[u8]| bits.iter().fold(0, |byte, bit| byte << 1 | bit);
    rows.push(bits.chunks_exact(8).map(first_low).collect());
    rows.push(bits.chunks_exact(8).map(first_high).collect());
    rows
}

/// The bytes by which something that is searched for is recognised first.
const PREFIX: usize = 6;

/// The first of `rows` that is found anywhere, if one is.
fn found<'a>(hay: &[Vec<u8>], rows: &'a [Vec<u8>]) -> Option<&'a Vec<u8>> {
    let mut known: BTreeMap<&[u8], Vec<&'a Vec<u8>>> = BTreeMap::new();
    rows.iter().for_each(|row| known.entry(&row[..PREFIX]).or_default().push(row));
    let at = |rest: &[u8]| known.get(rest.get(..PREFIX)?)?.iter().find(|row| rest.starts_with(row)).copied();
    hay.iter().find_map(|bytes| (0..bytes.len()).find_map(|from| at(&bytes[from..])))
}

#[test]
fn no_row_of_somebodys_votes_is_published() {
    let mut play = small(5).start();
    assert!(play.open());
    let result = play.vote_and_finish().expect("a result");
    // All that a follower keeps, and what anybody is given to verify it: log, bodies, result.
    let mut published = play.network.disk_bytes(5);
    published.push(play.bundle(0));
    let rows: Vec<Vec<u8>> = play.votes.iter().flat_map(|votes| rows(votes)).collect();
    assert_eq!(rows.len(), 24 * 37);

    assert_eq!(found(&published, &rows), None);

    let is_there = [play.body(&result.result), play.community.genesis.name.as_bytes().to_vec()];
    for known in is_there {
        assert!(found(&published, std::slice::from_ref(&known)).is_some(), "the search finds what is there");
    }
    for row in &rows {
        let hay = [[vec![7; 100], row.clone(), vec![7; 100]].concat()];
        assert_eq!(found(&hay, std::slice::from_ref(row)), Some(row), "and a row, where there is one");
    }
}
