//! Naive models of swap activation: page by page and block by block, for tests and fuzz targets to compare with.
//!
//! Written from the description of the kernel's rules (Linux v6.18: `fs/iomap/swapfile.c`, `mm/page_io.c`,
//! `fs/btrfs/inode.c`, `fs/f2fs/data.c`, `mm/swapfile.c`), not from `src/`: bare integers, a `Vec` with one entry
//! for every unit of the file, no streaming, no merging of counts. Slow and obvious on purpose. Only `agree` knows
//! the crate. A model's refusal is a *set* of codes: one where the kernel has an order, more where the kernel does
//! not see the obstacle at all and the order is nobody's.

#![allow(dead_code, reason = "every test and fuzz target uses its own part")]

pub(crate) mod agree;
pub(crate) mod bmap;
pub(crate) mod f2fs;
pub(crate) mod file;
pub(crate) mod header;
pub(crate) mod plain;
pub(crate) mod script;
pub(crate) mod trim;

/// What is said to be at a run of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Hole,
    Delayed,
    Written,
    Unwritten,
    Inline,
}

pub(crate) const UNCOMMITTED: u8 = 1;
pub(crate) const SHARED: u8 = 2;
pub(crate) const COMPRESSED: u8 = 4;
pub(crate) const ENCRYPTED: u8 = 8;
pub(crate) const NOT_SINGLE: u8 = 16;
pub(crate) const GROUP_READ_ONLY: u8 = 32;
pub(crate) const SEQUENTIAL_ZONE: u8 = 64;
pub(crate) const NOT_ALIGNED: u8 = 128;

/// Every flag and the code of the reason that it makes.
pub(crate) const FLAGS: [(u8, &str); 8] = [
    (UNCOMMITTED, "uncommitted"),
    (SHARED, "shared"),
    (COMPRESSED, "compressed"),
    (ENCRYPTED, "encrypted"),
    (NOT_SINGLE, "profile-not-single"),
    (GROUP_READ_ONLY, "busy"),
    (SEQUENTIAL_ZONE, "sequential-zone"),
    (NOT_ALIGNED, "misaligned"),
];

/// A claim, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) logical: u64,
    pub(crate) physical: Option<u64>,
    pub(crate) length: u64,
    pub(crate) state: State,
    pub(crate) flags: u8,
    pub(crate) device: u64,
}

/// Whose rules; sizes in bytes, `main` in pages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rules {
    Iomap { device: u64 },
    Bmap { block: u64 },
    Btrfs { sector: u64 },
    F2fs { main: u64, section: u64 },
    File,
}

/// One file and everything that was said of it.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) rules: Rules,
    /// Page size in bytes.
    pub(crate) page: u64,
    /// Pages that the header claims.
    pub(crate) max: u64,
    pub(crate) size: u64,
    /// The device's size, when the caller states it.
    pub(crate) device_size: Option<u64>,
    pub(crate) claims: Vec<Claim>,
}

/// The codes of which one must be the first reason's.
pub(crate) type Refusal = Vec<&'static str>;

/// What an activation comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Map {
    /// The target page of every swap page.
    pub(crate) targets: Vec<u64>,
    pub(crate) usable: u64,
    pub(crate) extents: u64,
    pub(crate) span: u64,
    pub(crate) identity: bool,
}

impl File {
    /// The answer of the model that the rules name.
    pub(crate) fn activate(&self) -> Result<Map, Refusal> {
        match self.rules {
            Rules::Iomap { device } => trim::activate(self, Some(device), &trim::IOMAP),
            Rules::Btrfs { .. } => trim::activate(self, None, &trim::BTRFS),
            Rules::Bmap { block } => bmap::activate(self, block),
            Rules::F2fs { main, section } => f2fs::activate(self, main, section),
            Rules::File => file::activate(self),
        }
    }

    /// Where the walk over the file ends: whole pages, or whole blocks where the kernel counts in blocks.
    pub(crate) fn limit(&self) -> u64 {
        match self.rules {
            Rules::Iomap { .. } | Rules::F2fs { .. } | Rules::File => self.size / self.page * self.page,
            Rules::Bmap { block } | Rules::Btrfs { sector: block } => self.size / block * block,
        }
    }

    /// The claim as far as the walk goes.
    pub(crate) fn clipped(&self, claim: &Claim) -> Claim {
        Claim { length: claim.length.min(self.limit().saturating_sub(claim.logical)), ..*claim }
    }

