//! A training that is killed again and again, also while it writes a
//! checkpoint and with a disk that fails, ends with the bits of the one that
//! never was.
//!
//! `FIRECRAFT_STORM_CRASHES` sets how many crashes there are; `cargo xtask
//! nightly` asks for many.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use firecraft_key::{Key, Rng};
use firecraft_trainer::callbacks::{
    Checkpoint, CsvLogger, EarlyStopping, JsonlLogger, ReduceLrOnPlateau, SaveWeights,
};
use firecraft_trainer::checkpoint::{CheckpointStore, Disk, OsDisk};
use firecraft_trainer::{AdamW, Average, Clip, Trainer};
use support::{Net, files, newest, train, valid};

const FOLDER: &str = "FIRECRAFT_STORM_FOLDER";
const FAULT: &str = "FIRECRAFT_STORM_FAULT";
const KEEP: usize = 3;

/// What goes wrong at one operation of the disk.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// The process dies before it.
    Death,
    /// Half of the bytes are written, then the disk is full.
    Full,
    /// It fails and changes nothing.
    Io,
    /// Half of the bytes are written, and nobody notices.
    Torn,
}

struct StormDisk {
    fault: Option<(u64, Fault)>,
    operations: AtomicU64,
}

impl StormDisk {
    fn from_environment() -> Self {
        let fault = env::var(FAULT).ok().map(|text| {
            let (kind, at) = text.split_once(' ').unwrap();
            let kind = match kind {
                "death" => Fault::Death,
                "full" => Fault::Full,
                "io" => Fault::Io,
                _ => Fault::Torn,
            };
            (at.parse().unwrap(), kind)
        });
        Self {
            fault,
            operations: AtomicU64::new(0),
        }
    }

    fn due(&self) -> io::Result<Option<Fault>> {
        let now = self.operations.fetch_add(1, Ordering::SeqCst);
        match self.fault.filter(|(at, _)| *at == now) {
            None => Ok(None),
            Some((_, Fault::Death)) => std::process::abort(),
            Some((_, Fault::Io)) => Err(io::Error::other("injected fault")),
            Some((_, fault)) => Ok(Some(fault)),
        }
    }
}

impl Disk for StormDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.due()?;
        OsDisk.create_folder(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self.due()? {
            None => OsDisk.write_file(path, bytes),
            Some(fault) => {
                OsDisk.write_file(path, &bytes[..bytes.len() / 2])?;
                match fault {
                    Fault::Full => Err(io::ErrorKind::StorageFull.into()),
                    _ => Ok(()),
                }
            }
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsDisk.read_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.due()?;
        OsDisk.rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.due()?;
        OsDisk.sync_folder(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.due()?;
        OsDisk.remove_folder(path)
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        OsDisk.folders(path)
    }
}

fn run(folder: &Path, seed: u64, disk: Arc<dyn Disk>) {
    let store = CheckpointStore::with_disk(folder.join("checkpoints"), disk).unwrap();
    let plateau = ReduceLrOnPlateau::new("val_loss").factor(0.7).patience(2);
    Trainer::new(Net::new(seed), AdamW::torch().without_decay_of_vectors())
        .learning_rate(0.01)
        .clip(Clip::GlobalNorm { max: 1.0 })
        .average(Average::ema(0.9).start(5))
        .accumulate(2)
        .epochs(12)
        .seed(17)
        .checkpoints(store.clone())
        .callback(EarlyStopping::new("val_loss", 50).unwrap().restore_best())
        .callback(plateau.build().unwrap())
        .callback(CsvLogger::new(folder.join("history.csv")))
        .callback(JsonlLogger::new(folder.join("log.jsonl")).every_updates(3))
        .callback(SaveWeights::new(folder.join("best.safetensors")).best("val_loss"))
        .callback(Checkpoint::new(store).every_updates(1).keep_last(2))
        .resume()
        .fit(train(5), valid())
        .unwrap();
}

#[test]
#[ignore = "the process that the storm kills"]
fn child() {
    if let Some(folder) = env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        // A new run starts from the same weights, a resumed one from any.
        let none = checkpoints(folder).is_none_or(|store| store.latest().unwrap().is_none());
        let seed = if none { 1 } else { 100 };
        run(folder, seed, Arc::new(StormDisk::from_environment()));
    }
}

