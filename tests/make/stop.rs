//! Whatever stops it on the way, nothing is left: no space, no quota, signals at any moment, somebody who was faster.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::machine::{ACTIVE_AREAS, Mounted, ready, sh};
use crate::program::{entries, free, make, program, said};

const EXT4: &str = "mkfs.ext4 -q -b 4096 $DEV";
const XFS: &str = "mkfs.xfs -q $DEV";

fn mounted(images: &[u64], mkfs: &str, mount: &str, tool: &str) -> Option<Mounted> {
    ready(&[tool]).then(|| Mounted::new(images, mkfs, mount))
}

#[test]
fn without_space_nothing_is_left() {
    let _shared = ACTIVE_AREAS.read();
    let cases = [
        ("ext4", EXT4, "mount $DEV $M", "mkfs.ext4", 96),
        ("ext2", "mkfs.ext2 -q -b 4096 $DEV", "mount -t ext2 $DEV $M", "mkfs.ext4", 96),
        ("xfs", XFS, "mount $DEV $M", "mkfs.xfs", 320),
        ("btrfs", "mkfs.btrfs -q -d single -m single $DEV >/dev/null", "mount $DEV $M", "mkfs.btrfs", 256),
    ];
    for (name, mkfs, mount, tool, size) in cases {
        let Some(fs) = mounted(&[size], mkfs, mount, tool) else { return };
        let before = entries(&fs.root);
        let all = free(&fs.root);
        // A page more than there is: by the numbers, at once. All that there is: found out on the way, since the
        // filesystem needs some of it itself.
        for (size, words) in [(all + 4096, "are free"), (all, "no space left on device")] {
            for model in ["bio", "file"] {
                if name == "btrfs" && model == "file" {
                    continue;
                }
                let output = make(&fs.root.join("f"), &["--size", &size.to_string(), "--model", model]);
                assert_eq!(output.status.code(), Some(2), "{name}, {model}, {size}: {output:?}");
                let text = said(&output.stderr);
                assert!(text.contains(words) && !text.contains("panicked"), "{name}, {model}, {size}: {text}");
                assert_eq!(entries(&fs.root), before, "{name}, {model}, {size}");
                println!("{name}, {model}, {size}: {}", text.lines().last().unwrap_or_default());
            }
        }
        // What was taken is given back, all but what the filesystem keeps for itself.
        let is_free = || {
            let _ = sh(&format!("sync -f {}", fs.root.display()));
            free(&fs.root) + (4 << 20) > all
        };
        assert!(within(Duration::from_secs(10), is_free), "{name}: {} of {all} are free", free(&fs.root));
        // btrfs gives empty chunks back only after a while.
        let is_made = || make(&fs.root.join("f"), &["--size", "16M"]).status.success();
        assert!(within(Duration::from_secs(60), is_made), "{name}");
    }
}

#[test]
fn past_a_quota_nothing_is_left() {
    let _shared = ACTIVE_AREAS.read();
    let mkfs = "mkfs.btrfs -q -d single -m single $DEV >/dev/null";
    let mount =
        "mount $DEV $M; btrfs quota enable $M; btrfs subvolume create $M/s >/dev/null; btrfs qgroup limit 20M $M/s";
    let Some(fs) = mounted(&[256], mkfs, mount, "mkfs.btrfs") else { return };
    let folder = fs.root.join("s");
    let output = make(&folder.join("f"), &["--size", "40M"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output.stderr).contains("quota exceeded"), "{output:?}");
    assert_eq!(entries(&folder), Vec::<String>::new());
    let output = make(&folder.join("f"), &["--size", "8M"]);
    assert_eq!(output.status.code(), Some(0), "within the quota: {output:?}");
}

