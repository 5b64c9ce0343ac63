//! The link: the masked vector hides exactly the matrix that the commitments open to, and every seed fits.
//!
//! With a challenge γ drawn after commitments, masked vector and seed digests were absorbed, the contributor publishes
//!
//! ```text
//! ẑ   = Y + Σ_{r=1..D} γ^r·U_r             C scalars, uniform because Y is
//! ζ   = Σ_{r=0..D} γ^r·ρ_r
//! z_T = Σ_{r=0..D} γ^r·PRG(σ_T)_r          for every T
//! ζ_T = Σ_{r=0..D} γ^r·PRG_ρ(σ_T)_r        for every T
//! ```
//!
//! | who | checks | so that |
//! |---|---|---|
//! | anybody | `⟨ẑ,G⟩ + ζ·B' = C_0 + Σ γ^r·C_r` | ẑ folds the committed rows |
//! | anybody | `pack(ẑ) = fold(E) + Σ_T z_T` | E plus the claimed masks is the committed matrix, packed |
//! | anybody | `ζ = Σ_T ζ_T` | the claimed blindings are the commitments' |
//! | holders of T | `z_T = fold(PRG(σ_T))` and `ζ_T = fold(PRG_ρ(σ_T))` | the claimed mask is the seed's |
//!
//! Each side is a polynomial in γ of degree at most D, so a difference survives with probability at most D/ℓ. The
//! holders' second check is as necessary as the first: without it one contributor could commit with another blinding,
//! and the sum of a sealed round would never verify.
//!
//! ẑ, and each z_T and ζ_T, are hidden by their row 0, which nothing else uses: together with E they say nothing about
//! the data beyond `Σ_T z_T = pack(ẑ) − fold(E)` (and ζ, which follows from the ζ_T).

use curve25519_dalek::scalar::Scalar;

use crate::{
    batch::{Batch, Equation},
    group::Base,
    mask::{Committee, Data, Expansion, Fold, MAX_COLUMNS, MAX_SUBSETS, Masking, Shape, fold, pack},
    transcript::{Item, Transcript},
    wire_struct,
};

/// Why a link was refused. Describes the contributor, never this node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A part has the wrong length.
    #[error("{what}: {found} where the shape says {expected}")]
    Length {
        /// Which part.
        what: &'static str,
        /// The length the shape asks for.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// `ζ ≠ Σ_T ζ_T`.
    #[error("the blinding of the fold is not the sum of its parts")]
    BlindingSum,
    /// `pack(ẑ) ≠ fold(E) + Σ_T z_T`.
    #[error("the masked vector is not the committed matrix under the claimed masks")]
    Masked,
    /// There is no set with that index.
    #[error("there is no set {0}")]
    Subset(usize),
    /// `z_T` is not the fold of the seed's values.
    #[error("the claimed mask of set {0} is not its seed's")]
    SeedValues(usize),
    /// `ζ_T` is not the fold of the seed's blindings.
    #[error("the claimed blindings of set {0} are not its seed's")]
    SeedBlindings(usize),
}

/// The folds a contributor publishes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// ẑ, one scalar per column.
    pub response: Vec<Scalar>,
    /// ζ.
    pub blinding: Scalar,
    /// z_T and ζ_T of every T, in the order of [`Committee::subsets`].
    pub folds: Vec<Fold>,
}
wire_struct!(Link { response[MAX_COLUMNS as usize], blinding, folds[MAX_SUBSETS] });

impl Link {
    /// Makes the link. Draws γ as [`Item::LinkChallenge`], then absorbs itself as [`Item::Folds`].
    ///
    /// # Security
    ///
    /// The transcript must have absorbed the commitments, the seed digests, the digest of the masked vector and of the
    /// sealed seeds, and the eligibility statement.
    ///
    /// # Panics
    ///
    /// Panics unless `data` has the shape that `masking` was made for.
    pub fn prove(transcript: &mut Transcript, masking: &Masking, shape: &Shape, data: &(impl Data + ?Sized)) -> Self {
        assert_eq!(masking.shape(), shape, "a masking serves one shape");
        let gamma = transcript.challenge(Item::LinkChallenge);
        let folds = masking.folds(&gamma);
        let blinding = folds.iter().map(|fold| fold.blinding).sum();
        let link = Self { response: masking.fold_data(&gamma, data), blinding, folds };
        transcript.absorb(Item::Folds, &link);
        link
    }

