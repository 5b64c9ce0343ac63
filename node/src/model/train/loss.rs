//! The losses of examples, and their gradients.

use std::{ops::Range, slice};

use super::Example;
use crate::model::{
    llama::{Llama, TextError},
    lora::Lora,
    ops::{Rows, dot, head},
};

/// How many tokens go through the model at a time: enough for fast products, few enough for memory.
const PACK: usize = 512;

/// An example with all that does not change while it is trained on.
pub(crate) struct Prepared {
    texts: Vec<Text>,
    target: Target,
}

/// A text as far as the first adapted layer.
#[derive(Clone)]
struct Text {
    hidden: Rows,
    /// The tokens after which something is asked.
    chosen: Range<usize>,
}

enum Target {
    /// The next tokens.
    Tokens(Vec<u32>),
    /// The teacher's last hidden states.
    Teacher(Rows),
    /// What a verdict is read off with, and how much the base model prefers the chosen text.
    Verdict { direction: Vec<f32>, reference: f32 },
}

impl Example {
    /// Returns the number of tokens of all its texts.
    pub(super) fn tokens(&self) -> usize {
        match self {
            Self::Answer { prompt, answer } => prompt.len() + answer.len(),
            Self::Distillation { told, untold, answer } => told.len() + untold.len() + 2 * answer.len(),
            Self::Verdict { chosen, rejected, .. } => chosen.len() + rejected.len(),
        }
    }
}

impl Prepared {
    /// Prepares an example.
    pub(crate) fn new(llama: &Llama, first: usize, example: &Example) -> Result<Self, TextError> {
        let (texts, target) = match example {
            Example::Answer { prompt, answer } => {
                llama.check(answer)?;
                (vec![Text::answer(llama, first, prompt, answer)?], Target::Tokens(answer.clone()))
            }
            Example::Distillation { told, untold, answer } => {
                let teacher = Text::answer(llama, 0, told, answer)?;
                let teacher = teacher.outputs(llama, 0, None);
                (vec![Text::answer(llama, first, untold, answer)?], Target::Teacher(teacher))
            }
            Example::Verdict { chosen, rejected, yes, no } => {
                llama.check(&[*yes, *no])?;
                let direction = direction(llama, *yes, *no);
                let text = |tokens: &[u32]| {
                    let hidden = llama.prefix(tokens, first)?;
                    Ok(Text { hidden, chosen: tokens.len() - 1..tokens.len() })
                };
                let texts = vec![text(chosen)?, text(rejected)?];
                let verdict = |text: &Text| dot(&direction, text.outputs(llama, first, None).row(0));
                let reference = verdict(&texts[0]) - verdict(&texts[1]);
                (texts, Target::Verdict { direction, reference })
            }
        };
        Ok(Self { texts, target })
    }

    /// Returns the verdict with the two texts exchanged; `None` if it is none.
    pub(super) fn opposite(&self) -> Option<Self> {
        let Target::Verdict { direction, reference } = &self.target else { return None };
        let texts = self.texts.iter().rev().cloned().collect();
        Some(Self { texts, target: Target::Verdict { direction: direction.clone(), reference: -reference } })
    }

    /// Returns by how much the verdict on the chosen text is better; `None` if nothing is to be judged.
    pub(super) fn margin(&self, llama: &Llama, lora: &Lora) -> Option<f32> {
        let (Target::Verdict { direction, .. }, [chosen, rejected]) = (&self.target, self.texts.as_slice()) else {
            return None;
        };
        let verdict = |text: &Text| dot(direction, text.outputs(llama, lora.first_layer(), Some(lora)).row(0));
        Some(verdict(chosen) - verdict(rejected))
    }

    /// Returns the number of tokens that go through the model.
    pub(super) fn tokens(&self) -> usize {
        self.texts.iter().map(|text| text.hidden.rows()).sum()
    }

    fn rows(&self) -> usize {
        self.texts.iter().map(|text| text.chosen.len()).sum()
    }
}

impl Text {
    /// A prompt and all of its answer but the last token, after which nothing is asked.
    fn answer(llama: &Llama, first: usize, prompt: &[u32], answer: &[u32]) -> Result<Self, TextError> {
        let (Some((_, shown)), false) = (answer.split_last(), prompt.is_empty()) else { return Err(TextError::Empty) };
        let tokens = [prompt, shown].concat();
        Ok(Self { hidden: llama.prefix(&tokens, first)?, chosen: prompt.len() - 1..tokens.len() })
    }

    fn outputs(&self, llama: &Llama, first: usize, lora: Option<&Lora>) -> Rows {
        let chosen: Vec<usize> = self.chosen.clone().collect();
        llama.outputs(self.hidden.clone(), slice::from_ref(&(0..self.hidden.rows())), first, lora, &chosen)
    }
}

/// Returns what the inner product with is logit(yes) − logit(no): two rows of the output matrix, instead of all of it.
pub(crate) fn direction(llama: &Llama, yes: u32, no: u32) -> Vec<f32> {
    let rows = llama.head().select([yes as usize, no as usize]);
    rows.row(0).iter().zip(rows.row(1)).map(|(yes, no)| yes - no).collect()
}

