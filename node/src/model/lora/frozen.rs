//! The factor A that nobody trains, from a public seed.
//!
//! Whoever takes part must get the same bytes, so nothing here depends on a machine's mathematical library or on the order in
//! which a compiler adds: integers from BLAKE3, then Gram–Schmidt in `f64` in a fixed order with +, −, ×, ÷ and √ alone, which
//! IEEE 754 defines to the last bit.

use chorus_crypto::domain;

use crate::model::matrix::Matrix;

/// A row that is this much shorter after its projections have been taken off is drawn again.
const SHORT: f64 = 1e-3;

/// Returns A of a module: `rank` orthonormal rows of `columns` values, the same on every machine.
///
/// A row is drawn uniformly from a cube of 32-bit integers, made orthogonal to the rows before it (twice, which makes it so
/// to the last bits), brought to length one, and rounded to `f32`. None if there are not so many directions.
pub fn frozen_a(seed: &[u8; 32], module: &str, rank: usize, columns: usize) -> Option<Matrix> {
    if rank == 0 || rank > columns {
        return None;
    }
    let mut stream = blake3::Hasher::new_derive_key(domain::MODEL_FROZEN_A.as_str());
    let mut stream = stream.update(seed).update(module.as_bytes()).finalize_xof();
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(rank);
    let mut bytes = vec![0; 4 * columns];
    while rows.len() < rank {
        stream.fill(&mut bytes);
        let draw = |bytes: &[u8; 4]| f64::from(i32::from_le_bytes(*bytes)) / 2_147_483_648.0;
        let mut row: Vec<f64> = bytes.as_chunks().0.iter().map(draw).collect();
        let drawn = norm(&row);
        for _ in 0..2 {
            for other in &rows {
                let along = inner(&row, other);
                row.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
            }
        }
        let left = norm(&row);
        if left > SHORT * drawn && left > 0.0 {
            row.iter_mut().for_each(|value| *value /= left);
            rows.push(row);
        }
    }
    Matrix::new(rank, columns, rows.into_iter().flatten().map(|value| value as f32).collect())
}

/// Adds one product after the other.
fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (x, y)| sum + x * y)
}

fn norm(a: &[f64]) -> f64 {
    inner(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_orthonormal() {
        for (rank, columns) in [(1, 1), (8, 8), (8, 576), (64, 1536)] {
            let a = frozen_a(&[7; 32], "model.layers.0.self_attn.q_proj", rank, columns).expect("enough directions");
            assert_eq!((a.rows(), a.columns()), (rank, columns));
            for (i, value) in a.gram_of_rows().into_iter().enumerate() {
                let expected = f64::from(u8::from(i % rank == i / rank));
                assert!((value - expected).abs() < 1e-6, "{value} for {expected}");
            }
        }
    }

    #[test]
    fn there_are_no_more_orthogonal_rows_than_columns() {
        assert!(frozen_a(&[7; 32], "module", 9, 8).is_none() && frozen_a(&[7; 32], "module", 0, 8).is_none());
    }

    #[test]
    fn seeds_and_modules_have_their_own_and_bytes_are_known() {
        let a = frozen_a(&[7; 32], "model.layers.0.self_attn.q_proj", 8, 576).expect("enough directions");
        assert_ne!(Some(&a), frozen_a(&[8; 32], "model.layers.0.self_attn.q_proj", 8, 576).as_ref());
        assert_ne!(Some(&a), frozen_a(&[7; 32], "model.layers.0.self_attn.v_proj", 8, 576).as_ref());
        let bytes: Vec<u8> = a.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        let digest = blake3::hash(&bytes).to_hex();
        assert_eq!(&digest[..16], "6029557ad7a0ffd7");
        assert_eq!(
            a.values()[..3].iter().map(|value| value.to_bits()).collect::<Vec<_>>(),
            [0x3D67_7949, 0xBBD5_8747, 0xBD76_60DE]
        );
    }
}
