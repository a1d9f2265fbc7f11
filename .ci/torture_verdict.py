"""Says what runs of smtp_torture mean. Of a first run alone: the cases that are to be tried once more, as --only takes them, or nothing. Of two runs: a must
that failed in both ends in exit status 1. The judge wants some things within two seconds by the clock, which a machine that stands still for as long misses."""

import json
import sys


def failed(run):
    return [case for case in run["cases"] if case["severity"] == "must" and case["outcome"] == "failed"]


def read(name):
    with open(name, encoding="utf-8") as file:
        return json.load(file)


first = read(sys.argv[1])
if len(sys.argv) == 2:
    print(",".join(case["name"] for case in failed(first)))
    sys.exit()

names = {(case["group"], case["name"]) for case in failed(first)}
twice = [case for case in failed(read(sys.argv[2])) if (case["group"], case["name"]) in names] if names else []
for case in failed(first):
    print(f"failed once {case['group']}/{case['name']} [{case['source']}]: {case['why'][:300]}")
for case in twice:
    print(f"FAILED {case['group']}/{case['name']} [{case['source']}]: {case['why'][:300]}")
should, must = first["should"], first["must"]
print(f"passed {must['of'] - len(twice)} of {must['of']} must, {should['passed']} of {should['of']} should, {first['skipped']} skipped, in {first['seconds']} s")
sys.exit(1 if twice else 0)
