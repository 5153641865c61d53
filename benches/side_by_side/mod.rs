//! Times rivals in turns, so that a noisy machine is as unfair to one as to the other; and random numbers.

use std::time::{Duration, Instant};

/// One way to do the work: its name, and the work, which checks its own results.
pub(crate) type Rival<'a> = (&'a str, Box<dyn FnMut() + 'a>);

/// Whether this is `cargo bench`, not a test that each bench runs: ratios take long and mean nothing there.
pub(crate) fn is_bench_run() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Runs the rivals in turns and prints each one's best time per item, and how often it fits into the first one's.
pub(crate) fn print_ratios(title: &str, items: usize, rivals: &mut [Rival<'_>]) {
    let mut best = vec![Duration::MAX; rivals.len()];
    for _ in 0..ROUNDS {
        for (best, (_, work)) in best.iter_mut().zip(rivals.iter_mut()) {
            let start = Instant::now();
            work();
            *best = start.elapsed().min(*best);
        }
    }
    println!("\n{title} (best of {ROUNDS}, in turns)");
    for (time, (name, _)) in best.iter().zip(rivals) {
        let each = time.as_secs_f64() * 1e9 / items as f64;
        let ratio = best[0].as_secs_f64() / time.as_secs_f64();
        println!("  {name:<42} {each:>8.2} ns each {ratio:>7.2} x the first's rate");
    }
}

/// xorshift64*: the same numbers in every run, with no dependency.
pub(crate) struct Random(u64);

impl Random {
    /// Starts from a fixed seed.
    pub(crate) const fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        (high * limit) >> 32
    }
}

const ROUNDS: usize = 15;
