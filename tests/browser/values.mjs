// Values: the dialogue that ends in a card, votes on cards and changes, the moral graph.
import assert from "node:assert/strict";
import { press } from "./driver.mjs";
import { inspect } from "./pages.mjs";
import { cast, start, voteOnAll } from "./voting.mjs";

export const POLLS = ["Somebody is sad and writes to the AI. What matters?", "Did they become wiser?"];

/** A dialogue that ends in a card, which is proposed. */
export async function articulate(who) {
  await who.at("/values");
  await who.page.getByLabel("About which question").selectOption({ label: POLLS[0] });
  await press(who.page, "Begin");
  const answers = [
    "It should listen.", "My teacher waited.", "Her eyes\nThe pause", "MOMENTS where somebody hesitates", "Patience",
    "Wait until somebody has found the words.",
  ];
  for (const [at, answer] of answers.entries()) {
    const isModel = await who.page.getByText("The model asks").isVisible();
    assert.equal(isModel, false, "a dialogue that was not told to ask the model asks no model");
    await who.page.locator("#text").fill(answer);
    if (at === 1) await inspect(who.page, "dialogue");
    await press(who.page, "Go on");
  }
  await inspect(who.page, "dialogue-card");
  await press(who.page, "Yes, this is what I mean");
  await who.page.getByText("Patience").first().waitFor();
  await inspect(who.page, "values-own");
  await press(who.page.locator("li.value", { hasText: "Patience" }), "Propose");
  await who.page.getByText("Your statement is proposed.").waitFor();
  await inspect(who.page, "poll-values");
}

/** A change between two values, told in a form. */
export async function tell(guest) {
  await guest.at("/polls");
  await guest.page.getByRole("link", { name: POLLS[1] }).click();
  await guest.page.getByRole("link", { name: "Tell of a change" }).click();
  await guest.page.getByLabel("Before, this person followed").selectOption({ label: "Cheering up" });
  await guest.page.getByLabel("Now they follow").selectOption({ label: "Patience" });
  await guest.page.getByLabel("Where").fill("Somebody is sad");
  await guest.page.getByLabel("Their story").fill("At first they told jokes. Now they wait.");
  await inspect(guest.page, "propose-change");
  await press(guest.page, "Propose it");
  await guest.page.getByText("Your statement is proposed.").waitFor();
}

/** Votes on all values and on all changes. */
export async function vote(who, pictures) {
  for (const question of POLLS) {
    await who.at("/");
    await (await start(who, question)).click();
    const name = question === POLLS[0] ? "card-value" : "card-change";
    await voteOnAll(who, (card) => (question === POLLS[0] && card === 2 ? "3" : "1"), pictures && name);
    await cast(who);
  }
}

/** The graph that follows, drawn and in words. */
export async function seeGraph(who) {
  await who.at("/values/graph?all=1");
  const drawing = who.page.locator("figure.graph svg");
  await drawing.waitFor();
  const arrows = await drawing.locator("g.edge").count();
  const values = await drawing.locator("g.value").count();
  assert.ok(arrows >= 4 && values >= 4, `${arrows} arrows between ${values} values`);
  assert.equal(await who.page.locator("tbody tr").count(), arrows, "each arrow stands in the table");
  await who.page.getByRole("cell", { name: "Honest company" }).first().waitFor();
  await inspect(who.page, "values-graph");
  await who.at("/values");
  await who.page.locator("li.value", { hasText: "Room to speak" }).first().waitFor();
  assert.equal(await who.page.getByText("Room for speaking").count(), 0, "one card stands for both");
  await inspect(who.page, "values");
}
