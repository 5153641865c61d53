//! In place, without a byte changed: unwritten becomes written; what is active, shared or nobody's is left alone.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use swap_dio::Verdict;
use swap_dio::linux::{Depth, examine};

use crate::machine::{ACTIVE_AREAS, Answer, Mounted, ready, sh, swapon};
use crate::program::{header, make, program, said};

fn mounted(mib: u64, mkfs: &str, tool: &str) -> Option<Mounted> {
    ready(&[tool, "filefrag", "xfs_io"]).then(|| Mounted::new(&[mib], mkfs, "mount $DEV $M"))
}

const EXT4: (&str, &str, &str) = ("ext4", "mkfs.ext4 -q -b 4096 $DEV", "mkfs.ext4");
const XFS: (&str, &str, &str) = ("xfs", "mkfs.xfs -q $DEV", "mkfs.xfs");
const UUID: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";

/// What stands at a path: size, bytes, identity.
fn content(path: &Path) -> (Vec<u8>, u64, (String, Vec<u8>, u64)) {
    let meta = std::fs::metadata(path).expect("the file");
    (std::fs::read(path).expect("its bytes"), meta.ino(), header(path))
}

/// Blocks that are allocated and were never written, by a reader of extents that is not ours.
fn unwritten(path: &Path) -> u64 {
    let text = sh(&format!("filefrag -v {}", path.display())).expect("filefrag");
    let lines = text.lines().filter(|line| line.contains("unwritten"));
    lines
        .map(|line| line.split(':').nth(3).and_then(|length| length.trim().parse::<u64>().ok()).expect("a length"))
        .sum()
}

/// A fallocated area with data in some of its pages, as a used one has.
fn area(fs: &Mounted, name: &str, mib: u64) -> PathBuf {
    let path = fs.root.join(name);
    let output = make(&path, &["--size", &format!("{mib}M"), "--label", "kept", "--uuid", UUID]);
    assert!(output.status.success(), "{output:?}");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    for page in (5..mib * 256).step_by(97) {
        let byte = u8::try_from(page % 255).expect("a byte") + 1;
        file.write_all_at(&[byte; 4096], page * 4096).expect("a page");
    }
    file.sync_all().expect("a sync");
    path
}

