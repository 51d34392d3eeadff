"""The PyPI package `wsjsonrpc` (Twisted, Autobahn) as server, for our client.

Its handlers do not learn the id of a request, but its exceptions must carry it, so the protocol
below keeps it. It answers a batch of only notifications with `[]`, and drops the connection if it
gets an error about that `[]`.
"""

import sys

from twisted.internet import defer, reactor, task, utils
from wsjsonrpc import exception, factory, protocol

from common import Checks, client_command, report_client

checks = Checks("python wsjsonrpc, server")

SCENARIOS = [
    "sum", "by_name", "echo", "no_params", "unknown_method", "inner_error", "app_error_plain", "notify",
    "concurrent", "large", "batch", "batch_with_notification", "batch_notifications", "batch_with_error",
    "callback", "callback_by_name", "callback_notify", "callback_unknown", "callback_error_plain",
    "callback_batch", "callback_nested", "login", "sum",
]


class Protocol(protocol.JsonRpcServerProtocol):
    """One connection, with the state that handlers store on it."""

    def __init__(self):
        super().__init__()
        self.current_id = None
        self.user = None
        self.notes = []

    def onRequest(self, jsonrpc=None, method=None, params=None, id=None):
        self.current_id = id
        return super().onRequest(jsonrpc, method, params, id)


def fail_plain(connection):
    raise exception.JsonRpcCustomException(connection.current_id, 1002, "no such account")


def broken(connection):
    raise ValueError("nobody must see this")


def log(connection, text):
    connection.notes.append(text)


def login(connection, user):
    connection.user = user


def whoami(connection):
    if connection.user is None:
        raise exception.JsonRpcCustomException(connection.current_id, -32001, "Unauthorized")
    return connection.user


def passed_on(connection, answer):
    """Passes on the peer's error with the id of our own request."""
    id = connection.current_id

    def again(failure):
        error = failure.value
        return defer.fail(exception.JsonRpcCustomException(id, error.errno, error.message))

    return answer.addErrback(again)


def call_me(connection, method, params):
    return passed_on(connection, connection.request(method, params))


def notify_me(connection, method, params):
    connection.notify(method, params)


def batch_me(connection, method, arguments):
    with connection.batchContext() as batch:
        answers = [batch.request(method, [argument]) for argument in arguments]
    return passed_on(connection, defer.gatherResults(answers))


METHODS = {
    "math.sum": lambda connection, x, y: x + y,
    "echo": lambda connection, s: s,
    "nothing": lambda connection: None,
    "fail_plain": fail_plain,
    "broken": broken,
    "log": log,
    "logged": lambda connection: connection.notes,
    "slow": lambda connection, ms: task.deferLater(reactor, ms / 1000, lambda: ms),
    "login": login,
    "whoami": whoami,
    "call_me": call_me,
    "notify_me": notify_me,
    "batch_me": batch_me,
}


async def main():
    server = factory.JsonRpcWebSocketServerFactory("ws://127.0.0.1/wsjsonrpc")
    server.protocol = Protocol
    for name, method in METHODS.items():
        server.registerMethod(name, method)
    port = reactor.listenTCP(0, server, interface="127.0.0.1")
    url = f"ws://127.0.0.1:{port.getHost().port}/wsjsonrpc"
    command = client_command(url, SCENARIOS)
    stdout, stderr, code = await utils.getProcessOutputAndValue(command[0], command[1:], env=None)
    sys.stderr.write(stderr.decode())
    report_client(checks, stdout.decode(), code, SCENARIOS)
    await port.stopListening()


def run(reactor):
    done = defer.ensureDeferred(main())
    done.addTimeout(60, reactor)
    return done.addErrback(lambda failure: checks.fail("the run", failure))


try:
    task.react(run)
except SystemExit:
    pass
sys.exit(1 if checks.failed else 0)
