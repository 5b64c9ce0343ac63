//! Causal attention over texts that lie one after another, with rotary positions and shared heads of keys and values.
//!
//! For each head, `o = softmax(q·kᵀ/√d)·v`, where a token sees itself and what came before it in its own text. The weights
//! (text × text numbers for each head) are computed again in the backward instead of being kept. The query heads that share
//! a head of keys lie one below the other, so that each product serves the whole group.

use std::ops::Range;

use super::{Rows, dot, math::softmax, rope::Rope};

/// The numbers and the width of heads.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Heads of keys and values.
    pub keys: usize,
    /// The width.
    pub width: usize,
}

impl Heads {
    /// Returns how many query heads share a head of keys.
    const fn group(self) -> usize {
        self.queries / self.keys
    }

    fn scale(self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// What the backward needs: for each text the queries, keys and values, turned, head by head.
#[derive(Debug)]
pub struct Tape(Vec<Text>);

#[derive(Debug)]
struct Text {
    tokens: Range<usize>,
    q: Rows,
    k: Rows,
    v: Rows,
}

/// Takes the queries, keys and values of all tokens (heads side by side) to the outputs.
pub fn forward(heads: Heads, rope: &Rope, texts: &[Range<usize>], q: &Rows, k: &Rows, v: &Rows) -> (Rows, Tape) {
    let mut output = Rows::zeros(q.rows(), q.columns());
    let gather = |x: &Rows, tokens: &Range<usize>, count: usize| gather(x, tokens, count, heads.width);
    let texts = texts.iter().map(|tokens| {
        let (mut q, mut k) = (gather(q, tokens, heads.queries), gather(k, tokens, heads.keys));
        for x in [&mut q, &mut k] {
            (0..x.rows()).for_each(|row| rope.turn(row % tokens.len(), x.row_mut(row)));
        }
        let text = Text { tokens: tokens.clone(), q, k, v: gather(v, tokens, heads.keys) };
        for head in 0..heads.keys {
            let weights = text.weights(heads, head);
            let o = weights.view().times(text.v.view_of(text.keys(head)));
            text.scatter(&o, head * heads.group(), &mut output);
        }
        text
    });
    let tape = Tape(texts.collect());
    (output, tape)
}

/// Takes the gradient of the outputs to those of the queries, keys and values.
pub fn backward(heads: Heads, rope: &Rope, tape: &Tape, gradient: &Rows) -> [Rows; 3] {
    let zeros = |count: usize| Rows::zeros(gradient.rows(), count * heads.width);
    let (mut of_q, mut of_k, mut of_v) = (zeros(heads.queries), zeros(heads.keys), zeros(heads.keys));
    for text in &tape.0 {
        let of_o = gather(gradient, &text.tokens, heads.queries, heads.width);
        for head in 0..heads.keys {
            let (queries, keys) = (text.queries(heads, head), text.keys(head));
            let weights = text.weights(heads, head);
            let of_o = of_o.view_of(queries.clone());
            let mut of_scores = of_o.times(text.v.view_of(keys.clone()).transposed());
            for row in 0..weights.rows() {
                let (p, g) = (weights.row(row), of_scores.row_mut(row));
                let mean = dot(p, g);
                g.iter_mut().zip(p).for_each(|(g, p)| *g = heads.scale() * p * (*g - mean));
            }
            let mut q = of_scores.view().times(text.k.view_of(keys));
            let mut k = of_scores.view().transposed().times(text.q.view_of(queries));
            for x in [&mut q, &mut k] {
                (0..x.rows()).for_each(|row| rope.turn_back(row % text.tokens.len(), x.row_mut(row)));
            }
            text.scatter(&q, head * heads.group(), &mut of_q);
            text.scatter(&k, head, &mut of_k);
            text.scatter(&weights.view().transposed().times(of_o), head, &mut of_v);
        }
    }
    [of_q, of_k, of_v]
}

impl Text {
    /// Returns the rows of a head of keys.
    const fn keys(&self, head: usize) -> Range<usize> {
        let tokens = self.tokens.end - self.tokens.start;
        head * tokens..(head + 1) * tokens
    }

    /// Returns the rows of the query heads that share a head of keys.
    const fn queries(&self, heads: Heads, head: usize) -> Range<usize> {
        let tokens = heads.group() * (self.tokens.end - self.tokens.start);
        head * tokens..(head + 1) * tokens
    }

    /// Returns the weights of the query heads that share a head of keys: nothing after the token itself.
    fn weights(&self, heads: Heads, head: usize) -> Rows {
        let tokens = self.tokens.len();
        let (q, k) = (self.q.view_of(self.queries(heads, head)), self.k.view_of(self.keys(head)));
        let mut weights = q.times(k.transposed());
        for row in 0..weights.rows() {
            let (seen, unseen) = weights.row_mut(row).split_at_mut(row % tokens + 1);
            seen.iter_mut().for_each(|score| *score *= heads.scale());
            softmax(seen);
            unseen.fill(0.0);
        }
        weights
    }

    /// Puts heads that lie one below the other side by side, from a first head on.
    fn scatter(&self, from: &Rows, first: usize, to: &mut Rows) {
        let (tokens, width) = (self.tokens.len(), from.columns());
        for row in 0..from.rows() {
            let (head, token) = (first + row / tokens, self.tokens.start + row % tokens);
            to.row_mut(token)[head * width..(head + 1) * width].copy_from_slice(from.row(row));
        }
    }
}

/// Puts the heads of a text, which lie side by side, one below the other.
fn gather(from: &Rows, tokens: &Range<usize>, heads: usize, width: usize) -> Rows {
    let mut values = Vec::with_capacity(tokens.len() * heads * width);
    for head in 0..heads {
        for token in tokens.clone() {
            values.extend_from_slice(&from.row(token)[head * width..(head + 1) * width]);
        }
    }
    Rows::new(width, values)
}
