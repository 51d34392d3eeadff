// The npm package ethers, a client of Ethereum nodes, against our server: its WebSocketProvider
// calls eth_subscribe, receives eth_subscription notifications, and calls eth_unsubscribe when the
// last listener is removed.

import { Checks, PeerServer, require, sleep } from "./common.mjs";

const { Network, WebSocketProvider } = require("ethers");

const checks = new Checks("npm ethers, client");

/** The first values of an event, as it comes. */
async function first(provider, event, count) {
  const values = [];
  await new Promise((resolve) => {
    const listener = (value) => {
      values.push(value);
      if (values.length === count) resolve(provider.off(event, listener));
    };
    provider.on(event, listener);
  });
  return values.slice(0, count);
}

const range = (count) => Array.from({ length: count }, (_, index) => index + 1);
const hash = (number) => `0x${number.toString(16).padStart(64, "0")}`;

async function closed(provider) {
  while ((await provider.send("test_feeds", [])) > 0) await sleep(10);
}

async function feeds(url) {
  const provider = new WebSocketProvider(url, undefined);
  checks.equal("the network", String((await provider.getNetwork()).chainId), "1337");
  checks.equal("new blocks, from the first one on and in order", await first(provider, "block", 50), range(50));
  await closed(provider);
  checks.that("the feed of blocks is given up", true);
  checks.equal("pending transactions", await first(provider, "pending", 20), range(20).map(hash));
  const [blocks, pending] = await Promise.all([first(provider, "block", 30), first(provider, "pending", 30)]);
  checks.equal("two feeds at once: blocks", blocks, range(30));
  checks.equal("two feeds at once: transactions", pending, range(30).map(hash));
  const logs = await first(provider, { address: `0x${"0".repeat(39)}7` }, 10);
  checks.equal("logs", logs.map((log) => log.blockNumber ?? log.log.blockNumber), range(10));
  await closed(provider);
  checks.that("all feeds are given up", true);
  await provider.destroy();
}

async function byHand(url) {
  const provider = new WebSocketProvider(url, Network.from(1337), { staticNetwork: true });
  const id = await provider.send("eth_subscribe", ["newHeads"]);
  checks.that("an id as a node's", /^0x[0-9a-f]+$/.test(id), id);
  checks.equal("ended", await provider.send("eth_unsubscribe", [id]), true);
  checks.equal("ended before", await provider.send("eth_unsubscribe", [id]), false);
  const refused = await provider.send("eth_subscribe", ["nonsense"]).catch((error) => error.error ?? error);
  checks.equal("a feed that there is none of", refused.code, -32602);
  const left = new WebSocketProvider(url, Network.from(1337), { staticNetwork: true });
  await left.send("eth_subscribe", ["newHeads"]);
  await left.destroy();
  await closed(provider);
  checks.that("a client that goes takes its feeds along", true);
  await provider.destroy();
}

const server = await PeerServer.start();
await checks.group("feeds", () => feeds(server.url));
await checks.group("by hand", () => byHand(server.url));
await server.stop(checks);
process.exit(checks.failed ? 1 : 0);
