//! What `fuseblk::mount` refuses, and says; with root on real devices.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use swap_dio::fuse::adapter::fuseblk::{MountError, Options, Signature, mount};

use super::machine::{Mounted, ready, sh};

#[test]
fn a_path_that_is_no_block_device_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (target, file) = (folder.path(), folder.path().join("image"));
    File::create(&file).expect("a file").write_all(&[0; 4096]).expect("a page");
    let refused = |device: &Path| mount(device, target, &Options::default()).expect_err("refused").to_string();
    assert_eq!(refused(&target.join("none")), format!("{}: no such device", target.join("none").display()));
    for device in [&file, target, Path::new("/dev/null")] {
        assert_eq!(refused(device), format!("{}: not a block device", device.display()));
    }
}

#[test]
fn marks_are_found_where_they_stand() {
    let find = |marks: &[(u64, &[u8])]| {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(1 << 20).expect("1 MiB");
        for (offset, bytes) in marks {
            file.write_all_at(bytes, *offset).expect("a mark");
        }
        Signature::find(&file).expect("it is read").map(|found| (found.name(), found.offset()))
    };
    assert_eq!(find(&[]), None);
    assert_eq!(find(&[(0, b"LUKS\xba\xbe")]), Some(("LUKS", 0)));
    assert_eq!(find(&[(0, b"LUKS\xba\xbf")]), None);
    assert_eq!(find(&[(3, b"NTFS    "), (510, b"\x55\xaa")]), Some(("ntfs", 3)));
    assert_eq!(find(&[(510, b"\x55\xaa")]), Some(("a partition table", 510)));
    assert_eq!(find(&[(16374, b"SWAPSPACE2")]), Some(("swap", 16374)));
    // A device that ends before a mark has none.
    let small = tempfile::tempfile().expect("a file");
    small.write_all_at(&[0; 1081], 0).expect("bytes");
    assert_eq!(Signature::find(&small).expect("it is read"), None);
}

#[test]
fn what_tools_make_is_found() {
    // Only images are made: no root.
    for (tool, mkfs, name) in [
        ("mkfs.ext4", "mkfs.ext4 -qF f", "ext2, ext3 or ext4"),
        ("mkfs.ext2", "mkfs.ext2 -qF f", "ext2, ext3 or ext4"),
        ("mkfs.xfs", "mkfs.xfs -qf f", "xfs"),
        ("mkfs.btrfs", "mkfs.btrfs -qf f", "btrfs"),
        ("mkfs.ntfs", "mkfs.ntfs -qfF f", "ntfs"),
        ("mkfs.vfat", "mkfs.vfat f", "vfat"),
        ("mkfs.f2fs", "mkfs.f2fs -q f", "f2fs"),
        ("mkswap", "mkswap f", "swap"),
        ("mkswap", "mkswap -p 65536 f", "swap"),
        (
            "cryptsetup",
            "echo key | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 f",
            "LUKS",
        ),
        ("sfdisk", "echo , | sfdisk -q f", "a partition table"),
        ("sfdisk", "printf 'label: gpt\\n,\\n' | sfdisk -q f", "a partition table, GPT"),
    ] {
        if sh(&format!("command -v {tool}")).is_err() {
            println!("skipped: no {tool}");
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        sh(&format!("cd {}; truncate -s 320M f; {mkfs} >/dev/null 2>&1", folder.path().display())).expect(mkfs);
        let image = File::open(folder.path().join("f")).expect("an image");
        let found = Signature::find(&image).expect("it is read").map(|found| found.name());
        assert_eq!(found, Some(name), "{mkfs}");
    }
}

#[test]
fn a_device_with_a_mark_is_not_mounted_by_mistake() {
    if !ready(&["mkswap"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let try_with = |device: &Path, options: Options| mount(device, folder.path(), &options);
    let fs = Mounted::new(&[16], "mkswap $DEV >/dev/null", "true");
    let device = fs.device();
    let error = try_with(&device, Options::default()).expect_err("swap stands there").to_string();
    assert_eq!(error, format!("{}: the device carries swap (byte 4086)", device.display()));
    // Whoever knows it for his own looks for no mark; who does not, does.
    let own = |answer| Options { own: Some(answer), ..Options::default() };
    assert!(matches!(try_with(&device, own(|_| Ok(false))), Err(MountError::Foreign { .. })));
    drop(try_with(&device, own(|_| Ok(true))).expect("his own"));
    drop(try_with(&device, Options { force: true, ..Options::default() }).expect("told to"));
    // In use.
    sh(&format!("swapon {}", device.display())).expect("swapon");
    let busy = try_with(&device, Options { force: true, ..Options::default() }).expect_err("active");
    assert!(busy.to_string().starts_with(&format!("{}: the device is in use", device.display())), "{busy}");
    sh(&format!("swapoff {}", device.display())).expect("swapoff");
    // The folder.
    let none = folder.path().join("none");
    let error = mount(&device, &none, &Options { force: true, ..Options::default() }).expect_err("no folder");
    assert!(matches!(error, MountError::Target { .. }), "{error}");
    let file = folder.path().join("file");
    File::create(&file).expect("a file");
    let error = mount(&device, &file, &Options { force: true, ..Options::default() }).expect_err("a file");
    assert!(matches!(error, MountError::Target { .. }), "{error}");
    // Read-only.
    {
        let _writable_again = ReadOnly::new(&device);
        let error = try_with(&device, Options { force: true, ..Options::default() }).expect_err("read-only");
        assert!(matches!(error, MountError::ReadOnly { .. }), "{error}");
        drop(try_with(&device, Options { force: true, read_only: true, ..Options::default() }).expect("for reading"));
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(!mounts.contains(&folder.path().display().to_string()), "a mount was left:\n{mounts}");
}

/// A device that nobody writes to; a loop device would stay so for whoever attaches it next.
struct ReadOnly<'d>(&'d Path);

impl<'d> ReadOnly<'d> {
    fn new(device: &'d Path) -> Self {
        sh(&format!("blockdev --setro {}", device.display())).expect("blockdev");
        Self(device)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = sh(&format!("blockdev --setrw {}", self.0.display()));
    }
}

#[test]
fn only_root_may() {
    if !ready(&[]) {
        return;
    }
    let fs = Mounted::new(&[8], "true", "true");
    let folder = tempfile::tempdir().expect("a folder");
    let mode = |mode: u32| std::fs::set_permissions(fs.device(), Permissions::from_mode(mode)).expect("our own device");
    let before = std::fs::metadata(fs.device()).expect("the device").permissions().mode();
    let attempt = || {
        let (device, target) = (fs.device(), folder.path().to_owned());
        let nobody = move || {
            become_nobody();
            mount(&device, &target, &Options::default()).map(|_| ()).expect_err("nobody may not").to_string()
        };
        std::thread::spawn(nobody).join()
    };
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("our own folder");
    mode(0o600);
    let unreadable = attempt();
    mode(0o666);
    let readable = attempt();
    mode(before);
    assert_eq!(unreadable.expect("no panic"), ROOT_ONLY);
    assert_eq!(readable.expect("no panic"), ROOT_ONLY);
}

const ROOT_ONLY: &str = "only root may mount a block device";

/// Gives up every privilege of this thread, for good; glibc's own would do it to all threads.
#[allow(unsafe_code)] // a system call that no safe crate makes for one thread
fn become_nobody() {
    // SAFETY: setresuid takes three numbers.
    let status = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
}
