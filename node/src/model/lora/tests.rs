use super::*;
use crate::model::checkpoint::tests::toy;

pub(crate) fn shape(targets: &[Projection], last_layers: usize) -> Shape {
    Shape { rank: 3, alpha: 6.0, targets: targets.iter().copied().collect(), last_layers }
}

#[test]
fn a_delta_is_ordered_by_layer_and_projection() {
    let lora = Lora::new(&toy(), &shape(&[Projection::V, Projection::Q, Projection::Down], 2), &[1; 32]).expect("fits");
    let modules: Vec<_> = lora.modules().collect();
    let names: Vec<&str> = modules.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.self_attn.v_proj",
        "model.layers.1.mlp.down_proj",
        "model.layers.2.self_attn.q_proj",
        "model.layers.2.self_attn.v_proj",
        "model.layers.2.mlp.down_proj",
    ];
    assert_eq!(names, expected);
    assert!(modules.windows(2).all(|pair| pair[0].1.end == pair[1].1.start));
    assert_eq!(modules.last().map(|(_, range)| range.end), Some(lora.len()));
    assert_eq!(lora.len(), 2 * 3 * (32 + 16 + 32));
}

#[test]
fn an_adapter_goes_to_the_peft_format_and_back() {
    let mut lora = Lora::new(&toy(), &shape(&Projection::ALL, 3), &[1; 32]).expect("fits");
    let delta: Vec<f32> = (0..lora.len()).map(|i| i as f32).collect();
    lora.set(&delta).expect("as long");

    let adapter = lora.to_adapter(None).expect("uniform");
    let again = Lora::from_adapter(&toy(), &adapter).expect("fits");

    assert_eq!(again.delta(), delta);
    assert_eq!((adapter.config.r, adapter.config.lora_alpha), (3, 6.0));
    assert_eq!(again.to_adapter(None).expect("uniform"), adapter);
}

#[test]
fn what_does_not_fit_the_model_is_refused() {
    let refused = |shape: Shape| assert_eq!(Lora::new(&toy(), &shape, &[1; 32]).err(), Some(LoraError::Shape));
    refused(shape(&[], 1));
    refused(shape(&[Projection::Q], 0));
    refused(shape(&[Projection::Q], 4));
    refused(Shape { rank: 0, ..shape(&[Projection::Q], 1) });
    refused(Shape { rank: 33, ..shape(&[Projection::Q], 1) });
    refused(Shape { alpha: f64::NAN, ..shape(&[Projection::Q], 1) });

    let mut lora = Lora::new(&toy(), &shape(&[Projection::Q], 3), &[1; 32]).expect("fits");
    assert_eq!(lora.set(&[0.0]), Err(LoraError::Length { expected: 3 * 32 * 3, found: 1 }));
    let adapter = lora.to_adapter(None).expect("uniform");
    let smaller = Config { num_hidden_layers: 2, ..toy() };
    let module = "model.layers.2.self_attn.q_proj".to_owned();
    assert_eq!(Lora::from_adapter(&smaller, &adapter).err(), Some(LoraError::Module(module)));
    let narrower = Config { hidden_size: 16, ..toy() };
    assert!(matches!(Lora::from_adapter(&narrower, &adapter), Err(LoraError::Dimensions(_))));
}

#[test]
fn the_debug_form_shows_no_value() {
    let mut lora = Lora::new(&toy(), &shape(&[Projection::Q], 1), &[1; 32]).expect("fits");
    lora.set(&[0.8125; 96]).expect("as long");
    assert!(!format!("{lora:?}").contains("8125"));
}
