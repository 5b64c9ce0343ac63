use super::*;

/// A real model: `CHORUS_BASE_MODEL=… cargo test -- --ignored`.
pub(crate) fn real() -> PathBuf {
    std::env::var_os("CHORUS_BASE_MODEL").expect("CHORUS_BASE_MODEL names a folder or a GGUF file").into()
}

#[test]
#[ignore = "needs SmolLM2-135M-Instruct at CHORUS_BASE_MODEL"]
fn a_real_model_tokenises_as_it_was_trained() {
    let base = BaseModel::open(&real()).expect("a base model");
    let tokenizer = &base.dialogue.tokenizer;
    let text =
        "<|im_start|>user\nIn 2024, 12% of 1500 votes agreed: don't share data!<|im_end|>\n<|im_start|>assistant\n";

    let ids = tokenizer.encode(text).expect("encoded");

    let tokens: Vec<_> = ids.iter().map(|id| tokenizer.token(*id).expect("a token")).collect();
    assert_eq!(ids.len(), 34, "{tokens:?}");
    assert_eq!(&tokens[..9], ["<|im_start|>", "user", "Ċ", "In", "Ġ", "2", "0", "2", "4"]);
    assert_eq!(base.dialogue.stops, BTreeSet::from([2]));
    println!("{ids:?}\n{tokens:?}");
}