/// At random moments, from its first instruction to its last: SIGKILL, SIGINT, SIGTERM.
#[test]
fn signals_at_any_moment_leave_nothing() {
    let _shared = ACTIVE_AREAS.read();
    let cases = [
        ("ext4", EXT4, "mount $DEV $M", "mkfs.ext4", "file"),
        ("ext2", "mkfs.ext2 -q -b 4096 $DEV", "mount -t ext2 $DEV $M", "mkfs.ext4", "bio"),
        ("xfs", XFS, "mount $DEV $M", "mkfs.xfs", "file"),
    ];
    let seed = std::process::id();
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed.into());
    for (name, mkfs, mount, tool, model) in cases {
        let Some(fs) = mounted(&[448], mkfs, mount, tool) else { return };
        let folder = fs.root.join("folder");
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join("f");
        let options = ["--size", "320M", "--model", model];
        let begun = std::time::Instant::now();
        assert!(make(&path, &options).status.success(), "{name}: undisturbed");
        let mut whole = u64::try_from(begun.elapsed().as_micros()).unwrap_or(1_000_000);
        std::fs::remove_file(&path).expect("the file");
        let (mut midway, mut finished) = (0u32, 0u32);
        for round in 0..60 {
            if midway >= 12 {
                break;
            }
            let signal = ["KILL", "INT", "TERM"][round % 3];
            let mut child = spawn(&path, &options);
            std::thread::sleep(Duration::from_micros(random.u64(..whole)));
            let _ = sh(&format!("kill -{signal} {}", child.id()));
            let status = child.wait().expect("it ends");
            let left = entries(&folder);
            if status.success() {
                // It was finished before the signal came: then it is whole, and stays.
                finished += 1;
                whole = (whole * 7 / 8).max(2_000);
                assert_eq!(left, ["f"], "{name}, {signal}");
                let found = swap_dio::linux::examine(&path, swap_dio::linux::Depth::First).expect("an examination");
                assert_eq!(found.bio.verdict(), swap_dio::Verdict::Admit, "{name}, {signal}: {found:?}");
            } else if signal == "KILL" && left == ["f"] {
                // Killed between its name and its last word: finished all the same.
                let found = swap_dio::linux::examine(&path, swap_dio::linux::Depth::First).expect("an examination");
                assert_eq!(found.bio.verdict(), swap_dio::Verdict::Admit, "{name}, {signal}: {found:?}");
            } else {
                midway += 1;
                assert_eq!(left, Vec::<String>::new(), "{name}, {signal}: {status:?}");
            }
            let _ = std::fs::remove_file(&path);
        }
        assert!(midway >= 12, "{name}: only {midway} came in time, {finished} too late");
        println!("{name}: {midway} stopped midway, {finished} finished before");
        assert!(make(&path, &options).status.success(), "{name}: all space is back");
    }
}

/// Somebody gives the name to something of his own while the file is written.
#[test]
fn somebody_faster_keeps_the_name() {
    let _shared = ACTIVE_AREAS.read();
    let Some(fs) = mounted(&[448], EXT4, "mount $DEV $M", "mkfs.ext4") else { return };
    let folder = fs.root.join("folder");
    std::fs::create_dir(&folder).expect("a folder");
    let path = folder.join("f");
    let child = spawn(&path, &["--size", "320M", "--model", "file"]);
    // It has looked whether the name is free as soon as it holds an unnamed file.
    let fds = format!("/proc/{}/fd", child.id());
    let is_at_work = || sh(&format!("ls -l {fds} 2>/dev/null | grep -q '(deleted)'")).is_ok();
    assert!(within(Duration::from_secs(10), is_at_work), "it begins");
    std::fs::write(&path, "precious").expect("a file");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output.stderr).contains("already there"), "{output:?}");
    assert_eq!(
        (entries(&folder), std::fs::read(&path).expect("the file")),
        (vec!["f".to_owned()], b"precious".to_vec())
    );
}

fn spawn(path: &Path, options: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.arg(path).args(options).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("make starts")
}

fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = std::time::Instant::now();
    while begun.elapsed() < limit {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    is_so()
}
