use std::{collections::HashMap, fs::File};

use candle_core::{
    DType, Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Value},
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::model::{
    chat::Role,
    checkpoint::{Architecture, RopeScaling},
    ops::rope::frequency,
};

fn config() -> Config {
    Config {
        architecture: Architecture::Llama,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        vocab_size: 320,
        rms_norm_eps: 1e-5,
        rope_theta: 50_000.0,
        rope_scaling: None,
        tie_word_embeddings: false,
        attention_bias: false,
        max_position_embeddings: 128,
    }
}

fn qwen() -> Config {
    Config { architecture: Architecture::Qwen2, tie_word_embeddings: true, attention_bias: true, ..config() }
}

/// The alphabet of bytes, as GGUF files and `tokenizer.json` write it, with three control tokens in front.
fn tokens() -> Vec<String> {
    let mut alphabet: Vec<char> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let controls = ["<|none|>", "<|im_start|>", "<|im_end|>"].map(String::from);
    controls.into_iter().chain(alphabet.into_iter().map(String::from)).chain(["us".into()]).collect()
}

const TEMPLATE: &str =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{{ eos_token }}";

fn named(checkpoint: &Checkpoint) -> HashMap<String, Tensor> {
    let names = checkpoint.config.shapes().into_keys();
    names.map(|name| (name.clone(), checkpoint.tensor(&name).expect("a tensor").clone())).collect()
}

fn description(config: &Config) -> serde_json::Value {
    json!({
        "architectures": [if config.architecture == Architecture::Llama { "LlamaForCausalLM" } else { "Qwen2ForCausalLM" }],
        "hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers, "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads, "vocab_size": config.vocab_size,
        "rms_norm_eps": config.rms_norm_eps, "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": config.tie_word_embeddings, "hidden_act": "silu", "sliding_window": null,
        "max_position_embeddings": config.max_position_embeddings, "eos_token_id": [2, 0],
    })
}

fn write_json(path: &Path, value: &serde_json::Value) {
    fs::write(path, value.to_string()).expect("written");
}

/// Writes a folder as Hugging Face's tools do.
fn write_folder(folder: &Path, checkpoint: &Checkpoint) {
    write_json(&folder.join("config.json"), &description(&checkpoint.config));
    candle_core::safetensors::save(&named(checkpoint), folder.join("model.safetensors")).expect("written");
    let vocabulary: HashMap<String, usize> = tokens().into_iter().zip(0..).collect();
    let added = |id: usize, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    write_json(
        &folder.join("tokenizer.json"),
        &json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": [added(0, "<|none|>"), added(1, "<|im_start|>"), added(2, "<|im_end|>")],
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, level]},
            "decoder": level,
            "model": {"type": "BPE", "vocab": vocabulary, "merges": [["u", "s"]]},
        }),
    );
    write_json(
        &folder.join("tokenizer_config.json"),
        &json!({"bos_token": null, "eos_token": {"content": "<|im_end|>"}, "chat_template": TEMPLATE}),
    );
}

/// A GGUF file in the making.
struct Draft {
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, QTensor>,
}

