//! A file's extents on a grid of cells: what the picture shows, and no more however many extents there are.
//!
//! Columns are equal parts of the file, rows equal parts of the device between the lowest and the highest address in
//! use. A cell knows how many bytes of each look fall into it; what is refused is kept apart from what is admitted, so
//! that it wins where both fall into one cell.

use swap_dio::{ExtentFlags, ExtentState, FileExtent};

use crate::refusals::{Refusals, Rung};

pub(crate) const COLUMNS: usize = 240;
pub(crate) const ROWS: usize = 120;

/// How a run of a file is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    Written,
    Unwritten,
    Shared,
    Encoded,
    Delayed,
    Inline,
    Hole,
}

impl Look {
    pub(crate) const ALL: [Self; 7] =
        [Self::Written, Self::Unwritten, Self::Shared, Self::Encoded, Self::Delayed, Self::Inline, Self::Hole];

    fn of(claim: &FileExtent) -> Self {
        match claim.state {
            ExtentState::Hole => Self::Hole,
            ExtentState::Delayed => Self::Delayed,
            ExtentState::Inline => Self::Inline,
            _ if claim.flags.contains(ExtentFlags::SHARED) => Self::Shared,
            _ if claim.flags.intersects(ExtentFlags::COMPRESSED | ExtentFlags::ENCRYPTED) => Self::Encoded,
            ExtentState::Unwritten => Self::Unwritten,
            ExtentState::Written => Self::Written,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unwritten => "unwritten",
            Self::Shared => "shared",
            Self::Encoded => "encoded",
            Self::Delayed => "delayed",
            Self::Inline => "inline",
            Self::Hole => "hole",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// So many runs of so many bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amount {
    pub(crate) runs: u64,
    pub(crate) bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.runs += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What falls into one part of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    looks: [Amount; Look::ALL.len()],
    /// Which looks it has that are nowhere on the device, or nobody knows where.
    pub(crate) unplaced: [bool; Look::ALL.len()],
}

impl Column {
    pub(crate) fn amount(&self, look: Look) -> Amount {
        self.looks[look.index()]
    }
}

/// Bytes of each look, by how they are refused.
type Cell = [[u64; Look::ALL.len()]; Rung::ALL.len()];

pub(crate) struct Grid {
    pub(crate) size: u64,
    /// The lowest and the highest device address in use; `None` where no address is known.
    pub(crate) device: Option<(u64, u64)>,
    pub(crate) columns: Vec<Column>,
    pub(crate) totals: [Amount; Look::ALL.len()],
    cells: Vec<Cell>,
}

impl Grid {
    /// Asks twice, so that nothing has to be remembered: for the bounds first, then for what lies between them.
    pub(crate) fn new<E>(
        size: u64,
        refusals: &Refusals,
        mut walk: impl FnMut(&mut dyn FnMut(FileExtent)) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut device: Option<(u64, u64)> = None;
        walk(&mut |claim| {
            if let Some((start, end)) = place(&claim, size) {
                let (low, high) = device.unwrap_or((start, end));
                device = Some((low.min(start), high.max(end)));
            }
        })?;
        let mut grid = Self {
            size,
            device,
            columns: vec![Column::default(); COLUMNS],
            totals: Default::default(),
            cells: vec![Cell::default(); COLUMNS * ROWS],
        };
        let mut next = 0;
        walk(&mut |claim| {
            let start = claim.logical.get();
            if start > next {
                grid.add(Look::Hole, next, start, None, refusals);
            }
            let end = start.saturating_add(claim.length.get());
            grid.add(Look::of(&claim), start, end, place(&claim, size).map(|(physical, _)| physical), refusals);
            next = next.max(end);
        })?;
        grid.add(Look::Hole, next, size, None, refusals);
        Ok(grid)
    }

    /// The look of a cell and how it is refused; `None` if nothing lies there. Of several looks it is the most
    /// remarkable that has a quarter of the cell, so that an even mix is one colour and no flicker.
    pub(crate) fn cell(&self, column: usize, row: usize) -> Option<(Look, Rung)> {
        let cell = &self.cells[row * COLUMNS + column];
        let (rung, bytes) = Rung::ALL.into_iter().zip(cell).rev().find(|(_, bytes)| **bytes != [0; Look::ALL.len()])?;
        let quarter = bytes.iter().fold(0u64, |sum, more| sum.saturating_add(*more)) / 4;
        let look = Look::ALL.into_iter().rev().find(|look| bytes[look.index()] > quarter)?;
        Some((look, rung))
    }

    pub(crate) fn total(&self, look: Look) -> Amount {
        self.totals[look.index()]
    }

    /// Adds a run of the file, cut to its size.
    fn add(&mut self, look: Look, start: u64, end: u64, physical: Option<u64>, refusals: &Refusals) {
        let end = end.min(self.size);
        if start >= end {
            return;
        }
        self.totals[look.index()].add(end - start);
        for column in share(start, self.size, COLUMNS)..=share(end - 1, self.size, COLUMNS) {
            let from = start.max(edge(column, self.size, COLUMNS));
            let to = end.min(edge(column + 1, self.size, COLUMNS)).max(from + 1);
            let into = &mut self.columns[column];
            into.looks[look.index()].add(to - from);
            let Some((physical, (low, high))) = physical.zip(self.device) else {
                into.unplaced[look.index()] = true;
                continue;
            };
            let rung = refusals.rung(from, to);
            let first = physical.saturating_add(from - start).saturating_sub(low);
            let last = first.saturating_add(to - from - 1);
            let rows = share(first, high - low, ROWS)..=share(last, high - low, ROWS);
            for row in rows {
                let bytes = &mut self.cells[row * COLUMNS + column][rung as usize][look.index()];
                *bytes = bytes.saturating_add(to - from);
            }
        }
    }
}

/// Where a run lies on the device, cut to the file's size; `None` if that is not known, or if there is nothing there.
fn place(claim: &FileExtent, size: u64) -> Option<(u64, u64)> {
    let length = claim.length.get().min(size.saturating_sub(claim.logical.get()));
    let start = claim.physical.filter(|_| claim.state != ExtentState::Hole && length > 0)?.get();
    Some((start, start.checked_add(length)?))
}

/// Which of so many equal parts of `whole` a place is in.
pub(crate) fn share(place: u64, whole: u64, parts: usize) -> usize {
    let part = u128::from(place) * parts as u128 / u128::from(whole.max(1));
    usize::try_from(part).unwrap_or(usize::MAX).min(parts - 1)
}

/// Where a part begins.
pub(crate) fn edge(part: usize, whole: u64, parts: usize) -> u64 {
    let place = (part as u128 * u128::from(whole)).div_ceil(parts as u128);
    u64::try_from(place).unwrap_or(u64::MAX)
}
