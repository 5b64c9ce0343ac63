//! What an adapter does to a model: verdicts on statements and their negations, likelihood of texts, distance to a teacher.

use std::slice;

use super::{
    llama::{Llama, TextError},
    lora::Lora,
    ops::{Rows, dot, head},
    train::{Replicas, direction},
};

/// A statement that should be preferred to its negation, as prompts that ask for a verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pair {
    /// The statement that the community backs.
    pub chosen: Vec<u32>,
    /// Its negation.
    pub rejected: Vec<u32>,
    /// The token of the verdict "yes".
    pub yes: u32,
    /// The token of the verdict "no".
    pub no: u32,
    /// Whether it is the chosen statement that says "not".
    pub negated: bool,
}

/// How often the better statement got the better verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accuracy {
    /// Pairs in which it did; a tie counts half.
    pub right: f64,
    /// All pairs.
    pub of: usize,
    /// The sum of the differences of the two verdicts.
    pub margin: f64,
}

impl Accuracy {
    /// Returns the share of pairs that are right; a half of none.
    pub fn share(&self) -> f64 {
        if self.of == 0 { 0.5 } else { self.right / self.of as f64 }
    }

    /// Returns the mean difference of the two verdicts.
    pub fn mean_margin(&self) -> f64 {
        self.margin / self.of.max(1) as f64
    }

    fn count(&mut self, margin: f64) {
        self.of += 1;
        self.margin += margin;
        self.right += if margin > 0.0 { 1.0 } else { f64::from(u8::from(margin == 0.0)) / 2.0 };
    }
}

/// The preference for statements over their negations, in two halves: a mere liking or dislike of the word "not" raises one
/// and lowers the other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Preference {
    /// Pairs whose better statement says what should be.
    pub should: Accuracy,
    /// Pairs whose better statement says what should not be.
    pub should_not: Accuracy,
}

impl Preference {
    /// Returns the share of all pairs that are right.
    pub fn share(&self) -> f64 {
        let (a, b) = (&self.should, &self.should_not);
        Accuracy { right: a.right + b.right, of: a.of + b.of, margin: a.margin + b.margin }.share()
    }
}

/// The mean over tokens of some number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// The sum.
    pub sum: f64,
    /// Tokens.
    pub tokens: usize,
}

impl Mean {
    /// Returns the mean; zero of nothing.
    pub fn value(&self) -> f64 {
        self.sum / self.tokens.max(1) as f64
    }

    fn of(parts: Vec<Result<Vec<f32>, TextError>>) -> Result<Self, TextError> {
        let mut mean = Self::default();
        for part in parts {
            let part = part?;
            mean.sum += part.iter().map(|value| f64::from(*value)).sum::<f64>();
            mean.tokens += part.len();
        }
        Ok(mean)
    }
}

/// Evaluates a model, with an adapter or without.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    /// The model.
    pub llama: &'a Llama,
    /// The adapter, if there is one.
    pub lora: Option<&'a Lora>,
    /// The threads to compute on.
    pub replicas: Replicas,
}

impl Evaluation<'_> {
    /// Returns the preference for statements over their negations.
    ///
    /// # Errors
    ///
    /// Returns a [`TextError`] if a text is none for this model.
    pub fn preference(&self, pairs: &[Pair]) -> Result<Preference, TextError> {
        let margins = self.replicas.map(pairs, |pair| {
            self.llama.check(&[pair.yes, pair.no])?;
            let direction = direction(self.llama, pair.yes, pair.no);
            let verdict = |tokens: &[u32]| {
                let last = self.outputs(tokens, tokens.len().saturating_sub(1))?;
                Ok(f64::from(dot(&direction, last.row(0))))
            };
            Ok(verdict(&pair.chosen)? - verdict(&pair.rejected)?)
        });
        let mut preference = Preference::default();
        for (pair, margin) in pairs.iter().zip(margins) {
            let half = if pair.negated { &mut preference.should_not } else { &mut preference.should };
            half.count(margin?);
        }
        Ok(preference)
    }

    /// Returns −ln p of the answers' tokens after their prompts, whose exponential is the perplexity.
    ///
    /// # Errors
    ///
    /// As [`preference`](Self::preference); also for an empty prompt or answer.
    pub fn surprise(&self, texts: &[(Vec<u32>, Vec<u32>)]) -> Result<Mean, TextError> {
        Mean::of(self.replicas.map(texts, |(prompt, answer)| {
            self.llama.check(answer)?;
            let hidden = self.after(prompt, answer, self.lora)?;
            Ok(head::cross_entropy(&hidden, self.llama.head(), answer, None).values)
        }))
    }

    /// Returns KL(base model told ‖ this model not told) over the tokens of answers; each is what is told, what is not, and the
    /// answer. One minus its ratio to that of the base model is the share of the gap that an adapter closes.
    ///
    /// # Errors
    ///
    /// As [`surprise`](Self::surprise).
    pub fn gap(&self, texts: &[(Vec<u32>, Vec<u32>, Vec<u32>)]) -> Result<Mean, TextError> {
        Mean::of(self.replicas.map(texts, |(told, untold, answer)| {
            let (teacher, student) = (self.after(told, answer, None)?, self.after(untold, answer, self.lora)?);
            Ok(head::divergence(&teacher, &student, self.llama.head(), None).values)
        }))
    }

    /// Returns the last hidden states before each token of an answer.
    fn after(&self, prompt: &[u32], answer: &[u32], lora: Option<&Lora>) -> Result<Rows, TextError> {
        let (Some((_, shown)), false) = (answer.split_last(), prompt.is_empty()) else { return Err(TextError::Empty) };
        Evaluation { lora, ..*self }.outputs(&[prompt, shown].concat(), prompt.len() - 1)
    }

    /// Returns the last hidden states of a text, from a token on.
    fn outputs(&self, tokens: &[u32], from: usize) -> Result<Rows, TextError> {
        let hidden = self.llama.prefix(tokens, 0)?;
        let chosen: Vec<usize> = (from..tokens.len()).collect();
        Ok(self.llama.outputs(hidden, slice::from_ref(&(0..tokens.len())), 0, self.lora, &chosen))
    }
}

#[cfg(test)]
mod tests;
