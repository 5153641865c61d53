//! Lines to whoever watches. Nobody may: a terminal that was closed must not end a server while swap is on, as a panic
//! of `eprintln` would.

use std::fmt::Display;
use std::io::{Write, stderr};

/// One line on standard error, if there is one.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(stderr(), "swapfs: {line}");
}
