//! Lines to whoever watches. Nobody may: a terminal that was closed must not end a server while swap is on, as a panic
//! of `eprintln` would.

use std::fmt::Display;
use std::io::{Write, stderr};

/// One line on standard error, if there is one, whatever a name in it holds.
pub(crate) fn say(line: impl Display) {
    let line = line.to_string().replace(char::is_control, "?");
    let _ = writeln!(stderr(), "swapfs: {line}");
}