impl Draft {
    /// What llama.cpp's converter makes of a model.
    fn new(checkpoint: &Checkpoint, kind: GgmlDType) -> Self {
        let config = &checkpoint.config;
        let llama = config.architecture == Architecture::Llama;
        let name = if llama { "llama" } else { "qwen2" };
        let number = |value: usize| Value::U32(u32::try_from(value).expect("small"));
        let strings = |values: Vec<String>| Value::Array(values.into_iter().map(Value::String).collect());
        let mut metadata = HashMap::from([
            ("general.architecture".to_owned(), Value::String(name.into())),
            ("tokenizer.ggml.model".into(), Value::String("gpt2".into())),
            ("tokenizer.ggml.pre".into(), Value::String("smollm".into())),
            ("tokenizer.ggml.tokens".into(), strings(tokens())),
            ("tokenizer.ggml.merges".into(), strings(vec!["u s".into()])),
            ("tokenizer.ggml.token_type".into(), {
                Value::Array((0..tokens().len()).map(|id| Value::I32(if id < 3 { 3 } else { 1 })).collect())
            }),
            ("tokenizer.ggml.eos_token_id".into(), Value::U32(2)),
            ("tokenizer.chat_template".into(), Value::String(TEMPLATE.into())),
        ]);
        for (key, value) in [
            ("block_count", number(config.num_hidden_layers)),
            ("context_length", number(config.max_position_embeddings)),
            ("embedding_length", number(config.hidden_size)),
            ("feed_forward_length", number(config.intermediate_size)),
            ("attention.head_count", number(config.num_attention_heads)),
            ("attention.head_count_kv", number(config.num_key_value_heads)),
            ("rope.freq_base", Value::F32(config.rope_theta as f32)),
            ("attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32)),
        ] {
            metadata.insert(format!("{name}.{key}"), value);
        }
        let mut tensors = HashMap::new();
        for (name, tensor) in named(checkpoint) {
            let reordered = |heads: usize| {
                let (rows, columns) = (tensor.dims()[0], tensor.elem_count() / tensor.dims()[0]);
                let split = tensor.reshape((heads, 2, rows / heads / 2, columns)).expect("split");
                split
                    .transpose(1, 2)
                    .expect("swapped")
                    .contiguous()
                    .expect("copied")
                    .reshape(tensor.shape())
                    .expect("joined")
            };
            let tensor = match () {
                () if llama && name.contains("q_proj") => reordered(config.num_attention_heads),
                () if llama && name.contains("k_proj") => reordered(config.num_key_value_heads),
                () => tensor.clone(),
            };
            let kind = if tensor.rank() == 1 { GgmlDType::F32 } else { kind };
            tensors.insert(translated(&name), QTensor::quantize(&tensor, kind).expect("quantised"));
        }
        Self { metadata, tensors }
    }

    fn write(&self, path: &Path) {
        let metadata: Vec<_> = self.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<_> = self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        gguf_file::write(&mut File::create(path).expect("a file"), &metadata, &tensors).expect("written");
    }

    /// Writes the file and tries to open it.
    fn open(&self) -> Result<BaseModel, BaseError> {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("model.gguf");
        self.write(&path);
        BaseModel::open(&path)
    }
}

/// llama.cpp's name of a tensor.
fn translated(name: &str) -> String {
    let pairs = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    pairs.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Opens a folder whose `config.json` has been changed.
fn with_config(change: impl Fn(&mut serde_json::Value)) -> Result<Checkpoint, BaseError> {
    let folder = TempDir::new().expect("a folder");
    let model = Checkpoint::random(config(), 1);
    write_folder(folder.path(), &model);
    let mut value = description(&model.config);
    change(&mut value);
    write_json(&folder.path().join("config.json"), &value);
    checkpoint(folder.path())
}

fn largest_difference(a: &Checkpoint, b: &Checkpoint) -> f32 {
    let differences = named(a).into_iter().map(|(name, tensor)| {
        let difference = (tensor - b.tensor(&name).expect("the same names")).expect("the same shapes");
        difference.abs().and_then(|it| it.flatten_all()?.max(0)?.to_scalar::<f32>()).expect("a number")
    });
    differences.fold(0.0, f32::max)
}

#[test]
fn a_folder_and_a_gguf_file_of_one_model_are_the_same() {
    for config in [config(), Config { tie_word_embeddings: true, ..config() }, qwen()] {
        let folder = TempDir::new().expect("a folder");
        let model = Checkpoint::random(config, 5);
        write_folder(folder.path(), &model);

        let one = BaseModel::open(folder.path()).expect("a base model");
        let other = Draft::new(&model, GgmlDType::F32).open().expect("a base model");

        assert_eq!(one.checkpoint.digest(), model.digest());
        assert_eq!(other.checkpoint.config, model.config);
        assert_eq!(other.checkpoint.digest(), model.digest());
        let messages = [Message::new(Role::User, "us 12<|im_end|>us")];
        let prompt = one.dialogue.prompt(&messages).expect("a prompt");
        assert_eq!(other.dialogue.prompt(&messages).expect("a prompt"), prompt);
        // One message begun, one ended, and the token at the template's end: what the person wrote ended nothing.
        assert_eq!(prompt.iter().filter(|token| **token == 2).count(), 2);
        assert_eq!((one.dialogue.stops, other.dialogue.stops), (BTreeSet::from([0, 2]), BTreeSet::from([2])));
    }
}

#[test]
fn quantised_files_are_near_what_they_were_made_of() {
    let model = Checkpoint::random(config(), 6);
    for (kind, bound) in [
        (GgmlDType::F16, 2e-4),
        (GgmlDType::BF16, 2e-3),
        (GgmlDType::Q8_0, 2e-3),
        (GgmlDType::Q5_1, 1.5e-2),
        (GgmlDType::Q4_1, 3e-2),
    ] {
        let found = Draft::new(&model, kind).open().expect("a base model").checkpoint;
        let difference = largest_difference(&found, &model);
        assert!(difference > 0.0 && difference < bound, "{kind:?}: {difference}");
    }
}

#[test]
fn weights_in_halves_and_in_several_files_are_read() {
    let model = Checkpoint::random(config(), 7);
    for (kind, bound) in [(DType::F16, 2e-4), (DType::BF16, 2e-3)] {
        let folder = TempDir::new().expect("a folder");
        write_folder(folder.path(), &model);
        fs::remove_file(folder.path().join("model.safetensors")).expect("removed");
        let (mut first, mut second) = (named(&model), HashMap::new());
        for (name, tensor) in &first {
            if name.contains("layers.1") {
                second.insert(name.clone(), tensor.to_dtype(kind).expect("narrowed"));
            }
        }
        first.retain(|name, _| !second.contains_key(name));
        let mut map: HashMap<_, _> = first.keys().map(|name| (name.clone(), "a.safetensors")).collect();
        map.extend(second.keys().map(|name| (name.clone(), "b.safetensors")));
        candle_core::safetensors::save(&first, folder.path().join("a.safetensors")).expect("written");
        candle_core::safetensors::save(&second, folder.path().join("b.safetensors")).expect("written");
        let unlisted = checkpoint(folder.path()).expect("a checkpoint");
        let index = folder.path().join("model.safetensors.index.json");
        write_json(&index, &json!({"metadata": {}, "weight_map": map}));
        let listed = checkpoint(folder.path()).expect("a checkpoint");

        assert_eq!(listed.digest(), unlisted.digest());
        let difference = largest_difference(&listed, &model);
        assert!(difference > 0.0 && difference < bound, "{kind:?}: {difference}");

        // An index leads nowhere else, and promises nothing that is not there.
        map.insert("model.norm.weight".into(), "../a.safetensors");
        write_json(&index, &json!({"weight_map": map}));
        assert!(matches!(checkpoint(folder.path()), Err(BaseError::Wrong { .. })));
        map.insert("model.norm.weight".into(), "a.safetensors");
        map.insert("more".into(), "a.safetensors");
        write_json(&index, &json!({"weight_map": map}));
        assert!(matches!(checkpoint(folder.path()), Err(BaseError::Weights { .. })));
    }
}

#[test]
fn rotations_are_found_wherever_transformers_puts_them() {
    let llama3 = json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                        "original_max_position_embeddings": 64, "rope_type": "llama3"});
    let expected = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64,
    };
    let old = with_config(|value| {
        value["rope_parameters"] = json!(null);
        value["rope_theta"] = json!(20000);
        value["rope_scaling"] = llama3.clone();
    });
    let new = with_config(|value| {
        value["rope_parameters"] = llama3.clone();
        value["rope_parameters"]["rope_theta"] = json!(20000.0);
    });
    for found in [old, new].map(|found| found.expect("a checkpoint").config) {
        assert_eq!((found.rope_theta, found.rope_scaling), (20_000.0, Some(expected)));
    }
    let linear = with_config(|value| value["rope_scaling"] = json!({"type": "linear", "factor": 2.0}));
    assert_eq!(linear.expect("a checkpoint").config.rope_scaling, None, "rope_parameters has the last word");
    let linear = with_config(|value| {
        value["rope_parameters"] = json!(null);
        value["rope_scaling"] = json!({"type": "linear", "factor": 2.0});
    });
    let found = linear.expect("a checkpoint").config;
    assert_eq!((found.rope_theta, found.rope_scaling), (10_000.0, Some(RopeScaling::Linear { factor: 2.0 })));
    assert!(matches!(with_config(|value| value["rope_theta"] = json!(1.0)), Err(BaseError::Wrong { .. })));
}

