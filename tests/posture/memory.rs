//! Memory that is locked and may wait all the same, and files that are written by storing into memory.

use swap_dio::Bytes;
use swap_dio::linux::reclaim::Step;
use swap_dio::posture::Holding;
use swap_dio::reason::PostureFault;

use super::asleep::{Asleep, found};
use super::machine;

#[test]
fn a_file_that_is_mapped_is_written_with_its_descriptor_closed() {
    if !machine::ready(&["python3"]) {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let disk = folder.path().join("memfd:x");
    let memory = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let shm = memory.path().join("x");
    let map = |path: &std::path::Path, how: &str| {
        format!(
            "f = open('{}', 'w+b'); f.truncate(8192)\nm = mmap.mmap(f.fileno(), 8192, {how}); f.close()",
            path.display()
        )
    };
    let both = "prot=mmap.PROT_READ | mmap.PROT_WRITE";
    let shared = |path| map(path, &format!("flags=mmap.MAP_SHARED, {both}"));
    let written = |mappings| Holding::Missing(PostureFault::MappedFiles { mappings });
    let rows: [(&str, String, Holding); 9] = [
        ("nothing", String::new(), Holding::Held),
        ("a file on a disk", shared(&disk), written(1)),
        ("its name is gone", format!("{}\nos.unlink('{}')", shared(&disk), disk.display()), written(1)),
        ("twice", format!("{}\n{}", shared(&disk), shared(&disk).replace("m =", "n =")), written(2)),
        ("private", map(&disk, &format!("flags=mmap.MAP_PRIVATE, {both}")), Holding::Held),
        ("only read", map(&disk, "flags=mmap.MAP_SHARED, prot=mmap.PROT_READ"), Holding::Held),
        ("on a tmpfs", shared(&shm), Holding::Held),
        ("on a tmpfs, its name is gone", format!("{}\nos.unlink('{}')", shared(&shm), shm.display()), Holding::Held),
        (
            "shmem of no name",
            "a = mmap.mmap(-1, 8192); d = os.memfd_create('x'); os.ftruncate(d, 8192); b = mmap.mmap(d, 8192); os.close(d); \
             b.write(b'x')"
                .to_owned(),
            Holding::Held,
        ),
    ];
    for (name, script, expected) in rows {
        let child = Asleep::python(&format!("{script}\nlock()"));
        let report = child.report();
        let sinks = found(&report, Step::LogSinks);
        assert_eq!(sinks.holding, expected, "{name}: {sinks:?}");
        let noted = sinks.notes.iter().any(|note| note.contains("mapped at 0x") && note.contains("memfd:x"));
        assert_eq!(noted, expected != Holding::Held, "{name}: {sinks:?}");
    }
}

#[test]
fn a_lock_does_not_bring_what_is_not_there_nor_spare_a_copy() {
    if !machine::ready(&["python3"]) {
        return;
    }
    let area = "a = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n";
    let absent = Holding::Missing(PostureFault::LockedAbsent { size: Bytes::new(32 << 10) });
    let mergeable = std::path::Path::new("/sys/kernel/mm/ksm/run").exists();
    let copied = |holding| matches!(holding, Holding::Missing(PostureFault::LockedCopied { size }) if size >= Bytes::new(1 << 20));
    type Row<'a> = (&'static str, String, &'a dyn Fn(Holding) -> bool);
    let rows: [Row<'_>; 5] = [
        ("locked", "lock()".to_owned(), &|holding| holding == Holding::Held),
        (
            "pages of zeros, only read, are there and not resident",
            "z = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)\nlock()"
                .to_owned(),
            &|holding| holding == Holding::Held,
        ),
        (
            // MADV_DONTNEED_LOCKED, Linux 5.18.
            "eight pages are dropped",
            format!("{area}lock()\nmust(libc.madvise(place(a), ctypes.c_size_t(32 << 10), 24))"),
            &|holding| holding == absent,
        ),
        (
            "forked",
            format!(
                "{area}lock()\nif os.fork() == 0:\n    libc.prctl(1, signal.SIGKILL, 0, 0, 0)\n    time.sleep(60)\n    os._exit(0)"
            ),
            &copied,
        ),
        (
            "may be merged",
            if mergeable {
                format!("{area}must(libc.madvise(place(a), ctypes.c_size_t(1 << 20), 12))\nlock()")
            } else {
                String::new()
            },
            &|holding| !mergeable || copied(holding),
        ),
    ];
    for (name, script, expected) in rows {
        let child = Asleep::python(&script);
        let memory = found(&child.report(), Step::LockedMemory);
        assert!(expected(memory.holding), "{name}: {memory:?}");
    }
}
