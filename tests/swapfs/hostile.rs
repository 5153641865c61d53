//! What others do to a server: close its log, mount over it, abort it, serve the same blocks by another name.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;
use swap_dio::linux::Tree;

use crate::area::is_active;
use crate::daemon::{
    AREA, Daemon, MIB, MODES, WORKING_SET, alone, assert_intact, filled, folder_with_image, run, said,
};
use crate::lease::BreakTime;
use crate::machine::{ready, sh};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_log_that_nobody_reads_ends_no_server() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    for arguments in MODES {
        let folder = folder_with_image(Path::new("/var/tmp"), AREA);
        let mut daemon = Daemon::serve_to(folder, AREA, arguments, Stdio::piped());
        let area = daemon.swap_on();
        let mut pressure = filled();
        // As `2>&1 | tee` does at ^C, or a terminal that is closed.
        drop(daemon.child.stderr.take());
        for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
            daemon.signal(signal);
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(daemon.child.try_wait().expect("a status"), None, "it went while swap was on");
        assert_intact(&mut pressure, "random");
        drop(pressure);
        area.deactivate().expect("swapoff");
        assert!(daemon.ended(SOON).is_some_and(|status| status.success()));
    }
}

#[test]
fn what_is_mounted_over_it_is_left_alone() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    for arguments in MODES {
        for swapping in [false, true] {
            let mut daemon = Daemon::start(arguments);
            let area = swapping.then(|| daemon.swap_on());
            let dir = daemon.dir.clone();
            let over = format!("mount -t tmpfs somebody {0} && touch {0}/theirs", dir.display());
            sh(&over).expect("a mount over it");
            daemon.signal(Signal::TERM);
            let wanted =
                if swapping && arguments[1] == "loop" { "run swapoff" } else { "something is mounted over it" };
            assert!(daemon.wait_until(SOON, |daemon| daemon.said().contains(wanted)), "{}", daemon.said());
            std::thread::sleep(Duration::from_millis(300));
            assert!(dir.join("theirs").exists(), "their mount is gone");
            assert_eq!(daemon.child.try_wait().expect("a status"), None, "it went: {}", daemon.said());
            sh(&format!("umount {}", dir.display())).expect("their own");
            if let Some(area) = area {
                assert!(is_active(&daemon.area).expect("/proc/swaps"));
                area.deactivate().expect("swapoff");
            }
            assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
        }
    }
}

#[test]
fn an_aborted_connection_is_no_unmount() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let mut daemon = Daemon::bmap();
    let area = daemon.swap_on();
    let mut pressure = filled();
    sh(&format!("umount -f {} 2>/dev/null || true", daemon.dir.display())).expect("umount");
    assert_eq!(daemon.ended(SOON).and_then(|status| status.code()), Some(1), "{}", daemon.said());
    let wanted = format!("aborted while swap is on: run swapoff {}", daemon.area.display());
    assert!(daemon.said().contains(&wanted), "{}", daemon.said());
    assert_intact(&mut pressure, "sequential");
    drop(pressure);
    area.deactivate().expect("swapoff by path");
}

#[test]
fn an_image_that_somebody_got_at_takes_no_more_and_gives_all_back() {
    if !ready(&["losetup", "chattr"]) {
        return;
    }
    let _alone = alone();
    let short = BreakTime::of(Duration::from_secs(2));
    let mut daemon = Daemon::over_loop();
    let area = daemon.swap_on();
    let mut pressure = filled();
    let chattr = sh(&format!("chattr +i {}", daemon.image.display()));
    assert!(chattr.expect_err("it is held").contains("temporarily unavailable"));
    // Who waits gets in, and is seen.
    let mut other = Command::new("sh").args(["-c", "exec sleep 100 <>\"$0\""]).arg(&daemon.image).spawn().expect("sh");
    let wanted = "no page is written any more: somebody else has the file open";
    let is_seen = daemon.wait_until(3 * SOON, |daemon| daemon.said().contains(wanted));
    let _ = other.kill();
    let _ = other.wait();
    assert!(is_seen, "{}", daemon.said());
    // With room for all of it nothing has to go out.
    pressure.limit(2 * WORKING_SET * MIB).expect("more memory");
    assert_intact(&mut pressure, "random");
    area.deactivate().expect("swapoff");
    assert_intact(&mut pressure, "sequential");
    drop(pressure);
    daemon.signal(Signal::TERM);
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
    drop(short);
}

