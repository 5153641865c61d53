//! What can be wrong with one claim, each obstacle once; a profile is the order in which it looks for them.

use super::Refusals;
use crate::extent::{DeviceId, ExtentFlags, ExtentState, FileExtent};
use crate::reason::Reason;

/// One thing that can be wrong with a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Obstacle {
    Inline,
    Hole,
    Delayed,
    Unmapped,
    Uncommitted,
    Shared,
    OtherDevice,
    Compressed,
    Encrypted,
    NotSingle,
    GroupReadOnly,
    SequentialZone,
    NotAligned,
    Unwritten,
}

impl Obstacle {
    /// The reason, if the claim has this obstacle; `main` is the device of the claims before it.
    fn against(self, claim: &FileExtent, main: DeviceId) -> Option<Reason> {
        let (range, state) = (claim.range(), claim.state);
        let mapped = matches!(state, ExtentState::Written | ExtentState::Unwritten);
        let flag = |flag: ExtentFlags| claim.flags.contains(flag);
        let (found, reason) = match self {
            Self::Inline => (state == ExtentState::Inline, Reason::Inline { range }),
            Self::Hole => (state == ExtentState::Hole, Reason::Hole { range }),
            Self::Delayed => (state == ExtentState::Delayed, Reason::Delayed { range }),
            Self::Unmapped => (mapped && claim.physical.is_none(), Reason::Unmapped { range }),
            Self::Uncommitted => (flag(ExtentFlags::UNCOMMITTED), Reason::Uncommitted { range }),
            Self::Shared => (flag(ExtentFlags::SHARED), Reason::Shared { range }),
            Self::OtherDevice => (mapped && claim.device != main, Reason::MultiDevice { range }),
            Self::Compressed => (flag(ExtentFlags::COMPRESSED), Reason::Compressed { range }),
            Self::Encrypted => (flag(ExtentFlags::ENCRYPTED), Reason::EncryptedExtent { range }),
            Self::NotSingle => (flag(ExtentFlags::NOT_SINGLE), Reason::ProfileNotSingle { range: Some(range) }),
            Self::GroupReadOnly => (flag(ExtentFlags::GROUP_READ_ONLY), Reason::BlockGroupReadOnly { range }),
            Self::SequentialZone => (flag(ExtentFlags::SEQUENTIAL_ZONE), Reason::SequentialZone { range: Some(range) }),
            Self::NotAligned => (flag(ExtentFlags::NOT_ALIGNED), Reason::PartialBlock { range }),
            Self::Unwritten => (state == ExtentState::Unwritten, Reason::Unwritten { range }),
        };
        found.then_some(reason)
    }
}

/// Whether nothing in `order` stands against the claim; what does is said, in that order.
///
/// The first claim that passes names the device if nothing has before.
#[inline]
pub(super) fn clear(
    claim: &FileExtent,
    order: &[Obstacle],
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
    for reason in order.iter().filter_map(|obstacle| obstacle.against(claim, device)) {
        clear = false;
        refusals.say(reason);
    }
    if clear {
        *main = Some(device);
    }
    clear
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every obstacle; the match makes a new one a compile error here.
    fn all() -> impl Iterator<Item = Obstacle> {
        use Obstacle::*;
        let all = [
            Inline,
            Hole,
            Delayed,
            Unmapped,
            Uncommitted,
            Shared,
            OtherDevice,
            Compressed,
            Encrypted,
            NotSingle,
            GroupReadOnly,
            SequentialZone,
            NotAligned,
            Unwritten,
        ];
        all.into_iter().inspect(|obstacle| match obstacle {
            Inline | Hole | Delayed | Unmapped | Uncommitted | Shared | OtherDevice | Compressed | Encrypted
            | NotSingle | GroupReadOnly | SequentialZone | NotAligned | Unwritten => (),
        })
    }

    #[test]
    fn a_profile_looks_for_every_obstacle_but_those_it_names() {
        let orders: &[(&str, &[Obstacle], &[Obstacle])] = &[
            ("iomap", super::super::iomap::ORDER, &[Obstacle::Unwritten]),
            ("btrfs", super::super::btrfs::ORDER, &[Obstacle::Unwritten]),
            ("bmap", super::super::bmap::ORDER, &[Obstacle::Unwritten]),
            ("f2fs", super::super::f2fs::ORDER, &[Obstacle::Unwritten]),
            ("file", super::super::file::ORDER, &[Obstacle::Unmapped]),
        ];
        for (name, order, accepted) in orders {
            for obstacle in all() {
                let times = order.iter().filter(|other| **other == obstacle).count();
                let expected = usize::from(!accepted.contains(&obstacle));
                assert_eq!(times, expected, "{name}: {obstacle:?}");
            }
        }
    }
}
