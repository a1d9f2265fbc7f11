#!/usr/bin/env bash
# The matching, measured and judged by other solvers: it alone is built, optimised, in a project of its own (tests/bench/matching).
#   matching.sh check        what .ci/run does: 2,000 people within bounds; withdrawals; a thousand graphs of each kind judged by LEMON, small ones by networkx
#   matching.sh speed        1,000, 2,000, 5,000 and 20,000 people: medians of three, within bounds
#   matching.sh beside       the same whole graphs given to LEMON, rustworkx-core and networkx, each at most a minute of processor time
# Needs for "check" and "beside", and installs where it may: g++ and liblemon-dev (apt), networkx (pip). What is missing is said and left out.
set -euo pipefail
cd "$(dirname "$0")/matching"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd ../../.. && pwd)/target}/matching-bench
bench=$CARGO_TARGET_DIR/release/matching-bench
scratch=$(mktemp -d /tmp/pairpost-matching-XXXXXX)
trap 'rm -rf "$scratch"' EXIT

build() {
    cargo build --quiet --release --locked
}

lemon() {
    if [ ! -e /usr/include/lemon/matching.h ] && [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -qq -y g++ liblemon-dev >&2 || true
    fi
    g++ -O2 -w -o "$scratch/lemon" lemon.cpp || { echo "LEMON is not here: not asked." >&2 && return 1; }
}

networkx() {
    python3 -c 'import networkx' 2>/dev/null && python=python3 && return
    { python3 -m venv "$scratch/python" && "$scratch/python/bin/pip" install --quiet 'networkx>=3,<4'; } >&2 ||
        { echo "networkx is not here: not asked." >&2 && return 1; }
    python=$scratch/python/bin/python3
}

# The time that a judge takes for a graph, or what came of it.
judged() {
    local graph=$1 answer
    shift
    if answer=$( (ulimit -t 60 && exec "$@") <"$graph" 2>"$scratch/judge.log"); then
        printf '%12s' "$answer s"
    elif grep -q 'another optimum' "$scratch/judge.log"; then
        cat "$scratch/judge.log" >&2
        printf '%12s' DIFFERENT
        failed=1
    else
        printf '%12s' 'over 60 s'
    fi
}

case ${1:-} in
check)
    build
    "$bench" rounds 2000 0.8 200
    "$bench" withdrawals 1000 30
    "$bench" trials 1000 259 >"$scratch/trials"
    if lemon; then "$scratch/lemon" <"$scratch/trials"; fi
    "$bench" trials 200 40 >"$scratch/small"
    if networkx; then "$python" judge.py <"$scratch/small"; fi
    ;;
speed)
    build
    failed=0
    while read -r people seconds mebibytes; do
        "$bench" rounds "$people" "$seconds" "$mebibytes" || failed=1
    done <<'BOUNDS'
1000 0.2 200
2000 0.8 200
5000 5 200
20000 60 200
BOUNDS
    exit $failed
    ;;
beside)
    build
    cargo build --quiet --release --locked --manifest-path rustworkx/Cargo.toml
    lemon || true
    networkx || python=
    failed=0
    echo 'CPU seconds for the whole graph of a round, its pairs read; ours with the proof examined'
    printf '%8s%10s%12s%12s%12s%12s\n' people pairs pairpost LEMON rustworkx networkx
    for people in 100 300 1000 2000; do
        own=$("$bench" graph "$people" 1 2>&1 >"$scratch/graph")
        read -r _ _ pairs _ <"$scratch/graph"
        printf '%8s%10s%12s' "$people" "$pairs" "$own s"
        if [ -x "$scratch/lemon" ]; then judged "$scratch/graph" "$scratch/lemon"; else printf '%12s' -; fi
        judged "$scratch/graph" "$CARGO_TARGET_DIR/release/rustworkx-judge"
        if [ -n "$python" ]; then judged "$scratch/graph" "$python" judge.py; else printf '%12s' -; fi
        echo
    done
    exit $failed
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' ../matching.sh
    exit 2
    ;;
esac