#[test]
fn what_is_computed_otherwise_is_refused_by_name() {
    for (key, value, named) in [
        ("architectures", json!(["MistralForCausalLM"]), "MistralForCausalLM"),
        ("architectures", json!(["Qwen3ForCausalLM"]), "Qwen3ForCausalLM"),
        ("rope_parameters", json!({"rope_type": "yarn", "factor": 4.0}), "yarn"),
        ("rope_parameters", json!({"rope_type": "default", "partial_rotary_factor": 0.5}), "part"),
        ("hidden_act", json!("gelu"), "gelu"),
        ("use_sliding_window", json!(true), "sliding"),
        ("attention_bias", json!(true), "bias"),
        ("mlp_bias", json!(true), "bias"),
        ("quantization_config", json!({"bits": 4}), "quantised"),
    ] {
        let refused = with_config(|config| config[key] = value.clone()).expect_err("refused");
        assert!(matches!(&refused, BaseError::Unsupported { what, .. } if what.contains(named)), "{refused}");
    }
    let refused = |change: fn(&mut HashMap<String, Value>)| {
        let mut draft = Draft::new(&Checkpoint::random(config(), 1), GgmlDType::F32);
        change(&mut draft.metadata);
        draft.open().expect_err("refused")
    };
    let put = |metadata: &mut HashMap<String, Value>, key: &str, value: Value| metadata.insert(key.to_owned(), value);
    let arch = refused(|it| drop(it.insert("general.architecture".into(), Value::String("gemma3".into()))));
    assert!(matches!(&arch, BaseError::Unsupported { what, .. } if what.contains("gemma3")), "{arch}");
    let experts = refused(|it| drop(it.insert("llama.expert_count".into(), Value::U32(8))));
    assert!(matches!(&experts, BaseError::Unsupported { .. }), "{experts}");
    let yarn = refused(|it| drop(it.insert("llama.rope.scaling.type".into(), Value::String("yarn".into()))));
    assert!(matches!(&yarn, BaseError::Unsupported { .. }), "{yarn}");
    let part = refused(|it| drop(it.insert("llama.rope.dimension_count".into(), Value::U32(8))));
    assert!(matches!(&part, BaseError::Unsupported { .. }), "{part}");
    let split = refused(|it| drop(it.insert("tokenizer.ggml.pre".into(), Value::String("deepseek-llm".into()))));
    assert!(matches!(&split, BaseError::Tokenizer { source: TokenizerError::PreTokenizer(_), .. }), "{split}");
    let spm = refused(|it| drop(it.insert("tokenizer.ggml.model".into(), Value::String("llama".into()))));
    assert!(matches!(&spm, BaseError::Tokenizer { .. }), "{spm}");
    let mut draft = Draft::new(&Checkpoint::random(config(), 1), GgmlDType::F32);
    put(&mut draft.metadata, "tokenizer.ggml.eos_token_id", Value::U32(99_999));
    assert!(matches!(draft.open(), Err(BaseError::Wrong { .. })));
}

