//! A naive merger: the whole list of folios, cut into requests and judged by the documented rules, in bare integers.
//!
//! Written from the heads of `swap_ops.rs` and `admit.rs`, not from their code. A refused or failed request fails all
//! of its folios.

use super::server::How;
use std::collections::VecDeque;

/// One thing that the user of a plug does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Adds a folio: its page, its pages, its alignment.
    Add(u64, u64, u64),
    Flush,
    /// Ends the batch that was queued first.
    Finish(How),
    ShutDown,
    Move,
}

/// Everything that has a say.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) file: bool,
    pub(crate) write: bool,
    /// Device page of every page of the area.
    pub(crate) targets: Vec<u64>,
    pub(crate) limit: u64,
    pub(crate) alignment: u64,
    pub(crate) in_flight: usize,
    pub(crate) synchronous: bool,
    pub(crate) asynchronous: bool,
    pub(crate) large: bool,
    pub(crate) survives: bool,
    /// `REQUIRES_NOFS` of the file, or `REQUIRE_NOFS` of the operations.
    pub(crate) no_fs: bool,
    /// 0: unrestricted, 1: `GFP_NOFS`, 2: `GFP_NOIO`.
    pub(crate) context: u8,
    pub(crate) together: Vec<bool>,
    pub(crate) hows: Vec<How>,
}

/// What must be seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// First page, pages, folios.
    pub(crate) submitted: Vec<(u64, u64, Vec<usize>)>,
    /// What is told to each folio that was added: `done`, or a code.
    pub(crate) ends: Vec<Option<&'static str>>,
    pub(crate) dropped: u32,
    /// Folios that are not told yet, batch by batch.
    queued: VecDeque<Vec<usize>>,
    moved: bool,
    shut_down: bool,
}

impl Rules {
    /// Plays a script; at the end the plug is dropped.
    pub(crate) fn play(&self, steps: &[Step]) -> Seen {
        let mut seen = Seen::default();
        let mut gathered: Vec<(usize, u64, u64, u64)> = Vec::new();
        for step in steps {
            match *step {
                Step::Add(page, pages, alignment) => {
                    let id = seen.ends.len();
                    seen.ends.push(None);
                    if !pages.is_power_of_two() {
                        seen.tell(&[id], "misaligned");
                        continue;
                    }
                    let next = (id, page, pages, alignment);
                    if !gathered.is_empty() && !self.follows(&gathered, next) {
                        self.submit(&mut gathered, &mut seen);
                    }
                    gathered.push(next);
                    let sum: u64 = gathered.iter().map(|folio| folio.2).sum();
                    if gathered.len() == 32 || sum >= self.limit || (self.synchronous && self.write) {
                        self.submit(&mut gathered, &mut seen);
                    }
                }
                Step::Flush => self.submit(&mut gathered, &mut seen),
                Step::Finish(how) => seen.finish(how),
                Step::ShutDown => seen.shut_down = true,
                Step::Move => seen.moved = true,
            }
        }
        self.submit(&mut gathered, &mut seen);
        seen
    }

    /// Whether a folio may be in one request with what is gathered.
    fn follows(&self, gathered: &[(usize, u64, u64, u64)], next: (usize, u64, u64, u64)) -> bool {
        let (last_id, last_page, last_pages, _) = *gathered.last().expect("not empty");
        let sum: u64 = gathered.iter().map(|folio| folio.2).sum();
        let behind = last_page + last_pages == next.1;
        // In the bio model also on the device, which a page outside the area has no place on.
        let place = |page: u64| usize::try_from(page).ok().and_then(|page| self.targets.get(page));
        let adjoins = match (place(next.1.wrapping_sub(1)), place(next.1)) {
            (Some(before), Some(here)) => before + 1 == *here,
            _ => false,
        };
        let together = self.together[(last_id * 7 + next.0) % self.together.len()];
        behind && (self.file || adjoins) && sum + next.2 <= self.limit && together
    }

    fn submit(&self, gathered: &mut Vec<(usize, u64, u64, u64)>, seen: &mut Seen) {
        let folios = std::mem::take(gathered);
        let Some((_, first, ..)) = folios.first().copied() else { return };
        let ids: Vec<usize> = folios.iter().map(|folio| folio.0).collect();
        let pages: u64 = folios.iter().map(|folio| folio.2).sum();
        if let Some(told) = self.fault(&folios, first, pages, seen) {
            return seen.tell(&ids, told);
        }
        let how = self.hows[seen.submitted.len() % self.hows.len()];
        seen.submitted.push((first, pages, ids.clone()));
        match how {
            How::Queue if self.asynchronous => seen.queued.push_back(ids),
            How::Queue => seen.tell(&ids, "promise-missing"),
            how => seen.end(&ids, how),
        }
    }

    /// The fault of a request that is told: the first in the documented order, but those that pass are last.
    fn fault(&self, folios: &[(usize, u64, u64, u64)], first: u64, pages: u64, seen: &Seen) -> Option<&'static str> {
        let total = u64::try_from(self.targets.len()).expect("small");
        let enters = self.file || self.no_fs;
        let wrong_context = self.write && (self.context == 2 || (self.context == 1 && enters));
        [
            (pages > self.limit, "request-too-long"),
            (folios.iter().any(|folio| folio.3 == 0 || folio.3 % self.alignment != 0), "misaligned"),
            (first == 0, "header-page"),
            (first + pages > total, "outside-area"),
            (!self.large && folios.iter().any(|folio| folio.2 > 1), "promise-missing"),
            (seen.moved, "mapping-moved"),
            // Bios ask no filesystem.
            (seen.shut_down && self.file && !self.survives, "shut-down"),
            (wrong_context, "reclaim-context"),
            (seen.queued.len() >= self.in_flight, "queue-full"),
        ]
        .into_iter()
        .find_map(|(fault, code)| fault.then_some(code))
    }
}

impl Seen {
    fn tell(&mut self, ids: &[usize], told: &'static str) {
        for id in ids {
            assert_eq!(self.ends[*id].replace(told), None, "the model tells folio {id} twice");
        }
    }

    fn end(&mut self, ids: &[usize], how: How) {
        let told = match how {
            How::Full => "done",
            How::Short | How::Nothing | How::Long => "short-io",
            How::Error | How::Lie => "io-failed",
            How::Drop | How::Queue => {
                self.dropped += 1;
                "request-dropped"
            }
        };
        self.tell(ids, told);
    }

    /// Ends the batch that was queued first.
    pub(crate) fn finish(&mut self, how: How) {
        if let Some(ids) = self.queued.pop_front() {
            self.end(&ids, how);
        }
    }

    /// Batches that were queued and have not ended.
    pub(crate) fn left(&self) -> usize {
        self.queued.len()
    }
}
