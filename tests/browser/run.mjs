// A newcomer joins, votes, proposes, changes a vote, talks with the model and sees what came of it; an operator opens,
// moderates, changes rules and merges cards. All of it in a browser, at the page that real nodes serve.
import assert from "node:assert/strict";
import * as begin from "./community.mjs";
import { attempt, browser, check, enter, eventually, plainBrowser, press, say, score } from "./driver.mjs";
import { seeMap } from "./larger.mjs";
import { startModel } from "./model.mjs";
import { close } from "./nodes.mjs";
import { findings, inspect, looked } from "./pages.mjs";
import { CITING } from "./statements.mjs";
import * as talk from "./talk.mjs";
import * as values from "./values.mjs";
import * as voting from "./voting.mjs";

/** How long votes are taken. */
const MINUTES = Number(process.env.VOTING_MINUTES ?? 2);

const QUESTION = "How should our AI treat people?";
const SLEEP = "The AI should remind me to sleep.";

/** Most is agreed to; what cites a prompt always. */
const choose = (card, text) => (text.includes(CITING.text) ? "1" : card % 5 === 4 ? "2" : card % 7 === 6 ? "3" : "1");

/** One statement is as good as there; another is new. */
async function propose(guest) {
  await guest.page.getByRole("link", { name: "Propose a statement" }).first().click();
  await guest.page.getByLabel("Your statement").fill("The AI should name its sources!");
  await press(guest.page, "Propose it");
  await guest.page.getByText("Others have proposed nearly the same").waitFor();
  await inspect(guest.page, "propose-similar");
  await guest.page.getByLabel("Your statement").fill(SLEEP);
  await press(guest.page, "Propose it");
  await guest.page.getByText("Your statement is proposed.").waitFor();
}

/** Without script, voting, changing, receipt and the person's own page are the same. */
async function withoutScript(home) {
  const plain = await enter(home, { script: false });
  await plain.at("/");
  // What stands in `noscript` is found by its place: searches by text pass it over.
  assert.match(await plain.page.locator("noscript p").first().innerText(), /as of when the page was loaded/u);
  await Promise.all([plain.page.waitForNavigation({ waitUntil: "load" }), plain.page.locator("noscript a").first().click()]);
  await plain.page.getByRole("link", { name: QUESTION }).click();
  await plain.page.getByText("of 2 members have cast a ballot").waitFor();
  const changed = await voting.change(plain, 1);
  await voting.own(plain, changed, []);
  assert.deepEqual(plain.refused, []);
}

async function seeResult(guest) {
  await eventually("the round is finished", async () => {
    await guest.at("/");
    return guest.page.locator("li.poll", { hasText: QUESTION }).getByRole("link", { name: "See the result" }).isVisible();
  }, 300);
  await inspect(guest.page, "home-results");
  await guest.page.locator("li.poll", { hasText: QUESTION }).getByRole("link", { name: "See the result" }).click();
  await guest.page.getByText("2 ballots were counted.").waitFor();
  await inspect(guest.page, "result-totals");
  await guest.page.getByRole("link", { name: "Is my contribution counted?" }).click();
  await guest.page.getByText("Yes. Your ballot is in the sealed set.").waitFor();
  await inspect(guest.page, "receipt");
  await guest.at("/own");
  const fate = (text) => guest.page.locator("ul.statements > li", { hasText: text });
  await fate(CITING.text).getByText("in the constitution").waitFor();
  await fate(SLEEP).getByText("waits for an operator").waitFor();
  await inspect(guest.page, "own");
}

async function seeTheRest(guest) {
  await eventually("the votes on values are counted", async () => {
    await guest.at("/polls");
    return (await guest.page.getByRole("link", { name: "See the result" }).count()) === 3;
  }, 120);
  await inspect(guest.page, "polls");
  await attempt("the moral graph", () => values.seeGraph(guest));
  await guest.at("/polls");
  await guest.page.locator("li.poll", { hasText: values.POLLS[1] }).getByRole("link", { name: "See the result" }).click();
  await inspect(guest.page, "result-changes");
  for (const where of ["moderation", "adapter", "network"]) {
    await guest.at(`/${where}`);
    await inspect(guest.page, where);
  }
  await guest.page.goto(new URL("/moderation", guest.home.ready.api).href);
  await guest.page.getByText("An advertisement").waitFor();
  await guest.page.getByText("The same in other words").waitFor();
  await guest.at("/nowhere");
  await inspect(guest.page, "nowhere");
  await press(guest.page, "Deutsch");
  await guest.at("/");
  await guest.page.getByRole("link", { name: "Verfassung" }).first().waitFor();
  await inspect(guest.page, "home-german");
}

