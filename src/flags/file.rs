//! What an open file says it can do: `f_mode` and `fop_flags`.
//!
//! Source: Linux v6.18, `include/linux/fs.h`. `fop_flags` is absent in 6.1; where 6.12 moved `BUF_RASYNC` and
//! `BUF_WASYNC`, 6.1 has them in `f_mode`, as bits 30 and 31.

bitflags::bitflags! {
    /// The bits of `f_mode` that say what the file can do. Values are ours.
    ///
    /// `f_mode` has many more bits, about access and notification: [`Kernel::fmode`](super::Kernel::fmode) passes
    /// over those, as the only word here, since none of them promises anything.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Fmode: u32 {
        /// `FMODE_READ`: open for reading.
        const READ = 1 << 0;
        /// `FMODE_WRITE`: open for writing.
        const WRITE = 1 << 1;
        /// `FMODE_CAN_ATOMIC_WRITE`: takes `RWF_ATOMIC`. Since 6.12.
        const CAN_ATOMIC_WRITE = 1 << 2;
        /// `FMODE_NOCMTIME`: writes stamp no times.
        const NOCMTIME = 1 << 3;
        /// `FMODE_CAN_ODIRECT`: may be opened with `O_DIRECT`. Since 5.19, in place of `noop_direct_IO`.
        const CAN_ODIRECT = 1 << 4;
        /// `FMODE_NOWAIT`: takes `RWF_NOWAIT`.
        const NOWAIT = 1 << 5;
    }
}

bitflags::bitflags! {
    /// The bits of `fop_flags`. Values are ours.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Fop: u32 {
        /// `FOP_BUFFER_RASYNC`.
        const BUFFER_RASYNC = 1 << 0;
        /// `FOP_BUFFER_WASYNC`.
        const BUFFER_WASYNC = 1 << 1;
        /// `FOP_MMAP_SYNC`.
        const MMAP_SYNC = 1 << 2;
        /// `FOP_DIO_PARALLEL_WRITE`: direct writes do not exclude each other.
        const DIO_PARALLEL_WRITE = 1 << 3;
        /// `FOP_HUGE_PAGES`.
        const HUGE_PAGES = 1 << 4;
        /// `FOP_UNSIGNED_OFFSET`.
        const UNSIGNED_OFFSET = 1 << 5;
        /// `FOP_ASYNC_LOCK`. Since 6.18.
        const ASYNC_LOCK = 1 << 6;
        /// `FOP_DONTCACHE`: takes `RWF_DONTCACHE`. Since 6.18.
        const DONTCACHE = 1 << 7;
    }
}
