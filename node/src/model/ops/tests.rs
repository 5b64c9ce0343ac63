//! Every backward against two judges: difference quotients, and candle's own differentiation of the same formula written
//! with its stock operations.

use candle_core::{D, Device, IndexOp as _, Tensor, Var};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{
    Rows, Weight,
    attention::{self, Heads},
    head,
    linear::{Linear, LowRank},
    norm::Norm,
    rope::Rope,
    swiglu,
};
use crate::model::checkpoint::{Config, tests::toy};

/// Returns values that look like a normal distribution's.
pub(crate) fn draw(seed: u64, rows: usize, columns: usize) -> Rows {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut uniform = || rng.next_u32() as f32 / u32::MAX as f32 - 0.5;
    let values = (0..rows * columns).map(|_| 2.0 * (uniform() + uniform() + uniform()));
    Rows::new(columns, values.collect())
}

fn tensor(rows: &Rows) -> Tensor {
    Tensor::from_vec(rows.values().to_vec(), (rows.rows(), rows.columns()), &Device::Cpu).expect("a matrix")
}

fn variable(rows: &Rows) -> Var {
    Var::from_tensor(&tensor(rows)).expect("a variable")
}

fn assert_close(ours: &Rows, slow: &Tensor, what: &str) {
    let slow: Vec<f32> = slow.flatten_all().and_then(|it| it.to_vec1()).expect("values");
    assert_eq!(ours.values().len(), slow.len(), "{what}");
    let size = slow.iter().fold(1e-3, |max: f32, value| max.max(value.abs()));
    for (i, (a, b)) in ours.values().iter().zip(&slow).enumerate() {
        assert!((a - b).abs() <= 2e-6 * size.max(1.0), "{what}, value {i}: {a} for {b}");
    }
}

/// Returns `Σ y·g`, whose gradient by y is g.
fn pairing(y: &Rows, g: &Rows) -> f64 {
    y.values().iter().zip(g.values()).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum()
}

fn slow_pairing(y: &Tensor, g: &Rows) -> Tensor {
    (y * tensor(g)).and_then(|it| it.sum_all()).expect("a number")
}

/// Compares a gradient with difference quotients.
fn assert_slope(x: &Rows, gradient: &Rows, what: &str, f: impl Fn(&Rows) -> f64) {
    const STEP: f32 = 1.0 / 256.0;
    for i in 0..x.values().len() {
        let at = |step: f32| {
            let mut x = x.clone();
            x.values_mut()[i] += step;
            f(&x)
        };
        let (slope, ours) = ((at(STEP) - at(-STEP)) / f64::from(2.0 * STEP), f64::from(gradient.values()[i]));
        assert!((slope - ours).abs() < 2e-3 * slope.abs().max(1.0), "{what}, value {i}: {ours} for {slope}");
    }
}

#[test]
fn products_are_those_of_the_definition() {
    let (a, b) = (draw(1, 3, 5), draw(2, 5, 4));
    let expected = tensor(&a).matmul(&tensor(&b)).expect("a product");
    assert_close(&a.view().times(b.view()), &expected, "a·b");
    let transposed = |x: &Rows| {
        let values = (0..x.columns()).flat_map(|c| (0..x.rows()).map(move |r| (r, c)));
        Rows::new(x.rows(), values.map(|(r, c)| x.row(r)[c]).collect())
    };
    assert_close(&a.times_transposed(&transposed(&b)), &expected, "a·(bᵀ)ᵀ");
    assert_close(&transposed(&a).view().transposed().times(b.view()), &expected, "(aᵀ)ᵀ·b");
    let mut sum = draw(3, 3, 4);
    let expected = (tensor(&sum) + expected.affine(0.5, 0.0).expect("half")).expect("a sum");
    a.view().add_times(b.view(), 0.5, &mut sum);
    assert_close(&sum, &expected, "c + a·b/2");
}

