//! One request by one system call: preadv2, pwritev2.

use std::io::{IoSlice, IoSliceMut};

use rustix::io::{ReadWriteFlags, preadv2, pwritev2};

use super::SwapFile;
use crate::admit::{Completion, Ticket};
use crate::flags::Direction;
use crate::reason::{Reason, RequestFault};
use crate::unit::Bytes;

impl SwapFile {
    /// Writes the pages of a ticket from memory in pieces, in the order of the pages.
    ///
    /// Each piece is whole pages, one at least, and aligned as the request said; together they are the request. Anything
    /// else fails the ticket, and nothing is written; so does a service that has stopped meanwhile. Of more than eight
    /// pieces the kernel allocates the list (`UIO_FASTIOV`).
    pub fn write(&self, ticket: Ticket<'_>, memory: &[IoSlice<'_>]) -> Completion {
        match self.place(&ticket, Direction::Write, memory.iter().map(|piece| &**piece)) {
            Ok(offset) => {
                let written = pwritev2(&self.file, memory, offset, ReadWriteFlags::empty());
                ticket.complete(returned(written))
            }
            Err(reason) => ticket.fail(reason),
        }
    }

    /// Reads the pages of a ticket into memory in pieces. What a failed read leaves there is not the pages.
    pub fn read(&self, ticket: Ticket<'_>, memory: &mut [IoSliceMut<'_>]) -> Completion {
        match self.place(&ticket, Direction::Read, memory.iter().map(|piece| &**piece)) {
            Ok(offset) => {
                let read = preadv2(&self.file, memory, offset, ReadWriteFlags::empty());
                ticket.complete(returned(read))
            }
            Err(reason) => ticket.fail(reason),
        }
    }

    /// Where the request goes in the file, if it is for this file, this direction and this memory.
    fn place<'m>(
        &self,
        ticket: &Ticket<'_>,
        direction: Direction,
        memory: impl Iterator<Item = &'m [u8]>,
    ) -> Result<u64, Reason> {
        let offset = self.offset(ticket, direction)?;
        let page = ticket.page_size();
        let needed = self.policy.alignment();
        let mut total = 0u64;
        for piece in memory {
            let length = Bytes::new(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if length == Bytes::ZERO || !length.is_aligned(page.into()) {
                return Err(Reason::Request(RequestFault::BufferLength { length, page: page.bytes() }));
            }
            let address = piece.as_ptr().addr();
            if !Bytes::new(u64::try_from(address).unwrap_or(1)).is_multiple_of(needed) {
                let got = Bytes::new(1u64.checked_shl(address.trailing_zeros()).unwrap_or(1));
                return Err(Reason::Request(RequestFault::BufferAlignment { got, needed }));
            }
            total = total.saturating_add(length.get());
        }
        if total == ticket.bytes().get() { Ok(offset) } else { Err(other("its memory has another length")) }
    }

    /// The same without memory. Pages of the area are those of the file, or of the device: both maps are the identity.
    pub(super) fn offset(&self, ticket: &Ticket<'_>, direction: Direction) -> Result<u64, Reason> {
        if !self.policy.admitted(ticket) {
            return Err(other("another policy admitted it"));
        }
        if ticket.direction() != direction {
            return Err(other("it goes the other way"));
        }
        self.still_serves(ticket.direction(), ticket.first(), ticket.pages())?;
        let run = ticket.runs().next().filter(|run| run.target() == ticket.first() && run.length() == ticket.pages());
        run.and_then(|run| run.target().to_bytes(ticket.page_size()))
            .map(Bytes::get)
            .ok_or_else(|| other("its pages are not one run of the file"))
    }
}

/// By the kernel's convention: what was done, or `-errno`.
fn returned(done: rustix::io::Result<usize>) -> i64 {
    match done {
        Ok(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
        Err(error) => i64::from(error.raw_os_error()).saturating_neg(),
    }
}

pub(super) const fn other(why: &'static str) -> Reason {
    Reason::Request(RequestFault::OtherRequest { why })
}