    /// Draws γ and absorbs the link, as the prover did; returns γ.
    pub fn challenge_and_absorb(&self, transcript: &mut Transcript) -> Scalar {
        let gamma = transcript.challenge(Item::LinkChallenge);
        transcript.absorb(Item::Folds, self);
        gamma
    }

    /// Checks what needs no masked vector: all lengths, `ζ = Σ_T ζ_T`, and, as an equation of the batch,
    /// `⟨ẑ,G⟩ + ζ·B' − C_0 − Σ γ^r·C_r = 0`, where `C_0` stands at index `first_commitment` and the others follow.
    ///
    /// # Errors
    ///
    /// Returns a [`LinkError`] if a length or the sum is wrong; the batch is unchanged then.
    ///
    /// # Panics
    ///
    /// Panics if the 1 + D commitments were not inserted.
    pub fn check(
        &self,
        committee: &Committee,
        shape: &Shape,
        gamma: &Scalar,
        batch: &mut Batch,
        first_commitment: usize,
    ) -> Result<(), LinkError> {
        expect_length("response", shape.width(), self.response.len())?;
        expect_length("folds", committee.subset_count(), self.folds.len())?;
        self.folds.iter().try_for_each(|fold| expect_length("fold", shape.packed(), fold.values.len()))?;
        if self.folds.iter().map(|fold| fold.blinding).sum::<Scalar>() != self.blinding {
            return Err(LinkError::BlindingSum);
        }
        let weight = batch.equation(Equation::Fold);
        for (column, response) in (0..shape.columns).zip(&self.response) {
            batch.add_fixed(weight, Base::Column(column), *response);
        }
        batch.add_fixed(weight, Base::Blinding, self.blinding);
        let mut power = -Scalar::ONE;
        for row in 0..=shape.rows() {
            batch.add(weight, first_commitment + row, power);
            power *= gamma;
        }
        Ok(())
    }

    /// Checks `pack(ẑ) = fold(E) + Σ_T z_T`.
    ///
    /// # Errors
    ///
    /// Returns [`LinkError::Length`] or [`LinkError::Masked`].
    pub fn check_masked(&self, shape: &Shape, gamma: &Scalar, masked: &[Scalar]) -> Result<(), LinkError> {
        expect_length("masked vector", shape.scalars(), masked.len())?;
        expect_length("response", shape.width(), self.response.len())?;
        let mut sums = fold(gamma, masked, shape.packed());
        for fold in &self.folds {
            expect_length("fold", shape.packed(), fold.values.len())?;
            sums.iter_mut().zip(&fold.values).for_each(|(sum, value)| *sum += value);
        }
        if sums == pack(shape, &self.response) { Ok(()) } else { Err(LinkError::Masked) }
    }

    /// Checks z_T and ζ_T against the seed of the set with index `subset` in [`Committee::subsets`].
    ///
    /// # Errors
    ///
    /// Returns [`LinkError::Subset`], [`LinkError::SeedValues`] or [`LinkError::SeedBlindings`].
    pub fn check_seed(&self, subset: usize, gamma: &Scalar, expansion: &Expansion) -> Result<(), LinkError> {
        self.check_fold(subset, &expansion.fold(gamma))
    }

    /// Checks z_T and ζ_T of the set with index `subset` against the fold of its seed's mask, however it was computed: see
    /// [`Mask`](crate::mask::Mask).
    ///
    /// # Errors
    ///
    /// Returns [`LinkError::Subset`], [`LinkError::SeedValues`] or [`LinkError::SeedBlindings`].
    pub fn check_fold(&self, subset: usize, fold: &Fold) -> Result<(), LinkError> {
        let claimed = self.folds.get(subset).ok_or(LinkError::Subset(subset))?;
        if claimed.values != fold.values {
            return Err(LinkError::SeedValues(subset));
        }
        if claimed.blinding != fold.blinding {
            return Err(LinkError::SeedBlindings(subset));
        }
        Ok(())
    }
}

fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), LinkError> {
    if expected == found { Ok(()) } else { Err(LinkError::Length { what, expected, found }) }
}

#[cfg(test)]
mod tests;
