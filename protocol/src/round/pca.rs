//! An operator's part of the secret PCA: shares of `Σ_i x̃_i (x̃_iᵀ Ω) + noise` from the masks it holds.
//!
//! Replicated masks are Shamir shares in disguise (Cramer, Damgård, Ishai, *Share conversion*, 2005): with f_T of degree
//! f, f_T(0) = 1 and f_T(i) = 0 for i ∈ T, operator j's share of a row is `E + Σ_{T∌j} PRG(σ_T)·f_T(j)`. Multiplying two
//! shares locally gives a share of degree 2f of the product, to which a sharing of zero and the noise are added.

use chorus_crypto::{
    Scalar,
    ballot::Layout,
    codec::Encode as _,
    domain,
    hash::{self, Digest},
    mask::{Committee, Expansion, SetKey, Shape, ShareError, noise_share, shares_of, zero_share},
};
use zeroize::Zeroizing;

use crate::{
    deliberation::{linear::IntMatrix, pca::noise_amplitude, tally::VOTE_UNIT},
    id::SetId,
    log::entry::PassId,
};

/// An operator's shares of the centred votes of one ballot: S scalars.
#[derive(Clone)]
pub struct CentredShare(Zeroizing<Vec<Scalar>>);

impl core::fmt::Debug for CentredShare {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CentredShare").finish_non_exhaustive()
    }
}

/// Returns an operator's shares of `x̃ = 32·(agree − disagree) − μ·(agree + disagree + pass)` of one ballot.
///
/// # Errors
///
/// Returns a [`ShareError`] unless the masks are those of exactly the sets held.
pub fn centred_share(
    sharing: &Committee,
    operator: u8,
    layout: &Layout,
    shape: &Shape,
    masked: &[Scalar],
    held: &[(usize, &Expansion)],
    mu: &[i64],
) -> Result<CentredShare, ShareError> {
    let rows = shares_of(sharing, operator, shape, masked, held)?;
    let at = |row: usize| rows.get(row).copied().unwrap_or(Scalar::ZERO);
    let unit = signed(VOTE_UNIT.into());
    let centred = (0u16..).zip(mu).map(|(item, mu)| {
        let (agree, disagree) = (at(layout.agree_row(item)), at(layout.disagree_row(item)));
        unit * (agree - disagree) - signed((*mu).into()) * (agree + disagree + at(layout.pass_row(item)))
    });
    Ok(CentredShare(Zeroizing::new(centred.collect())))
}

/// Returns the digest of Ω: what the open-once lock of a pass holds.
pub fn omega_digest(omega: &IntMatrix) -> Digest {
    hash::digest(domain::OMEGA, omega)
}

/// Returns an operator's share of one pass, column by column.
///
/// # Errors
///
/// Returns a [`ShareError`] unless the keys are those of exactly the sets held.
pub fn pass_share(
    sharing: &Committee,
    operator: u8,
    ballots: &[CentredShare],
    omega: &IntMatrix,
    keys: &[(usize, &SetKey)],
    set: &SetId,
    pass: PassId,
) -> Result<Vec<Scalar>, ShareError> {
    let items = omega.rows();
    let columns: Vec<Vec<Scalar>> =
        omega.columns().iter().map(|column| column.iter().map(|entry| signed(*entry)).collect()).collect();
    let mut label = set.to_bytes();
    pass.pass.encode(&mut label);
    omega_digest(omega).encode(&mut label);
    // The noise is the same in every attempt, so that repetitions cannot average it away; the zeros are not.
    let bounds: Vec<u64> = noise_amplitude(omega).into_iter().flat_map(|bound| vec![bound; items]).collect();
    let noise = noise_share(sharing, operator, keys, &label, &bounds)?;
    pass.attempt.encode(&mut label);
    let zero = zero_share(sharing, operator, keys, &label, columns.len() * items)?;
    let mut share: Vec<Scalar> = noise.iter().zip(zero.iter()).map(|(noise, zero)| noise + zero).collect();
    for CentredShare(ballot) in ballots {
        for (column, out) in columns.iter().zip(share.chunks_mut(items)) {
            let along: Scalar = ballot.iter().zip(column).map(|(x, entry)| x * entry).sum();
            out.iter_mut().zip(ballot.iter()).for_each(|(out, x)| *out += x * along);
        }
    }
    Ok(share)
}

fn signed(value: i128) -> Scalar {
    let magnitude = Scalar::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}
