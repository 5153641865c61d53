//! Risks that somebody who knows the machine accepts, by name. Nothing is accepted that was not named.

use core::fmt;

bitflags::bitflags! {
    /// Accepted risks: data, printed wherever a verdict depends on one.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Override: u16 {
        /// A loop device over FUSE.
        const LOOP_OVER_FUSE = 1 << 0;
        /// A file on a filesystem of this kernel under a loop device or a server.
        const FILE_BACKED = 1 << 1;
        /// An NBD server on this machine.
        const LOCAL_NBD = 1 << 2;
        /// Requests of more than 16 KiB to a server over a disk.
        const LARGE_REQUESTS = 1 << 3;
        /// Whoever accepts it knows that the server behind `fuseblk` leaves an active file's blocks where they are.
        const BLOCKS_STAY = 1 << 4;
        /// The server's death: of the machine (ublk), or of every way but a reboot to end the swap (fuseblk).
        const SERVER_DEATH = 1 << 5;
        /// Whoever accepts it knows the way of a page through the server: that it allocates nothing while it serves, and
        /// what it keeps the pages on, where that cannot be seen.
        const DATA_PATH = 1 << 6;
        /// Everything but the server is in memory cgroups with a hard limit, and their sum leaves headroom: the kernel
        /// as a whole never reclaims. The server is in none of them. No program can check it.
        const GLOBAL_RECLAIM_EXCLUDED = 1 << 7;
        /// Whoever accepts it knows that the server holds the reclaim posture, which shows from inside only.
        const POSTURE_HELD = 1 << 8;
    }
}

impl Override {
    /// Words about what cannot be seen: none of them lifts what is seen to be otherwise.
    pub const PROMISES: Self = Self::BLOCKS_STAY.union(Self::DATA_PATH).union(Self::POSTURE_HELD);

    /// The names, for arguments and messages.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("loop-over-fuse", Self::LOOP_OVER_FUSE),
        ("file-backed", Self::FILE_BACKED),
        ("local-nbd", Self::LOCAL_NBD),
        ("large-requests", Self::LARGE_REQUESTS),
        ("blocks-stay", Self::BLOCKS_STAY),
        ("server-death", Self::SERVER_DEATH),
        ("data-path", Self::DATA_PATH),
        ("global-reclaim-excluded", Self::GLOBAL_RECLAIM_EXCLUDED),
        ("posture-held", Self::POSTURE_HELD),
    ];

    /// The risk of that name; `None` if none has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, risk)| *risk)
    }
}

impl fmt::Display for Override {
    /// The names, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(_, risk)| self.contains(*risk));
        for (index, (name, _)) in names.enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}
