use super::{tensors::half_to_f32, *};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

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

/// An adapter of one module in a folder, with some fields of its configuration changed.
fn with_fields(fields: Value) -> (tempfile::TempDir, Result<Adapter, PeftError>) {
    let folder = folder();
    let name = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight";
    write_tensor(folder.path(), name, Dtype::F32, &[1, 1], &1f32.to_le_bytes());
    let path = folder.path().join(CONFIG);
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("read")).expect("json");
    for (name, value) in fields.as_object().expect("fields") {
        config[name] = value.clone();
    }
    fs::write(&path, config.to_string()).expect("written");
    let read = Adapter::read(folder.path());
    (folder, read)
}

#[test]
fn what_means_something_else_than_a_product_of_factors_is_refused_by_name() {
    let setting = Unsupported::Setting;
    for (fields, expected) in [
        (json!({"peft_type": "IA3"}), Unsupported::Kind("IA3".into())),
        (json!({"use_dora": true}), Unsupported::Dora),
        (json!({"bias": "all"}), Unsupported::Bias),
        (json!({"bias": "lora_only"}), Unsupported::Bias),
        (json!({"modules_to_save": ["lm_head"]}), Unsupported::ModulesToSave),
        (json!({"fan_in_fan_out": true}), Unsupported::Transposed),
        (json!({"init_lora_weights": "pissa_niter_16"}), Unsupported::Initialisation("\"pissa_niter_16\"".into())),
        (json!({"init_lora_weights": "olora"}), Unsupported::Initialisation("\"olora\"".into())),
        (json!({"lora_bias": true}), setting("lora_bias")),
        (json!({"use_qalora": true}), setting("use_qalora")),
        (json!({"layer_replication": [[0, 4], [2, 5]]}), setting("layer_replication")),
        (json!({"trainable_token_indices": [3]}), setting("trainable_token_indices")),
        (json!({"target_parameters": ["experts.w"]}), setting("target_parameters")),
        (json!({"alora_invocation_tokens": [1]}), setting("alora_invocation_tokens")),
        (json!({"r": 0}), Unsupported::Scale),
        (json!({"lora_alpha": 0, "alpha_pattern": {"down_proj": 2}}), Unsupported::Scale),
        (json!({"alpha_pattern": {"(q|v)_proj": 2}}), Unsupported::Pattern("(q|v)_proj".into())),
        (json!({"rank_pattern": {".*proj": 1}}), Unsupported::Pattern(".*proj".into())),
    ] {
        let (_folder, read) = with_fields(fields.clone());
        assert!(matches!(&read, Err(PeftError::Unsupported(found)) if *found == expected), "{fields}: {read:?}");
    }
    let (_folder, read) = with_fields(json!({"rank_pattern": {"down_proj": -1}}));
    assert!(matches!(read, Err(PeftError::Config { .. })));
}

#[test]
fn settings_without_effect_on_the_weights_are_accepted() {
    for fields in [
        json!({"modules_to_save": [], "lora_bias": false, "layer_replication": null, "loftq_config": {}}),
        json!({"init_lora_weights": "gaussian", "lora_dropout": 0.1, "inference_mode": false, "unheard_of": 3}),
        json!({"target_modules": "all-linear", "task_type": null, "revision": "main"}),
    ] {
        let (_folder, read) = with_fields(fields);
        assert_eq!(read.expect("an adapter").modules.len(), 1);
    }
}

#[test]
fn another_rank_than_the_configuration_says_is_refused() {
    for fields in [json!({"r": 2}), json!({"rank_pattern": {"mlp.down_proj": 3}})] {
        let (_folder, read) = with_fields(fields);
        assert!(matches!(read, Err(PeftError::Tensor { what: "another rank than the configuration says", .. })));
    }
    let (_folder, read) = with_fields(json!({"r": 7, "rank_pattern": {"mlp.down_proj": 1}}));
    assert_eq!(read.expect("an adapter").modules["model.layers.0.mlp.down_proj"].rank(), 1);
}

#[test]
fn the_scale_of_a_single_module_is_in_its_factors() {
    let (_folder, read) = with_fields(json!({"lora_alpha": 2, "alpha_pattern": {"down_proj": 5}}));
    let adapter = read.expect("an adapter");
    assert_eq!(adapter.config.scale(1), 2.0);
    assert_eq!(adapter.modules["model.layers.0.mlp.down_proj"].b.values(), [2.5]);
}

