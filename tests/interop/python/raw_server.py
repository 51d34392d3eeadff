"""The PyPI package `websockets` as a server that responds in unusual ways, for our client.

The method's name describes the response. Every later call of our client shows that the connection
stayed open.
"""

import asyncio
import json

from websockets.asyncio.server import serve

from common import Checks, client_command, report_client

checks = Checks("python websockets, odd server")

# The code with which each connection of our client ended.
close_codes = []


def ok(id, value=3, **more):
    return json.dumps({"jsonrpc": "2.0", "result": value, "id": id, **more})


def error(id, code=1, message="no", **more):
    return json.dumps({"jsonrpc": "2.0", "error": {"code": code, "message": message, **more}, "id": id})


# The texts that replace the response to a request with this id.
TEXTS = {
    "odd.plain": lambda id: [ok(id)],
    "odd.null": lambda id: [ok(id, None)],
    "odd.error_null": lambda id: ['{"jsonrpc":"2.0","error":null,"result":3,"id":%s}' % json.dumps(id)],
    "odd.result_null_and_error": lambda id: ['{"jsonrpc":"2.0","result":null,"error":{"code":5,"message":"old"},"id":%s}' % json.dumps(id)],
    "odd.both": lambda id: ['{"jsonrpc":"2.0","result":3,"error":{"code":5,"message":"no"},"id":%s}' % json.dumps(id)],
    "odd.neither": lambda id: ['{"jsonrpc":"2.0","id":%s}' % json.dumps(id)],
    "odd.more_members": lambda id: [ok(id, took=5, meta={"result": [1], "id": 99})],
    "odd.error_more": lambda id: [error(id, 5, "no", data=None, stack=["a", "b"])],
    "odd.error_data": lambda id: [error(id, 5, "no", data={"missing": 7})],
    "odd.big_code": lambda id: [error(id, 9007199254740993)],
    "odd.negative_code": lambda id: [error(id, -3000000000)],
    "odd.error_is_text": lambda id: ['{"jsonrpc":"2.0","error":"no","id":%s}' % json.dumps(id)],
    "odd.white_space": lambda id: [' \n{ "result" :\t3 , "id" : %s , "jsonrpc" : "2.0" }\r\n' % json.dumps(id)],
    "odd.unknown_ids": lambda id: [ok(999999, 1), ok("nope", 1), ok(None, 1), ok(1.5, 1), ok(-id, 1), ok([id], 1), error(None), error("s1"), ok(id)],
    "odd.twice": lambda id: [ok(id), ok(id, 4), error(id)],
    "odd.garbage": lambda id: ["no json", "", "1", "null", "{}", "[]", "[1]", '{"a":1}', '{"jsonrpc":"2.0"}', "[" * 100_000, ok(id)],
    "odd.events": lambda id: ['{"notification":"news","params":[1]}', '{"jsonrpc":"2.0","method":"news","params":[1]}', '{"jsonrpc":"2.0","method":"$/progress","params":{"a":1}}', ok(id)],
    "odd.wrong_type": lambda id: [ok(id, "three")],
    "odd.deep": lambda id: ['{"jsonrpc":"2.0","result":%s,"id":%s}' % ("[" * 50_000 + "]" * 50_000, json.dumps(id))],
    "odd.lone_surrogate": lambda id: ['{"jsonrpc":"2.0","result":"\\ud800","id":%s}' % json.dumps(id)],
    "odd.id_as_text": lambda id: [ok(str(id))],
    "odd.id_with_fraction": lambda id: [ok(float(id))],
    "odd.never": lambda id: [],
    "odd.in_an_array": lambda id: ["[" + ok(id) + "]"],
    "odd.array_with_strangers": lambda id: ["[" + ok(777, 1) + "," + ok(id) + ",1,{}]"],
    "odd.array_neither_twice": lambda id: ['[{"jsonrpc":"2.0","id":%d},{"jsonrpc":"2.0","id":%d}]' % (id, id)],
}

# The texts that answer a batch that begins with this method.
BATCHES = {
    "odd.batch_reverse": lambda ids: ["[" + ",".join(ok(id, id) for id in reversed(ids)) + "]"],
    "odd.batch_split": lambda ids: [ok(id, id) for id in reversed(ids)],
    "odd.batch_two_arrays": lambda ids: ["[" + ok(ids[0], ids[0]) + "]", "[" + ",".join(ok(id, id) for id in ids[1:]) + "]"],
    "odd.batch_missing": lambda ids: ["[" + ",".join(ok(id, id) for id in ids[1:]) + "]"],
    "odd.batch_extra": lambda ids: ["[" + ",".join([ok(777, 1), ok("x", 1), *(ok(id, id) for id in ids), error(None)]) + "]"],
    "odd.batch_some_fail": lambda ids: ["[" + ",".join([error(ids[0], 5), *(ok(id, id) for id in ids[1:])]) + "]"],
    "odd.batch_object_for_one": lambda ids: [ok(id, id) for id in ids],
    "odd.batch_empty_array": lambda ids: ["[]"],
}


