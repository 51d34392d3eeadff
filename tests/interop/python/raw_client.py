"""The PyPI package `websockets` as client, sending raw text to our server.

Tests the protocol from outside: the table of `table.py`, frames of every kind, concurrency, calls
from the server, identity, close codes. Does not depend on how our side is built.
"""

import asyncio
import json
import os
import tempfile

import websockets
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import InvalidStatus

import table
from common import Checks, PeerServer

checks = Checks("python websockets, client")
TIMEOUT = 20
MARKER = '{"jsonrpc":"2.0","method":"math.sum","params":[40,2],"id":"marker"}'
MARKED = '{"jsonrpc":"2.0","result":42,"id":"marker"}'


class Number(str):
    """Keeps the text of a number, so that 1.5 is not equal to 1.50."""


def read(text):
    """Decodes JSON, with numbers as text; None for no text."""
    return None if text is None else json.loads(text, parse_int=Number, parse_float=Number)


def same(got, expected):
    """Equal, except that the message of an error may be longer than expected."""
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(expected, dict):
        if not isinstance(got, dict) or got.keys() != expected.keys():
            return False
        return all(
            got[key].startswith(value) if key == "message" else same(got[key], value)
            for key, value in expected.items()
        )
    return type(got) is type(expected) and got == expected


async def receive(ws, timeout=TIMEOUT):
    return await asyncio.wait_for(ws.recv(), timeout)


async def ask(ws, method, params=None, id="q"):
    """Sends a request; returns the result or the error object."""
    await ws.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or [], "id": id}))
    reply = json.loads(await receive(ws))
    assert reply["id"] == id, reply
    return reply["result"] if "result" in reply else reply["error"]


async def row(ws, incoming, expected):
    """Sends a text, then a marker request; returns the texts before the response to the marker."""
    await ws.send(incoming)
    await ws.send(MARKER)
    got = []
    while True:
        text = await receive(ws)
        if read(text) == read(MARKED):
            break
        got.append(text)
    # The response of a slow handler arrives after the marker.
    if expected is not None and not got:
        got.append(await receive(ws))
    return got


def shorten(text):
    text = str(text)
    return text if len(text) < 300 else text[:300] + "…"


async def wire_table(url):
    """Every row on one connection: each response shows that the row before did no harm."""
    ws = await connect(url, max_size=None)
    for name, incoming, expected in table.all_cases():
        name = f"wire: {name}"
        try:
            got = await row(ws, incoming, expected)
            if name.removeprefix("wire: ") in table.ONE_ANSWER:
                good = len(got) == 1 and ("error" in read(got[0])) != ("result" in read(got[0]))
                checks.that(name, good, f"sent {shorten(incoming)}, got {shorten(got)}, expected one clean answer")
            elif expected is None:
                checks.that(name, got == [], f"sent {shorten(incoming)}, got {shorten(got)}, expected silence")
            else:
                good = len(got) == 1 and same(read(got[0]), read(expected))
                checks.that(name, good, f"sent {shorten(incoming)}, got {shorten(got)}, expected {expected}")
        except (websockets.ConnectionClosed, asyncio.TimeoutError) as error:
            checks.fail(name, f"sent {shorten(incoming)}, then {type(error).__name__} {error}")
            await ws.close()
            ws = await connect(url, max_size=None)
    await ws.close()


async def text_in_and_out(ws):
    await ws.send(MARKER)
    checks.that("the answer is a text frame", isinstance(await receive(ws), str), "got bytes")


async def binary_frames(ws):
    await ws.send(MARKER.encode())
    reply = await receive(ws)
    checks.that("JSON in a binary frame is read, and answered as text", reply == MARKED, shorten(reply))
    await ws.send(b"\xff\xfe\x00")
    reply = await receive(ws)
    checks.that("a binary frame that is no UTF-8 is a parse error", same(read(reply), read(table.BAD_JSON)), shorten(reply))


async def fragments(ws):
    await ws.send(iter(MARKER))
    checks.equal("a message in a frame for each letter", await receive(ws), MARKED)
    text = '{"jsonrpc":"2.0","method":"echo","params":["é☃𝄞"],"id":1}'.encode()
    await ws.send((bytes([byte]) for byte in text))
    reply = json.loads(await receive(ws))
    checks.equal("a binary message cut inside its characters", reply["result"], "é☃𝄞")

    async def with_pings():
        for part in (MARKER[:20], MARKER[20:50], MARKER[50:]):
            yield part
            await ws.ping()

    await ws.send(with_pings())
    checks.equal("pings between the fragments of a message", await receive(ws), MARKED)


