//! How a file is to be served: for whom, with which risks accepted by name, and how often it is looked at again.

use core::fmt;

use crate::topology::{Consumer, Override};

bitflags::bitflags! {
    /// Risks of the file's own filesystem that are accepted by name; those of what it stands on are [`Override`]s. A
    /// set bit turns one refusal off, and nothing else.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Risks: u32 {
        /// A file of btrfs that is not copied on write (`chattr +C`): each write is in place, and still makes an
        /// ordered extent that a transaction finishes. A snapshot of its subvolume makes every extent shared: the next
        /// write to each is copied, until re-validation stops the service.
        const BTRFS_NOCOW = 1 << 0;
        /// A file of NFS or SMB: whether a write allocates is up to a server that cannot be asked. Extents are not
        /// seen, so only size and attributes are looked at again.
        const NETWORK = 1 << 1;
        /// A loop device without direct I/O: what is written stays in the page cache of the file below it, which needs
        /// memory for each page, and is on no disk when the request ends.
        const BUFFERED_LOOP = 1 << 2;
        /// Whoever opens the file and outwaits the lease: what it writes may be lost, make a direct write a buffered one,
        /// or be what a read finds. Without this the service stops.
        const UNHELD = 1 << 3;
    }
}

impl Risks {
    /// The risk of that name, kebab-case: `btrfs-nocow`, `network`, `buffered-loop`, `unheld`.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.into_iter().find(|(_, other)| *other == name).map(|(risk, _)| risk)
    }
}

impl fmt::Display for Risks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = NAMES.into_iter().filter(|(risk, _)| self.contains(*risk)).map(|(_, name)| name);
        match names.next() {
            None => f.write_str("none"),
            Some(first) => {
                f.write_str(first)?;
                names.try_for_each(|name| write!(f, ", {name}"))
            }
        }
    }
}

const NAMES: [(Risks, &str); 4] = [
    (Risks::BTRFS_NOCOW, "btrfs-nocow"),
    (Risks::NETWORK, "network"),
    (Risks::BUFFERED_LOOP, "buffered-loop"),
    (Risks::UNHELD, "unheld"),
];

/// How a file is to be served.
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    pub(super) consumer: Consumer,
    pub(super) accepted: Risks,
    pub(super) below: Override,
    /// Requests between two looks at the file; 0 for none.
    pub(super) every: u64,
    pub(super) in_flight: u32,
    pub(super) stamps_times: bool,
}

impl Serving {
    /// For that consumer: no risk accepted, 128 requests in flight, the times left alone where that can be had.
    ///
    /// For another kernel the file is looked at again by every 4096th request. For this kernel it is not by itself:
    /// FIEMAP may wait for memory, so [`revalidate`](super::SwapFile::revalidate) is for a thread off the swap path.
    pub const fn new(consumer: Consumer) -> Self {
        let every = match consumer {
            Consumer::SameKernel => 0,
            Consumer::OtherKernel => 4096,
        };
        Self {
            consumer,
            accepted: Risks::empty(),
            below: Override::empty(),
            every,
            in_flight: 128,
            stamps_times: false,
        }
    }

    /// Accepts these risks too.
    #[must_use]
    pub const fn accepting(self, risks: Risks) -> Self {
        Self { accepted: self.accepted.union(risks), ..self }
    }

    /// Accepts these risks of the topology too.
    #[must_use]
    pub const fn accepting_below(self, risks: Override) -> Self {
        Self { below: self.below.union(risks), ..self }
    }

    /// Has every so many requests look at the file again before they are admitted; 0: none does.
    #[must_use]
    pub const fn revalidating_every(self, requests: u64) -> Self {
        Self { every: requests, ..self }
    }

    /// Allows at most so many requests in flight.
    #[must_use]
    pub const fn in_flight_at_most(self, requests: u32) -> Self {
        Self { in_flight: requests, ..self }
    }

    /// Has writes stamp the file's times, as any other program's do, although that could be helped: for backup
    /// programs that look for new times.
    #[must_use]
    pub const fn stamping_times(self) -> Self {
        Self { stamps_times: true, ..self }
    }
}
