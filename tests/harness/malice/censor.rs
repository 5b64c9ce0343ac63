//! Operators that want some people's contributions never to be counted.

use chorus_crypto::{codec::Encode as _, credential::Tag};
use chorus_protocol::message::Message;

use crate::{network::Hearing, scenario::Play};

/// Makes operators (by host) deaf to everything that names one of the tags, proposals of batches included: they neither
/// acknowledge nor pass on nor order such a contribution, vote for no batch that holds it, and help to open no sum with it.
/// Only the finished log they take as it is.
pub fn censor(play: &mut Play, censors: &[usize], tags: &[Tag]) {
    for host in censors {
        play.network.hear_only(*host, deaf_to(tags.to_vec()));
    }
}

fn deaf_to(tags: Vec<Tag>) -> Hearing {
    let tags: Vec<Vec<u8>> = tags.iter().map(|tag| tag.to_bytes()).collect();
    Box::new(move |message| {
        let bytes = message.to_bytes();
        let names = |tag: &Vec<u8>| bytes.windows(tag.len()).any(|window| window == tag.as_slice());
        matches!(message, Message::Log(_)) || !tags.iter().any(names)
    })
}
