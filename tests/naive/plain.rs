//! What needs no extents: network files (`nfs_swap_activate`) and block devices (`setup_swap_map`).

use super::{Map, Refusal, file};

/// `i_blocks * 512 < i_size` is a hole, everything else is one extent of file pages.
pub(crate) fn network(page: u64, max: u64, size: u64, sectors: u64) -> Result<Map, Refusal> {
    if u128::from(sectors) * 512 < u128::from(size) {
        return Err(vec!["hole"]);
    }
    file::identity(max, page, 0)
}

/// Every listed page costs one, a duplicate too; a page past what the kernel can address costs none.
pub(crate) fn block_device(page: u64, max: u64, last_page: u64, bad: &[u64]) -> Result<Map, Refusal> {
    let mut pages = i64::try_from(max - 1).expect("small");
    for bad in bad {
        if *bad == 0 || *bad > last_page {
            return Err(vec!["header-bad-pages"]);
        }
        if *bad < max {
            pages -= 1;
        }
    }
    match pages {
        0 => Err(vec!["no-usable-page"]),
        // The kernel's counter is unsigned and wraps: nonsense that this crate refuses.
        ..0 => Err(vec!["header-bad-pages"]),
        _ => file::identity(max, page, max - 1 - u64::try_from(pages).expect("positive")),
    }
}
