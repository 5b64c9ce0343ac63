use super::*;
use crate::model::checkpoint::{Checkpoint, tests::toy};

/// Counted from the base model.
const PREFERENCE: loss::Preference = loss::Preference { beta: 0.7, from_base: true };

/// A little of everything.
fn examples() -> Vec<Example> {
    let text = |seed: u32, length: u32| (0..length).map(|i| (seed * 31 + i * 7) % 96).collect::<Vec<u32>>();
    let mut examples = Vec::new();
    for i in 0..4 {
        examples.push(Example::Answer { prompt: text(i, 3 + i), answer: text(i + 40, 4) });
        let (told, untold) = (text(i + 10, 12), text(i + 20, 4));
        examples.push(Example::Distillation { told, untold, answer: text(i + 30, 5) });
        examples.push(Example::Verdict { chosen: text(i + 50, 6 + i), rejected: text(i + 60, 7), yes: 5, no: 6 });
    }
    examples
}

fn config() -> TrainConfig {
    TrainConfig {
        rank: 2,
        last_layers: 2,
        epochs: 3,
        batch: 5,
        learning_rate: 1e-2,
        beta: 1.0,
        from_base: true,
        ..TrainConfig::default()
    }
}

fn llama() -> Llama {
    Llama::new(&Checkpoint::random(toy(), 3)).expect("a model")
}

fn fresh(config: &TrainConfig) -> Lora {
    Lora::new(&toy(), &config.shape(), &[1; 32]).expect("fits")
}

fn trainer<'a>(llama: &'a Llama, replicas: Replicas, config: &TrainConfig) -> Trainer<'a> {
    let go_on = |_| ControlFlow::Continue(());
    Trainer::new(llama, replicas, fresh(config), config.clone(), &examples(), go_on).expect("a training")
}

