//! The guard around a fuser filesystem: without root by raw FUSE over a socket, with root by a real mount and
//! swapon(2).
#![cfg(all(feature = "fuser", target_os = "linux"))]

#[path = "fuser/allocations.rs"]
mod allocations;
#[path = "fuser/bounce.rs"]
mod bounce;
#[path = "fuser/flags.rs"]
mod flags;
#[path = "fuser/forward.rs"]
mod forward;
#[path = "fuser/life.rs"]
mod life;
#[path = "fuser/load.rs"]
mod load;
mod machine;
#[path = "fuser/mount.rs"]
mod mount;
#[path = "fuser/real.rs"]
mod real;
#[path = "fuser/recorder.rs"]
mod recorder;
#[path = "fuser/tiny.rs"]
mod tiny;
#[path = "fuser/wire.rs"]
mod wire;
