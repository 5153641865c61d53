//! A server that ends each batch as a script says, and writes down what it was given; the folios write down their end.

use super::mapped::PAGE;
use std::cell::RefCell;
use std::collections::VecDeque;
use swap_dio::admit::{Completion, Outcome};
use swap_dio::flags::Direction;
use swap_dio::swap_ops::{Batch, Folio, OpsFlags, QueuedBatch, SwapOps, SwapRw};
use swap_dio::{Bytes, Model, PageCount, Reason};

/// How a batch ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    Full,
    Short,
    Nothing,
    Long,
    Error,
    /// `-EIOCBQUEUED`, and nothing is kept.
    Lie,
    /// The batch is dropped.
    Drop,
    /// It is kept, and ends later.
    Queue,
}

impl How {
    pub(crate) const AT_ONCE: [Self; 6] = [Self::Full, Self::Short, Self::Nothing, Self::Long, Self::Error, Self::Lie];

    /// What is returned for so many pages.
    pub(crate) fn returned(self, pages: u64) -> i64 {
        let asked = i64::try_from(pages * PAGE).expect("small");
        match self {
            Self::Full => asked,
            Self::Short => asked - 4096,
            Self::Nothing | Self::Drop | Self::Queue => 0,
            Self::Long => asked + 1,
            Self::Error => -5,
            Self::Lie => -529,
        }
    }
}

/// How often, in which direction and with which result each folio ended; which requests were submitted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Log {
    pub(crate) ends: RefCell<Vec<End>>,
    pub(crate) submitted: RefCell<Vec<Submitted>>,
}

/// The end of a folio: its number, the direction, the result.
pub(crate) type End = (usize, Direction, Result<(), &'static str>);

/// A submitted request: direction, first page, pages, and its folios in order.
pub(crate) type Submitted = (Direction, u64, u64, Vec<usize>);

/// A folio with a number.
#[derive(Debug)]
pub(crate) struct Memory<'l> {
    pub(crate) id: usize,
    pub(crate) pages: u64,
    pub(crate) alignment: u64,
    pub(crate) log: &'l Log,
}

impl Folio for Memory<'_> {
    fn pages(&self) -> PageCount {
        PageCount::new(self.pages)
    }

    fn alignment(&self) -> Bytes {
        Bytes::new(self.alignment)
    }

    fn end(self, direction: Direction, result: Result<(), Reason>) {
        let result = result.map_err(|reason| reason.code());
        self.log.ends.borrow_mut().push((self.id, direction, result));
    }
}

/// The server. What it keeps for later is in here.
pub(crate) struct Server<'p, 'l> {
    pub(crate) log: &'l Log,
    pub(crate) hows: &'l [How],
    /// Whether two folios may be in one batch, by their numbers.
    pub(crate) together: &'l [bool],
    pub(crate) model: Model,
    pub(crate) flags: OpsFlags,
    pub(crate) queued: RefCell<VecDeque<QueuedBatch<'p, Memory<'l>>>>,
}

impl<'p, 'l> Server<'p, 'l> {
    pub(crate) fn new(log: &'l Log, hows: &'l [How], together: &'l [bool], model: Model, flags: OpsFlags) -> Self {
        Self { log, hows, together, model, flags, queued: RefCell::default() }
    }

    /// Ends the batch that was queued first.
    pub(crate) fn finish(&self, how: How) {
        let Some(batch) = self.queued.borrow_mut().pop_front() else { return };
        if how != How::Drop {
            let pages = batch.ticket().pages().get();
            assert!(batch.complete(how.returned(pages)).result().is_some());
        }
    }

    /// Writes the batch down and ends it. `None` where it was dropped.
    fn serve(&self, mut batch: Batch<'p, Memory<'l>>) -> Option<Completion> {
        let ticket = batch.ticket();
        let (direction, first, pages) = (ticket.direction(), ticket.first().get(), ticket.pages().get());
        let ids: Vec<usize> = batch.folios().map(|memory| memory.id).collect();
        assert!(batch.folios_mut().map(|memory| memory.id).eq(ids.iter().copied()));
        let how = self.hows[self.log.submitted.borrow().len() % self.hows.len()];
        self.log.submitted.borrow_mut().push((direction, first, pages, ids));
        match how {
            How::Drop => {
                drop(batch);
                None
            }
            How::Queue => Some(match batch.queue() {
                Ok((completion, mut later)) => {
                    assert_eq!(later.ticket().first().get(), first);
                    assert_eq!(later.folios().count(), later.folios_mut().count());
                    self.queued.borrow_mut().push_back(later);
                    completion
                }
                Err(completion) => completion,
            }),
            how => Some(batch.complete(how.returned(pages))),
        }
    }
}

/// The server, by either trait.
#[derive(Clone, Copy)]
pub(crate) struct Handle<'h, 'p, 'l>(pub(crate) &'h Server<'p, 'l>);

impl<'p, 'l> SwapOps<'p, Memory<'l>> for Handle<'_, 'p, 'l> {
    fn model(&self) -> Model {
        self.0.model
    }

    fn flags(&self) -> OpsFlags {
        self.0.flags
    }

    fn can_merge(&self, last: &Memory<'l>, next: &Memory<'l>, _: Direction) -> bool {
        self.0.together[(last.id * 7 + next.id) % self.0.together.len()]
    }

    fn submit_read(&self, batch: Batch<'p, Memory<'l>>) {
        assert_eq!(batch.ticket().direction(), Direction::Read);
        let _ended = self.0.serve(batch);
    }

    fn submit_write(&self, batch: Batch<'p, Memory<'l>>) {
        assert_eq!(batch.ticket().direction(), Direction::Write);
        let _ended = self.0.serve(batch);
    }
}

impl<'p, 'l> SwapRw<'p, Memory<'l>> for Handle<'_, 'p, 'l> {
    fn swap_rw(&self, batch: Batch<'p, Memory<'l>>) -> Completion {
        self.0.serve(batch).expect("by this trait a batch cannot be dropped: there is no answer to give then")
    }
}

/// A server by `swap_rw` whose answers are written down.
pub(crate) struct Heard<'h, T>(pub(crate) T, pub(crate) &'h RefCell<Vec<Outcome>>);

impl<'p, F: Folio, T: SwapRw<'p, F>> SwapRw<'p, F> for Heard<'_, T> {
    fn swap_rw(&self, batch: Batch<'p, F>) -> Completion {
        let completion = self.0.swap_rw(batch);
        self.1.borrow_mut().push(completion.outcome());
        completion
    }
}
