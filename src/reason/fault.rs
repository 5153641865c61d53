//! What can be wrong with one run of a file: each fault once. A profile of activation is the order it looks in.

use core::fmt;

/// What is wrong with a run of a file.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is allocated: a write would have to allocate.
    Hole,
    /// Delayed allocation: a sync gives it blocks.
    Delayed,
    /// Data inside the inode, or packed with other data.
    Inline,
    /// `IOMAP_F_DIRTY`: metadata that the journal has not committed.
    Uncommitted,
    /// Blocks that another file or snapshot also owns: a write must copy.
    Shared,
    /// Compressed or otherwise encoded data.
    Compressed,
    /// An extent that the filesystem itself calls encrypted.
    Encrypted,
    /// Allocated, but the filesystem does not say where.
    Unmapped,
    /// Data on another device than the rest.
    OtherDevice,
    /// btrfs: in a block group of a profile other than `single`.
    NotSingle,
    /// btrfs: in a block group that is read-only, as scrub makes it for a while and a seed device for good.
    GroupReadOnly,
    /// In a zone that is written in sequence: full of data, and still never overwritten in place.
    SequentialZone,
    /// Data that shares a block with other data.
    PartialBlock,
    /// Allocated, never written. Fine for block-mapped swap; a write through the filesystem converts it.
    Unwritten,
}

impl fmt::Display for Fault {
    /// What the run is, to be said after its range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hole => "are a hole",
            Self::Delayed => "are not yet allocated",
            Self::Inline => "are stored inside the inode or packed with other data",
            Self::Uncommitted => "have a mapping that is not committed",
            Self::Shared => "are shared with another file or snapshot",
            Self::Compressed => "are compressed or encoded",
            Self::Encrypted => "are encrypted by the filesystem",
            Self::Unmapped => "are at a place that the filesystem does not tell",
            Self::OtherDevice => "are on another device",
            Self::NotSingle => "are stored by a profile other than single (dup or raid)",
            Self::GroupReadOnly => "are in a block group that is read-only, by a scrub or on a seed device",
            Self::SequentialZone => "are in a zone that cannot be overwritten in place",
            Self::PartialBlock => "are not in blocks of their own",
            Self::Unwritten => "are unwritten: each write would run a transaction, each read gives zeros",
        })
    }
}