async def pings(ws):
    pong = await ws.ping(b"interop")
    await asyncio.wait_for(pong, TIMEOUT)
    checks.ok("a ping is answered")
    await ws.send('{"jsonrpc":"2.0","method":"slow","params":[300],"id":1}')
    pong = await ws.ping()
    await asyncio.wait_for(pong, TIMEOUT)
    checks.equal("a ping is answered while a handler runs", json.loads(await receive(ws))["result"], 300)
    await ws.pong(b"nobody asked")
    checks.equal("a pong nobody asked for is passed over", await ask(ws, "math.sum", [1, 2]), 3)


async def large(ws):
    text = "0123456789abcdeé" * 65536
    checks.that("an echo of 1 MiB", await ask(ws, "echo", [text]) == text, "another text came back")


async def concurrency(ws):
    count = 1000
    for id in range(count):
        await ws.send('{"jsonrpc":"2.0","method":"math.sum","params":[%d,1],"id":%d}' % (id, id))
    replies = [json.loads(await receive(ws)) for _ in range(count)]
    checks.that(
        "1000 requests before reading the first answer",
        sorted(r["id"] for r in replies) == list(range(count)) and all(r["result"] == r["id"] + 1 for r in replies),
        "answers are missing or mixed up",
    )
    order = []
    for ms in (600, 300, 0):
        await ws.send('{"jsonrpc":"2.0","method":"slow","params":[%d],"id":%d}' % (ms, ms))
    for _ in range(3):
        order.append(json.loads(await receive(ws))["id"])
    checks.equal("a slow handler holds up nobody", order, [0, 300, 600])


async def slow_reader(ws):
    """20 MiB of responses to a client that sends all requests before it reads."""
    count, text = 320, "x" * 65536
    request = '{"jsonrpc":"2.0","method":"echo","params":["%s"],"id":%d}'

    async def ask_all():
        for id in range(count):
            await ws.send(request % (text, id))

    asking = asyncio.create_task(ask_all())
    await asyncio.sleep(1)
    ids = []
    for _ in range(count):
        reply = json.loads(await receive(ws))
        if reply["result"] == text:
            ids.append(reply["id"])
    await asking
    checks.that("answers wait for a slow reader", sorted(ids) == list(range(count)), f"{len(ids)} of {count} came")


