// The npm package rpc-websockets, as client of our server and as server of our client. As a client,
// it takes every message whose id equals one of its pending numbers for the reply, so the ids of a
// server's calls must not be numbers. As a server, it never answers a request whose id is 0 or "",
// and its events are objects without jsonrpc, id or method.

import { Checks, PeerServer, errorOf, once, require, runClient } from "./common.mjs";

const { Client, Server } = require("rpc-websockets");

const checks = new Checks("npm rpc-websockets, client");

async function connect(url) {
  const client = new Client(url, { reconnect: false });
  await once(client, "open");
  return client;
}

/** The package hands requests from the server out as events without their id; this answers them. */
function serve(client, methods) {
  client.socket.addEventListener("message", async ({ data }) => {
    const { id, method, params } = JSON.parse(data);
    if (method === undefined || id === undefined || !(method in methods)) return;
    const result = await methods[method](...params);
    client.socket.send(JSON.stringify({ jsonrpc: "2.0", result, id }));
  });
}

async function calls(client) {
  checks.equal("params by position", await client.call("math.sum", [1, 2]), 3);
  checks.equal("params by name", await client.call("math.sum", { x: 1, y: 2 }), 3);
  checks.equal("text of every kind", await client.call("echo", ['é☃𝄞\n"\\']), 'é☃𝄞\n"\\');
  checks.equal("no params, null as result", await client.call("nothing"), null);
  const many = await Promise.all(Array.from({ length: 300 }, (_, n) => client.call("math.sum", [n, n])));
  checks.that("300 calls at once", many.every((sum, n) => sum === 2 * n), many);
  checks.equal("a call with a deadline", await client.call("math.sum", [1, 2], 5000), 3);
  await errorOf(client.call("slow", [300], 50));
  checks.equal("after a call that it gave up", await client.call("slow", [400]), 400);
}

async function errors(client) {
  checks.equal("unknown method", await errorOf(client.call("nope", [])), { code: -32601, message: 'Method not found: "nope"' });
  checks.equal("wrong params", (await errorOf(client.call("math.sum", [1]))).code, -32602);
  checks.equal("an inner error", await errorOf(client.call("broken")), { code: -32603, message: "Internal error" });
  checks.equal("an application error with data", await errorOf(client.call("fail")), {
    code: 1001,
    message: "insufficient funds",
    data: { missing: 7 },
  });
  checks.equal("its own methods are unknown here", (await errorOf(client.listMethods())).code, -32601);
  checks.equal("its login is unknown here", (await errorOf(client.login({ user: "Ada" }))).code, -32601);
}

async function notifications(client) {
  await client.notify("log", ["one"]);
  await client.notify("log", { text: "two" });
  await client.notify("nope", []);
  checks.equal("notifications arrive, unknown ones are passed over", await client.call("logged"), ["one", "two"]);
}

async function callbacks(url) {
  // A new connection: its first pending id is 1, which a numeric id of the server's first call
  // would equal.
  const client = await connect(url);
  serve(client, { "client.add": (x, y) => x + y });
  checks.equal("the server's first call does not collide with our first call", await client.call("call_me", ["client.add", [1, 2]]), 3);
  const pending = Array.from({ length: 50 }, (_, n) => client.call("call_me", ["client.add", [n, 1]]));
  const sums = await Promise.all(pending);
  checks.that("nor do 50 calls each way at once", sums.every((sum, n) => sum === n + 1), sums);

  const note = once(client, "client.log");
  await client.call("notify_me", ["client.log", ["hello", 1]]);
  checks.equal("the server's notification is an event", await note, [["hello", 1]]);
  client.close();
  await once(client, "close");
}

async function identity(url) {
  const ada = await connect(url);
  checks.equal("an unknown client gets the error Unauthorized", (await errorOf(ada.call("whoami"))).code, -32001);
  await ada.call("login", ["Ada"]);
  checks.equal("login leaves identity on the connection", await ada.call("whoami"), "Ada");
  const closed = once(ada, "close");
  ada.close(4001, "bye");
  checks.equal("its close code comes back", (await closed)[0], 4001);
}

async function asClient() {
  const server = await PeerServer.start();
  await checks.group("the run", async () => {
    const client = await connect(server.url);
    await checks.group("calls", () => calls(client));
    await checks.group("errors", () => errors(client));
    await checks.group("notifications", () => notifications(client));
    await checks.group("callbacks", () => callbacks(server.url));
    await checks.group("identity", () => identity(server.url));
    client.close();
  });
  await server.stop(checks);
}

const named = (params, ...names) => (Array.isArray(params) ? params : names.map((name) => params[name]));

function register(server) {
  const notes = new Map();
  const methods = {
    "math.sum": (params) => {
      const [x, y] = named(params, "x", "y");
      return x + y;
    },
    echo: (params) => named(params, "s")[0],
    nothing: () => null,
    slow: ([ms]) => new Promise((resolve) => setTimeout(() => resolve(ms), ms)),
    fail: () => {
      throw { code: 1001, message: "insufficient funds", data: { missing: 7 } };
    },
    fail_plain: () => {
      throw { code: 1002, message: "no such account" };
    },
    throws: () => {
      throw new TypeError("some text");
    },
    log: ([text], socket) => void notes.set(socket, [...(notes.get(socket) ?? []), text]),
    logged: (_, socket) => notes.get(socket) ?? [],
    notify_me: ([method, params], socket) => {
      server.of("/").clients().clients.get(socket).send(JSON.stringify({ jsonrpc: "2.0", method, params }));
      return null;
    },
    publish: ([value]) => {
      server.emit("news", value);
      return null;
    },
  };
  for (const [name, method] of Object.entries(methods)) server.register(name, method);
  server.event("news");
  server.setAuth(({ user }) => user === "Ada");
  server.register("secret", () => 42).protected();
}

async function asServer() {
  const checks = new Checks("npm rpc-websockets, server");
  const server = new Server({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  register(server);
  const url = `ws://127.0.0.1:${server.wss.address().port}/`;
  await runClient(checks, url, [
    "sum", "by_name", "echo", "no_params", "unknown_method", "app_error", "app_error_plain", "rpc_websockets_throws",
    "notify", "notify_unknown", "concurrent", "large", "batch", "batch_with_notification", "batch_notifications",
    "batch_with_error", "callback_notify", "rpc_websockets_events", "rpc_websockets_login", "sum",
  ]);
  const ended = once(server.wss, "close");
  await server.close();
  for (const socket of server.wss.clients) socket.terminate();
  await ended;
  return checks.failed;
}

await asClient();
const failed = checks.failed + (await asServer());
process.exit(failed ? 1 : 0);
