//! What a file is made by: a list of steps, each printed as a line that a person can follow.
//!
//! `f` is the file that is judged, `g` one written beside it, `c` a clone. xfs_io(8) knows most of the verbs.

use std::fmt;

use crate::damage::NewPage;

/// A range of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) at: u64,
    pub(crate) length: u64,
}

/// How data is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    Buffered,
    /// Through the page cache, with fsync.
    Synced,
    Direct,
}

/// What is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    Noise,
    /// Bytes that compress well.
    Text,
}

/// fallocate(2) and its modes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Range {
    Allocate,
    KeepSize,
    Punch,
    Zero,
    ZeroKeepSize,
    Collapse,
    Insert,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// btrfs: of effect while the file is empty.
    NoCow,
    /// ext4: data goes through the journal.
    Journaled,
    Compress,
    Write(Span, How, Content),
    /// Writes `f` and `g` by turns, in pieces.
    Interleave {
        piece: u64,
        length: u64,
        how: How,
    },
    Range(Range, Span),
    Truncate(u64),
    /// Shares a range of `f` with `c`, at the same place.
    CloneOut(Span),
    /// All of it.
    CloneFile,
    /// Shares a range of `f` with another place of `f`.
    CloneWithin {
        from: Span,
        to: u64,
    },
    DropClone,
    /// Writes `c` over: the blocks are its own no longer.
    RewriteClone(Span),
    Sync,
    SyncFilesystem,
    Header(NewPage),
    Mode(u32),
    Owner(u32),
    Immutable,
    AppendOnly,
    HardLink,
    Symlink,
    /// Of the subvolume that `f` is in; `outer`: of the one around it, which does not hold `f`.
    Snapshot {
        read_only: bool,
        outer: bool,
    },
    DropSnapshot,
    /// Removes `f` from the subvolume: only the snapshot has it.
    DropOriginal,
    /// A block device: how large its image is.
    Resize(u64),
}

/// By which name the kernel is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Name {
    Itself,
    HardLink,
    Symlink,
    Bind,
    ReadOnlyBind,
    InSnapshot,
    /// Another file, with the same bytes.
    Copy,
}

/// A recipe: everything that makes a file and the question about it.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// btrfs: the folder is a subvolume, the file in one that is nested in it.
    pub(crate) nested: bool,
    pub(crate) steps: Vec<Step>,
    pub(crate) name: Name,
    /// Switched on before the question, off after it.
    pub(crate) active: Option<Name>,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.length)
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffered => "",
            Self::Synced => ", then fsync",
            Self::Direct => ", O_DIRECT",
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allocate => "falloc",
            Self::KeepSize => "falloc -k",
            Self::Punch => "fpunch",
            Self::Zero => "fzero",
            Self::ZeroKeepSize => "fzero -k",
            Self::Collapse => "fcollapse",
            Self::Insert => "finsert",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCow => write!(f, "chattr +C f"),
            Self::Compress => write!(f, "chattr +c f"),
            Self::Journaled => write!(f, "chattr +j f"),
            Self::Write(span, how, content) => write!(f, "f: pwrite {span} ({content:?}){how}"),
            Self::Interleave { piece, length, how } => {
                write!(f, "f and g by turns: pwrite {piece} bytes each, up to {length}{how}")
            }
            Self::Range(range, span) => write!(f, "f: {range} {span}"),
            Self::Truncate(size) => write!(f, "f: truncate {size}"),
            Self::CloneOut(Span { at, length }) => write!(f, "c: reflink f {at} {at} {length} (c is made like f)"),
            Self::CloneFile => write!(f, "c: reflink f (c is made like f)"),
            Self::CloneWithin { from: Span { at, length }, to } => write!(f, "f: reflink f {at} {to} {length}"),
            Self::DropClone => write!(f, "rm c"),
            Self::RewriteClone(span) => write!(f, "c: pwrite {span}"),
            Self::Sync => write!(f, "f: fsync"),
            Self::SyncFilesystem => write!(f, "f: syncfs"),
            Self::Header(_) => write!(f, "header"),
            Self::Mode(mode) => write!(f, "chmod {mode:o} f"),
            Self::Owner(uid) => write!(f, "chown {uid} f"),
            Self::Immutable => write!(f, "chattr +i f"),
            Self::AppendOnly => write!(f, "chattr +a f"),
            Self::HardLink => write!(f, "ln f 'hard link (deleted)'"),
            Self::Symlink => write!(f, "ln -s f soft"),
            Self::Snapshot { read_only, outer } => {
                let (flag, source) =
                    (if *read_only { " -r" } else { "" }, if *outer { "N" } else { "the folder of f" });
                write!(f, "btrfs subvolume snapshot{flag} {source} N.snap")
            }
            Self::DropSnapshot => write!(f, "btrfs subvolume delete N.snap"),
            Self::DropOriginal => write!(f, "rm f, which is in the snapshot still"),
            Self::Resize(size) => write!(f, "truncate -s {size} IMAGE; losetup -c $DEV"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Itself => "f",
            Self::HardLink => "the hard link",
            Self::Symlink => "the symlink",
            Self::Bind => "f in a bind mount",
            Self::ReadOnlyBind => "f in a read-only bind mount",
            Self::InSnapshot => "f in the snapshot",
            Self::Copy => "a copy of f",
        })
    }
}
