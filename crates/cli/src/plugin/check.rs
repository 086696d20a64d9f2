//! `firecraft plugin check`.
//!
//! A plugin that is wrong may crash, hang or eat the memory of the process it
//! is tried in. So the checks run in a second process, the same program with a
//! hidden flag, under limits; this one watches and says in which check it ended.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Args;
use firecraft::plugin_host::probe::{self, Progress};
use firecraft::spec::Spec;

use crate::error::CliError;

#[derive(Args)]
pub(super) struct Arguments {
    /// A shared library.
    file: PathBuf,
    /// Time for everything, after which the plugin counts as hanging.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Address space for everything.
    #[arg(long, value_name = "MEBIBYTES", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(64..=1 << 20))]
    memory: u64,
    /// What to make of the plugin, in place of its schemas' examples, such as
    /// '{"type": "vignette", "shift": 0}'; can be given several times.
    #[arg(long = "spec", value_name = "JSON", value_parser = spec)]
    specs: Vec<Spec>,
    /// Be the process that is watched.
    #[arg(long, hide = true)]
    inside: bool,
}

/// Begins the lines that are meant for the watching process; a plugin may print
/// others.
const MARK: &str = "\u{1e}firecraft ";

pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    if arguments.inside {
        inside(arguments)
    } else {
        watch(arguments)
    }
}

fn spec(json: &str) -> Result<Spec, String> {
    serde_json::from_str(json).map_err(|error| format!("not a spec: {error}"))
}

fn inside(arguments: &Arguments) -> Result<(), CliError> {
    let time = Duration::from_secs(arguments.seconds);
    probe::limit(arguments.memory << 20, time).map_err(CliError::Limit)?;
    say(&Progress::Begin("the file and its tables".to_owned()));
    match super::load(&arguments.file) {
        Ok(plugin) => {
            say(&Progress::Passed);
            probe::run(&plugin, &arguments.specs, |progress| say(&progress));
        }
        Err(error) => say(&Progress::Failed(error.to_string())),
    }
    Ok(())
}

fn say(progress: &Progress) {
    let (word, text) = match progress {
        Progress::Begin(name) => ("begin", name.as_str()),
        Progress::Passed => ("passed", ""),
        Progress::Skipped(reason) => ("skipped", reason.as_str()),
        Progress::Failed(problem) => ("failed", problem.as_str()),
    };
    let text = text.replace(['\n', '\r'], " ");
    let mut out = std::io::stdout().lock();
    // If nobody listens any more, there is nobody to tell.
    let _ = writeln!(out, "\n{MARK}{word} {text}").and_then(|()| out.flush());
}

fn hear(line: &str) -> Option<Progress> {
    let (word, text) = line.strip_prefix(MARK)?.split_once(' ')?;
    let text = text.to_owned();
    match word {
        "begin" => Some(Progress::Begin(text)),
        "passed" => Some(Progress::Passed),
        "skipped" => Some(Progress::Skipped(text)),
        "failed" => Some(Progress::Failed(text)),
        _ => None,
    }
}

/// A child that does not outlive this.
struct Watched(Child);

impl Drop for Watched {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn watch(arguments: &Arguments) -> Result<(), CliError> {
    let program = std::env::current_exe().map_err(CliError::Spawn)?;
    // What the child leaves when it is killed, the plugin's private copy first
    // of all, goes with this folder, which is dropped after the child.
    let scratch = tempfile::Builder::new()
        .prefix("firecraft-check-")
        .tempdir()
        .map_err(CliError::Spawn)?;
    let mut child = Command::new(program);
    for name in ["TMPDIR", "TMP", "TEMP"] {
        child.env(name, scratch.path());
    }
    child.args(["plugin", "check", "--inside"]);
    child.args(["--seconds", &arguments.seconds.to_string()]);
    child.args(["--memory", &arguments.memory.to_string()]);
    for spec in &arguments.specs {
        let json = serde_json::to_string(spec).map_err(|error| CliError::Spawn(error.into()))?;
        child.args(["--spec", &json]);
    }
    child.arg("--").arg(&arguments.file);
    // What a panicking plugin prints is not a finding; the finding is.
    child.stdin(Stdio::null()).stderr(Stdio::null());
    let child = child.stdout(Stdio::piped()).spawn();
    let mut child = Watched(child.map_err(CliError::Spawn)?);

    let (send, lines) = mpsc::channel();
    if let Some(out) = child.0.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                if let Some(progress) = hear(&line)
                    && send.send(progress).is_err()
                {
                    return;
                }
            }
        });
    }
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let (mut running, mut findings) = (None, 0_u32);
    let mut finding = |name: &str, problem: &str| {
        println!("FAIL  {name}: {problem}");
        findings += 1;
    };
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Progress::Begin(name)) => running = Some(name),
            Ok(Progress::Passed) => println!("ok    {}", running.take().unwrap_or_default()),
            Ok(Progress::Skipped(reason)) => {
                println!("skip  {}: {reason}", running.take().unwrap_or_default());
            }
            Ok(Progress::Failed(problem)) => {
                finding(&running.take().unwrap_or_default(), &problem);
            }
            Err(RecvTimeoutError::Timeout) => {
                let name = running.take().unwrap_or_else(|| "the start".to_owned());
                let seconds = arguments.seconds;
                finding(
                    &name,
                    &format!("still running after {seconds} s; it may hang"),
                );
                break;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.0.wait().map_err(CliError::Spawn)?;
                if let Some(name) = running.take() {
                    finding(&name, &death(status));
                } else if !status.success() {
                    finding("the end", &death(status));
                }
                break;
            }
        }
    }
    if findings == 0 {
        println!("{} keeps its promises", arguments.file.display());
        return Ok(());
    }
    Err(CliError::Promises {
        path: arguments.file.clone(),
        findings,
    })
}

/// How a process ended that should not have.
fn death(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let meaning = match signal {
            4 => "an instruction that this processor doesn't have",
            6 => "it called abort, or was out of memory",
            7 | 11 => "it touched memory that is not its own, such as past the end of an array",
            9 => "the system killed it, perhaps for its memory",
            24 => "it used up its processor time; it may hang",
            _ => "see signal(7)",
        };
        return format!("the plugin ended the process with signal {signal}: {meaning}");
    }
    format!("the plugin ended the process with {status}")
}