#[test]
fn unwritten_becomes_written_and_no_byte_changes() {
    let _shared = ACTIVE_AREAS.read();
    for (name, mkfs, tool) in [EXT4, XFS] {
        let Some(fs) = mounted(320, mkfs, tool) else { return };
        // Plain; with holes; with an odd tail; preallocated past its end. By a symlink, as swapon follows one.
        let shapes = [
            ("plain", ":"),
            ("holes", "fallocate -p -o 8M -l 1M f; fallocate -p -o 12388K -l 4K f"),
            ("odd tail", "truncate -s +100 f"),
            ("past the end", "fallocate -n -o 24M -l 4M f"),
        ];
        for (shape, script) in shapes {
            let told = format!("{name}, {shape}");
            let path = area(&fs, "f", 24);
            fs.run(&fs.root, &format!("{script}; sync -f .; ln -sf f link")).expect("a shape");
            assert!(unwritten(&path) > 10, "{told}: there is something to do");
            let before = content(&path);
            let output = make(&fs.root.join("link"), &["--convert"]);
            assert_eq!(output.status.code(), Some(0), "{told}: {output:?}");
            assert!(said(&output.stdout).contains(UUID), "{told}: {output:?}");
            assert!(content(&path) == before, "{told}: not a byte is changed");
            let found = examine(&path, Depth::All).expect("an examination");
            assert_eq!(
                (found.bio.verdict(), found.file.verdict()),
                (Verdict::Admit, Verdict::Admit),
                "{told}: {found:?}"
            );
            let past_end = if shape == "past the end" { 1024 } else { 0 };
            assert_eq!(unwritten(&path), past_end, "{told}: what is past its end is left alone");
            let answer = swapon(&path, 4096);
            assert!(matches!(answer, Answer::Accepted { .. }), "{told}: {answer:?}");

            // Nothing is left to do, so nothing is done.
            let stamp = std::fs::metadata(&path).expect("the file").mtime_nsec();
            let output = make(&path, &["--convert"]);
            assert!(
                output.status.success() && said(&output.stdout).contains("nothing to convert"),
                "{told}: {output:?}"
            );
            assert_eq!(std::fs::metadata(&path).expect("the file").mtime_nsec(), stamp, "{told}");
            std::fs::remove_file(&path).expect("the file");
        }

        // For swapon(2) holes are enough: they get blocks, and what is unwritten stays so.
        let path = area(&fs, "f", 24);
        fs.run(&fs.root, "fallocate -p -o 8M -l 1M f; sync -f .").expect("a hole");
        let (before, blocks) = (content(&path), unwritten(&path));
        let output = make(&path, &["--convert", "--model", "bio"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        assert!(content(&path) == before && unwritten(&path) == blocks + 256, "{name}");
        sh(&format!("swapon {0} && swapoff {0}", path.display())).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}

#[test]
fn what_cannot_be_converted_is_left_as_it_is() {
    let _shared = ACTIVE_AREAS.read();
    let Some(fs) = mounted(320, XFS.1, XFS.2) else { return };
    // What is done to an area; the code of the reason, or none for an error of another kind.
    let cases: &[(&str, &str, u8)] = &[
        ("dd if=/dev/zero of=f bs=4k count=1 conv=notrunc status=none", "header-missing", 1),
        ("printf S1SUSPEND | dd of=f bs=1 seek=4086 conv=notrunc status=none", "hibernation-image", 1),
        ("truncate -s 8M f", "header-short", 1),
        ("cp --reflink=always f g", "shared", 1),
        ("chattr +i f", "immutable", 1),
        ("chattr +a f", "append-only", 1),
        ("swapon f", "active", 1),
        ("rm f; mkdir f", "directory", 1),
        ("rm f; mkfifo f", "not-a-file", 1),
        ("rm f; ln -s nowhere f", "", 2),
        ("mount -o remount,ro $M", "read-only", 1),
    ];
    for (script, code, status) in cases {
        let path = area(&fs, "f", 16);
        fs.run(&fs.root, &format!("{script}; sync -f .")).unwrap_or_else(|why| panic!("{script}: {why}"));
        let look = || sh(&format!("stat -c '%i %s %b %y %z' {0}; test -f {0} && md5sum {0} || true", path.display()));
        let before = look();
        let output = make(&path, &["--convert"]);
        assert_eq!(output.status.code(), Some((*status).into()), "{script}: {output:?}");
        let text = said(&output.stderr);
        assert!(code.is_empty() || text.contains(&format!("[{code}]")), "{script}: {text}");
        assert_eq!(look(), before, "{script}");
        let clean = "mount -o remount,rw $M; swapoff f 2>/dev/null; chattr -i -a f 2>/dev/null; rm -rf f g";
        fs.run(&fs.root, &format!("set +e; {clean}; true")).expect("a clean folder");
    }
}

#[test]
fn where_the_model_cannot_be_served_nothing_is_converted() {
    let _shared = ACTIVE_AREAS.read();
    let cases = [
        ("btrfs", "mkfs.btrfs -q -d single -m single $DEV >/dev/null", "mkfs.btrfs", "transaction"),
        ("ext4, 1 KiB blocks", "mkfs.ext4 -q -b 1024 $DEV", "mkfs.ext4", "misaligned"),
    ];
    for (name, mkfs, tool, code) in cases {
        let Some(fs) = mounted(256, mkfs, tool) else { return };
        // Of 1 KiB blocks, some file begins with an odd one.
        fs.run(&fs.root, "dd if=/dev/zero of=odd bs=1k count=1 status=none; sync -f .").expect("an odd block");
        let path = area(&fs, "f", 16);
        let before = content(&path);
        let output = make(&path, &["--convert"]);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        assert!(said(&output.stderr).contains(&format!("[{code}]")), "{name}: {output:?}");
        assert!(content(&path) == before, "{name}");
    }
}

/// Whoever has it open for writing could write between the look and the zeros.
#[test]
fn what_others_write_to_is_left_alone() {
    let _shared = ACTIVE_AREAS.read();
    let Some(fs) = mounted(96, EXT4.1, EXT4.2) else { return };
    let path = area(&fs, "f", 16);
    let before = (content(&path), unwritten(&path));
    let refused = |who: &str| {
        let output = make(&path, &["--convert"]);
        assert_eq!(output.status.code(), Some(1), "{who}: {output:?}");
        assert!(said(&output.stderr).contains(who), "{who}: {output:?}");
        assert!((content(&path), unwritten(&path)) == before, "{who}");
    };
    let writer = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    refused(&format!("process {} may write to it", std::process::id()));
    drop(writer);
    let device = sh(&format!("losetup -f --show {}", path.display())).expect("a loop device");
    refused(device.trim_start_matches("/dev/"));
    sh(&format!("losetup -d {device}")).expect("its end");
    let reader = std::fs::File::open(&path).expect("the file");
    assert!(make(&path, &["--convert"]).status.success(), "a reader stands in nobody's way");
    drop(reader);
    assert!(content(&path) == before.0 && unwritten(&path) == 0);
}

/// Killed at random moments, it goes on from there; nothing is lost on the way.
#[test]
fn a_killed_conversion_is_resumed() {
    let _shared = ACTIVE_AREAS.read();
    let mut random = fastrand::Rng::with_seed(std::process::id().into());
    for (name, mkfs, tool) in [EXT4, XFS] {
        let Some(fs) = mounted(448, mkfs, tool) else { return };
        let path = area(&fs, "f", 320);
        let before = content(&path);
        let (mut killed, mut left) = (0u32, unwritten(&path));
        for _ in 0..40 {
            let mut child = convert(&path);
            std::thread::sleep(Duration::from_millis(random.u64(5..80)));
            let _ = child.kill();
            let status = child.wait().expect("it ends");
            assert!(content(&path) == before, "{name}: killed, and not a byte is changed");
            let now = unwritten(&path);
            assert!(now <= left, "{name}: {now} unwritten blocks after {left}");
            left = now;
            if status.success() {
                break;
            }
            killed += 1;
        }
        assert!(killed >= 2, "{name}: killed {killed} times");
        let output = make(&path, &["--convert"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        assert!(content(&path) == before && unwritten(&path) == 0, "{name}");
        println!("{name}: killed {killed} times");
    }
}

/// It is switched on in the middle of it: the kernel refuses the next write, and that is told as what it is.
#[test]
fn an_area_that_becomes_active_meanwhile_stops_it() {
    let _shared = ACTIVE_AREAS.read();
    let Some(fs) = mounted(448, EXT4.1, EXT4.2) else { return };
    for _ in 0..10 {
        let path = area(&fs, "f", 320);
        let before = content(&path);
        let child = convert(&path);
        // As soon as a first piece is converted.
        let (begun, at_first) = (Instant::now(), unwritten(&path));
        while unwritten(&path) == at_first && begun.elapsed() < Duration::from_secs(5) {}
        let active = sh(&format!("swapon {}", path.display()));
        let output = child.wait_with_output().expect("it ends");
        let _ = sh(&format!("swapoff {}", path.display()));
        active.expect("a half converted area is an area");
        assert!(content(&path) == before, "not a byte is changed: {output:?}");
        if output.status.code() == Some(1) {
            let text = said(&output.stderr);
            assert!(text.contains("already active") && text.contains("[active]"), "{text}");
            assert!(make(&path, &["--convert"]).status.success(), "later it goes on");
            assert!(content(&path) == before && unwritten(&path) == 0);
            return;
        }
        // It was over before.
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        std::fs::remove_file(&path).expect("the file");
    }
    panic!("ten conversions were over before the area was active");
}

/// A disk that is full of something else: the area stays what it was, and is resumed when there is space.
#[test]
fn without_space_for_its_holes_it_can_be_resumed() {
    let _shared = ACTIVE_AREAS.read();
    let Some(fs) = mounted(96, EXT4.1, EXT4.2) else { return };
    let path = area(&fs, "f", 24);
    let script = "fallocate -p -o 4M -l 16M f; dd if=/dev/zero of=fill bs=1M status=none 2>/dev/null || true; sync -f .; fallocate -p -o 0 -l 6M fill; sync -f .";
    fs.run(&fs.root, script).expect("a full disk");
    let before = content(&path);
    let output = make(&path, &["--convert"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output.stderr).contains("no space left on device"), "{output:?}");
    assert!(content(&path) == before);
    std::fs::remove_file(fs.root.join("fill")).expect("the filling");
    assert!(make(&path, &["--convert"]).status.success());
    assert!(content(&path) == before && unwritten(&path) == 0);
}

fn convert(path: &Path) -> std::process::Child {
    let mut command = Command::new(program());
    command.arg(path).arg("--convert").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("make starts")
}

/// Somebody who owns the folder exchanges the name while root converts: what is no swap area is never written to.
#[test]
fn a_name_that_is_exchanged_meanwhile_harms_nobody() {
    let _shared = ACTIVE_AREAS.read();
    let (_, mkfs, tool) = EXT4;
    let Some(fs) = mounted(320, mkfs, tool) else { return };
    let victim = fs.root.join("victim");
    std::fs::write(&victim, "precious\n").expect("a file of somebody's");
    let (area, kept, link) = (area(&fs, "f", 8), fs.root.join("kept"), fs.root.join("link"));
    std::os::unix::fs::symlink(&victim, &link).expect("a symlink");
    let file = std::fs::OpenOptions::new().write(true).open(&area).expect("the area");
    let over = std::sync::atomic::AtomicBool::new(false);
    let (mut met, mut harmed) = (0, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = std::fs::rename(&area, &kept).and_then(|()| std::fs::rename(&link, &area));
                std::thread::sleep(Duration::from_micros(300));
                let _ = std::fs::rename(&area, &link).and_then(|()| std::fs::rename(&kept, &area));
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        for _ in 0..40 {
            let output = make(&area, &["--convert"]);
            met += u32::from(!output.status.success());
            harmed.extend(std::fs::read(&victim).ok().filter(|bytes| bytes != b"precious\n").map(|_| output));
            // Something to convert again; by the descriptor, since the name may lead to the victim just now.
            for flags in [FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, FallocateFlags::empty()] {
                let _ = rustix::fs::fallocate(&file, flags, 4 << 20, 1 << 20);
            }
        }
        // Nothing above panics: the other thread would go on for ever.
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(harmed.is_empty(), "{harmed:?}");
    assert!(met > 0, "the exchange was never met");
}