class Session:
    """One connection of our client."""

    def __init__(self, ws):
        self.ws = ws
        self.pending = {}
        # Our client should never send these: some peers drop the connection on an error with a null
        # id.
        self.null_errors = 0
        self.empty_arrays = 0

    async def send_all(self, texts):
        for text in texts:
            await self.ws.send(text)

    async def request(self, message):
        method, id = message["method"], message["id"]
        # A client's ids are numbers from 1 on, because rpc-websockets does not answer the id 0.
        if type(id) is not int or id < 1:
            await self.ws.send(error(id, 6, f"id {id!r} is not a number from 1 on"))
        elif method in TEXTS:
            await self.send_all(TEXTS[method](id))
        elif method == "odd.binary":
            await self.ws.send(ok(id).encode())
        elif method == "odd.fragments":
            await self.ws.send(iter(ok(id)))
        elif method == "odd.late":
            await asyncio.sleep(0.6)
            await self.ws.send(ok(id, 4))
        elif method == "odd.same_id":
            # A request of ours with the id of the pending call; the client's response becomes the
            # result.
            self.pending[id] = lambda reply: ok(id, reply.get("result"))
            await self.ws.send(json.dumps({"jsonrpc": "2.0", "method": "client.add", "params": [1, 2], "id": id}))
        elif method == "odd.mixed_array":
            call = json.dumps({"jsonrpc": "2.0", "method": "client.log", "params": ["mixed"]})
            await self.ws.send("[" + call + "," + ok(id) + "]")
        elif method == "odd.ping":
            await asyncio.wait_for(await self.ws.ping(b"odd"), 5)
            await self.ws.send(ok(id))
        elif method == "odd.null_errors_sent":
            await self.ws.send(ok(id, self.null_errors))
        elif method == "odd.empty_arrays_sent":
            await self.ws.send(ok(id, self.empty_arrays))
        elif method == "odd.close":
            await self.ws.close(4000, "enough")
        elif method == "odd.drop":
            self.ws.transport.abort()
        else:
            await self.ws.send(error(id, -32601, "Method not found"))

    async def message(self, text):
        message = json.loads(text)
        if isinstance(message, list) and message and "method" in message[0]:
            ids = [entry["id"] for entry in message if "id" in entry]
            await self.send_all(BATCHES[message[0]["method"]](ids))
        elif isinstance(message, dict) and "method" in message:
            if "id" in message:
                await self.request(message)
        elif message == []:
            self.empty_arrays += 1
        elif isinstance(message, dict):
            self.null_errors += "error" in message and message.get("id") is None
            answer = self.pending.pop(message.get("id"), None)
            if answer:
                await self.ws.send(answer(message))


async def handle(ws):
    session = Session(ws)
    if ws.request.path == "/welcome":
        # May arrive in the same packet as the end of the handshake.
        await ws.send('{"jsonrpc":"2.0","method":"client.log","params":["welcome"]}')
    async with asyncio.TaskGroup() as tasks:
        async for text in ws:
            tasks.create_task(session.message(text))
    close_codes.append(ws.close_code)


async def refuse(connection, request):
    """Refuses the path /secret."""
    if request.path == "/secret":
        return connection.respond(401, "who are you?")


ALIVE = [
    "odd.plain", "odd.null", "odd.error_null", "odd.result_null_and_error", "odd.both", "odd.neither",
    "odd.more_members", "odd.error_more", "odd.error_data", "odd.big_code", "odd.negative_code",
    "odd.error_is_text", "odd.white_space", "odd.unknown_ids", "odd.twice", "odd.garbage", "odd.events",
    "odd.wrong_type", "odd.deep", "odd.lone_surrogate", "odd.id_as_text", "odd.id_with_fraction",
    "odd.never", "odd.in_an_array", "odd.array_with_strangers", "odd.array_neither_twice", "odd.binary", "odd.fragments", "odd.late", "odd.same_id", "odd.mixed_array", "odd.ping",
    "odd.batch_reverse", "odd.batch_split", "odd.batch_two_arrays", "odd.batch_missing", "odd.batch_extra",
    "odd.batch_some_fail", "odd.batch_object_for_one", "odd.batch_empty_array", "odd.empty_arrays_sent", "odd.plain",
]


async def run_client(url, scenarios):
    process = await asyncio.create_subprocess_exec(
        *client_command(url, scenarios), stdout=asyncio.subprocess.PIPE
    )
    try:
        stdout, _ = await asyncio.wait_for(process.communicate(), 60)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        checks.fail("our client", f"did not end within 60 s: {scenarios}")
        return
    report_client(checks, stdout.decode(), process.returncode, scenarios)


async def refused(url):
    process = await asyncio.create_subprocess_exec(
        *client_command(url, ["odd.plain"]), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), 60)
    checks.that("a refused handshake is reported with its status", process.returncode == 2 and b"401" in stderr, stderr)


async def main():
    async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/"
        await run_client(url, ALIVE)
        checks.equal("our client closes with 1000", close_codes, [1000])
        await refused(url + "secret")
        await run_client(url + "welcome", ["odd.welcome", "odd.plain"])
        await run_client(url, ["odd.plain", "odd.close"])
        await run_client(url, ["odd.plain", "odd.drop"])


asyncio.run(main())
checks.exit()