async def callbacks(ws):
    """The server calls us during our own call."""
    await ws.send('{"jsonrpc":"2.0","method":"call_me","params":["client.add",[1,2]],"id":1}')
    request = json.loads(await receive(ws))
    checks.that("a server's request", request.get("method") == "client.add" and request.get("params") == [1, 2], request)
    checks.that("the ids of a server's calls are strings", isinstance(request["id"], str), request)
    await ws.send('{"jsonrpc":"2.0","result":1,"id":1}')
    await ws.send(MARKER)
    checks.equal("a result with our own id is no answer to the server's call", await receive(ws), MARKED)
    await ws.send(json.dumps({"jsonrpc": "2.0", "result": 3, "id": request["id"]}))
    checks.equal("our answer becomes the result of our call", json.loads(await receive(ws)), {"jsonrpc": "2.0", "result": 3, "id": 1})

    await ws.send('{"jsonrpc":"2.0","method":"call_me","params":["client.fail",{"a":1}],"id":2}')
    request = json.loads(await receive(ws))
    checks.equal("a server's request by name", request["params"], {"a": 1})
    error = {"code": 4711, "message": "not today", "data": [1]}
    await ws.send(json.dumps({"jsonrpc": "2.0", "error": error, "id": request["id"]}))
    checks.equal("our error becomes the error of our call", json.loads(await receive(ws)).get("error"), error)

    await ws.send('{"jsonrpc":"2.0","method":"notify_me","params":["client.log",["hello"]],"id":3}')
    replies = [json.loads(await receive(ws)) for _ in range(2)]
    expected = {"jsonrpc": "2.0", "method": "client.log", "params": ["hello"]}
    checks.that("a server's notification has no id", expected in replies, replies)

    await ws.send('{"jsonrpc":"2.0","method":"call_me","params":["again",[]],"id":4}')
    request = json.loads(await receive(ws))
    await ws.send('{"jsonrpc":"2.0","method":"call_me","params":["deeper",[]],"id":5}')
    deeper = json.loads(await receive(ws))
    checks.that("every call of the server has an id of its own", request["id"] != deeper["id"], deeper)
    await ws.send(json.dumps({"jsonrpc": "2.0", "result": "in", "id": deeper["id"]}))
    inner = json.loads(await receive(ws))
    await ws.send(json.dumps({"jsonrpc": "2.0", "result": "out", "id": request["id"]}))
    outer = json.loads(await receive(ws))
    checks.equal("a call inside a call inside a call", [inner["result"], inner["id"], outer["result"], outer["id"]], ["in", 5, "out", 4])

    await ws.send('{"jsonrpc":"2.0","method":"batch_me","params":["client.double",[1,2,3]],"id":6}')
    batch = json.loads(await receive(ws))
    checks.that("a server's batch is one array of requests", isinstance(batch, list) and [r["params"] for r in batch] == [[1], [2], [3]], batch)
    replies = [{"jsonrpc": "2.0", "result": 2 * r["params"][0], "id": r["id"]} for r in reversed(batch)]
    await ws.send(json.dumps(replies))
    checks.equal("a batch answered in reverse", json.loads(await receive(ws))["result"], [2, 4, 6])

    await ws.send('[{"jsonrpc":"2.0","method":"call_me","params":["in.batch",[]],"id":7},{"jsonrpc":"2.0","method":"math.sum","params":[1,2],"id":8}]')
    request = json.loads(await receive(ws))
    checks.that("a batch whose handler calls us first", request.get("method") == "in.batch", request)
    await ws.send(json.dumps({"jsonrpc": "2.0", "result": "x", "id": request["id"]}))
    batch = json.loads(await receive(ws))
    checks.equal("and is answered as one", [(r["id"], r["result"]) for r in batch], [(7, "x"), (8, 3)])


async def notifications(ws):
    for text in ("one", "two", "three"):
        await ws.send(table.note("log", json.dumps([text])))
    await ws.send("[" + table.note("log", '{"text":"four"}') + "," + table.note("log", '["five"]') + "]")
    checks.equal("notifications arrive in order", await ask(ws, "logged"), ["one", "two", "three", "four", "five"])


async def identity(url):
    async with connect(url) as ada, connect(url) as eve:
        error = await ask(ada, "whoami")
        checks.that("an unknown client gets the error Unauthorized", isinstance(error, dict) and error["code"] == -32001, error)
        await ask(ada, "login", ["Ada"])
        checks.equal("identity stays on its connection", await ask(ada, "whoami"), "Ada")
        error = await ask(eve, "whoami")
        checks.that("and is on no other", isinstance(error, dict) and error["code"] == -32001, error)


async def handshakes(url):
    for path in ("", "wsjsonrpc", "any/path?with=query"):
        async with connect(url + path) as ws:
            checks.equal(f"connects to /{path}", await ask(ws, "math.sum", [1, 2]), 3)
    own = url.replace("ws://", "http://").rstrip("/")
    async with connect(url, compression=None, origin=own) as ws:
        checks.equal("a page of the own host connects", await ask(ws, "math.sum", [1, 2]), 3)
    try:
        async with connect(url, compression=None, origin="http://elsewhere.example"):
            status = 101
    except InvalidStatus as refused:
        status = refused.response.status_code
    checks.equal("a page of another host is refused", status, 403)
    async with connect(url, compression="deflate", subprotocols=["jsonrpc"]) as ws:
        checks.that("offered compression and subprotocol are passed over", ws.subprotocol is None and await ask(ws, "math.sum", [1, 2]) == 3, ws.subprotocol)


async def no_websocket(url):
    """Other protocols on the port."""
    host, port = url.removeprefix("ws://").rstrip("/").split(":")
    for name, request in (
        ("a plain HTTP request is refused in HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("an upgrade to something else is refused in HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(64), TIMEOUT)
        checks.that(name, answer.startswith(b"HTTP/1.1 4"), answer)
        writer.close()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no TLS here\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(64), TIMEOUT)
    checks.that("noise gets no WebSocket", not answer.startswith(b"HTTP/1.1 101"), answer)
    writer.close()
    async with connect(url) as ws:
        checks.equal("the server outlives all of it", await ask(ws, "math.sum", [1, 2]), 3)


