//! `swapfs serve`: mounts, says `ready`, and stays until it is told to go and may.

use std::io::{Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::mm::{MlockAllFlags, mlockall};

use crate::filesystem::Habits;
use crate::format::{describe, format_image};
use crate::image::{Image, ImageError};
use crate::mounted::{Mode, Mounted};
use crate::say::say;
use crate::{scatter, stop};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What can go wrong that whoever runs it must have accepted by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Risk {
    /// Every page goes through a loop device and FUSE, whose kernel side allocates without a reserve: under global memory
    /// pressure the machine hangs, whatever the program does
    LoopOverFuse,
    /// The image is a file: swap and the server's direct I/O share a pool of the filesystem below
    FileBacked,
}

/// Serves an image until SIGINT, SIGTERM or unmount.
pub(crate) fn serve(
    path: &Path,
    folder: &Path,
    size: Option<u64>,
    mode: Mode,
    accepted: &[Risk],
    habits: Habits,
) -> Result<()> {
    stop::listen()?;
    refuse_risks(path, mode, accepted)?;
    if !rustix::process::geteuid().is_root() {
        return Err("mounting for swap is root's: run it as root".into());
    }
    let image = match size {
        Some(size) => made(path, size)?,
        None => Image::open(path)?,
    };
    if image.is_served() && !accepted.contains(&Risk::LoopOverFuse) {
        return Err(ImageError::Served(image.path.clone()).into());
    }
    let is_device = image.is_device;
    if mode == Mode::Loop {
        lock_memory();
    }
    let mut mounted = Mounted::new(image, folder, mode, habits)?;
    say(describe(&mounted.layout));
    if let Some(device) = mounted.buffered() {
        say(format_args!("{} has no direct I/O: what is swapped out stays in the page cache", device.display()));
    }
    match mode {
        Mode::Loop => say("for memory cgroups only: no IO_FLUSHER, no OOM protection, see --help"),
        Mode::Bmap if !is_device => {
            say("the image is a file: for swap that must survive global pressure take a block device");
        }
        Mode::Bmap => (),
    }
    // Nobody uses it yet: if nobody reads it, it goes.
    let mut out = stdout().lock();
    out.write_all(b"area ")?;
    out.write_all(mounted.area.as_os_str().as_bytes())?;
    out.write_all(b"\nready\n")?;
    drop(out);
    stay(&mut mounted)?;
    let served = &mounted.served;
    say(format_args!("{} requests and {} mappings were served", served.requests(), served.mappings()));
    Ok(())
}

fn lock_memory() {
    if let Err(error) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        say(format_args!("its memory is not locked: {error}"));
    }
}

fn stay(mounted: &mut Mounted) -> Result<()> {
    let mut said = String::new();
    loop {
        if mounted.has_ended() {
            mounted.check_end()?;
            say("unmounted");
            return mounted.join();
        }
        if stop::requested() {
            match mounted.try_unmount() {
                Ok(()) => return Ok(()),
                // Once, and again if it is something else.
                Err(error) if error.to_string() != said => {
                    said = error.to_string();
                    say(format_args!("{said}; it goes after that"));
                }
                Err(_) => (),
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn refuse_risks(path: &Path, mode: Mode, accepted: &[Risk]) -> Result<()> {
    let is_file = std::fs::metadata(path).map_or(true, |data| data.is_file());
    let taken = match mode {
        Mode::Bmap => &[][..],
        Mode::Loop if is_file => &[Risk::LoopOverFuse, Risk::FileBacked],
        Mode::Loop => &[Risk::LoopOverFuse],
    };
    let missing: Vec<String> = taken
        .iter()
        .filter(|risk| !accepted.contains(risk))
        .filter_map(|risk| clap::ValueEnum::to_possible_value(risk).map(|value| value.get_name().to_owned()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(",");
    Err(format!(
        "--mode loop hangs the machine under global memory pressure, for swap of this same kernel: refused; use --mode \
         bmap, or say --accept-risk {names}"
    )
    .into())
}

/// The image at `path`, made if nothing is there; if one is, it must be of that size.
fn made(path: &Path, size: u64) -> Result<Image> {
    let is_missing = std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let image = if is_missing { Image::create(path)? } else { Image::open(path)? };
    if image.content()?.is_none() {
        let planned = scatter::plan([0; 16], size);
        planned.inspect_err(|_| image.discard())?;
        format_image(&image, Some(size), 0)?;
        drop(image);
        return Ok(Image::open(path)?);
    }
    let found = image.layout()?.file();
    if size.checked_next_multiple_of(crate::superblock::BLOCK) == Some(found) {
        Ok(image)
    } else {
        Err(format!("{}: the swapfile has {found} bytes, not {size}", path.display()).into())
    }
}
