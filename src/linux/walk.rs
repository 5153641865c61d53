//! One pass over a file's extents, judged for both models at once.

use std::fs::File;
use std::time::Duration;

use rustix::io::Errno;

use super::claims::Claims;
use super::error::{ExamineError, fact};
use super::fiemap::Go;
use super::report::{Collector, For};
use crate::activation::{Activation, Profile};
use crate::header::Area;
use crate::map::{Slot, SwapMap, Tally, Totals};
use crate::reason::Reason;

/// What is walked: the claims of an open file, for the area that its header states.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) file: &'a File,
    pub(super) claims: &'a Claims,
    pub(super) area: &'a Area,
}

impl Walk<'_> {
    /// Walks the extents again after a moment while some look shared that may soon not be.
    ///
    /// XFS frees the blocks of an unlinked clone later. swapon waits for that; statfs only gives it a push.
    pub(super) fn judge_settled(
        &self,
        profile: Profile,
        found: &mut Collector,
    ) -> Result<Option<Totals>, ExamineError> {
        for _ in 0..RETRIES {
            let mut trial = found.clone();
            let totals = self.judge(profile, &mut trial)?;
            if !trial.has_shared() {
                *found = trial;
                return Ok(totals);
            }
            rustix::fs::fstatfs(self.file).map_err(fact("the filesystem's state"))?;
            std::thread::sleep(PAUSE);
        }
        self.judge(profile, found)
    }

    /// One pass; the counts of the kernel's own walk, if it would accept all that was seen.
    pub(super) fn judge(&self, profile: Profile, found: &mut Collector) -> Result<Option<Totals>, ExamineError> {
        let begun = Activation::new(profile, self.area, Vec::new());
        let begun = begun.and_then(|bio| Ok((bio, Activation::new(Profile::File, self.area, Tally)?)));
        let (mut bio, mut through) = match begun {
            Ok(pair) => pair,
            Err(reason) => {
                found.say(For::Both, reason);
                return Ok(None);
            }
        };
        let (mut stopped, mut enough) = (false, false);
        let walked = self.claims.walk(self.file, self.area.size(), |claim| {
            match claim {
                Ok(claim) => {
                    bio.push_all(&claim, |reason| found.say(For::Bio, reason));
                    through.push_all(&claim, |reason| found.say(For::File, reason));
                }
                Err(reason) => {
                    found.say(For::Both, reason);
                    stopped = true;
                }
            }
            stopped |= found.is_settled();
            // Each block behind `bmap` is a question: the kernel asks no more than the header claims.
            enough = self.claims.bmap_unit().is_some() && bio.is_full();
            if stopped || enough { Go::Stop } else { Go::On }
        });
        match walked {
            Ok(()) => (),
            // Not for this user, or with a number that cannot be told: whatever was seen, it is not all.
            Err(Errno::PERM | Errno::RANGE) => {
                found.say(For::Both, Reason::PlacementUnknown);
                return Ok(None);
            }
            Err(error) => return Err(fact("its extents")(error)),
        }
        if stopped {
            return Ok(None);
        }
        let map = bio.finish_all(|reason| {
            // A file that swapon(2) finds no whole page in is refused for both: no verdict is laxer than the kernel.
            let whose = if matches!(reason, Reason::NoUsablePage { .. }) { For::Both } else { For::Bio };
            found.say(whose, reason);
        });
        // Of what was not asked for nothing can be said. A refusal that finish repeats was reported when it was pushed;
        // what is new it reports itself.
        if !enough {
            let _ = through.finish_all(|reason| found.say(For::File, reason));
        }
        Ok(map.ok().map(|map| disjoint(&map, found)))
    }
}

/// Looks for two swap pages on one device page: the kernel does not, and a damaged filesystem may have them.
fn disjoint(map: &SwapMap<Vec<Slot>>, found: &mut Collector) -> Totals {
    let totals = map.totals();
    let mut scratch = vec![None; usize::try_from(totals.extents).unwrap_or(0)];
    if let Err(reason) = map.check_disjoint(&mut scratch) {
        found.say(For::Both, reason);
    }
    totals
}

const RETRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(15);
