//! `swapfs demo`, small: what its table says, and what is left when it is interrupted.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{alone, program};
use crate::machine::{ready, sh};

const SMALL: [&str; 5] = ["demo", "--working-set", "96", "--limit", "32"];

#[test]
fn the_table_counts_what_went_where() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    let output = Command::new("timeout").args(["-k", "20", "150"]).arg(program()).args(SMALL).output().expect("demo");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for mode in ["bmap", "loop"] {
        let row = text.lines().find(|line| line.starts_with(&format!("{mode}  "))).expect("a row");
        let numbers: Vec<f64> = row.split_whitespace().skip(1).map(|word| word.parse().expect("a number")).collect();
        let [out, back, rate, verified, wrong, served] = numbers[..] else { panic!("{row}") };
        assert!(out > 60.0 && back > 60.0 && rate > 0.0, "{row}");
        // In order, in no order, and once more after swapoff.
        assert_eq!((verified, wrong), (3.0 * 96.0 * 256.0, 0.0), "{row}");
        assert_eq!(served > 0.0, mode == "loop", "{row}");
    }
}

#[test]
fn interrupted_it_leaves_nothing() {
    if !ready(&["losetup"]) {
        return;
    }
    let _alone = alone();
    for mode in ["bmap", "loop"] {
        let mut demo = Command::new(program())
            .args(SMALL)
            .args(["--mode", mode, "--rounds", "1000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("demo");
        let limit = Instant::now() + Duration::from_secs(40);
        let id = demo.id();
        // Its own area is the one with the highest priority, while this test is alone.
        let swapping = || sh("awk '$5 == 32767 && $4 > 16384 { found = 1 } END { exit !found }' /proc/swaps").is_ok();
        while !swapping() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(20));
        }
        let process = i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(process, Signal::INT).expect("SIGINT");
        while demo.try_wait().expect("a status").is_none() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(50));
        }
        let status = demo.try_wait().expect("a status");
        if status.is_none() {
            let _ = demo.kill();
        }
        assert_eq!(status.and_then(|status| status.code()), Some(1), "{mode}: it did not end");
        let left = "sleep 0.3; { cat /proc/swaps /proc/mounts; losetup -nO BACK-FILE; } | grep swapfs-demo- || true";
        assert_eq!(sh(left).expect("grep"), "", "{mode}");
        let groups = sh(&format!("find /sys/fs/cgroup -maxdepth 2 -name 'swapfs-{id}-*' 2>/dev/null || true"));
        assert_eq!(groups.expect("find"), "", "{mode}");
    }
}