async function community() {
  const model = await startModel();
  const { operator, newcomer } = await begin.found(model);
  const chair = await enter(operator);
  // The link that `run` printed works as well as those of `chorus open`.
  const guest = await enter(newcomer, { link: newcomer.ready.page });
  await check("a newcomer is admitted", () => begin.admit(chair, guest));
  await begin.open(chair, guest);
  await check("a statement cites a prompt", () => begin.cite(guest));
  await check("an operator rejects an advertisement", () => begin.moderate(chair));
  await check("an operator changes the rules of an open poll", () => begin.changeRules(chair));
  await check("a strict poll asks what an operator has accepted", () => begin.accept(chair));
  await check("an operator opens polls on values", () => begin.openValues(chair));
  await check("an operator merges two cards", () => begin.merge(chair));
  await check("a dialogue ends in a card", () => values.articulate(chair));
  await check("a change is told in a form", () => values.tell(guest));
  await guest.at("/");
  for (const question of [...values.POLLS, QUESTION]) await begin.begin(chair, question, MINUTES);
  await inspect(chair.page, "operate");
  await check("voting begins on the first page by itself", () => voting.start(guest, QUESTION));
  await inspect(guest.page, "home");
  const began = Date.now();
  await (await voting.start(guest, QUESTION)).click();
  await check("a vote with the keys", () => voting.voteOnAll(guest, choose, "card"));
  await voting.cast(guest);
  await inspect(guest.page, "poll");
  await check("a proposal, and one that is there already", () => propose(guest));
  const changed = await check("a vote is changed", () => voting.change(guest, 1));
  await check("receipt and own page know it", () =>
    voting.own(guest, changed, [[CITING.text, "on the ballot"], [SLEEP, "waits for an operator"]]));
  say(`voted, proposed and changed a vote in ${Math.round((Date.now() - began) / 1000)} s, pictures included`);
  await guest.at("/polls");
  await guest.page.getByRole("link", { name: QUESTION }).click();
  await check("a vote by the keyboard alone, and the turnout changes by itself", () =>
    voting.watch(guest, () => voting.byKeyboard(chair, QUESTION)));
  await attempt("nothing moves for who does not want it", () => voting.isStill(chair));
  await attempt("votes are changed without script", () => withoutScript(operator));
  await check("votes on values and changes", async () => {
    await values.vote(guest, true);
    await values.vote(chair, false);
  });
  if (parts.has("map")) await attempt("the map of a larger community", seeMap);
  await check("result, receipt and fates", () => seeResult(guest));
  await attempt("the four steps of an answer", () => talk.converse(guest, model));
  await attempt("answers side by side", () => talk.compareAnswers(guest, model));
  await attempt("a conversation without script", () => talk.withoutScript(newcomer, model));
  await attempt("cited prompts, before and after", () => talk.seeCited(guest, model));
  await attempt("the other pages", () => seeTheRest(guest));
  await (await browser.newContext()).newPage().then(async (outside) => {
    await outside.goto(newcomer.ready.api);
    await inspect(outside, "outside");
  });
  const odd = [...chair.refused, ...guest.refused].filter((text) => !/40[149]|status of/u.test(text));
  await attempt("nothing is asked elsewhere, and no script fails", () => assert.deepEqual(odd, []));
  model.stop();
}

const parts = new Set((process.env.PARTS ?? "community,map").split(","));
try {
  if (parts.has("community")) await community();
  else await attempt("the map of a larger community", seeMap);
  await attempt(`nothing serious in ${looked} views`, () => assert.deepEqual(findings, []));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  findings.forEach((finding) => console.error(finding));
  await browser.close();
  await plainBrowser.close();
  await close();
}
const { passed, failed } = score();
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode ||= failed.length ? 1 : 0;
