//! Names on this machine that lead elsewhere by now, or to a server that does not answer.
#![cfg(all(feature = "linux", target_os = "linux"))]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::set_thread_res_uid;
use swap_dio::linux::{Depth, Topology, Tree, examine};
use swap_dio::topology::{Consumer, Override};

use crate::fake::words;
use crate::machine::{Mounted, ready, sh};
use crate::real::{Attached, EXT4, LOOP, Mount, bound, server};

/// The chain that a user is told who may not open the devices.
fn as_nobody(path: &Path) -> Topology {
    let path = path.to_owned();
    let told = std::thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65534);
        // Of this thread alone, which ends with it.
        set_thread_res_uid(nobody, nobody, nobody).expect("another user");
        Tree::running().path(&path).expect("a chain")
    });
    told.join().expect("a chain")
}

fn is_admitted(topology: &Topology) -> bool {
    topology.judge(Consumer::SameKernel, Override::empty()).outcome.is_ok()
}

/// A filesystem on a loop device over an image, with a file that anybody may look up.
fn nested(fs: &Mounted, image: &Path) -> (Attached, Mount) {
    let attached = Attached::over(&image.display().to_string(), "");
    let script =
        format!("mkdir -p n; mkfs.ext4 -q -b 4096 {0}; mount {0} $M/n; chmod 755 $M/.. n; touch n/s", attached.0);
    fs.run(&fs.root, &script).expect("a filesystem on it");
    (attached, Mount(fs.root.join("n")))
}

#[test]
fn a_name_alone_must_lead_to_what_may_be_the_file() {
    if !ready(&["mkfs.ext4"]) {
        return;
    }
    let fs = Mounted::new(&[96], EXT4, "mount $DEV $M");
    fs.run(&fs.root, "mkdir d; truncate -s 48M d/i").expect("an image");
    let image = fs.root.join("d/i");
    let (attached, nested) = nested(&fs, &image);
    let file = nested.0.join("s");
    let told = |what: &str| {
        let topology = as_nobody(&file);
        let is_named = words(&topology).get(2) == Some(&"ext4") && topology.to_string().contains("by its name alone");
        assert!(is_named || words(&topology)[2] == UNTOLD, "{what}: {topology}");
        assert!(is_named || !is_admitted(&topology), "{what}: {topology}");
        is_named
    };
    assert_eq!(words(&as_nobody(&file))[..2], ["ext4", LOOP]);
    assert!(told("the file itself"));
    fs.run(&fs.root, "mv d/i d/j").expect("moved");
    assert!(told("the kernel follows a file that is moved"));
    // Another in its place: of another size, no file, a link, behind another mount, nothing at all.
    let hide = |script: &str| fs.run(&fs.root, script).expect("a mount over it");
    hide("mkdir e; truncate -s 47M e/j; mount --bind e d");
    assert!(!told("a file of another size"));
    hide("rm e/j; mkdir e/j");
    assert!(!told("a folder"));
    hide("rmdir e/j; truncate -s 48M k; ln -s $M/k e/j");
    assert!(!told("a link"));
    hide("rm e/j");
    assert!(!told("nothing"));
    hide("umount d");
    assert!(told("the file itself again"));
    fs.run(&fs.root, "truncate -s 52M d/j").expect("a larger file");
    assert!(!told("a file that grew, and the device did not"));
    fs.run(&fs.root, "truncate -s 48M d/j; rm d/j").expect("removed");
    assert!(!told("a file that was removed"));
    drop(nested);
    // A part of a file, by where it begins and by where it ends.
    for options in ["-o 1M", "--sizelimit 40M", "-o 1M --sizelimit 40M"] {
        fs.run(&fs.root, "truncate -s 49M p").expect("an image");
        let part = Attached::over(&fs.root.join("p").display().to_string(), options);
        let topology = as_nobody(part.path());
        assert_eq!(words(&topology)[..2], [LOOP, "ext4"], "{options}: {topology}");
    }
    drop(attached);
}

const UNTOLD: &str = "the file under a loop device, which is told to root only";

