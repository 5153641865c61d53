//! What an examination found: the kernel's answer foretold, and our verdict for each I/O model.

use super::backing::Backing;
use super::inode::Inode;
use super::topology::Topology;
use crate::candidate::Kind;
use crate::header::Area;
use crate::map::Totals;
use crate::reason::{Answer, Class, Errno, Fault, Reason, Verdict};
use crate::topology::{Consumer, Finding, Override, Rule, State};
use crate::unit::{Bytes, PageCount, PageSize};

/// How much an examination lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// The first reason, in the kernel's order: what swapon(2) would stop at.
    First,
    /// Every reason.
    All,
}

/// What was found out about one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Examination {
    /// The filesystem's name in the mount table, or `block device`.
    pub filesystem: String,
    /// The kernel's page size.
    pub page_size: PageSize,
    /// The size of the file or device.
    pub size: Bytes,
    /// What swapon(2) of the running kernel would answer root.
    pub kernel: Prediction,
    /// Whether it may serve swap by extents, straight to the device.
    pub bio: Judgement,
    /// Whether a server may serve swap through the filesystem.
    pub file: Judgement,
    /// Advice that refuses nothing.
    pub warnings: Vec<Reason>,
    /// The file under a loop device.
    pub backing: Option<Backing>,
    /// What it stands on, if it came to that: the layers, from its own down.
    pub topology: Option<Topology>,
    /// Every condition that the topology calls for, this kernel being the one that swaps.
    pub conditions: Vec<Finding>,
}

impl Examination {
    /// The risks that a verdict depends on: they were accepted by name, and are to be printed with it.
    pub fn accepted(&self) -> impl Iterator<Item = (Override, Reason)> {
        self.conditions.iter().filter_map(|finding| match finding.state {
            State::Accepted { by, reason } => Some((by, reason)),
            State::Met | State::Spared | State::NotMet(_) | State::Untold(_) => None,
        })
    }
}

/// What swapon(2) would answer. `None` is "cannot be told from outside", never a guess.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prediction {
    /// Whether it accepts.
    pub accepts: Option<bool>,
    /// The errno, if it is known to refuse and with which.
    pub errno: Option<Errno>,
    /// Usable pages, if it is known to accept: the Size column of /proc/swaps, in pages.
    pub pages: Option<PageCount>,
    /// Extents in the kernel's log line, if it is known to accept.
    pub extents: Option<u32>,
}

/// One model's reasons, in the kernel's order; what the kernel does not mind comes where it is noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    verdict: Verdict,
    reasons: Vec<Reason>,
}

impl Judgement {
    /// The verdict: the gravest reason's, listed or not. Without a reason it is admitted.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why not.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }
}

/// Collects reasons as they are noticed, by the depth asked for, and the kernel's answer from all of them.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    depth: Depth,
    accepted: Override,
    bio: Judgement,
    file: Judgement,
    warnings: Vec<Reason>,
    topology: Option<Topology>,
    conditions: Vec<Finding>,
    /// The first errno that the kernel is known to give, if it comes that far.
    refuses: Option<Errno>,
    /// What it may answer before that.
    doubt: Doubt,
}

/// What the kernel may answer, and may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doubt {
    None,
    /// This errno, or none.
    One(Errno),
    Anything,
}

impl Doubt {
    fn or(self, errno: Errno) -> Self {
        match self {
            Self::None => Self::One(errno),
            Self::One(other) if other == errno => self,
            Self::One(_) | Self::Anything => Self::Anything,
        }
    }
}

/// Whose reason it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum For {
    /// Both models: what is wrong before extents are looked at.
    Both,
    /// The bio model, which is the kernel's: only its reasons foretell what swapon(2) answers.
    Bio,
    /// The file model only.
    File,
}

impl Collector {
    pub(super) fn new(depth: Depth, accepted: Override) -> Self {
        let none = Judgement { verdict: Verdict::Admit, reasons: Vec::new() };
        let (bio, file) = (none.clone(), none);
        let (topology, conditions) = (None, Vec::new());
        let (refuses, doubt) = (None, Doubt::None);
        Self { depth, accepted, bio, file, warnings: Vec::new(), topology, conditions, refuses, doubt }
    }

    pub(super) const fn depth(&self) -> Depth {
        self.depth
    }

    /// Notes a reason.
    pub(super) fn say(&mut self, whose: For, reason: Reason) {
        if reason.class() == Class::Warning {
            return self.warnings.push(reason);
        }
        if whose != For::File && self.refuses.is_none() {
            match reason.answer() {
                Answer::Refuses(errno) => self.refuses = Some(errno),
                Answer::Depends(errno) => self.doubt = self.doubt.or(errno),
                Answer::Unknown => self.doubt = Doubt::Anything,
                Answer::Accepts | Answer::Signal => (),
            }
        }
        let models = [(For::File, &mut self.bio), (For::Bio, &mut self.file)];
        for (other, judgement) in models {
            if whose != other {
                judgement.verdict = judgement.verdict.max(reason.verdict());
                if self.depth == Depth::All || judgement.reasons.is_empty() {
                    judgement.reasons.push(reason);
                }
            }
        }
    }

