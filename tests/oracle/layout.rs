//! Where the data of a file lies, drawn at random: how it is first written, and what happens to it then.

use crate::draw::{Draft, PAGE, SMALL};
use crate::recipe::{Content, How, Range, Span, Step};
use crate::setup::Can;

impl Draft<'_> {
    pub(crate) fn length(&mut self) -> u64 {
        let large = if self.can(Can::LARGE) { 8 } else { 0 };
        let pages = match self.rng.u32(..100) {
            0..4 => self.rng.u64(1..4),
            4..70 => self.rng.u64(10..48),
            70..94 => self.rng.u64(48..160),
            at if at >= 100 - large => self.rng.u64(1000..6000),
            _ => self.rng.u64(160..600),
        };
        let odd = if self.percent(25) { self.rng.u64(1..PAGE) } else { 0 };
        pages * PAGE + odd
    }

    pub(crate) fn how(&mut self) -> How {
        match self.rng.u32(..10) {
            0..6 => How::Buffered,
            6 | 7 => How::Synced,
            _ if self.can(Can::DIRECT) => How::Direct,
            _ => How::Buffered,
        }
    }

    pub(crate) fn content(&mut self) -> Content {
        if self.rng.bool() { Content::Noise } else { Content::Text }
    }

    /// The file as it would be without mishap.
    pub(crate) fn base(&mut self, length: u64) {
        let all = Span { at: 0, length };
        let can_allocate = self.can(Can::ALLOCATE);
        match self.rng.u32(..100) {
            // Nobody waits for gigabytes of writes: what is large is allocated.
            _ if length > 800 * PAGE && can_allocate => self.range(Range::Allocate, all),
            0..20 if can_allocate => self.range(Range::Allocate, all),
            20..38 if can_allocate => {
                self.range(Range::Allocate, all);
                for _ in 0..self.rng.u32(1..8) {
                    let span = self.span(PAGE);
                    self.write(span);
                }
            }
            38..52 => {
                let piece = PAGE * [1, 1, 2, 4][self.rng.usize(..4)];
                let length = length.min(16 * piece);
                // Only what is allocated at once is allocated by turns.
                let how = if self.can(Can::DIRECT) && self.rng.bool() { How::Direct } else { How::Synced };
                self.steps.push(Step::Interleave { piece, length, how });
                self.size = length;
            }
            52..58 => {
                self.truncate(length);
                for _ in 0..self.rng.u32(..6) {
                    let span = self.span(1);
                    self.write(span);
                }
            }
            58 if self.can(Can::SHIFT) || self.can(Can::NO_COW) => {
                // More than memory holds, or a header can say; nearly all of it a hole.
                let size = 1 << self.rng.u32(31..43);
                self.truncate(size);
                self.write(all);
            }
            58..62 => {
                self.write(Span { at: 0, length: length.saturating_sub(PAGE).max(1) });
                self.truncate(length);
            }
            62..75 => self.pieces(length),
            _ => self.write(all),
        }
    }

    /// Writes everything, in pieces, in any order.
    pub(crate) fn pieces(&mut self, length: u64) {
        let unit = [PAGE, 3 * PAGE, 10_000, 8 * PAGE][self.rng.usize(..4)].max(length / 12);
        let mut pieces: Vec<Span> = Vec::new();
        let mut at = 0;
        while at < length {
            pieces.push(Span { at, length: unit.min(length - at) });
            at += unit;
        }
        match self.rng.u32(..3) {
            0 => pieces.reverse(),
            1 => self.rng.shuffle(&mut pieces),
            _ => (),
        }
        for piece in pieces {
            self.write(piece);
        }
    }

    pub(crate) fn write(&mut self, span: Span) {
        let (how, content) = (self.how(), self.content());
        let aligned = |value: u64| value % PAGE == 0;
        // Direct I/O of odd bytes is refused; now and then that is what is wanted.
        let how = if how == How::Direct && !(aligned(span.at) && aligned(span.length)) && !self.percent(5) {
            How::Buffered
        } else {
            how
        };
        self.steps.push(Step::Write(span, how, content));
        self.size = self.size.max(span.at + span.length);
    }

    pub(crate) fn range(&mut self, range: Range, span: Span) {
        self.steps.push(Step::Range(range, span));
        let end = span.at + span.length;
        self.size = match range {
            Range::Allocate | Range::Zero => self.size.max(end),
            Range::KeepSize | Range::Punch | Range::ZeroKeepSize => self.size,
            Range::Collapse => self.size.saturating_sub(span.length),
            Range::Insert => self.size + span.length,
        };
    }

    pub(crate) fn truncate(&mut self, size: u64) {
        self.steps.push(Step::Truncate(size));
        self.size = size;
    }

    /// A range within the file, of whole `unit`s where it is long enough.
    pub(crate) fn span(&mut self, unit: u64) -> Span {
        let units = (self.size / unit).max(1);
        let at = self.rng.u64(..units);
        let longest = (units - at).min(if unit == 1 { 3 * PAGE } else { 12 });
        Span { at: at * unit, length: self.rng.u64(1..longest.max(1) + 1) * unit }
    }

    /// Something that happens to a file.
    pub(crate) fn change(&mut self) {
        let (allocate, shift, clone) = (self.can(Can::ALLOCATE), self.can(Can::SHIFT), self.can(Can::CLONE));
        let unit = if self.rng.bool() { PAGE } else { self.row.block.min(4 * PAGE) };
        match self.rng.u32(..100) {
            0..10 if allocate => {
                let span = if self.rng.bool() { self.span(PAGE) } else { self.span(1) };
                self.range(Range::Punch, span);
                self.maybe_fill(span);
            }
            10..20 if shift => {
                let span = self.span(self.row.block);
                self.range(Range::Collapse, span);
            }
            20..28 if shift => {
                let span = self.span(self.row.block);
                self.range(Range::Insert, span);
                self.maybe_fill(span);
            }
            28..36 if shift => {
                let span = if self.rng.bool() { self.span(unit) } else { self.span(1) };
                let range = if self.rng.bool() { Range::Zero } else { Range::ZeroKeepSize };
                self.range(range, span);
            }
            36..56 if clone => self.share(),
            56..64 => {
                let size = self.rng.u64(self.size / 2..self.size + 1);
                self.truncate(size);
            }
            64..70 => {
                let (old, by) = (self.size, self.rng.u64(1..3 * PAGE));
                self.truncate(old + by);
                self.maybe_fill(Span { at: old, length: by });
            }
            70..78 if allocate => {
                let at = self.size.saturating_sub(self.rng.u64(..2 * PAGE));
                let span = Span { at, length: self.rng.u64(1..40) * PAGE };
                self.range(Range::KeepSize, span);
            }
            78..82 if allocate => {
                let span = Span { at: self.size, length: self.rng.u64(1..20 * PAGE) };
                self.range(Range::Allocate, span);
            }
            82..86 => {
                let at = self.size + self.rng.u64(..4 * PAGE);
                let length = self.rng.u64(1..2 * PAGE);
                self.write(Span { at, length });
            }
            86 if self.can(Can::NO_COW) => self.steps.push(Step::NoCow),
            86 | 87 => self.steps.push(Step::SyncFilesystem),
            88..92 => self.steps.push(Step::Sync),
            _ => {
                let span = if self.rng.bool() { self.span(PAGE) } else { self.span(1) };
                self.write(span);
            }
        }
    }

    /// Often a hole is filled again, by a page or more around it.
    pub(crate) fn maybe_fill(&mut self, span: Span) {
        if !self.percent(60) {
            return;
        }
        let at = span.at / PAGE * PAGE;
        let whole = Span { at, length: (span.at + span.length).next_multiple_of(PAGE) - at };
        if self.can(Can::ALLOCATE) && self.rng.bool() {
            self.range(Range::Allocate, span);
        } else {
            self.write(whole);
        }
    }

    pub(crate) fn share(&mut self) {
        let unit = self.row.block;
        let span = self.span(unit);
        match self.rng.u32(..10) {
            0..4 => self.steps.push(Step::CloneFile),
            4..8 => self.steps.push(Step::CloneOut(span)),
            _ => {
                let to = self.rng.u64(..(self.size / unit).max(1) + 2) * unit;
                self.steps.push(Step::CloneWithin { from: span, to });
                self.size = self.size.max(to + span.length);
            }
        }
        if self.percent(20) {
            self.steps.push(if self.rng.bool() { Step::Sync } else { Step::SyncFilesystem });
        }
        match self.rng.u32(..10) {
            0..5 => self.steps.push(Step::DropClone),
            5 => self.steps.push(Step::RewriteClone(span)),
            6 => self.write(span),
            7 => self.rewrite(),
            _ => (),
        }
    }

    /// Writes all of it once more.
    pub(crate) fn rewrite(&mut self) {
        self.write(Span { at: 0, length: self.size.clamp(1, SMALL) });
    }
}
