//! `adapter_model.safetensors`: names, types and shapes of the factors.

use std::collections::{BTreeMap, HashMap};

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};

use super::{Factors, PeftError};
use crate::model::matrix::Matrix;

/// What stands before a module's name.
const PREFIX: &str = "base_model.model.";

/// Puts the factors of each module together.
pub(super) fn read(tensors: &SafeTensors<'_>) -> Result<BTreeMap<String, Factors>, PeftError> {
    let mut halves = BTreeMap::<String, [Option<Matrix>; 2]>::new();
    for (name, view) in tensors.tensors() {
        let wrong = |what| PeftError::Tensor { name: name.clone(), what };
        let (module, half) = parse(&name).ok_or(wrong("not a LoRA factor of a linear layer"))?;
        let matrix = to_matrix(&view).map_err(wrong)?;
        let slot = &mut halves.entry(module.to_owned()).or_default()[half];
        if slot.replace(matrix).is_some() {
            return Err(wrong("given twice"));
        }
    }
    let factors = |(module, [a, b]): (String, [Option<Matrix>; 2])| {
        let wrong = |what| PeftError::Tensor { name: module.clone(), what };
        let (a, b) = a.zip(b).ok_or(wrong("one of the factors A and B is missing"))?;
        if a.rows() == 0 || a.rows() != b.columns() {
            return Err(wrong("the factors A and B have different ranks"));
        }
        Ok((module, Factors { a, b }))
    };
    let modules: BTreeMap<String, Factors> = halves.into_iter().map(factors).collect::<Result<_, _>>()?;
    if modules.is_empty() { Err(PeftError::Empty) } else { Ok(modules) }
}

/// Writes the factors in `f32`.
pub(super) fn write(modules: &BTreeMap<String, Factors>) -> Result<Vec<u8>, SafeTensorError> {
    let bytes = |matrix: &Matrix| -> Vec<u8> { matrix.values().iter().flat_map(|value| value.to_le_bytes()).collect() };
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::with_capacity(2 * modules.len());
    for (module, factors) in modules {
        for (letter, matrix) in [("A", &factors.a), ("B", &factors.b)] {
            let shape = vec![matrix.rows(), matrix.columns()];
            tensors.push((format!("{PREFIX}{module}.lora_{letter}.weight"), shape, bytes(matrix)));
        }
    }
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<_, SafeTensorError>>()?;
    safetensors::serialize(views, Some(HashMap::from([("format".to_owned(), "pt".to_owned())])))
}

/// Splits a tensor's name into the module's and 0 for A, 1 for B. Some files carry the adapter's name, `default`.
fn parse(name: &str) -> Option<(&str, usize)> {
    let name = name.strip_prefix(PREFIX)?.strip_suffix(".weight")?;
    let name = name.strip_suffix(".default").unwrap_or(name);
    let a = name.strip_suffix(".lora_A").map(|module| (module, 0));
    a.or_else(|| Some((name.strip_suffix(".lora_B")?, 1)))
}

fn to_matrix(view: &TensorView<'_>) -> Result<Matrix, &'static str> {
    let [rows, columns] = *view.shape() else { return Err("not a matrix") };
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::BF16 => halves(view.data()).map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
        Dtype::F16 => halves(view.data()).map(half_to_f32).collect(),
        _ => return Err("neither f32 nor f16 nor bf16"),
    };
    let matrix = Matrix::new(rows, columns, values).ok_or("another size than its shape")?;
    if matrix.is_finite() { Ok(matrix) } else { Err("holds values that are no finite numbers") }
}

fn halves(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes))
}

/// Widens an IEEE 754 binary16, exactly.
pub(super) fn half_to_f32(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 0x1F, bits & 0x3FF);
    let magnitude = match exponent {
        0 => f32::from(fraction) * 2f32.powi(-24),
        0x1F => f32::from_bits(0x7F80_0000 | u32::from(fraction) << 13),
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | u32::from(fraction) << 13),
    };
    if sign == 1 { -magnitude } else { magnitude }
}
