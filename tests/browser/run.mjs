// A newcomer joins, votes, proposes, changes a vote and sees what came of it; an operator opens, moderates and ends a
// poll. All of it in a browser, at the page that real nodes serve.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { BINARY, Home, close } from "./nodes.mjs";
import { findings, inspect, looked } from "./pages.mjs";

const STATEMENTS = [
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
  "The AI should stop when I say stop.",
];

const say = (text) => console.log(`${new Date().toISOString().slice(11, 19)}  ${text}`);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});

/** Opens a page in a browser of its own, signed in by the link. */
async function enter(home, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", bypassCSP: false, ...options });
  const page = await context.newPage();
  const refused = [];
  page.on("console", (message) => message.type() === "error" && refused.push(message.text()));
  page.on("request", (request) => {
    const host = new URL(request.url()).host;
    if (host !== new URL(home.ready.api).host) refused.push(`asked ${host}`);
  });
  await page.goto(options.link ?? (await home.link()));
  assert.equal(await page.locator("#main").count(), 1, "signed in");
  return { page, refused, at: (where) => page.goto(new URL(where, home.ready.api).href) };
}

async function press(page, name) {
  await Promise.all([page.waitForLoadState("load"), page.getByRole("button", { name, exact: true }).first().click()]);
}

async function eventually(what, holds, seconds = 60) {
  const until = Date.now() + 1000 * seconds;
  while (!(await holds())) {
    assert.ok(Date.now() < until, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function community() {
  const operator = await Home.create("operator");
  await operator.chorus("init");
  const rules = ["--min-contributions", "2", "--floor", "2", "--group-floor", "8", "--min-seen", "1"];
  await operator.chorus("community", "create", "--name", "Neighbourhood", "--purpose", "An AI for our street", ...rules);
  await operator.run();
  const newcomer = await Home.create("newcomer");
  await newcomer.chorus("init");
  const { invite } = await operator.chorus("invite");
  await newcomer.chorus("join", invite);
  await newcomer.run();
  return { operator, newcomer };
}

/** The newcomer asks with an invite code; the operator, who attests as well, approves both. */
async function admit(chair, guest) {
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

async function openPoll(chair, seconds) {
  await chair.at("/operate");
  await chair.page.getByLabel("The question").fill("How should our AI treat people?");
  await chair.page.getByLabel("First statements, one on each line").fill([...STATEMENTS, "Buy my pills"].join("\n"));
  await inspect(chair.page, "operate");
  await press(chair.page, "Open the poll");
  await chair.page.getByText("The poll is open.").waitFor();
  await chair.page.getByRole("link", { name: "Moderate" }).first().click();
  const pills = chair.page.locator("li", { hasText: "Buy my pills" }).last();
  await pills.getByText("Say something about it").click();
  await pills.getByLabel("Your word").selectOption("reject");
  await pills.getByLabel("Ground of a rejection").selectOption("spam");
  await pills.getByLabel("Why, for everybody to read").fill("An advertisement");
  await Promise.all([chair.page.waitForLoadState("load"), pills.getByRole("button").click()]);
  await chair.page.getByText("The decision is on the public log.").waitFor();
  await inspect(chair.page, "moderate");
  await chair.at("/operate");
  const poll = chair.page.locator("li.poll").first();
  await poll.getByLabel("Voting takes").fill(String(Math.round(seconds / 60)));
  await poll.getByLabel("Unit").selectOption("minutes");
  await press(chair.page, "Begin voting");
  await chair.page.getByText("Voting has begun.").waitFor();
  await press(chair.page, "Close, if it is time");
  await chair.page.getByText("by itself").waitFor();
  await inspect(chair.page, "failure");
}

/** Votes with the keys on every card, and casts. */
async function voteOnAll(who, pictures) {
  await eventually("the poll is open", async () => {
    await who.at("/");
    return who.page.getByRole("link", { name: "Start voting" }).isVisible();
  });
  if (pictures) await inspect(who.page, "home");
  await who.page.getByRole("link", { name: "Start voting" }).first().click();
  for (let card = 0; card < STATEMENTS.length; card += 1) {
    await who.page.locator(".statement").waitFor();
    if (pictures && card === 3) await inspect(who.page, "card");
    await Promise.all([who.page.waitForLoadState("load"), who.page.waitForURL(/back=|review/u), (async () => {
      const before = who.page.url();
      await who.page.keyboard.press(card % 5 === 4 ? "2" : card % 7 === 6 ? "3" : "1");
      await who.page.waitForURL((url) => url.href !== before);
    })()]);
  }
  await who.page.waitForURL(/review/u);
  await who.page.getByText("20 of 20 decided").waitFor();
  if (pictures) await inspect(who.page, "review");
  await press(who.page, "Cast my ballot");
  await who.page.getByText("Your ballot is on the log. You can change it").waitFor({ timeout: 60_000 });
}

async function takePart(guest) {
  await voteOnAll(guest, true);
  await inspect(guest.page, "poll");
  await guest.page.getByRole("link", { name: "Propose a statement" }).first().click();
  await guest.page.getByLabel("Your statement").fill("The AI should name its sources!");
  await press(guest.page, "Propose it");
  await guest.page.getByText("Others have proposed nearly the same").waitFor();
  await inspect(guest.page, "propose-similar");
  await guest.page.getByLabel("Your statement").fill("The AI should remind me to sleep.");
  await press(guest.page, "Propose it");
  await guest.page.getByText("Your statement is proposed.").waitFor();
  await guest.page.getByRole("link", { name: "Review and cast" }).click();
  const second = guest.page.locator("ol.statements > li").nth(1);
  await Promise.all([guest.page.waitForLoadState("load"), second.getByRole("button", { name: "Disagree" }).click()]);
  await press(guest.page, "Cast the changed ballot");
  await guest.page.getByText("Your ballot is on the log. You can change it").waitFor({ timeout: 60_000 });
  await guest.at("/own");
  await guest.page.getByText("The AI should remind me to sleep.").waitFor();
  await inspect(guest.page, "own");
}

async function seeResult(guest) {
  await guest.at("/polls");
  await inspect(guest.page, "polls");
  await eventually("the round is finished", async () => {
    await guest.at("/");
    return guest.page.getByRole("link", { name: "See the result" }).isVisible();
  }, 240);
  await guest.page.getByRole("link", { name: "See the result" }).first().click();
  await guest.page.getByText("2 ballots were counted.").waitFor();
  await inspect(guest.page, "result-totals");
  await guest.page.getByRole("link", { name: "Is my contribution counted?" }).click();
  await guest.page.getByText("Yes. Your ballot is in the sealed set.").waitFor();
  await inspect(guest.page, "receipt");
  await guest.at("/constitution");
  await guest.page.locator(".principles > li").first().waitFor();
}

/** A dialogue that ends in a card. */
async function articulate(guest) {
  await guest.at("/values");
  await press(guest.page, "Begin");
  const answers = ["It should listen.", "My teacher waited.", "Her eyes\nThe pause", "MOMENTS where somebody hesitates", "Patience", "Wait until somebody has found the words."];
  for (const [at, answer] of answers.entries()) {
    await guest.page.locator("#text").fill(answer);
    if (at === 1) await inspect(guest.page, "dialogue");
    await press(guest.page, "Go on");
  }
  await inspect(guest.page, "dialogue-card");
  await press(guest.page, "Yes, this is what I mean");
  await guest.page.getByText("Patience").first().waitFor();
  await inspect(guest.page, "values");
}

/** A whole community of the demonstration, taken in from its bundle: map, groups, constitution. */
async function seeMap() {
  const folder = await mkdtemp(path.join(tmpdir(), "chorus-browser-demo-"));
  const bundle = path.join(folder, "demo.chorus");
  const demo = ["demo", "--participants", "48", "--nodes", "8", "--items", "20", "--seed", "7", "--out", bundle];
  await promisify(execFile)(BINARY, demo, { maxBuffer: 64 * 1024 * 1024 });
  const home = await Home.create("map");
  await home.chorus("init");
  const { stdout } = await promisify(execFile)("python3", ["invite.py", bundle]);
  await home.chorus("join", stdout.trim(), "--whole-log");
  await home.chorus("import", bundle);
  await rm(folder, { recursive: true });
  await home.run();
  const reader = await enter(home);
  await reader.at("/polls");
  await reader.page.getByRole("link", { name: "See the result" }).first().click();
  await reader.page.locator("figure.map svg").waitFor();
  await inspect(reader.page, "result-map");
  await reader.at("/constitution");
  await reader.page.locator(".principles > li").first().waitFor();
  await inspect(reader.page, "constitution");
  for (const where of ["adapter", "network"]) {
    await reader.at(`/${where}`);
    await inspect(reader.page, `${where}-demo`);
  }
  assert.deepEqual(reader.refused, []);
}

async function seeTheRest(guest) {
  for (const where of ["values/graph", "chat", "moderation", "adapter", "network", "constitution"]) {
    await guest.at(`/${where}`);
    await inspect(guest.page, where.replace("/", "-"));
  }
  await guest.at("/nowhere");
  await inspect(guest.page, "nowhere");
  await press(guest.page, "Deutsch");
  await guest.at("/");
  await guest.page.getByRole("link", { name: "Verfassung" }).first().waitFor();
  await inspect(guest.page, "home-german");
}

/** Without script, reading and voting work the same. */
async function withoutScript(home) {
  const plain = await enter(home, { javaScriptEnabled: false });
  await plain.at("/");
  await plain.page.getByRole("link", { name: "Start voting" }).first().click();
  await press(plain.page, "Agree");
  assert.match(plain.page.url(), /back=/u);
  await plain.page.getByText("Statement 2 of 20").waitFor();
}

try {
  const parts = new Set((process.env.PARTS ?? "community,map").split(","));
  if (parts.has("community")) {
    const { operator, newcomer } = await community();
    const chair = await enter(operator);
    // The link that `run` printed works as well as those of `chorus open`.
    const guest = await enter(newcomer, { link: newcomer.ready.page });
    say("admission");
    await admit(chair, guest);
    say("an operator opens a poll");
    await openPoll(chair, 120);
    await eventually("the newcomer sees the poll", async () => {
      await guest.at("/");
      return guest.page.getByRole("link", { name: "Start voting" }).isVisible();
    });
    say("without script");
    await withoutScript(operator);
    say("a newcomer takes part");
    const began = Date.now();
    await takePart(guest);
    say(`the newcomer voted, proposed and changed a vote in ${Math.round((Date.now() - began) / 1000)} s, pictures included`);
    await chair.at("/");
    await chair.page.getByRole("link", { name: "Go on voting" }).first().click();
    // Keys work once the page's script has run.
    await chair.page.waitForURL(/\/vote/);
    for (let card = 1; card < STATEMENTS.length; card += 1) {
      const before = chair.page.url();
      await chair.page.keyboard.press("1");
      await chair.page.waitForURL((url) => url.href !== before);
    }
    await press(chair.page, "Cast my ballot");
    await chair.page.getByText("Your ballot is on the log. You can change it").waitFor({ timeout: 60_000 });
    say("values");
    await articulate(guest);
    say("the result");
    await seeResult(guest);
    await seeTheRest(guest);
    const outside = await (await browser.newContext()).newPage();
    await outside.goto(newcomer.ready.api);
    await inspect(outside, "outside");
    assert.deepEqual([...chair.refused, ...guest.refused].filter((text) => !/40[149]|status of/u.test(text)), []);
  }
  if (parts.has("map")) {
    say("the map of a larger community");
    await seeMap();
  }
  findings.forEach((finding) => console.error(finding));
  assert.equal(findings.length, 0, `${findings.length} findings`);
  say(`done: ${looked} views, no serious finding`);
} finally {
  await browser.close();
  await close();
}
