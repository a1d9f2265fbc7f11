"""Says what a run of smtp_torture means: cases listed as not yet may fail, any other must that fails ends in exit status 1."""

import json
import sys

run_file, list_file = sys.argv[1:]
with open(run_file, encoding="utf-8") as file:
    run = json.load(file)
with open(list_file, encoding="utf-8") as file:
    not_yet = {words[0] for line in file if (words := line.split("#")[0].split())}  # what follows the name is the reason

musts = {f"{case['group']}/{case['name']}": case for case in run["cases"] if case["severity"] == "must"}
failed = {name for name, case in musts.items() if case["outcome"] == "failed"}
for name in sorted(failed - not_yet):
    case = musts[name]
    print(f"FAILED {name} [{case['source']}]: {case['why'][:300]}")
for name in sorted(failed & not_yet):
    print(f"not yet {name}")
for name in sorted(name for name in not_yet & musts.keys() if musts[name]["outcome"] == "passed"):
    print(f"passes now, take it off {list_file}: {name}")
for name in sorted(not_yet - musts.keys()):
    print(f"no such must, take it off {list_file}: {name}")
should, must = run["should"], run["must"]
print(f"passed {must['passed']} of {must['of']} must, {should['passed']} of {should['of']} should, {run['skipped']} skipped, in {run['seconds']} s")
sys.exit(1 if failed - not_yet else 0)
