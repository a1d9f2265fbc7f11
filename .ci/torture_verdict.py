"""Says what a run of smtp_torture means: a must that fails ends in exit status 1."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    run = json.load(file)

failed = [case for case in run["cases"] if case["severity"] == "must" and case["outcome"] == "failed"]
for case in failed:
    print(f"FAILED {case['group']}/{case['name']} [{case['source']}]: {case['why'][:300]}")
should, must = run["should"], run["must"]
print(f"passed {must['passed']} of {must['of']} must, {should['passed']} of {should['of']} should, {run['skipped']} skipped, in {run['seconds']} s")
sys.exit(1 if failed else 0)
