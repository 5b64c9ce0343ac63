use super::*;
use crate::deliberation::linear::dot;

/// Two camps of fifteen that disagree on the first half of twenty items and agree on the second.
fn camps() -> VoteMatrix {
    let vote = |row: usize, item: usize| match (row % 2, item) {
        (0, 0..10) => Some(Vote::Agree),
        (1, 0..10) => Some(Vote::Disagree),
        _ if (row + item).is_multiple_of(5) => None,
        _ if (row * item) % 7 == 3 => Some(Vote::Pass),
        _ => Some(Vote::Agree),
    };
    let rows = (0..30).map(|row| (0..20).map(|item| vote(row, item)).collect()).collect();
    VoteMatrix::new(20, rows).expect("twenty columns")
}

#[test]
fn two_camps_are_two_groups_and_what_both_support_ranks_first() {
    let analysis = analyze(&camps(), &Options { floor: 10, ..Options::default() }).expect("no labels");

    assert_eq!(analysis.sizes, [15, 15]);
    assert_eq!(analysis.labels[0], analysis.labels[28]);
    assert_ne!(analysis.labels[0], analysis.labels[1]);
    assert!(analysis.findings.ranking[..10].iter().all(|&item| item >= 10));
    // Only a statement shown as the one a group agrees with most may be common ground.
    let mut telling = analysis.findings.representative.iter().flatten().filter(|entry| entry.best_agree.is_none());
    assert!(telling.all(|entry| entry.item < 10));
    assert!(analysis.findings.majority_agree.iter().all(|entry| entry.item >= 10));
}

fn covariance(matrix: &VoteMatrix, center: &[f64]) -> Vec<Vec<f64>> {
    let centred = |row: &[Option<Vote>]| -> Vec<f64> {
        row.iter().zip(center).map(|(vote, center)| vote.map_or(0.0, |vote| vote.value() as f64 - center)).collect()
    };
    let rows: Vec<Vec<f64>> = matrix.rows().iter().map(|row| centred(row)).collect();
    let of = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>() / (rows.len() as f64 - 1.0);
    (0..matrix.items()).map(|a| (0..matrix.items()).map(|b| of(a, b)).collect()).collect()
}

#[test]
fn the_components_are_orthonormal_eigenvectors() {
    let matrix = camps();
    let pca = pca(&matrix, &matrix.totals(), &[]);

    let covariance = covariance(&matrix, &pca.center);
    for (axis, value) in pca.axes.iter().zip(&pca.variance) {
        let residual = covariance.iter().zip(axis).map(|(row, entry)| (dot(row, axis) - value * entry).abs());
        assert!(residual.fold(0.0, f64::max) < 1e-9);
        assert!((dot(axis, axis) - 1.0).abs() < 1e-12);
    }
    assert!(dot(&pca.axes[0], &pca.axes[1]).abs() < 1e-12);
}

#[test]
fn hidden_items_shape_neither_map_nor_lists_but_are_still_counted() {
    let moderation = Moderation { hidden: (0..20).map(|item| item < 5 || item == 12).collect(), meta: Vec::new() };
    let options = Options { floor: 10, moderation, ..Options::default() };

    let analysis = analyze(&camps(), &options).expect("no labels");

    assert!(analysis.pca.axes.iter().all(|axis| axis[..5].iter().all(|w| *w == 0.0)));
    assert!(analysis.findings.ranking.iter().all(|&item| item >= 5 && item != 12));
    assert!(analysis.findings.representative.iter().flatten().all(|entry| entry.item >= 5));
    assert_eq!(analysis.findings.leanings[0][0].agree.seen, analysis.sizes[0] as u64);
    assert_eq!(analysis.findings.leanings[0][0].agree.count, 0);
    assert_eq!(analysis.findings.agree.len(), 20);
    assert_eq!(analysis.totals.items[0].agree, 15);
}

#[test]
fn a_small_or_empty_matrix_is_analysed_too() {
    let empty = VoteMatrix::new(0, Vec::new()).expect("nothing to disagree");
    let one = VoteMatrix::new(1, vec![vec![Some(Vote::Agree)]]).expect("one column");

    assert_eq!(analyze(&empty, &Options::default()).expect("no labels").sizes, [] as [usize; 0]);
    assert_eq!(analyze(&one, &Options::default()).expect("no labels").sizes, [1]);
    let labels = Some(vec![None; 3]);
    assert!(analyze(&one, &Options { labels, ..Options::default() }).is_err());
}

#[test]
fn rows_with_few_votes_have_no_point_unless_there_are_too_few_rows() {
    let vote = |row: usize, item: usize| (row >= 5 || item < 6).then_some(Vote::Pass);
    let rows = |count: usize| (0..count).map(|row| (0..20).map(|item| vote(row, item)).collect()).collect();

    let many = in_conversation(&VoteMatrix::new(20, rows(25)).expect("twenty columns"));
    let few = in_conversation(&VoteMatrix::new(20, rows(17)).expect("twenty columns"));

    assert_eq!(many, (5..25).collect::<Vec<_>>());
    assert_eq!(few, [0, 1, 2].into_iter().chain(5..17).collect::<Vec<_>>());
}
