//! A kernel's numbers, and words of flags in and out of them. Unknown bits are refused by value.

use bitflags::Flags;

use super::number::Numbers;
use super::{Fmode, Fop, Iocb, Opf, Req, ReqOp, Rwf, first_name};
use crate::reason::{FlagFault, Reason};
use crate::release::Release;

/// How one kernel numbers its flags. Only the constants exist: a number that was not read is not guessed.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub(super) name: &'static str,
    pub(super) release: Option<Release>,
    /// `RWF_SUPPORTED`.
    pub(super) rwf: Rwf,
    pub(super) iocb: Numbers<Iocb>,
    pub(super) req: Numbers<Req>,
    pub(super) fmode: Numbers<Fmode>,
    pub(super) fop: Numbers<Fop>,
}

impl Kernel {
    /// The numbers of a release.
    ///
    /// # Errors
    /// [`FlagFault::Numbering`] for a release that was not read, also for one between two that were: bits moved
    /// at releases that nobody looked at.
    pub fn of(release: Release) -> Result<&'static Self, Reason> {
        let known = Self::ALL.iter().copied().find(|kernel| kernel.release == Some(release));
        known.ok_or(Reason::Flags(FlagFault::Numbering { release }))
    }

    /// Its name, for messages.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The flags of preadv2(2) and pwritev2(2) that it knows: `RWF_SUPPORTED`.
    pub const fn supported_rwf(&self) -> Rwf {
        self.rwf
    }

    /// Reads a word of `ki_flags`.
    ///
    /// # Errors
    /// [`FlagFault::Unknown`] with the bits that this kernel gives to no flag. Among them is bit 5, which
    /// `RWF_NOAPPEND` leaves there without a name of its own: no kiocb of swap comes from such a call.
    pub fn iocb(&self, word: u32) -> Result<Iocb, Reason> {
        read("ki_flags", self.iocb, word)
    }

    /// Writes a word of `ki_flags`.
    ///
    /// # Errors
    /// [`FlagFault::NoNumber`] for a flag that this kernel does not have; [`Iocb::SWAP`] on every released one.
    pub fn iocb_word(&self, flags: Iocb) -> Result<u32, Reason> {
        write(self.name, "IOCB_", self.iocb, flags)
    }

    /// Reads a word of `ki_flags` that was written for another kernel: for flags that mean the same on both.
    ///
    /// # Errors
    /// [`FlagFault::Unknown`] for bits that `from` does not know; [`FlagFault::Renumbered`] for a bit that means
    /// another flag here, as Howells' `IOCB_SWAP` does since 6.12; [`FlagFault::NoNumber`] for one that means none.
    pub fn iocb_written_for(&self, from: &Self, word: u32) -> Result<Iocb, Reason> {
        let flags = from.iocb(word)?;
        for (flag, bit) in from.iocb.iter().copied().flatten().filter(|(flag, _)| flags.contains(*flag)) {
            let here = self.iocb.iter().copied().flatten().find(|(_, other)| other == bit);
            match here {
                Some((same, _)) if same == flag => (),
                Some((other, _)) => {
                    let (flag, now, bit) = (first_name(*flag), first_name(*other), *bit);
                    return Err(Reason::Flags(FlagFault::Renumbered {
                        bit,
                        flag,
                        from: from.name,
                        now,
                        kernel: self.name,
                    }));
                }
                None => return Err(no_number("IOCB_", first_name(*flag), self.name)),
            }
        }
        Ok(flags)
    }

    /// Reads a word of `bi_opf`.
    ///
    /// # Errors
    /// [`FlagFault::UnknownOp`], [`FlagFault::Unknown`], then [`FlagFault::SwapMark`].
    pub fn opf(&self, word: u32) -> Result<Opf, Reason> {
        let op = ReqOp::from_number(word & REQ_OP_MASK)?;
        Opf::new(op, read("bi_opf", self.req, word & !REQ_OP_MASK)?)
    }

    /// Writes a word of `bi_opf`.
    ///
    /// # Errors
    /// [`FlagFault::NoNumber`] for a flag that this kernel does not have.
    pub fn opf_word(&self, opf: Opf) -> Result<u32, Reason> {
        Ok(opf.op().number() | write(self.name, "REQ_", self.req, opf.flags())?)
    }

    /// Reads what `f_mode` says of the file's abilities; its other bits are passed over, they promise nothing.
    pub fn fmode(&self, word: u32) -> Fmode {
        let set = self.fmode.iter().copied().flatten().filter(|(_, bit)| word & mask(*bit) != 0);
        set.fold(Fmode::empty(), |all, (flag, _)| all | *flag)
    }

    /// Reads a word of `fop_flags`.
    ///
    /// # Errors
    /// [`FlagFault::Unknown`] with the bits that this kernel gives to no flag: on 6.1, which has no such word, all.
    pub fn fop(&self, word: u32) -> Result<Fop, Reason> {
        read("fop_flags", self.fop, word)
    }
}

/// The flags of a word, by these numbers.
///
/// # Errors
/// [`FlagFault::Unknown`] with the bits that are none of them.
#[inline]
pub(crate) fn read<F: Flags<Bits = u32> + Copy + 'static>(
    name: &'static str,
    numbers: Numbers<F>,
    word: u32,
) -> Result<F, Reason> {
    let (mut flags, mut rest) = (F::empty(), word);
    // Two plain loops: a third of the instructions of one over `flatten`.
    for list in numbers {
        for (flag, bit) in *list {
            if rest & mask(*bit) != 0 {
                rest &= !mask(*bit);
                flags.insert(*flag);
            }
        }
    }
    match rest {
        0 => Ok(flags),
        bits => Err(Reason::Flags(FlagFault::Unknown { word: name, bits: bits.into() })),
    }
}

fn write<F: Flags<Bits = u32> + Copy + 'static>(
    kernel: &'static str,
    prefix: &'static str,
    numbers: Numbers<F>,
    flags: F,
) -> Result<u32, Reason> {
    let (mut word, mut rest) = (0, flags);
    for list in numbers {
        for (flag, bit) in *list {
            if rest.contains(*flag) {
                rest.remove(*flag);
                word |= mask(*bit);
            }
        }
    }
    if rest.is_empty() {
        return Ok(word);
    }
    Err(no_number(prefix, first_name(rest), kernel))
}

const fn no_number(prefix: &'static str, flag: &'static str, kernel: &'static str) -> Reason {
    Reason::Flags(FlagFault::NoNumber { prefix, flag, kernel })
}

/// The word with that bit alone. A bit past the word is none.
#[inline]
pub(crate) fn mask(bit: u8) -> u32 {
    1u32.checked_shl(bit.into()).unwrap_or(0)
}

/// `REQ_OP_MASK`: the operation stands in the low eight bits.
const REQ_OP_MASK: u32 = 0xff;
