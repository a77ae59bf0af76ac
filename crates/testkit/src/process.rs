//! Child processes: started, listened to, looked into through `/proc`, and gone with the test.

use crate::{LIMIT, within};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Lines of a log that are shown when a test fails.
const TAIL: usize = 60;

/// A running child process. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    said: watch::Receiver<Vec<String>>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it writes to standard error goes to the file `log`, behind what is there already.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Process {
        let errors = std::fs::File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        let stdout = child.stdout.take().expect("standard output is piped");
        let (say, said) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                say.send_modify(|all: &mut Vec<String>| all.push(line));
            }
        });
        Process { name: name.to_owned(), child, said, log: log.to_owned() }
    }

    /// Waits for a line on standard output that contains `text`.
    pub async fn wait_for(&self, text: &str) {
        let mut said = self.said.clone();
        let heard = async { said.wait_for(|all| all.iter().any(|line| line.contains(text))).await.is_ok() };
        let what = format!("{} says {text:?}", self.name);
        if !within(LIMIT, &what, heard).await {
            panic!("{} ended before it said {text:?}; its log ends with:\n{}", self.name, self.log_tail());
        }
    }

    /// Every line on standard output so far.
    pub fn said(&self) -> Vec<String> {
        self.said.borrow().clone()
    }

    /// Everything on standard error so far, also of earlier processes with the same log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("{} has ended; its log ends with:\n{}", self.name, self.log_tail()))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        within(LIMIT, &what, self.child.wait()).await.unwrap()
    }

    /// `kill -9`; returns when it is gone.
    pub async fn kill(&mut self) {
        self.child.start_kill().unwrap_or_else(|e| panic!("{}: {e}", self.name));
        self.wait().await;
    }

    /// What the operating system says it holds now.
    pub fn footprint(&self) -> Footprint {
        Footprint::of(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- end of the log of {}:\n{}", self.name, self.log_tail());
        }
    }
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Threads.
    pub threads: usize,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Resident memory in bytes.
    pub resident: u64,
}

impl Footprint {
    /// Reads it from `/proc`.
    pub fn of(pid: u32) -> Footprint {
        let count = |what| {
            std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap_or_else(|e| panic!("process {pid}: {e}")).count()
        };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("every process has VmRSS");
        let kib: u64 = rss.trim().trim_end_matches("kB").trim().parse().expect("VmRSS is a number of kB");
        Footprint { threads: count("task"), descriptors: count("fd"), resident: kib * 1024 }
    }
}

/// A command that ran to its end.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it was called, for messages.
    pub call: String,
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Runs `program` to its end, within the limit.
    pub async fn run<A: AsRef<OsStr>>(program: &Path, env: &[(String, String)], args: &[A]) -> Ran {
        let mut command = Command::new(program);
        command.args(args).envs(env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null()).kill_on_drop(true);
        let words: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy().into_owned()).collect();
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let call = format!("{name} {}", words.join(" "));
        let output =
            within(LIMIT, &call, command.output()).await.unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { call, code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr }
    }

    /// Standard output as text without surrounding white space; panics unless the command succeeded.
    pub fn ok(&self) -> String {
        assert_eq!(self.code, 0, "{}: {}{}", self.call, self.stderr, String::from_utf8_lossy(&self.stdout));
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Standard error; panics unless the command failed by itself and said why.
    pub fn failed(&self) -> &str {
        assert!(self.code > 0, "{} should fail, exit code {}: {}", self.call, self.code, self.stderr);
        assert!(!self.stderr.trim().is_empty(), "{} fails without a word", self.call);
        assert!(!self.stderr.contains("panicked at"), "{}: {}", self.call, self.stderr);
        &self.stderr
    }
}