    /// The code of what is wrong with a claim whatever it says: empty, too long, past the device, out of order.
    fn shape(&self, claim: &Claim, next: u64) -> Result<u64, &'static str> {
        if claim.length == 0 {
            return Err("extent-empty");
        }
        let sum = |from: u64| u64::try_from(u128::from(from) + u128::from(claim.length)).ok();
        let end = sum(claim.logical).ok_or("extent-overflow")?;
        if let Some(physical) = claim.physical {
            let end = sum(physical).ok_or("extent-overflow")?;
            if self.device_size.is_some_and(|size| end > size) {
                return Err("extent-outside-device");
            }
        }
        if claim.logical < next { Err("extent-order") } else { Ok(end) }
    }

    /// Lays the claims out, one entry for every unit of the file up to the limit or to the first broken claim.
    pub(crate) fn layout(&self) -> Layout {
        let limit = self.limit();
        let (mut next, mut broken, mut sound) = (0, None, Vec::new());
        for claim in &self.claims {
            match self.shape(claim, next) {
                Ok(end) => {
                    next = end;
                    sound.push(*claim);
                }
                Err(code) => {
                    broken = Some(code);
                    break;
                }
            }
        }
        let known = if broken.is_some() { next.min(limit) } else { limit };
        let smallest = match self.rules {
            Rules::Bmap { block } | Rules::Btrfs { sector: block } => block,
            Rules::Iomap { .. } | Rules::F2fs { .. } | Rules::File => self.page,
        };
        sound.retain(|claim| claim.logical < known);
        let mut bits = smallest | known;
        for claim in &sound {
            bits |= claim.logical | claim.physical.unwrap_or(0) | (claim.logical + claim.length).min(known);
        }
        let unit = 1 << bits.trailing_zeros();

        let mut at = vec![None; usize::try_from(known / unit).expect("tests use small files")];
        for (index, claim) in sound.iter().enumerate() {
            let end = (claim.logical + claim.length).min(known);
            for offset in (claim.logical..end).step_by(usize::try_from(unit).expect("at most a page")) {
                let physical = claim.physical.map(|physical| physical + (offset - claim.logical));
                at[usize::try_from(offset / unit).expect("tests use small files")] =
                    Some(Place { index, physical, claim: self.clipped(claim) });
            }
        }
        Layout { unit, at, broken }
    }
}

/// A file, unit by unit: `None` is a hole.
#[derive(Debug)]
pub(crate) struct Layout {
    /// A power of two that divides every offset and address.
    pub(crate) unit: u64,
    pub(crate) at: Vec<Option<Place>>,
    /// What is wrong with the claim after the last unit; no unit after it is known then.
    pub(crate) broken: Option<&'static str>,
}

/// Who says what of a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which claim.
    pub(crate) index: usize,
    /// The unit's own address.
    pub(crate) physical: Option<u64>,
    pub(crate) claim: Claim,
}

impl Claim {
    pub(crate) fn mapped(&self) -> bool {
        matches!(self.state, State::Written | State::Unwritten)
    }

    /// The codes against a claim: the first of the kernel's list if one stands, else all that only this crate minds.
    ///
    /// `main` is the device that the data must be on; `unwritten` whether unwritten runs are minded, `nowhere`
    /// whether a mapped run must have an address.
    pub(crate) fn against(&self, kernel: &[&'static str], main: u64, unwritten: bool, nowhere: bool) -> Refusal {
        let mut all = Vec::new();
        match self.state {
            State::Hole => all.push("hole"),
            State::Delayed => all.push("delayed-allocation"),
            State::Inline => all.push("inline"),
            State::Unwritten if unwritten => all.push("unwritten"),
            State::Unwritten | State::Written => (),
        }
        if nowhere && self.mapped() && self.physical.is_none() {
            all.push("no-block-map");
        }
        if self.mapped() && self.device != main {
            all.push("multi-device");
        }
        all.extend(FLAGS.iter().filter(|(bit, _)| self.flags & bit != 0).map(|(_, code)| code));
        match kernel.iter().find(|code| all.contains(code)) {
            Some(first) => vec![first],
            None => all,
        }
    }
}

/// Numbers the pages that were found: (target page, offset in the file of what lies there).
pub(crate) fn sealed(pages: &[(u64, u64)], page: u64, span: u64) -> Result<Map, Refusal> {
    if pages.len() < 2 {
        return Err(vec!["no-usable-page"]);
    }
    let targets: Vec<u64> = pages.iter().map(|(target, _)| *target).collect();
    let breaks = targets.windows(2).filter(|pair| pair[0].wrapping_add(1) != pair[1]).count();
    let identity = pages.iter().zip(0..).all(|((_, offset), index)| *offset == page * index);
    let count = |length: usize| u64::try_from(length).expect("tests use small files");
    Ok(Map { usable: count(targets.len() - 1), extents: count(breaks + 1), span, identity, targets })
}
