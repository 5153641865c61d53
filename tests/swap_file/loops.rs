//! Loop devices: those whose pages are not pages of the file below, or not on its disk, or somebody else's too.

use std::path::PathBuf;

use swap_dio::linux::swap_file::{Consumer, OpenError, Risks, Serving};
use swap_dio::topology::Override;

use crate::machine::{ready, sh};
use crate::pages::{EXT4, OTHER, is_done, made, marked, mounted, open, write};

/// A written file, and loop devices over it: all detached when it is dropped.
struct Loops {
    folder: tempfile::TempDir,
}

impl Loops {
    fn new(mib: u64) -> Option<Self> {
        if !ready(&["losetup", "mkfs.ext4"]) {
            return None;
        }
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let loops = Self { folder };
        loops.run(&format!("dd if=/dev/zero of=image bs=1M count={mib} conv=fsync status=none"));
        Some(loops)
    }

    fn run(&self, script: &str) -> String {
        sh(&format!("cd {}; {script}", self.folder.path().display())).expect(script)
    }

    fn attach(&self, arguments: &str) -> PathBuf {
        self.run(&format!("losetup {arguments} -f --show image")).into()
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        let at = self.folder.path().display();
        let gone = sh(&format!(
            "cd {at}; ! mountpoint -q m || umount m; losetup -nO NAME -j image | xargs -r -n 1 losetup -d"
        ));
        assert!(gone.is_ok() || std::thread::panicking(), "{gone:?}");
    }
}

fn code(answer: Result<impl Sized, OpenError>) -> &'static str {
    match answer {
        Ok(_) => "",
        Err(OpenError::Refused { why }) => why.code(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn through_the_page_cache_by_name_only() {
    let Some(loops) = Loops::new(4) else { return };
    let device = loops.attach("");
    let same = Serving::new(Consumer::SameKernel).accepting_below(Override::FILE_BACKED);
    for serving in [OTHER, same] {
        assert_eq!(code(open(&device, &serving)), "loop-backing");
        let file = open(&device, &serving.accepting(Risks::BUFFERED_LOOP)).expect("by name");
        assert!(is_done(&write(&file, 3, &marked(3, 4, 1)).expect("a ticket")));
    }
}

#[test]
fn at_an_offset_of_whole_pages_only() {
    let Some(loops) = Loops::new(4) else { return };
    for (offset, expected) in [(512, "misaligned"), (4096, ""), (5120, "misaligned"), (1 << 20, "")] {
        let device = loops.attach(&format!("--direct-io=on --offset {offset}"));
        assert_eq!(code(open(&device, &OTHER)), expected, "{offset}");
        loops.run(&format!("losetup -d {}", device.display()));
    }
}

#[test]
fn with_nobody_else_at_the_file_below() {
    let Some(loops) = Loops::new(64) else { return };
    // What mkfs leaves unwritten is written.
    loops.run("mkfs.ext4 -q image; cp --sparse=never --reflink=never image whole; mv whole image; sync -f image");
    let device = loops.attach("--direct-io=on");
    assert_eq!(code(open(&device, &OTHER)), "");
    let writer = std::fs::File::options().write(true).open(loops.folder.path().join("image")).expect("the file");
    let other = std::process::Command::new("sleep").arg("100").stdout(writer).spawn();
    let mut other = other.expect("another process");
    let found = code(open(&device, &OTHER));
    let _ = other.kill();
    let _ = other.wait();
    assert_eq!(found, "busy", "another process");
    assert_eq!(code(open(&device, &OTHER)), "");
    let mounted = loops.attach("--direct-io=on");
    loops.run(&format!("mkdir m; mount -o noload,ro {} m", mounted.display()));
    assert_eq!(code(open(&device, &OTHER)), "busy", "a filesystem by another device");
}

/// A write past the limit would end the process by a signal: in a process of its own, which has the limit.
#[test]
fn a_limit_on_files_is_told_before_it_ends_the_process() {
    const FILE: &str = "SWAP_DIO_LIMITED";
    if let Some(path) = std::env::var_os(FILE) {
        let code = code(open(path.as_ref(), &OTHER));
        println!("\ncode {code}");
        return;
    }
    let Some(fs) = mounted(EXT4).filter(|_| ready(&["prlimit"])) else { return };
    let path = made(&fs, "f", 2);
    let exe = std::env::current_exe().expect("this program");
    for (limit, expected) in [("1048576", "file-size-limit"), ("2097152", ""), ("unlimited", "")] {
        let name = "loops::a_limit_on_files_is_told_before_it_ends_the_process";
        let ran = std::process::Command::new("timeout")
            .args(["60", "prlimit", &format!("--fsize={limit}")])
            .arg(&exe)
            .args([name, "--exact", "--nocapture"])
            .env(FILE, &path)
            .output()
            .expect("a process");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(said.lines().find_map(|line| line.strip_prefix("code ")), Some(expected), "{limit}: {ran:?}");
    }
}