async def many_connections(url):
    async def one(n):
        async with connect(url) as ws:
            await ask(ws, "login", [f"user {n}"])
            assert await ask(ws, "math.sum", [n, n]) == 2 * n
            return await ask(ws, "whoami")

    names = await asyncio.gather(*(one(n) for n in range(200)))
    checks.equal("200 connections at once, each its own", names, [f"user {n}" for n in range(200)])


async def close_codes(url):
    ws = await connect(url)
    await ws.close(1000, "done")
    checks.equal("a close is answered with the same code", ws.close_code, 1000)
    ws = await connect(url)
    await ws.close(4321, "own code")
    checks.equal("a code of the application is given back", ws.close_code, 4321)

    ws = await connect(url)
    await ws.send('{"jsonrpc":"2.0","method":"call_me","params":["never",[]],"id":1}')
    await receive(ws)
    await ws.close()
    ws = await connect(url)
    ws.transport.abort()
    async with connect(url) as ws:
        checks.equal("the server outlives connections that end in the middle of a call", await ask(ws, "math.sum", [1, 2]), 3)

    ws = await connect(url, max_size=None)
    try:
        await ws.send('{"jsonrpc":"2.0","method":"echo","params":["' + "x" * (11 << 20) + '"],"id":1}')
        await receive(ws)
    except websockets.ConnectionClosed:
        pass
    checks.that("a message over the limit closes with 1009", ws.close_code == 1009, f"close code {ws.close_code}")

    for name, frame, code in (
        ("a frame of a reserved kind", b"\x83\x80\x00\x00\x00\x00", 1002),
        ("a frame without a mask", b"\x81\x02{}", 1002),
        ("a ping in fragments", b"\x09\x80\x00\x00\x00\x00", 1002),
        ("a continuation of nothing", b"\x80\x80\x00\x00\x00\x00", 1002),
        ("a text that is no UTF-8", b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),
    ):
        ws = await connect(url)
        ws.transport.write(frame)
        try:
            await receive(ws)
        except websockets.ConnectionClosed:
            pass
        checks.equal(f"{name} closes with {code}", ws.close_code, code)


async def at_shutdown():
    """What was received gets a response; then comes the close handshake."""
    server = PeerServer()
    ws = await connect(server.url)
    await ws.send('{"jsonrpc":"2.0","method":"slow","params":[700],"id":1}')
    await ws.send(MARKER)
    await receive(ws)
    stopped = asyncio.get_running_loop().run_in_executor(None, server.stop)
    try:
        checks.equal("a call in progress is answered at shutdown", json.loads(await receive(ws)).get("result"), 700)
        await receive(ws)
        checks.fail("shutdown closes the connection", "a message came instead")
    except websockets.ConnectionClosed:
        checks.that("shutdown closes with 1001 or 1000", ws.close_code in (1000, 1001), f"close code {ws.close_code}")
    checks.equal("the server ends after that", await stopped, 0)


async def unix_socket():
    """Their client on a Unix socket, whose file is removed when the server stops."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "peer.sock")
        server = PeerServer(path)
        checks.equal("a URL for a Unix socket", server.url, f"ws+unix://{path}:/")
        async with unix_connect(path, "ws://localhost/any/path") as ws:
            checks.equal("a call over a Unix socket", await ask(ws, "math.sum", [1, 2]), 3)
        server.stop_checked(checks)
        checks.that("the socket's file is gone", not os.path.exists(path), path)


async def main():
    server = PeerServer()
    try:
        for part in (text_in_and_out, binary_frames, fragments, pings, large, concurrency, slow_reader, callbacks, notifications):
            async with connect(server.url, max_size=None) as ws:
                try:
                    await part(ws)
                except Exception as error:
                    checks.fail(part.__name__, f"{type(error).__name__} {error}")
        for part in (wire_table, identity, handshakes, no_websocket, many_connections, close_codes):
            try:
                await part(server.url)
            except Exception as error:
                checks.fail(part.__name__, f"{type(error).__name__} {error}")
    finally:
        server.stop_checked(checks)
    for part in (at_shutdown, unix_socket):
        try:
            await part()
        except Exception as error:
            checks.fail(part.__name__, f"{type(error).__name__} {error}")


asyncio.run(main())
checks.exit()
