//! The two ways that swap I/O goes: the first question of every rule in this crate.
//!
//! Source: Linux v6.18, `mm/page_io.c:__swap_writepage` (`SWP_FS_OPS` decides).

/// Which way swap I/O goes, and so what a page of the area is a page of. A live area never mixes the two.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Model {
    /// Straight to the device: swap page n is the n-th usable *physical* page.
    Bio,
    /// Through the filesystem (`swap_rw`): swap page n is file page n.
    File,
}

impl Model {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bio, Self::File];

    /// Where swap I/O goes.
    pub const fn way(self) -> &'static str {
        match self {
            Self::Bio => "to the device, by extents frozen at activation",
            Self::File => "through the filesystem (`swap_rw`)",
        }
    }

    /// Who swaps that way.
    pub const fn users(self) -> &'static str {
        match self {
            Self::Bio => "swapon(2) on ext4, XFS, btrfs, f2fs, fuseblk; block devices",
            Self::File => "NFS, SMB, a FUSE or block server over a file",
        }
    }

    /// What swap page n is.
    pub const fn page(self) -> &'static str {
        match self {
            Self::Bio => "the *n*-th whole **physical** page",
            Self::File => "file page *n*",
        }
    }

    /// The word for scripts and tables: `bio`, `file`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bio => "bio",
            Self::File => "file",
        }
    }
}
