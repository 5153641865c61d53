//! A block device: the mapping is the device.

use swap_dio::flags::Direction;
use swap_dio::linux::swap_file::{Consumer, Hold, Serving, Times};
use swap_dio::topology::Override;
use swap_dio::{Model, PageCount};

use crate::exact::{Disk, ON_LOOP};
use crate::machine::sh;
use crate::pages::{blank, is_done, marked, marked_page, open, read, request, write};

#[test]
fn a_device_is_served_whole() {
    let Some(disk) = Disk::new(2) else { return };
    let file = open(&disk.device, &ON_LOOP).expect("a device");
    let pages = file.policy().map().totals().pages;
    assert_eq!((pages, file.policy().map().model()), (PageCount::new(512), Model::Bio));
    assert_eq!((file.hold(), file.times()), (Hold::Exclusive, Times::Untouched));
    assert!(file.warnings().iter().all(|why| why.code() != "transaction-timestamp"));
    for first in (0..512).step_by(32) {
        assert!(is_done(&write(&file, first, &marked(first, 32, 3)).expect("a ticket")));
    }
    let mut memory = blank(1);
    for page in 0..512 {
        assert!(is_done(&read(&file, page, &mut memory).expect("a ticket")));
        assert!(memory[0].0 == marked_page(page, 3).0, "page {page}");
    }
    assert!(write(&file, 511, &marked(0, 2, 1)).is_err_and(|why| why.code() == "outside-area"));
    file.revalidate().expect("nothing has changed");
    let device = disk.device.display();
    let others = sh(&format!("mkswap -q {device} && swapon {device}"));
    assert!(others.is_err(), "it is held");
    let second = open(&disk.device, &ON_LOOP).map(drop).expect_err("it is held").to_string();
    assert!(second.contains("in use"), "{second}");
}

#[test]
fn requests_of_this_kernels_own_swap_are_small() {
    let Some(disk) = Disk::new(1) else { return };
    let own = Serving::new(Consumer::SameKernel);
    let why = open(&disk.device, &own).map(drop).expect_err("a loop device");
    assert!(why.to_string().contains("this server keeps the pages in a file"), "{why}");
    let file = open(&disk.device, &own.accepting_below(Override::FILE_BACKED)).expect("a device");
    assert_eq!(file.policy().limit(), PageCount::new(4));
    assert!(is_done(&write(&file, 3, &marked(3, 4, 1)).expect("a ticket")));
    let why = file.admit(&request(Direction::Write, 3, 5)).map(drop).expect_err("too long");
    assert_eq!(why.code(), "request-too-long");
}

/// What is stamped is the inode of the node, wherever that lies.
#[test]
fn a_device_node_on_a_disk_has_times() {
    let Some(disk) = Disk::new(1) else { return };
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let node = folder.path().join("node");
    let numbers = sh(&format!("lsblk -dno MAJ:MIN {} | tr ': ' '  '", disk.device.display())).expect("its numbers");
    sh(&format!("mknod {} b {numbers}", node.display())).expect("a node");
    match open(&node, &ON_LOOP) {
        Ok(file) => {
            assert_eq!(file.times(), Times::Stamped);
            assert!(file.warnings().iter().any(|why| why.code() == "transaction-timestamp"));
        }
        // The folder's mount may allow no devices.
        Err(why) => assert!(why.to_string().contains("cannot open it"), "{why}"),
    }
}
