//! `swapfs serve`: mounts, says `ready`, and stays until it is told to go and may.

use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use swap_dio::Verdict;
use swap_dio::fuse::adapter::Bounce;
use swap_dio::linux::reclaim::Step;
use swap_dio::topology::Override;

use crate::filesystem::{BUFFER, Habits};
use crate::format::{describe, format_image};
use crate::image::{Image, ImageError};
use crate::mounted::{Mode, Mounted};
use crate::posture::Taken;
use crate::say::say;
use crate::{allocations, scatter, stop};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What somebody accepts by name.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) risks: Override,
    pub(crate) steps: BTreeSet<Step>,
}

impl Accepted {
    /// Every name that there is.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Override::NAMES.iter().map(|(name, _)| *name).chain(Step::ALL.iter().map(|step| step.name()))
    }

    /// Those of these names; another is none.
    pub(crate) fn named(names: &[String]) -> Self {
        let risks = names.iter().filter_map(|name| Override::named(name)).collect();
        Self { risks, steps: names.iter().filter_map(|name| Step::named(name)).collect() }
    }
}

/// Serves an image until SIGINT, SIGTERM or unmount.
pub(crate) fn serve(
    path: &Path,
    folder: &Path,
    size: Option<u64>,
    mode: Mode,
    accepted: Accepted,
    habits: Habits,
) -> Result<()> {
    let Accepted { risks: accepted, steps } = accepted;
    refuse_risks(path, mode, accepted)?;
    if !rustix::process::geteuid().is_root() {
        return Err("mounting for swap is root's: run it as root".into());
    }
    // Before any thread is started, of which the one that listens for signals is the first.
    let (posture, pool) = match mode {
        Mode::Bmap => (None, Bounce::new(mode.threads(), BUFFER)?),
        Mode::Loop => Taken::new(mode.threads(), steps).map(|(taken, pool)| (Some(taken), pool))?,
    };
    stop::listen()?;
    let image = match size {
        Some(size) => made(path, size)?,
        None => Image::open(path)?,
    };
    if image.is_served() && !accepted.contains(Override::LOOP_OVER_FUSE) {
        return Err(ImageError::Served(image.path.clone()).into());
    }
    let is_device = image.is_device;
    // The name is asked for an image that is a file; a device is taken as it is, and what it stands on is told.
    let accepted = if is_device { accepted | Override::FILE_BACKED } else { accepted };
    let mut mounted = Mounted::new(image, folder, mode, habits, accepted, pool)?;
    say(describe(&mounted.layout));
    let depends_on = mounted.depends_on();
    if !depends_on.is_empty() {
        say(format_args!("accepted: {depends_on}"));
    }
    if let Some(device) = mounted.buffered() {
        say(format_args!("{} has no direct I/O: what is swapped out stays in the page cache", device.display()));
    }
    match mode {
        Mode::Loop => say("for memory cgroups only: no posture keeps the kernel's side of it from waiting for memory"),
        Mode::Bmap if !is_device => {
            say("the image is a file: for swap that must survive global pressure take a block device");
        }
        Mode::Bmap => (),
    }
    if let Some(posture) = &posture {
        posture.prove(&mounted.workers)?;
    }
    // Nobody uses it yet: if nobody reads it, it goes.
    let mut out = stdout().lock();
    out.write_all(b"area ")?;
    out.write_all(mounted.area.as_os_str().as_bytes())?;
    out.write_all(b"\nready\n")?;
    drop(out);
    let before = allocations::count();
    let mut after = before;
    stay(&mut mounted, || after = allocations::count())?;
    let (served, allocated) = (&mounted.served, after - before);
    let (requests, mappings) = (served.requests(), served.mappings());
    say(format_args!("{requests} requests and {mappings} mappings were served, with {allocated} allocations"));
    Ok(())
}

/// Serves until told to go. `told` is called once, when that begins.
fn stay(mounted: &mut Mounted, mut told: impl FnMut()) -> Result<()> {
    let (mut said, mut was_told, mut looked) = (String::new(), false, Instant::now());
    let mut is_sound = true;
    loop {
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            // Once it has stopped a look keeps what is gone from being read, and has nothing new to say.
            if let (true, Err(why)) = (is_sound, mounted.look()) {
                is_sound = why.verdict() == Verdict::Retry;
                let remedy = why.remedy().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
                say(format_args!(
                    "{}: {why}{remedy}",
                    if is_sound { "looking again" } else { "no page is written any more" }
                ));
            }
        }
        let (is_over, is_asked) = (mounted.has_ended(), stop::requested());
        if !was_told && (is_over || is_asked) {
            was_told = true;
            told();
        }
        if is_over {
            mounted.check_end()?;
            say("unmounted");
            return mounted.join();
        }
        if is_asked {
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

/// Between two looks at the image: less than the time of a lease.
const LOOK: Duration = Duration::from_secs(5);

/// What must have been accepted for a mode, and was not.
fn refuse_risks(path: &Path, mode: Mode, accepted: Override) -> Result<()> {
    let is_file = std::fs::metadata(path).map_or(true, |data| data.is_file());
    let taken = match mode {
        Mode::Bmap => Override::empty(),
        Mode::Loop if is_file => Override::LOOP_OVER_FUSE | Override::FILE_BACKED,
        Mode::Loop => Override::LOOP_OVER_FUSE,
    };
    let missing = taken - accepted;
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "--mode loop hangs the machine under global memory pressure, for swap of this same kernel: refused; use --mode \
         bmap, or say --accept-risk {missing}"
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
