//! FAT, ext2, fuseblk and the like: the probe loop of `generic_swapfile_activate`, one `bmap` call at a time.
//!
//! What this crate minds beyond the kernel is minded when the kernel would first ask for the block.

use super::{File, Layout, Map, Refusal, sealed};

pub(crate) fn activate(file: &File, block: u64) -> Result<Map, Refusal> {
    let layout = file.layout();
    let mut main = None;
    let mut bmap = |number: u64| ask(&layout, block, number, &mut main);

    let blocks_per_page = file.page / block;
    let last_block = file.size / block;
    let (mut probe_block, mut page_no) = (0, 0);
    let (mut lowest_block, mut highest_block) = (u64::MAX, 0u64);
    let mut pages = Vec::new();
    'reprobe: while probe_block + blocks_per_page <= last_block && page_no < file.max {
        let first_block = bmap(probe_block)?;
        if first_block & (blocks_per_page - 1) != 0 {
            probe_block += 1;
            continue 'reprobe;
        }
        for block_in_page in 1..blocks_per_page {
            if bmap(probe_block + block_in_page)? != first_block + block_in_page {
                probe_block += 1;
                continue 'reprobe;
            }
        }
        let target = first_block / blocks_per_page;
        if page_no != 0 {
            lowest_block = lowest_block.min(target);
            highest_block = highest_block.max(target);
        }
        pages.push((target, probe_block * block));
        page_no += 1;
        probe_block += blocks_per_page;
    }
    match layout.broken {
        Some(code) => Err(vec![code]),
        None => sealed(&pages, file.page, highest_block.wrapping_sub(lowest_block).wrapping_add(1)),
    }
}

/// The device block of a block of the file; a refusal where `bmap` gives 0 or the claim says too much.
fn ask(layout: &Layout, block: u64, number: u64, main: &mut Option<u64>) -> Result<u64, Refusal> {
    let unit = usize::try_from(number * block / layout.unit).expect("small");
    let Some(place) = layout.at.get(unit) else {
        return Err(vec![layout.broken.expect("every block up to the last is known")]);
    };
    let Some(place) = place else { return Err(vec!["hole"]) };
    let codes = place.claim.against(&[], main.unwrap_or(place.claim.device), false, true);
    if !codes.is_empty() {
        return Err(codes);
    }
    main.get_or_insert(place.claim.device);
    let physical = place.physical.expect("an address was asked for");
    let claim = place.claim;
    if [claim.logical, claim.length, claim.physical.expect("the same")].iter().any(|at| at % block != 0) {
        return Err(vec!["misaligned"]);
    }
    if physical / block == 0 { Err(vec!["hole"]) } else { Ok(physical / block) }
}
