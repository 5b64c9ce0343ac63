//! The questions that are asked, and what helps to answer them.

use super::Step;

/// Returns the question of a step, about a case if there is one.
pub(super) fn question(step: Step, case: &str) -> String {
    let fixed = match step {
        Step::Case if case.is_empty() => "What matters to you in how an AI treats people? What should it do?",
        Step::Case => return format!("{case}\nWhat should an AI do here, and why would that be good?"),
        Step::Story => {
            "When have you, or somebody whom you admire, been in such a situation and done well by somebody? What happened?"
        }
        Step::Attention => "What did you, or they, pay attention to, to find out what was right?",
        Step::Policies => "Which of these things would you want an AI to pay attention to? One on each line.",
        Step::Title => "What would you call this way of living or of treating somebody, in a few words?",
        Step::Instruction => "In one or two sentences: what does an AI do that holds this value?",
        Step::Review => "Is this what you mean? Accept the card, change it, or go back.",
    };
    fixed.to_owned()
}

/// Returns what helps to answer the question of a step.
pub(super) const fn hint(step: Step) -> &'static str {
    match step {
        Step::Case => "Say what you hope for, not what you want to forbid. There is no right answer.",
        Step::Story => "A small moment is enough: a teacher, a friend, a stranger.",
        Step::Attention => {
            "What one can notice while acting, not goals or rules: \"the moment when she stopped joking\", rather than \"to be \
             kind\". One on each line."
        }
        Step::Policies => {
            "Each begins with what one notices, as in \"MOMENTS where somebody hesitates\" or \"CHANGES in how free they sound\". \
             Leave out what you would do only for the sake of something else on the list."
        }
        Step::Title => "As in \"Honest help\" or \"Room to grow\".",
        Step::Instruction => "As in \"Help people see the choices that they have, so that what they do is their own\".",
        Step::Review => "Of all that you said, the card alone is proposed, and only when you say so.",
    }
}