#[test]
fn spreading_is_the_transpose_of_selecting() {
    let (x, g) = (draw(3, 6, 4), draw(4, 3, 4));
    let chosen = [4, 0, 5];
    let (selected, spread) = (x.select(&chosen), g.spread(&chosen, 6));
    assert!((pairing(&selected, &g) - pairing(&x, &spread)).abs() < 1e-6);
}

#[test]
fn the_gradient_through_a_frozen_linear_layer_is_right() {
    let (x, w, bias, g) = (draw(5, 7, 6), draw(6, 5, 6), draw(7, 1, 5), draw(8, 7, 5));
    let linear = Linear::new(Weight::new(&tensor(&w)), Some(bias.values().to_vec()));

    let mut gradient = Rows::zeros(7, 6);
    linear.backward(&g, &mut gradient);

    let slow_x = variable(&x);
    let weight = tensor(&w).t().expect("a transpose");
    let y = slow_x.matmul(&weight).and_then(|y| y.broadcast_add(&tensor(&bias))).expect("a layer");
    assert_close(&linear.forward(&x), &y, "y");
    let slow = slow_pairing(&y, &g).backward().expect("gradients");
    assert_close(&gradient, slow.get(&slow_x).expect("of x"), "of x");
    assert_slope(&x, &gradient, "of x", |x| pairing(&linear.forward(x), &g));
}

#[test]
fn the_gradients_of_a_low_rank_update_are_right() {
    let low_rank = LowRank { a: draw(9, 3, 6), b: draw(10, 5, 3), scale: 1.5 };
    let (x, g) = (draw(11, 7, 6), draw(12, 7, 5));
    let forward = |low_rank: &LowRank, x: &Rows| {
        let mut y = Rows::zeros(7, 5);
        let u = low_rank.forward(x, &mut y);
        (y, u)
    };
    let (y, u) = forward(&low_rank, &x);
    let (mut of_b, mut of_x) = (vec![0.0; 15], Rows::zeros(7, 6));

    low_rank.backward(&u, &g, &mut of_b, Some(&mut of_x));

    let of_b = Rows::new(3, of_b);
    let (slow_x, slow_b) = (variable(&x), variable(&low_rank.b));
    let slow = (|| {
        let u = slow_x.matmul(&tensor(&low_rank.a).t()?)?;
        u.matmul(&slow_b.t()?)?.affine(1.5, 0.0)
    })();
    let slow = slow.expect("an update");
    assert_close(&y, &slow, "y");
    let slow = slow_pairing(&slow, &g).backward().expect("gradients");
    assert_close(&of_x, slow.get(&slow_x).expect("of x"), "of x");
    assert_close(&of_b, slow.get(&slow_b).expect("of B"), "of B");
    assert_slope(&x, &of_x, "of x", |x| pairing(&forward(&low_rank, x).0, &g));
    let with = |b: &Rows| LowRank { b: b.clone(), ..low_rank.clone() };
    assert_slope(&low_rank.b, &of_b, "of B", |b| pairing(&forward(&with(b), &x).0, &g));
}

#[test]
fn the_gradient_through_a_norm_is_right() {
    let (x, w, g) = (draw(13, 4, 19), draw(14, 1, 19), draw(15, 4, 19));
    let norm = Norm::new(w.values().to_vec(), 1e-5);

    let gradient = norm.backward(&x, g.clone());

    let slow_x = variable(&x);
    let slow = (|| {
        let square = slow_x.sqr()?.mean_keepdim(D::Minus1)?;
        slow_x.broadcast_div(&(square + 1e-5)?.sqrt()?)?.broadcast_mul(&tensor(&w))
    })();
    let slow = slow.expect("a norm");
    assert_close(&norm.forward(&x), &slow, "y");
    let slow = slow_pairing(&slow, &g).backward().expect("gradients");
    assert_close(&gradient, slow.get(&slow_x).expect("of x"), "of x");
    assert_slope(&x, &gradient, "of x", |x| pairing(&norm.forward(x), &g));
}

