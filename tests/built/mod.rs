//! The programs of examples/, as the tests run them.

use std::path::PathBuf;
use std::process::Command;

/// Builds a program from this tree and gives its path: `cargo test` builds examples, `cargo test --test NAME` does not.
pub(crate) fn example(name: &str, options: &[&str]) -> PathBuf {
    let cargo = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", name]).args(options).status();
    assert!(cargo.is_ok_and(|status| status.success()), "the example builds");
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(2).expect("the target folder").join("examples").join(name)
}
