//! A linear layer: a frozen matrix, 8-bit or `f32`, and an adapter's update beside it.

use candle_core::{
    Device, Module as _, Result, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor},
};

use super::Precision;
use crate::model::peft::Factors;

/// From how many rows on widening a matrix costs less than it saves.
const MANY_ROWS: usize = 16;

/// `s·B·A`, ready to be applied to rows.
#[derive(Debug)]
pub(super) struct Update {
    /// Aᵀ: inputs × r.
    down: Tensor,
    /// s·Bᵀ: r × outputs.
    up: Tensor,
}

impl Update {
    pub(super) fn new(factors: &Factors, scale: f64) -> Result<Self> {
        let tensor = |matrix: &crate::model::matrix::Matrix| {
            Tensor::from_slice(matrix.values(), (matrix.rows(), matrix.columns()), &Device::Cpu)
        };
        let down = tensor(&factors.a)?.t()?.contiguous()?;
        let up = tensor(&factors.b)?.t()?.contiguous()?.affine(scale, 0.0)?;
        Ok(Self { down, up })
    }
}

/// A linear layer.
#[derive(Debug)]
pub(super) struct Linear {
    weight: QMatMul,
    bias: Option<Tensor>,
    pub(super) update: Option<Update>,
}

impl Linear {
    pub(super) fn new(weight: &Tensor, bias: Option<&Tensor>, precision: Precision) -> Result<Self> {
        Ok(Self { weight: quantise(weight, precision)?, bias: bias.cloned(), update: None })
    }

    /// Returns the numbers of outputs and inputs.
    pub(super) fn dimensions(&self) -> Result<(usize, usize)> {
        match &self.weight {
            QMatMul::QTensor(weight) => weight.shape().dims2(),
            QMatMul::Tensor(weight) | QMatMul::TensorF16(weight) => weight.dims2(),
        }
    }

    /// Applies the layer to rows.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let mut output = multiply(&self.weight, rows)?;
        if let Some(bias) = &self.bias {
            output = output.broadcast_add(bias)?;
        }
        match &self.update {
            Some(Update { down, up }) => output + rows.matmul(down)?.matmul(up)?,
            None => Ok(output),
        }
    }
}

/// Applies a matrix to rows.
///
/// The kernels of 8-bit weights round the rows to 8 bits too, which costs several times the precision that the weights'
/// rounding does, and are made for one row at a time. Where there are many rows, in a prompt, the matrix is widened
/// first: faster and more precise.
pub(super) fn multiply(weight: &QMatMul, rows: &Tensor) -> Result<Tensor> {
    match weight {
        QMatMul::QTensor(weight) if rows.dim(0)? >= MANY_ROWS => rows.matmul(&weight.dequantize(&Device::Cpu)?.t()?),
        weight => weight.forward(rows),
    }
}

/// Quantises a matrix, if its rows are of whole blocks of 32.
pub(super) fn quantise(weight: &Tensor, precision: Precision) -> Result<QMatMul> {
    let whole = weight.dims().last().is_some_and(|columns| columns.is_multiple_of(GgmlDType::Q8_0.block_size()));
    match precision {
        Precision::Q8 if whole => QMatMul::from_qtensor(QTensor::quantize(weight, GgmlDType::Q8_0)?),
        Precision::Q8 | Precision::F32 => Ok(QMatMul::Tensor(weight.clone())),
    }
}
