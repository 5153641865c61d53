//! ext4, XFS, zonefs (`iomap_swapfile_activate`) and btrfs (`btrfs_swap_activate`).
//!
//! Units that follow each other on the device are one run, whatever claims they came by. A run gives its whole,
//! aligned physical pages; a run without one is skipped. Span: of all whole pages of a run, before the cut to what
//! the header claims; the run that begins at file offset 0 counts from one page later.

use super::{File, Map, Refusal, sealed};

/// `iomap_swapfile_iter`, checks 1 to 5.
pub(crate) const IOMAP: [&str; 6] = ["inline", "hole", "delayed-allocation", "uncommitted", "shared", "multi-device"];

/// `btrfs_swap_activate`, checks 9 to 17; a delayed range has no extent item, no address is a failed chunk lookup.
pub(crate) const BTRFS: [&str; 9] = [
    "hole",
    "delayed-allocation",
    "inline",
    "compressed",
    "shared",
    "no-block-map",
    "profile-not-single",
    "multi-device",
    "busy",
];

pub(crate) fn activate(file: &File, device: Option<u64>, kernel: &[&'static str]) -> Result<Map, Refusal> {
    let layout = file.layout();
    let mut main = device;
    let mut addresses = Vec::new();
    for place in &layout.at {
        let Some(place) = place else { return Err(vec!["hole"]) };
        let codes = place.claim.against(kernel, main.unwrap_or(place.claim.device), false, true);
        if !codes.is_empty() {
            return Err(codes);
        }
        main.get_or_insert(place.claim.device);
        addresses.push(place.physical.expect("an address was asked for"));
    }
    if let Some(code) = layout.broken {
        return Err(vec![code]);
    }

    let (unit, page) = (layout.unit, file.page);
    let (mut pages, mut lowest, mut highest) = (Vec::new(), u64::MAX, 0u64);
    let mut start = 0;
    while start < addresses.len() {
        let mut end = start + 1;
        while end < addresses.len() && addresses[end] == addresses[end - 1] + unit {
            end += 1;
        }
        let run_end = addresses[end - 1] + unit;
        let whole: Vec<(u64, u64)> = (start..end)
            .filter(|at| addresses[*at] % page == 0 && run_end - addresses[*at] >= page)
            .map(|at| (addresses[at] / page, u64::try_from(at).expect("small") * unit))
            .collect();
        if let (Some((first, _)), Some((last, _)), true) = (whole.first(), whole.last(), count(&pages) < file.max) {
            lowest = lowest.min(if start == 0 { first + 1 } else { *first });
            highest = highest.max(*last);
            for found in whole {
                if count(&pages) < file.max {
                    pages.push(found);
                }
            }
        }
        start = end;
    }
    sealed(&pages, page, highest.wrapping_sub(lowest).wrapping_add(1))
}

fn count(pages: &[(u64, u64)]) -> u64 {
    u64::try_from(pages.len()).expect("small")
}
