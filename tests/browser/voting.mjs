// Voting: with the keys, by the keyboard alone, without script, and again until the poll closes.
import assert from "node:assert/strict";
import { eventually, focusIsSeen, press, tabTo, unasked } from "./driver.mjs";
import { inspect } from "./pages.mjs";
import { CITING } from "./statements.mjs";

const ON_LOG = "Your ballot is on the log. You can change it";

/** How many cards the ballot has, as the first one says. */
async function cards(who) {
  return Number(/of (\d+)/u.exec(await who.page.locator("h1.small").innerText())[1]);
}

/** Votes with a key on so many cards. `choose` says which key for which card. */
async function onCards(who, count, choose, pictures = "") {
  for (let card = 0; card < count; card += 1) {
    // Keys work once the page's script has run, which the hint shows.
    await who.page.locator("[data-hint]:visible").waitFor();
    const text = await who.page.locator(".statement").innerText();
    if (pictures && card === 1) await inspect(who.page, pictures);
    if (pictures && text.includes(CITING.text)) {
      await who.page.locator("details.prompts summary").click();
      await inspect(who.page, `${pictures}-citing`);
    }
    await Promise.all([who.page.waitForNavigation({ waitUntil: "load" }), who.page.keyboard.press(choose(card, text))]);
  }
}

/** Votes with the keys on every card, from the first on, and returns how many there were. */
export async function voteOnAll(who, choose, pictures = "") {
  const all = await cards(who);
  await onCards(who, all, choose, pictures);
  await who.page.waitForURL(/review/u);
  await who.page.getByText(`${all} of ${all} decided`).first().waitFor();
  if (pictures) await inspect(who.page, pictures.replace("card", "review"));
  return all;
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
export async function byKeyboard(who, question) {
  await who.at("/");
  await who.page.keyboard.press("Tab");
  assert.equal(await who.page.evaluate(() => document.activeElement.className), "skip");
  assert.ok(await focusIsSeen(who.page), "the focus on the link to the content is seen");
  await who.page.keyboard.press("Enter");
  assert.equal(await who.page.evaluate(() => document.activeElement.id), "main");
  const enter = () => Promise.all([who.page.waitForNavigation({ waitUntil: "load" }), who.page.keyboard.press("Enter")]);
  await tabTo(who.page, "Start voting", 80, question);
  await enter();
  // The first card without any shortcut, the others with digits.
  const all = await cards(who);
  await tabTo(who.page, "Agree");
  await enter();
  await onCards(who, all - 1, () => "1");
  await who.page.getByText(`${all} of ${all} decided`).first().waitFor();
  await tabTo(who.page, "Cast my ballot");
  await enter();
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

/** Turns the vote on a statement round in the review, and casts again. */
export async function change(who, nth) {
  await who.page.getByRole("link", { name: "Change my votes" }).first().click();
  const line = who.page.locator("ol.statements > li").nth(nth);
  const text = await line.locator("blockquote").innerText();
  const button = (name) => line.getByRole("button", { name, exact: true });
  const to = (await button("Disagree").getAttribute("aria-pressed")) === "true" ? "Agree" : "Disagree";
  await press(line, to);
  assert.equal(await button(to).getAttribute("aria-pressed"), "true");
  await cast(who, "Cast the changed ballot");
  return { text, to };
}

/** The receipt and the person's own page say what was cast, changed and proposed. */
export async function own(who, { text: changed, to }, proposed) {
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
