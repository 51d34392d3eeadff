// Helpers of all Node parts: loading the npm packages, starting our two programs, and printing one
// line for each check. Finds the programs of `tests/interop/peer` by their environment variables.
// Does not depend on the protocol.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";

const environment = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; start this through tests/interop/run`);
  return value;
};

/** Finds packages in the scratch folder, where `run` installed them. */
export const require = createRequire(`${environment("WSJSONRPC_NODE_DIR")}/package.json`);

/** Prints `ok   PART: NAME` or `FAIL PART: NAME: why`, and counts the failures. */
export class Checks {
  failed = 0;

  constructor(part) {
    this.part = part;
  }

  that(name, condition, why) {
    if (condition) {
      console.log(`ok   ${this.part}: ${name}`);
    } else {
      this.failed += 1;
      console.log(`FAIL ${this.part}: ${name}: ${String(why).replace(/\s+/g, " ")}`);
    }
  }

  equal(name, got, expected) {
    this.that(name, isDeepStrictEqual(got, expected), `got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
  }

  /** Runs one group; what it throws is a failure of the group, and the next one is run. */
  async group(name, run) {
    try {
      await run();
    } catch (error) {
      this.that(name, false, error?.stack ?? JSON.stringify(error));
    }
  }
}

const exited = (child) => new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));

/** Our server as a process of its own, on a port of its own, or on the Unix socket of a path. */
export class PeerServer {
  static async start(address = "127.0.0.1:0") {
    const server = new PeerServer();
    server.child = spawn(environment("WSJSONRPC_PEER_SERVER"), [address], { stdio: ["ignore", "pipe", "inherit"] });
    server.exit = exited(server.child);
    const line = await new Promise((resolve, reject) => {
      let text = "";
      server.child.stdout.on("data", (data) => {
        text += data;
        if (text.includes("\n")) resolve(text.split("\n")[0]);
      });
      server.exit.then((code) => reject(new Error(`our server ended with ${code}`)));
    });
    server.url = line.replace("listening on ", "").trim();
    return server;
  }

  async stop(checks) {
    this.child.kill("SIGINT");
    const hung = setTimeout(() => this.child.kill("SIGKILL"), 20_000);
    checks.equal("our server ends cleanly on SIGINT", await this.exit, 0);
    clearTimeout(hung);
  }
}

/** Runs our client against a URL and turns its JSON lines into checks. */
export async function runClient(checks, url, scenarios) {
  const child = spawn(environment("WSJSONRPC_PEER_CLIENT"), [url, ...scenarios], { stdio: ["ignore", "pipe", "inherit"] });
  const hung = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const exit = exited(child);
  let text = "";
  for await (const data of child.stdout) text += data;
  const code = await exit;
  clearTimeout(hung);
  const entries = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  for (const { check, ok, got, expected } of entries) {
    checks.that(`our client: ${check}`, ok, `got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
  }
  const wanted = entries.every(({ ok }) => ok) ? 0 : 1;
  checks.that(
    "our client ran every scenario to its end",
    entries.length >= scenarios.length && code === wanted,
    `exit code ${code}, ${entries.length} results for ${scenarios.length} scenarios`,
  );
}

/** What a call was refused with, as {code, message, data}. */
export async function errorOf(promise) {
  try {
    return { result: await promise };
  } catch (error) {
    const { code, message, data } = error;
    return data === undefined ? { code, message } : { code, message, data };
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const once = (emitter, event) => new Promise((resolve) => emitter.once(event, (...values) => resolve(values)));
