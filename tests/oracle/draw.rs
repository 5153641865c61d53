//! Recipes drawn at random: about half of the files pass, and no two fail alike.

use fastrand::Rng;

use crate::damage::NewPage;
use crate::recipe::{Name, Recipe, Step};
use crate::setup::{Can, SetUp};

pub(crate) const PAGE: u64 = 4096;
/// Nobody waits until more than that is written.
pub(crate) const SMALL: u64 = 4 << 20;

/// A recipe that depends on the seed, the set-up and the number alone.
pub(crate) fn recipe(seed: u64, row: &SetUp, number: u64) -> Recipe {
    let mut rng = rng(seed, row, number);
    if row.can.contains(Can::DEVICE) {
        return device(&mut rng);
    }
    Draft { rng, row, size: 0, steps: Vec::new(), nested: false, snapshot: Snapshot::None }.draw()
}

/// Numbers of their own for each set-up and file; the set-up itself has the highest.
pub(crate) fn rng(seed: u64, row: &SetUp, number: u64) -> Rng {
    // FNV-1a: neighbours share nothing.
    let words = seed.to_le_bytes().into_iter().chain(number.to_le_bytes()).chain(row.name.bytes());
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    Rng::with_seed(words.fold(0xcbf2_9ce4_8422_2325, mix))
}

/// A block device: only its size and its header differ.
fn device(rng: &mut Rng) -> Recipe {
    let pages = rng.u32(1..257);
    let size = u64::from(pages) * PAGE + if rng.u32(..4) == 0 { 512 * rng.u64(1..8) } else { 0 };
    let steps = vec![Step::Resize(size), Step::Header(NewPage::draw_for_device(rng, pages.max(2)))];
    let active = (rng.u32(..16) == 0).then_some(Name::Itself);
    Recipe { nested: false, steps, name: Name::Itself, active }
}

/// A recipe in the making; the size is what it should be if every step is granted.
pub(crate) struct Draft<'a> {
    pub(crate) rng: Rng,
    pub(crate) row: &'a SetUp,
    pub(crate) size: u64,
    pub(crate) steps: Vec<Step>,
    nested: bool,
    snapshot: Snapshot,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Snapshot {
    /// None that holds the file.
    None,
    Writable,
    ReadOnly,
}

impl Draft<'_> {
    fn draw(mut self) -> Recipe {
        self.nested = self.can(Can::SNAPSHOT) && self.percent(25);
        if self.can(Can::NO_COW) {
            match self.rng.u32(..100) {
                0..88 => self.steps.push(Step::NoCow),
                88..92 => self.steps.push(Step::Compress),
                _ => (),
            }
        } else if self.can(Can::SHIFT) && self.percent(3) {
            self.steps.push(Step::Journaled);
        }
        let length = self.length();
        self.base(length);
        let early = self.percent(12);
        if early {
            self.header();
        }
        let changes = [0, 0, 0, 0, 1, 1, 1, 2, 2, 4][self.rng.usize(..10)];
        for _ in 0..changes {
            self.change();
        }
        if !early && !self.percent(2) {
            self.header();
        }
        if self.percent(3) {
            // Shorter than a page, or than what it claims.
            let size = if self.rng.bool() { self.rng.u64(..PAGE) } else { self.rng.u64(..self.size.max(1)) };
            self.truncate(size);
        }
        if self.can(Can::SNAPSHOT) && self.percent(50) {
            self.snapshot();
        }
        let (name, active) = self.names();
        Recipe { nested: self.nested, steps: self.steps, name, active }
    }

    pub(crate) fn can(&self, what: Can) -> bool {
        self.row.can.contains(what)
    }

    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    fn header(&mut self) {
        let page = NewPage::draw(&mut self.rng);
        self.steps.push(Step::Header(page));
        self.size = self.size.max(PAGE);
    }

    fn snapshot(&mut self) {
        let read_only = self.percent(25);
        let outer = self.nested && self.rng.bool();
        self.steps.push(Step::Snapshot { read_only, outer });
        self.snapshot = match (outer, read_only) {
            (true, _) => Snapshot::None,
            (false, true) => Snapshot::ReadOnly,
            (false, false) => Snapshot::Writable,
        };
        match self.rng.u32(..10) {
            0..3 => {
                self.steps.push(Step::DropSnapshot);
                self.snapshot = Snapshot::None;
            }
            3 | 4 if self.snapshot != Snapshot::None => self.steps.push(Step::DropOriginal),
            5 => self.rewrite(),
            6 => {
                let span = self.span(PAGE);
                self.write(span);
            }
            _ => return,
        }
        if self.percent(30) {
            self.steps.push(Step::SyncFilesystem);
        }
    }

    /// Mode, owner, attributes; by which name it is asked for, and whether it is active.
    fn names(&mut self) -> (Name, Option<Name>) {
        // Where /proc hides a process, nobody knows who runs what may be run: such modes are few, or much is not
        // foretold.
        match self.rng.u32(..1000) {
            0..100 => {
                let mode = [0o644, 0o666, 0o400, 0][self.rng.usize(..4)];
                self.steps.push(Step::Mode(mode));
            }
            100..108 => self.steps.push(Step::Mode(if self.rng.bool() { 0o700 } else { 0o755 })),
            _ => (),
        }
        let gone = self.steps.iter().any(|step| matches!(step, Step::DropOriginal));
        if gone {
            return (Name::InSnapshot, None);
        }
        if self.snapshot != Snapshot::None && self.percent(40) {
            return (Name::InSnapshot, None);
        }
        let mut name = Name::Itself;
        if self.can(Can::LINK) {
            if self.percent(4) {
                self.steps.push(Step::Owner(1000));
            }
            if self.percent(20) {
                name = if self.rng.bool() { Name::HardLink } else { Name::Symlink };
            }
        }
        if self.percent(6) {
            name = if self.rng.bool() { Name::Bind } else { Name::ReadOnlyBind };
        }
        let mut active = self.percent(4).then_some(Name::Itself);
        if active.is_some() && name == Name::Itself && self.can(Can::LINK) && self.rng.bool() {
            active = Some(Name::HardLink);
        } else if active.is_none() && self.size < SMALL && self.percent(3) {
            active = Some(Name::Copy);
        }
        for used in [Some(name), active].into_iter().flatten() {
            match used {
                Name::HardLink => self.steps.push(Step::HardLink),
                Name::Symlink => self.steps.push(Step::Symlink),
                Name::Itself | Name::Bind | Name::ReadOnlyBind | Name::InSnapshot | Name::Copy => (),
            }
        }
        if self.can(Can::ATTRIBUTES) && active.is_none() && self.percent(3) {
            self.steps.push(if self.rng.bool() { Step::Immutable } else { Step::AppendOnly });
        }
        (name, active)
    }
}
