//! `RWF_`: the flags of preadv2(2) and pwritev2(2), and which of them a file takes.
//!
//! Source: Linux v6.18, `include/uapi/linux/fs.h` (values are ABI), `include/linux/fs.h:kiocb_set_rw_flags` (order).

use super::{Direction, Fmode, Fop, Iocb, Kernel, first_name};
use crate::reason::{FlagFault, Reason};

bitflags::bitflags! {
    /// Flags of one call. The values are user-space ABI.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Rwf: u32 {
        /// `RWF_HIPRI`.
        const HIPRI = 0x001;
        /// `RWF_DSYNC`.
        const DSYNC = 0x002;
        /// `RWF_SYNC`: and so `DSYNC`.
        const SYNC = 0x004;
        /// `RWF_NOWAIT`.
        const NOWAIT = 0x008;
        /// `RWF_APPEND`.
        const APPEND = 0x010;
        /// `RWF_NOAPPEND`: the file's `O_APPEND` does not hold for this call. In 6.12, not in 6.1.
        const NOAPPEND = 0x020;
        /// `RWF_ATOMIC`. In 6.12, not in 6.1.
        const ATOMIC = 0x040;
        /// `RWF_DONTCACHE`. In 6.18, not in 6.12.
        const DONTCACHE = 0x080;
        /// `RWF_NOSIGNAL`. In 6.18, not in 6.12.
        const NOSIGNAL = 0x100;
    }
}

/// What a call's flags are held against: the open file.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenFile {
    /// What the file can do.
    pub mode: Fmode,
    /// What its filesystem can do.
    pub operations: Fop,
    /// `ki_flags` from how it was opened: `O_APPEND`, `O_DIRECT`, `O_DSYNC`, `O_SYNC`.
    pub flags: Iocb,
    /// In DAX mode.
    pub dax: bool,
    /// `chattr +a`.
    pub append_only: bool,
}

impl OpenFile {
    /// Checks the flags of one call and adds them to the file's own: the kiocb's flags.
    ///
    /// Left out is `IOCB_NOIO`, which kernels up to some release set beside `IOCB_NOWAIT`: it steers the page cache.
    ///
    /// # Errors
    /// In the kernel's order: bits that `kernel` does not know ([`FlagFault::UnknownRwf`], `EOPNOTSUPP`); append and
    /// no append ([`FlagFault::Exclusive`], `EINVAL`); a flag that file or direction do not take
    /// ([`FlagFault::Unsupported`], `EOPNOTSUPP`); no append on an append-only file ([`FlagFault::AppendOnly`],
    /// `EPERM`).
    pub fn kiocb_flags(&self, kernel: &Kernel, flags: u32, direction: Direction) -> Result<Iocb, Reason> {
        let beyond = flags & !kernel.supported_rwf().bits();
        let rwf = Rwf::from_bits(flags)
            .filter(|_| beyond == 0)
            .ok_or(Reason::Flags(FlagFault::UnknownRwf { bits: beyond, kernel: kernel.name() }))?;
        if rwf.contains(Rwf::APPEND | Rwf::NOAPPEND) {
            return Err(Reason::Flags(FlagFault::Exclusive));
        }
        let writes = direction == Direction::Write;
        let tests = [
            (Rwf::NOWAIT, self.mode.contains(Fmode::NOWAIT), "the file may block (no FMODE_NOWAIT)"),
            (Rwf::ATOMIC, writes, "only a write is atomic"),
            (Rwf::ATOMIC, self.mode.contains(Fmode::CAN_ATOMIC_WRITE), "no FMODE_CAN_ATOMIC_WRITE"),
            (Rwf::DONTCACHE, self.operations.contains(Fop::DONTCACHE), "no FOP_DONTCACHE"),
            (Rwf::DONTCACHE, !self.dax, "a DAX file has no page cache"),
        ];
        let fault = tests.into_iter().find(|(flag, can, _)| rwf.contains(*flag) && !can);
        if let Some((flag, _, why)) = fault {
            return Err(Reason::Flags(FlagFault::Unsupported { flag: first_name(flag), why }));
        }
        let mut kept = self.flags;
        if rwf.contains(Rwf::NOAPPEND) && kept.contains(Iocb::APPEND) {
            if self.append_only {
                return Err(Reason::Flags(FlagFault::AppendOnly));
            }
            kept.remove(Iocb::APPEND);
        }
        Ok(NAMESAKES.into_iter().filter(|(flag, _)| rwf.contains(*flag)).fold(kept, |all, (_, iocb)| all | iocb))
    }
}

/// What each flag of a call sets in the kiocb. `NOAPPEND` sets nothing: it clears.
const NAMESAKES: [(Rwf, Iocb); 8] = [
    (Rwf::HIPRI, Iocb::HIPRI),
    (Rwf::DSYNC, Iocb::DSYNC),
    (Rwf::SYNC, Iocb::SYNC.union(Iocb::DSYNC)),
    (Rwf::NOWAIT, Iocb::NOWAIT),
    (Rwf::APPEND, Iocb::APPEND),
    (Rwf::ATOMIC, Iocb::ATOMIC),
    (Rwf::DONTCACHE, Iocb::DONTCACHE),
    (Rwf::NOSIGNAL, Iocb::NOSIGNAL),
];
