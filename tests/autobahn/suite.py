# Runs the suite's programs, writes its settings, and reads its results. For Python 2.7, like the suite.
from __future__ import print_function

import collections
import json
import os
import site
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FINE = ("OK", "NON-STRICT", "INFORMATIONAL")


def group(case):
    return int(case.split(".")[0])


def wstest(packages, *args):
    """Runs the suite's program, which is installed in a separate folder."""
    site.addsitedir(packages)
    sys.argv = ["wstest"] + list(args)
    from autobahntestsuite.wstest import run

    run()


def port():
    """Prints a port that was free a moment ago."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1])


def spec(role, url, outdir, *groups):
    """Prints the settings of the suite, with the cases of these groups, or of all groups."""
    with open(os.path.join(HERE, "cases.json")) as file:
        settings = json.load(file)
    if groups:
        settings["cases"] = [case for case in settings["cases"] if case.split(".")[0] in groups]
    settings["outdir"] = outdir
    if role == "server":
        settings["servers"] = [{"agent": role, "url": url}]
    else:
        settings["url"] = url
    print(json.dumps(settings))


def summary(packages, role, spec, outdir):
    """Prints the results by group; returns 1 if a case failed or is missing."""
    site.addsitedir(packages)
    from autobahntestsuite.case import Cases
    from autobahntestsuite.caseset import CaseSet

    with open(spec) as file:
        patterns = json.load(file)["cases"]
    with open(os.path.join(outdir, "index.json")) as file:
        results = json.load(file)[role]
    wanted = CaseSet("", "Case", Cases, {}, {}).resolveCasePatternList(patterns)
    groups = collections.defaultdict(collections.Counter)
    worst, other = [], collections.defaultdict(list)
    for case in wanted:
        result = results.get(case, {"behavior": "MISSING", "behaviorClose": "MISSING"})
        word = result["behavior"]
        if not (word in FINE and result["behaviorClose"] in FINE):
            word = "%s, close %s" % (word, result["behaviorClose"])
            worst.append("%s: %s" % (case, word))
        elif word != "OK":
            other[word].append(case)
        groups[group(case)][word] += 1
    for number, counts in sorted(groups.items()):
        words = ", ".join("%d %s" % (count, word) for word, count in sorted(counts.items()))
        print("%s, group %2d: %s" % (role, number, words))
    for word, cases in sorted(other.items()):
        print("%s, %s: %s" % (role, word, " ".join(cases)))
    for line in worst:
        print("FAIL %s, case %s" % (role, line))
    print("%s: %d cases, %d failed" % (role, len(wanted), len(worst)))
    return 1 if worst or not wanted else 0


if __name__ == "__main__":
    commands = {"wstest": wstest, "port": port, "spec": spec, "summary": summary}
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
