// What the community is asked.

export const STATEMENTS = [
  "The AI should say when it is not sure.",
  "The AI should never pretend to be a person.",
  "The AI should refuse to help with violence, whoever asks.",
  "The AI should explain its reasons in plain words.",
  "The AI should ask back before it gives advice on health.",
  "The AI should keep what I tell it to itself.",
  "The AI should tell both sides of a political question.",
  "The AI should be funny when that does no harm.",
  "The AI should prefer short answers.",
  "The AI should correct me when I am wrong.",
  "The AI should follow the law of the land, even where I disagree.",
  "The AI should teach rather than do my homework.",
  "The AI should treat animals’ suffering as something that matters.",
  "The AI should point to a human when somebody is in despair.",
  "The AI should not flatter.",
  "The AI should name its sources.",
  "The AI should respect every religion and none.",
  "The AI should work for my interests before those of its maker.",
  "The AI should speak my language, with my words.",
];

/** A statement that cites a prompt: the twentieth. */
export const CITING = {
  text: "The AI should ask what I have tried before it answers.",
  prompt: "My sourdough bread is flat. What now?",
  failure: "It names one cause as if it were sure, and asks nothing.",
};

export const SPAM = "Buy my pills";

/** Cards of values as operators write them; two of them mean the same. */
export const CARDS = [
  "Cheering up: Make people smile again soon | SIGHS that come twice | JOKES that land",
  "Quick help: Get people what they asked for at once | HURRY in how somebody writes",
  "Room to speak: Let people find their own words first | PAUSES before an answer | WORDS that somebody takes back",
  "Room for speaking: Let people find their own words first | PAUSES before answers | WORDS that somebody takes back",
  "Honest company: Stay with what is hard, and say what one does not know | MOMENTS when comfort would be a lie",
];

export const MOVES = [
  "Cheering up -> Room to speak: At first they cheered people up at once. Now they wait until somebody has spoken.",
  "Quick help -> Room to speak: At first they answered before the question was out. Now they let people come to it.",
  "Room to speak -> Honest company: At first they only listened. Now they also say what they themselves do not know.",
  "Cheering up -> Honest company: At first they told people that all would be well. Now they stay when it will not.",
];
