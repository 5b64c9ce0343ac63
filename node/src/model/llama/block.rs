//! One layer: attention, then the gated feed-forward part, each added to the hidden state that it takes normed.

use std::ops::Range;

use crate::model::{
    checkpoint::Config,
    lora::{Lora, Projection},
    ops::{
        Rows,
        attention::{self, Heads},
        linear::Linear,
        norm::Norm,
        rope::Rope,
        swiglu,
    },
};

/// One layer.
#[derive(Clone, Debug)]
pub(super) struct Block {
    layer: usize,
    heads: Heads,
    norms: [Norm; 2],
    /// In the order of [`Projection::ALL`].
    linears: Vec<Linear>,
}

/// What the backward needs.
#[derive(Debug)]
pub(super) struct Tape {
    /// The hidden state.
    x: Rows,
    attention: attention::Tape,
    /// Which rows went on after attention, if not all.
    chosen: Option<Vec<usize>>,
    /// The hidden state after attention.
    middle: Rows,
    gate: Rows,
    up: Rows,
    /// Of each adapted projection, its input in the coordinates of A.
    inner: [Option<Rows>; Projection::ALL.len()],
}

impl Block {
    /// Returns the layer.
    pub(super) const fn new(layer: usize, config: &Config, norms: [Norm; 2], linears: Vec<Linear>) -> Self {
        let heads =
            Heads { queries: config.num_attention_heads, keys: config.num_key_value_heads, width: config.head_dim };
        Self { layer, heads, norms, linears }
    }

    /// Returns which layer it is.
    pub(super) const fn layer(&self) -> usize {
        self.layer
    }

    /// Takes the hidden states to the next ones, of the chosen rows or of all.
    pub(super) fn forward(
        &self,
        rope: &Rope,
        x: Rows,
        texts: &[Range<usize>],
        lora: Option<&Lora>,
        chosen: Option<&[usize]>,
    ) -> (Rows, Tape) {
        let mut inner: [Option<Rows>; Projection::ALL.len()] = Default::default();
        let mut project = |projection: Projection, x: &Rows| {
            let mut y = self.linears[projection as usize].forward(x);
            if let Some(low_rank) = lora.and_then(|lora| lora.low_rank(self.layer, projection)) {
                inner[projection as usize] = Some(low_rank.forward(x, &mut y));
            }
            y
        };
        let normed = self.norms[0].forward(&x);
        let [q, k, v] = [Projection::Q, Projection::K, Projection::V].map(|projection| project(projection, &normed));
        let (mut attended, attention) = attention::forward(self.heads, rope, texts, &q, &k, &v);
        if let Some(chosen) = chosen {
            attended = attended.select(chosen);
        }
        let mut middle = project(Projection::O, &attended);
        match chosen {
            Some(chosen) => middle.add(&x.select(chosen)),
            None => middle.add(&x),
        }
        let normed = self.norms[1].forward(&middle);
        let [gate, up] = [Projection::Gate, Projection::Up].map(|projection| project(projection, &normed));
        let mut next = project(Projection::Down, &swiglu::forward(&gate, &up));
        next.add(&middle);
        (next, Tape { x, attention, chosen: chosen.map(<[usize]>::to_vec), middle, gate, up, inner })
    }

    /// Takes the gradient of the next hidden states to that of the hidden states, if it is wanted, and adds those of all B.
    pub(super) fn backward(
        &self,
        rope: &Rope,
        tape: Tape,
        lora: &Lora,
        of_next: Rows,
        wanted: bool,
        gradient: &mut [f32],
    ) -> Option<Rows> {
        let adapted = |projection: &Projection| lora.low_rank(self.layer, *projection).is_some();
        let attention_adapted = [Projection::Q, Projection::K, Projection::V, Projection::O].iter().any(adapted);
        let mut back = |projection: Projection, of_y: &Rows, mut of_x: Option<&mut Rows>| {
            if let Some(of_x) = &mut of_x {
                self.linears[projection as usize].backward(of_y, of_x);
            }
            if let Some(u) = &tape.inner[projection as usize] {
                lora.backward(self.layer, projection, u, of_y, gradient, of_x);
            }
        };
        let zeros = |like: &Rows, wanted: bool| wanted.then(|| Rows::zeros(like.rows(), like.columns()));

        let through = wanted || attention_adapted;
        let mut of_product = zeros(&tape.up, through || adapted(&Projection::Gate) || adapted(&Projection::Up));
        back(Projection::Down, &of_next, of_product.as_mut());
        let (of_gate, of_up) = swiglu::backward(&tape.gate, &tape.up, of_product?);
        let mut of_normed = zeros(&tape.middle, through);
        back(Projection::Gate, &of_gate, of_normed.as_mut());
        back(Projection::Up, &of_up, of_normed.as_mut());
        let mut of_middle = self.norms[1].backward(&tape.middle, of_normed?);
        of_middle.add(&of_next);

        let mut of_attended = Rows::zeros(of_middle.rows(), self.heads.queries * self.heads.width);
        back(Projection::O, &of_middle, Some(&mut of_attended));
        let rows = tape.x.rows();
        let (of_attended, of_residual) = match &tape.chosen {
            Some(chosen) => (of_attended.spread(chosen, rows), of_middle.spread(chosen, rows)),
            None => (of_attended, of_middle),
        };
        let of_heads = attention::backward(self.heads, rope, &tape.attention, &of_attended);
        let mut of_normed = zeros(&tape.x, wanted);
        for (projection, of_y) in [Projection::Q, Projection::K, Projection::V].into_iter().zip(&of_heads) {
            back(projection, of_y, of_normed.as_mut());
        }
        let mut of_x = self.norms[0].backward(&tape.x, of_normed?);
        of_x.add(&of_residual);
        Some(of_x)
    }
}