#[test]
fn the_gradients_through_the_gate_are_right() {
    let (gate, up, g) = (draw(16, 4, 9), draw(17, 4, 9), draw(18, 4, 9));

    let (of_gate, of_up) = swiglu::backward(&gate, &up, g.clone());

    let (slow_gate, slow_up) = (variable(&gate), variable(&up));
    let slow = (slow_gate.silu().expect("a gate") * slow_up.as_tensor()).expect("a product");
    assert_close(&swiglu::forward(&gate, &up), &slow, "y");
    let slow = slow_pairing(&slow, &g).backward().expect("gradients");
    assert_close(&of_gate, slow.get(&slow_gate).expect("of the gate"), "of the gate");
    assert_close(&of_up, slow.get(&slow_up).expect("of up"), "of up");
    assert_slope(&gate, &of_gate, "of the gate", |gate| pairing(&swiglu::forward(gate, &up), &g));
    assert_slope(&up, &of_up, "of up", |up| pairing(&swiglu::forward(&gate, up), &g));
}

const HEADS: Heads = Heads { queries: 4, keys: 2, width: 6 };

/// One text's attention in stock operations.
fn slow_attention(config: &Config, q: &Tensor, k: &Tensor, v: &Tensor) -> candle_core::Result<Tensor> {
    let tokens = q.dim(0)?;
    let heads = |x: &Tensor, count: usize| x.reshape((tokens, count, HEADS.width))?.transpose(0, 1)?.contiguous();
    let half = HEADS.width / 2;
    let angles = (0..tokens).flat_map(|p| {
        (0..half).map(move |i| (p as f64 / config.rope_theta.powf(2.0 * i as f64 / HEADS.width as f64)) as f32)
    });
    let angles = Tensor::from_vec(angles.collect(), (tokens, half), &Device::Cpu)?;
    let (cos, sin) = (angles.cos()?, angles.sin()?);
    let turn = |x: Tensor| {
        let (a, b) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        Tensor::cat(&[first, (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?], D::Minus1)
    };
    let (q, k, v) = (turn(heads(q, HEADS.queries)?)?, turn(heads(k, HEADS.keys)?)?, heads(v, HEADS.keys)?);
    let mask: Vec<f32> =
        (0..tokens * tokens).map(|i| if i % tokens > i / tokens { f32::NEG_INFINITY } else { 0.0 }).collect();
    let mask = Tensor::from_vec(mask, (tokens, tokens), &Device::Cpu)?;
    let outputs = (0..HEADS.queries).map(|head| {
        let shared = head / (HEADS.queries / HEADS.keys);
        let scores = (q.i(head)?.matmul(&k.i(shared)?.t()?)? / (HEADS.width as f64).sqrt())?;
        let scores = (scores + &mask)?;
        let weights = scores.broadcast_sub(&scores.max_keepdim(1)?.detach())?.exp()?;
        weights.broadcast_div(&weights.sum_keepdim(1)?)?.matmul(&v.i(shared)?)
    });
    Tensor::cat(&outputs.collect::<Result<Vec<_>, _>>()?, 1)
}

#[test]
fn the_gradients_through_attention_are_right_and_texts_do_not_see_one_another() {
    let config = Config { head_dim: HEADS.width, ..toy() };
    let rope = Rope::new(&config, 16);
    let texts = [0..5, 5..6, 6..9];
    let (q, k, v, g) = (draw(19, 9, 24), draw(20, 9, 12), draw(21, 9, 12), draw(22, 9, 24));
    let forward = |q: &Rows, k: &Rows, v: &Rows| attention::forward(HEADS, &rope, &texts, q, k, v);
    let (output, tape) = forward(&q, &k, &v);

    let gradients = attention::backward(HEADS, &rope, &tape, &g);

    let variables = [variable(&q), variable(&k), variable(&v)];
    let slow = texts.iter().map(|text| {
        let [q, k, v] = variables.each_ref().map(|it| it.narrow(0, text.start, text.len()).expect("a text"));
        slow_attention(&config, &q, &k, &v).expect("attention")
    });
    let slow = Tensor::cat(&slow.collect::<Vec<_>>(), 0).expect("all texts");
    assert_close(&output, &slow, "o");
    let slow = slow_pairing(&slow, &g).backward().expect("gradients");
    for ((ours, variable), name) in gradients.iter().zip(&variables).zip(["of q", "of k", "of v"]) {
        assert_close(ours, slow.get(variable).expect("a gradient"), name);
    }
    assert_slope(&q, &gradients[0], "of q", |q| pairing(&forward(q, &k, &v).0, &g));
    assert_slope(&k, &gradients[1], "of k", |k| pairing(&forward(&q, k, &v).0, &g));
    assert_slope(&v, &gradients[2], "of v", |v| pairing(&forward(&q, &k, v).0, &g));
}

/// More rows than become logits at a time.
const MANY: usize = 70;

#[test]
fn the_cross_entropy_and_its_gradient_are_right() {
    let (hidden, w) = (draw(23, MANY, 6), draw(24, 33, 6));
    let targets: Vec<u32> = (0..MANY as u32).map(|i| i * 7 % 33).collect();
    let weights: Vec<f32> = (0..MANY).map(|i| 0.1 * i as f32).collect();
    let head = Weight::new(&tensor(&w));

    let loss = head::cross_entropy(&hidden, &head, &targets, Some(&weights));

    let slow_hidden = variable(&hidden);
    let slow = (|| {
        let logits = slow_hidden.matmul(&tensor(&w).t()?)?;
        let rows = log_softmax(&logits)?.gather(&Tensor::new(targets.as_slice(), &Device::Cpu)?.unsqueeze(1)?, 1)?;
        rows.neg()
    })();
    let slow = slow.expect("losses");
    assert_close(&Rows::new(1, loss.values), &slow, "losses");
    let gradient = loss.gradient.expect("was wanted");
    let weights = Rows::new(1, weights);
    let slow = slow_pairing(&slow, &weights).backward().expect("gradients");
    assert_close(&gradient, slow.get(&slow_hidden).expect("of the hidden states"), "of the hidden states");
    let value = |hidden: &Rows| Rows::new(1, head::cross_entropy(hidden, &head, &targets, None).values);
    assert_slope(&hidden, &gradient, "of the hidden states", |hidden| pairing(&value(hidden), &weights));
}

#[test]
fn the_divergence_and_its_gradient_are_right() {
    let (teacher, student, w) = (draw(25, MANY, 6), draw(26, MANY, 6), draw(27, 33, 6));
    let weights: Vec<f32> = (0..MANY).map(|i| 0.1 * i as f32).collect();
    let head = Weight::new(&tensor(&w));

    let loss = head::divergence(&teacher, &student, &head, Some(&weights));

    let slow_student = variable(&student);
    let slow = (|| {
        let logits = |hidden: &Tensor| log_softmax(&hidden.matmul(&tensor(&w).t()?)?);
        let (t, s) = (logits(&tensor(&teacher))?, logits(&slow_student)?);
        (t.exp()? * (t - s)?)?.sum_keepdim(1)
    })();
    let slow = slow.expect("divergences");
    assert_close(&Rows::new(1, loss.values), &slow, "divergences");
    let gradient = loss.gradient.expect("was wanted");
    let weights = Rows::new(1, weights);
    let slow = slow_pairing(&slow, &weights).backward().expect("gradients");
    assert_close(&gradient, slow.get(&slow_student).expect("of the student"), "of the student");
    let value = |student: &Rows| Rows::new(1, head::divergence(&teacher, student, &head, None).values);
    assert_slope(&student, &gradient, "of the student", |student| pairing(&value(student), &weights));
    let itself = head::divergence(&teacher, &teacher, &head, None).values;
    assert!(itself.iter().all(|value| value.abs() < 1e-6));
}

fn log_softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(1)?.log()?)
}
