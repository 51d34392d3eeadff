"""The protocol as a table: the texts that are sent, and the expected responses. Data only.

None means that no response is expected. In an expected error the message is a prefix, because a
server may add to it. Everything else is exact: no further members, numbers and ids verbatim.
"""

BAD_JSON = '{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}'
BAD_REQUEST = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}'


def error(code, message, id):
    return '{"jsonrpc":"2.0","error":{"code":%d,"message":"%s"},"id":%s}' % (code, message, id)


def result(value, id):
    return '{"jsonrpc":"2.0","result":%s,"id":%s}' % (value, id)


def params_error(id):
    return error(-32602, "Invalid params", id)


# The examples of the specification's section 7, verbatim.
SPEC = [
    ("positional parameters", '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', '{"jsonrpc": "2.0", "result": 19, "id": 1}'),
    ("positional parameters, swapped", '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}', '{"jsonrpc": "2.0", "result": -19, "id": 2}'),
    ("named parameters", '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}', '{"jsonrpc": "2.0", "result": 19, "id": 3}'),
    ("named parameters, swapped", '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}', '{"jsonrpc": "2.0", "result": 19, "id": 4}'),
    ("a notification", '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ("a notification without params, unknown", '{"jsonrpc": "2.0", "method": "foobar"}', None),
    ("non-existent method", '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', '{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}'),
    ("invalid JSON", '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}'),
    ("invalid request object", '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}'),
    ("batch, invalid JSON", '[\n  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},\n  {"jsonrpc": "2.0", "method"\n]', '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}'),
    ("empty array", "[]", '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}'),
    ("invalid batch, not empty", "[1]", '[{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}]'),
    ("invalid batch", "[1,2,3]", '[{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}]'),
    (
        "batch",
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},'
        '{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},'
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},'
        '{"foo": "boo"},'
        '{"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
        '{"jsonrpc": "2.0", "method": "get_data", "id": "9"}]',
        '[{"jsonrpc": "2.0", "result": 7, "id": "1"},'
        '{"jsonrpc": "2.0", "result": 19, "id": "2"},'
        '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},'
        '{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},'
        '{"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}]',
    ),
    ("batch, all notifications", '[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]', None),
]

# Each is the id of a math.sum(1, 2), and must come back verbatim.
IDS = ["0", "-1", "1.5", "1.50", "1e3", "-0", "-0.0", "9007199254740993", "18446744073709551617", "123456789012345678901234567890", '""', '"1"', '"\\u00e9"', '"a\\"b\\\\"', '"☃ 𝄞"', "null"]

# Not an id: -32600 with id null.
NOT_IDS = ["true", "false", "[]", "[1]", "{}", '{"a":1}']


def call(method, params, id="1"):
    params = "" if params is None else f',"params":{params}'
    return '{"jsonrpc":"2.0","method":"%s"%s,"id":%s}' % (method, params, id)


def note(method, params):
    return '{"jsonrpc":"2.0","method":"%s","params":%s}' % (method, params)


