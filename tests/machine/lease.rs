//! The time of leases, for tests that do not wait for its 45 seconds.

/// How long a lease lasts that somebody breaks: for the whole machine, put back when dropped.
///
/// One at a time on this machine, so that what is put back is not another's.
pub(crate) struct BreakTime {
    before: String,
    _alone: std::fs::File,
}

const BREAK_TIME: &str = "/proc/sys/fs/lease-break-time";

impl BreakTime {
    pub(crate) fn of(time: std::time::Duration) -> Self {
        let alone = std::fs::File::open("/tmp").expect("/tmp");
        rustix::fs::flock(&alone, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
        let before = std::fs::read_to_string(BREAK_TIME).expect("a table");
        std::fs::write(BREAK_TIME, time.as_secs().to_string()).expect("as root");
        Self { before, _alone: alone }
    }
}

impl Drop for BreakTime {
    fn drop(&mut self) {
        let _ = std::fs::write(BREAK_TIME, &self.before);
    }
}
