//! What cannot be seen from outside, or only by looking twice: here a prediction may be `null`, and never wrong.

use std::path::Path;
use std::process::{Child, Command};

use swap_dio::Verdict;
use swap_dio::linux::{Depth, Examination, examine};

use crate::cases::Kernel::{Accepts, Either, Refuses};
use crate::cases::{EINVAL, WRITE_40};
use crate::machine::{ACTIVE_AREAS, Answer, Mounted, ready, sh, swapon};
use crate::path::call;
use crate::{agrees, judge, make_case, mounted, release_is_at_least_6_18, write_header};

const EBUSY: i32 = 16;
const ETXTBSY: i32 = 26;

/// A child that is ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ext4() -> Option<Mounted> {
    mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4"])
}

fn look(path: &Path) -> Examination {
    examine(path, Depth::First).expect("an examination")
}

/// Not admitted, and the kernel's answer either foretold or left open.
fn not_admitted(path: &Path, what: &str, errno: i32) {
    let found = look(path);
    assert_eq!(swapon(path, 4096), Answer::Refused(errno), "{what}: the kernel");
    assert!(agrees(&found, &Answer::Refused(errno)) || found.kernel.accepts.is_none(), "{what}: {found:?}");
    assert_ne!(found.bio.verdict(), Verdict::Admit, "{what}: {found:?}");
    assert_ne!(found.file.verdict(), Verdict::Admit, "{what}: {found:?}");
}

#[test]
fn an_active_area_whose_name_leads_nowhere() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "d", WRITE_40, 39, "mkdir $M/e; ln f $M/e/link; cp f $M/e/other").expect("a file");
    let alone = ACTIVE_AREAS.write();
    sh(&format!("swapon {}", path.display())).expect("swapon");
    // The folder of the active name is covered, so the name in /proc/swaps leads nowhere from here.
    fs.run(&fs.root, "mount -t tmpfs none $M/d").expect("a mount on top");
    not_admitted(&fs.root.join("e/link"), "covered", EBUSY);
    let other = look(&fs.root.join("e/other"));
    assert_eq!(
        (other.kernel.accepts, other.bio.verdict()),
        (None, Verdict::Retry),
        "it may be that one too: {other:?}"
    );
    // Nor does a file of that name, which is none as large, hide it.
    fs.run(&fs.root, "echo > $M/d/f").expect("a decoy");
    not_admitted(&fs.root.join("e/link"), "covered by a decoy", EBUSY);
    fs.run(&fs.root, "umount $M/d; swapoff $M/d/f").expect("swapoff");
    drop(alone);
    judge("names", "uncovered", &fs.root.join("e/link"), Accepts(156)).expect("agreement");
}

#[test]
fn a_file_that_is_run() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "run", "cp \"$(command -v sleep)\" f", 0, "").expect("a program");
    let running = Running(Command::new(&path).arg("60").spawn().expect("it runs"));
    not_admitted(&path, "running", ETXTBSY);
    assert_eq!(look(&path).kernel.errno.map(|errno| errno.number()), Some(ETXTBSY));
    drop(running);
}

#[test]
fn a_name_that_is_gone() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "gone", WRITE_40, 39, "ln f kept; cp f 'odd (deleted)'").expect("a file");
    let file = std::fs::File::open(&path).expect("the file");
    std::fs::remove_file(&path).expect("unlinked");
    // By its descriptor the path still leads to the inode, by a name that is gone, whatever the number of links.
    let by_descriptor = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&file));
    judge("names", "unlinked, one link left", Path::new(&by_descriptor), Refuses(2)).expect("agreement");
    judge("names", "the link", &path.with_file_name("kept"), Accepts(156)).expect("agreement");
    judge("names", "a name that ends so", &path.with_file_name("odd (deleted)"), Accepts(156)).expect("agreement");
}

/// A mount that only another process sees: its files are reached through /proc, and nothing says on what they lie.
#[test]
fn a_mount_in_another_namespace() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "", &["mkfs.ext4", "unshare"]) else { return };
    let script = format!(
        "mount {} {root}; cd {root}; {WRITE_40}; chmod 600 f; mkswap -q f; echo made; exec sleep 60",
        fs.device().display(),
        root = fs.root.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-ec", &script]).stdout(std::process::Stdio::piped());
    let mut running = Running(command.spawn().expect("a process with mounts of its own"));
    let mut made = [0u8; 4];
    let stdout = running.0.stdout.as_mut().expect("its output");
    std::io::Read::read_exact(stdout, &mut made).expect("it has made the file");
    let path = Path::new("/proc")
        .join(running.0.id().to_string())
        .join("root")
        .join(fs.root.join("f").strip_prefix("/").expect("below /"));
    let _alone = ACTIVE_AREAS.write();
    assert_eq!(call(path.as_os_str(), 0), Ok(()), "the kernel does not care whose mount it is");
    let found = look(&path);
    assert!(found.kernel.accepts != Some(false), "a header that was not read is not missing: {found:?}");
    assert_eq!((found.bio.verdict(), found.file.verdict()), (Verdict::Refuse, Verdict::Refuse), "{found:?}");
}