#[test]
fn the_same_blocks_by_another_name_have_one_server() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let folder = folder_with_image(Path::new("/var/tmp"), AREA);
    let image = folder.path().join("image");
    fs::copy(&image, folder.path().join("file")).expect("a copy");
    fs::remove_file(&image).expect("removed");
    std::os::unix::fs::symlink(folder.path().join("file"), &image).expect("a symlink");
    let _detached = Detach::over(&image);
    let daemon = Daemon::serve(folder, &["--mode", "bmap"]);
    let other = tempfile::tempdir().expect("a folder");
    for arguments in MODES {
        let file = daemon.image.with_file_name("file");
        let said = said(&run(&[&["serve"], arguments].concat(), &[&file, other.path()]));
        assert!(said.contains("another swapfs has"), "{said}");
    }
}

#[test]
fn what_stands_below_is_told_although_the_server_does_not_answer() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let daemon = Daemon::over_loop();
    daemon.signal(Signal::STOP);
    // Until the kernel would ask anew for what it was told of the file.
    std::thread::sleep(Duration::from_secs(2));
    let (tell, told) = mpsc::channel();
    let area = daemon.area.clone();
    std::thread::spawn(move || tell.send(Tree::running().path(&area)));
    let topology = told.recv_timeout(SOON).expect("nobody is waited for").expect("its layers");
    let words: Vec<&str> = topology.layers().map(|(link, _)| link.layer.word()).take(2).collect();
    assert_eq!(words, ["a loop device with direct I/O", "FUSE without a block device"], "{topology}");
}

/// A loop device, detached when dropped, or with its last user.
pub(crate) struct Detach(String);

impl Detach {
    /// Attaches one over a file, or over what a symlink leads to, in whose place it leaves a symlink to the device.
    pub(crate) fn over(image: &Path) -> Self {
        let device =
            sh(&format!("losetup --direct-io=on -b 4096 -f --show {}", image.display())).expect("a loop device");
        fs::remove_file(image).expect("a symlink");
        std::os::unix::fs::symlink(&device, image).expect("a symlink");
        Self(device)
    }
}

impl Drop for Detach {
    fn drop(&mut self) {
        let _ = sh(&format!("losetup -d {}", self.0));
    }
}

#[test]
fn a_folder_with_a_blank_is_quoted_where_it_is_to_be_typed() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let folder = folder_with_image(Path::new("/var/tmp"), 1);
    let dir = folder.path().join("a b");
    fs::create_dir(&dir).expect("a folder");
    fs::remove_dir(folder.path().join("mnt")).expect("empty");
    std::os::unix::fs::symlink(&dir, folder.path().join("mnt")).expect("a symlink");
    let mut daemon = Daemon::serve_of(folder, 1, &["--mode", "bmap"]);
    let area = daemon.swap_on();
    daemon.signal(Signal::TERM);
    let wanted = format!("run swapoff '{}' first", daemon.area.display());
    assert!(daemon.wait_until(SOON, |daemon| daemon.said().contains(&wanted)), "{}", daemon.said());
    area.deactivate().expect("swapoff");
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
}

#[test]
fn a_namespace_that_keeps_the_mount_does_not_keep_the_server() {
    if !ready(&["losetup", "unshare"]) {
        return;
    }
    let _alone = alone();
    for arguments in MODES {
        let mut daemon = Daemon::start(arguments);
        // Whoever clones the mounts now has this one too.
        let mut other =
            Command::new("unshare").args(["-m", "--propagation", "private", "sleep", "100"]).spawn().expect("unshare");
        std::thread::sleep(Duration::from_millis(300));
        let area = daemon.swap_on();
        daemon.signal(Signal::TERM);
        assert!(daemon.wait_until(SOON, |daemon| daemon.said().contains("run swapoff")), "{}", daemon.said());
        let mut pressure = filled();
        assert_intact(&mut pressure, "sequential");
        drop(pressure);
        assert!(daemon.child.try_wait().expect("a status").is_none(), "it went while swap was on");
        area.deactivate().expect("swapoff");
        let ended = daemon.ended(SOON);
        let _ = other.kill();
        let _ = other.wait();
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {}", daemon.said());
    }
}
