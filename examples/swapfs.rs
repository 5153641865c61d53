//! How does a FUSE filesystem serve swap?
//!
//! ```text
//! cargo run --example swapfs --features fuser -- demo            all of it in a temporary folder, measured; as root
//! swapfs format IMAGE --size BYTES                               makes an image in a file or on a block device
//! swapfs serve IMAGE DIR [--size BYTES] --mode bmap|loop         mounts it and prints `ready`; then mkswap, swapon
//! ```
//!
//! A filesystem with one file, `swapfile`. In mode `bmap` the kernel asks once where its blocks lie and then swaps to
//! the device: no page comes here, and the program may even die. In mode `loop` every page does, which hangs a machine
//! that is short of memory as a whole; so it is refused unless the risk is accepted by name.

#[path = "swapfs/allocations.rs"]
mod allocations;
#[path = "swapfs/area.rs"]
mod area;
#[path = "swapfs/backing.rs"]
mod backing;
#[path = "swapfs/cgroup.rs"]
mod cgroup;
#[path = "swapfs/compare.rs"]
mod compare;
#[path = "swapfs/demo.rs"]
mod demo;
#[path = "swapfs/filesystem.rs"]
mod filesystem;
#[path = "swapfs/format.rs"]
mod format;
#[path = "swapfs/image.rs"]
mod image;
#[path = "swapfs/loop_device.rs"]
mod loop_device;
#[path = "swapfs/mounted.rs"]
mod mounted;
#[path = "swapfs/pages.rs"]
mod pages;
#[path = "swapfs/posture.rs"]
mod posture;
#[path = "swapfs/pressure.rs"]
mod pressure;
#[allow(dead_code)]
#[path = "check/quote.rs"]
mod quote;
#[path = "swapfs/say.rs"]
mod say;
#[path = "swapfs/scatter.rs"]
mod scatter;
#[path = "swapfs/serve.rs"]
mod serve;
#[path = "swapfs/stop.rs"]
mod stop;
#[path = "swapfs/superblock.rs"]
mod superblock;
#[path = "swapfs/watch.rs"]
mod watch;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Parser, Subcommand};

use filesystem::Habits;
use mounted::Mode;
use serve::Accepted;

/// A FUSE filesystem with one file, `swapfile`, to swap to.
#[derive(Debug, Parser)]
#[command(name = "swapfs")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an image in a file or on a block device
    Format {
        /// A block device, or a file, which is made if it is missing
        image: PathBuf,
        /// Bytes of the swapfile, with or without K, M, G; without it, as many as a device holds
        #[arg(long, value_parser = bytes)]
        size: Option<u64>,
        /// Destroy what is there; must be said twice
        #[arg(long, action = ArgAction::Count)]
        force: u8,
    },
    /// Mount an image, print `ready`, and stay until SIGINT, SIGTERM, SIGHUP or unmount
    ///
    /// Told to go while swap is on it says what to run, goes on serving, and goes after that. Prints `area PATH` before
    /// `ready`: what to give to mkswap and swapon.
    ///
    /// In mode loop it takes the posture of a server, and says what of it does not hold and what grants that. Buffers,
    /// stacks and memory must be locked, or be accepted by name; the other steps whoever accepts loop-over-fuse accepts
    /// too.
    Serve {
        /// A block device or a file that `swapfs format` made
        image: PathBuf,
        /// The folder to mount on
        dir: PathBuf,
        /// Make the image first, with a swapfile of so many bytes, if nothing is there; one of another size is refused
        #[arg(long, value_parser = bytes)]
        size: Option<u64>,
        /// Which way swap goes
        #[arg(long, value_enum)]
        mode: Mode,
        /// Risks that are accepted, by name
        ///
        /// loop-over-fuse: every page goes through a loop device and FUSE, whose kernel side allocates without a
        /// reserve; under global memory pressure the machine hangs, whatever the program does. file-backed: the image
        /// is a file, so that swap and the server's direct I/O share a pool of the filesystem below. pools, stack,
        /// locked-memory, locked-later: what may be paged out waits for itself, in a memory cgroup too.
        #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = risks())]
        accept_risk: Vec<String>,
        /// Answer OPEN, and let names and attributes expire, as most servers do: then swapoff by path fails once this
        /// program has died
        #[arg(long)]
        answer_open: bool,
    },
    /// Do all of it in a temporary folder, under memory pressure in a memory cgroup, and print what was measured
    ///
    /// ^C undoes everything. After kill -9: swapoff what /proc/swaps shows of /var/tmp/swapfs-demo-… or of its loop
    /// device, umount the folder, remove it, and rmdir the cgroup swapfs-….
    Demo(demo::Options),
    /// The process under pressure, for `demo`: obeys lines on its input
    #[command(hide = true)]
    Pages {
        #[arg(value_parser = clap::value_parser!(u64).range(1..=MOST_MIB))]
        mib: u64,
        seed: u64,
    },
    /// For a guest that may hang: reboots the machine once no page was swapped for so many seconds
    #[command(hide = true)]
    Watch { seconds: u64 },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Format { image, size, force } => format::format(&image, size, force)
            .and_then(|layout| Ok(writeln!(stdout(), "{}", format::describe(&layout))?)),
        Command::Serve { image, dir, size, mode, accept_risk, answer_open } => {
            let habits = if answer_open { Habits::Ordinary } else { Habits::Survivable };
            let accepted = Accepted::named(&accept_risk);
            serve::serve(&image, &dir, size, mode, accepted, habits)
        }
        Command::Demo(options) => demo::run(&options),
        Command::Pages { mib, seed } => pages::obey(mib, seed).map_err(Into::into),
        Command::Watch { seconds } => watch::until_still(seconds),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::say(error);
            ExitCode::FAILURE
        }
    }
}

fn risks() -> PossibleValuesParser {
    PossibleValuesParser::new(Accepted::names())
}

/// The most MiB that a process can work on: all of an address space.
const MOST_MIB: u64 = 1 << 27;

/// A size in bytes, with or without a binary unit.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 20),
            None => text.strip_suffix(['g', 'G']).map_or((text, 0), |digits| (digits, 30)),
        },
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text} is not a number of bytes"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is too large"))
}