/// What the frequencies of Llama 3.2 are divided by.
fn llama3_factors(plain: &Config) -> Vec<f64> {
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    let scaled = Config { rope_scaling: Some(scaling), ..plain.clone() };
    (0..plain.head_dim / 2).map(|pair| frequency(plain, pair) / frequency(&scaled, pair)).collect()
}

#[test]
fn the_factors_of_llama_3_are_those_that_transformers_computes() {
    let factors = llama3_factors(&Config { head_dim: 64, rope_theta: 500_000.0, ..config() });

    let known = [1.0, 1.6513, 3.2923, 9.6667, 32.0];
    assert!(factors[14..19].iter().zip(known).all(|(factor, known)| (factor - known).abs() < 1e-4), "{factors:?}");
}

#[test]
fn the_factors_of_llama_3_are_recognised_and_others_refused() {
    let model = Checkpoint::random(config(), 8);
    let with = |change: fn(f64) -> f64| {
        let mut draft = Draft::new(&model, GgmlDType::F32);
        let factors = llama3_factors(&model.config);
        let factors: Vec<f32> = factors.into_iter().map(|factor| change(factor) as f32).collect();
        let tensor = Tensor::from_vec(factors, 8, &Device::Cpu).expect("a tensor");
        draft.tensors.insert("rope_freqs.weight".into(), QTensor::quantize(&tensor, GgmlDType::F32).expect("kept"));
        draft.open().map(|base| base.checkpoint.config.rope_scaling)
    };

    assert!(matches!(with(|factor| factor), Ok(Some(RopeScaling::Llama3 { factor, .. })) if factor == 32.0));
    assert!(matches!(with(|_| 1.0), Ok(None)));
    assert!(matches!(with(|factor| factor.sqrt() + 0.1), Err(BaseError::Unsupported { .. })));
}

#[test]
fn damaged_files_are_refused_without_a_panic() {
    let model = Checkpoint::random(Config { num_hidden_layers: 1, ..config() }, 9);
    let folder = TempDir::new().expect("a folder");
    write_folder(folder.path(), &model);
    let gguf = folder.path().join("model.gguf");
    Draft::new(&model, GgmlDType::Q8_0).write(&gguf);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for name in ["model.gguf", "model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).expect("a file");
        let open = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("written");
            if name == "model.gguf" { BaseModel::open(&gguf) } else { BaseModel::open(folder.path()) }
        };
        for at in 0..60 {
            let cut = rng.next_u64() as usize % whole.len();
            let refused = open(&whole[..cut.min(whole.len() * at / 60)]);
            assert!(refused.is_err(), "{name} cut at {cut}");
            // Where the header is, most of the time. What still opens is another model, and that is for the digest.
            let mut bytes = whole.clone();
            for _ in 0..4 {
                let bound = if at % 4 == 0 { whole.len() } else { whole.len().min(2000) };
                let place = rng.next_u64() as usize % bound;
                bytes[place] = rng.next_u32() as u8;
            }
            drop(open(&bytes));
        }
        open(&whole).expect("whole again");
    }
}

