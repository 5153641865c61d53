//! What is not served, by the reason's code: each file is made by a script in a fresh filesystem; its name is `f`.

use swap_dio::linux::swap_file::{Consumer, OpenError, Risks, Serving};
use swap_dio::topology::Override;

use crate::machine::{ACTIVE_AREAS, Mounted, ready};
use crate::pages::{OTHER, open};

const WRITTEN: &str = "dd if=/dev/zero of=f bs=1M count=4 conv=fsync status=none; chmod 600 f";
const SAME: Serving = Serving::new(Consumer::SameKernel);

/// A name, the script, how it is to be served, the code that refuses it or "".
type Case = (&'static str, &'static str, Serving, &'static str);

fn on(mkfs: &str, mount: &str, tools: &[&str], cases: &[Case]) {
    if !ready(tools) {
        return;
    }
    let _shared = ACTIVE_AREAS.read();
    let fs = Mounted::new(&[320], mkfs, mount);
    for (name, script, serving, expected) in cases {
        let script = script.replace("WRITTEN", WRITTEN);
        fs.run(&fs.root, &script).unwrap_or_else(|why| panic!("{name}: {why}"));
        let answer = open(&fs.root.join("f"), serving);
        let code = match &answer {
            Ok(_) => "",
            Err(OpenError::Refused { why }) => why.code(),
            Err(other) => panic!("{name}: {other}"),
        };
        assert_eq!(code, *expected, "{name}: {:?}", answer.as_ref().map(|_| ()).map_err(ToString::to_string));
        drop(answer);
        let clean = "set +e; umount f 2>/dev/null; swapoff f 2>/dev/null; chattr -i -a f 2>/dev/null; rm -rf f g; true";
        fs.run(&fs.root, clean).expect("a clean folder");
    }
}

#[test]
fn on_ext4() {
    let cases: &[Case] = &[
        ("written", "WRITTEN", OTHER, ""),
        ("written, with a header", "WRITTEN; mkswap -q f", OTHER, ""),
        (
            "written, with a hibernation image",
            "WRITTEN; printf S1SUSPEND | dd of=f bs=1 seek=4086 conv=notrunc status=none",
            OTHER,
            "",
        ),
        ("an odd tail", "WRITTEN; truncate -s +100 f", OTHER, ""),
        ("fallocated", "fallocate -l 4M f", OTHER, "unwritten"),
        (
            "half written",
            "fallocate -l 4M f; dd if=/dev/zero of=f bs=1M count=2 conv=notrunc,fsync status=none",
            OTHER,
            "unwritten",
        ),
        ("sparse", "truncate -s 4M f", OTHER, "hole"),
        ("with a hole", "WRITTEN; fallocate -p -o 1M -l 4K f", OTHER, "hole"),
        ("one page", "dd if=/dev/zero of=f bs=4k count=1 conv=fsync status=none", OTHER, "no-usable-page"),
        ("immutable", "WRITTEN; chattr +i f", OTHER, "immutable"),
        ("append-only", "WRITTEN; chattr +a f", OTHER, "append-only"),
        ("a folder", "mkdir f", OTHER, "directory"),
        ("a pipe", "mkfifo f", OTHER, "not-a-file"),
        ("active", "WRITTEN; mkswap -q f; swapon f", OTHER, "active"),
        ("this kernel's own", "WRITTEN", SAME, "file-backed-server"),
        ("this kernel's own, by name", "WRITTEN", SAME.accepting_below(Override::FILE_BACKED), ""),
        ("other risks refuse as before", "fallocate -l 4M f", OTHER.accepting(Risks::all()), "unwritten"),
    ];
    on("mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4", "chattr"], cases);
    let journal: &[Case] = &[("all data journaled", "WRITTEN", OTHER, "journaled-data")];
    on("mkfs.ext4 -q -b 4096 $DEV", "mount -o data=journal $DEV $M", &["mkfs.ext4"], journal);
    let odd: &[Case] = &[(
        "not in whole pages",
        "dd if=/dev/zero of=g bs=1k count=1 conv=fsync status=none; for i in 1 2 3 4 5; do dd if=/dev/zero of=f bs=1k count=1 seek=$((i*5)) conv=notrunc,fsync status=none; done; dd if=/dev/zero of=f bs=1k count=64 conv=fsync status=none",
        OTHER,
        "misaligned",
    )];
    on("mkfs.ext4 -q -b 1024 $DEV", "mount $DEV $M", &["mkfs.ext4"], odd);
}

#[test]
fn on_xfs() {
    let cases: &[Case] = &[
        ("written", "WRITTEN", OTHER, ""),
        ("fallocated", "fallocate -l 4M f", OTHER, "unwritten"),
        ("sparse", "truncate -s 4M f", OTHER, "hole"),
        ("reflinked", "WRITTEN; cp --reflink=always f g; sync -f .", OTHER, "shared"),
        ("one page reflinked", "WRITTEN; xfs_io -f -c 'reflink f 8192 0 4096' g; sync -f .", OTHER, "shared"),
    ];
    on("mkfs.xfs -q $DEV", "mount $DEV $M", &["mkfs.xfs", "xfs_io"], cases);
}

#[test]
fn on_btrfs() {
    let no_cow = "touch f; chattr +C f; WRITTEN";
    let by_name = OTHER.accepting(Risks::BTRFS_NOCOW);
    let cases: &[Case] = &[
        ("copied on write", "WRITTEN", OTHER, "copy-on-write"),
        ("copied on write, by name", "WRITTEN", by_name, "copy-on-write"),
        ("not copied on write", no_cow, OTHER, "transaction"),
        ("not copied on write, by name", no_cow, by_name, ""),
        ("fallocated, by name", "touch f; chattr +C f; fallocate -l 4M f", by_name, "unwritten"),
        ("another risk", no_cow, OTHER.accepting(Risks::NETWORK), "transaction"),
    ];
    on("mkfs.btrfs -q -d single -m single $DEV >/dev/null", "mount $DEV $M", &["mkfs.btrfs", "chattr"], cases);
}

/// Whoever has it open for writing could write at any time.
#[test]
fn what_somebody_else_has_open() {
    if !ready(&["mkfs.ext4"]) {
        return;
    }
    let fs = Mounted::new(&[320], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M");
    fs.run(&fs.root, WRITTEN).expect("a file");
    let path = fs.root.join("f");
    let writer = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    let why = open(&path, &OTHER).map(drop).expect_err("somebody writes");
    assert!(matches!(&why, OpenError::Refused { why } if why.code() == "busy"), "{why}");
    drop(writer);
    std::thread::sleep(std::time::Duration::from_millis(50));
    let reader = std::fs::File::open(&path).expect("the file");
    rustix::fs::flock(&reader, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    let why = open(&path, &OTHER).map(drop).expect_err("somebody has it locked");
    assert!(matches!(&why, OpenError::Refused { why } if why.code() == "busy"), "{why}");
    drop(reader);
    assert!(open(&path, &OTHER).is_ok());
    // A filesystem holds its device.
    let why = open(&fs.device(), &OTHER).map(drop).expect_err("it is mounted");
    assert!(matches!(&why, OpenError::Refused { .. }), "{why}");
}

#[test]
fn risks_have_names() {
    for risk in Risks::all().iter() {
        assert_eq!(Risks::named(&risk.to_string()), Some(risk));
    }
    assert_eq!(Risks::named("all"), None);
    assert_eq!((Risks::BTRFS_NOCOW | Risks::NETWORK).to_string(), "btrfs-nocow, network");
    assert_eq!(Risks::empty().to_string(), "none");
}
