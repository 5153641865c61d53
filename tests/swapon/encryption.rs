//! P-124: a file that its filesystem encrypts, made with a key of its own.
#![allow(unsafe_code)] // two ioctls that no safe crate wraps, each with its proof

use std::fs::File;
use std::os::fd::AsRawFd;

use swap_dio::Verdict;
use swap_dio::linux::{Depth, examine};

use crate::cases::Kernel::Either;
use crate::cases::WRITE_40;
use crate::machine::{ACTIVE_AREAS, Answer, swapon};
use crate::{judge, make_case, mounted};

/// `struct fscrypt_add_key_arg` and a key, include/uapi/linux/fscrypt.h.
#[repr(C)]
struct AddKey {
    kind: u32,
    reserved: u32,
    identifier: [u8; 32],
    raw_size: u32,
    key_id: u32,
    reserved_too: [u32; 8],
    raw: [u8; 64],
}

/// `struct fscrypt_policy_v2`.
#[repr(C)]
struct Policy {
    version: u8,
    contents: u8,
    names: u8,
    flags: u8,
    unit: u8,
    reserved: [u8; 3],
    identifier: [u8; 16],
}

/// `_IOWR('f', 23, struct fscrypt_add_key_arg)`, without the key.
const ADD_ENCRYPTION_KEY: libc::Ioctl = 0xc050_6617;
/// `_IOR('f', 19, struct fscrypt_policy_v1)`, for every version.
const SET_ENCRYPTION_POLICY: libc::Ioctl = 0x800c_6613;

/// Makes an empty folder encrypt what comes to lie in it.
fn encrypt(folder: &File) -> std::io::Result<()> {
    const BY_IDENTIFIER: u32 = 2;
    let raw = std::array::from_fn(|index| u8::try_from(index).unwrap_or(0));
    let mut key = AddKey {
        kind: BY_IDENTIFIER,
        reserved: 0,
        identifier: [0; 32],
        raw_size: 64,
        key_id: 0,
        reserved_too: [0; 8],
        raw,
    };
    // SAFETY: the kernel reads the structure, as long as its sizes say, and fills in the identifier.
    if unsafe { libc::ioctl(folder.as_raw_fd(), ADD_ENCRYPTION_KEY, &raw mut key) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    const AES_256_XTS: u8 = 1;
    const AES_256_CTS: u8 = 4;
    let identifier = std::array::from_fn(|index| key.identifier[index]);
    let policy = Policy {
        version: 2,
        contents: AES_256_XTS,
        names: AES_256_CTS,
        flags: 0,
        unit: 0,
        reserved: [0; 3],
        identifier,
    };
    // SAFETY: the kernel reads the structure, as long as its version says.
    match unsafe { libc::ioctl(folder.as_raw_fd(), SET_ENCRYPTION_POLICY, &raw const policy) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// 6.18.44 takes it and swaps in the clear, kernels with the fix of 2026 refuse: nothing is foretold, and we refuse.
#[test]
fn p_124_encrypted_files_are_refused_and_not_foretold() {
    let make = "mkfs.ext4 -q -b 4096 -O encrypt $DEV";
    let Some(fs) = mounted(&[64], make, "mount $DEV $M; mkdir $M/secret", &["mkfs.ext4"]) else { return };
    let folder = File::open(fs.root.join("secret")).expect("the folder");
    match encrypt(&folder) {
        Ok(()) => (),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::ENOPKG)) => {
            return println!("skipped: this kernel does not encrypt: {error}");
        }
        Err(error) => panic!("cannot encrypt: {error}"),
    }
    drop(folder);
    let path = make_case(&fs, "secret", WRITE_40, 39, "chmod 600 f; lsattr f | cut -d' ' -f1 | grep -q E")
        .expect("an encrypted file");
    judge("ext4, encrypted", "P-124", &path, Either).expect("agreement");
    let _shared = ACTIVE_AREAS.read();
    let found = examine(&path, Depth::All).expect("an examination");
    assert_eq!((found.kernel.accepts, found.kernel.errno), (None, None), "{found:?}");
    for judgement in [&found.bio, &found.file] {
        assert_eq!(judgement.verdict(), Verdict::Refuse, "{found:?}");
        assert_eq!(judgement.reasons().first().map(|why| why.code()), Some("encrypted"), "{found:?}");
    }
    let answer = swapon(&path, 4096);
    assert!(matches!(answer, Answer::Accepted { pages: 39, .. } | Answer::Refused(22)), "{answer:?}");
}
