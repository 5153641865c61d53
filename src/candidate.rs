//! A path before its header is read: what swapon(2) meets on the way to page 0, in its order.
//!
//! Whoever has the facts states them as [`Condition`]s; the order in which they refuse, and what each means, is
//! decided here. A fact that cannot be had is not left out: it is stated as one that may be.
//!
//! Source: Linux v6.18, `mm/swapfile.c:swapon` from its start to `read_mapping_page`; the opening itself is
//! `fs/namei.c:may_open`, `fs/open.c:do_dentry_open` and the filesystem's own `open`.

use crate::reason::{Holder, Reason, SpecialFile};
use crate::release::Release;
use crate::unit::{Bytes, PageSize};

bitflags::bitflags! {
    /// What is known of a path. A set bit is an obstacle, except in [`Candidate::unknown`].
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Condition: u32 {
        /// The caller has no `CAP_SYS_ADMIN`.
        const UNPRIVILEGED = 1 << 0;
        /// The filesystem is read-only.
        const FILESYSTEM_READ_ONLY = 1 << 1;
        /// `chattr +i`.
        const IMMUTABLE = 1 << 2;
        /// `chattr +a`.
        const APPEND_ONLY = 1 << 3;
        /// A process runs the file.
        const EXECUTED = 1 << 4;
        /// This mount, or this subvolume, of a writable filesystem is read-only.
        const MOUNT_READ_ONLY = 1 << 5;
        /// Sealed by fs-verity.
        const VERITY = 1 << 6;
        /// A zoned block device.
        const ZONED = 1 << 7;
        /// The name that the path led to is gone.
        const UNLINKED = 1 << 8;
        /// An active swap area, by this name or another.
        const ACTIVE = 1 << 9;
        /// Encrypted by the filesystem.
        const ENCRYPTED = 1 << 10;
        /// In DAX mode.
        const DAX = 1 << 11;
    }
}

/// What is known of a path and of the machine, before the header.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// What the path leads to.
    pub kind: Kind,
    /// The kernel's release; `None` if it is not known.
    pub release: Option<Release>,
    /// The kernel's page size.
    pub page_size: PageSize,
    /// What is so.
    pub conditions: Condition,
    /// What may be so and cannot be told. Only [`Condition::EXECUTED`] and [`Condition::ACTIVE`] can be in doubt.
    pub unknown: Condition,
    /// Areas that are active now.
    pub active_areas: usize,
    /// Who holds a block device for itself.
    pub holder: Option<Holder>,
    /// The unit of the filesystem or the device: the block, or a device's logical block; 0 if it has none.
    pub block: Bytes,
    /// The filesystem's name, if it offers no way to read a page.
    pub no_page_read: Option<&'static str>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A regular file.
    RegularFile,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// Neither.
    Special(SpecialFile),
}

impl Candidate {
    /// Reports every obstacle, in the kernel's order.
    pub fn judge(&self, mut report: impl FnMut(Reason)) {
        let is = |condition| self.conditions.contains(condition);
        let may_be = |condition| self.unknown.contains(condition) && !is(condition);
        let special = if let Kind::Special(kind) = self.kind { Some(kind) } else { None };
        let checks = [
            is(Condition::UNPRIVILEGED).then_some(Reason::NoPermission),
            (self.active_areas >= LEAST_TABLE).then_some(Reason::TableFull { active: self.active_areas }),
            // Opened for reading and writing.
            (self.kind == Kind::Directory).then_some(Reason::Directory),
            is(Condition::FILESYSTEM_READ_ONLY).then_some(Reason::ReadOnly),
            is(Condition::IMMUTABLE).then_some(Reason::Immutable),
            is(Condition::APPEND_ONLY).then_some(Reason::AppendOnly),
            is(Condition::EXECUTED).then_some(Reason::OpenForExecution { certain: true }),
            may_be(Condition::EXECUTED).then_some(Reason::OpenForExecution { certain: false }),
            (is(Condition::MOUNT_READ_ONLY) && !is(Condition::FILESYSTEM_READ_ONLY)).then_some(Reason::ReadOnly),
            is(Condition::VERITY).then_some(Reason::Verity),
            // An active device is held by its own area: the same errno, and a better word for it below.
            self.holder.filter(|_| !is(Condition::ACTIVE)).map(|holder| Reason::DeviceHeld { holder }),
            special.map(|kind| Reason::NotAFile { kind }),
            // Claimed and looked at, under the inode's lock.
            is(Condition::ZONED).then_some(Reason::SequentialZone),
            is(Condition::UNLINKED).then_some(Reason::Unlinked),
            is(Condition::ACTIVE).then_some(Reason::Active { certain: true }),
            may_be(Condition::ACTIVE).then_some(Reason::Active { certain: false }),
            is(Condition::ENCRYPTED).then_some(Reason::Encrypted),
            self.large_blocks(),
            self.no_page_read.map(|filesystem| Reason::NoPageRead { filesystem }),
            is(Condition::DAX).then_some(Reason::Dax),
        ];
        checks.into_iter().flatten().for_each(&mut report);
    }

    fn large_blocks(&self) -> Option<Reason> {
        let (block, page) = (self.block, self.page_size);
        let refused = match self.release {
            Some(release) if release >= LARGE_BLOCKS_REFUSED => Some(true),
            Some(release) if release <= LARGE_BLOCKS_ACCEPTED => Some(false),
            Some(_) | None => None,
        };
        (block > page.bytes()).then_some(Reason::BlockSizeAbovePageSize { block, page, refused })
    }
}

/// Checks the flags of a swapon(2) call: the very first thing that it does, before privilege and path.
///
/// # Errors
/// [`Reason::FlagsUnknown`] with the bits that no kernel from 6.1 to 6.18 knows.
pub const fn check_flags(flags: u32) -> Result<(), Reason> {
    match flags & !SWAP_FLAGS_VALID {
        0 => Ok(()),
        bits => Err(Reason::FlagsUnknown { bits }),
    }
}

/// `SWAP_FLAGS_VALID`: priority 0x7fff, PREFER 0x8000, DISCARD 0x10000, DISCARD_ONCE 0x20000, DISCARD_PAGES 0x40000.
const SWAP_FLAGS_VALID: u32 = 0x7_ffff;

/// The first release read that has the check of `mapping_min_folio_order`.
const LARGE_BLOCKS_REFUSED: Release = Release::new(6, 18);
/// The last release read that has not; those between were not read.
const LARGE_BLOCKS_ACCEPTED: Release = Release::new(6, 12);

/// The smallest `MAX_SWAPFILES` of any configuration (6.1 with all options: 32 - 4 - 3 - 1 - 1 - 1). With fewer areas
/// active there is room on every kernel; from here on it depends on how the kernel was built.
const LEAST_TABLE: usize = 22;
