// A community comes to be: members, a poll with its moderation and rules, polls on values.
import { Home } from "./nodes.mjs";
import { check, eventually, press, unasked } from "./driver.mjs";
import { inspect } from "./pages.mjs";
import { CARDS, CITING, MOVES, SPAM, STATEMENTS } from "./statements.mjs";

/** Starts an operator's node and a newcomer's, who talks with a model. */
export async function found(model) {
  const operator = await Home.create("operator");
  await operator.chorus("init");
  const rules = ["--min-contributions", "2", "--floor", "2", "--group-floor", "8", "--min-seen", "1"];
  await operator.chorus("community", "create", "--name", "Neighbourhood", "--purpose", "An AI for our street", ...rules);
  await operator.run();
  const newcomer = await Home.create("newcomer");
  await newcomer.chorus("init");
  for (const [name, value] of [["model.url", model.url], ["model.name", "baker"], ["model.provider", "outside"]]) {
    await newcomer.chorus("config", "set", name, value);
  }
  const { invite } = await operator.chorus("invite");
  await newcomer.chorus("join", invite);
  await newcomer.run();
  return { operator, newcomer };
}

/** The newcomer asks with an invite code; the operator, who attests as well, approves both. */
export async function admit(chair, guest) {
  await guest.at("/");
  await inspect(guest.page, "home-newcomer");
  await chair.at("/members");
  await chair.page.getByLabel("How many").fill("1");
  await press(chair.page, "Make codes");
  const code = await chair.page.locator(".codes code").innerText();
  await guest.at("/members");
  await guest.page.getByLabel("Invite code, if you have one").fill(code);
  await press(guest.page, "Write my request");
  const request = await guest.page.locator("#written").inputValue();
  await inspect(guest.page, "members-request");
  await chair.page.getByLabel("The request that you were handed").fill(request);
  await press(chair.page, "Attest");
  await chair.page.getByText("The person is attested.").waitFor();
  await press(chair.page, "Write my request");
  const own = await chair.page.locator("#written").inputValue();
  await chair.page.getByLabel("The request that you were handed").fill(own);
  await chair.page.getByLabel("I have met this person").check();
  await chair.page.getByLabel("Who it is, for yourself").fill("me");
  await press(chair.page, "Attest");
  await chair.page.getByText("You are a member").waitFor();
  await inspect(chair.page, "members");
  await eventually("the newcomer is a member", async () => {
    await guest.at("/members");
    return guest.page.getByText("You are a member").isVisible();
  });
}

/** Opens a poll that collects first; the newcomer's page shows it unasked. */
export async function open(chair, guest) {
  await guest.at("/");
  await chair.at("/operate");
  await chair.page.getByLabel("The question").fill("How should our AI treat people?");
  await chair.page.getByLabel("First statements, one on each line").fill([...STATEMENTS, SPAM].join("\n"));
  await inspect(chair.page, "operate-first");
  await press(chair.page, "Open the poll");
  await chair.page.getByText("The poll is open.").waitFor();
  await check("a new poll comes onto the first page by itself", () =>
    unasked(guest, "the poll", guest.page.getByRole("link", { name: "How should our AI treat people?" })));
}

/** The newcomer proposes a statement that cites a prompt which today's model answers badly. */
export async function cite(guest) {
  await guest.page.getByRole("link", { name: "How should our AI treat people?" }).click();
  await inspect(guest.page, "poll-collecting");
  await guest.page.getByRole("link", { name: "Propose a statement" }).first().click();
  await guest.page.getByLabel("Your statement").fill(CITING.text);
  await guest.page.getByText("Topic and example").click();
  await guest.page.getByLabel("Topic", { exact: true }).fill("Advice");
  await guest.page.getByLabel("A question that today’s model answers badly").fill(CITING.prompt);
  await guest.page.getByLabel("What is wrong with the answer").fill(CITING.failure);
  await inspect(guest.page, "propose");
  await press(guest.page, "Propose it");
  await guest.page.getByText("Your statement is proposed.").waitFor();
}