/// The child with a fault at an operation of its disk, or none.
fn spawn(folder: &Path, fault: Option<String>) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(fault) = fault {
        command.env(FAULT, fault);
    }
    command.spawn().unwrap()
}

/// Whether the child ended well within the time; it is killed if not.
fn ends_within(child: &mut Child, time: Duration) -> bool {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if start.elapsed() >= time {
            child.kill().unwrap(); // SIGKILL
            return child.wait().unwrap().success();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn checkpoints(folder: &Path) -> Option<CheckpointStore> {
    let folder = folder.join("checkpoints");
    folder
        .exists()
        .then(|| CheckpointStore::open(folder).unwrap())
}

/// Cuts a file of the newest checkpoint in half, as a power cut may do.
fn tear(folder: &Path, rng: &mut Rng) -> Option<PathBuf> {
    let names = checkpoints(folder)?.names().unwrap();
    let (newest, older) = names.split_last()?;
    // Two damages at once are more than two checkpoints are kept for.
    checkpoints(folder)?.load(older.last()?).ok()?;
    let newest = folder.join("checkpoints").join(newest);
    let mut paths: Vec<_> = fs::read_dir(newest)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    let path = paths.swap_remove(rng.below(paths.len() as u64) as usize);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    Some(path)
}

#[test]
fn a_run_in_a_storm_of_crashes_equals_the_run_in_calm() {
    let crashes: u64 = env::var("FIRECRAFT_STORM_CRASHES")
        .ok()
        .map_or(14, |text| text.parse().unwrap());
    let calm = tempfile::tempdir().unwrap();
    {
        let _alone = support::alone();
        run(calm.path(), 1, Arc::new(OsDisk));
    }
    let expected = (newest(calm.path()), files(calm.path()));

    let mut rng = Key::from_seed(20_261_125).named("storm").rng();
    let (mut done, mut kills, mut runs, mut longest) = (0, 0, 0, 0);
    while done < crashes {
        runs += 1;
        let folder = tempfile::tempdir().unwrap();
        // Whether a file was damaged behind the trainer's back.
        let mut damaged = false;
        loop {
            let fault = match rng.below(6) {
                0 | 1 => None,
                kind => {
                    let kind = ["death", "death", "full", "io", "torn"][kind as usize - 1];
                    Some(format!("{kind} {}", rng.below(120)))
                }
            };
            let torn = fault
                .as_ref()
                .is_some_and(|fault| fault.starts_with("torn"));
            let killed = fault.is_none();
            let time = if fault.is_some() {
                60_000
            } else {
                10 + rng.below(150)
            };
            let mut child = spawn(folder.path(), fault);
            if ends_within(&mut child, Duration::from_millis(time)) && !torn {
                break;
            }
            done += 1;
            kills += u64::from(killed);
            let Some(store) = checkpoints(folder.path()) else {
                continue;
            };
            let names = store.names().unwrap();
            longest = longest.max(names.len());
            assert!(names.len() <= KEEP + 1, "disk use: {names:?}");
            damaged |= torn;
            if !damaged {
                for name in &names {
                    store.load(name).unwrap();
                }
            } else if !names.is_empty() {
                store.latest().unwrap().unwrap();
            }
            if rng.below(4) == 0 {
                damaged |= tear(folder.path(), &mut rng).is_some();
            }
            if done >= crashes {
                // Let the last run end in peace.
                assert!(spawn(folder.path(), None).wait().unwrap().success());
                break;
            }
        }
        let got = (newest(folder.path()), files(folder.path()));
        assert!(got == expected, "after {done} crashes");
    }
    assert!(longest > 1, "no crash found more than one checkpoint");
    eprintln!(
        "{done} crashes ({kills} SIGKILL from outside) in {runs} runs, at most {longest} checkpoints"
    );
}
