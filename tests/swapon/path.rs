//! Family B, the call before the header: flags, privilege, the name, and who has the file already.
#![allow(unsafe_code)] // three system calls that no safe crate wraps, each with its proof

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use swap_dio::candidate::{Candidate, Condition, Kind, check_flags};
use swap_dio::linux::{Depth, ExamineError, examine, page_size};
use swap_dio::reason::Errno;
use swap_dio::{Bytes, Reason, Verdict};

use crate::cases::Kernel::{Accepts, Refuses};
use crate::cases::WRITE_40;
use crate::machine::{ACTIVE_AREAS, Mounted, sh};
use crate::{judge, make_case, mounted};

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const MISSING: &str = "/nonexistent/swap-dio";

/// Calls swapon(2) with these flags; what it activates is switched off at once.
pub(crate) fn call(path: &OsStr, flags: u32) -> Result<(), i32> {
    let name = CString::new(path.as_bytes()).expect("a path without a zero byte");
    let errno = || std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    let flags = libc::c_int::from_ne_bytes(flags.to_ne_bytes());
    // SAFETY: both calls read the path, a C string that lives until they return, and keep nothing of it.
    unsafe {
        if libc::swapon(name.as_ptr(), flags) != 0 {
            return Err(errno());
        }
        assert_eq!(libc::swapoff(name.as_ptr()), 0, "swapoff {path:?}: {}", errno());
    }
    Ok(())
}

/// Runs it in a thread of its own that has given up every privilege.
fn as_nobody<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    const NOBODY: libc::c_long = 65534;
    let thread = std::thread::spawn(move || {
        // SAFETY: the system calls themselves, unlike libc's functions, change this thread alone; the pointer is to no
        // group at all.
        unsafe {
            assert_eq!(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()), 0);
            assert_eq!(libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY), 0);
            assert_eq!(libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY), 0);
        }
        ask()
    });
    thread.join().expect("an answer")
}

fn ext4() -> Option<Mounted> {
    mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M; chmod 755 $M $M/..", &["mkfs.ext4"])
}

#[test]
fn p_026_unknown_flags_come_before_privilege_and_path() {
    let Some(fs) = ext4() else { return };
    let valid = make_case(&fs, "f", WRITE_40, 39, "").expect("a file").into_os_string();
    let _shared = ACTIVE_AREAS.read();
    for bit in 0..u32::BITS {
        let flags = 1 << bit;
        let foretold = check_flags(flags);
        let unknown = foretold.err().map(|why| why.errno().map(Errno::number));
        assert_eq!(unknown, (bit >= 19).then_some(Some(EINVAL)), "bit {bit}");
        let answer = |known: i32| Err(if foretold.is_err() { EINVAL } else { known });
        assert_eq!(call(OsStr::new(MISSING), flags), answer(ENOENT), "bit {bit}, a missing path");
        let path = valid.clone();
        let unprivileged = as_nobody(move || (call(&path, flags), call(OsStr::new(MISSING), flags)));
        assert_eq!(unprivileged, (answer(EPERM), answer(EPERM)), "bit {bit}, as nobody");
        if foretold.is_err() {
            assert_eq!(call(&valid, flags), Err(EINVAL), "bit {bit}, a valid file");
        }
    }
}

#[test]
fn p_027_without_privilege_no_path_is_looked_up() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "f", WRITE_40, 39, "chmod 644 f").expect("a file");
    judge("ext4", "P-027 as root", &path, Accepts(156)).expect("agreement");
    let _shared = ACTIVE_AREAS.read();
    let (valid, missing, found) = as_nobody(move || {
        (call(path.as_os_str(), 0), call(OsStr::new(MISSING), 0), examine(&path, Depth::First).expect("readable"))
    });
    // What we foretell is root's answer, and the core's what nobody gets.
    assert_eq!((found.kernel.accepts, found.kernel.pages.map(|pages| pages.get())), (Some(true), Some(39)));
    let caller = Candidate {
        kind: Kind::RegularFile,
        release: None,
        page_size: page_size().expect("a page size"),
        conditions: Condition::UNPRIVILEGED | Condition::IMMUTABLE | Condition::ACTIVE,
        unknown: Condition::empty(),
        active_areas: 0,
        holder: None,
        block: Bytes::ZERO,
        no_page_read: None,
    };
    let mut reasons = Vec::new();
    caller.judge(|reason| reasons.push(reason));
    assert_eq!(reasons.first(), Some(&Reason::NoPermission));
    let foretold = reasons.first().and_then(|why| why.errno()).map_or(Ok(()), |errno| Err(errno.number()));
    assert_eq!((valid, missing), (foretold, foretold));
    assert_eq!(foretold, Err(EPERM));
}

