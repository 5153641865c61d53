//! What stands against one claim: each fault's test, once; a profile is the order in which it looks for them.

use super::Refusals;
use crate::extent::{DeviceId, ExtentFlags, ExtentState, FileExtent};
use crate::reason::{Fault, Reason};

/// Whether nothing in `order` stands against the claim; what does is said, in that order.
///
/// The first claim that passes names the device if nothing has before.
#[inline]
pub(super) fn clear(
    claim: &FileExtent,
    order: &[Fault],
    main: &mut Option<DeviceId>,
    refusals: &mut Refusals<impl FnMut(Reason)>,
) -> bool {
    let device = main.unwrap_or(claim.device);
    if claim.state == ExtentState::Written
        && claim.flags.is_empty()
        && claim.physical.is_some()
        && claim.device == device
    {
        *main = Some(device);
        return true;
    }
    let mut clear = true;
    for fault in order.iter().filter(|fault| stands(**fault, claim, device)) {
        clear = false;
        refusals.say(Reason::Extent { range: claim.range(), fault: *fault });
    }
    if clear {
        *main = Some(device);
    }
    clear
}

/// Whether the claim has this fault; `main` is the device of the claims before it.
fn stands(fault: Fault, claim: &FileExtent, main: DeviceId) -> bool {
    let state = claim.state;
    let mapped = matches!(state, ExtentState::Written | ExtentState::Unwritten);
    let flag = |flag: ExtentFlags| claim.flags.contains(flag);
    match fault {
        Fault::Inline => state == ExtentState::Inline,
        Fault::Hole => state == ExtentState::Hole,
        Fault::Delayed => state == ExtentState::Delayed,
        Fault::Unwritten => state == ExtentState::Unwritten,
        Fault::Unmapped => mapped && claim.physical.is_none(),
        Fault::OtherDevice => mapped && claim.device != main,
        Fault::Uncommitted => flag(ExtentFlags::UNCOMMITTED),
        Fault::Shared => flag(ExtentFlags::SHARED),
        Fault::Compressed => flag(ExtentFlags::COMPRESSED),
        Fault::Encrypted => flag(ExtentFlags::ENCRYPTED),
        Fault::NotSingle => flag(ExtentFlags::NOT_SINGLE),
        Fault::GroupReadOnly => flag(ExtentFlags::GROUP_READ_ONLY),
        Fault::SequentialZone => flag(ExtentFlags::SEQUENTIAL_ZONE),
        Fault::PartialBlock => flag(ExtentFlags::NOT_ALIGNED),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{bmap, btrfs, f2fs, file, iomap};
    use super::*;

    /// Every fault; the match in `stands` makes a new one a compile error there.
    const ALL: [Fault; 14] = [
        Fault::Hole,
        Fault::Delayed,
        Fault::Inline,
        Fault::Uncommitted,
        Fault::Shared,
        Fault::Compressed,
        Fault::Encrypted,
        Fault::Unmapped,
        Fault::OtherDevice,
        Fault::NotSingle,
        Fault::GroupReadOnly,
        Fault::SequentialZone,
        Fault::PartialBlock,
        Fault::Unwritten,
    ];

    #[test]
    fn a_profile_looks_for_every_fault_but_the_one_it_names() {
        let orders: [(&str, &[Fault], Fault); 5] = [
            ("iomap", iomap::ORDER, Fault::Unwritten),
            ("btrfs", btrfs::ORDER, Fault::Unwritten),
            ("bmap", bmap::ORDER, Fault::Unwritten),
            ("f2fs", f2fs::ORDER, Fault::Unwritten),
            ("file", file::ORDER, Fault::Unmapped),
        ];
        for (name, order, accepted) in orders {
            for fault in ALL {
                let times = order.iter().filter(|other| **other == fault).count();
                assert_eq!(times, usize::from(fault != accepted), "{name}: {fault:?}");
            }
        }
    }
}
