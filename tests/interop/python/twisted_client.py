"""The PyPI package `wsjsonrpc` (Twisted, Autobahn) as client of our server, used as in its manual.

It counts ids from 0, leaves out empty params, and drops the connection on an error object with
`data`, on a response to an unknown call, and on a request with an unknown member.
"""

import sys

from twisted.internet import defer, reactor, task
from wsjsonrpc import exception, factory

from common import Checks, PeerServer

checks = Checks("python wsjsonrpc, client")


class Client:
    """A connection that serves methods and makes calls."""

    def __init__(self):
        self.factory = factory.JsonRpcWebSocketClientFactory("ws://127.0.0.1/wsjsonrpc")
        self.notes = defer.DeferredQueue()
        self.factory.registerMethod("client.add", lambda protocol, x, y: x + y)
        self.factory.registerMethod("client.double", lambda protocol, x: 2 * x)
        self.factory.registerMethod("client.broken", self.broken)
        self.factory.registerMethod("client.log", lambda protocol, text: self.notes.put(text))
        self.factory.registerMethod("client.ask_back", self.ask_back)

    def connect(self, port):
        reactor.connectTCP("127.0.0.1", port, self.factory)
        return self.factory.getProtocol()

    @staticmethod
    def broken(protocol):
        raise ValueError("nobody must see this")

    @staticmethod
    def ask_back(protocol, depth):
        """Calls the server back, which calls us again, and so on."""
        if depth == 0:
            return "bottom"
        return protocol.request("call_me", ["client.ask_back", [depth - 1]])


async def error_of(deferred):
    try:
        result = await deferred
    except exception.JsonRpcException as error:
        return type(error).__name__, error.errno, error.message
    return "no error", result


async def calls(protocol):
    checks.equal("the first id is 0, and is answered", await protocol.request("math.sum", [1, 2]), 3)
    checks.equal("params by name", await protocol.request("math.sum", {"x": 1, "y": 2}), 3)
    checks.equal("text of every kind", await protocol.request("echo", ["é☃𝄞\n\"\\"]), "é☃𝄞\n\"\\")
    checks.equal("no params, null as result", await protocol.request("nothing"), None)
    checks.equal("empty params are left out by the library", await protocol.request("nothing", []), None)
    checks.equal("an option left out", await protocol.request("greet", {"name": "Ada"}), "Hello, Ada!")
    results = await defer.gatherResults([protocol.request("math.sum", [n, n]) for n in range(300)])
    checks.equal("300 calls at once", results, [2 * n for n in range(300)])


async def errors(protocol):
    checks.equal("unknown method", await error_of(protocol.request("nope")), ("JsonRpcMethodNotFound", -32601, "Method not found"))
    checks.equal("wrong params", (await error_of(protocol.request("math.sum", [1])))[:2], ("JsonRpcInvalidParams", -32602))
    checks.equal("a handler that fails", await error_of(protocol.request("broken")), ("JsonRpcInternalError", -32603, "Internal error"))
    checks.equal("a handler that panics", await error_of(protocol.request("panic")), ("JsonRpcInternalError", -32603, "Internal error"))
    checks.equal("an application error", await error_of(protocol.request("fail_plain")), ("JsonRpcCustomException", 1002, "no such account"))
    checks.equal("the connection stays open", await protocol.request("math.sum", [1, 2]), 3)


async def notifications(protocol):
    for text in ("one", "two"):
        protocol.notify("log", [text])
    protocol.notify("nope", [1])
    protocol.notify("fail_plain")
    checks.equal("notifications arrive, and are never answered", await protocol.request("logged"), ["one", "two"])