    /// Notes what the area stands on, and what stands against that.
    ///
    /// A server in the file model is asked nothing for the swap of another kernel but that its layers are known;
    /// whoever serves this kernel's swap by the file model has the block device under it judged for both.
    pub(super) fn stand(&mut self, whose: For, topology: Topology) {
        let judged = topology.judge(Consumer::SameKernel, self.accepted);
        for finding in &judged.findings {
            if let Some(reason) = finding.reason() {
                self.say(if finding.rule == Rule::Known { For::Both } else { whose }, reason);
            }
        }
        self.conditions = judged.findings;
        self.topology = Some(topology);
    }

    /// Notes what swapon(8) warns of, for what is a swap area: others who can read the swapped memory.
    pub(super) fn advise(&mut self, inode: &Inode) {
        let too_open = if inode.kind == Kind::BlockDevice { 0o7007 } else { 0o7077 };
        if inode.mode & too_open != 0 {
            self.say(For::Both, Reason::InsecureMode { mode: inode.mode });
        }
        if inode.kind == Kind::RegularFile && inode.owner != 0 {
            self.say(For::Both, Reason::InsecureOwner { uid: inode.owner });
        }
    }

    /// Whether an extent is listed as shared.
    pub(super) fn has_shared(&self) -> bool {
        self.bio.reasons.iter().any(|reason| matches!(reason, Reason::Extent { fault: Fault::Shared, .. }))
    }

    /// Whether nothing more can change what was asked for.
    pub(super) fn is_settled(&self) -> bool {
        // A first reason that passes may stand before one that does not: the verdict is only sure when both refuse.
        let refused = self.bio.verdict == Verdict::Refuse && self.file.verdict == Verdict::Refuse;
        self.depth == Depth::First && self.refuses.is_some() && refused
    }

    /// Whether the kernel is known to refuse.
    pub(super) const fn is_refused(&self) -> bool {
        self.refuses.is_some()
    }

    /// States that a refusal may come with another errno than the rules have.
    pub(super) fn forget_errno(&mut self) {
        if self.is_refused() {
            self.doubt = Doubt::Anything;
        }
    }

    /// The file model's judgement alone.
    pub(super) fn into_file(self) -> Judgement {
        self.file
    }

    /// Sums up.
    pub(super) fn finish(self, facts: Facts, counted: Option<Counted>) -> Examination {
        let (accepts, errno) = match (self.refuses, self.doubt) {
            (Some(errno), Doubt::None) => (Some(false), Some(errno)),
            // Whichever of the two it stops at, the answer is the same.
            (Some(errno), Doubt::One(other)) if errno == other => (Some(false), Some(errno)),
            (Some(_), Doubt::One(_) | Doubt::Anything) => (Some(false), None),
            (None, Doubt::None) => (counted.map(|_| true), None),
            (None, Doubt::One(_) | Doubt::Anything) => (None, None),
        };
        let counted = counted.filter(|_| accepts == Some(true));
        let kernel = Prediction {
            accepts,
            errno,
            pages: counted.map(|counted| counted.totals.usable),
            extents: counted.filter(|counted| counted.breaks_known).map(|counted| counted.totals.extents),
        };
        let Facts { filesystem, page_size, size, backing } = facts;
        let Self { bio, file, warnings, topology, conditions, .. } = self;
        Examination { filesystem, page_size, size, kernel, bio, file, warnings, backing, topology, conditions }
    }
}

/// What is known of the path besides reasons.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) filesystem: String,
    pub(super) page_size: PageSize,
    pub(super) size: Bytes,
    pub(super) backing: Option<Backing>,
}

/// The name of a filesystem that the mount table does not show.
pub(super) const UNKNOWN: &str = "unknown";

/// The counts of the kernel's own walk, made here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) totals: Totals,
    /// Whether extents are counted too: where they break on the device may not be known.
    pub(super) breaks_known: bool,
}

impl Counted {
    pub(super) const fn exact(totals: Totals) -> Self {
        Self { totals, breaks_known: true }
    }

    /// Every page of the area, each at a place that only activation will choose.
    pub(super) fn somewhere(area: &Area) -> Self {
        let pages = area.pages();
        let usable = PageCount::new(pages.get().saturating_sub(1));
        Self { totals: Totals { pages, usable, extents: 0, span: PageCount::ZERO }, breaks_known: false }
    }
}
