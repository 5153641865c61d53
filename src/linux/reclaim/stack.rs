//! The stack of the calling thread: touched as deep as it will be needed, and looked at page by page.
//!
//! `mlockall` puts all pages of a thread's stack into memory when it is mapped. The first thread's stack grows instead,
//! by page faults, which is what must not happen while memory is short.
//!
//! Source: Linux v6.18, `mm/vma.c:expand_downwards`, `include/linux/mm.h:stack_guard_gap`;
//! Documentation/admin-guide/mm/pagemap.rst (bit 63: the page is present,
//! bit 58: it is a guard).

use std::hint::black_box;
use std::os::unix::fs::FileExt;

use rustix::process::{Resource, getrlimit};

use super::mappings::{Mapping, walk};
use super::process::{Process, doubt};
use crate::posture::{PostureDoubt, Seen, Stack};
use crate::unit::Bytes;

/// Touches so many bytes below this frame, if there are as many, and looks how many are in memory.
pub(super) fn touch(process: &Process, needed: Bytes) -> Seen<Stack> {
    let marker = 0u8;
    let here = u64::try_from(std::ptr::from_ref(&marker).addr()).unwrap_or(0);
    let wanted = needed.get().saturating_add(MARGIN);
    let mut room = room_below(process, here)?;
    if room >= wanted {
        room = pages_below(process, here, wanted, |page| page & GUARD == 0)?;
    }
    if room < wanted {
        // To touch it would end the process.
        return Ok(Stack { found: Bytes::new(room.saturating_sub(MARGIN)), needed });
    }
    descend(needed.get().div_ceil(FRAME));
    let found = pages_below(process, here, needed.get(), |page| page & PRESENT != 0)?;
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

/// How many bytes below an address lie in pages of one kind without a gap, as far as they are of interest.
fn pages_below(process: &Process, here: u64, wanted: u64, of_kind: impl Fn(u64) -> bool) -> Seen<u64> {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(FRAME);
    let table = process.open("pagemap").map_err(doubt)?;
    let mut found = 0;
    let mut index = here.checked_div(page).ok_or(PostureDoubt::Unreadable)?;
    while found < wanted {
        index = index.saturating_sub(1);
        let mut entry = [0; 8];
        let place = index.checked_mul(8).ok_or(PostureDoubt::Unreadable)?;
        if table.read_exact_at(&mut entry, place).is_err() {
            return Err(PostureDoubt::Unreadable);
        }
        if !of_kind(u64::from_ne_bytes(entry)) {
            break;
        }
        found = found.saturating_add(page);
    }
    Ok(found)
}

const FRAME: u64 = 4096;
const PRESENT: u64 = 1 << 63;
/// A guard page that is no mapping of its own, as glibc makes them from 2.42 on. Shown from 6.15 on; on 6.13 and 6.14,
/// which have them too, a depth that the thread does not have must not be asked for.
const GUARD: u64 = 1 << 58;
/// 256 pages, by default.
const GUARD_GAP: u64 = 1 << 20;
/// For what the frames need besides, a guard page that is part of the mapping, and a signal.
const MARGIN: u64 = 64 << 10;
