//! Tensors of safetensors files, one by one, widened to `f32`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use candle_core::{DType, Device, Tensor};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};

/// The most bytes of a header; 64 kB describe 500 tensors.
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// Why weights cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("cannot read the file")]
    Io(#[from] io::Error),
    /// The header is longer than any.
    #[error("the header has {0} bytes")]
    TooLong(u64),
    /// The header describes no tensors, or other ones than fit the file.
    #[error("the header is damaged")]
    Header(#[source] serde_json::Error),
    /// The file is longer or shorter than its header says.
    #[error("{found} bytes of tensors where the header says {expected}")]
    Length {
        /// What the header says.
        expected: u64,
        /// What the file has.
        found: u64,
    },
    /// A tensor holds something else than floating point numbers that are known here.
    #[error("tensor {name} is neither f32 nor f16 nor bf16")]
    Type {
        /// Its name.
        name: String,
    },
    /// A tensor is in two files, or in none where an index promises it.
    #[error("tensor {name} is missing or there twice")]
    Place {
        /// Its name.
        name: String,
    },
    /// A tensor cannot be converted.
    #[error("tensor {name} cannot be converted")]
    Convert {
        /// Its name.
        name: String,
        /// What candle says.
        source: candle_core::Error,
    },
}

/// Reads all tensors of a file into `tensors`, but those that `skip` names.
pub(super) fn read(
    path: &Path,
    tensors: &mut BTreeMap<String, Tensor>,
    skip: impl Fn(&str) -> bool,
) -> Result<(), WeightsError> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix)?;
    let header = u64::from_le_bytes(prefix);
    if header > MAX_HEADER_BYTES.min(length) {
        return Err(WeightsError::TooLong(header));
    }
    let mut bytes = Vec::new();
    (&mut file).take(header).read_to_end(&mut bytes)?;
    // Checks that the tensors are as large as their shapes, one after another, without gaps.
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(WeightsError::Header)?;
    let (expected, found) = (metadata.data_len() as u64, length.saturating_sub(8 + header));
    if expected != found {
        return Err(WeightsError::Length { expected, found });
    }
    let infos: BTreeMap<String, &TensorInfo> = metadata.tensors().into_iter().collect();
    for (name, info) in infos.into_iter().filter(|(name, _)| !skip(name)) {
        let tensor = tensor(&mut file, 8 + header, &name, info)?;
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(WeightsError::Place { name });
        }
    }
    Ok(())
}

fn tensor(file: &mut File, data: u64, name: &str, info: &TensorInfo) -> Result<Tensor, WeightsError> {
    let kind = match info.dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => return Err(WeightsError::Type { name: name.to_owned() }),
    };
    let (start, end) = info.data_offsets;
    let mut bytes = vec![0; end - start];
    file.seek(SeekFrom::Start(data + start as u64))?;
    file.read_exact(&mut bytes)?;
    widen(&bytes, kind, &info.shape).map_err(|source| WeightsError::Convert { name: name.to_owned(), source })
}

/// Makes an `f32` tensor of little-endian floating point numbers.
pub(super) fn widen(bytes: &[u8], kind: DType, shape: &[usize]) -> candle_core::Result<Tensor> {
    Tensor::from_raw_buffer(bytes, kind, shape, &Device::Cpu)?.to_dtype(DType::F32)
}