#[test]
fn a_device_that_is_held() {
    let Some(fs) = mounted(&[16, 16], "", "", &["mkfs.ext4"]) else { return };
    let device = fs.device();
    write_header(&device, 255, &[]).expect("a header");
    judge("devices", "free", &device, Accepts(1020)).expect("agreement");
    let python = "python3 -c 'import os,time; os.open(os.environ[\"D\"], os.O_RDONLY|os.O_EXCL); print(1, flush=True); time.sleep(60)'";
    if sh("command -v python3").is_ok() {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("exec {python}")]).env("D", &device).stdout(std::process::Stdio::piped());
        let mut running = Running(command.spawn().expect("a holder"));
        let mut ready = [0u8; 1];
        let stdout = running.0.stdout.as_mut().expect("its output");
        std::io::Read::read_exact(stdout, &mut ready).expect("it holds the device");
        judge("devices", "held by a process", &device, Refuses(EBUSY)).expect("agreement");
    }
    // A mount that only calls itself by the device's name holds nothing.
    sh(&format!("mkdir -p {r}; mount -t tmpfs {} {r}", device.display(), r = fs.root.display())).expect("a mount");
    judge("devices", "a tmpfs of its name", &device, Accepts(1020)).expect("agreement");
    sh(&format!("umount {}", fs.root.display())).expect("umount");
    judge("devices", "free again", &device, Accepts(1020)).expect("agreement");
    // Read-only: the kernel takes it, and every page would be lost.
    sh(&format!("blockdev --setro {}", device.display())).expect("read-only");
    let found = look(&device);
    assert!(found.bio.verdict() == Verdict::Refuse && found.kernel.accepts == Some(true), "{found:?}");
    judge("devices", "read-only", &device, Accepts(1020)).expect("agreement");
    sh(&format!("blockdev --setrw {}", device.display())).expect("writable");
}

#[test]
fn a_device_of_large_blocks() {
    let Some(fs) = mounted(&[16], "", "", &[]) else { return };
    let device = fs.device();
    write_header(&device, 255, &[]).expect("a header");
    if sh(&format!("losetup --sector-size 16384 {}", device.display())).is_err() {
        return println!("skipped: this kernel has no loop device with blocks above a page");
    }
    judge("devices", "blocks of 16 KiB", &device, Refuses(EINVAL)).expect("agreement");
}

#[test]
fn files_that_are_not_on_a_disk() {
    if !ready(&[]) {
        return;
    }
    for path in ["/proc/version", "/proc/sys/kernel/ostype", "/sys/kernel/uevent_seqnum", "/proc/self/maps"] {
        let path = Path::new(path);
        if !path.exists() {
            continue;
        }
        let found = look(path);
        assert!(matches!(swapon(path, 4096), Answer::Refused(_)), "{path:?}");
        assert!(found.kernel.accepts != Some(true) && found.kernel.errno.is_none(), "{path:?}: {found:?}");
        assert_eq!(found.bio.verdict(), Verdict::Refuse, "{path:?}");
    }
}

#[test]
fn btrfs_is_not_served_through_the_filesystem() {
    let Some(fs) = mounted(&[256], "mkfs.btrfs -q -d single $DEV", "mount $DEV $M", &["mkfs.btrfs"]) else { return };
    let path = make_case(&fs, "f", crate::cases::NOCOW_40, 39, "chmod 600 f").expect("a file");
    let _shared = ACTIVE_AREAS.read();
    let found = look(&path);
    assert_eq!((found.bio.verdict(), found.file.verdict()), (Verdict::Admit, Verdict::Refuse), "{found:?}");
    assert_eq!(found.file.reasons().first().map(|why| why.code()), Some("transaction"));
}

