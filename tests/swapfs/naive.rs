//! A server as most are: it allocates for each request, locks nothing, reads and writes through the page cache. What
//! happens to it, and to whoever waits for it, in the cgroup in which [`hardened`](crate::hardened) needs nothing.
//!
//! It must fare worse, or that cgroup is no test of the other: major faults, a standstill, or a death. Which of them is
//! told.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::area::{Area, write_header};
use crate::below::Below;
use crate::cgroup::Cgroup;
use crate::daemon::{AREA_OF_BOTH, LIMIT_OF_BOTH, MIB, WORKING_SET_OF_BOTH, alone, major_faults, program};
use crate::machine::{ready, sh};
use crate::pressure::Pressure;

const IMAGE: &str = "SWAP_DIO_NAIVE_IMAGE";
/// For one pass: the hardened one takes a part of it.
const PASS: Duration = Duration::from_secs(20);

/// The server itself, in a process of its own: this program again, told which image to serve.
#[test]
fn a_process_of_its_own() {
    let Some(image) = std::env::var_os(IMAGE) else { return };
    let below = Below::under(image.as_ref());
    println!("\nserving");
    // Until whoever started it has had enough, or is gone.
    let _ = std::io::stdin().read(&mut [0]);
    drop(below);
}

/// Everything that is to be undone, in this order.
struct Naive {
    area: Option<Area>,
    device: String,
    mount: PathBuf,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Naive {
    fn start(cgroup: &Cgroup) -> Self {
        let folder = tempfile::Builder::new().prefix("swapfs-test-").tempdir_in("/var/tmp").expect("a folder");
        let image = folder.path().join("image");
        let written =
            format!("dd if=/dev/zero of={} bs=1M count={AREA_OF_BOTH} conv=fsync status=none", image.display());
        sh(&written).expect("an image");
        let mut child = cgroup
            .command(&std::env::current_exe().expect("this program"))
            .args(["naive::a_process_of_its_own", "--exact", "--nocapture"])
            .env(IMAGE, &image)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        assert!(out.lines().map_while(Result::ok).any(|line| line == "serving"), "it serves");
        let mount = fs::read_link(&image).expect("its file").parent().expect("its mount").to_owned();
        let attach = format!("losetup --direct-io=on -b 4096 -f --show {}", image.display());
        let device = sh(&attach).expect("a loop device");
        let mut naive = Self { area: None, device, mount, child, _folder: folder };
        write_header(naive.device.as_ref(), AREA_OF_BOTH * MIB, [7; 16]).expect("a header");
        naive.area = Some(Area::activate(naive.device.as_ref()).expect("swapon"));
        naive
    }

    /// Ends what hangs: the kernel fails every request that the server has not answered.
    fn abort(&self) {
        let _ = sh(&format!("umount -f {} 2>/dev/null", self.mount.display()));
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        // While it lives pages of its own may be out there, which swapoff would wait for.
        drop(self.child.stdin.take());
        for _ in 0..50 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.area.take());
        let _ = sh(&format!("losetup -d {}", self.device));
        let mount = self.mount.display();
        let _ = sh(&format!("umount {mount} 2>/dev/null || umount -l {mount} 2>/dev/null; rmdir {mount} 2>/dev/null"));
    }
}

#[test]
fn what_happens_to_a_naive_server() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let cgroup = Arc::new(Cgroup::new(LIMIT_OF_BOTH * MIB).expect("a cgroup"));
    let naive = Naive::start(&cgroup);
    let mut pressure = Pressure::within(Arc::clone(&cgroup), program(), WORKING_SET_OF_BOTH).expect("a process");
    let before = major_faults(naive.child.id());
    let (mut wrong, mut ended) = (0, None);
    for (what, how) in [("fill", "sequential"), ("verify", "random"), ("fill", "random"), ("verify", "sequential")] {
        match pressure.order(what, 0, how, PASS) {
            Ok(done) => wrong += done.wrong,
            Err(error) => {
                ended = Some(format!("{what}, {how}: {error}"));
                break;
            }
        }
    }
    let faults = major_faults(naive.child.id()).zip(before).map(|(after, before)| after - before);
    let told = format!("{faults:?} major faults, {}", ended.as_deref().unwrap_or("it came through"));
    println!("naive server in the cgroup that it serves: {told}; {wrong} wrong pages");
    if ended.is_some() {
        naive.abort();
    }
    // What it has out there comes back, and must have room.
    cgroup.limit(2 * WORKING_SET_OF_BOTH * MIB).expect("room");
    drop(pressure);
    drop(naive);
    // Pages come right, or not at all.
    assert_eq!(wrong, 0, "{told}");
    assert!(ended.is_some() || faults != Some(0), "it fared as well as the hardened one: {told}");
}
