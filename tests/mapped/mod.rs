//! An active area in the caller's memory: its map by the door that there is, from runs of pages.
//!
//! Page 0 of the area is the first page of the first run. Pages are of 4 KiB.

#![allow(dead_code, reason = "every test and fuzz target uses its own part")]

use swap_dio::map::Store;
use swap_dio::{
    Activation, Area, Bytes, DeviceId, FileExtent, Model, PageIndex, PageSize, Profile, Reason, Slot, SwapMap,
};

pub(crate) const PAGE: u64 = 4096;

/// A map in memory that the test keeps.
pub(crate) type Map<'s> = SwapMap<&'s [Slot]>;

/// Memory for a map of so many runs.
pub(crate) fn room(runs: usize) -> Vec<Slot> {
    vec![Slot::EMPTY; Slot::needed(runs).max(1)]
}

/// Activates a file whose runs are so many pages at these pages of the device, two pages at least in all.
pub(crate) fn map<'s>(model: Model, runs: &[(u64, u64)], slots: &'s mut [Slot]) -> Map<'s> {
    let (pages, claims) = claims(runs);
    activate(model, pages, &claims, slots).expect("sound")
}

/// The pages of a file, and a written claim for each of its runs.
pub(crate) fn claims(runs: &[(u64, u64)]) -> (u64, Vec<FileExtent>) {
    let mut pages = 0;
    let claim = |(target, length): &(u64, u64)| {
        let [logical, physical, bytes] = [pages, *target, *length].map(|pages| Bytes::new(pages * PAGE));
        pages += length;
        FileExtent::written(logical, physical, bytes)
    };
    let claims = runs.iter().map(claim).collect();
    (pages, claims)
}

/// Activates a file of so many pages, by claims that may be unsound.
pub(crate) fn activate<S: Store>(
    model: Model,
    pages: u64,
    claims: &[FileExtent],
    slots: S,
) -> Result<S::Proof, Reason> {
    let profile = match model {
        Model::Bio => Profile::Iomap { device: DeviceId::MAIN },
        Model::File => Profile::File,
    };
    let area = Area::without_header(Bytes::new(pages * PAGE), PageSize::KIB_4)?;
    let mut activation = Activation::new(profile, &area, slots)?;
    claims.iter().try_for_each(|claim| activation.push(claim))?;
    activation.finish()
}

/// Where every page of the area lies, page by page, from the same runs.
pub(crate) fn targets(model: Model, runs: &[(u64, u64)]) -> Vec<u64> {
    let device: Vec<u64> = runs.iter().flat_map(|(target, pages)| (0..*pages).map(move |page| target + page)).collect();
    match model {
        Model::Bio => device,
        Model::File => (0..).take(device.len()).collect(),
    }
}

/// Where a map says that a page lies.
pub(crate) fn target(map: &Map<'_>, page: u64) -> Option<u64> {
    map.run(PageIndex::new(page)).ok().map(|run| run.target().get())
}
