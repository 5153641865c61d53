//! f2fs: `check_swap_activate`, where blocks are pages and a run that is not in whole sections is moved.
//!
//! A moved run has no address to register, so this crate refuses it until the mapping was read again. The run is all
//! that lies together on the device, up to the end of the file, as `f2fs_map_blocks` gives it: also past what the
//! header claims. The loop ends with the header's pages.

use super::{File, Layout, Map, Refusal, sealed};

pub(crate) fn activate(file: &File, main_page: u64, section: u64) -> Result<Map, Refusal> {
    let layout = file.layout();
    let page = file.page;
    let last = file.size / page;
    let mut device = None;
    let (mut pages, mut cur) = (Vec::new(), 0);
    let (mut lowest, mut highest) = (u64::MAX, 0u64);
    while cur < last && cur < file.max {
        let first = block(file, &layout, cur, &mut device)?;
        let mut length = 1;
        let mut breaker = None;
        while cur + length < last {
            if cur + length < file.max {
                match block(file, &layout, cur + length, &mut device) {
                    Ok(next) if next == first + length => (),
                    Ok(_) => break,
                    Err(codes) => {
                        breaker = Some(codes);
                        break;
                    }
                }
            } else if address(file, &layout, cur + length) != Some((first + length) * page) {
                break;
            }
            length += 1;
        }

        let begins =
            (first * page).checked_sub(main_page * page).is_some_and(|from| from.checked_rem(section) == Some(0));
        let ends = (length * page).checked_rem(section) == Some(0);
        let moved = !begins || !ends;
        match (breaker, moved) {
            // The kernel would move the run before it met what follows, this crate may say the lasting reason first.
            (Some(mut codes), true) => {
                codes.push("misaligned");
                return Err(codes);
            }
            (Some(codes), false) => return Err(codes),
            (None, true) => return Err([Some("misaligned"), layout.broken].into_iter().flatten().collect()),
            (None, false) => (),
        }
        let taken = length.min(file.max - cur);
        if cur != 0 {
            lowest = lowest.min(first);
            highest = highest.max(first + taken - 1);
        }
        pages.extend((0..taken).map(|at| (first + at, (cur + at) * page)));
        cur += taken;
    }
    match layout.broken {
        Some(code) => Err(vec![code]),
        None => sealed(&pages, page, highest.wrapping_sub(lowest).wrapping_add(1)),
    }
}

/// The device block of a block that the kernel judges.
fn block(file: &File, layout: &Layout, number: u64, device: &mut Option<u64>) -> Result<u64, Refusal> {
    let unit = usize::try_from(number * file.page / layout.unit).expect("small");
    let Some(place) = layout.at.get(unit) else {
        return Err(vec![layout.broken.expect("every block up to the last is known")]);
    };
    let Some(place) = place else { return Err(vec!["hole"]) };
    let claim = place.claim;
    let codes = claim.against(&["hole"], device.unwrap_or(claim.device), false, true);
    if !codes.is_empty() {
        return Err(codes);
    }
    device.get_or_insert(claim.device);
    if [claim.logical, claim.length, claim.physical.expect("asked for")].iter().any(|at| at % file.page != 0) {
        return Err(vec!["misaligned"]);
    }
    Ok(place.physical.expect("asked for") / file.page)
}

/// The address of a block that only makes a run longer.
fn address(file: &File, layout: &Layout, number: u64) -> Option<u64> {
    let unit = usize::try_from(number * file.page / layout.unit).expect("small");
    let place = (*layout.at.get(unit)?)?;
    place.claim.mapped().then_some(place.physical?)
}
