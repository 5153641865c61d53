//! `ki_flags`: what is asked of one I/O on an open file.
//!
//! Source: Linux v6.18, `include/linux/fs.h`; `IOCB_SWAP` is D. Howells' v3 of 2021-09-24 and in no released kernel.

bitflags::bitflags! {
    /// Flags of a kiocb. Values are ours: numbers stand in [`Kernel`](super::Kernel).
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Iocb: u32 {
        /// `IOCB_HIPRI`: the caller polls for the end.
        const HIPRI = 1 << 0;
        /// `IOCB_DSYNC`: ends when data is on stable media.
        const DSYNC = 1 << 1;
        /// `IOCB_SYNC`: and metadata too.
        const SYNC = 1 << 2;
        /// `IOCB_NOWAIT`: fails with `EAGAIN` instead of blocking.
        const NOWAIT = 1 << 3;
        /// `IOCB_APPEND`: goes to the end of the file, wherever that is.
        const APPEND = 1 << 4;
        /// `IOCB_ATOMIC`: all or nothing, also across a power loss.
        const ATOMIC = 1 << 5;
        /// `IOCB_DONTCACHE`: buffered, and dropped from the page cache afterwards.
        const DONTCACHE = 1 << 6;
        /// `IOCB_NOSIGNAL`: no `SIGPIPE`.
        const NOSIGNAL = 1 << 7;
        /// `IOCB_EVENTFD`: its end signals an eventfd.
        const EVENTFD = 1 << 8;
        /// `IOCB_DIRECT`: the file was opened with `O_DIRECT`. Not set on mainline's swap kiocbs.
        const DIRECT = 1 << 9;
        /// `IOCB_WRITE`: set by the callers of `write_iter`, and by nobody in mm.
        const WRITE = 1 << 10;
        /// `IOCB_WAITQ`: a buffered read that goes on when its page is there.
        const WAITQ = 1 << 11;
        /// `IOCB_NOIO`: what is not in the page cache fails.
        const NOIO = 1 << 12;
        /// `IOCB_ALLOC_CACHE`: bios come from a cache of the processor.
        const ALLOC_CACHE = 1 << 13;
        /// `IOCB_DIO_CALLER_COMP`: the caller's task runs the completion. Bit 22, which was `IOCB_SWAP` for Howells.
        const DIO_CALLER_COMP = 1 << 14;
        /// `IOCB_AIO_RW`: belongs to aio, can be cancelled there.
        const AIO_RW = 1 << 15;
        /// `IOCB_HAS_METADATA`: carries integrity data.
        const HAS_METADATA = 1 << 16;
        /// `IOCB_SWAP`: reclaim waits for it, or a page fault.
        ///
        /// Released kernels have no such bit: there the call of `swap_rw` itself is the mark.
        const SWAP = 1 << 17;
    }
}
