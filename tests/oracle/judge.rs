//! Both answers about one file, and whether they are one.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use swap_dio::linux::{Depth, Examination, ExamineError, Judgement, examine};
use swap_dio::{PageCount, PageSize, Reason, Verdict};

use crate::machine::{Answer, swapon};
use crate::peers::{Peers, has_blocks, has_extents, has_header};

/// What came of one file.
pub(crate) struct Case {
    pub(crate) answer: Answer,
    pub(crate) outcome: Outcome,
    pub(crate) peers: Peers,
    pub(crate) extents: Extents,
}

/// What became of our prediction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Agrees,
    /// Nothing foretold, or no errno: neither right nor wrong. By the code of the first reason, and in words.
    Unsaid(&'static str, String),
    Disagrees(String),
}

/// What became of the number of extents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extents {
    Compared,
    /// Pages were foretold, extents were not.
    Unsaid,
    /// Refused, or the kernel's log could not be read.
    None,
}

/// Asks us, the peers and the kernel; `device` is the size of a block device.
pub(crate) fn judge(path: &Path, page_size: PageSize, device: Option<u64>) -> Case {
    // The rule of blocks looks as swapon(8) does, before anybody syncs the file; we sync it before the peer may.
    let blocks = device.is_some() || has_blocks(path);
    let (first, all) = looked_at(path);
    let header = has_header(path, page_size, device);
    let extents = device.is_some() || has_extents(path);
    let peers = Peers { st_blocks: header && blocks, fiemap: header && extents };
    let answer = swapon(path, page_size.bytes().get());
    let (outcome, extents) = match (first, all) {
        (Ok(first), Ok(all)) => compare(&first, &all, &answer),
        (Err(error), _) | (_, Err(error)) => (Outcome::Disagrees(format!("not examined: {error}")), Extents::None),
    };
    Case { answer, outcome, peers, extents }
}

/// A short look and a full one; again while somebody else's area, whose name leads nowhere, puts every file in doubt.
fn looked_at(path: &Path) -> (Looked, Looked) {
    loop {
        let both = (examine(path, Depth::First), examine(path, Depth::All));
        let doubted = |looked: &Looked| {
            let reason = looked.as_ref().ok().and_then(|found| found.bio.reasons().first());
            matches!(reason, Some(Reason::Active { certain: false }))
        };
        let wait = doubted(&both.0) || doubted(&both.1);
        if !wait || PATIENCE.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return both;
        }
        std::thread::sleep(PAUSE);
    }
}

type Looked = Result<Examination, ExamineError>;

/// So many pauses in a run, for all files together: an area that stays must not hold it up for ever.
static PATIENCE: AtomicI32 = AtomicI32::new(6000);
const PAUSE: Duration = Duration::from_millis(50);

fn compare(first: &Examination, all: &Examination, answer: &Answer) -> (Outcome, Extents) {
    let disagrees = |what: &str| (Outcome::Disagrees(format!("{what}: {}", Told(first))), Extents::None);
    let lax = |verdict: Verdict| verdict == Verdict::Admit && matches!(answer, Answer::Refused(_));
    if [first, all].iter().any(|found| lax(found.bio.verdict()) || lax(found.file.verdict())) {
        return disagrees("a verdict is laxer than the kernel");
    }
    if first.kernel != all.kernel {
        return disagrees(&format!("a full list foretells another answer: {}; a short one", Told(all)));
    }
    for (short, full) in [(&first.bio, &all.bio), (&first.file, &all.file)] {
        // The filesystem may state a range in other pieces when it is asked again: what and where must be the same.
        let place = |reason: &Reason| (reason.code(), reason.range().map(|range| range.offset));
        let begins = |judgement: &Judgement| judgement.reasons().first().map(place);
        if short.verdict() != full.verdict() || begins(short) != begins(full) {
            return disagrees(&format!("a full list begins otherwise: {}; a short one", Told(all)));
        }
    }
    let (kernel, mut extents) = (first.kernel, Extents::None);
    let agrees = match (kernel.accepts, answer) {
        (None, _) => {
            let empty = kernel.errno.is_none() && kernel.pages.is_none() && kernel.extents.is_none();
            return if empty { (unsaid(first), extents) } else { disagrees("nothing foretold, and yet something") };
        }
        (Some(false), Answer::Refused(errno)) => match kernel.errno {
            Some(foretold) => foretold.number() == *errno,
            None => return (unsaid(first), extents),
        },
        (Some(true), Answer::Accepted { pages, extents: logged }) => {
            extents = match (kernel.extents, logged) {
                (_, None) => Extents::None,
                (None, Some(_)) => Extents::Unsaid,
                (Some(_), Some(_)) => Extents::Compared,
            };
            let same = extents != Extents::Compared || kernel.extents == *logged;
            kernel.pages.map(PageCount::get) == Some(*pages) && same
        }
        (Some(true), Answer::Refused(_)) | (Some(false), Answer::Accepted { .. }) => false,
    };
    if agrees { (Outcome::Agrees, extents) } else { disagrees("foretold otherwise") }
}

fn unsaid(found: &Examination) -> Outcome {
    let code = found.bio.reasons().first().map_or("no reason", Reason::code);
    Outcome::Unsaid(code, Told(found).to_string())
}

/// An examination in a few words.
struct Told<'a>(&'a Examination);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Examination { kernel, bio, file, .. } = self.0;
        let number = |errno: Option<swap_dio::reason::Errno>| errno.map(|errno| errno.number());
        let (pages, extents) = (kernel.pages.map(PageCount::get), kernel.extents);
        let accepts = kernel.accepts;
        write!(f, "accepts {accepts:?}, errno {:?}, pages {pages:?}, extents {extents:?}", number(kernel.errno))?;
        for (model, judgement) in [("bio", bio), ("file", file)] {
            write!(f, "; {model} {:?}", judgement.verdict())?;
            for reason in judgement.reasons().iter().take(3) {
                write!(f, " [{}: {reason}]", reason.code())?;
            }
        }
        Ok(())
    }
}
