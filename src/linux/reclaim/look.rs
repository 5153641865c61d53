//! Looks at one process, step by step, and leaves the judgement to [`Facts`].

use memmap2::MmapOptions;
use rustix::process::{Resource, getrlimit};

use super::mappings::Written;
use super::notes::Notes;
use super::pagemap::Pagemap;
use super::process::{Process, Status};
use super::ready::Worker;
use super::{cgroup, core_dump, mappings, sinks, threads};
use crate::posture::{Facts, Mappings, Memory, Pools, PostureDoubt, Seen, Stack};
use crate::reason::PostureStep;
use crate::unit::Bytes;

/// What a process knows of itself, and nobody else of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Inside<'a> {
    pub(super) pools: Option<Pools>,
    pub(super) stack: Option<Seen<Stack>>,
    /// Other threads that were there when the posture was taken.
    pub(super) early: Option<u32>,
    pub(super) workers: &'a [Worker],
    pub(super) accepted: &'a [PostureStep],
    /// What was tried, and how that ended.
    pub(super) notes: Notes,
}

/// Looks at everything.
pub(super) fn at(process: &Process, status: &Status, inside: &Inside<'_>, notes: &mut Notes) -> Facts {
    let memory = Looked::at(process, status, notes);
    if let Some(Pools { buffers, locked }) = inside.pools {
        notes.add(PostureStep::Pools, format!("{buffers} buffers, {locked} of them locked"));
    }
    if let Some(Ok(Stack { found, needed })) = inside.stack {
        notes.add(PostureStep::Stack, format!("{found} below the check are in memory, {needed} were asked for"));
    }
    Facts {
        pools: inside.pools.ok_or(PostureDoubt::Inside),
        stack: inside.stack.unwrap_or(Err(PostureDoubt::Inside)),
        memory: memory.memory,
        locked_later: memory.later,
        oom_score: process.read("oom_score_adj").and_then(|text| number(&text).ok_or(PostureDoubt::Unreadable)),
        threads: threads::look(process, inside.early, inside.workers, notes),
        cgroup: cgroup::look(process, notes),
        core_dump: core_dump::look(process, notes),
        sinks: sinks::look(process, memory.written.as_deref().map_err(|doubt| *doubt), notes),
    }
}

/// What is locked, what of it is written to files, and whether what is mapped next will be: of that a process learns by
/// mapping a page.
struct Looked {
    memory: Seen<Memory>,
    later: Seen<bool>,
    written: Seen<Vec<Written>>,
}

impl Looked {
    fn at(process: &Process, status: &Status, notes: &mut Notes) -> Self {
        let (Some(locked), Some(resident)) = (status.size("VmLck"), status.size("VmRSS")) else {
            let doubt = PostureDoubt::NotShown;
            return Self { memory: Err(doubt), later: Err(doubt), written: Err(doubt) };
        };
        notes.add(PostureStep::LockedMemory, format!("VmLck is {locked}, VmRSS is {resident}"));
        if process.is_caller && !status.has_capability(CAP_IPC_LOCK) {
            if let Some(limit) = getrlimit(Resource::Memlock).current.map(Bytes::new) {
                let text =
                    format!("without CAP_IPC_LOCK at most {limit} are locked, of threads and buffers to come as well");
                notes.add(PostureStep::LockedLater, text);
            }
        }
        let probe = if process.is_caller { MmapOptions::new().len(1).map_anon().ok() } else { None };
        let place = probe.as_ref().and_then(|page| u64::try_from(page.as_ptr().addr()).ok());
        let (mut sums, mut later, mut written) = (Mappings::default(), None, Vec::new());
        let (mut pages, mut absent) = (Pagemap::of(process), Ok(()));
        let walked = mappings::walk(process, |mapping| {
            // Not to be held against the process: it goes with this function. What lies beside it and is alike is shown
            // as one mapping with it, and stays.
            let mut aside = Bytes::ZERO;
            if place.is_some_and(|place| mapping.range.contains(&place)) {
                later = Some(mapping.locked == mappings::Lock::Now);
                aside = Bytes::new(u64::try_from(rustix::param::page_size()).unwrap_or(0));
            }
            mappings::sum(&mut sums, mapping, aside);
            written.extend(mapping.written.clone());
            if mapping.hole() > Bytes::ZERO {
                match pages.as_mut().map_err(|doubt| *doubt).and_then(|pages| pages.absent(&mapping.range)) {
                    Ok(size) => mappings::add(&mut sums.absent, size.min(mapping.hole())),
                    Err(doubt) => absent = Err(doubt),
                }
            }
        });
        let later = match (walked, process.is_caller) {
            (Err(doubt), true) => Err(doubt),
            (_, false) => Err(PostureDoubt::Inside),
            (Ok(()), true) => later.ok_or(PostureDoubt::Unreadable),
        };
        let mappings = walked.and(absent).map(|()| sums);
        Self { memory: Ok(Memory { locked, resident, mappings }), later, written: walked.map(|()| written) }
    }
}

const CAP_IPC_LOCK: u32 = 14;

/// A number alone in a file.
fn number(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
