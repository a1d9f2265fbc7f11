//! Judges answers by rustworkx-core: reads graphs as the bench writes them, and compares. Prints the CPU seconds it took.
use std::io::{self, BufRead};
use std::process::ExitCode;

use rustworkx_core::max_weight_matching::max_weight_matching;
use rustworkx_core::petgraph::graph::{NodeIndex, UnGraph};

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<ExitCode, Fault> {
    // It recurses.
    std::thread::Builder::new().stack_size(1 << 28).spawn(judge)?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn judge() -> Result<ExitCode, Fault> {
    let (mut judged, mut wrong, mut seconds) = (0, 0, 0.0);
    let mut lines = io::stdin().lock().lines();
    while let Some(line) = lines.next() {
        let head: Vec<i128> = line?.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
        let mut graph: UnGraph<(), i64> = UnGraph::default();
        (0..head[0]).for_each(|_| {
            graph.add_node(());
        });
        for _ in 0..head[1] {
            let edge = lines.next().ok_or("an edge is missing")??;
            let edge: Vec<i64> = edge.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            graph.add_edge(NodeIndex::new(edge[0] as usize), NodeIndex::new(edge[1] as usize), edge[2]);
        }
        let begin = cpu_seconds();
        let matching = max_weight_matching(&graph, true, |edge| Ok::<i128, Fault>(i128::from(*edge.weight())), false)?;
        seconds += cpu_seconds() - begin;
        let weight = |&(a, b): &(usize, usize)| {
            let edge = graph.find_edge(NodeIndex::new(a), NodeIndex::new(b)).ok_or("no edge")?;
            Ok::<i128, Fault>(i128::from(graph[edge]))
        };
        let sum: i128 = matching.iter().map(weight).sum::<Result<_, _>>()?;
        judged += 1;
        if (matching.len() as i128, sum) != (head[2], head[3]) {
            wrong += 1;
            eprintln!("graph {judged}: another optimum");
        }
    }
    eprintln!("rustworkx-core: {judged} graphs, {wrong} different answers");
    println!("{seconds:.3}");
    Ok(if wrong == 0 && judged > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
