use std::ops::ControlFlow;

use super::*;
use crate::model::{
    checkpoint::{Checkpoint, tests::toy},
    train::{Example, TrainConfig, Trainer},
};

fn pairs() -> Vec<Pair> {
    let text = |seed: u32| (0..6).map(|i| (seed * 13 + i * 5) % 90).collect::<Vec<u32>>();
    (0..12).map(|i| Pair { chosen: text(i), rejected: text(i + 50), yes: 91, no: 92, negated: i % 3 == 0 }).collect()
}

fn swapped(pairs: &[Pair]) -> Vec<Pair> {
    let swap = |pair: &Pair| Pair { chosen: pair.rejected.clone(), rejected: pair.chosen.clone(), ..pair.clone() };
    pairs.iter().map(swap).collect()
}

#[test]
fn a_preference_counts_both_halves_and_turns_with_the_pairs() {
    let llama = Llama::new(&Checkpoint::random(toy(), 3)).expect("a model");
    let replicas = Replicas::new(2);
    let base = Evaluation { llama: &llama, lora: None, replicas };

    let (forth, back) =
        (base.preference(&pairs()).expect("texts"), base.preference(&swapped(&pairs())).expect("texts"));

    assert_eq!((forth.should.of, forth.should_not.of), (8, 4));
    assert_eq!(forth.should.right + back.should.right, 8.0);
    assert!((forth.should_not.margin + back.should_not.margin).abs() < 1e-6);
    assert!((forth.share() + back.share() - 1.0).abs() < 1e-12);
    let logits = llama.logits(&pairs()[0].chosen, None).expect("a text");
    let margin = |logits: &Rows| f64::from(logits.row(5)[91] - logits.row(5)[92]);
    let first = margin(&logits) - margin(&llama.logits(&pairs()[0].rejected, None).expect("a text"));
    assert!((base.preference(&pairs()[..1]).expect("texts").should_not.margin - first).abs() < 1e-4);
}

#[test]
fn what_was_trained_is_what_is_measured() {
    let llama = Llama::new(&Checkpoint::random(toy(), 3)).expect("a model");
    let replicas = Replicas::new(2);
    let config = TrainConfig { last_layers: 2, epochs: 40, learning_rate: 1e-2, beta: 1.0, ..TrainConfig::default() };
    let train = |examples: &[Example]| {
        let lora = Lora::new(&toy(), &config.shape(), &[1; 32]).expect("fits");
        let go_on = |_| ControlFlow::Continue(());
        let mut trainer = Trainer::new(&llama, replicas, lora, config.clone(), examples, go_on).expect("a training");
        trainer.run(go_on).expect("trains");
        trainer.into_lora()
    };
    let base = Evaluation { llama: &llama, lora: None, replicas };
    let verdicts = pairs().into_iter().map(|Pair { chosen, rejected, yes, no, .. }| Example::Verdict {
        chosen,
        rejected,
        yes,
        no,
    });
    let text = |seed: u32, length: u32| (0..length).map(|i| (seed * 17 + i * 11) % 96).collect::<Vec<u32>>();
    let told: Vec<_> = (0..4).map(|i| (text(i, 9), text(i + 7, 3), text(i + 9, 6))).collect();
    let answers: Vec<_> = (0..4).map(|i| (text(i, 4), text(i + 5, 6))).collect();
    let distilled = told.iter().cloned().map(|(told, untold, answer)| Example::Distillation { told, untold, answer });
    let answered = answers.iter().cloned().map(|(prompt, answer)| Example::Answer { prompt, answer });

    let lora = train(&verdicts.collect::<Vec<_>>());
    let after = Evaluation { lora: Some(&lora), ..base }.preference(&pairs()).expect("texts");
    assert!(after.share() > 0.99 && base.preference(&pairs()).expect("texts").share() < 0.9, "{after:?}");

    let lora = train(&distilled.collect::<Vec<_>>());
    let gap = |evaluation: Evaluation<'_>| evaluation.gap(&told).expect("texts");
    let (before, after) = (gap(base), gap(Evaluation { lora: Some(&lora), ..base }));
    assert_eq!(before.tokens, 24);
    assert!(after.value() < 0.7 * before.value(), "{after:?} after {before:?}");

    let lora = train(&answered.collect::<Vec<_>>());
    let surprise = |evaluation: Evaluation<'_>| evaluation.surprise(&answers).expect("texts");
    let (before, after) = (surprise(base), surprise(Evaluation { lora: Some(&lora), ..base }));
    assert!(after.value() < 0.7 * before.value(), "{after:?} after {before:?}");
}

#[test]
fn a_teacher_that_is_told_nothing_more_is_no_distance_away() {
    let llama = Llama::new(&Checkpoint::random(toy(), 3)).expect("a model");
    let replicas = Replicas::new(1);
    let base = Evaluation { llama: &llama, lora: None, replicas };
    let gap = base.gap(&[(vec![1, 2], vec![1, 2], vec![3, 4])]).expect("texts");
    assert!(gap.value().abs() < 1e-6);
    assert_eq!(base.surprise(&[(vec![], vec![1])]), Err(TextError::Empty));
    assert_eq!(base.surprise(&[(vec![1], vec![])]), Err(TextError::Empty));
}
