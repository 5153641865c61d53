//! An I/O is done in full, or has failed as a whole: on a device that shrinks, and one whose backing does.

use std::path::Path;

use swap_dio::admit::Outcome;
use swap_dio::linux::swap_file::{Consumer, Serving};
use swap_dio::reason::RequestFault;
use swap_dio::{Completion, Reason};

use crate::machine::{ready, sh};
use crate::pages::{PAGE, blank, is_done, marked, open, read, write};

/// A loop device over a file that was written in full, 1 MiB, by direct I/O.
pub(crate) struct Disk {
    pub(crate) device: std::path::PathBuf,
    image: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Disk {
    pub(crate) fn new(mib: u64) -> Option<Self> {
        ready(&["losetup"]).then(|| Self::within(Path::new("/var/tmp"), mib))
    }

    /// The same with its file in some folder.
    pub(crate) fn within(parent: &Path, mib: u64) -> Self {
        let folder = tempfile::tempdir_in(parent).expect("a folder");
        let image = folder.path().join("image");
        let name = image.display();
        let script = format!(
            "dd if=/dev/zero of={name} bs=1M count={mib} conv=fsync status=none; losetup -f --show --direct-io=on {name}"
        );
        let device = sh(&script).expect("a loop device").into();
        Self { device, image, _folder: folder }
    }

    fn run(&self, script: &str) {
        sh(&format!("DEV={}; I={}; {script}", self.device.display(), self.image.display())).expect(script);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let detached = sh(&format!("losetup -d {}", self.device.display()));
        assert!(detached.is_ok() || std::thread::panicking(), "{detached:?}");
    }
}

pub(crate) const ON_LOOP: Serving = Serving::new(Consumer::OtherKernel);

#[test]
fn short_is_an_error_of_the_whole_batch() {
    let Some(disk) = Disk::new(1) else { return };
    let file = open(&disk.device, &ON_LOOP).expect("a device");
    assert!(is_done(&write(&file, 0, &marked(0, 32, 1)).expect("a ticket")));
    disk.run("truncate -s 512K $I; losetup -c $DEV");
    let short = |completion: Completion| match completion.outcome() {
        Outcome::Failed(Reason::Request(RequestFault::Short { done, asked })) => (done.get(), asked.get()),
        other => panic!("{other:?}"),
    };
    // Page 128 is the first that is gone.
    let ended = write(&file, 120, &marked(120, 16, 1)).expect("a ticket");
    assert_eq!(short(ended), (8 * PAGE, 16 * PAGE), "a write over the end");
    let ended = read(&file, 120, &mut blank(16)).expect("a ticket");
    assert_eq!(short(ended), (8 * PAGE, 16 * PAGE), "a read over the end");
    let ended = read(&file, 200, &mut blank(4)).expect("a ticket");
    assert_eq!(short(ended), (0, 4 * PAGE), "a read past the end gives nothing, which is not success");
    let ended = write(&file, 200, &marked(200, 4, 1)).expect("a ticket");
    assert_eq!(ended.to_kernel(), -28, "a write past the end: {ended:?}");
    assert!(is_done(&read(&file, 0, &mut blank(32)).expect("a ticket")), "what is left is served");

    let why = file.revalidate().expect_err("it is smaller");
    assert_eq!(why.code(), "size-changed", "{why}");
    assert!(is_done(&read(&file, 0, &mut blank(32)).expect("a ticket")), "what is left is still read");
    assert_eq!(read(&file, 120, &mut blank(16)).err().map(|why| why.code()), Some("size-changed"));
    assert_eq!(write(&file, 0, &marked(0, 1, 1)).err().map(|why| why.code()), Some("size-changed"));
    assert_eq!((file.policy().in_flight(), file.policy().dropped()), (0, 0));
}

#[test]
fn an_error_is_an_error_of_the_whole_batch() {
    let Some(disk) = Disk::new(1) else { return };
    let file = open(&disk.device, &ON_LOOP).expect("a device");
    // The device keeps its size: what it cannot read from below is an error.
    disk.run("truncate -s 512K $I");
    let ended = read(&file, 200, &mut blank(4)).expect("a ticket");
    assert_eq!(ended.to_kernel(), -5, "{ended:?}");
    let ended = read(&file, 120, &mut blank(16)).expect("a ticket");
    assert!(!is_done(&ended), "half of it is none of it: {ended:?}");
}
