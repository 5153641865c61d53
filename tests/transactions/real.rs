//! The real thing: 10,000 pages written by direct I/O, and the transactions that ext4 and XFS ran for them.
//!
//! `cargo test --test transactions real -- --nocapture` prints the table of the README.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};
use swap_dio::linux::swap_file::{Consumer, Serving, SwapFile, Times};
use swap_dio::linux::{Plan, extents, prepare};
use swap_dio::{Bytes, FileExtent, Model};

use crate::count::{Count, Counter};
use crate::machine::{Mounted, ready, sh};
use crate::written::{PAGES, Way, bypass};

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

/// One row of the table: for each filesystem a count of each way.
type Row = (&'static str, Vec<Option<u64>>);

#[test]
fn ten_thousand_pages_in_place_run_no_transaction_but_for_times() {
    let mut table: Vec<Row> = [
        "admitted, times stamped as by anybody",
        "admitted, times stamped, mounted with `lazytime`",
        "admitted, times left alone: opened by a handle, as root",
        "admitted, times stamped in whole seconds: inodes of 128 bytes",
        "a block device, its node in `/dev`",
        "a block device, its node on the filesystem",
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
        add(&mut table[0], |way| {
            let file = open(&path, &SERVING.stamping_times());
            let count = stamped(kind, "times stamped", &counter, way, &file);
            assert_eq!(looks(&path, file), before, "{}: size, blocks and extents are what they were", kind.name);
            Some(count)
        });

        fs.run(&fs.root, "mount -o remount,lazytime $M").expect("another option");
        add(&mut table[1], |way| {
            let file = open(&path, &SERVING.stamping_times());
            // From Linux 6.12 on the option changes nothing: about one a tick, as without it.
            let count = match file.times() {
                Times::InMemory => none(&counter, way, &file),
                _ => stamped(kind, "lazytime", &counter, way, &file),
            };
            assert_eq!(looks(&path, file), before, "{}", kind.name);
            Some(count)
        });
        fs.run(&fs.root, "mount -o remount,nolazytime $M").expect("another option");

        add(&mut table[2], |way| {
            let file = open(&path, &SERVING);
            assert_eq!(file.times() == Times::Untouched, kind.name == "xfs", "{}", kind.name);
            let count = (kind.name == "xfs").then(|| none(&counter, way, &file));
            assert_eq!(looks(&path, file), before, "{}", kind.name);
            count
        });

        add(&mut table[3], |way| (kind.name == "ext4").then(|| in_whole_seconds(way)).flatten());

        // What is written is not on the filesystem that is counted: only the inode of the node is, or is not.
        let disk = Mounted::made(&[PAGES * 4096 / MIB + 1], WRITTEN);
        let node = fs.root.join("node");
        let numbers = format!("lsblk -dno MAJ:MIN {} | tr ':' ' '", disk.device().display());
        fs.run(&fs.root, &format!("mknod node b $({numbers}); sync -f .")).expect("a node");
        add(&mut table[4], |way| {
            let file = open(&disk.device(), &SERVING);
            assert_eq!(file.times(), Times::Untouched);
            Some(none(&counter, way, &file))
        });
        add(&mut table[5], |way| {
            let file = open(&node, &SERVING);
            assert_eq!(file.times(), Times::Stamped);
            let count = stamped(kind, "a device node", &counter, way, &file);
            assert!(count > 0, "{}: it is stamped", kind.name);
            Some(count)
        });
        drop(disk);

        // With no block left to allocate, every page can still be written.
        fs.run(&fs.root, FILL).expect("a full filesystem");
        let (file, mut ticks) = (open(&path, &SERVING), 0);
        let full = counter.count(|| ticks = Way::Calls.write_all(&file));
        // What filled it may still be at work there.
        assert!(full.transactions <= full.times + 20, "{}, full: {full:?}", kind.name);
        assert!(full.times <= one_a_tick(ticks), "{}, full: {full:?} in {ticks} ticks", kind.name);
        assert_eq!(looks(&path, file), before, "{}, full", kind.name);
        fs.run(&fs.root, "rm fill rest; sync -f .").expect("room");

        // What the refusal is worth.
        for (row, script) in [(6, "fallocate -l 40960000 f"), (7, "truncate -s 40960000 f")] {
            fs.run(&fs.root, &format!("{script}; sync -f .")).expect("a file");
            let path = fs.root.join("f");
            assert!(SwapFile::open(&path, &SERVING).is_err(), "{}: {script}", kind.name);
            let bypassed = counter.count(|| bypass(&path));
            assert!(bypassed.transactions >= PAGES, "{}, {script}: {bypassed:?}", kind.name);
            table[row].1.extend([Some(bypassed.transactions), None]);
            fs.run(&fs.root, "rm f; sync -f .").expect("room");
        }
    }
    print_table(&table);
}

/// A cell for each way; none where this was built without rings.
fn add(row: &mut Row, mut count: impl FnMut(Way) -> Option<u64>) {
    row.1.extend(Way::ALL.iter().map(|way| count(*way)));
    row.1.resize(row.1.len().next_multiple_of(2), None);
}

/// Nothing at all.
fn none(counter: &Counter, way: Way, file: &SwapFile) -> u64 {
    let count = counter.count(|| assert!(way.write_all(file) > 0));
    assert_eq!(count, Count { transactions: 0, times: 0 }, "{way:?}");
    count.transactions
}

/// Each is for times, and there are few: at most 10 for 1,000 pages in one of three runs, or else no more than about
/// one for each tick that went by, where those are far fewer than the pages. Says which.
fn stamped(kind: &Kind, what: &str, counter: &Counter, way: Way, file: &SwapFile) -> u64 {
    // XFS's log may be covered once meanwhile, which is a transaction of its own.
    let others = if kind.name == "xfs" { 2 } else { 0 };
    let mut least: Option<(u64, u64)> = None;
    for _ in 0..3 {
        let mut ticks = 0;
        let count = counter.count(|| ticks = way.write_all(file));
        let told = format!("{}, {what}, {way:?}: {count:?} in {ticks} ticks", kind.name);
        assert!(count.transactions <= count.times + others, "all are for times: {told}");
        assert!(count.times <= one_a_tick(ticks), "about one a tick: {told}");
        if count.transactions <= PAGES / 100 {
            println!("{told}: at most 10 for 1,000");
            return count.transactions;
        }
        // A slow disk, or short ticks: what is left is that it is not one for each page.
        println!("{told}: more than 10 for 1,000, about one a tick");
        least = least.filter(|(fewest, _)| *fewest <= ticks).or(Some((ticks, count.transactions)));
    }
    let (ticks, transactions) = least.expect("three runs");
    if one_a_tick(ticks) > PAGES / 2 {
        println!("not measured, {}, {what}, {way:?}: {ticks} ticks for {PAGES} pages", kind.name);
        let required = std::env::var_os("SWAP_DIO_REQUIRE_KERNEL").is_some_and(|value| value == "1");
        assert!(!required, "the kernel is required: {what} was not measured");
    }
    transactions
}

/// A stamp that somebody has asked for meanwhile makes one more, so about one a tick is not exactly one.
fn one_a_tick(ticks: u64) -> u64 {
    ticks + ticks / 4 + 2
}

/// ext4 with its old, small inodes: what is stamped changes once a second.
fn in_whole_seconds(way: Way) -> Option<u64> {
    let fs =
        Mounted::new(&[128], "mkfs.ext4 -q -b 4096 -I 128 -E lazy_itable_init=0 $DEV 2>/dev/null", "mount $DEV $M");
    let counter = Counter::of(&fs, "small")?;
    let file = open(&made(&fs, "admitted"), &SERVING);
    let begun = clock_gettime(ClockId::Realtime).tv_sec;
    let count = counter.count(|| assert!(way.write_all(&file) > 0));
    let seconds = u64::try_from(clock_gettime(ClockId::Realtime).tv_sec - begun).expect("time goes on");
    assert!(count.transactions == count.times && count.times <= seconds + 2, "{count:?} in {seconds} seconds");
    Some(count.transactions)
}

/// Takes every block, also by the last few that a file can grow by.
const FILL: &str = "{ fallocate -l $(($(stat -fc '%a * %S' .) - (4 << 20))) fill || true; dd if=/dev/zero of=rest bs=64k || true; \
    dd if=/dev/zero of=rest bs=4k oflag=append conv=notrunc || true; sync -f .; } 2>/dev/null; \
    ! dd if=/dev/zero of=more bs=64k count=1 conv=fsync 2>/dev/null; rm -f more; sync -f .";

/// Has a loop device write its file in full, or it would allocate blocks later, and past the page cache from then on.
const WRITTEN: &str = "dd if=/dev/zero of=$DEV bs=1M conv=fsync 2>/dev/null || true; losetup --direct-io=on $DEV";

const MIB: u64 = 1 << 20;
const SERVING: Serving = Serving::new(Consumer::OtherKernel);

fn made(fs: &Mounted, name: &str) -> PathBuf {
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
    println!("| file | {0} | by io_uring | {1} | by io_uring |", KINDS[0].unit, KINDS[1].unit);
    println!("| --- | --- | --- | --- | --- |");
    for (name, counts) in table {
        let cells: Vec<String> =
            counts.iter().map(|count| count.map_or_else(|| "-".to_owned(), |count| count.to_string())).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}
