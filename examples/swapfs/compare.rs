//! `swapfs demo --compare`: the same pressure on a swap file of ext4 and on ours, in turn, on one loop device.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use swap_dio::fuse::adapter::Bounce;

use crate::area::write_header;
use crate::demo::{Figures, Options, measure, press};
use crate::format::format;
use crate::image::Image;
use crate::loop_device::{LoopDevice, open_direct};
use crate::mounted::Mode;
use crate::say::say;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures so many times and prints each ratio and the one in the middle.
pub(crate) fn run(options: &Options, times: u32) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("swapfs-compare-").tempdir_in(&options.folder)?;
    let (path, dir) = (folder.path().join("device"), folder.path().join("mnt"));
    fs::create_dir(&dir)?;
    // Room for ext4's own; formatted once, so that every block of the file below is written.
    format(&path, Some(options.area() + (48 << 20)), 0)?;
    Image::open(&path)?.layout()?;
    // By a descriptor of its own: the image's has the lock, which would be in the way of whoever serves the device.
    let below = fs::File::options().read(true).write(true).open(&path)?;
    let device = LoopDevice::attach(below.as_fd())?;
    drop(below);
    if !device.is_direct() {
        return Err(format!("{} has no direct I/O: choose another --folder", device.path.display()).into());
    }
    let modes = options.modes();
    let mut ratios = vec![Vec::new(); modes.len()];
    println!("MiB/s: ext4, then each mode with its ratio");
    for turn in 0..times {
        // ext4 before and after: what drifts falls on both sides.
        let first = ext4(&device.path, &dir, options)?;
        let mut rates = Vec::new();
        for mode in &modes {
            write_all_blocks(&device.path)?;
            format(&device.path, Some(options.area()), 2)?;
            rates.push(good(measure(&device.path, &dir, *mode, options)?)?);
        }
        let second = ext4(&device.path, &dir, options)?;
        let base = (first + second) / 2.0;
        print!("{:>3}  ext4 {first:.1}, {second:.1}", turn + 1);
        for ((mode, rate), ratios) in modes.iter().zip(&rates).zip(&mut ratios) {
            ratios.push(rate / base);
            print!("  {mode} {rate:.1} {:.3}", rate / base);
        }
        println!();
        std::io::stdout().flush()?;
    }
    for (mode, ratios) in modes.iter().zip(&mut ratios) {
        ratios.sort_unstable_by(f64::total_cmp);
        let target = if *mode == Mode::Bmap { 0.95 } else { 0.8 };
        let middle = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
        println!("{mode}: {middle:.3} of ext4, the middle of {times} (target {target})");
    }
    Ok(())
}

/// mkfs zeroes by a command that leaves blocks of the file below unwritten: the engine would refuse them, and whoever
/// writes there next would pay.
fn write_all_blocks(device: &Path) -> Result<()> {
    let mut file = open_direct(device)?;
    let pool = Bounce::new(1, 1 << 20)?;
    let zeros = pool.take()?;
    let mut left = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        file.write_all(&zeros[..usize::try_from(part)?])?;
        left -= part;
    }
    Ok(())
}

/// A rate, of a run that lost nothing.
fn good(figures: Figures) -> Result<f64> {
    if figures.wrong == 0 { Ok(figures.rate()) } else { Err(format!("{} pages came back wrong", figures.wrong).into()) }
}

/// The same on a swap file of ext4.
fn ext4(device: &Path, dir: &Path, options: &Options) -> Result<f64> {
    // No discard: it would punch holes into the file below, which whoever comes next would pay for filling.
    let arguments = ["-q", "-F", "-b", "4096", "-E", "nodiscard,lazy_itable_init=0"];
    let made = Command::new("mkfs.ext4").args(arguments).arg(device).status()?;
    if !made.success() {
        return Err("mkfs.ext4 failed".into());
    }
    mount(device, dir, "ext4", MountFlags::NOSUID | MountFlags::NODEV, None)?;
    let mounted = Unmount(dir.to_owned());
    let path = dir.join("swapfile");
    let mut file = fs::File::create(&path)?;
    let mib = vec![0; 1 << 20];
    for _ in 0..options.area() >> 20 {
        file.write_all(&mib)?;
    }
    file.sync_all()?;
    drop(file);
    write_header(&path, options.area(), [1; 16])?;
    let figures = press(&path, options, || 0)?;
    drop(mounted);
    good(figures)
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0, UnmountFlags::empty()) {
            say(format_args!("{} is left mounted: {error}", self.0.display()));
        }
    }
}
