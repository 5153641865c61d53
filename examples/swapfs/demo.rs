//! `swapfs demo`: image, mount, header, swapon, pressure, swapoff, unmount; and what came of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use swap_dio::fuse::adapter::Bounce;
use swap_dio::topology::Override;

use crate::area::{Area, write_header};
use crate::compare;
use crate::filesystem::{BUFFER, Habits};
use crate::format::format;
use crate::image::Image;
use crate::mounted::{Mode, Mounted};
use crate::pressure::{Pressure, Swapped};
use crate::stop;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How much, how often, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this mode; without it, both, one after the other
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// MiB of memory that the process under pressure works on
    #[arg(long, default_value_t = 192, value_parser = clap::value_parser!(u64).range(1..=crate::MOST_MIB))]
    pub(crate) working_set: u64,
    /// MiB of memory that its cgroup may have
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=crate::MOST_MIB))]
    pub(crate) limit: u64,
    /// Times that every page is written anew and read back twice, in order and in no order
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Where the temporary folder with the image is made: not on tmpfs, which is refused
    #[arg(long, default_value = "/var/tmp")]
    pub(crate) folder: PathBuf,
    /// Measure so many times against a swap file on ext4, in turn on one loop device
    #[arg(long, value_name = "TIMES", num_args = 0..=1, default_missing_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) compare: Option<u32>,
}

impl Options {
    /// Bytes of a swapfile that has room for all of it.
    pub(crate) const fn area(&self) -> u64 {
        // What is in memory at swapoff, and what the kernel keeps ahead, must find a place too.
        (self.working_set + 32) << 20
    }

    pub(crate) fn modes(&self) -> Vec<Mode> {
        self.mode.map_or_else(|| vec![Mode::Bmap, Mode::Loop], |mode| vec![mode])
    }
}

/// What one way of swapping came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    swapped: Swapped,
    seconds: f64,
    verified: u64,
    pub(crate) wrong: u64,
    /// Requests that came between activation and swapoff.
    served: u64,
}

impl Figures {
    /// MiB a second, out and in together.
    pub(crate) fn rate(&self) -> f64 {
        (mib(self.swapped.out) + mib(self.swapped.back)) / self.seconds
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    stop::listen()?;
    if !rustix::process::geteuid().is_root() {
        return Err("mount, swapon and cgroups are root's: run the demo as root".into());
    }
    if options.working_set <= options.limit {
        return Err("a working set that fits into the limit is not swapped".into());
    }
    let modes = options.modes();
    if modes.contains(&Mode::Loop) {
        println!("mode loop is safe here only because all pressure is inside a memory cgroup");
    }
    if let Some(times) = options.compare {
        return compare::run(options, times);
    }
    let mut rows = Vec::new();
    for mode in modes {
        let folder = tempfile::Builder::new().prefix("swapfs-demo-").tempdir_in(&options.folder)?;
        let path = folder.path().join("image");
        format(&path, Some(options.area()), 0)?;
        let dir = folder.path().join("mnt");
        fs::create_dir(&dir)?;
        rows.push((mode, measure(&path, &dir, mode, options)?));
    }
    println!("mode  MiB out   MiB in   MiB/s  pages verified  wrong pages  requests served");
    for (mode, row) in &rows {
        let (out, back, rate) = (mib(row.swapped.out), mib(row.swapped.back), row.rate());
        let (verified, wrong, served) = (row.verified, row.wrong, row.served);
        println!("{mode:<4}  {out:>7.1}  {back:>7.1}  {rate:>6.1}  {verified:>14}  {wrong:>11}  {served:>15}");
    }
    if rows.iter().any(|(_, row)| row.wrong > 0) {
        return Err("pages came back wrong".into());
    }
    Ok(())
}

/// Mounts an image, puts pressure on its file, and unmounts it.
pub(crate) fn measure(image: &Path, dir: &Path, mode: Mode, options: &Options) -> Result<Figures> {
    // All pressure is inside a memory cgroup.
    let accepted = Override::GLOBAL_RECLAIM_EXCLUDED;
    let pool = Bounce::new(mode.threads(), BUFFER)?;
    let mounted = Mounted::new(Image::open(image)?, dir, mode, Habits::Survivable, accepted, pool)?;
    write_header(&mounted.area, mounted.layout.file(), mounted.layout.uuid())?;
    let served = || mounted.served.requests() + mounted.served.mappings();
    let figures = press(&mounted.area, options, served)?;
    mounted.unmount()?;
    Ok(figures)
}

/// Activates an area, puts pressure on it, and switches it off. `served` counts requests, whoever serves them.
pub(crate) fn press(area: &Path, options: &Options, served: impl Fn() -> u64) -> Result<Figures> {
    let area = Area::activate(area)?;
    let (already, before) = (served(), Swapped::now()?);
    let mut pressure = Pressure::new(&std::env::current_exe()?, options.working_set, options.limit << 20)?;
    let mut figures = Figures::default();
    for round in 0..options.rounds {
        for (what, how) in [("fill", "sequential"), ("verify", "sequential"), ("verify", "random")] {
            let outcome = pressure.order(what, round, how, STEP)?;
            figures.seconds += outcome.seconds;
            if what == "verify" {
                figures.verified += outcome.pages;
                figures.wrong += outcome.wrong;
            }
        }
    }
    figures.swapped = Swapped::now()?.since(before);
    figures.served = served() - already;
    // With room for all of it swapoff reads back what is out, and that must be right as well.
    pressure.limit((2 * options.working_set) << 20)?;
    area.deactivate()?;
    let last = pressure.order("verify", options.rounds.saturating_sub(1), "sequential", STEP)?;
    figures.verified += last.pages;
    figures.wrong += last.wrong;
    Ok(figures)
}

fn mib(pages: u64) -> f64 {
    pages as f64 / 256.0
}

/// For one pass over the working set.
const STEP: Duration = Duration::from_secs(120);
