//! No method of fuser's trait is left out: by its source, and by what comes out at the other end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use fuser::Filesystem;
use swap_dio::fuse::adapter::SwapGuard;

use super::recorder::{ANSWER, Calls, Recorder};
use super::wire::{Body, Peer, op};

/// What no crate but fuser can write, since its arguments have no public name.
const UNNAMEABLE: &str = "batch_forget";

#[test]
fn every_method_of_fuser_is_forwarded() {
    let source = fuser_source();
    let forwarder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/fuse/adapter/forward.rs");
    let forwarder = std::fs::read_to_string(forwarder).expect("our own source");
    let (theirs, ours) = (methods(&source, "pub trait Filesystem"), methods(&forwarder, "for SwapGuard<F>"));
    assert!(theirs.len() > 40 && theirs.contains("copy_file_range"), "the trait was not found: {theirs:?}");
    let left_out: Vec<&String> = theirs.difference(&ours).collect();
    assert_eq!(left_out, [UNNAMEABLE], "fuser has methods that the guard does not pass on");
    assert!(!source.contains("pub use crate::forget_one::ForgetOne"), "it has a name now: forward {UNNAMEABLE}");
}

#[test]
fn the_filesystem_inside_is_called_as_it_would_be_without_the_guard() {
    let (bare, guarded) = (Calls::default(), Calls::default());
    let without = converse(Recorder(bare.clone()));
    let with = converse(SwapGuard::new(Recorder(guarded.clone()), 1));
    let calls = |calls: &Calls| calls.lock().expect("no panic").clone();
    let (bare, guarded) = (calls(&bare), calls(&guarded));
    let expected: Vec<String> = bare.iter().filter(|call| !call.starts_with("bmap")).cloned().collect();
    assert_eq!(guarded, expected, "left: what the guard passed on");
    for ((opcode, without), (_, with)) in without.iter().zip(&with) {
        // A hole, which nobody has to ask the filesystem's own `bmap` for.
        let expected = if *opcode == op::BMAP { &Ok(vec![0; 8]) } else { without };
        assert_eq!(with, expected, "opcode {opcode}");
    }
    // The conversation leaves no method out.
    let called: BTreeSet<String> = bare.iter().filter_map(|call| call.split(' ').next()).map(str::to_owned).collect();
    let theirs = methods(&fuser_source(), "pub trait Filesystem");
    assert_eq!(theirs.difference(&called).collect::<Vec<_>>(), [UNNAMEABLE], "methods that nothing calls here");
}

