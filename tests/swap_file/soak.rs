//! A long run through the engine in a memory cgroup, by a process that does nothing else: nothing wrong, nothing that
//! grows.
//!
//! Small here; in full by `SWAP_DIO_SOAK_GIB=50`, with `--release`.

use std::fs;
use std::path::Path;

use swap_dio::reason::Class;

use crate::cgroup::Cgroup;
use crate::pages::{EXT4, Page, blank, is_done, made, marked_page, mounted, read, served, write};

const MIB: u64 = 1 << 20;
/// Of the file.
const FILE: u64 = 256;
/// Pages of a request.
const BATCH: u64 = 32;
/// KiB that may come and go.
const SLACK: u64 = 64;
const PATH: &str = "SWAP_DIO_SOAK_PATH";

/// The run itself: this program again, in the cgroup from its beginning, told which file.
#[test]
fn a_process_of_its_own() {
    if let Some(path) = std::env::var_os(PATH) {
        soak(path.as_ref());
    }
}

#[test]
fn a_soak_neither_errs_nor_grows() {
    let Some(fs) = mounted(EXT4) else { return };
    let path = made(&fs, "f", FILE);
    // A server that keeps more dies.
    let cgroup = Cgroup::new(64 * MIB).expect("a cgroup");
    let limit = 120 + (gib() * 120.0) as u64;
    let ended = cgroup
        .command(Path::new("timeout"))
        .args(["-k", "5", &limit.to_string()])
        .arg(std::env::current_exe().expect("this program"))
        .args(["soak::a_process_of_its_own", "--exact", "--nocapture"])
        .env(PATH, &path)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{}: {told}{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    let told = told.lines().find(|line| line.contains(" 0 wrong")).expect("it was run");
    println!("{told}");
}

fn gib() -> f64 {
    std::env::var("SWAP_DIO_SOAK_GIB").map_or(0.125, |text| text.parse().expect("a number"))
}

fn soak(path: &Path) {
    let batches = (gib() * 1024.0 * 1024.0 / (BATCH * 4) as f64) as u64;
    let between = (batches / 16).min(4096);
    let file = served(path);
    assert!(file.warnings().iter().all(|why| why.class() == Class::Warning));
    let pages = FILE * 256;
    // Every byte is written: from then on it is in memory.
    let mut rounds: Vec<u8> = (0..pages).map(|_| std::hint::black_box(0)).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let mut memory = blank(BATCH);
    let mut looks = Vec::new();
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
        // The first time when all that it will ever need was used.
        if batch % between == between - 1 {
            file.revalidate().expect("nothing has changed");
            looks.push(Held::now());
            let (first, last) = (looks[0], looks[looks.len() - 1]);
            assert_eq!(last.descriptors, first.descriptors, "descriptors at batch {batch}");
            assert!(last.kib <= first.kib + SLACK, "memory at batch {batch}: {last:?}, first {first:?}");
        }
    }
    assert!(looks.len() >= 8, "{} looks", looks.len());
    println!(
        "\n{} GiB: {written} pages written, {verified} verified, 0 wrong; {} looks, first {:?}, last {:?}",
        gib(),
        looks.len(),
        looks[0],
        looks[looks.len() - 1]
    );
}

/// What this process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    descriptors: usize,
    /// KiB of memory of its own, to the page.
    kib: u64,
}

impl Held {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/self/smaps_rollup").expect("/proc");
        let of = |name| {
            let own = text.lines().find_map(|line| line.strip_prefix(name)).expect("its memory");
            own.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
        };
        let descriptors = fs::read_dir("/proc/self/fd").expect("/proc").count();
        Self { descriptors, kib: of("Anonymous:") + of("Swap:") }
    }
}

/// Pages are whole and aligned.
const _: () = assert!(size_of::<Page>() == 4096);
