//! Family A, the header page: each field by itself, each mark of a suspended system, and areas at random.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use swap_dio::linux::{Depth, examine};

use crate::cases::EINVAL;
use crate::cases::Kernel::{Accepts, Refuses};
use crate::machine::{ACTIVE_AREAS, Mounted};
use crate::path::call;
use crate::{judge, make_case, mounted, write_header};

const VERSION: u64 = 1024;
const LAST_PAGE: u64 = 1028;
const BAD_COUNT: u64 = 1032;
const BAD_PAGES: u64 = 1536;
const MAGIC: u64 = 4086;

/// Name, pages of the file, fields poked into a good header (offset, value), the first reason's code.
type Row = (&'static str, u64, &'static [(u64, u32)], &'static str);

const FIELDS: &[Row] = &[
    ("P-004 version 0", 40, &[(VERSION, 0)], "header-version"),
    ("P-004 version 2", 40, &[(VERSION, 2)], "header-version"),
    ("P-006 last page 0", 40, &[(LAST_PAGE, 0)], "header-empty"),
    ("P-007 last page 40", 40, &[(LAST_PAGE, 40)], "header-short"),
    ("P-007 last page 0xffffffff", 40, &[(LAST_PAGE, u32::MAX)], "header-short"),
    ("P-011 one page, last page 0", 1, &[(LAST_PAGE, 0)], "header-empty"),
    ("P-011 one page, last page 1", 1, &[(LAST_PAGE, 1)], "header-short"),
    ("P-012 a bad page on a file", 40, &[(BAD_COUNT, 1), (BAD_PAGES, 7)], "header-bad-pages"),
    ("P-012 more bad pages than fit", 40, &[(BAD_COUNT, 638)], "header-bad-pages"),
];

/// What hibernation leaves in place of the signature.
const MARKS: &[(&str, &[u8])] = &[
    ("P-021 S1SUSPEND", b"S1SUSPEND\0"),
    ("P-021 S2SUSPEND", b"S2SUSPEND\0"),
    ("P-021 ULSUSPEND", b"ULSUSPEND\0"),
    ("P-021 LINHIB0001", b"LINHIB0001"),
    ("P-021 TuxOnIce", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"),
];

#[test]
fn fields_and_marks() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4"]) else { return };
    for (name, pages, fields, code) in FIELDS {
        let path = written(&fs, *pages).expect("a file");
        for (offset, value) in *fields {
            poke(&path, *offset, &value.to_ne_bytes());
        }
        refused(name, &path, code);
    }
    for (name, mark) in MARKS {
        let path = written(&fs, 40).expect("a file");
        poke(&path, MAGIC, mark);
        refused(name, &path, "hibernation-image");
        // Asked, not rewritten: what may be resumed is still there.
        let mut left = vec![0; mark.len()];
        std::fs::File::open(&path).and_then(|file| file.read_exact_at(&mut left, MAGIC)).expect("the mark");
        assert_eq!(left, *mark, "{name}");
    }
}

/// What is done to a good header.
#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Magic,
    Version,
    NoPages,
    TooManyPages,
    BadPages,
}

#[test]
fn p_025_random_areas_and_damages() {
    let Some(fs) = mounted(&[64], "mkfs.ext4 -q -b 4096 $DEV", "mount $DEV $M", &["mkfs.ext4"]) else { return };
    let damage = prop_oneof![
        5 => Just(Damage::None),
        1 => Just(Damage::Magic),
        1 => Just(Damage::Version),
        1 => Just(Damage::NoPages),
        1 => Just(Damage::TooManyPages),
        1 => Just(Damage::BadPages),
    ];
    let area = (32u64..=256).prop_flat_map(|pages| (Just(pages), 1..pages));
    let rounds = (area, any::<u32>(), proptest::option::of(0..=0x7fffu32), damage);
    let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&rounds, |((pages, last), noise, priority, damage)| {
        let path = written(&fs, pages).map_err(TestCaseError::fail)?;
        write_header(&path, last, &[]).map_err(TestCaseError::fail)?;
        let available = u32::try_from(pages).expect("few");
        match damage {
            Damage::None => (),
            Damage::Magic => poke(&path, MAGIC + u64::from(noise % 10), &[0xa5]),
            Damage::Version => poke(&path, VERSION, &(noise.max(2) & 0x00ff_ffff).max(2).to_ne_bytes()),
            Damage::NoPages => poke(&path, LAST_PAGE, &[0; 4]),
            Damage::TooManyPages => poke(&path, LAST_PAGE, &noise.max(available).to_ne_bytes()),
            Damage::BadPages => poke(&path, BAD_COUNT, &noise.max(1).to_ne_bytes()),
        }
        let is_sound = matches!(damage, Damage::None);
        let expected = if is_sound { Accepts(4 * last) } else { Refuses(EINVAL) };
        judge("ext4", "P-025", &path, expected).map_err(TestCaseError::fail)?;
        // With SWAP_FLAG_PREFER and any priority the answer is the same.
        let _shared = ACTIVE_AREAS.read();
        let flags = priority.map_or(0, |priority| 0x8000 | priority);
        prop_assert_eq!(call(path.as_os_str(), flags), if is_sound { Ok(()) } else { Err(EINVAL) });
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

/// A file of so many written pages with a sound header, or with the smallest one that there is room to damage.
fn written(fs: &Mounted, pages: u64) -> Result<std::path::PathBuf, String> {
    let script = format!("dd if=/dev/zero of=f bs=4k count={pages} status=none");
    make_case(fs, "header", &script, pages.saturating_sub(1).max(1), "")
}

fn poke(path: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).expect("the file");
    file.write_all_at(bytes, offset).expect("a poke");
}

/// Refused with EINVAL by the kernel, and by us with this code first.
fn refused(name: &str, path: &Path, code: &str) {
    judge("ext4", name, path, Refuses(EINVAL)).unwrap_or_else(|why| panic!("{why}"));
    let found = examine(path, Depth::First).expect("an examination");
    assert_eq!(found.bio.reasons().first().map(|why| why.code()), Some(code), "{name}: {found:?}");
}
