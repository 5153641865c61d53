//! The real thing: 10,000 pages written by direct I/O, and the transactions that ext4 and XFS ran for them.
//!
//! `cargo test --test transactions real -- --nocapture` prints the table of the README.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use swap_dio::admit::Request;
use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::{Consumer, Serving, SwapFile, Times};
use swap_dio::linux::{Plan, extents, prepare};
use swap_dio::{Bytes, FileExtent, Model, PageCount, PageIndex};

use crate::count::{Count, Counter};
use crate::machine::{Mounted, ready, sh};

const PAGES: u64 = 10_000;

#[repr(align(4096))]
struct Page([u8; 4096]);

/// A filesystem, its options, and a name for what is counted.
struct Kind {
    name: &'static str,
    mkfs: &'static str,
    unit: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "ext4",
        mkfs: "mkfs.ext4 -q -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 $DEV",
        unit: "ext4 journal handles",
    },
    Kind { name: "xfs", mkfs: "mkfs.xfs -q $DEV", unit: "XFS transactions" },
];

/// One row of the table: a count of each filesystem.
type Row = (&'static str, Vec<Option<u64>>);

#[test]
fn ten_thousand_pages_in_place_run_no_transaction_but_for_times() {
    let mut table: Vec<Row> = [
        "admitted, times stamped as by anybody",
        "admitted, times stamped, mounted with `lazytime`",
        "admitted, times left alone: opened by a handle",
        "admitted, times stamped in whole seconds: inodes of 128 bytes",
        "fallocated, the policy bypassed",
        "sparse, the policy bypassed",
    ]
    .map(|name| (name, Vec::new()))
    .into();
    for kind in &KINDS {
        if !ready(&[&format!("mkfs.{}", kind.name)]) {
            return;
        }
        let fs = Mounted::new(&[384], kind.mkfs, "mount $DEV $M");
        let Some(counter) = Counter::of(&fs, kind.name) else { return };
        let path = made(&fs, "admitted");

        let file = open(&path, &SERVING.stamping_times());
        assert_eq!(file.times(), Times::Stamped, "{}", kind.name);
        let before = looks(&path, file);
        let file = open(&path, &SERVING.stamping_times());
        let mut ticks = 0;
        let stamped = counter.count(|| ticks = write_all(&file));
        assert_few(kind, stamped, ticks);
        assert_eq!(looks(&path, file), before, "{}: size, blocks and extents are what they were", kind.name);
        table[0].1.push(Some(stamped.transactions));

        fs.run(&fs.root, "mount -o remount,lazytime $M").expect("another option");
        let file = open(&path, &SERVING.stamping_times());
        let lazy = counter.count(|| assert!(write_all(&file) > 0));
        assert!(lazy.transactions <= lazy.times + 2, "{}: {lazy:?}", kind.name);
        assert_eq!(looks(&path, file), before, "{}", kind.name);
        table[1].1.push(Some(lazy.transactions));
        fs.run(&fs.root, "mount -o remount,nolazytime $M").expect("another option");

        let file = open(&path, &SERVING);
        let is_avoided = kind.name == "xfs";
        assert_eq!(file.times() == Times::Untouched, is_avoided, "{}", kind.name);
        let untouched = counter.count(|| ticks = write_all(&file));
        if is_avoided {
            assert_eq!(untouched, Count { transactions: 0, times: 0 }, "{}", kind.name);
        }
        assert_eq!(looks(&path, file), before, "{}", kind.name);
        table[2].1.push(is_avoided.then_some(untouched.transactions));

        table[3].1.push((kind.name == "ext4").then(in_whole_seconds).flatten());

        // With no block left to allocate, every page can still be written.
        fs.run(&fs.root, FILL).expect("a full filesystem");
        let file = open(&path, &SERVING);
        let full = counter.count(|| ticks = write_all(&file));
        // What filled it may still be at work there.
        assert!(full.transactions <= full.times + 20, "{}, full: {full:?}", kind.name);
        assert!(full.times <= ticks + ticks / 4 + 2, "{}, full: {full:?}", kind.name);
        assert_eq!(looks(&path, file), before, "{}, full", kind.name);
        fs.run(&fs.root, "rm fill rest; sync -f .").expect("room");

        // What the refusal is worth.
        for (row, script) in [(4, "fallocate -l 40960000 f"), (5, "truncate -s 40960000 f")] {
            fs.run(&fs.root, &format!("{script}; sync -f .")).expect("a file");
            let path = fs.root.join("f");
            assert!(SwapFile::open(&path, &SERVING).is_err(), "{}: {script}", kind.name);
            let bypassed = counter.count(|| bypass(&path));
            assert!(bypassed.transactions >= PAGES, "{}, {script}: {bypassed:?}", kind.name);
            table[row].1.push(Some(bypassed.transactions));
            fs.run(&fs.root, "rm f; sync -f .").expect("room");
        }
    }
    print_table(&table);
}

/// ext4 with its old, small inodes: what is stamped changes once a second.
fn in_whole_seconds() -> Option<u64> {
    let fs =
        Mounted::new(&[128], "mkfs.ext4 -q -b 4096 -I 128 -E lazy_itable_init=0 $DEV 2>/dev/null", "mount $DEV $M");
    let counter = Counter::of(&fs, "small")?;
    let file = open(&made(&fs, "admitted"), &SERVING);
    let begun = clock_gettime(ClockId::Realtime).tv_sec;
    let count = counter.count(|| assert!(write_all(&file) > 0));
    let seconds = u64::try_from(clock_gettime(ClockId::Realtime).tv_sec - begun).expect("time goes on");
    assert!(count.transactions == count.times && count.times <= seconds + 2, "{count:?} in {seconds} seconds");
    Some(count.transactions)
}

/// Each of them is for times; at most 10 for 1,000 pages, or where the disk is so slow about one a tick.
fn assert_few(kind: &Kind, count: Count, ticks: u64) {
    let told = format!("{}: {count:?} in {ticks} ticks", kind.name);
    // XFS's log may be covered once meanwhile, which is a transaction of its own.
    let others = if kind.name == "xfs" { 2 } else { 0 };
    assert!(count.transactions <= count.times + others, "all are for times: {told}");
    // A stamp that somebody has asked for meanwhile makes one more, so about one a tick is not exactly one.
    let limit = (PAGES / 100).max(ticks + ticks / 4 + 2);
    assert!(count.transactions <= limit + others, "about one a tick: {told}");
    println!("{told}");
}

/// Takes every block, also by the last few that a file can grow by.
const FILL: &str = "{ fallocate -l $(($(stat -fc '%a * %S' .) - (4 << 20))) fill || true; dd if=/dev/zero of=rest bs=64k || true; \
    dd if=/dev/zero of=rest bs=4k oflag=append conv=notrunc || true; sync -f .; } 2>/dev/null; \
    ! dd if=/dev/zero of=more bs=64k count=1 conv=fsync 2>/dev/null; rm -f more; sync -f .";

const SERVING: Serving = Serving::new(Consumer::OtherKernel);

fn made(fs: &Mounted, name: &str) -> std::path::PathBuf {
    let path = fs.root.join(name);
    let plan = Plan::new(Bytes::new(PAGES * 4096), Model::File);
    prepare(&path, &plan, |_| std::ops::ControlFlow::Continue(())).expect("a file that passes");
    path
}

fn open(path: &Path, serving: &Serving) -> SwapFile {
    for _ in 0..50 {
        match SwapFile::open(path, serving) {
            Ok(file) => return file,
            Err(why) => println!("again: {why}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{} is not admitted", path.display());
}

/// Writes each page by a request of its own; how many ticks went by.
fn write_all(file: &SwapFile) -> u64 {
    let mut page = Box::new(Page([0; 4096]));
    let mut ticks = BTreeSet::new();
    for at in 0..PAGES {
        page.0[..8].copy_from_slice(&at.to_le_bytes());
        let request = Request::new(Direction::Write, PageIndex::new(at), PageCount::new(1), Bytes::new(4096));
        let ticket = file.admit(&request).expect("a ticket");
        assert_eq!(file.write(ticket, &[IoSlice::new(&page.0)]).to_kernel(), 4096, "page {at}");
        let now = clock_gettime(ClockId::RealtimeCoarse);
        ticks.insert((now.tv_sec, now.tv_nsec));
    }
    u64::try_from(ticks.len()).expect("few")
}

/// Writes each page as a server without a policy would.
fn bypass(path: &Path) {
    let file = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path).expect("the file");
    let page = Box::new(Page([7; 4096]));
    for at in 0..PAGES {
        assert_eq!(file.write_at(&page.0, at * 4096).expect("a page"), 4096);
    }
}

/// What must not change: size, blocks, extents. Asked when nothing is held.
fn looks(path: &Path, file: SwapFile) -> (u64, u64, Vec<FileExtent>) {
    drop(file);
    let meta = File::open(path).and_then(|file| file.metadata()).expect("the file");
    let mut claims = Vec::new();
    extents(path, |claim| claims.push(claim.expect("a claim"))).expect("its extents");
    (meta.size(), meta.blocks(), claims)
}

fn print_table(table: &[Row]) {
    let kernel = sh("uname -r").expect("a release");
    println!("\n10,000 page writes by direct I/O, Linux {kernel}\n");
    println!("| file | {} | {} |\n| --- | --- | --- |", KINDS[0].unit, KINDS[1].unit);
    for (name, counts) in table {
        let cells: Vec<String> =
            counts.iter().map(|count| count.map_or_else(|| "-".to_owned(), |count| count.to_string())).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}
