//! The reclaim posture: how facts are judged, and what real processes are found to be.

#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "posture/asleep.rs"]
mod asleep;
#[cfg(all(feature = "linux", target_os = "linux"))]
mod built;
#[path = "posture/judged.rs"]
mod judged;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[allow(dead_code, reason = "every test uses its own part")]
mod machine;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "posture/memory.rs"]
mod memory;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "posture/processes.rs"]
mod processes;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "posture/program.rs"]
mod program;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "posture/sockets.rs"]
mod sockets;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "posture/within.rs"]
mod within;
