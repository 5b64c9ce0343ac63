// A whole community of the demonstration, taken in from its bundle: map, groups, constitution.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { enter } from "./driver.mjs";
import { BINARY, Home } from "./nodes.mjs";
import { inspect } from "./pages.mjs";

const run = promisify(execFile);

export async function seeMap() {
  const folder = await mkdtemp(path.join(tmpdir(), "chorus-browser-demo-"));
  const bundle = path.join(folder, "demo.chorus");
  const demo = ["demo", "--participants", "48", "--nodes", "8", "--items", "20", "--seed", "7", "--out", bundle];
  await run(BINARY, demo, { maxBuffer: 64 * 1024 * 1024 });
  const home = await Home.create("map");
  await home.chorus("init");
  const { stdout } = await run("python3", ["invite.py", bundle]);
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
  await inspect(reader.page, "constitution-demo");
  for (const where of ["adapter", "network"]) {
    await reader.at(`/${where}`);
    await inspect(reader.page, `${where}-demo`);
  }
  await reader.at("/chat");
  await reader.page.getByText("No model is set up on this node.").waitFor();
  await inspect(reader.page, "chat-none");
  assert.deepEqual(reader.refused, []);
}
