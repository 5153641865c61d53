//! Without a path: four files that look alike to `ls` and not to swapon, made, explained and removed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, IFlags, fallocate, ioctl_ficlone, ioctl_getflags, ioctl_setflags};
use swap_dio::header::{Endian, Label, NewHeader};
use swap_dio::linux::{examine, page_size};
use swap_dio::{Bytes, PageSize};
use tempfile::TempDir;

use crate::Form;

/// Makes the samples where swap could live, shows them, and leaves nothing behind, on ^C neither.
pub(crate) fn show(form: Form) -> io::Result<ExitCode> {
    let page_size = page_size().ok_or_else(|| io::Error::other("this page size is unknown to swap headers"))?;
    // Before anything is made: the samples are removed by the thread that makes them, between two of them.
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED); // asked twice: something hangs
        }
    })
    .map_err(io::Error::other)?;
    let folder = folder(page_size)?;

    let mut out = io::stdout();
    if !form.json {
        writeln!(
            out,
            "Four sample swap files of {}, each with a swap header, in {}.",
            Bytes::new(SIZE),
            folder.path().display()
        )?;
        writeln!(
            out,
            "\"bio\" is swap straight to the device, as swapon does it; \"file\" is swap through the filesystem.\n"
        )?;
    }
    for (name, note, make) in SAMPLES {
        if STOP.load(Ordering::Relaxed) {
            folder.close()?;
            std::process::exit(INTERRUPTED);
        }
        let path = folder.path().join(name);
        match make(&path, page_size) {
            Ok(()) => {
                if !form.json {
                    writeln!(out, "{note}:")?;
                }
                form.print(&path, &form.examine(&path, form.depth))?;
            }
            Err(error) if !form.json => writeln!(out, "{note}: not on this filesystem ({error})\n")?,
            Err(_) => (),
        }
    }
    if !form.json {
        writeln!(out, "Now your own: check PATH…, with --all for every reason. Removed: {}", folder.path().display())?;
    }
    io::stdout().flush()?;
    folder.close()?;
    Ok(ExitCode::SUCCESS)
}

/// Set by ^C, SIGTERM and SIGHUP.
static STOP: AtomicBool = AtomicBool::new(false);
/// As a shell says it of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

type Make = fn(&Path, PageSize) -> io::Result<()>;

const SAMPLES: [(&str, &str, Make); 4] = [
    ("written", "Every byte written (dd)", written),
    ("fallocated", "Allocated, not written (fallocate)", fallocated),
    ("sparse", "Made long, not allocated (truncate)", sparse),
    ("cloned", "A clone of the written one (cp --reflink)", cloned),
];

const SIZE: u64 = 1 << 20;

/// A folder on a filesystem that can serve swap, if one of the usual places is on one.
fn folder(page_size: PageSize) -> io::Result<TempDir> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places = [Some(std::env::temp_dir()), std::env::current_dir().ok(), home];
    let mut last = Err(io::Error::other("no folder to make samples in"));
    for place in places.into_iter().flatten() {
        last = tempfile::Builder::new().prefix("swap-dio-check-").tempdir_in(place);
        let Ok(folder) = &last else { continue };
        let probe = folder.path().join("probe");
        if written(&probe, page_size).is_err() {
            continue;
        }
        let can = examine(&probe, swap_dio::linux::Depth::First).is_ok_and(|found| found.bio.reasons().is_empty());
        std::fs::remove_file(&probe)?;
        if can {
            break;
        }
    }
    last
}

fn written(path: &Path, page_size: PageSize) -> io::Result<()> {
    let file = create(path)?;
    for offset in (0..SIZE).step_by(BLOCK.len()) {
        file.write_all_at(&BLOCK, offset)?;
    }
    finish(&file, page_size)
}

fn fallocated(path: &Path, page_size: PageSize) -> io::Result<()> {
    let file = create(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, SIZE)?;
    finish(&file, page_size)
}

fn sparse(path: &Path, page_size: PageSize) -> io::Result<()> {
    let file = create(path)?;
    file.set_len(SIZE)?;
    finish(&file, page_size)
}

fn cloned(path: &Path, _: PageSize) -> io::Result<()> {
    let source = File::open(path.with_file_name("written"))?;
    let file = create(path)?;
    ioctl_ficlone(&file, &source).map_err(|error| {
        let _ = std::fs::remove_file(path);
        io::Error::from(error)
    })
}

static BLOCK: [u8; 64 << 10] = [0; 64 << 10];

/// A new, empty, private file; not copied on write where that can be chosen, which must be while it is empty.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    if let Ok(flags) = ioctl_getflags(&file) {
        let _ = ioctl_setflags(&file, flags | IFlags::NOCOW);
    }
    Ok(file)
}

/// Writes the swap header, as mkswap(8) does.
fn finish(file: &File, page_size: PageSize) -> io::Result<()> {
    let mut page = vec![0; usize::try_from(page_size.bytes().get()).map_err(io::Error::other)?];
    let header = NewHeader {
        page_size,
        endian: Endian::NATIVE,
        pages: Bytes::new(SIZE).whole_pages(page_size),
        uuid: [0; 16],
        label: Label::NONE,
        bad_pages: &[],
    };
    header.write(&mut page).map_err(io::Error::other)?;
    file.write_all_at(&page, 0)?;
    file.sync_all()
}