/// What a remedy tells to type, typed: the file is admitted after it.
#[test]
fn remedies_help() {
    let Some(xfs) = mounted(&[320], "mkfs.xfs -q $DEV", "mount $DEV $M", &["mkfs.xfs"]) else { return };
    let Some(btrfs) = mounted(&[256], "mkfs.btrfs -q -d single $DEV", "mount $DEV $M", &["mkfs.btrfs"]) else { return };
    let _shared = ACTIVE_AREAS.read();
    let written =
        "dd if=/dev/zero of='a b' bs=4k count=40 status=none; chmod 600 'a b'; ln -s 'a b' f; mkswap 'a b' >&2";
    let cases: &[(&Mounted, &str, &str, &str)] = &[
        (&xfs, "hole", written, "fallocate -p -o 80k -l 4k 'a b'"),
        (&xfs, "shared", written, "cp --reflink=always 'a b' c"),
        (
            &btrfs,
            "shared",
            &format!("touch 'a b'; chattr +C 'a b'; {written}"),
            "touch c; chattr +C c; cp --reflink=always 'a b' c",
        ),
        (&btrfs, "copy-on-write", written, ""),
        (&btrfs, "compressed", &format!("touch 'a b'; chattr +c 'a b'; {written}"), ""),
        (&xfs, "header-missing", written, "dd if=/dev/zero of='a b' bs=4k count=1 conv=notrunc status=none"),
        (&xfs, "immutable", written, "chattr +i 'a b'"),
        (&xfs, "append-only", written, "chattr +a 'a b'"),
        (&xfs, "unwritten", "fallocate -l 160k 'a b'; chmod 600 'a b'; mkswap 'a b' >&2; ln -s 'a b' f", ""),
    ];
    for (index, (fs, code, script, after)) in cases.iter().enumerate() {
        let path = make_case(fs, &format!("remedy-{index}"), script, 0, after).expect("a file").with_file_name("a b");
        let found = look(&path);
        let judgement = if *code == "unwritten" { &found.file } else { &found.bio };
        let reason = judgement.reasons().first().copied().expect("a reason");
        assert_eq!(reason.code(), *code, "{found:?}");
        // Words, a colon, commands, a note in brackets.
        let remedy = reason.remedy().expect("something to type");
        let remedy = remedy.strip_suffix(" (what it holds now is lost)").unwrap_or(remedy);
        let command = remedy.split_once(": ").map_or(remedy, |(_, command)| command);
        let quoted = format!("'{}'", path.display());
        sh(&format!("set +e; {}", command.replace("FILE", &quoted)))
            .unwrap_or_else(|why| panic!("{code}: {command}: {why}"));
        let found = look(&path);
        let verdict = if *code == "unwritten" { found.file.verdict() } else { found.bio.verdict() };
        assert_eq!((verdict, found.kernel.accepts), (Verdict::Admit, Some(true)), "{code}, after {command}: {found:?}");
    }
}

#[test]
fn an_ext4_that_went_read_only_by_itself() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount -o errors=remount-ro $DEV $M", &["mkfs.ext4"])
    else {
        return;
    };
    let path = make_case(&fs, "f", WRITE_40, 39, "sync -f .").expect("a file");
    let trigger =
        fs.run(&fs.root, "echo error > /sys/fs/ext4/$(basename $DEV)/trigger_fs_error; touch $M/x && exit 1; true");
    if trigger.is_err() {
        return println!("skipped: the filesystem could not be brought to an error");
    }
    // 6.12 gives EIO to whoever opens a file then: nothing is examined, and nothing activated.
    if let Err(error) = examine(&path, Depth::First) {
        assert!(matches!(swapon(&path, 4096), Answer::Refused(_)), "{error}");
        return println!("nothing was compared: {error}");
    }
    // What an error leaves writable changed between releases; agreement with this one is what counts.
    let expected = if release_is_at_least_6_18() { Refuses(30) } else { Either };
    judge("ext4", "after an error", &path, expected).expect("agreement");
}

#[test]
fn a_btrfs_that_grew_from_a_seed() {
    let make = "mkfs.btrfs -q -d single -m single $DEV; mount $DEV $M; mkdir $M/f; cd $M/f; touch f; chattr +C f; \
                dd if=/dev/zero of=f bs=4k count=40 status=none; chmod 600 f; mkswap f >&2; cd /; umount $M; \
                btrfstune -f -S 1 $DEV >&2";
    let sprout = "mount $DEV $M; btrfs device add -f $DEV2 $M >&2; mount -o remount,rw $M";
    let Some(fs) = mounted(&[256, 256], make, sprout, &["mkfs.btrfs", "btrfstune"]) else { return };
    not_admitted(&fs.root.join("f/f"), "on the seed", EINVAL);
}
