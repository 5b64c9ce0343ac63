// Talking with the community's model: four steps as they come, side by side, without script; and cited prompts.
import assert from "node:assert/strict";
import { enter, press, unasked } from "./driver.mjs";
import { inspect, picture } from "./pages.mjs";
import { CITING } from "./statements.mjs";

const STEPS = ["1. What the constitution asks", "2. A first draft", "3. The draft against each principle", "4. The answer"];

/** The four steps come one after the other, and are seen while they do. */
export async function converse(guest, model) {
  await guest.at("/chat");
  await inspect(guest.page, "chat-first");
  await guest.page.getByLabel("Your message").fill(CITING.prompt);
  await guest.page.getByRole("button", { name: "Send" }).click();
  const answer = guest.page.locator(".said.assistant").last();
  for (const step of STEPS.slice(0, 3)) {
    await answer.locator(".who", { hasText: step }).waitFor();
    assert.ok(await answer.getByRole("heading", { name: step }).isVisible(), `${step} is seen while it is made`);
  }
  await picture(guest.page, "chat-streaming");
  await answer.getByText(model.said.refine).first().waitFor();
  await guest.page.locator(".said[aria-busy]").waitFor({ state: "detached" });
  await answer.getByText("How it came to this answer").click();
  assert.deepEqual(await answer.locator("h3").allInnerTexts(), STEPS);
  const verdicts = await answer.locator(".verdicts li").allInnerTexts();
  assert.ok(verdicts.length >= 3 && /^violates/u.test(verdicts[1]) && /guesses/u.test(verdicts[1]), verdicts.join());
  await inspect(guest.page, "chat-answer");
  assert.deepEqual(model.asked.slice(-4), ["analyse", "draft", "evaluate", "refine"]);
}

/** With constitution and without, side by side. */
export async function compareAnswers(guest, model) {
  await guest.page.getByLabel("Show beside it what the model says without both").check();
  await guest.page.getByLabel("Your message").fill("And my rye bread?");
  await guest.page.getByRole("button", { name: "Send" }).click();
  const both = guest.page.locator(".talk > .beside > .said");
  await both.nth(1).getByText(model.said.plain).first().waitFor();
  await guest.page.locator(".said[aria-busy]").waitFor({ state: "detached" });
  const [left, right] = [await both.nth(0).boundingBox(), await both.nth(1).boundingBox()];
  assert.ok(right.x > left.x && right.y === left.y, "beside one another on a wide screen");
  await inspect(guest.page, "chat-beside");
}

/** Without script the whole answer is waited for. */
export async function withoutScript(home, model) {
  const plain = await enter(home, { script: false });
  await plain.at("/chat");
  await plain.page.getByLabel("Your message").fill(CITING.prompt);
  await plain.page.getByLabel("Show beside it what the model says without both").check();
  await press(plain.page, "Send");
  const both = plain.page.locator(".talk > .beside > .said");
  await both.nth(0).getByText(model.said.refine).first().waitFor();
  await both.nth(1).getByText(model.said.plain).first().waitFor();
  assert.equal(await both.nth(0).locator("h3").count(), 4);
}

/** What statements cite is put to the model; the page shows both answers by itself, and so does the constitution. */
export async function seeCited(guest, model) {
  await guest.at("/constitution");
  const principle = guest.page.locator(".principles > li", { hasText: CITING.text });
  await principle.getByText("The model has not been asked yet.").waitFor();
  await principle.getByRole("link", { name: "Ask it" }).click();
  await press(guest.page, "Put 1 cited prompt to the model");
  await guest.page.evaluate(() => { window.sameDocument = true; });
  const pair = guest.page.locator("article.case");
  await unasked(guest, "the answers", pair.getByText(model.said.refine));
  assert.equal(await guest.page.evaluate(() => window.sameDocument), true);
  await pair.getByText(model.said.plain).waitFor();
  await inspect(guest.page, "chat-cases");
  await guest.at("/constitution");
  await principle.getByText(CITING.prompt).waitFor();
  await principle.getByText(model.said.plain).waitFor();
  await principle.getByText(model.said.refine).waitFor();
  await inspect(guest.page, "constitution");
}
