//! Counts the transactions of one mounted filesystem, and nobody else's: ext4's by its journal's trace event, in a
//! trace instance of our own; XFS's by the statistics of its mount.

use std::path::{Path, PathBuf};

use crate::machine::{Mounted, sh};

/// What is counted of one mount. Undone when dropped.
pub(crate) struct Counter {
    trace: PathBuf,
    /// XFS: the statistics of the mount.
    stats: Option<PathBuf>,
    tracefs: tempfile::TempDir,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Count {
    /// Handles that ext4 started, or transactions that XFS committed.
    pub(crate) transactions: u64,
    /// Those of them that are for times alone.
    pub(crate) times: u64,
}

impl Counter {
    /// `None` where this kernel has no trace events; says so.
    pub(crate) fn of(fs: &Mounted, kind: &str) -> Option<Self> {
        let tracefs = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let root = tracefs.path().display().to_string();
        let trace = tracefs.path().join(format!("instances/swap-dio-{}-{kind}", std::process::id()));
        let event = if kind == "xfs" { "xfs/xfs_update_time" } else { "jbd2/jbd2_handle_start" };
        let mounted = sh(&format!("mount -t tracefs none {root} && test -d {root}/events/{event}"));
        if let Err(why) = mounted {
            let _ = sh(&format!("umount {root}"));
            println!("skipped, no trace event {event}: {why}");
            return None;
        }
        // The kernel numbers devices by 12 and 20 bits.
        let numbers = sh(&format!("lsblk -dno MAJ:MIN {}", fs.device().display())).expect("its numbers");
        let (major, minor) = numbers.trim().split_once(':').expect("two numbers");
        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
        let device = number(major) << 20 | number(minor);
        let name = fs.device().file_name().expect("a name").to_owned();
        let stats = (kind == "xfs").then(|| Path::new("/sys/fs/xfs").join(name).join("stats/stats"));
        let counter = Self { trace, stats, tracefs };
        let trace = counter.trace.display();
        let made = format!(
            "mkdir {trace}; echo 16384 > {trace}/buffer_size_kb; echo 'dev == {device}' > {trace}/events/{event}/filter; \
             echo 1 > {trace}/events/{event}/enable"
        );
        sh(&made).expect("a trace instance");
        Some(counter)
    }

    /// What was counted of `work`.
    pub(crate) fn count(&self, work: impl FnOnce()) -> Count {
        let before = self.committed();
        sh(&format!("echo > {}/trace", self.trace.display())).expect("an empty trace");
        work();
        let text = std::fs::read_to_string(self.trace.join("trace")).expect("the trace");
        let after = self.committed();
        let lines = || text.lines().filter(|line| !line.starts_with('#'));
        let events = u64::try_from(lines().count()).expect("few");
        match self.stats {
            Some(_) => Count { transactions: after - before, times: events },
            // `EXT4_HT_INODE`, fs/ext4/ext4_jbd2.h: `ext4_dirty_inode`, which is called for times here and nothing
            // else.
            None => {
                let (times, others): (Vec<_>, Vec<_>) = lines().partition(|line| line.contains(" type 1 "));
                // Few are what somebody will want to know of.
                others.iter().filter(|_| others.len() < 20).for_each(|line| println!("not for times: {line}"));
                Count { transactions: events, times: u64::try_from(times.len()).expect("few") }
            }
        }
    }

    /// XFS: transactions, synchronous and not; those that changed nothing are not among them.
    fn committed(&self) -> u64 {
        let Some(stats) = &self.stats else { return 0 };
        let text = std::fs::read_to_string(stats).expect("the statistics of the mount");
        let line = text.lines().find_map(|line| line.strip_prefix("trans ")).expect("its transactions");
        line.split(' ').take(2).map(|count| count.parse::<u64>().expect("a number")).sum()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let (trace, root) = (self.trace.display(), self.tracefs.path().display());
        let undone = sh(&format!("echo 0 > {trace}/events/enable; rmdir {trace}; umount {root}"));
        assert!(undone.is_ok() || std::thread::panicking(), "{trace} is left: {undone:?}");
    }
}
