// What every page must be: free of serious findings of axe, no wider than the screen, and seen as a picture.
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { createRequire } from "node:module";

const ARTIFACTS = path.resolve(process.env.CHORUS_ARTIFACTS ?? "../../target/browser");
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
await mkdir(ARTIFACTS, { recursive: true });

const LOOKS = [
  { name: "phone-light", viewport: { width: 320, height: 700 }, colorScheme: "light" },
  { name: "phone-dark", viewport: { width: 390, height: 844 }, colorScheme: "dark" },
  { name: "desktop-light", viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  { name: "desktop-dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
];

/** Findings so far: page, look and what is wrong. */
export const findings = [];

/** How many pages were looked at, in each look. */
export let looked = 0;

/** A picture of what is seen just now, and nothing else. */
export const picture = (page, name) => page.screenshot({ path: path.join(ARTIFACTS, `${name}.png`) });

/** What the structure lacks: headings without gaps below one first of all, and words for every drawing. */
function outline() {
  const found = [];
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((heading) => Number(heading.tagName[1]));
  if (levels[0] !== 1 || levels.filter((level) => level === 1).length !== 1) found.push(`headings: ${levels}`);
  if (levels.some((level, at) => at > 0 && level > levels[at - 1] + 1)) found.push(`a heading is left out: ${levels}`);
  for (const drawing of document.querySelectorAll("svg:not([aria-hidden])")) {
    const named = drawing.getAttribute("aria-labelledby")?.split(" ").map((id) => document.getElementById(id)?.textContent.trim());
    if (drawing.getAttribute("role") !== "img" || !named?.[0]) found.push(`a drawing without words: ${drawing.outerHTML.slice(0, 80)}`);
  }
  if (document.querySelector("body > a.skip")?.getAttribute("href") !== "#main") {
    if (document.querySelector("nav")) found.push("nothing skips to the content");
  }
  return found;
}

/** Looks at the page in all looks: axe, width, picture. */
export async function inspect(page, name) {
  for (const look of LOOKS) {
    await page.setViewportSize(look.viewport);
    await page.emulateMedia({ colorScheme: look.colorScheme, reducedMotion: "reduce" });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) findings.push(`${name} (${look.name}): ${wide} pixels wider than the screen`);
    // By the debugger, which the page's own policy does not bind.
    await page.evaluate(AXE);
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
    });
    findings.push(...found.map((what) => `${name} (${look.name}): ${what}`));
    const unclear = await page.evaluate(outline);
    findings.push(...unclear.map((what) => `${name} (${look.name}): ${what}`));
    await page.screenshot({ path: path.join(ARTIFACTS, `${name}.${look.name}.png`), fullPage: true });
    looked += 1;
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}
