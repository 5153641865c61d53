//! The process under pressure: more pages than its cgroup may have, each known by content and index.
//!
//! It obeys lines on its standard input, so that something can happen between them, and answers each with one line:
//! ```text
//! fill ROUND ORDER      writes every page anew
//! verify ROUND ORDER    reads every page and compares every word
//! ```
//! ORDER is `sequential` or `random`; the answer is `done PAGES WRONG MILLISECONDS`. The end of its input is its end.

use std::io::{self, BufRead, Write};
use std::time::Instant;

const WORDS: usize = 512;

/// Runs the process: so many MiB, until its input ends.
pub(crate) fn obey(mib: u64, seed: u64) -> io::Result<()> {
    // Whoever started it may be killed; then nobody would end it.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    // Nothing is taken before the first order: by then it is in its cgroup, and what it takes is charged there.
    let (mut pages, mut order) = (Vec::new(), Vec::new());
    let mut random = fastrand::Rng::with_seed(seed);
    for line in io::stdin().lock().lines() {
        let line = line?;
        if pages.is_empty() {
            pages = vec![[0u64; WORDS]; usize::try_from(mib << 8).map_err(io::Error::other)?];
            order = (0u32..).take(pages.len()).collect();
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [what, round, how] = words[..] else { return Err(io::Error::other("three words a line")) };
        let round: u64 = round.parse().map_err(io::Error::other)?;
        if how == "random" {
            random.shuffle(&mut order)
        } else {
            order.sort_unstable()
        }
        let begun = Instant::now();
        let mut wrong = 0u64;
        for index in &order {
            let page = &mut pages[*index as usize];
            let mut content = Content::new(seed, u64::from(*index), round);
            match what {
                "fill" => page.iter_mut().for_each(|word| *word = content.next()),
                "verify" => wrong += u64::from(page.iter().any(|word| *word != content.next())),
                _ => return Err(io::Error::other("fill or verify")),
            }
        }
        let mut out = io::stdout().lock();
        writeln!(out, "done {} {wrong} {}", order.len(), begun.elapsed().as_millis())?;
        out.flush()?;
    }
    Ok(())
}

/// What a page holds: a stream that begins with its index and is another one for each index, round and run.
struct Content {
    first: Option<u64>,
    state: u64,
}

impl Content {
    const fn new(seed: u64, index: u64, round: u64) -> Self {
        let state = seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self { first: Some(index), state: state | 1 }
    }

    fn next(&mut self) -> u64 {
        self.first.take().unwrap_or_else(|| {
            // Marsaglia's xorshift: no compressor makes less of it, and it costs less than the page fault.
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.state
        })
    }
}
