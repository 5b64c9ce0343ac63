use super::*;

/// A llama of a few thousand parameters.
pub(crate) fn toy() -> Config {
    Config {
        architecture: Architecture::Llama,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        vocab_size: 96,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: None,
        tie_word_embeddings: false,
        attention_bias: false,
        max_position_embeddings: 128,
    }
}

/// The same with what Qwen2 has otherwise.
pub(crate) fn toy_qwen() -> Config {
    Config { architecture: Architecture::Qwen2, attention_bias: true, tie_word_embeddings: true, ..toy() }
}

fn tensors(config: &Config) -> BTreeMap<String, Tensor> {
    Checkpoint::random(config.clone(), 1).tensors
}

#[test]
fn a_toy_is_a_model_and_the_same_every_time() {
    for config in [toy(), toy_qwen()] {
        let checkpoint = Checkpoint::new(config.clone(), tensors(&config)).expect("a model");
        assert_eq!(checkpoint.digest(), Checkpoint::random(config.clone(), 1).digest());
        assert_ne!(checkpoint.digest(), Checkpoint::random(config, 2).digest());
    }
}

#[test]
fn the_digest_of_a_toy_is_known() {
    let digest = Checkpoint::random(toy(), 1).digest();
    assert_eq!(data_encoding::HEXLOWER.encode(&digest[..8]), "273c5f3ef5848dd0");
}

#[test]
fn the_digest_depends_on_what_gives_the_weights_meaning() {
    let digest = Checkpoint::random(toy(), 1).digest();
    let changed = [
        Config { rope_theta: 20_000.0, ..toy() },
        Config { rms_norm_eps: 1e-6, ..toy() },
        Config { rope_scaling: Some(RopeScaling::Linear { factor: 2.0 }), ..toy() },
        Config { num_attention_heads: 2, num_key_value_heads: 1, head_dim: 16, ..toy() },
    ];
    for config in changed {
        assert_ne!(Checkpoint::random(config.clone(), 1).digest(), digest, "{config:?}");
    }
    assert_eq!(Checkpoint::random(Config { max_position_embeddings: 64, ..toy() }, 1).digest(), digest);
}

#[test]
fn missing_superfluous_misshapen_and_damaged_tensors_are_named() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let refuse = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut tensors = tensors(&toy());
        change(&mut tensors);
        Checkpoint::new(toy(), tensors).expect_err("no model")
    };
    let put = |tensor: candle_core::Result<Tensor>| {
        let tensor = tensor.expect("a tensor");
        refuse(&|tensors| {
            tensors.insert(name.into(), tensor.clone());
        })
    };

    let missing = refuse(&|tensors| {
        tensors.remove(name);
    });
    assert_eq!(missing, CheckpointError::Missing(name.into()));
    let unexpected = refuse(&|tensors| {
        tensors.insert("extra".into(), tensors[name].clone());
    });
    assert_eq!(unexpected, CheckpointError::Unexpected("extra".into()));
    assert!(matches!(put(Tensor::zeros((32, 48), DType::F32, &Device::Cpu)), CheckpointError::Shape { .. }));
    assert_eq!(put(Tensor::zeros((48, 32), DType::F64, &Device::Cpu)), CheckpointError::Kind(name.into()));
    let nan = Tensor::full(f32::NAN, (48, 32), &Device::Cpu);
    assert_eq!(put(nan), CheckpointError::NotFinite(name.into()));
}

#[test]
fn what_some_files_carry_without_need_is_dropped() {
    let config = Config { tie_word_embeddings: true, ..toy() };
    let mut given = tensors(&toy());
    given.insert("model.layers.0.self_attn.rotary_emb.inv_freq".into(), given["model.norm.weight"].clone());

    let checkpoint = Checkpoint::new(config.clone(), given).expect("a model");

    assert_eq!(checkpoint.tensors.len(), config.shapes().len());
}

#[test]
fn configurations_that_contradict_themselves_are_refused() {
    let refused = [
        Config { num_key_value_heads: 3, ..toy() },
        Config { head_dim: 7, ..toy() },
        Config { vocab_size: 0, ..toy() },
        Config { hidden_size: usize::MAX, ..toy() },
        Config { num_attention_heads: 1 << 20, head_dim: 1 << 20, ..toy() },
        Config { num_hidden_layers: 0, ..toy() },
        Config { rms_norm_eps: f64::NAN, ..toy() },
        Config { rope_scaling: Some(RopeScaling::Linear { factor: 0.0 }), ..toy() },
    ];
    for config in refused {
        assert!(matches!(config.check(), Err(CheckpointError::Config(_))), "{config:?}");
    }
}
