// Judges answers by LEMON's maximum weighted matching: reads graphs as the bench writes them, and compares. Prints the CPU seconds it took.
#include <cstdio>
#include <ctime>
#include <iostream>
#include <vector>
#include <lemon/matching.h>
#include <lemon/smart_graph.h>

using Wide = __int128;

static Wide read_wide() {
    std::string word;
    std::cin >> word;
    Wide value = 0;
    for (char letter : word)
        if (letter != '-') value = 10 * value + (letter - '0');
    return word[0] == '-' ? -value : value;
}

template <typename Value>
static bool judge(int vertices, const std::vector<int> &a, const std::vector<int> &b, const std::vector<long long> &w, long long pairs, Wide weight,
                  double &seconds) {
    lemon::SmartGraph graph;
    graph.reserveNode(vertices);
    graph.reserveEdge(a.size());
    for (int vertex = 0; vertex < vertices; vertex++) graph.addNode();
    Wide largest = 0, smallest = 0;
    for (long long value : w) {
        if (value > largest) largest = value;
        if (value < smallest) smallest = value;
    }
    // Most pairs first: one more outweighs all that weights can differ.
    Wide constant = Wide(vertices / 2) * (largest - smallest) + 1;
    lemon::SmartGraph::EdgeMap<Value> worth(graph);
    for (size_t at = 0; at < a.size(); at++)
        worth[graph.addEdge(graph.nodeFromId(a[at]), graph.nodeFromId(b[at]))] = Value(constant + w[at]);
    clock_t begin = clock();
    lemon::MaxWeightedMatching<lemon::SmartGraph, lemon::SmartGraph::EdgeMap<Value>> matching(graph, worth);
    matching.run();
    seconds += double(clock() - begin) / CLOCKS_PER_SEC;
    long long found = 0;
    Wide sum = 0;
    for (size_t at = 0; at < a.size(); at++)
        if (matching.matching(graph.edgeFromId(at))) {
            found++;
            sum += w[at];
        }
    return found == pairs && sum == weight;
}

int main() {
    std::ios::sync_with_stdio(false);
    std::string word;
    long long judged = 0, wrong = 0;
    double seconds = 0;
    while (std::cin >> word) {
        int vertices;
        size_t edges;
        long long pairs;
        std::cin >> vertices >> edges >> pairs;
        Wide weight = read_wide();
        std::vector<int> a(edges), b(edges);
        std::vector<long long> w(edges);
        bool small = vertices < 30000;
        for (size_t at = 0; at < edges; at++) {
            std::cin >> a[at] >> b[at] >> w[at];
            small = small && w[at] > -(1LL << 40) && w[at] < (1LL << 40);
        }
        bool same = small ? judge<long long>(vertices, a, b, w, pairs, weight, seconds) : judge<Wide>(vertices, a, b, w, pairs, weight, seconds);
        judged++;
        if (!same) {
            wrong++;
            fprintf(stderr, "graph %lld: another optimum\n", judged);
        }
    }
    fprintf(stderr, "LEMON: %lld graphs, %lld different answers\n", judged, wrong);
    printf("%.3f\n", seconds);
    return wrong != 0 || judged == 0;
}
