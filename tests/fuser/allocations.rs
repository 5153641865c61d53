//! An allocator that counts what watched threads take from it.
#![allow(unsafe_code)] // an allocator cannot be written without; each call is passed on as it came

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static OWN: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates from now on, for [`count`] too.
pub(crate) fn watch() {
    WATCHED.set(true);
}

/// What all watched threads allocated: for the one test that watches a session's thread.
pub(crate) fn count() -> u64 {
    ALLOCATIONS.load(SeqCst)
}

/// What this thread allocated since it was made.
pub(crate) fn of_this_thread() -> u64 {
    OWN.get()
}

fn note() {
    let _ = OWN.try_with(|own| own.set(own.get() + 1));
    if WATCHED.try_with(Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, SeqCst);
    }
}

// SAFETY: what `System` promises, since it does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}
