//! IO_FLUSHER, thread by thread: by asking, which needs the capability, or by the task's flags, which all may read.
//!
//! `PR_SET_IO_FLUSHER` sets two flags of the calling thread and nothing else, and a thread that is made later gets them
//! with the others. `PR_GET_IO_FLUSHER` needs CAP_SYS_RESOURCE as well, and asks for the calling thread only; field 9
//! of /proc/PID/task/TID/stat shows the flags of any. Where the bits lie is no promise of the kernel: they are taken
//! for what they are from 5.6, where IO_FLUSHER came, to 6.18, or once this very kernel has shown both after setting
//! them.
//!
//! Source: Linux v6.18, `kernel/sys.c:PR_SET_IO_FLUSHER`, `fs/proc/array.c:do_task_stat`, `include/linux/sched.h`:
//! `PF_MEMALLOC_NOIO`, `PF_LOCAL_THROTTLE` (`PF_LESS_THROTTLE` before 5.8, with the same number). Both were seen in
//! field 9 of each thread after the call on 6.1 and 6.12, by tests/vm/posture.sh.

use rustix::process::is_io_flusher;
use rustix::thread::gettid;

use super::notes::Notes;
use super::process::{Process, Stat};
use super::ready::Worker;
use crate::posture::{PostureDoubt, Seen, Threads};
use crate::reason::PostureStep;
use crate::release::Release;

/// Counts the threads of a process, and those that are IO_FLUSHER.
pub(super) fn look(process: &Process, early: Option<u32>, workers: &[Worker], notes: &mut Notes) -> Seen<Threads> {
    let numbers = process.numbers("task")?;
    let trusted = trust(process);
    let (mut total, mut flushers, mut others, mut doubt) = (0u32, 0u32, Vec::new(), None);
    for number in numbers {
        let told = workers.iter().find(|worker| worker.thread() == number).and_then(Worker::flusher);
        let is_flusher = match (flags(process, number), trusted, told) {
            (Ok(flags), Ok(()), _) => Ok(flags & IO_FLUSHER == IO_FLUSHER),
            // Only where its flags say nothing: what a worker was when it checked itself it may be no more.
            (Ok(_), Err(_), Some(told)) => Ok(told),
            (Ok(_), Err(doubt), None) | (Err(doubt), _, _) => Err(doubt),
        };
        match is_flusher {
            Ok(true) => flushers = flushers.saturating_add(1),
            Ok(false) => others.push(number.to_string()),
            // It has ended meanwhile.
            Err(PostureDoubt::NotShown) => continue,
            Err(why) => doubt = Some(why),
        }
        total = total.saturating_add(1);
    }
    if !others.is_empty() && flushers > 0 {
        notes.add(PostureStep::IoFlusher, format!("not the threads {}", short(&others)));
    }
    let flushers = match doubt {
        // One that is none is enough to know.
        Some(why) if others.is_empty() => Err(why),
        Some(_) | None => Ok(flushers),
    };
    let early = match early {
        Some(early) => Ok(early),
        // The one that there is cannot have been there before itself.
        None if total == 1 => Ok(0),
        None => Err(PostureDoubt::Inside),
    };
    Ok(Threads { total, flushers, early })
}

/// What the calling thread is, by asking or by its flags; `None` if neither tells.
pub(super) fn caller() -> Option<bool> {
    is_io_flusher().ok().or_else(|| {
        let process = Process::caller().ok()?;
        trust(&process).ok()?;
        Some(flags(&process, number()).ok()? & IO_FLUSHER == IO_FLUSHER)
    })
}

/// The number of the calling thread.
pub(super) fn number() -> u32 {
    u32::try_from(gettid().as_raw_nonzero().get()).unwrap_or(0)
}

/// Whether the flags of a task mean here what they meant where they were read.
fn trust(process: &Process) -> Seen<()> {
    let release = Release::running().ok_or(PostureDoubt::Unreadable)?;
    // What was read at both ends and between is taken to have stood still.
    if (Release::new(5, 6)..=Release::new(6, 18)).contains(&release) {
        return Ok(());
    }
    let shown = process.is_caller && is_io_flusher() == Ok(true) && {
        flags(process, number()).is_ok_and(|flags| flags & IO_FLUSHER == IO_FLUSHER)
    };
    if shown { Ok(()) } else { Err(PostureDoubt::Release { release }) }
}

fn flags(process: &Process, thread: u32) -> Seen<u64> {
    let line = process.read(&format!("task/{thread}/stat"))?;
    Stat::parse(&line).map(|stat| stat.flags).ok_or(PostureDoubt::Unreadable)
}

/// The first of many.
fn short(numbers: &[String]) -> String {
    match numbers.split_at_checked(SHOWN) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        Some(_) | None => numbers.join(", "),
    }
}

const SHOWN: usize = 8;
/// `PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE`. Either alone may be set for a while within a system call.
const IO_FLUSHER: u64 = 0x0008_0000 | 0x0010_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posture::PostureDoubt;

    #[test]
    fn what_a_worker_said_counts_only_where_its_flags_say_nothing() {
        let now = caller();
        let count = |workers: &[Worker]| {
            let process = Process::caller().map_err(|_| PostureDoubt::NotShown)?;
            look(&process, Some(0), workers, &mut Notes::default())
        };
        for said in [true, false] {
            let worker = Worker { thread: number(), flusher: Some(said), stack: Err(PostureDoubt::Inside) };
            let (with, without) = (count(&[worker]), count(&[]));
            let flushers = |seen: Seen<Threads>| seen.and_then(|threads| threads.flushers);
            match now {
                // Other tests start threads; none of them is what this one is not.
                Some(true) => assert!(flushers(with).is_ok_and(|flushers| flushers > 0), "{with:?}"),
                Some(false) => assert_eq!((flushers(with), flushers(without)), (Ok(0), Ok(0)), "{with:?}"),
                // Where flags say nothing, one that says no is enough, and one that says yes is not all of them.
                None if said => assert!(with.is_ok_and(|threads| threads.total == 1) || flushers(with).is_err()),
                None => assert_eq!(flushers(with), Ok(0), "{with:?}"),
            }
        }
    }
}
