//! The file model: swap page n is file page n, every page written and on one run of the device.
//!
//! This crate's own rule, from what `fs/iomap/direct-io.c` would have to do otherwise. Every whole page of the file is
//! judged, not only the header's. A page of the file must be a page of the device where that is known (P-054). Where
//! the device addresses are unknown a page must lie in one claim.

use super::{File, Map, Refusal, sealed, trim};

pub(crate) fn activate(file: &File) -> Result<Map, Refusal> {
    let layout = file.layout();
    let mut main = None;
    for (at, place) in layout.at.iter().enumerate() {
        let Some(place) = place else { return Err(vec!["hole"]) };
        let codes = place.claim.against(&trim::IOMAP, main.unwrap_or(place.claim.device), true, false);
        if !codes.is_empty() {
            return Err(codes);
        }
        main.get_or_insert(place.claim.device);

        let offset = u64::try_from(at).expect("small") * layout.unit;
        if place.physical.is_some_and(|physical| physical % file.page != offset % file.page) {
            return Err(vec!["misaligned"]);
        }
        if offset % file.page == 0 {
            continue;
        }
        let before = layout.at[at - 1].expect("was judged");
        let one_run = before.physical.is_some_and(|from| place.physical == Some(from + layout.unit));
        if before.index != place.index && !one_run {
            return Err(vec!["misaligned"]);
        }
    }
    if let Some(code) = layout.broken {
        return Err(vec![code]);
    }
    identity(file.max.min(file.size / file.page), file.page, 0)
}

/// A map of pages that are their own targets, so many of them never used.
pub(crate) fn identity(pages: u64, page: u64, bad: u64) -> Result<Map, Refusal> {
    let all: Vec<(u64, u64)> = (0..pages).map(|number| (number, number * page)).collect();
    let mut map = sealed(&all, page, pages.saturating_sub(1))?;
    map.usable -= bad;
    Ok(map)
}
