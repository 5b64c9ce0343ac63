// Real nodes, in folders of their own that go when the test ends.
import { spawn, execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The binary that is tested. */
export const BINARY = process.env.CHORUS_BIN ?? path.resolve("../../target/release/chorus");

const opened = [];

/** A data directory, and the node that may run with it. */
export class Home {
  constructor(directory) {
    this.directory = directory;
  }

  static async create(name) {
    const home = new Home(await mkdtemp(path.join(tmpdir(), `chorus-browser-${name}-`)));
    opened.push(home);
    return home;
  }

  /** Runs one command, and returns the JSON that it answers. */
  async chorus(...args) {
    const { stdout } = await run(BINARY, ["--data-dir", this.directory, "--format", "json", ...args], {
      env: { ...process.env, CHORUS_PASSPHRASE: "a browser test" },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout.trim() ? JSON.parse(stdout) : undefined;
  }

  /** Starts the node, and waits until it is ready. */
  async run(...args) {
    const listen = ["--listen", "/ip4/127.0.0.1/tcp/0"];
    this.node = spawn(BINARY, ["--data-dir", this.directory, "--format", "json", "run", ...listen, ...args], {
      env: { ...process.env, CHORUS_PASSPHRASE: "a browser test" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const began = Date.now();
    this.ready = await new Promise((resolve, reject) => {
      let text = "";
      this.node.stdout.on("data", (chunk) => {
        text += chunk;
        const line = text.split("\n").find((one) => one.includes('"ready"'));
        if (line) resolve(JSON.parse(line));
      });
      this.node.once("exit", (code) => reject(new Error(`the node ended with ${code}`)));
    });
    this.startedAt = began;
    return this.ready;
  }

  /** A fresh link to the page. */
  async link() {
    return (await this.chorus("open")).url;
  }

  async stop() {
    if (this.node && this.node.exitCode === null) {
      const ended = new Promise((resolve) => this.node.once("exit", resolve));
      this.node.kill("SIGINT");
      await ended;
    }
  }
}

/** Stops all nodes and deletes their folders. */
export async function close() {
  for (const home of opened) {
    await home.stop();
    await rm(home.directory, { recursive: true, force: true });
  }
}
