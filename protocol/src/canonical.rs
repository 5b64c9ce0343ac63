//! Canonical bytes of maps and sets: a count, then the members in ascending order.
//!
//! Beside what the codec bounds by itself: a map is read member by member, so that a lying count reserves nothing.

use std::collections::{BTreeMap, BTreeSet};

use chorus_crypto::codec::{Decode, DecodeError, Encode, Reader, put_count};

/// Appends a map, each value by `put`.
pub(crate) fn put_map<K: Encode, V>(out: &mut Vec<u8>, map: &BTreeMap<K, V>, put: impl Fn(&V, &mut Vec<u8>)) {
    put_count(out, map.len());
    for (key, value) in map {
        key.encode(out);
        put(value, out);
    }
}

/// Reads a map of at most `bound` members, each value by `read`.
pub(crate) fn map<K: Decode + Ord, V>(
    input: &mut Reader<'_>,
    bound: usize,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<V, DecodeError>,
) -> Result<BTreeMap<K, V>, DecodeError> {
    let mut map = BTreeMap::new();
    for _ in 0..input.count(bound)? {
        let key = K::decode(input)?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(DecodeError::NonCanonical("the order of a map"));
        }
        let value = read(input)?;
        map.insert(key, value);
    }
    Ok(map)
}

/// Appends a set.
pub(crate) fn put_set<T: Encode>(out: &mut Vec<u8>, set: &BTreeSet<T>) {
    put_count(out, set.len());
    set.iter().for_each(|value| value.encode(out));
}

/// Reads a set of at most `bound` members.
pub(crate) fn set<T: Decode + Ord>(input: &mut Reader<'_>, bound: usize) -> Result<BTreeSet<T>, DecodeError> {
    let mut set = BTreeSet::new();
    for _ in 0..input.count(bound)? {
        let value = T::decode(input)?;
        if set.last().is_some_and(|last| *last >= value) {
            return Err(DecodeError::NonCanonical("the order of a set"));
        }
        set.insert(value);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_or_set_has_one_encoding() {
        let map_of = BTreeMap::from([(1u8, 10u16), (2, 20)]);
        let mut bytes = Vec::new();
        put_map(&mut bytes, &map_of, Encode::encode);
        assert_eq!(map(&mut Reader::new(&bytes), 2, u16::decode), Ok(map_of));

        for wrong in [[0, 0, 0, 2, 2, 0, 20, 1, 0, 10], [0, 0, 0, 2, 1, 0, 10, 1, 0, 10]] {
            let refused = map::<u8, u16>(&mut Reader::new(&wrong), 2, u16::decode);
            assert_eq!(refused, Err(DecodeError::NonCanonical("the order of a map")));
        }
        let refused = set::<u8>(&mut Reader::new(&[0, 0, 0, 2, 2, 1]), 2);
        assert_eq!(refused, Err(DecodeError::NonCanonical("the order of a set")));
        let refused = set::<u8>(&mut Reader::new(&[0, 0, 0, 3, 1, 2, 3]), 2);
        assert_eq!(refused, Err(DecodeError::TooLong { bound: 2, found: 3 }));
    }
}
