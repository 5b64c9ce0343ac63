// The browser: people who are signed in at their node's page, and what they do there.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const say = (text) => console.log(`${new Date().toISOString().slice(11, 19)}  ${text}`);

const launch = (...args) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", ...args],
});

export const browser = await launch();

/** A browser that runs no script at all: one that is only told to run none may still read pages as if it did. */
export const plainBrowser = await launch("--blink-settings=scriptEnabled=false");

let passed = 0;
const failed = [];

/** How many checks held, and which did not. */
export const score = () => ({ passed, failed });

/** One thing that a person does, or that must hold; whatever else depends on it is not tried if it fails. */
export async function check(what, does) {
  const began = Date.now();
  try {
    const value = await does();
    passed += 1;
    say(`ok      ${what} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    return value;
  } catch (error) {
    failed.push(what);
    say(`FAILED  ${what}`);
    throw error;
  }
}

/** The same of something on which nothing else depends. */
export const attempt = (what, does) => check(what, does).catch((error) => console.error(error));

/** Opens a page in a browser of its own, signed in by the link. */
export async function enter(home, options = {}) {
  const { link, script = true, ...rest } = options;
  const context = await (script ? browser : plainBrowser).newContext({ locale: "en-GB", reducedMotion: "reduce", ...rest });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const refused = [];
  page.on("console", (message) => message.type() === "error" && refused.push(message.text()));
  page.on("pageerror", (error) => refused.push(String(error)));
  page.on("request", (request) => {
    const host = new URL(request.url()).host;
    if (host !== new URL(home.ready.api).host) refused.push(`asked ${host}`);
  });
  await page.goto(link ?? (await home.link()));
  assert.equal(await page.locator("#main").count(), 1, "signed in");
  return { home, page, refused, at: (where) => page.goto(new URL(where, home.ready.api).href) };
}

/** Presses a button within a part of the page, and waits for the page that follows. */
export async function press(place, name) {
  const page = place.page?.() ?? place;
  const button = place.getByRole("button", { name, exact: true }).first();
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), button.click()]);
}

export async function eventually(what, holds, seconds = 60) {
  const until = Date.now() + 1000 * seconds;
  while (!(await holds())) {
    assert.ok(Date.now() < until, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Waits for something that must come without the page being asked for again by the person. */
export async function unasked(who, what, locator, seconds = 60) {
  await locator.waitFor({ timeout: 1000 * seconds }).catch(() => assert.fail(`did not come by itself: ${what}`));
}

/** Whether what has the focus shows it. */
export const focusIsSeen = (page) => page.evaluate(() => {
  const style = getComputedStyle(document.activeElement);
  return document.activeElement !== document.body && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
});

/** Moves the focus by the tabulator until it stands on a link or button with this name. */
export async function tabTo(page, name, most = 80, within = "") {
  for (let step = 0; step < most; step += 1) {
    await page.keyboard.press("Tab");
    const [found, around] = await page.evaluate(() => {
      const focused = document.activeElement;
      return [focused?.innerText?.replace(/\s+/gu, " ").trim() ?? "", focused?.closest("li, form, main")?.innerText ?? ""];
    });
    if (!around.includes(within)) continue;
    if (found === name || found.endsWith(` ${name}`)) {
      assert.ok(await focusIsSeen(page), `the focus on ${name} is seen`);
      return;
    }
  }
  assert.fail(`${name} cannot be reached by the keyboard`);
}
