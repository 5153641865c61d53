//! The posture of mode `loop`: taken before any thread is started, and told as far as it does not hold.

use swap_dio::Bytes;
use swap_dio::fuse::adapter::Bounce;
use swap_dio::linux::reclaim::{Applied, Posture};
use swap_dio::posture::Holding;

use crate::filesystem::BUFFER;
use crate::say::say;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A posture that was taken, as far as it was granted.
pub(crate) struct Taken(Applied);

impl Taken {
    /// Takes it, with buffers for so many threads.
    pub(crate) fn new(threads: usize) -> Result<(Self, Bounce)> {
        let mut applied = Posture::new().pool(threads, BUFFER).stack(STACK).apply()?;
        let pool = applied.take_pools().pop().ok_or("no pool")?;
        Ok((Self(applied), pool))
    }

    /// Says what does not hold, a line each. Whoever accepted a loop device over FUSE has accepted a hang in any case,
    /// so that nothing is refused here.
    pub(crate) fn tell(&self) -> Result<()> {
        for found in self.0.report()?.findings() {
            let why = match found.holding {
                Holding::Held => continue,
                Holding::Missing(fault) => fault.to_string(),
                Holding::CannotTell(doubt) => doubt.to_string(),
            };
            let grant = found.grant().map(|grant| format!(" -> {grant}")).unwrap_or_default();
            let grant = grant.replace("PID", &std::process::id().to_string());
            say(format_args!("accepted by loop-over-fuse: {}: {why}{grant}", found.step.name()));
        }
        Ok(())
    }
}

const STACK: Bytes = Bytes::new(128 << 10);