fn bits(lora: &Lora) -> Vec<u32> {
    lora.delta().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_loss_falls_and_its_gradient_is_the_slope() {
    let llama = llama();
    for kind in 0..3 {
        let examples: Vec<Prepared> = examples()
            .iter()
            .skip(kind)
            .step_by(3)
            .map(|example| Prepared::new(&llama, 1, example).expect("a text"))
            .collect();
        let pack: Vec<&Prepared> = examples.iter().collect();
        let mut lora = fresh(&config());
        let delta: Vec<f32> = (0..lora.len()).map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 0.3).collect();
        let loss = |lora: &mut Lora, delta: &[f32], gradient: &mut [f32]| {
            lora.set(delta).expect("as long");
            loss::accumulate(&llama, lora, &pack, PREFERENCE, 0.25, gradient)
        };
        let mut gradient = vec![0.0; lora.len()];
        loss(&mut lora, &delta, &mut gradient);
        let mut waste = vec![0.0; lora.len()];
        for i in (0..lora.len()).step_by(lora.len() / 20) {
            let mut at = |step: f32| {
                let mut delta = delta.clone();
                delta[i] += step;
                loss(&mut lora, &delta, &mut waste)
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!(
                (slope - f64::from(gradient[i])).abs() < 1e-2 * slope.abs().max(0.02),
                "{kind}, {i}: {} for {slope}",
                gradient[i]
            );
        }
    }
}

#[test]
fn a_fresh_adapter_neither_gains_nor_loses_on_the_base_model() {
    let llama = llama();
    for example in examples().iter().skip(2).step_by(3) {
        let prepared = Prepared::new(&llama, 1, example).expect("a text");
        let lora = fresh(&config());
        let preference = loss::Preference { beta: 5.0, from_base: true };
        let loss = loss::accumulate(&llama, &lora, &[&prepared], preference, 1.0, &mut vec![0.0; lora.len()]);
        assert!((loss - std::f64::consts::LN_2).abs() < 1e-5, "{loss}");
    }
}

#[test]
fn training_lowers_the_loss() {
    let (llama, replicas) = (llama(), Replicas::new(2));
    let config = TrainConfig { epochs: 30, batch: 12, learning_rate: 3e-2, ..config() };
    let mut losses = Vec::new();

    let end = trainer(&llama, replicas, &config).run(|progress| {
        if let Progress::Step { loss, .. } = progress {
            losses.push(loss);
        }
        ControlFlow::Continue(())
    });

    assert_eq!(end, Ok(()));
    assert_eq!(losses.len(), 30);
    assert!(losses[29] < 0.6 * losses[0], "{losses:?}");
}

#[test]
fn the_number_of_threads_does_not_change_a_bit_and_the_number_of_shards_hardly_anything() {
    let llama = llama();
    let train = |threads, shards| {
        let replicas = Replicas::new(threads);
        let mut trainer = trainer(&llama, replicas, &TrainConfig { shards, ..config() });
        trainer.run(|_| ControlFlow::Continue(())).expect("trains");
        trainer.into_lora()
    };
    let one = train(1, 2);
    assert_eq!(bits(&one), bits(&train(2, 2)));
    assert_eq!(bits(&one), bits(&train(3, 2)));
    let worst = one.delta().iter().zip(train(2, 3).delta()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn a_killed_training_goes_on_where_it_was() {
    let (llama, replicas) = (llama(), Replicas::new(2));
    let mut unbroken = trainer(&llama, replicas, &config());
    unbroken.run(|_| ControlFlow::Continue(())).expect("trains");
    for stop in [1, 4, 8] {
        let mut killed = trainer(&llama, replicas, &config());
        let stopper = |progress| match progress {
            Progress::Step { step, .. } if step == stop => ControlFlow::Break(()),
            Progress::Step { .. } | Progress::Preparing { .. } => ControlFlow::Continue(()),
        };
        assert_eq!(killed.run(stopper), Ok(()));
        assert!(!killed.is_finished());
        let file = killed.state().to_bytes();
        drop(killed);

        let mut resumed = trainer(&llama, replicas, &config());
        let state = State::from_bytes(&file).expect("a state");
        resumed.resume(&state).expect("the same training");
        assert_eq!(resumed.step(), stop);
        resumed.run(|_| ControlFlow::Continue(())).expect("trains");

        assert_eq!(bits(resumed.lora()), bits(unbroken.lora()));
    }
}

#[test]
fn a_state_of_another_training_or_a_damaged_one_is_refused() {
    let (llama, replicas) = (llama(), Replicas::new(1));
    let state = trainer(&llama, replicas, &config()).state();
    let others = [
        TrainConfig { seed: 9, ..config() },
        TrainConfig { rank: 3, ..config() },
        TrainConfig { learning_rate: 1.0, ..config() },
    ];
    for other in others {
        assert_eq!(trainer(&llama, replicas, &other).resume(&state), Err(StateError::Other));
    }
    let other = Llama::new(&Checkpoint::random(toy(), 4)).expect("a model");
    assert_eq!(trainer(&other, replicas, &config()).resume(&state), Err(StateError::Other));

    let bytes = state.to_bytes();
    for length in [0, 7, 40, bytes.len() - 1] {
        assert_eq!(State::from_bytes(&bytes[..length]).err(), Some(StateError::Damaged), "{length} bytes");
    }
    assert!(!format!("{state:?}").contains('['));
}

#[test]
fn trainings_that_cannot_be_are_refused() {
    let (llama, replicas) = (llama(), Replicas::new(1));
    let refused = |config: TrainConfig, examples: &[Example]| {
        let go_on = |_| ControlFlow::Continue(());
        Trainer::new(&llama, replicas, fresh(&self::config()), config, examples, go_on).err()
    };
    assert_eq!(refused(config(), &[]), Some(TrainError::Nothing));
    assert_eq!(refused(TrainConfig { batch: 0, ..config() }, &examples()), Some(TrainError::Config));
    assert_eq!(refused(TrainConfig { learning_rate: f64::NAN, ..config() }, &examples()), Some(TrainError::Config));
    let wrong = |example| Some(TrainError::Example { place: 0, source: example });
    let answer =
        |prompt: &[u32], answer: &[u32]| [Example::Answer { prompt: prompt.to_vec(), answer: answer.to_vec() }];
    assert_eq!(refused(config(), &answer(&[], &[1])), wrong(TextError::Empty));
    assert_eq!(refused(config(), &answer(&[1], &[])), wrong(TextError::Empty));
    assert_eq!(refused(config(), &answer(&[1], &[96])), wrong(TextError::Token { token: 96, vocabulary: 96 }));
    let stop = Trainer::new(&llama, replicas, fresh(&config()), config(), &examples(), |_| ControlFlow::Break(()));
    assert_eq!(stop.err(), Some(TrainError::Stopped));
    let many = vec![Example::Answer { prompt: vec![1; 100], answer: vec![1; 20] }; 1_100];
    assert_eq!(refused(config(), &many), Some(TrainError::TooMany { found: 132_000, bound: MAX_TOKENS }));
}

#[test]
fn a_step_too_large_is_told_and_not_taken() {
    let (llama, replicas) = (llama(), Replicas::new(1));
    let mut trainer = trainer(&llama, replicas, &TrainConfig { learning_rate: 1e39, ..config() });
    assert_eq!(trainer.run(|_| ControlFlow::Continue(())), Err(TrainError::Diverged { step: 1 }));
    assert!(trainer.lora().delta().iter().all(|value| *value == 0.0));
}
