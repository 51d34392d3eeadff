// The npm package json-rpc-2.0 over `ws`, as client of our server and as server of our client; it
// serves and calls on one connection. It answers a batch with an object if only one response is
// left.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Checks, PeerServer, errorOf, once, require, runClient, sleep } from "./common.mjs";

const { JSONRPCClient, JSONRPCErrorException, JSONRPCServer, JSONRPCServerAndClient } = require("json-rpc-2.0");
const { WebSocket, WebSocketServer } = require("ws");

const quiet = { errorListener: () => {} };

/** The package's own way to use one socket in both directions. `strangers` takes what it could not read. */
function attach(socket, strangers = []) {
  const peer = new JSONRPCServerAndClient(
    new JSONRPCServer(quiet),
    new JSONRPCClient((message) => socket.send(JSON.stringify(message))),
    { errorListener: (_, message) => strangers.push(message) },
  );
  socket.on("message", (data) => peer.receiveAndSend(JSON.parse(data.toString())));
  socket.on("close", () => peer.rejectAllPendingRequests("closed"));
  return peer;
}

const checks = new Checks("npm json-rpc-2.0, client");

async function connect(url, strangers) {
  const socket = new WebSocket(url);
  await once(socket, "open");
  return { socket, peer: attach(socket, strangers) };
}

async function calls(peer) {
  checks.equal("params by position", await peer.request("math.sum", [1, 2]), 3);
  checks.equal("params by name", await peer.request("math.sum", { x: 1, y: 2 }), 3);
  checks.equal("text of every kind", await peer.request("echo", ['é☃𝄞\n"\\']), 'é☃𝄞\n"\\');
  checks.equal("no params, null as result", await peer.request("nothing"), null);
  const many = await Promise.all(Array.from({ length: 300 }, (_, n) => peer.request("math.sum", [n, n])));
  checks.that("300 calls at once", many.every((sum, n) => sum === 2 * n), many);
  checks.equal("params that are no list and no object", (await errorOf(peer.request("echo", "text"))).code, -32600);
}

async function errors(peer) {
  checks.equal("unknown method", await errorOf(peer.request("nope", [])), { code: -32601, message: 'Method not found: "nope"' });
  checks.equal("wrong params", (await errorOf(peer.request("math.sum", [1]))).code, -32602);
  checks.equal("an inner error", await errorOf(peer.request("broken")), { code: -32603, message: "Internal error" });
  checks.equal("an application error with data", await errorOf(peer.request("fail")), {
    code: 1001,
    message: "insufficient funds",
    data: { missing: 7 },
  });
  const late = await errorOf(peer.timeout(50).request("slow", [300]));
  checks.equal("a call that it gave up, then another", [late.message, await peer.request("slow", [400])], ["Request timeout", 400]);
}

async function batches(peer) {
  const request = (id, method, params) => ({ jsonrpc: "2.0", id, method, params });
  const answers = await peer.requestAdvanced([
    request("a", "math.sum", [1, 2]),
    request("b", "nope", []),
    { jsonrpc: "2.0", method: "log", params: ["in a batch"] },
    request("c", "slow", [100]),
  ]);
  checks.equal("a batch with an error and a notification", answers, [
    { jsonrpc: "2.0", result: 3, id: "a" },
    { jsonrpc: "2.0", error: { code: -32601, message: 'Method not found: "nope"' }, id: "b" },
    { jsonrpc: "2.0", result: 100, id: "c" },
  ]);
  checks.equal("ids of texts and fractions", (await peer.requestAdvanced([request(1.5, "math.sum", [1, 2])]))[0].id, 1.5);
}

async function notifications(peer) {
  peer.notify("log", ["one"]);
  peer.notify("log", { text: "two" });
  peer.notify("nope", []);
  checks.equal("notifications arrive, unknown ones are passed over", await peer.request("logged"), ["in a batch", "one", "two"]);
}

async function callbacks(url) {
  const strangers = [];
  const { peer, socket } = await connect(url, strangers);
  const notes = [];
  peer.addMethod("client.add", ([x, y]) => x + y);
  peer.addMethod("client.double", ([x]) => 2 * x);
  peer.addMethod("client.log", ([text]) => void notes.push(text));
  peer.addMethod("client.fail", () => {
    throw new JSONRPCErrorException("not today", 4711, [1]);
  });
  peer.addMethod("client.ask_back", ([depth]) =>
    depth === 0 ? "bottom" : peer.request("call_me", ["client.ask_back", [depth - 1]]),
  );
  checks.equal("the server calls back", await peer.request("call_me", ["client.add", [1, 2]]), 3);
  checks.equal("the server's call fails here", await errorOf(peer.request("call_me", ["client.fail", []])), {
    code: 4711,
    message: "not today",
    data: [1],
  });
  checks.equal("the server calls an unknown method", (await errorOf(peer.request("call_me", ["client.nope", []]))).code, -32601);
  await peer.request("notify_me", ["client.log", ["hello"]]);
  checks.equal("the server notifies", notes, ["hello"]);
  checks.equal("the server sends a batch", await peer.request("batch_me", ["client.double", [1, 2, 3]]), [2, 4, 6]);
  checks.equal("the server sends a batch of one, answered by an object", await peer.request("batch_me", ["client.double", [4]]), [8]);
  checks.equal("calls nested 20 deep", await peer.request("call_me", ["client.ask_back", [20]]), "bottom");
  const sums = await Promise.all(Array.from({ length: 100 }, (_, n) => peer.request("call_me", ["client.add", [n, 1]])));
  checks.that("100 calls back at once", sums.every((sum, n) => sum === n + 1), sums);
  checks.equal("no message that it can't read", strangers, []);
  socket.close();
}

