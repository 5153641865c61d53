//! Small random numbers to a file with claims: the same decoder for proptest and for the fuzzers.
//!
//! Any numbers decode; most decode to a sound file, since a stream that is refused at once shows little. Files are
//! tiny, so that the models can look at every unit.

use super::{Claim, File, Rules, State};

/// A file, before it is decoded.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) page: u8,
    pub(crate) rules: u8,
    pub(crate) block: u8,
    pub(crate) pages: u8,
    pub(crate) header: u8,
    pub(crate) tail: u16,
    /// Bits that keep a kind of trouble out of the file.
    pub(crate) tame: u8,
    pub(crate) device_size: u8,
    pub(crate) steps: Vec<Step>,
}

/// One claim, before it is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) place: u8,
    pub(crate) length: u8,
    pub(crate) state: u8,
    pub(crate) flags: u8,
    pub(crate) trouble: u8,
    pub(crate) number: u16,
}

const SOUND: u8 = 1;
const MAPPED: u8 = 2;
const CLEAN: u8 = 4;
const WHOLE: u8 = 8;
const FULL: u8 = 16;

impl Script {
    pub(crate) fn file(&self) -> File {
        let page = [4096, 4096, 4096, 16384, 65536][usize::from(self.page % 5)];
        let shift = self.block % 8;
        // 512 bytes to a page; whole pages more often than not.
        let block = if shift < 3 { page } else { (page >> (shift - 2)).max(512) };
        let section = page * [1, 2, 4, 8][usize::from(self.block >> 4) % 4];
        let (main, device) = (u64::from(self.header % 7), u64::from(self.tail & 1));
        let rules = match self.rules % 5 {
            0 => Rules::Iomap { device },
            1 => Rules::Bmap { block },
            2 => Rules::Btrfs { sector: block },
            3 => Rules::F2fs { main, section },
            _ => Rules::File,
        };
        let whole_pages = 2 + u64::from(self.pages % 40);
        let tail = [0, 0, 0, block, page - 1, u64::from(self.tail) % page][usize::from(self.tail >> 8) % 6];
        let header = 2 + u64::from(self.header) % (whole_pages - 1);
        let mut file = File {
            rules,
            page,
            max: if self.header % 3 == 0 { whole_pages } else { header },
            size: whole_pages * page + tail % page,
            device_size: (self.device_size > 200).then(|| u64::from(self.device_size) * page),
            claims: Vec::new(),
        };
        let mut at = Cursor { logical: 0, physical: main * page + section, block, section, page, device };
        for step in &self.steps {
            let claim = self.claim(step, &mut at, &file);
            file.claims.push(claim);
        }
        if self.tame & FULL != 0 && at.logical < file.size {
            let rest = Step { place: 0, length: 0, state: 0, flags: 0, trouble: 0, number: 0 };
            let mut claim = self.claim(&rest, &mut at, &file);
            claim.length = (file.size - claim.logical).div_ceil(page) * page;
            file.claims.push(claim);
        }
        file
    }

    fn claim(&self, step: &Step, at: &mut Cursor, file: &File) -> Claim {
        let tame = |bit: u8| self.tame & bit != 0;
        // In f2fs blocks are pages, elsewhere they are what they are.
        let block = if matches!(file.rules, Rules::F2fs { .. }) { at.page } else { at.block };
        // What this crate makes of trouble after the pages that f2fs looks at is nobody's rule.
        let unseen = matches!(file.rules, Rules::F2fs { .. }) && at.logical / at.page + 1 >= file.max;
        let number = u64::from(step.number);
        // Odd bytes, but not so odd that a file of large pages falls into too many units.
        let odd = number * (at.page / 4096);
        let mut length = match step.length % 8 {
            0 => at.section,
            2 => at.page * (1 + number % 4),
            3 => at.section * (1 + number % 2),
            4 if !tame(WHOLE) && !unseen => at.page / 4096 + odd,
            _ => block * (1 + number % 20),
        };
        let section_start = at.physical.next_multiple_of(at.section);
        let mut physical = match step.place % 16 {
            0..=3 => at.physical,
            4 => at.physical + block * (1 + number % 9),
            5 => at.physical.next_multiple_of(at.page) + at.page * (number % 5),
            6 | 7 => section_start + at.section * (number % 3),
            8 => at.physical.saturating_sub(block * (1 + number % 40)),
            9 => block * (number % 64),
            10 => at.page * (number % 64),
            11 => (1 << 45) + at.section * number,
            12 if !tame(WHOLE) && !unseen => at.physical + odd,
            13 if number % 4 == 0 => 0,
            14 if number % 4 == 0 => (at.page * (number % 64)).wrapping_neg(),
            _ => section_start,
        };
        if file.device_size.is_some_and(|size| size < physical.saturating_add(length)) && tame(SOUND) {
            physical = at.section * (number % 8);
        }
        let state = match step.state {
            0..=160 => State::Written,
            161..=220 if matches!(file.rules, Rules::File) && tame(MAPPED) => State::Written,
            161..=220 => State::Unwritten,
            _ if tame(MAPPED) => State::Written,
            221..=235 => State::Hole,
            236..=243 => State::Delayed,
            _ => State::Inline,
        };
        let wild = !tame(CLEAN) && step.flags % 4 == 0;
        let flags = if wild && !unseen { 1 << (step.flags >> 5) | u8::from(step.flags & 16 != 0) << 1 } else { 0 };
        let device = if !tame(CLEAN) && step.flags % 16 == 5 && !unseen { 1 - at.device } else { at.device };
        if file.claims.is_empty() {
            at.device = device;
        }
        let mut logical = at.logical;
        match step.trouble {
            _ if tame(SOUND) => (),
            0..=3 => length = 0,
            4..=7 => logical = logical.saturating_sub(1 + odd % at.page),
            8..=11 => length = u64::MAX - number,
            12..=15 => logical = u64::MAX - number,
            16..=40 => logical = logical.saturating_add(block * (number % 3)),
            41..=44 if !unseen => logical = logical.saturating_add(odd),
            _ => (),
        }
        let known = match file.rules {
            // The file model needs no address: half of its files have some claims without.
            Rules::File if self.block & 8 != 0 => step.place >= 128,
            _ => tame(MAPPED) || step.state % 16 != 7 || unseen,
        };
        at.logical = logical.saturating_add(length);
        at.physical = physical.saturating_add(length).min(1 << 60);
        Claim { logical, physical: known.then_some(physical), length, state, flags, device }
    }
}

/// Where the next claim goes on.
struct Cursor {
    logical: u64,
    physical: u64,
    block: u64,
    section: u64,
    page: u64,
    device: u64,
}
