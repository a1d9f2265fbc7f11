"""Judges answers by networkx: reads graphs as the bench writes them, and compares. Prints the CPU seconds it took."""
import sys
import time

import networkx

judged = wrong = 0
seconds = 0.0
for line in sys.stdin:
    _, vertices, edges, pairs, weight = line.split()
    graph = networkx.Graph()
    graph.add_nodes_from(range(int(vertices)))
    for _ in range(int(edges)):
        a, b, w = map(int, sys.stdin.readline().split())
        graph.add_edge(a, b, weight=w)
    begin = time.process_time()
    matching = networkx.max_weight_matching(graph, maxcardinality=True)
    seconds += time.process_time() - begin
    judged += 1
    if (len(matching), sum(graph[a][b]["weight"] for a, b in matching)) != (int(pairs), int(weight)):
        wrong += 1
        print(f"graph {judged}: another optimum", file=sys.stderr)
print(f"networkx: {judged} graphs, {wrong} different answers", file=sys.stderr)
print(f"{seconds:.3f}")
sys.exit(wrong != 0 or judged == 0)
