//! The engine of the file model with the real kernel: what it refuses, what it does exactly, what stops it.
//!
//! Needs root and loop devices; says so and tests nothing without them. In CI `SWAP_DIO_REQUIRE_KERNEL=1` makes that a
//! failure. What needs a ring is tested with the feature `io-uring`.
#![cfg(all(feature = "linux", target_os = "linux"))]

#[allow(dead_code)]
#[path = "fuser/allocations.rs"]
mod allocations;
#[cfg(all(feature = "fuser", feature = "io-uring"))]
#[allow(dead_code)]
#[path = "swapfs/below.rs"]
mod below;
#[allow(dead_code)]
#[path = "../examples/swapfs/cgroup.rs"]
mod cgroup;
#[path = "swap_file/change.rs"]
mod change;
#[path = "swap_file/device.rs"]
mod device;
#[path = "swap_file/exact.rs"]
mod exact;
#[path = "swap_file/hold.rs"]
mod hold;
#[cfg(all(feature = "fuser", feature = "io-uring"))]
#[path = "swap_file/injected.rs"]
mod injected;
#[path = "machine/lease.rs"]
mod lease;
#[path = "swap_file/loops.rs"]
mod loops;
#[allow(dead_code)]
mod machine;
#[path = "swap_file/pages.rs"]
mod pages;
#[path = "swap_file/refuse.rs"]
mod refuse;
#[cfg(feature = "io-uring")]
#[path = "swap_file/ring.rs"]
mod ring;
#[allow(dead_code)]
#[path = "../examples/swapfs/say.rs"]
mod say;
#[path = "swap_file/serve.rs"]
mod serve;
#[path = "swap_file/soak.rs"]
mod soak;
#[path = "swap_file/stop.rs"]
mod stop;