/// How preferences are learnt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preference {
    pub(super) beta: f64,
    pub(super) from_base: bool,
}

/// Returns the sum of the examples' losses, times a weight, and adds its gradient by all B.
pub(super) fn accumulate(
    llama: &Llama,
    lora: &Lora,
    examples: &[&Prepared],
    preference: Preference,
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let mut loss = 0.0;
    let mut rest = examples;
    while !rest.is_empty() {
        let mut tokens = 0;
        let fits = |example: &&&Prepared| {
            tokens += example.tokens();
            tokens <= PACK
        };
        let (pack, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        rest = later;
        let (hidden, texts, chosen) = join(pack);
        let (results, tape) = llama.forward(hidden, &texts, lora.first_layer(), Some(lora), &chosen);
        let (of_pack, of_results) = judge(llama, pack, &results, preference, weight);
        loss += of_pack;
        llama.backward(tape, lora, of_results, gradient);
    }
    loss
}

/// Puts the texts of examples one after another: hidden states, the tokens of each text, and all chosen rows.
fn join(pack: &[&Prepared]) -> (Rows, Vec<Range<usize>>, Vec<usize>) {
    let (mut values, mut texts, mut chosen) = (Vec::new(), Vec::<Range<usize>>::new(), Vec::new());
    let mut columns = 1;
    for text in pack.iter().flat_map(|example| &example.texts) {
        let start = texts.last().map_or(0, |text| text.end);
        columns = text.hidden.columns();
        values.extend_from_slice(text.hidden.values());
        texts.push(start..start + text.hidden.rows());
        chosen.extend(text.chosen.clone().map(|row| start + row));
    }
    (Rows::new(columns, values), texts, chosen)
}

/// Rows of several examples that have one kind of loss over the vocabulary.
struct Group {
    rows: Vec<usize>,
    weights: Vec<f32>,
}

impl Group {
    const fn new() -> Self {
        Self { rows: Vec::new(), weights: Vec::new() }
    }

    /// Adds an example's rows: its loss is their mean.
    fn push(&mut self, rows: Range<usize>, weight: f64) {
        let each = (weight / rows.len() as f64) as f32;
        self.weights.extend(rows.clone().map(|_| each));
        self.rows.extend(rows);
    }

    /// Adds what was found to the whole, and returns the loss.
    fn settle(&self, found: head::Loss, of_results: &mut Rows) -> f64 {
        let gradient = found.gradient.expect("was asked for");
        for (from, to) in self.rows.iter().enumerate() {
            of_results.row_mut(*to).copy_from_slice(gradient.row(from));
        }
        found.values.iter().zip(&self.weights).map(|(loss, weight)| f64::from(*loss) * f64::from(*weight)).sum()
    }
}

/// Returns the weighted losses of examples whose last hidden states these are, and the gradient of the hidden states.
fn judge(llama: &Llama, pack: &[&Prepared], results: &Rows, preference: Preference, weight: f64) -> (f64, Rows) {
    let Preference { beta, from_base } = preference;
    let mut of_results = Rows::zeros(results.rows(), results.columns());
    let (mut answers, mut distilled) = (Group::new(), Group::new());
    let (mut targets, mut teachers) = (Vec::new(), Vec::new());
    let (mut loss, mut start) = (0.0, 0);
    for example in pack {
        let rows = start..start + example.rows();
        start = rows.end;
        match &example.target {
            Target::Tokens(tokens) => {
                answers.push(rows, weight);
                targets.extend_from_slice(tokens);
            }
            Target::Teacher(teacher) => {
                distilled.push(rows, weight);
                teachers.extend_from_slice(teacher.values());
            }
            Target::Verdict { direction, reference } => {
                let (chosen, rejected) = (rows.start, rows.start + 1);
                let verdict = dot(direction, results.row(chosen)) - dot(direction, results.row(rejected));
                let reference = if from_base { *reference } else { 0.0 };
                let margin = beta * f64::from(verdict - reference);
                // −ln σ(m) = ln(1 + e⁻ᵐ), without overflow; its derivative is −σ(−m).
                loss += weight * ((-margin).max(0.0) + (-margin.abs()).exp().ln_1p());
                let slope = (-weight * beta / (1.0 + margin.exp())) as f32;
                for (row, sign) in [(chosen, slope), (rejected, -slope)] {
                    of_results.row_mut(row).iter_mut().zip(direction).for_each(|(of, value)| *of = sign * value);
                }
            }
        }
    }
    if !targets.is_empty() {
        let hidden = results.select(&answers.rows);
        let found = head::cross_entropy(&hidden, llama.head(), &targets, Some(&answers.weights));
        loss += answers.settle(found, &mut of_results);
    }
    if !teachers.is_empty() {
        let (student, teacher) = (results.select(&distilled.rows), Rows::new(results.columns(), teachers));
        let found = head::divergence(&teacher, &student, llama.head(), Some(&distilled.weights));
        loss += distilled.settle(found, &mut of_results);
    }
    (loss, of_results)
}