async function identity(url) {
  const { peer, socket } = await connect(url);
  checks.equal("an unknown client gets the error Unauthorized", (await errorOf(peer.request("whoami"))).code, -32001);
  await peer.request("login", ["Ada"]);
  checks.equal("login leaves identity on the connection", await peer.request("whoami"), "Ada");
  socket.close();
}

/** The URLs of Unix sockets that `ws` has made known, with each of the two as the server. */
async function unixSocket() {
  const directory = mkdtempSync(join(tmpdir(), "wsjsonrpc-"));
  const server = await PeerServer.start(join(directory, "ours.sock"));
  const { peer, socket } = await connect(server.url);
  checks.equal("a call over the Unix socket of our server's URL", await peer.request("math.sum", [1, 2]), 3);
  socket.close();
  await server.stop(checks);
  const path = join(directory, "theirs.sock");
  const listener = createServer();
  const theirs = new WebSocketServer({ server: listener });
  theirs.on("connection", (socket) => attach(socket).addMethod("math.sum", ([x, y]) => x + y));
  listener.listen(path);
  await once(listener, "listening");
  await runClient(checks, `ws+unix://${path}:/`, ["sum"]);
  theirs.clients.forEach((socket) => socket.terminate());
  listener.close();
  rmSync(directory, { recursive: true });
}

async function asClient() {
  const server = await PeerServer.start();
  await checks.group("the run", async () => {
    const { peer, socket } = await connect(server.url);
    await checks.group("calls", () => calls(peer));
    await checks.group("errors", () => errors(peer));
    await checks.group("batches", () => batches(peer));
    await checks.group("notifications", () => notifications(peer));
    await checks.group("callbacks", () => callbacks(server.url));
    await checks.group("identity", () => identity(server.url));
    socket.close();
  });
  await server.stop(checks);
}

function register(peer) {
  const notes = [];
  let user;
  const methods = {
    "math.sum": (params) => (Array.isArray(params) ? params[0] + params[1] : params.x + params.y),
    echo: (params) => params[0],
    nothing: () => null,
    slow: async ([ms]) => {
      await sleep(ms);
      return ms;
    },
    fail: () => {
      throw new JSONRPCErrorException("insufficient funds", 1001, { missing: 7 });
    },
    fail_plain: () => {
      throw new JSONRPCErrorException("no such account", 1002);
    },
    log: ([text]) => void notes.push(text),
    logged: () => notes,
    login: ([name]) => {
      user = name;
      return null;
    },
    whoami: () => {
      if (user === undefined) throw new JSONRPCErrorException("Unauthorized", -32001);
      return user;
    },
    call_me: ([method, params]) => peer.request(method, params),
    notify_me: ([method, params]) => {
      peer.notify(method, params);
      return null;
    },
    batch_me: async ([method, values]) => {
      const requests = values.map((value, n) => ({ jsonrpc: "2.0", id: `b${n}`, method, params: [value] }));
      const replies = await peer.requestAdvanced(requests);
      return replies.map(({ result }) => result);
    },
  };
  for (const [name, method] of Object.entries(methods)) peer.addMethod(name, method);
}

async function asServer() {
  const checks = new Checks("npm json-rpc-2.0, server");
  const strangers = [];
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => register(attach(socket, strangers)));
  await once(server, "listening");
  await runClient(checks, `ws://127.0.0.1:${server.address().port}/`, [
    "sum", "by_name", "echo", "no_params", "unknown_method", "app_error", "app_error_plain", "notify", "notify_unknown",
    "concurrent", "large", "batch", "batch_with_notification", "batch_notifications", "batch_with_error",
    "callback", "callback_by_name", "callback_notify", "callback_unknown", "callback_error", "callback_batch",
    "callback_nested", "login", "sum",
  ]);
  checks.equal("no message that it can't read", strangers, []);
  server.close();
  for (const socket of server.clients) socket.terminate();
  return checks.failed;
}

await asClient();
await checks.group("a Unix socket", unixSocket);
const failed = checks.failed + (await asServer());
process.exit(failed ? 1 : 0);