fn written_config(modules: &[&str]) -> Value {
    let (folder, template) = (folder(), adapter(false));
    let factors = template.modules.values().next().expect("a module").clone();
    let modules = modules.iter().map(|module| ((*module).to_owned(), factors.clone())).collect();
    Adapter { modules, ..template }.write(folder.path()).expect("written");
    serde_json::from_slice(&fs::read(folder.path().join(CONFIG)).expect("read")).expect("json")
}

#[test]
fn the_configuration_names_the_modules_that_are_there_and_no_others() {
    let config = written_config(&["model.layers.8.self_attn.q_proj", "model.layers.9.self_attn.q_proj"]);
    assert_eq!((&config["target_modules"], &config["layers_to_transform"]), (&json!(["q_proj"]), &json!([8, 9])));
    let uneven = ["model.layers.8.self_attn.q_proj", "model.layers.9.mlp.down_proj"];
    let config = written_config(&uneven);
    assert_eq!(config["target_modules"], json!(uneven));
    assert!(config.get("layers_to_transform").is_none());
}

#[test]
fn the_configuration_has_what_peft_and_vllm_need() {
    let config = written_config(&["model.layers.0.self_attn.q_proj"]);
    for (name, value) in [
        ("peft_type", json!("LORA")),
        ("task_type", json!("CAUSAL_LM")),
        ("base_model_name_or_path", json!("toy")),
        ("r", json!(2)),
        ("lora_alpha", json!(6.0)),
        ("use_rslora", json!(false)),
        ("use_dora", json!(false)),
        ("bias", json!("none")),
        ("fan_in_fan_out", json!(false)),
        ("lora_dropout", json!(0.0)),
        ("inference_mode", json!(true)),
        ("init_lora_weights", json!(true)),
        ("modules_to_save", Value::Null),
    ] {
        assert_eq!(config.get(name), Some(&value), "{name}");
    }
}

#[test]
fn the_weights_are_pytorchs_and_a_is_among_them() {
    let folder = folder();
    adapter(false).write(folder.path()).expect("written");
    let bytes = fs::read(folder.path().join(WEIGHTS)).expect("read");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("safetensors");
    assert_eq!(header.metadata().as_ref().and_then(|it| it.get("format")).map(String::as_str), Some("pt"));
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let a = tensors.tensor("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight").expect("A");
    assert_eq!((a.dtype(), a.shape()), (Dtype::F32, [2, 3].as_slice()));
}

#[test]
fn where_an_adapter_comes_from_stands_beside_it() {
    let (folder, adapter) = (folder(), adapter(false));
    let path = folder.path().join("mine");
    adapter.write(&path).expect("written");
    let (_, source) = Adapter::read_with_source(&path).expect("read");
    let weights = fs::read(path.join(WEIGHTS)).expect("read");
    assert_eq!((source.name.as_str(), source.blake3.as_str()), ("mine", blake3::hash(&weights).to_hex().as_str()));
    let provenance = Provenance::new("export", vec![source]);

    adapter.write_with(&path, &provenance).expect("written");

    let note = fs::read(path.join(PROVENANCE)).expect("read");
    assert_eq!(serde_json::from_slice::<Provenance>(&note).expect("json"), provenance);
    assert!(!String::from_utf8_lossy(&note).contains(&*folder.path().to_string_lossy()));
    assert_eq!(Adapter::read(&path).expect("read").modules, adapter.modules);
}

#[test]
fn factors_of_different_ranks_are_filled_up_with_zeros() {
    let narrow = Factors { a: matrix(1, 3, 1.0), b: matrix(4, 1, 2.0) };
    let wide = Factors { a: matrix(2, 3, 1.0), b: matrix(4, 2, 2.0) };
    let modules = BTreeMap::from([("x".to_owned(), narrow.clone()), ("y".to_owned(), wide.clone())]);

    let adapter = Adapter::of_factors(None, modules);

    assert_eq!((adapter.config.r, adapter.config.scale(2)), (2, 1.0));
    assert_eq!(adapter.modules["y"], wide);
    assert_eq!(adapter.modules["x"].rank(), 2);
    assert_eq!(adapter.modules["x"].norm(), narrow.norm());
    let empty = Adapter { modules: BTreeMap::new(), ..adapter };
    assert!(matches!(empty.write(folder().path()), Err(PeftError::Empty)));
}
