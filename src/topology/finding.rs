//! What was found of one condition: met, not met, cannot be told, or accepted by a name.

use core::fmt;

use super::accept::Override;
use super::layer::Consumer;
use super::rule::Rule;
use crate::reason::{Reason, Verdict};

/// One condition at one layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Which layer of the chain, counted from the area.
    pub link: usize,
    /// The condition.
    pub rule: Rule,
    /// What was found.
    pub state: State,
}

/// What was found of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is so.
    Met,
    /// It is not asked: the swap is another kernel's.
    Spared,
    /// It is not so.
    NotMet(Reason),
    /// It cannot be told, which is no yes.
    Untold(Reason),
    /// Not so, or not told, and accepted.
    Accepted {
        /// By these names, which the verdict depends on.
        by: Override,
        /// What is accepted.
        reason: Reason,
    },
}

impl Finding {
    /// What stands against it: nothing, where the condition is met or was accepted.
    pub const fn reason(&self) -> Option<Reason> {
        match self.state {
            State::NotMet(reason) | State::Untold(reason) => Some(reason),
            State::Met | State::Spared | State::Accepted { .. } => None,
        }
    }

    /// What follows from it: advice admits.
    pub fn verdict(&self) -> Verdict {
        self.reason().map_or(Verdict::Admit, |reason| reason.verdict())
    }
}

impl fmt::Display for Finding {
    /// One line: the state, the condition, why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let condition = self.rule.row().condition;
        match self.state {
            State::Met => write!(f, "met: {condition}"),
            State::Spared => write!(f, "not asked, the swap is another kernel's: {condition}"),
            State::NotMet(reason) => write!(f, "not met: {condition}: {reason} [{}]", reason.code()),
            State::Untold(reason) => write!(f, "cannot be told: {condition}: {reason} [{}]", reason.code()),
            State::Accepted { by, reason } => write!(f, "accepted by {by}: {condition}: {reason} [{}]", reason.code()),
        }
    }
}

/// Proof that every condition of a topology is met, or accepted by name: only the judgement makes one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Allowed {
    consumer: Consumer,
    depends_on: Override,
}

impl Allowed {
    pub(super) const fn new(consumer: Consumer, depends_on: Override) -> Self {
        Self { consumer, depends_on }
    }

    /// Whose swap it is a proof for, and no other's.
    pub const fn consumer(self) -> Consumer {
        self.consumer
    }

    /// The risks that it depends on: they are to be printed wherever the verdict is.
    pub const fn depends_on(self) -> Override {
        self.depends_on
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.consumer {
            Consumer::SameKernel => "this kernel's",
            Consumer::OtherKernel => "another kernel's",
        };
        write!(f, "admit for {whose} swap")?;
        if self.depends_on.is_empty() { Ok(()) } else { write!(f, ", accepting {}", self.depends_on) }
    }
}
