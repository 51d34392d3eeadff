"""Helpers of all Python parts: starting our side, and printing one line for each check.

Finds the two programs of `tests/interop/peer` by their environment variables. Does not depend on
the protocol or on the other implementations.
"""

import json
import os
import signal
import subprocess
import sys

SERVER = os.environ["WSJSONRPC_PEER_SERVER"]
CLIENT = os.environ["WSJSONRPC_PEER_CLIENT"]


class Checks:
    """Prints `ok   PART: NAME` or `FAIL PART: NAME: why`, and counts the failures."""

    def __init__(self, part):
        self.part = part
        self.failed = 0

    def ok(self, name):
        print(f"ok   {self.part}: {name}", flush=True)

    def fail(self, name, why):
        self.failed += 1
        why = " ".join(str(why).split())
        print(f"FAIL {self.part}: {name}: {why}", flush=True)

    def that(self, name, condition, why):
        if condition:
            self.ok(name)
        else:
            self.fail(name, why)

    def equal(self, name, got, expected):
        self.that(name, got == expected, f"got {got!r}, expected {expected!r}")

    def exit(self):
        sys.exit(1 if self.failed else 0)


class PeerServer:
    """Our server in a separate process, on a free port or on a Unix socket."""

    def __init__(self, address="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [SERVER, address], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        prefix = "listening on "
        if not line.startswith(prefix):
            self.process.kill()
            raise RuntimeError(f"our server did not say where it listens, but: {line!r}")
        self.url = line[len(prefix) :].strip()

    @property
    def port(self):
        return int(self.url.rstrip("/").rsplit(":", 1)[1])

    def stop(self):
        """Stops it like Ctrl-C does; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "killed: it did not stop within 20 s of SIGINT"
        finally:
            self.process.stdout.close()

    def stop_checked(self, checks):
        checks.equal("our server ends cleanly on SIGINT", self.stop(), 0)


def client_command(url, scenarios):
    return [CLIENT, url, *scenarios]


def report_client(checks, stdout, code, scenarios):
    """Turns our client's JSON lines into checks: `{"check": …, "ok": …, "got": …, "expected": …}`."""
    before = checks.failed
    seen = 0
    for line in stdout.splitlines():
        entry = json.loads(line)
        seen += 1
        checks.that(
            f"our client: {entry['check']}",
            entry["ok"],
            f"got {entry.get('got')}, expected {entry.get('expected')}",
        )
    wanted = 0 if checks.failed == before else 1
    checks.that(
        "our client ran every scenario to its end",
        seen >= len(scenarios) and code == wanted,
        f"exit code {code}, {seen} results for {len(scenarios)} scenarios",
    )
