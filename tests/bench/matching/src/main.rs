#[path = "../../../../src/domain/mod.rs"]
pub mod domain;
use domain::matching::*;
fn cpu() -> f64 { let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime); t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9 }
fn rss() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned() }
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let seed: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let people = generate::applicants(n, seed);
    let t = cpu();
    let proven = prove_round(&Input::new(&people, &Weights::default(), seed)).unwrap();
    let total: usize = proven.certificate.sets.iter().map(|b| b.members.len()).sum();
    println!("{n} {seed}: {:.3} s {} {:?} sets {} members {}", cpu() - t, rss(), proven.matching.objective, proven.certificate.sets.len(), total);
}
