use super::{
    tensors::half_to_f32,
    *,
};
use safetensors::{Dtype, tensor::TensorView};

fn matrix(rows: usize, columns: usize, first: f32) -> Matrix {
    let values = (0..rows * columns).map(|index| first + index as f32).collect();
    Matrix::new(rows, columns, values).expect("sized")
}

fn adapter(rslora: bool) -> Adapter {
    let factors = |first| Factors { a: matrix(2, 3, first), b: matrix(4, 2, first + 0.5) };
    let modules = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"];
    Adapter {
        config: Config {
            use_rslora: rslora,
            ..Config::new(Some("toy".into()), 2, 6.0, vec!["q_proj".into(), "down_proj".into()])
        },
        modules: modules.into_iter().zip([1.0, 9.0]).map(|(name, first)| (name.to_owned(), factors(first))).collect(),
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write_tensor(folder: &Path, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) {
    let view = TensorView::new(dtype, shape.to_vec(), bytes).expect("a tensor");
    let other = TensorView::new(Dtype::F32, vec![1, 1], &[0, 0, 128, 63]).expect("a tensor");
    let partner = name.replace("lora_A", "lora_B").replace("embedding_A", "embedding_B");
    let bytes = safetensors::serialize([(name, view), (partner.as_str(), other)], None).expect("serialises");
    fs::write(folder.join(WEIGHTS), bytes).expect("written");
    let config = serde_json::to_vec(&Config::new(None, 1, 1.0, Vec::new())).expect("json");
    fs::write(folder.join(CONFIG), config).expect("written");
}

#[test]
fn an_adapter_reads_back_from_its_folder() {
    let (folder, adapter) = (folder(), adapter(false));

    adapter.write(folder.path()).expect("written");

    let read = Adapter::read(folder.path()).expect("read");
    assert_eq!((&read.modules, read.config.r, read.config.lora_alpha), (&adapter.modules, 2, 6.0));
    read.write(folder.path()).expect("written");
    assert_eq!(Adapter::read(folder.path()).expect("read"), read);
    let bytes = fs::read(folder.path().join(WEIGHTS)).expect("bytes");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut names: Vec<_> = tensors.names().into_iter().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names[0], "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight");
    assert_eq!(names.len(), 4);
}

#[test]
fn the_scale_of_rank_stabilised_adapters_is_folded_into_alpha() {
    let (folder, adapter) = (folder(), adapter(true));
    adapter.write(folder.path()).expect("written");

    let read = Adapter::read(folder.path()).expect("read");

    assert!(!read.config.use_rslora);
    assert!((read.config.scale(2) - adapter.config.scale(2)).abs() < 1e-12);
    assert!((adapter.config.scale(2) - 6.0 / 2f64.sqrt()).abs() < 1e-12);
}

#[test]
fn half_precision_is_widened_exactly() {
    assert_eq!([0x3C00, 0xC000, 0x0001, 0x8000, 0x7BFF].map(half_to_f32), [1.0, -2.0, 2f32.powi(-24), -0.0, 65504.0]);
    assert!(half_to_f32(0x7C01).is_nan() && half_to_f32(0xFC00) == f32::NEG_INFINITY);
    let folder = folder();
    let name = "base_model.model.x.lora_A.weight";
    for (dtype, bytes) in [(Dtype::F16, [0x00, 0x3E]), (Dtype::BF16, [0xC0, 0x3F])] {
        write_tensor(folder.path(), name, dtype, &[1, 1], &bytes);
        assert_eq!(Adapter::read(folder.path()).expect("read").modules["x"].a.values(), [1.5]);
    }
}

#[test]
fn what_is_no_adapter_is_named() {
    let folder = folder();
    let path = folder.path();
    assert!(matches!(Adapter::read(path), Err(PeftError::Io { .. })));
    fs::write(path.join(CONFIG), "{").expect("written");
    assert!(matches!(Adapter::read(path), Err(PeftError::Config { .. })));
    let name = "base_model.model.x.lora_A.weight";
    let one = 1f32.to_le_bytes();
    for (name, dtype, shape, bytes, expected) in [
        ("x.lora_A.weight", Dtype::F32, vec![1, 1], one.to_vec(), "not a LoRA factor of a linear layer"),
        (
            "base_model.model.x.lora_embedding_A",
            Dtype::F32,
            vec![1, 1],
            one.to_vec(),
            "not a LoRA factor of a linear layer",
        ),
        (name, Dtype::F32, vec![1], one.to_vec(), "not a matrix"),
        (name, Dtype::I32, vec![1, 1], one.to_vec(), "neither f32 nor f16 nor bf16"),
        (name, Dtype::F32, vec![2, 1], [one, one].concat(), "the factors A and B have different ranks"),
        (name, Dtype::F32, vec![1, 1], f32::NAN.to_le_bytes().to_vec(), "holds values that are no finite numbers"),
    ] {
        write_tensor(path, name, dtype, &shape, &bytes);
        let error = Adapter::read(path).expect_err(expected);
        assert!(matches!(error, PeftError::Tensor { what, .. } if what == expected), "{error}");
    }
    write_tensor(path, name, Dtype::F32, &[1, 1], &one);
    let text = fs::read_to_string(path.join(CONFIG)).expect("json");
    for (from, to) in [
        ("\"LORA\"", "\"IA3\""),
        ("\"use_dora\":false", "\"use_dora\":true"),
        ("\"bias\":\"none\"", "\"bias\":\"all\""),
        ("\"modules_to_save\":null", "\"modules_to_save\":[\"lm_head\"]"),
        ("\"r\":1", "\"r\":0"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(path.join(CONFIG), text.replace(from, to)).expect("written");
        assert!(matches!(Adapter::read(path), Err(PeftError::Unsupported(_))), "{to}");
    }
    fs::write(path.join(CONFIG), text).expect("written");
    fs::write(path.join(WEIGHTS), [255; 64]).expect("written");
    assert!(matches!(Adapter::read(path), Err(PeftError::Weights { .. })));
}

#[test]
fn the_norm_of_a_product_comes_from_its_factors() {
    let factors = Factors { a: matrix(2, 3, 1.0), b: matrix(4, 2, -2.0) };
    let cell = |row: usize, column: usize| -> f64 {
        (0..2).map(|k| f64::from(factors.b.row(row)[k]) * f64::from(factors.a.row(k)[column])).sum()
    };
    let squares: f64 = (0..4).flat_map(|row| (0..3).map(move |column| cell(row, column).powi(2))).sum();

    assert!((factors.norm() - squares.sqrt()).abs() < 1e-9);
}
