//! A server as most are: it allocates for each request, locks nothing, reads and writes through the page cache. What
//! happens to it, and to whoever waits for it, in the cgroup in which [`hardened`](crate::hardened) needs nothing.
//!
//! Whatever happens is told and none of it fails; what fails is a test that does not come to an end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::area::{Area, write_header};
use crate::below::Below;
use crate::daemon::{LIMIT, MIB, WORKING_SET, alone, program};
use crate::machine::{ready, sh};
use crate::pressure::Pressure;

const IMAGE: &str = "SWAP_DIO_NAIVE_IMAGE";
const SIZE: u64 = 128;
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
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("swapfs-test-").tempdir_in("/var/tmp").expect("a folder");
        let image = folder.path().join("image");
        let written = format!("dd if=/dev/zero of={} bs=1M count={SIZE} conv=fsync status=none", image.display());
        sh(&written).expect("an image");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
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
        write_header(naive.device.as_ref(), SIZE * MIB, [7; 16]).expect("a header");
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
    let naive = Naive::start();
    let mut pressure = Pressure::new(program(), WORKING_SET, LIMIT * MIB).expect("a process in a cgroup");
    pressure.join(naive.child.id()).expect("the server in it too");
    let (mut wrong, mut outcome) = (0, "it came through".to_owned());
    for (what, how) in [("fill", "sequential"), ("verify", "sequential"), ("fill", "random"), ("verify", "random")] {
        match pressure.order(what, 1, how, PASS) {
            Ok(done) => wrong += done.wrong,
            Err(error) => {
                outcome = format!("{what}, {how}: {error}");
                break;
            }
        }
    }
    println!("naive server in the cgroup that it serves: {outcome}; {wrong} wrong pages");
    if outcome != "it came through" {
        naive.abort();
    }
    pressure.release(naive.child.id()).expect("the server out of it");
    drop(pressure);
    drop(naive);
    // Pages come right, or not at all.
    assert_eq!(wrong, 0, "{outcome}");
}
