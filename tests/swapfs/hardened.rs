//! The server of mode `loop` under the pressure that it serves: in the cgroup that is short of memory, it needs none.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;

use crate::cgroup::Cgroup;
use crate::daemon::{
    AREA_OF_BOTH, Daemon, LIMIT_OF_BOTH, LOOP, MIB, STEP, WORKING_SET_OF_BOTH, alone, alone_for, folder_with_image,
    major_faults, number, program,
};
use crate::machine::{ready, sh};
use crate::pressure::{Pressure, Swapped};

/// In full by `SWAP_DIO_ROUNDS`.
#[test]
fn in_the_same_cgroup_it_neither_faults_nor_allocates() {
    if !ready(&["losetup"]) {
        return;
    }
    let rounds = number("SWAP_DIO_ROUNDS", 1);
    let _alone = alone_for(STEP * 6 * u32::try_from(rounds).expect("rounds"));
    let cgroup = Arc::new(Cgroup::new(LIMIT_OF_BOTH * MIB).expect("a cgroup"));
    let folder = folder_with_image(Path::new("/var/tmp"), AREA_OF_BOTH);
    let mut daemon = Daemon::serve_within(&cgroup, folder, AREA_OF_BOTH, &LOOP);
    // Its memory is this cgroup's, which must look elsewhere for room: without the lock it would look here first.
    let (anonymous, charged) = (anonymous(daemon.child.id()), cgroup.unevictable().expect("its statistics") >> 10);
    assert!(anonymous > 64 << 10 && charged + 2048 > anonymous, "KiB: it has {anonymous}, {charged} are charged here");
    let area = daemon.swap_on();
    let mut pressure = Pressure::within(Arc::clone(&cgroup), program(), WORKING_SET_OF_BOTH).expect("a process");
    let (before, swapped) = (major_faults(daemon.child.id()), Swapped::now().expect("/proc/vmstat"));
    let (mut verified, mut wrong) = (0, 0);
    let mut order = |pressure: &mut Pressure, what, round, how| {
        let outcome = pressure.order(what, round, how, STEP).unwrap_or_else(|why| {
            daemon.abort();
            panic!("{what}, {how}: {why}; {:?} major faults; {}", major_faults(daemon.child.id()), daemon.said())
        });
        if what == "verify" {
            (verified, wrong) = (verified + outcome.pages, wrong + outcome.wrong);
        }
    };
    for round in 0..u32::try_from(rounds).expect("rounds") {
        for (what, how) in [("fill", "sequential"), ("verify", "random"), ("fill", "random"), ("verify", "sequential")]
        {
            order(&mut pressure, what, round, how);
        }
    }
    let swapped = Swapped::now().expect("/proc/vmstat").since(swapped);
    // What is out comes back at swapoff, and must have room.
    cgroup.limit(2 * WORKING_SET_OF_BOTH * MIB).expect("room");
    area.deactivate().expect("swapoff");
    order(&mut pressure, "verify", u32::try_from(rounds - 1).expect("rounds"), "sequential");
    let faults = major_faults(daemon.child.id()).zip(before).map(|(after, before)| after - before);
    let expected = ((2 * rounds + 1) * WORKING_SET_OF_BOTH * 256, 0, Some(0));
    assert_eq!((verified, wrong, faults), expected, "verified, wrong, major faults");
    drop(pressure);
    daemon.signal(Signal::TERM);
    let status = daemon.ended(STEP);
    let said = daemon.said();
    assert!(status.is_some_and(|status| status.success()), "{said}");
    assert!(said.trim_end().ends_with(" with 0 allocations"), "{said}");
    // It says what does not hold, accepted or not, as in the test below.
    let missing = said.lines().find(|line| ESSENTIAL.iter().any(|step| line.contains(&format!(": {step}: "))));
    assert_eq!(missing, None);
    println!(
        "{rounds} rounds, {verified} pages verified, {wrong} wrong, 0 major faults; {} MiB out, {} in; KiB of the \
         server: {anonymous}, charged in the cgroup and locked: {charged}; {said}",
        swapped.out / 256,
        swapped.back / 256
    );
}

/// Steps of the posture without which a server waits for itself.
const ESSENTIAL: [&str; 4] = ["pools", "stack", "locked-memory", "locked-later"];

/// KiB of memory of its own.
fn anonymous(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn without_locked_memory_it_does_not_start_unless_by_name() {
    if !ready(&["losetup", "setpriv", "prlimit"]) {
        return;
    }
    let _alone = alone();
    let folder = folder_with_image(Path::new("/var/tmp"), 1);
    let at = folder.path().display();
    let serve = |names: &str| {
        let caps = "-ipc_lock,-sys_resource";
        sh(&format!(
            "cd {at}; setpriv --bounding-set {caps} --inh-caps {caps} prlimit --memlock=65536 \
             {} serve image mnt --mode loop --accept-risk loop-over-fuse,file-backed{names} >out 2>said & P=$!; \
             trap 'kill -KILL $P 2>/dev/null || umount mnt 2>/dev/null || true' EXIT; \
             for n in $(seq 100); do grep -q ready out || ! kill -0 $P 2>/dev/null && break; sleep 0.1; done; \
             kill -TERM $P 2>/dev/null || true; wait $P && s=0 || s=$?; echo $s >>out; cat out said",
            program().display()
        ))
        .expect("it ends")
    };
    let said = serve("");
    assert!(said.starts_with("1\n"), "never ready: {said}");
    let missing = "not in the posture to serve swap: pools (missing), locked-memory (missing), locked-later (missing)";
    assert!(said.contains(missing), "{said}");
    assert_eq!((Daemon::loops(folder.path()), sh(&format!("! mountpoint -q {at}/mnt")).is_ok()), (String::new(), true));
    let said = serve(",pools,locked-memory,locked-later");
    assert!(said.contains("\nready\n0\n") && said.contains("swapfs: accepted: locked-memory: "), "{said}");
}
