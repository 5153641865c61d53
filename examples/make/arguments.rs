//! The command line: what is to be made, or converted.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum};
use swap_dio::header::Label;
use swap_dio::linux::Plan;
use swap_dio::{Bytes, Model};
use uuid::Uuid;

/// Makes a swap file that passes on this filesystem, the first time.
///
/// The file is allocated or written, formatted, synced, given its name and examined before it is said to be done. It
/// has no name before that: an error, ^C, a kill or a full disk leaves nothing behind. What has the name already is
/// never touched; --convert changes a swap file in place and keeps every byte that it holds.
#[derive(Debug, Parser)]
#[command(name = "make", after_help = STATUS)]
struct CommandLine {
    /// The file to be made; nothing may be there. With --convert: a swap file that is not active
    #[arg(value_name = "PATH", value_parser = clap::value_parser!(OsString))]
    path: Option<OsString>,
    /// Size of the file, such as 512M or 2G (powers of 1024), rounded down to whole pages
    #[arg(long, value_parser = size, required_unless_present = "convert")]
    size: Option<Bytes>,
    /// Who shall swap to it [default: bio; with --convert: file]
    #[arg(long)]
    model: Option<Way>,
    /// Label in the header, at most 16 bytes
    #[arg(long, value_parser = label, conflicts_with = "convert")]
    label: Option<Label>,
    /// UUID in the header [default: a random one]
    #[arg(long, conflicts_with = "convert")]
    uuid: Option<Uuid>,
    /// Change the swap file at PATH in place: fill its holes and, for --model file, write zeros over what is allocated
    /// and was never written
    #[arg(long, conflicts_with = "size")]
    convert: bool,
}

const STATUS: &str = "Exit status: 0 made (or converted) and admitted; 1 refused, the reason is printed; \
2 usage, an error, or stopped.";

/// Which way swap I/O goes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// swapon(2): straight to the device; blocks are allocated and stay unwritten where that is accepted
    Bio,
    /// A server that swaps through the filesystem: every block is written once, so that no write allocates
    File,
}

/// What to do, and where.
pub(crate) struct Arguments {
    pub(crate) path: PathBuf,
    pub(crate) task: Task,
}

/// What to do.
pub(crate) enum Task {
    Make(Plan),
    Convert(Model),
}

impl Arguments {
    /// Reads the command line; `None` if there was nothing on it and help has been printed. Ends the process on
    /// one that makes no sense.
    pub(crate) fn of_command_line() -> Option<Self> {
        if std::env::args_os().len() <= 1 {
            let _ = CommandLine::command().print_long_help();
            return None;
        }
        let line = CommandLine::parse();
        let Some(path) = line.path.map(PathBuf::from) else {
            let missing = clap::error::ErrorKind::MissingRequiredArgument;
            CommandLine::command().error(missing, "no PATH is given").exit();
        };
        let model = match line.model {
            Some(Way::Bio) => Model::Bio,
            Some(Way::File) => Model::File,
            None => {
                if line.convert {
                    Model::File
                } else {
                    Model::Bio
                }
            }
        };
        let task = if line.convert {
            Task::Convert(model)
        } else {
            let plan = Plan::new(line.size.unwrap_or(Bytes::ZERO), model).label(line.label.unwrap_or(Label::NONE));
            Task::Make(line.uuid.map_or(plan, |uuid| plan.uuid(uuid.into_bytes())))
        };
        Some(Self { path, task })
    }
}

fn size(text: &str) -> Result<Bytes, String> {
    let bytes = parse_size::Config::new().with_binary().parse_size(text).map_err(|error| error.to_string())?;
    Ok(Bytes::new(bytes))
}

fn label(text: &str) -> Result<Label, String> {
    Label::new(text).ok_or_else(|| format!("{} bytes, a label has at most 16", text.len()))
}
