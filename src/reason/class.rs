//! How long a reason lasts, and so what the caller does next.

/// How long a reason lasts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Advice: nothing is refused for it.
    Warning,
    /// It passes by itself, or by an act that leaves the file as it is.
    Transient,
    /// It stays until the file, or where it lives, is changed.
    Permanent,
}

/// What the caller does next. There is no buffered fallback on purpose: it allocates.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// Go on.
    Admit,
    /// Ask again later.
    Retry,
    /// Do not.
    Refuse,
}

impl Verdict {
    /// The word for scripts: `admit`, `retry`, `refuse`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Retry => "retry",
            Self::Refuse => "refuse",
        }
    }
}

impl From<Class> for Verdict {
    fn from(class: Class) -> Self {
        match class {
            Class::Warning => Self::Admit,
            Class::Transient => Self::Retry,
            Class::Permanent => Self::Refuse,
        }
    }
}