CASES = [
    # request or notification
    ("id null is a request", call("math.sum", "[1,2]", "null"), result("3", "null")),
    ("unknown method with id null is answered", call("nope", "[]", "null"), error(-32601, "Method not found", "null")),
    ("unknown notification is silence", note("nope", "[]"), None),
    ("failing notification is silence", note("fail", "[]"), None),
    ("notification with wrong params is silence", note("math.sum", '["x"]'), None),
    ("panicking notification is silence", note("panic", "[]"), None),
    # params
    ("too few params", call("math.sum", "[1]"), params_error("1")),
    ("too many params", call("math.sum", "[1,2,3]"), params_error("1")),
    ("no params at all", call("math.sum", None), params_error("1")),
    ("wrong type by position", call("math.sum", '[1,"2"]'), params_error("1")),
    ("wrong type by name", call("math.sum", '{"x":1,"y":"2"}'), params_error("1")),
    ("fraction for an integer", call("math.sum", "[1,2.5]"), params_error("1")),
    ("missing name", call("math.sum", '{"x":1}'), params_error("1")),
    ("unknown name", call("math.sum", '{"x":1,"y":2,"z":3}'), params_error("1")),
    ("a name twice", call("math.sum", '{"x":1,"y":2,"x":3}'), params_error("1")),
    ("names with escapes", call("math.sum", '{"\\u0078":1,"\\u0079":2}'), result("3", "1")),
    ("overflow of i64 in params", call("math.sum", "[9223372036854775808,0]"), params_error("1")),
    ("no params: absent", call("nothing", None), result("null", "1")),
    ("no params: empty list", call("nothing", "[]"), result("null", "1")),
    ("no params: empty object", call("nothing", "{}"), result("null", "1")),
    ("no params: one too many", call("nothing", "[1]"), params_error("1")),
    ("option given", call("greet", '["Ada","Hi"]'), result('"Hi, Ada!"', "1")),
    ("option left out of a list", call("greet", '["Ada"]'), result('"Hello, Ada!"', "1")),
    ("option null in a list", call("greet", '["Ada",null]'), result('"Hello, Ada!"', "1")),
    ("option left out of an object", call("greet", '{"name":"Ada"}'), result('"Hello, Ada!"', "1")),
    ("option null in an object", call("greet", '{"greeting":null,"name":"Ada"}'), result('"Hello, Ada!"', "1")),
    ("a required one is not an option", call("greet", '{"greeting":"Hi"}'), params_error("1")),
    ("params a string", call("math.sum", '"1,2"'), error(-32600, "Invalid Request", "1")),
    ("params a number", call("math.sum", "3"), error(-32600, "Invalid Request", "1")),
    ("params true", call("math.sum", "true"), error(-32600, "Invalid Request", "1")),
    ("whole params", call("sum", "[1,2,3,4]"), result("10", "1")),
    ("escaped method name", call("math\\u002esum", "[1,2]"), result("3", "1")),
    ("white space everywhere", ' \t\r\n{ "jsonrpc" :\n"2.0" , "id" : 1 , "params" : [ 1 , 2 ] , "method" : "math.sum" } \n', result("3", "1")),
    ("members in any order", '{"id":1,"params":[1,2],"method":"math.sum","jsonrpc":"2.0"}', result("3", "1")),
    ("borrowed text with escapes", call("echo", '["a\\n\\u00e9\\ud834\\udd1e"]'), result('"a\\né𝄞"', "1")),
    ("a value comes back as it went", call("value", '[{"a":[1,null,true,{"b":[]}],"big":123456789012345678901234567890}]'), result('{"a":[1,null,true,{"b":[]}],"big":123456789012345678901234567890}', "1")),
    # not a request
    ("a number", "1", BAD_REQUEST),
    ("a string", '"hello"', BAD_REQUEST),
    ("null", "null", BAD_REQUEST),
    ("an empty object", "{}", BAD_REQUEST),
    ("no text at all", "", BAD_JSON),
    ("two values in one message", "{} {}", BAD_JSON),
    ("method null", '{"jsonrpc":"2.0","method":null,"id":1}', error(-32600, "Invalid Request", "1")),
    ("jsonrpc 1.0", '{"jsonrpc":"1.0","method":"math.sum","params":[1,2],"id":1}', error(-32600, "Invalid Request", "1")),
    ("jsonrpc missing", '{"method":"math.sum","params":[1,2],"id":1}', error(-32600, "Invalid Request", "1")),
    # batches
    ("a batch of one is an array", "[" + call("math.sum", "[1,2]") + "]", "[" + result("3", "1") + "]"),
    ("a nested batch is a bad entry", "[[" + call("math.sum", "[1,2]") + "]]", "[" + BAD_REQUEST + "]"),
    ("a batch in order, slow one first", "[" + call("slow", "[150]", "1") + "," + call("math.sum", "[1,2]", "2") + "]", "[" + result("150", "1") + "," + result("3", "2") + "]"),
    ("a batch in which all is wrong", "[{}," + call("nope", "[]", '"a"') + "," + call("math.sum", "[]", '"b"') + "," + note("fail", "[]") + "]", "[" + BAD_REQUEST + "," + error(-32601, "Method not found", '"a"') + "," + params_error('"b"') + "]"),
    ("equal ids in a batch", "[" + call("math.sum", "[1,2]", "7") + "," + call("math.sum", "[3,4]", "7") + "]", "[" + result("3", "7") + "," + result("7", "7") + "]"),
    # responses to unknown calls
    ("a result nobody waits for", result("1", "77"), None),
    ("an error nobody waits for", error(1, "no", '"s1"'), None),
    ("an error with id null", error(-32600, "Invalid Request", "null"), None),
    ("results nobody waits for, in an array", "[" + result("1", "77") + "," + result("1", '"s1"') + "]", None),
    # errors
    ("application error with data", call("fail", "[]"), '{"jsonrpc":"2.0","error":{"code":1001,"message":"insufficient funds","data":{"missing":7}},"id":1}'),
    ("application error without data", call("fail_plain", "[]"), '{"jsonrpc":"2.0","error":{"code":1002,"message":"no such account"},"id":1}'),
    ("an inner error tells nothing", call("broken", "[]"), error(-32603, "Internal error", "1")),
    ("a panic", call("panic", "[]"), error(-32603, "Internal error", "1")),
    ("a result that does not serialize", call("unserializable", "[]"), error(-32603, "Internal error", "1")),
    # hostile text
    ("200,000 open brackets", "[" * 200_000, BAD_JSON),
    ("deep params", call("nothing", "[" * 50_000 + "]" * 50_000), None),
    ("200,000 nested objects", '{"a":' * 200_000, BAD_JSON),
    ("a NUL in the text", '{"jsonrpc":"2.0",\x00}', BAD_JSON),
    ("a BOM in front", "\ufeff" + call("math.sum", "[1,2]"), None),
    ("a lone surrogate in an argument", call("echo", '["\\ud800"]'), None),
    ("a lone surrogate in the method", '{"jsonrpc":"2.0","method":"\\ud800","id":1}', None),
    ("a lone surrogate in an id", '{"jsonrpc":"2.0","method":"nothing","id":"\\udc00"}', None),
    ("method twice", '{"jsonrpc":"2.0","method":"nothing","method":"math.sum","params":[1,2],"id":1}', None),
    ("id twice", '{"jsonrpc":"2.0","method":"nothing","id":1,"id":2}', None),
]

# These need exactly one response, either a result or an error object.
ONE_ANSWER = {
    "deep params",
    "a BOM in front",
    "a lone surrogate in an argument",
    "a lone surrogate in the method",
    "a lone surrogate in an id",
    "method twice",
    "id twice",
}


def all_cases():
    """(name, incoming, expected) of every row."""
    yield from SPEC
    for id in IDS:
        yield f"id {id} is echoed", call("math.sum", "[1,2]", id), result("3", id)
    for id in NOT_IDS:
        yield f"id {id} is refused", call("math.sum", "[1,2]", id), BAD_REQUEST
    yield from CASES
