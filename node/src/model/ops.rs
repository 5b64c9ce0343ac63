//! The differentiable operations of a language model whose own weights stay as they are.
//!
//! Each is a pair of functions: *forward*, and *backward*, which takes the gradient of the result to that of the argument.
//! The model calls them in order and in reverse order; nothing records a graph. Compared with candle's own differentiation,
//! which serves as the slow path that the tests compare with,
//!
//! * no gradient of a frozen weight is ever computed or kept;
//! * what a backward step can recompute cheaply (norms, attention weights, activations) is not kept either;
//! * all work stays on the calling thread: candle shares one pool of threads among all callers, so that two replicas would
//!   wait for each other, and asks the system for the number of cores at every product;
//! * sums are in a fixed order, so that a result is the same whatever the number of threads.
//!
//! Matrix products are those of the `gemm` crate, which candle uses too.

use std::{fmt, ops::Range};

use candle_core::{CpuStorage, Storage, Tensor};

pub mod attention;
pub mod head;
pub mod linear;
mod math;
pub mod norm;
mod product;
pub mod rope;
pub mod swiglu;

use product::View;

/// A matrix of activations, row by row: one row for each token.
#[derive(Clone)]
pub struct Rows {
    columns: usize,
    values: Vec<f32>,
}

impl Rows {
    /// Returns the matrix with these values, row by row.
    ///
    /// # Panics
    ///
    /// Panics if the last row is not full, or if there are no columns.
    pub fn new(columns: usize, values: Vec<f32>) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "whole rows");
        Self { columns, values }
    }

    /// Returns a matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self::new(columns, vec![0.0; rows * columns])
    }

    /// Returns the number of rows.
    pub const fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Returns the number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns the values, row by row.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Returns the values, row by row.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// Returns a row.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// Returns the chosen rows, in the order of the choice.
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.columns);
        rows.iter().for_each(|row| values.extend_from_slice(self.row(*row)));
        Self::new(self.columns, values)
    }

    /// The backward of [`select`](Self::select): puts the rows back among `rows` rows of zeros.
    pub fn spread(&self, chosen: &[usize], rows: usize) -> Self {
        let mut spread = Self::zeros(rows, self.columns);
        for (from, to) in chosen.iter().enumerate() {
            add(spread.row_mut(*to), self.row(from));
        }
        spread
    }

    /// Adds another matrix.
    pub fn add(&mut self, other: &Self) {
        add(self.values_mut(), other.values());
    }

    /// Returns `self·otherᵀ`.
    pub fn times_transposed(&self, other: &Self) -> Self {
        self.view().times(other.view().transposed())
    }

    fn view(&self) -> View<'_> {
        View::new(&self.values, self.columns)
    }

    fn view_of(&self, rows: Range<usize>) -> View<'_> {
        View::new(&self.values[rows.start * self.columns..rows.end * self.columns], self.columns)
    }
}

/// Shows no value: what a personal text or adapter leads to is as personal.
impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("rows", &self.rows()).field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// A frozen matrix of outputs × inputs, shared with the checkpoint that it comes from.
#[derive(Clone, Debug)]
pub struct Weight(Tensor);

impl Weight {
    /// Takes a matrix of a checkpoint, which has checked that it is a contiguous array of `f32` in memory.
    ///
    /// # Panics
    ///
    /// Panics if it is not.
    pub fn new(tensor: &Tensor) -> Self {
        let weight = Self(tensor.detach());
        assert!(tensor.rank() == 2 && tensor.is_contiguous(), "a contiguous matrix");
        weight.read(|_| ());
        weight
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.0.dims()[0]
    }

    /// Returns the number of inputs.
    pub fn inputs(&self) -> usize {
        self.0.dims()[1]
    }

    /// Returns the chosen rows: what an embedding does with tokens.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn select(&self, rows: impl IntoIterator<Item = usize>) -> Rows {
        let columns = self.inputs();
        self.read(|all| {
            let mut values = Vec::new();
            rows.into_iter().for_each(|row| values.extend_from_slice(&all[row * columns..(row + 1) * columns]));
            Rows::new(columns, values)
        })
    }

    /// Returns `x·Wᵀ`.
    pub fn forward(&self, x: &Rows) -> Rows {
        self.read(|weight| x.view().times(View::new(weight, self.inputs()).transposed()))
    }

    /// Adds `g·W`, the backward of [`forward`](Self::forward), to a gradient.
    pub fn backward(&self, gradient: &Rows, of_x: &mut Rows) {
        self.read(|weight| gradient.view().add_times(View::new(weight, self.inputs()), 1.0, of_x));
    }

    fn read<T>(&self, read: impl FnOnce(&[f32]) -> T) -> T {
        let (storage, layout) = self.0.storage_and_layout();
        let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets())
        else {
            unreachable!("a weight is f32 in memory")
        };
        read(&values[start..end])
    }
}

/// Adds `b` to `a`.
pub(crate) fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

/// Returns the inner product, in eight interleaved sums.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (chunks, others) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = chunks.remainder().iter().zip(others.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in chunks.zip(others) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
pub(crate) mod tests;
