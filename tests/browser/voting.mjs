// Voting: with the keys, by the keyboard alone, without script, and again until the poll closes.
import assert from "node:assert/strict";
import { eventually, focusIsSeen, press, tabTo, unasked } from "./driver.mjs";
import { inspect } from "./pages.mjs";
import { CITING } from "./statements.mjs";

const ON_LOG = "Your ballot is on the log. You can change it";

/** Votes with the keys on every card, and casts. `choose` says which key for which card. */
export async function voteOnAll(who, all, choose, pictures = "") {
  for (let card = 0; card < all; card += 1) {
    await who.page.locator(".statement").waitFor();
    // Keys work once the page's script has run, which the hint shows.
    await who.page.locator("[data-hint]:visible").waitFor();
    if (pictures && card === 3) await inspect(who.page, pictures);
    const text = await who.page.locator(".statement").innerText();
    if (text.includes(CITING.text) && pictures) await inspect(who.page, `${pictures}-citing`);
    await Promise.all([who.page.waitForNavigation({ waitUntil: "load" }), who.page.keyboard.press(choose(card, text))]);
  }
  await who.page.waitForURL(/review/u);
  await who.page.getByText(`${all} of ${all} decided`).first().waitFor();
}

export async function cast(who, button = "Cast my ballot") {
  await press(who.page, button);
  await who.page.getByText(ON_LOG).waitFor();
}

/** The first page begins to show a poll for voting by itself, and leads to it. */
export async function start(who, question) {
  const card = who.page.locator("li.poll", { hasText: question });
  await unasked(who, "voting", card.getByRole("link", { name: "Start voting" }), 90);
  return card.getByRole("link", { name: "Start voting" });
}

/** A whole vote by the keyboard: into the poll, through the cards, out with the ballot. */
export async function byKeyboard(who, all) {
  await who.at("/");
  await who.page.keyboard.press("Tab");
  assert.equal(await who.page.evaluate(() => document.activeElement.className), "skip");
  assert.ok(await focusIsSeen(who.page), "the focus on the link to the content is seen");
  await who.page.keyboard.press("Enter");
  assert.equal(await who.page.evaluate(() => document.activeElement.id), "main");
  await tabTo(who.page, "Start voting");
  await Promise.all([who.page.waitForNavigation({ waitUntil: "load" }), who.page.keyboard.press("Enter")]);
  // The first card without any shortcut, the others with digits.
  await tabTo(who.page, "Agree");
  await Promise.all([who.page.waitForNavigation({ waitUntil: "load" }), who.page.keyboard.press("Enter")]);
  await voteOnAll(who, all - 1, () => "1").catch(async (error) => {
    if (!/decided/u.test(String(error))) throw error;
  });
  await who.page.getByText(`${all} of ${all} decided`).first().waitFor();
  await tabTo(who.page, "Cast my ballot");
  await Promise.all([who.page.waitForNavigation({ waitUntil: "load" }), who.page.keyboard.press("Enter")]);
  await who.page.getByText(ON_LOG).waitFor();
}

/** Nothing moves for those who asked for that. */
export async function isStill(who) {
  const moving = () => who.page.evaluate(() => getComputedStyle(document.querySelector(".button")).transitionDuration);
  await who.page.emulateMedia({ reducedMotion: "no-preference" });
  assert.notEqual(await moving(), "0s");
  await who.page.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await moving(), "0s");
}

/** Changes the vote on a statement in the review, and casts again. */
export async function change(who, nth, to) {
  await who.page.getByRole("link", { name: "Change my votes" }).first().click();
  const line = who.page.locator("ol.statements > li").nth(nth);
  const text = await line.locator("blockquote").innerText();
  await press(line, to);
  const pressed = who.page.locator("ol.statements > li").nth(nth).getByRole("button", { name: to, exact: true });
  assert.equal(await pressed.getAttribute("aria-pressed"), "true");
  await cast(who, "Cast the changed ballot");
  return text;
}

/** The receipt and the person's own page say what was cast, changed and proposed. */
export async function own(who, changed, to, proposed) {
  await who.page.getByRole("link", { name: "Is my contribution counted?" }).first().click();
  await who.page.getByText("Your ballot is on the log.").waitFor();
  await who.at("/own");
  const vote = who.page.locator(".votes li", { hasText: changed });
  assert.equal((await vote.locator(".pill").first().innerText()).trim(), to);
  for (const [text, fate] of proposed) {
    await who.page.locator("ul.statements > li", { hasText: text }).getByText(fate).waitFor();
  }
}

/** The numbers of a page change while it is looked at; it is not loaded again. */
export async function watch(who, does) {
  await who.page.evaluate(() => { window.sameDocument = true; });
  const ballots = who.page.locator(".turnout [data-ballots]");
  const before = Number(await ballots.innerText());
  await does();
  await eventually("one ballot more", async () => Number(await ballots.innerText()) === before + 1);
  assert.equal(await who.page.evaluate(() => window.sameDocument), true, "without loading the page again");
  assert.equal(await who.page.locator("progress[data-turnout]").evaluate((bar) => bar.value), before + 1);
}
