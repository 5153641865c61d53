//! Children that are what a test made them, and sleep.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use swap_dio::linux::reclaim::{Finding, Report, Step};

/// A child that sleeps, ended with the test.
pub(crate) struct Asleep(pub(crate) Child);

impl Asleep {
    /// Runs a script that ends in becoming `sleep`; its output goes nowhere unless the script sends it elsewhere.
    pub(crate) fn after(script: &str) -> Self {
        let mut command = Command::new("bash");
        command.args(["-ec", &format!("{script}\nexec sleep 60")]).stdin(Stdio::null());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a child")).named("sleep")
    }

    /// Waits until it is a program of this name.
    pub(crate) fn named(self, name: &str) -> Self {
        for _ in 0..500 {
            let comm = std::fs::read_to_string(format!("/proc/{}/comm", self.pid()));
            if comm.is_ok_and(|comm| comm.trim_end() == name) {
                return self;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not become {name}");
    }

    /// Runs a program of Python that says `ready()` when it is what it should be, and sleeps then.
    pub(crate) fn python(script: &str) -> Self {
        let program = format!("{PYTHON}{script}\nready()\ntime.sleep(60)\n");
        let mut command = Command::new("python3");
        command.args(["-c", &program]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Self(command.spawn().expect("a child"));
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "{script}");
        child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn report(&self) -> Report {
        Report::of(self.pid()).expect("it lives")
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        // What has ended already is ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn found(report: &Report, step: Step) -> Finding {
    report.findings().iter().find(|found| found.step == step).expect("every step").clone()
}

/// The word goes out by a descriptor that is no log; of the others, of which `mmap` keeps its own, none is left.
const PYTHON: &str = "
import ctypes, mmap, os, signal, time
say, null = os.dup(1), os.open('/dev/null', os.O_WRONLY)
os.dup2(null, 1)
libc = ctypes.CDLL(None, use_errno=True)
def ready():
    os.closerange(3, say)
    os.closerange(say + 1, 64)
    os.write(say, b'ready\\n')
def must(answer): assert answer == 0, os.strerror(ctypes.get_errno())
def place(area): return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(area)))
def lock(): must(libc.mlockall(3))
";