async def batches(protocol):
    with protocol.batchContext() as batch:
        for n in range(1, 5):
            batch.request("math.sum", [n, n + 1])
        answers = batch.deferredList(consumeErrors=1)
    checks.equal("batchContext", await answers, [(True, 3), (True, 5), (True, 7), (True, 9)])

    batch = protocol.batch()
    good, bad = batch.request("math.sum", [1, 2]), batch.request("nope")
    batch.notify("log", ["three"])
    late = batch.request("slow", [200])
    batch.sendBatch()
    checks.equal("a batch with an error, a notification and a slow one", (await good, (await error_of(bad))[1], await late), (3, -32601, 200))

    with protocol.batchContext() as batch:
        batch.notify("log", ["four"])
        batch.notify("log", ["five"])
    checks.equal("a batch of only notifications is not answered", await protocol.request("logged"), ["one", "two", "three", "four", "five"])


async def callbacks(client, protocol):
    checks.equal("the server calls back", await protocol.request("call_me", ["client.add", [1, 2]]), 3)
    checks.equal("the server calls back by name", await protocol.request("call_me", ["client.add", {"x": 3, "y": 4}]), 7)
    protocol.request("notify_me", ["client.log", ["hello"]])
    checks.equal("the server notifies", await client.notes.get(), "hello")
    checks.equal("the server sends a batch", await protocol.request("batch_me", ["client.double", [1, 2, 3]]), [2, 4, 6])
    checks.equal("the server calls an unknown method", (await error_of(protocol.request("call_me", ["client.nope", []])))[1], -32601)
    checks.equal("the server calls what fails", (await error_of(protocol.request("call_me", ["client.broken", []])))[1], -32603)
    checks.equal("calls nested 20 deep", await protocol.request("call_me", ["client.ask_back", [20]]), "bottom")
    with protocol.batchContext() as batch:
        called, plain = batch.request("call_me", ["client.add", [5, 6]]), batch.request("math.sum", [1, 2])
    checks.equal("a batch whose handler calls back", (await called, await plain), (11, 3))
    both = [protocol.request("call_me", ["client.add", [n, 1]]) for n in range(100)]
    checks.equal("100 calls back at once", await defer.gatherResults(both), [n + 1 for n in range(100)])


async def identity(port):
    ada, eve = await Client().connect(port), await Client().connect(port)
    checks.equal("an unknown client gets the error Unauthorized", (await error_of(ada.request("whoami")))[1], -32001)
    await ada.request("login", ["Ada"])
    checks.equal("login leaves identity on the connection", await ada.request("whoami"), "Ada")
    checks.equal("and on no other", (await error_of(eve.request("whoami")))[1], -32001)
    for protocol in (ada, eve):
        protocol.sendClose()


async def manual(port):
    """The client of the package's manual, with the port changed."""
    protocol = await factory.get_client(hostname="127.0.0.1", port=port, path="wsjsonrpc")
    checks.equal("the manual's client", await protocol.request("math.sum", [1, 2]), 3)
    protocol.sendClose()


async def its_limit(port):
    """An error with data ends its connection, which is known. Our server must not be affected."""
    protocol = await Client().connect(port)
    answer = protocol.request("fail")
    while protocol.transport.connected:
        await task.deferLater(reactor, 0.02, lambda: None)
    answer.addErrback(lambda failure: None)
    other = await Client().connect(port)
    checks.equal("our server outlives a client that drops the connection on error data", await other.request("math.sum", [1, 2]), 3)
    other.sendClose()


async def main(server):
    client = Client()
    protocol = await client.connect(server.port)
    await calls(protocol)
    await errors(protocol)
    await notifications(protocol)
    await batches(protocol)
    await callbacks(client, protocol)
    await identity(server.port)
    await manual(server.port)
    await its_limit(server.port)
    checks.that("the first connection is still open", protocol.transport.connected, "it is closed")


def run(reactor):
    server = PeerServer()
    done = defer.ensureDeferred(main(server))
    done.addTimeout(60, reactor)

    def end(failure):
        if failure is not None:
            checks.fail("the run", failure)
        server.stop_checked(checks)

    return done.addBoth(end)


try:
    task.react(run)
except SystemExit:
    pass
sys.exit(1 if checks.failed else 0)
