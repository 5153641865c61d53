//! What happens to swap when something happens to the server: each with the real kernel, under pressure in a cgroup.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::area::{self, Area, is_active, write_header};
use crate::daemon::{AREA, Daemon, LOOP, MIB, MODES, WORKING_SET, alone, assert_intact, filled, run, said, used};
use crate::machine::{ready, sh};

const SOON: Duration = Duration::from_secs(10);

/// Most of the working set is out, so that reading it back proves something.
fn assert_swapped(daemon: &Daemon) {
    let used = used(&daemon.area).expect("/proc/swaps");
    let swaps = std::fs::read_to_string("/proc/swaps").expect("/proc/swaps");
    assert!(used > 48 << 10, "only {used} KiB are swapped out:\n{swaps}");
}

/// Nothing of it is left: no mount, no area, no loop device.
fn assert_clean(folder: &Path) {
    let end = Instant::now() + SOON * 6;
    let left = || {
        let name = folder.display();
        let loops = Daemon::loops(folder);
        sh(&format!("{{ cat /proc/swaps /proc/mounts; echo '{loops}'; }} | grep -F {name}/ || true")).expect("grep")
    };
    // A loop device goes a moment after its last user.
    while !left().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(left(), "", "left behind");
}

#[test]
fn both_modes_serve_and_go_when_told() {
    if !ready(&["mkswap", "losetup"]) {
        return;
    }
    let _alone = alone();
    for arguments in MODES {
        let mut daemon = Daemon::start(arguments);
        let area = daemon.swap_on();
        let mut pressure = filled();
        assert_swapped(&daemon);
        assert_intact(&mut pressure, "sequential");
        assert_intact(&mut pressure, "random");

        // Told to go while swap is on, it says what to run, stays and serves.
        daemon.signal(Signal::TERM);
        let wanted = format!("run swapoff {} first", daemon.area.display());
        assert!(daemon.wait_until(SOON, |daemon| daemon.said().contains(&wanted)), "{}", daemon.said());
        assert_eq!(daemon.said().matches("swapoff").count(), 1, "said once");
        assert_intact(&mut pressure, "random");
        assert!(daemon.child.try_wait().expect("a status").is_none(), "it went while swap was on");

        drop(pressure);
        area.deactivate().expect("swapoff");
        let status = daemon.ended(SOON).expect("it goes after swapoff");
        assert!(status.success(), "{}", daemon.said());
        let folder = daemon.into_folder();
        assert_clean(folder.path());
    }
}

#[test]
fn bmap_outlives_its_server() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let mut daemon = Daemon::bmap();
    let area = daemon.swap_on();
    let mut pressure = filled();
    assert_swapped(&daemon);
    daemon.signal(Signal::KILL);
    daemon.ended(SOON).expect("its end");

    assert_intact(&mut pressure, "sequential");
    let outcome = pressure.order("fill", 2, "random", SOON * 6).expect("written anew");
    let again = pressure.order("verify", 2, "random", SOON * 6).expect("read back");
    assert_eq!((outcome.pages, again.wrong), (again.pages, 0));
    // While pages are out, by its path, and nobody answers LOOKUP or OPEN.
    assert_swapped(&daemon);
    pressure.limit(2 * WORKING_SET * MIB).expect("room for all of it");
    area.deactivate().expect("swapoff by path after the server has died");
    let again = pressure.order("verify", 2, "sequential", SOON * 6).expect("read in memory");
    assert_eq!(again.wrong, 0);
    drop(pressure);
    let folder = daemon.into_folder();
    assert_clean(folder.path());

    // The next one finds a clean image.
    let mut daemon = Daemon::serve(folder, &["--mode", "bmap"]);
    daemon.signal(Signal::INT);
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
}

#[test]
fn loop_readers_of_lost_pages_are_told() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let mut daemon = Daemon::over_loop();
    let area = daemon.swap_on();
    let mut pressure = filled();
    assert_swapped(&daemon);
    daemon.signal(Signal::KILL);
    daemon.ended(SOON).expect("its end");

    let begun = Instant::now();
    let lost = pressure.order("verify", 1, "sequential", SOON * 6).expect_err("the pages are lost");
    assert!(lost.to_string().contains("signal: 7"), "SIGBUS: {lost}");
    assert!(begun.elapsed() < SOON * 2, "somebody hung: {:?}", begun.elapsed());
    drop(pressure);
    area.deactivate().expect("swapoff");
    let folder = daemon.into_folder();
    assert_clean(folder.path());

    let mut daemon = Daemon::serve(folder, &LOOP);
    let area = daemon.swap_on();
    let mut pressure = filled();
    assert_intact(&mut pressure, "random");
    drop(pressure);
    area.deactivate().expect("swapoff");
    daemon.signal(Signal::TERM);
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
}

