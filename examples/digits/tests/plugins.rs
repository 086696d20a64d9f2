//! Training with a transform and a scheduler from plugins, in Rust and in C,
//! that a recipe names.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../crates/plugin-host/tests/support/mod.rs"]
mod plugins;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use support::{only_run, result, run, start, stderr, text};

/// A recipe with these plugins, augmentation and schedule, written from the one
/// of a run without them.
fn recipe(folder: &Path, plugins: &[&Path], augment: &str, schedule: &str) -> PathBuf {
    let out = folder.join("template");
    let output = run(&["--smoke", "--out", text(&out)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let written = fs::read_to_string(only_run(&out).join("recipe.toml")).unwrap();
    let mut table: toml::Table = written.parse().unwrap();
    table.insert("epochs".to_owned(), 3.into());
    table.insert("batch_size".to_owned(), 128.into());
    table.remove("batches_per_epoch");
    table.insert(
        "augment".to_owned(),
        augment.parse::<toml::Value>().unwrap(),
    );
    table.insert(
        "schedule".to_owned(),
        schedule.parse::<toml::Value>().unwrap(),
    );
    let files = plugins.iter().map(|path| {
        let mut file = toml::Table::new();
        file.insert("path".to_owned(), text(path).to_owned().into());
        toml::Value::Table(file)
    });
    table.insert("plugins".to_owned(), toml::Value::Array(files.collect()));
    let path = folder.join("recipe.toml");
    fs::write(&path, table.to_string()).unwrap();
    path
}

fn rust(folder: &Path) -> (Vec<PathBuf>, PathBuf) {
    let files = vec![plugins::rust("vignette"), plugins::rust("bold-driver")];
    let recipe = recipe(
        folder,
        &files.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        "[{ type = \"vignette\", strength = [0.0, 0.4] }, { type = \"random_rotation\", factor = 0.03 }]",
        "{ type = \"warmup\", length = 10, unit = \"updates\", inner = { type = \"bold_driver\", start = 0.004 } }",
    );
    (files, recipe)
}

fn c(folder: &Path) -> (Vec<PathBuf>, PathBuf) {
    let files = vec![plugins::c("scanlines"), plugins::c("staircase")];
    let recipe = recipe(
        folder,
        &files.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        "[{ type = \"scanlines\", period = 3, depth = 0.3 }]",
        "{ type = \"staircase\", start = 0.004, ratio = 0.8 }",
    );
    (files, recipe)
}

fn arguments<'a>(recipe: &'a Path, out: &'a Path) -> Vec<&'a str> {
    vec![
        "--recipe",
        text(recipe),
        "--out",
        text(out),
        "--threads",
        "1",
        "--checkpoint-every",
        "5",
    ]
}

fn killed_at(recipe: &Path, out: &Path, update: &str) -> PathBuf {
    let mut child = start(&arguments(recipe, out));
    let begin = Instant::now();
    loop {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "no checkpoint came"
        );
        let there = fs::read_dir(out)
            .ok()
            .and_then(|mut runs| runs.next())
            .is_some_and(|run| {
                let saved = fs::read_dir(run.unwrap().path().join("checkpoints"));
                saved.is_ok_and(|mut saved| {
                    saved.any(|entry| {
                        let name = entry.unwrap().file_name().into_string().unwrap();
                        name.starts_with("update-") && name.as_str() >= update
                    })
                })
            });
        if there {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    only_run(out)
}

/// The learning rates that a run used, one per epoch.
fn rates(run: &Path) -> Vec<f64> {
    let history = fs::read_to_string(run.join("history.csv")).unwrap();
    let mut lines = history.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = columns
        .iter()
        .position(|name| *name == "learning_rate")
        .unwrap();
    lines
        .map(|line| line.split(',').nth(column).unwrap().parse().unwrap())
        .collect()
}

#[test]
fn a_run_with_plugins_learns_follows_them_and_resumes_with_the_same_bits() {
    for make in [rust, c] {
        let folder = tempfile::tempdir().unwrap();
        let (_, recipe) = make(folder.path());
        let out = folder.path().join("straight");
        let output = run(&arguments(&recipe, &out));
        assert!(output.status.success(), "{}", stderr(&output));
        let straight = only_run(&out);
        let rates = rates(&straight);
        assert!(rates.windows(2).any(|pair| pair[0] != pair[1]), "{rates:?}");

        for update in ["update-000000005", "update-000000020"] {
            let out = folder.path().join(update);
            let killed = killed_at(&recipe, &out, update);
            let output = run(&[
                "--resume",
                text(&killed),
                "--threads",
                "1",
                "--checkpoint-every",
                "5",
            ]);
            assert!(output.status.success(), "{}", stderr(&output));
            assert_eq!(result(&killed), result(&straight), "killed at {update}");
        }
    }
}

/// Every file of a folder with its content.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_missing_or_another_plugin_is_an_error_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (files, recipe) = rust(folder.path());
    // Copies of one's own, to be taken away.
    let text_of_recipe = fs::read_to_string(&recipe).unwrap();
    let own = folder.path().join("own.so");
    fs::copy(&files[1], &own).unwrap();
    fs::write(&recipe, text_of_recipe.replace(text(&files[1]), text(&own))).unwrap();

    let out = folder.path().join("runs");
    let run_folder = killed_at(&recipe, &out, "update-000000005");
    let stored = fs::read_to_string(run_folder.join("recipe.toml")).unwrap();
    assert_eq!(stored.matches("sha256 = ").count(), 3, "{stored}");

    let before = contents(&run_folder);
    let resume = || {
        let output = run(&["--resume", text(&run_folder), "--threads", "1"]);
        assert!(!output.status.success());
        let error = stderr(&output);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(contents(&run_folder) == before, "something was touched");
        error
    };
    fs::rename(&own, folder.path().join("away.so")).unwrap();
    let missing = resume();
    assert!(
        missing.contains("cannot open plugin") && missing.contains("own.so"),
        "{missing}"
    );
    fs::copy(&files[0], &own).unwrap();
    let other = resume();
    assert!(other.contains("has SHA-256"), "{other}");

    // A new run with a plugin that is not there leaves no folder behind.
    fs::remove_file(&own).unwrap();
    let none = folder.path().join("none");
    let output = run(&["--recipe", text(&recipe), "--out", text(&none)]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("cannot open plugin"),
        "{}",
        stderr(&output)
    );
    assert!(!none.exists());

    // Put back, the run goes on.
    fs::rename(folder.path().join("away.so"), &own).unwrap();
    let output = run(&["--resume", text(&run_folder), "--threads", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_plugin_that_fails_at_once_stops_the_run_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let faults = plugins::rust("faults");
    for (augment, schedule, reason) in [
        (
            "[{ type = \"careless\", fault = \"panic in apply\" }]",
            "{ type = \"constant\", value = 0.001 }",
            "no apply today",
        ),
        (
            "[]",
            "{ type = \"careless_scheduler\", fault = \"panic in step\" }",
            "no step today",
        ),
    ] {
        let folder = folder.path().join(reason);
        fs::create_dir(&folder).unwrap();
        let recipe = recipe(&folder, &[&faults], augment, schedule);
        let output = run(&arguments(&recipe, &folder.join("runs")));
        assert!(!output.status.success());
        let error = stderr(&output);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_plugin_that_fails_in_mid_run_leaves_the_checkpoints_whole() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(
        folder.path(),
        &[&plugins::rust("faults")],
        "[]",
        // 1/n after n steps, made fit to learn with.
        "{ type = \"scale\", factor = 0.002, inner = { type = \"careless_scheduler\", fault = \"panic at step 12\" } }",
    );
    let out = folder.path().join("runs");
    let output = run(&arguments(&recipe, &out));
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("no twelfth step"),
        "{}",
        stderr(&output)
    );
    let run_folder = only_run(&out);
    let saved = run_folder.join("checkpoints").join("update-000000010");
    let before = contents(&saved);
    assert!(!before.is_empty());
    // It is resumed from there, with the scheduler's count, and stops at the
    // same step.
    let output = run(&["--resume", text(&run_folder), "--threads", "1"]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("no twelfth step"),
        "{}",
        stderr(&output)
    );
    assert!(contents(&saved) == before, "the checkpoint was touched");
}

#[test]
fn a_transform_that_fails_in_mid_run_leaves_history_and_checkpoint_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let faults = plugins::rust("faults");
    // The same images whatever the fault: it fails or copies. 1258 digits in three
    // epochs are 3774; counted anew after resumption, 2600 are enough for the rest.
    let made = |name: &str, after: u64| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        let augment = format!(
            "[{{ type = \"careless\", fault = \"error in apply\", after = {after} }}, \
             {{ type = \"random_rotation\", factor = 0.03 }}]"
        );
        let schedule = "{ type = \"constant\", value = 0.002 }";
        let recipe = recipe(&folder, &[&faults], &augment, schedule);
        (recipe, folder.join("runs"))
    };
    let (whole, out) = made("whole", 1_000_000);
    let output = run(&arguments(&whole, &out));
    assert!(output.status.success(), "{}", stderr(&output));
    let straight = only_run(&out);
    let rows = fs::read_to_string(straight.join("history.csv")).unwrap();
    assert_eq!(rows.lines().count(), 4, "{rows}");

    let (broken, out) = made("broken", 2600);
    let output = run(&arguments(&broken, &out));
    assert!(!output.status.success());
    let error = stderr(&output);
    assert!(error.contains("no apply today"), "{error}");
    let run_folder = only_run(&out);
    // Two epochs were over, or one and a part of the second: batches are made
    // ahead. Their rows are there, as the whole run has them.
    let kept = fs::read_to_string(run_folder.join("history.csv")).unwrap();
    assert!(kept.lines().count() >= 2, "{kept}");
    assert!(rows.starts_with(&kept), "{kept}\n{rows}");
    let saved = run_folder.join("checkpoints");
    let last = fs::read_dir(&saved)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("update-"))
        .max()
        .unwrap();
    assert!(last.as_str() >= "update-000000010", "{last}");

    let output = run(&["--resume", text(&run_folder), "--threads", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(result(&run_folder), result(&straight), "from {last}");
}