/** Rejects an advertisement, signed and with a reason. */
export async function moderate(chair) {
  await chair.page.getByRole("link", { name: "Moderate and rules" }).first().click();
  const pills = chair.page.locator("li", { hasText: SPAM }).last();
  await pills.getByText("Say something about it").click();
  await pills.getByLabel("Your word").selectOption("reject");
  await pills.getByLabel("Ground of a rejection").selectOption("spam");
  await pills.getByLabel("Why, for everybody to read").fill("An advertisement");
  await press(pills, "Sign and publish");
  await chair.page.getByText("The decision is on the public log.").waitFor();
}

/** Changes the rules of the poll that is open; what is in force already is refused. */
export async function changeRules(chair) {
  for (const [said, strict] of [["Your word on the rules is on the public log.", true], ["These are the rules in force.", true]]) {
    await chair.page.getByText("Change the rules").click();
    await chair.page.getByLabel("Ask only what an operator has accepted").setChecked(strict);
    await chair.page.getByLabel("Characters of a statement").fill("300");
    await chair.page.getByLabel("What is moderated and why").fill("We leave out advertising.");
    if (said.startsWith("Your")) await inspect(chair.page, "rules");
    await press(chair.page, "Sign and publish the rules");
    await chair.page.getByText(said, { exact: true }).waitFor();
    await inspect(chair.page, said.startsWith("Your") ? "moderate" : "failure");
    if (said.startsWith("Your")) await chair.page.getByText("Strict: a statement is asked only").first().waitFor();
  }
}

/** Accepts what waits, for the poll is strict now. */
export async function accept(chair) {
  await chair.page.goBack();
  const waiting = chair.page.locator("ul.statements > li", { hasText: CITING.text });
  await waiting.getByText("will not be asked").waitFor();
  await waiting.getByText("Say something about it").click();
  await waiting.getByLabel("Your word").selectOption("accept");
  await waiting.getByLabel("Why, for everybody to read").fill("It answers the question");
  await press(waiting, "Sign and publish");
  await chair.page.locator("ul.statements > li", { hasText: CITING.text }).getByText("will be asked").waitFor();
}

/** Begins to vote on a poll: for so many minutes. */
export async function begin(chair, question, minutes) {
  await chair.at("/operate");
  const poll = chair.page.locator("li.poll", { hasText: question });
  await poll.getByLabel("Voting takes").fill(String(minutes));
  await poll.getByLabel("Unit").selectOption("minutes");
  await press(poll, "Begin voting");
  await chair.page.getByText("Voting has begun.").waitFor();
  await chair.page.locator("li.poll", { hasText: question }).getByText("Voting ends by itself").waitFor();
}

/** Polls on values and on changes between them, from lines; two cards that mean the same become one. */
export async function openValues(chair) {
  const polls = [
    ["Somebody is sad and writes to the AI. What matters?", "value", CARDS],
    ["Did they become wiser?", "transition", MOVES],
  ];
  for (const [question, kind, lines] of polls) {
    await chair.at("/operate");
    await chair.page.getByLabel("The question").fill(question);
    await chair.page.getByLabel("The situation, if it needs one").fill("Somebody is sad");
    await chair.page.getByLabel("What it asks for").selectOption(kind);
    await chair.page.getByLabel("First statements, one on each line").fill(lines.join("\n"));
    await press(chair.page, "Open the poll");
    await chair.page.getByText("The poll is open.").waitFor();
  }
}

/** Two cards that mean the same become one, by an operator's word. */
export async function merge(chair) {
  await chair.page.getByRole("link", { name: "See the cards" }).click();
  await inspect(chair.page, "cards");
  const pair = chair.page.getByRole("article").first();
  await pair.getByLabel("Which one stands for both").selectOption({ label: "Room to speak" });
  await pair.getByLabel("Why, for everybody to read").fill("The same in other words");
  await press(pair, "Let one stand for both");
  await chair.page.getByText("Your word on the card is on the public log.").waitFor();
  await chair.page.getByText("→ Room to speak").waitFor();
  await inspect(chair.page, "cards-merged");
}