#[test]
fn a_stopped_server_is_waited_for_or_not_needed() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    // bmap: nobody notices.
    let daemon = Daemon::bmap();
    let area = daemon.swap_on();
    let mut pressure = filled();
    let (begun, stop) = (Instant::now(), Duration::from_secs(20));
    daemon.signal(Signal::STOP);
    while begun.elapsed() < stop {
        assert_intact(&mut pressure, "random");
    }
    daemon.signal(Signal::CONT);
    drop((pressure, area, daemon));

    // loop: everybody waits, and then goes on.
    let daemon = Daemon::over_loop();
    let area = daemon.swap_on();
    let mut pressure = filled();
    assert_swapped(&daemon);
    daemon.signal(Signal::STOP);
    let process = daemon.child.id();
    let later = std::thread::spawn(move || {
        std::thread::sleep(stop);
        sh(&format!("kill -CONT {process}"))
    });
    let begun = Instant::now();
    assert_intact(&mut pressure, "sequential");
    assert!(begun.elapsed() >= stop, "pages came from nowhere");
    assert!(later.join().is_ok_and(|sent| sent.is_ok()));
    drop((pressure, area));
}

#[test]
fn an_image_has_one_server() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let refused =
        |image: &Path, dir: &Path, arguments: &[&str]| said(&run(&[&["serve"], arguments].concat(), &[image, dir]));
    let daemon = Daemon::bmap();
    let other = tempfile::tempdir().expect("a folder");
    for arguments in MODES {
        let said = refused(&daemon.image, other.path(), arguments);
        assert!(said.contains("another swapfs has"), "{said}");
    }
    // By another name of the same: the device that the first one has mounted.
    let device =
        sh(&format!("findmnt -no SOURCE {}; losetup -nO NAME -j {}", daemon.dir.display(), daemon.image.display()))
            .expect("a device");
    let device = device.lines().find(|line| line.starts_with("/dev/loop")).expect("a loop device").to_owned();
    for arguments in MODES {
        let said = refused(Path::new(&device), other.path(), arguments);
        assert!(said.contains("another swapfs has"), "{said}");
    }
    // After its death the mount still has it: a second mount would be the same filesystem, without a server.
    daemon.signal(Signal::KILL);
    std::thread::sleep(Duration::from_millis(200));
    let said = refused(Path::new(&device), other.path(), &["--mode", "bmap"]);
    assert!(said.contains("has died and left it mounted"), "{said}");
}

#[test]
fn a_truncated_image_is_an_error_and_no_zeros() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    for arguments in MODES {
        let mut daemon = Daemon::start(arguments);
        let area = daemon.swap_on();
        let mut pressure = filled();
        assert_swapped(&daemon);
        let image = OpenOptions::new().write(true).open(&daemon.image).expect("the image");
        image.set_len(MIB).expect("truncated");
        let lost = pressure.order("verify", 1, "sequential", SOON * 6).expect_err("the pages are lost");
        assert!(lost.to_string().contains("signal: 7"), "SIGBUS: {lost}");
        drop(pressure);
        area.deactivate().expect("swapoff");
        daemon.signal(Signal::TERM);
        assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
        let folder = daemon.into_folder();
        assert_clean(folder.path());
        let said = said(&run(&[&["serve"], arguments].concat(), &[&folder.path().join("image"), folder.path()]));
        // Pages that went out after the cut made the file grow again, by some.
        assert!(said.contains("the image was made with") && said.contains(" and has "), "{said}");
    }
}

#[test]
fn a_mount_point_that_vanishes_comes_back_for_swapoff() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let mut daemon = Daemon::bmap();
    let area = daemon.swap_on();
    // Another way to it, should the one under test be none.
    let open = OpenOptions::new().read(true).open(&daemon.area).expect("the file");
    let mut pressure = filled();
    sh(&format!("umount -l {}", daemon.dir.display())).expect("detached");
    assert_intact(&mut pressure, "sequential");
    assert!(!daemon.area.exists(), "still there");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_until(SOON, |daemon| daemon.said().contains("mounted again")), "{}", daemon.said());
    assert_intact(&mut pressure, "random");
    drop((pressure, open));
    area.deactivate().expect("swapoff by path");
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
    let folder = daemon.into_folder();
    assert_clean(folder.path());
}

