//! The example swapfs: its images in memory, its words, and the program with the real kernel.
//!
//! What needs root and loop devices says so and tests nothing without them; with `SWAP_DIO_REQUIRE_KERNEL=1` that is a
//! failure. Memory pressure stays inside a cgroup of 32 MiB.
#![cfg(all(feature = "fuser", target_os = "linux"))]

// Parts of the program, to drive it as its own demo does.
#[allow(dead_code)]
#[path = "../examples/swapfs/area.rs"]
mod area;
#[path = "swapfs/below.rs"]
mod below;
mod built;
#[path = "../examples/swapfs/cgroup.rs"]
mod cgroup;
#[path = "swapfs/daemon.rs"]
mod daemon;
#[path = "swapfs/demo.rs"]
mod demo;
#[path = "swapfs/errors.rs"]
mod errors;
#[path = "swapfs/hardened.rs"]
mod hardened;
#[path = "swapfs/hostile.rs"]
mod hostile;
#[path = "swapfs/image.rs"]
mod image;
#[path = "machine/lease.rs"]
mod lease;
#[allow(dead_code)]
mod machine;
#[path = "swapfs/naive.rs"]
mod naive;
#[allow(dead_code)]
#[path = "../examples/swapfs/pressure.rs"]
mod pressure;
#[path = "swapfs/rounds.rs"]
mod rounds;
#[path = "../examples/swapfs/say.rs"]
mod say;
#[path = "../examples/swapfs/scatter.rs"]
mod scatter;
#[path = "swapfs/stays_up.rs"]
mod stays_up;
#[allow(dead_code)]
#[path = "../examples/swapfs/stop.rs"]
mod stop;
#[allow(dead_code)]
#[path = "../examples/swapfs/superblock.rs"]
mod superblock;
#[path = "swapfs/words.rs"]
mod words;