#[test]
fn p_029_names_that_lead_to_no_file() {
    let Some(fs) = ext4() else { return };
    let made = "ln -s loop loop; ln -s nowhere dangling; mkdir dir; ln -s dir/ to-dir";
    let folder = make_case(&fs, "f", WRITE_40, 39, made).expect("a file").with_file_name("");
    let long = "n".repeat(256);
    let (enoent, enotdir, eisdir, eloop, enametoolong) = (2, 20, 21, 40, 36);
    let cases: &[(&str, &str, i32)] = &[
        ("P-029 missing", "missing", enoent),
        ("P-029 below a file", "f/x", enotdir),
        ("P-029 a file with a slash", "f/", enotdir),
        ("P-029 a directory", "dir", eisdir),
        ("P-029 a symlink to one", "to-dir", eisdir),
        ("P-029 a symlink loop", "loop", eloop),
        ("P-029 a symlink to nothing", "dangling", enoent),
        ("P-029 a name too long", &long, enametoolong),
    ];
    let _shared = ACTIVE_AREAS.read();
    let paths = cases.iter().map(|(name, path, errno)| (*name, folder.join(path), *errno));
    for (name, path, errno) in paths.chain([("P-029 the empty string", Path::new("").to_owned(), enoent)]) {
        assert_eq!(call(path.as_os_str(), 0), Err(errno), "{name}: the kernel");
        match examine(&path, Depth::First) {
            Ok(found) => assert_eq!(found.kernel.errno.map(Errno::number), Some(errno), "{name}: {found:?}"),
            Err(ExamineError::LookUp(error)) => assert_eq!(error.raw_os_error(), errno, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// An active area is busy by any of its names: for the kernel, and for us.
#[test]
fn p_032_active_already() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "f", WRITE_40, 39, "ln f link; ln -s f symlink").expect("a file");
    let shared = ACTIVE_AREAS.read();
    sh(&format!("swapon {}", path.display())).expect("swapon");
    for name in ["f", "link", "symlink"] {
        let path = path.with_file_name(name);
        assert_eq!(call(path.as_os_str(), 0), Err(EBUSY), "P-032 {name}");
        let found = examine(&path, Depth::First).expect("an examination");
        assert_eq!(found.kernel.errno.map(Errno::number), Some(EBUSY), "P-032 {name}");
        assert_eq!(found.bio.verdict(), Verdict::Retry, "P-032 {name}");
    }
    sh(&format!("swapoff {}", path.display())).expect("swapoff");
    drop(shared);
    judge("ext4", "P-032 off again", &path.with_file_name("link"), Accepts(156)).expect("agreement");
}

/// A file whose blocks nobody wrote is a hole to lseek, and no hole to swapon.
#[test]
fn p_062_holes_by_lseek_are_not_the_kernels() {
    use rustix::fs::SeekFrom::{Data, Hole};
    for (make, tool) in [("mkfs.ext4 -q -b 4096 $DEV", "mkfs.ext4"), ("mkfs.xfs -q $DEV", "mkfs.xfs")] {
        let Some(fs) = mounted(&[320], make, "mount $DEV $M", &[tool]) else { return };
        let path = make_case(&fs, "f", "fallocate -l 160k f", 0, "").expect("a file");
        let file = std::fs::File::open(&path).expect("the file");
        assert_eq!(rustix::fs::seek(&file, Hole(0)), Ok(0), "{tool}");
        assert_eq!(rustix::fs::seek(&file, Data(0)), Err(rustix::io::Errno::NXIO), "{tool}");
        crate::write_header(&path, 39, &[]).expect("a header");
        file.sync_all().expect("a sync");
        assert!(rustix::fs::seek(&file, Hole(0)).is_ok_and(|hole| hole < 160 << 10), "{tool}: a hole all the same");
        judge(tool, "P-062", &path, Accepts(156)).expect("agreement");
    }
}

/// A file system that is read-only stays so for every way to it.
#[test]
fn p_037_read_only() {
    let Some(fs) = ext4() else { return };
    let path = make_case(&fs, "f", WRITE_40, 39, "").expect("a file");
    fs.run(&fs.root, "mount -o remount,ro $M").expect("a read-only remount");
    judge("ext4", "P-037 read-only filesystem", &path, Refuses(30)).expect("agreement");
    fs.run(&fs.root, "mount -o remount,rw $M").expect("a writable remount");
    judge("ext4", "P-037 writable again", &path, Accepts(156)).expect("agreement");
}