#[test]
fn a_mount_point_that_vanishes_is_no_matter_to_the_loop_device_over_it() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let mut daemon = Daemon::over_loop();
    let area = daemon.swap_on();
    let mut pressure = filled();
    sh(&format!("umount -l {}", daemon.dir.display())).expect("detached");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_until(SOON, |daemon| daemon.said().contains("run swapoff /dev/loop")), "{}", daemon.said());
    assert_intact(&mut pressure, "random");
    drop(pressure);
    area.deactivate().expect("swapoff");
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
    let folder = daemon.into_folder();
    assert_clean(folder.path());
}

#[test]
fn unmounted_from_outside_it_goes() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let mut daemon = Daemon::bmap();
    let area = daemon.swap_on();
    let refused = sh(&format!("umount {}", daemon.dir.display())).expect_err("swap is on");
    assert!(refused.contains("busy"), "{refused}");
    assert!(is_active(&daemon.area).expect("/proc/swaps"));
    area.deactivate().expect("swapoff");
    sh(&format!("umount {}", daemon.dir.display())).expect("unmounted");
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
    let folder = daemon.into_folder();
    assert_clean(folder.path());
}

#[test]
fn a_swapfile_has_all_its_blocks() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let folder = tempfile::Builder::new().prefix("swapfs-test-").tempdir_in("/var/tmp").expect("a folder");
    let image = folder.path().join("image");
    let size = format!("{AREA}M");
    assert!(run(&["format", "--size", &size], &[&image]).status.success());
    sh(&format!("fallocate -p -o 8M -l 64K {}", image.display())).expect("a hole");
    let said = said(&run(&["serve", "--mode", "bmap"], &[&image, folder.path()]));
    assert!(said.contains("has holes, so that a write may find its disk full"), "{said}");
}

#[test]
fn after_swapoff_it_may_be_made_anew() {
    if !ready(&["losetup", "mkswap"]) {
        return;
    }
    let _alone = alone();
    let mut daemon = Daemon::bmap();
    let dir = daemon.dir.display();
    for _ in 0..2 {
        let area = daemon.swap_on();
        assert!(area::refuses_writing(&daemon.area).expect("opened"), "the kernel lets nobody write");
        area.deactivate().expect("swapoff");
        // Nothing told the server: what does is the write.
        sh(&format!("mkswap {dir}/swapfile && dd if=/dev/zero of={dir}/swapfile bs=4k count=10 seek=1 conv=notrunc"))
            .expect("mkswap after swapoff");
    }
    daemon.signal(Signal::TERM);
    assert!(daemon.ended(SOON).is_some_and(|status| status.success()), "{}", daemon.said());
}

#[test]
fn a_write_that_races_with_swapon_is_before_it_or_refused() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let daemon = Daemon::bmap();
    write_header(&daemon.area, AREA * MIB, [7; 16]).expect("a header");
    // What an area that is on would hold, a page that nothing is swapped to: its last.
    let last = AREA * MIB - 4096;
    let over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writers = [0, libc::O_DIRECT].map(|flags| {
            let (area, over) = (&daemon.area, &over);
            scope.spawn(move || {
                let page = Aligned([0x5a; 4096]);
                let file = OpenOptions::new().write(true).custom_flags(flags).open(area).expect("the file");
                let (mut done, mut refused) = (0u32, 0u32);
                while !over.load(Ordering::Acquire) {
                    match file.write_at(&page.0, last) {
                        Ok(4096) => done += 1,
                        Ok(other) => panic!("{other} bytes were written"),
                        Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => refused += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                (done, refused)
            })
        });
        for _ in 0..10 {
            let area = Area::activate(&daemon.area).expect("swapon");
            // Each write that is answered from now on must be a refusal, by the kernel.
            assert!(area::refuses_writing(&daemon.area).expect("opened"));
            std::thread::sleep(Duration::from_millis(50));
            area.deactivate().expect("swapoff");
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Release);
        writers.map(|writer| writer.join().expect("a writer"))
    });
    for (done, refused) in written {
        assert!(done > 10 && refused > 10, "{done} written, {refused} refused: no race");
    }
}

#[repr(align(4096))]
struct Aligned([u8; 4096]);
