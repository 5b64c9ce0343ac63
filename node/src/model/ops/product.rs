//! Matrix products on the calling thread.

use super::Rows;

/// A matrix in memory, or its transpose, as an argument of a product.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// Returns the matrix with these values, row by row.
    pub(super) fn new(values: &'a [f32], columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "whole rows");
        Self { values, rows: values.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// Returns the transpose, which is the same values read in another order.
    pub(super) const fn transposed(self) -> Self {
        let Self { values, rows, columns, row_stride, column_stride } = self;
        Self { values, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }

    /// Returns the product with another matrix.
    pub(super) fn times(self, other: View<'_>) -> Rows {
        let mut values = vec![0.0; self.rows * other.columns];
        self.multiply(other, 1.0, false, &mut values);
        Rows::new(other.columns, values)
    }

    /// Adds the product with another matrix, times a number, to what is there.
    pub(super) fn add_times(self, other: View<'_>, factor: f32, to: &mut Rows) {
        assert_eq!(to.columns(), other.columns, "the shape of the product");
        self.add_times_to(other, factor, to.values_mut());
    }

    /// As [`add_times`](Self::add_times), to values row by row.
    pub(super) fn add_times_to(self, other: View<'_>, factor: f32, to: &mut [f32]) {
        self.multiply(other, factor, true, to);
    }

    #[expect(
        unsafe_code,
        reason = "the only fast product there is takes pointers; all that it asks for is asserted here"
    )]
    fn multiply(self, other: View<'_>, factor: f32, add: bool, to: &mut [f32]) {
        let (m, k, n) = (self.rows, self.columns, other.columns);
        assert!(k == other.rows && to.len() == m * n, "the shapes of a product");
        // What `gemm` reads are the entries (i, j) at i·row_stride + j·column_stride, all of them below rows·columns, which
        // is the length of the values by construction: `new` makes the strides (columns, 1), and `transposed` swaps the
        // strides along with the sides.
        assert!(self.values.len() == m * k && other.values.len() == k * n, "a view is as large as its values");
        let stride = |stride: usize| isize::try_from(stride).expect("a slice is shorter than isize::MAX");
        // SAFETY: the pointers are of slices that live through the call and have the lengths asserted above; `to` is borrowed
        // exclusively and written densely, row by row.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                to.as_mut_ptr(),
                1,
                stride(n),
                add,
                self.values.as_ptr(),
                stride(self.column_stride),
                stride(self.row_stride),
                other.values.as_ptr(),
                stride(other.column_stride),
                stride(other.row_stride),
                1.0,
                factor,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}
