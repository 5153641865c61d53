//! A long run through the engine in a memory cgroup: nothing wrong, nothing that grows.
//!
//! Small here; in full by `SWAP_DIO_SOAK_GIB=50`, with `--release`.

use std::fs;

use rustix::process::getpid;
use swap_dio::reason::Class;

use crate::cgroup::Cgroup;
use crate::pages::{EXT4, Page, blank, is_done, made, marked_page, mounted, read, served, write};

const MIB: u64 = 1 << 20;
/// Of the file.
const FILE: u64 = 256;
/// Pages of a request.
const BATCH: u64 = 32;

#[test]
fn a_soak_neither_errs_nor_grows() {
    let Some(fs) = mounted(EXT4) else { return };
    let gib: f64 = std::env::var("SWAP_DIO_SOAK_GIB").map_or(0.125, |text| text.parse().expect("a number"));
    let batches = (gib * 1024.0 * 1024.0 / (BATCH * 4) as f64) as u64;
    let path = made(&fs, "f", FILE);
    let file = served(&path);
    assert!(file.warnings().iter().all(|why| why.class() == Class::Warning));
    // What is allocated from here on is charged to 64 MiB: a server that keeps more dies.
    let cgroup = Cgroup::new(64 * MIB).expect("a cgroup");
    let back = Back::into(&cgroup);
    let pages = FILE * 256;
    let mut rounds = vec![0u8; usize::try_from(pages).expect("few")];
    let mut random = fastrand::Rng::with_seed(7);
    let (mut memory, mut first_held) = (blank(BATCH), None);
    let (mut written, mut verified) = (0u64, 0u64);
    for batch in 0..batches {
        // Page 0 was made to hold a header.
        let first = random.u64(1..=(pages - BATCH));
        let range = usize::try_from(first).expect("few")..usize::try_from(first + BATCH).expect("few");
        if batch % 2 == 0 {
            for (page, (round, index)) in memory.iter_mut().zip(rounds[range].iter_mut().zip(first..)) {
                *round = round.wrapping_add(1).max(1);
                page.clone_from(&marked_page(index, *round));
            }
            assert!(is_done(&write(&file, first, &memory).expect("a ticket")), "batch {batch}");
            written += BATCH;
        } else {
            assert!(is_done(&read(&file, first, &mut memory).expect("a ticket")), "batch {batch}");
            for (page, (round, index)) in memory.iter().zip(rounds[range].iter().zip(first..)) {
                // What was never written is zeros.
                let right = if *round == 0 { page.0 == [0; 4096] } else { page.0 == marked_page(index, *round).0 };
                assert!(right, "page {index} of round {round}");
            }
            verified += BATCH;
        }
        if batch % 4096 == 0 {
            file.revalidate().expect("nothing has changed");
            let held = held();
            let (memory, descriptors) = *first_held.get_or_insert(held);
            assert_eq!(held.1, descriptors, "descriptors at batch {batch}");
            assert!(held.0 <= memory + 1024, "KiB of memory at batch {batch}: {} after {memory}", held.0);
        }
    }
    drop(back);
    println!(
        "{gib} GiB: {written} pages written, {verified} verified, 0 wrong; first {first_held:?}, last {:?}",
        held()
    );
}

/// KiB of memory and descriptors of this process.
fn held() -> (u64, usize) {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let memory = line.trim().trim_end_matches(" kB").parse().expect("a number");
    (memory, fs::read_dir("/proc/self/fd").expect("/proc").count())
}

/// This process, back where it was.
struct Back(std::path::PathBuf);

impl Back {
    fn into(cgroup: &Cgroup) -> Self {
        let process = u32::try_from(getpid().as_raw_nonzero().get()).expect("a process");
        // `0::/path` of version 2, or `7:memory:/path`.
        let own = fs::read_to_string("/proc/self/cgroup").expect("its cgroups");
        let is_memory =
            |line: &&str| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == "memory"));
        let line = own.lines().find(is_memory).or_else(|| own.lines().find(|line| line.starts_with("0::")));
        let path = line.and_then(|line| line.splitn(3, ':').nth(2)).expect("a cgroup of its own");
        let back = cgroup.root().join(path.trim_start_matches('/')).join("cgroup.procs");
        cgroup.add(process).expect("in the cgroup");
        Self(back)
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, getpid().as_raw_nonzero().to_string());
    }
}

/// Pages are whole and aligned.
const _: () = assert!(size_of::<Page>() == 4096);
