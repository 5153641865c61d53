//! A swap area that is switched off when it is dropped, and its header.
#![allow(unsafe_code)] // swapon(2) and swapoff(2), which no safe crate wraps, each with its proof

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use swap_dio::header::{Endian, Label, NewHeader};
use swap_dio::linux::page_size;
use swap_dio::{Bytes, PageCount};

use crate::say::say;

/// An active area.
pub(crate) struct Area {
    pub(crate) path: PathBuf,
    name: CString,
    active: bool,
}

impl Area {
    /// Activates an area before all others, so that what is swapped out meanwhile goes there.
    pub(crate) fn activate(path: &Path) -> io::Result<Self> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: swapon reads the path, a C string that lives until the call returns, and keeps nothing of it.
        if unsafe { libc::swapon(name.as_ptr(), PREFER | HIGHEST) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { path: path.to_owned(), name, active: true })
    }

    /// Switches it off, which reads back what is left in it.
    pub(crate) fn deactivate(mut self) -> io::Result<()> {
        self.active = false;
        self.off()
    }

    fn off(&self) -> io::Result<()> {
        // SAFETY: swapoff reads the path, a C string that lives until the call returns.
        if unsafe { libc::swapoff(self.name.as_ptr()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        if !self.active {
            return;
        }
        if let Err(error) = self.off() {
            say(format_args!("{} is left active: {error}", self.path.display()));
        }
    }
}

/// Writes a swap header over a file or device of so many bytes.
pub(crate) fn write_header(path: &Path, size: u64, uuid: [u8; 16]) -> io::Result<()> {
    let page_size = page_size().ok_or_else(|| io::Error::other("a page size that no swap header can have"))?;
    let mut page = vec![0; usize::try_from(page_size.bytes().get()).map_err(io::Error::other)?];
    let pages = PageCount::new(Bytes::new(size).get() >> page_size.shift());
    let header = NewHeader { page_size, endian: Endian::NATIVE, pages, uuid, label: Label::NONE, bad_pages: &[] };
    header.write(&mut page).map_err(io::Error::other)?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&page, 0)?;
    file.sync_all()
}

/// Whether an area of that name is active; the kernel writes what would part its table as `\040` and the like.
pub(crate) fn is_active(path: &Path) -> io::Result<bool> {
    let escaped = |byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
        byte => vec![*byte],
    };
    let name: Vec<u8> = path.as_os_str().as_bytes().iter().flat_map(escaped).collect();
    let text = std::fs::read("/proc/swaps")?;
    let is_it = |line: &[u8]| {
        line.strip_prefix(&name[..]).is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
    };
    Ok(text.split(|byte| *byte == b'\n').skip(1).any(is_it))
}

/// Whether the kernel refuses to write to a file because it is an active area, whatever its name was at swapon. It says
/// so before it looks at how much is written: here nothing.
pub(crate) fn refuses_writing(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().write(true).open(path)?.write(&[]) {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => Ok(true),
        Err(error) => Err(error),
    }
}

/// `SWAP_FLAG_PREFER`: the low bits are a priority.
const PREFER: libc::c_int = 0x8000;
/// The highest priority that fits into the flags.
const HIGHEST: libc::c_int = 32767;