/// Each request once, with numbers that differ from field to field.
fn converse(filesystem: impl Filesystem) -> Vec<(u32, Result<Vec<u8>, i32>)> {
    let mut peer = Peer::start(filesystem);
    let b = Body::new;
    let handle = || b().u64(0xf1);
    let lock = || handle().u64(0x70).u64(3).u64(9).u32(1).u32(44).u32(0).u32(0);
    let requests = [
        (op::LOOKUP, b().name("a")),
        (op::GETATTR, b().u32(1).u32(0).u64(0xf1)),
        (op::SETATTR, setattr(0x1ff, 12)),
        (op::READLINK, b()),
        (op::MKNOD, b().u32(0o100644).u32(5).u32(0o22).u32(0).name("node")),
        (op::MKDIR, b().u32(0o755).u32(0o22).name("folder")),
        (op::UNLINK, b().name("gone")),
        (op::RMDIR, b().name("gone too")),
        (op::SYMLINK, b().name("link").name("to/there")),
        (op::RENAME, b().u64(5).name("old").name("new")),
        (op::RENAME2, b().u64(6).u32(1).u32(0).name("older").name("newer")),
        (op::LINK, b().u64(7).name("hard")),
        (op::OPEN, b().u32(0x8002).u32(0)),
        (op::READ, handle().u64(4096).u32(512).u32(2).u64(0x70).u32(0x8002).u32(0)),
        (op::WRITE, handle().u64(8192).u32(5).u32(1).u64(0x70).u32(0x8001).u32(0).bytes(b"bytes")),
        (op::FLUSH, handle().u32(0).u32(0).u64(0x70)),
        (op::RELEASE, handle().u32(0x8002).u32(1).u64(0x70)),
        (op::FSYNC, handle().u32(1).u32(0)),
        (op::OPENDIR, b().u32(0x1_0000).u32(0)),
        (op::READDIR, handle().u64(3).u32(4096).u32(0).u64(0).u32(0).u32(0)),
        (op::READDIRPLUS, handle().u64(4).u32(4096).u32(0).u64(0).u32(0).u32(0)),
        (op::RELEASEDIR, handle().u32(0x1_0000).u32(0).u64(0)),
        (op::FSYNCDIR, handle().u32(0).u32(0)),
        (op::STATFS, b()),
        (op::SETXATTR, b().u32(5).u32(2).name("user.a").bytes(b"value")),
        (op::GETXATTR, b().u32(64).u32(0).name("user.b")),
        (op::LISTXATTR, b().u32(65).u32(0)),
        (op::REMOVEXATTR, b().name("user.c")),
        (op::ACCESS, b().u32(4).u32(0)),
        (op::CREATE, b().u32(0o102).u32(0o644).u32(0o22).u32(0).name("made")),
        (op::GETLK, lock()),
        (op::SETLK, lock()),
        (op::BMAP, b().u64(15).u32(4096).u32(0)),
        (op::IOCTL, handle().u32(0).u32(0x5401).u64(0).u32(2).u32(8).bytes(b"in")),
        (op::POLL, handle().u64(0xbe11).u32(1).u32(5)),
        (op::FALLOCATE, handle().u64(1).u64(2).u32(3).u32(0)),
        (op::LSEEK, handle().u64(100).u32(3).u32(0)),
        (op::COPY_FILE_RANGE, handle().u64(1).u64(8).u64(0xf2).u64(2).u64(3).u64(0)),
    ];
    peer.tell(op::FORGET, 9, b().u64(3));
    peer.tell(op::BATCH_FORGET, 0, b().u32(2).u32(0).u64(10).u64(1).u64(11).u64(2));
    let answers = requests.map(|(opcode, body)| (opcode, peer.ask(opcode, 2, body)));
    for (opcode, answer) in &answers {
        assert!(*opcode == op::BMAP || *answer == Err(ANSWER), "opcode {opcode}: {answer:?}");
    }
    drop(peer);
    answers.to_vec()
}

/// `fuse_setattr_in` with these fields set, and a size.
pub(crate) fn setattr(valid: u32, size: u64) -> Body {
    let head = Body::new().u32(valid).u32(0).u64(0xf1).u64(size).u64(0x70);
    let times = head.u64(100).u64(200).u64(300).u32(1).u32(2).u32(3);
    times.u32(0o100600).u32(0).u32(1000).u32(1001).u32(0)
}

fn fuser_source() -> String {
    let version = String::from_utf8(cargo(&["-vV"])).expect("text");
    // Packages of other platforms may not be on this machine.
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let arguments = ["metadata", "--format-version", "1", "--offline", "--all-features", "--filter-platform", host];
    let output = cargo(&[&arguments[..], &["--manifest-path", manifest]].concat());
    let metadata: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let fuser = packages.iter().find(|package| package["name"] == "fuser").expect("fuser is a dependency");
    let manifest = PathBuf::from(fuser["manifest_path"].as_str().expect("a path"));
    std::fs::read_to_string(manifest.with_file_name("src/lib.rs")).expect("fuser's source")
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The methods of the block that begins after `start`; those of macOS are no part of Linux.
fn methods(source: &str, start: &str) -> BTreeSet<String> {
    let (_, body) = source.split_once(start).expect("the block begins");
    let (body, _) = body.split_once("\n}").expect("the block ends");
    let mut foreign = false;
    let mut found = BTreeSet::new();
    for line in body.lines() {
        foreign |= line == "    #[cfg(target_os = \"macos\")]";
        if let Some(name) = line.strip_prefix("    fn ").and_then(|rest| rest.split('(').next()) {
            if !std::mem::take(&mut foreign) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}