#[test]
fn a_server_whose_mount_has_gone_is_not_taken_for_what_was_below_it() {
    if !ready(&["mkfs.ext4", "bindfs"]) {
        return;
    }
    let fs = Mounted::new(&[96], EXT4, "mount $DEV $M");
    let bound = bound(&fs);
    fs.run(&fs.root, "truncate -s 48M a/i; chmod 755 a b").expect("an image");
    let (attached, nested) = nested(&fs, &bound.0.join("i"));
    sh(&format!("umount -l {}", bound.0.display())).expect("unmounted lazily");
    std::mem::forget(bound);
    let name =
        sh(&format!("cat /sys/block/{}/loop/backing_file", attached.path().file_name().expect("a name").display()));
    for topology in [as_nobody(&nested.0.join("s")), Tree::running().path(&nested.0.join("s")).expect("a chain")] {
        assert!(!is_admitted(&topology), "{name:?}: {topology}");
        assert_eq!(words(&topology)[..2], ["ext4", LOOP], "{topology}");
        let outcome = topology.judge(Consumer::OtherKernel, Override::all()).outcome;
        assert_eq!(outcome.map_err(|why| why.code()).err(), Some("layer-unknown"), "{topology}");
    }
}

/// A process that is stopped until dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(pid: u32) -> Self {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a number");
        kill_process(pid, Signal::STOP).expect("stopped");
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// What comes of it while the server of a mount is stopped; `None` if nothing does until it goes on.
fn while_stopped<T: Send + 'static>(pid: u32, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::channel();
    let stopped = Stopped::new(pid);
    let looks = std::thread::spawn(move || tell.send(look()));
    let answer = told.recv_timeout(Duration::from_secs(20)).ok();
    drop(stopped);
    looks.join().expect("a thread").ok();
    answer
}

#[test]
fn the_source_of_another_mount_is_not_looked_up() {
    if !ready(&["mkfs.ext4", "bindfs"]) {
        return;
    }
    let fs = Mounted::new(&[64], EXT4, "mount $DEV $M");
    let bound = bound(&fs);
    fs.run(&fs.root, "mkdir t; touch a/x; mount -t tmpfs -o size=4k $M/b/x $M/t").expect("a mount of that name");
    let other = Mount(fs.root.join("t"));
    // Behind it in the table, which is looked through in order.
    let held = Mounted::new(&[64], EXT4, "mount $DEV $M");
    let device = held.device();
    let found = while_stopped(server(&fs), move || examine(&device, Depth::All));
    let found = found.expect("an answer while a server hangs").expect("an examination");
    assert!(found.bio.reasons().iter().any(|why| why.to_string().contains("mounted")), "{found:?}");
    drop((other, bound));
}

#[test]
fn a_file_below_a_server_that_hangs_is_not_looked_up() {
    if !ready(&["mkfs.ext4", "bindfs"]) {
        return;
    }
    let fs = Mounted::new(&[128], EXT4, "mount $DEV $M");
    let bound = bound(&fs);
    // A filesystem of this kernel, mounted in a folder of the server's.
    fs.run(&fs.root, "truncate -s 64M k; mkdir a/n").expect("an image");
    let lower = Attached::over(&fs.root.join("k").display().to_string(), "");
    let inner = bound.0.join("n");
    sh(&format!("mkfs.ext4 -q {0}; mount {0} {1}; truncate -s 8M {1}/i", lower.0, inner.display())).expect("mounted");
    let inner = Mount(inner);
    let upper = Attached::over(&inner.0.join("i").display().to_string(), "");
    let device = PathBuf::from(&upper.0);
    // What the server told of the folder is not asked again for a second.
    std::thread::sleep(Duration::from_millis(1500));
    let topology = while_stopped(server(&fs), move || Tree::running().path(&device).expect("a chain"));
    let topology = topology.expect("an answer while a server hangs");
    assert_eq!(words(&topology)[..4], [LOOP, "ext4", LOOP, "ext4"], "{topology}");
    let topology = as_nobody(upper.path());
    assert_eq!(words(&topology), [LOOP, UNTOLD], "{topology}");
    drop(upper);
    drop(inner);
}
