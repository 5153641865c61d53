//! The programs of examples/, as the tests run them.

use std::path::PathBuf;
use std::process::Command;

/// Builds a program from this tree, as this test was built, and gives its path: `cargo test` builds examples,
/// `cargo test --test NAME` does not.
pub(crate) fn example(name: &str, options: &[&str]) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/TEST
    let folder = test.ancestors().nth(2).expect("the profile's folder");
    let profile = folder.file_name().and_then(|name| name.to_str()).expect("a name");
    let profile = if profile == "debug" { "dev" } else { profile };
    let build = ["build", "--quiet", "--profile", profile, "--example", name];
    let cargo = Command::new(env!("CARGO")).args(build).args(options).status();
    assert!(cargo.is_ok_and(|status| status.success()), "the example builds");
    folder.join("examples").join(name)
}
