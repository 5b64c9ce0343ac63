use super::*;

#[test]
fn buckets_cover_all_counts_from_the_first_without_gap_or_overlap() {
    for items in 1..=MAX_ITEMS {
        let edges = bucket_edges(items);
        let first = first_count(items);

        assert_eq!(edges.len(), BUCKETS.min(usize::from(items - first) + 1), "{items}");
        assert_eq!(edges.first().map(|(low, _)| *low), Some(first));
        assert_eq!(edges.last().map(|(_, high)| *high), Some(items));
        assert!(edges.iter().all(|(low, high)| low <= high), "{items}: {edges:?}");
        assert!(edges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{items}: {edges:?}");
        for count in 0..=items {
            let bucket = bucket_of(items, count);
            assert_eq!(bucket.is_some(), count >= first);
            assert!(bucket.is_none_or(|k| (edges[k].0..=edges[k].1).contains(&count)));
        }
    }
    assert_eq!(bucket_edges(0), []);
}

#[test]
fn buckets_grow_by_an_equal_ratio() {
    assert_eq!(bucket_edges(3), [(3, 3)]);
    assert_eq!(bucket_edges(8), [(7, 7), (8, 8)]);
    assert_eq!(bucket_edges(16), [(7, 7), (8, 8), (9, 9), (10, 10), (11, 12), (13, 13), (14, 15), (16, 16)]);
    assert_eq!(bucket_edges(100), [(7, 9), (10, 13), (14, 19), (20, 26), (27, 37), (38, 51), (52, 72), (73, 100)]);
    assert_eq!(
        bucket_edges(500),
        [(7, 11), (12, 20), (21, 34), (35, 59), (60, 100), (101, 172), (173, 293), (294, 500)]
    );
}

#[test]
fn slacks_have_room_for_every_honest_count_and_no_bit_too_many() {
    for items in 1..=MAX_ITEMS {
        let layout = Layout::new(items, true).expect("in range");
        let widest = bucket_edges(items).iter().map(|(low, high)| high - low).max().expect("one bucket at least");
        let needed = widest.max(first_count(items) - 1);

        assert!(u32::from(needed) < 1 << layout.slack_bits());
        assert!(layout.slack_bits() == 0 || u32::from(needed) >= 1 << (layout.slack_bits() - 1));
        assert_eq!(Layout::new(items, false).expect("in range").auxiliary_rows(), 0);
    }
    assert_eq!(Layout::new(MAX_ITEMS, true).map(|layout| layout.auxiliary_rows()), Ok(16));
}

#[test]
fn every_data_row_has_one_meaning() {
    let layout = Layout::new(5, true).expect("in range");
    let votes = (0..5).flat_map(|item| [layout.agree_row(item), layout.disagree_row(item), layout.pass_row(item)]);
    let dither = (0..2).flat_map(|axis| (0..DITHER_BITS).map(move |bit| layout.dither_row(axis, bit)));
    let buckets = (0..BUCKETS).map(|k| layout.bucket_row(k));

    assert!(votes.chain(dither).chain(buckets).eq(0..layout.data_rows()));
    assert_eq!(layout.data_rows(), 15 + 40 + 8);
    assert_eq!(Layout::new(5, false).map(|layout| layout.data_rows()), Ok(15));
}

#[test]
fn only_layouts_in_range_exist_and_decode() {
    assert_eq!(Layout::new(0, true), Err(LayoutError { found: 0 }));
    assert_eq!(Layout::new(501, false), Err(LayoutError { found: 501 }));
    let layout = Layout::new(500, true).expect("in range");
    assert_eq!(layout.to_bytes(), [1, 0xF4, 1]);
    assert_eq!(Layout::from_bytes(&[1, 0xF4, 1]), Ok(layout));
    for refused in [[0, 0, 1], [1, 0xF5, 0], [0, 1, 2]] {
        assert!(Layout::from_bytes(&refused).is_err());
    }
}