#[test]
fn a_header_that_promises_too_much_is_refused_before_memory_is_taken() {
    let gguf = |rest: &[&[u8]]| {
        let bytes = [b"GGUF".as_slice(), &3u32.to_le_bytes(), &rest.concat()].concat();
        header::Header::read(bytes.as_slice(), bytes.len() as u64)
    };
    let (zero, one, many) = (0u64.to_le_bytes(), 1u64.to_le_bytes(), u64::MAX.to_le_bytes());
    let key = [7u64.to_le_bytes().as_slice(), b"the key"].concat();

    assert!(matches!(gguf(&[&many, &zero]), Err(HeaderError::TooMany { .. })));
    assert!(matches!(gguf(&[&zero, &many]), Err(HeaderError::TooMany { .. })));
    assert!(matches!(gguf(&[&zero, &one, &many, &[0; 99]]), Err(HeaderError::TooMany { .. })));
    let array = [&key[..], &9u32.to_le_bytes(), &8u32.to_le_bytes(), &many].concat();
    assert!(matches!(gguf(&[&zero, &one, &array, &[0; 99]]), Err(HeaderError::TooMany { .. })));
    let nested = [&key[..], &9u32.to_le_bytes(), &9u32.to_le_bytes(), &one].concat();
    assert!(matches!(gguf(&[&zero, &one, &nested, &[0; 99]]), Err(HeaderError::Damaged(_))));
    let tensor = [&key[..], &2u32.to_le_bytes(), &many, &many, &0u32.to_le_bytes(), &zero].concat();
    assert!(matches!(gguf(&[&one, &zero, &tensor]), Err(HeaderError::Damaged(_))));
    let alignment = [&17u64.to_le_bytes()[..], b"general.alignment", &4u32.to_le_bytes(), &0u32.to_le_bytes()].concat();
    assert!(matches!(gguf(&[&zero, &one, &alignment]), Err(HeaderError::Damaged(_))));
    assert!(matches!(header::Header::read(b"GGUF\x01\0\0\0".as_slice(), 8), Err(HeaderError::Version(1))));
    assert!(matches!(header::Header::read(b"safetens".as_slice(), 8), Err(HeaderError::Magic)));
}

#[test]
fn what_is_not_there_is_named() {
    let folder = TempDir::new().expect("a folder");
    let missing = BaseModel::open(&folder.path().join("nothing")).expect_err("nothing");
    assert!(matches!(missing, BaseError::Io { path, .. } if path.ends_with("nothing")));
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        write_folder(folder.path(), &Checkpoint::random(config(), 1));
        fs::remove_file(folder.path().join(name)).expect("removed");
        let missing = BaseModel::open(folder.path()).expect_err("missing");
        assert!(matches!(missing, BaseError::Io { path, .. } if path.ends_with(name)));
    }
}

#[test]
fn a_toy_can_be_spoken_to() {
    let small = Config { vocab_size: TOY_VOCABULARY - 1, ..config() };
    assert!(BaseModel::toy(small, 1).is_err());

    let toy = BaseModel::toy(config(), 1).expect("a toy");
    let messages = [Message::new(Role::System, "Be kind."), Message::new(Role::User, "Grüße <|end|>")];
    let prompt = toy.dialogue.prompt(&messages).expect("a prompt");

    let text = toy.dialogue.tokenizer.decode(&prompt, true).expect("text");
    assert_eq!(text, "System: Be kind.\n\nUser: Grüße < |end|>\n\nAssistant:");
}

#[test]
#[ignore = "needs SmolLM2-135M-Instruct at CHORUS_BASE_MODEL"]
fn a_real_model_is_tokenised_as_it_was_trained() {
    let path = std::env::var_os("CHORUS_BASE_MODEL").expect("CHORUS_BASE_MODEL names a folder or a GGUF file");
    let BaseModel { dialogue, .. } = BaseModel::open(path.as_ref()).expect("a base model");
    let text =
        "<|im_start|>user\nIn 2024, 12% of 1500 votes agreed: don't share data!<|im_end|>\n<|im_start|>assistant\n";

    let ids = dialogue.tokenizer.encode(text).expect("encoded");

    assert_eq!(ids.len(), 34);
    assert_eq!(&ids[..9], [1, 4093, 198, 788, 216, 34, 32, 34, 36]);
    assert_eq!(dialogue.stops, BTreeSet::from([2]));
}
