//! The stack of the calling thread: touched as deep as it will be needed, and looked at page by page.
//!
//! `mlockall` puts all pages of a thread's stack into memory when it is mapped. The first thread's stack grows instead,
//! by page faults, which is what must not happen while memory is short.
//!
//! Source: Linux v6.18, `mm/vma.c:expand_downwards`, `include/linux/mm.h:stack_guard_gap`.

use std::hint::black_box;

use rustix::process::{Resource, getrlimit};

use super::mappings::{Mapping, walk};
use super::pagemap::{GUARD, PRESENT, Pagemap};
use super::process::Process;
use crate::posture::{PostureDoubt, Seen, Stack};
use crate::unit::Bytes;

/// Touches so many bytes below this frame, if there are as many, and looks how many are in memory.
pub(super) fn touch(process: &Process, needed: Bytes) -> Seen<Stack> {
    let marker = 0u8;
    let here = u64::try_from(std::ptr::from_ref(&marker).addr()).unwrap_or(0);
    let wanted = needed.get().saturating_add(MARGIN);
    let mut room = room_below(process, here)?;
    if room >= wanted {
        room = Pagemap::of(process)?.below(here, wanted, |page| page & GUARD == 0)?;
    }
    if room < wanted {
        // To touch it would end the process.
        return Ok(Stack { found: Bytes::new(room.saturating_sub(MARGIN)), needed });
    }
    descend(needed.get().div_ceil(FRAME));
    let found = Pagemap::of(process)?.below(here, needed.get(), |page| page & PRESENT != 0)?;
    Ok(Stack { found: Bytes::new(found), needed })
}

/// How far the stack may still go down before it meets its limit or another mapping.
fn room_below(process: &Process, here: u64) -> Seen<u64> {
    let (mut below, mut own) = (0, None);
    walk(process, |mapping| {
        if mapping.range.contains(&here) {
            own = Some(mapping.clone());
        } else if own.is_none() {
            below = mapping.range.end;
        }
    })?;
    let own: Mapping = own.ok_or(PostureDoubt::Unreadable)?;
    if !own.is_main_stack {
        return Ok(here.saturating_sub(own.range.start));
    }
    let limit = getrlimit(Resource::Stack).current.unwrap_or(u64::MAX);
    let lowest = own.range.end.saturating_sub(limit).max(below.saturating_add(GUARD_GAP));
    Ok(here.saturating_sub(lowest))
}

/// Uses a page of the stack, and as many below it.
#[inline(never)]
fn descend(frames: u64) {
    let mut frame = [0u8; 4096];
    black_box(&mut frame);
    if let Some(below) = frames.checked_sub(1) {
        descend(below);
    }
    // Keeps the frame: without it the call above would take its place.
    black_box(&frame);
}

const FRAME: u64 = 4096;
/// 256 pages, by default.
const GUARD_GAP: u64 = 1 << 20;
/// For what the frames need besides, a guard page that is part of the mapping, and a signal.
const MARGIN: u64 = 64 << 10;
