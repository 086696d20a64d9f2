//! Bad input is one line with the remedy and a non-zero exit, and nothing that
//! existed before is touched.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use support::{only_run, run, stderr, stdout, text};

fn refused(args: &[&str], words: &[&str]) {
    let output = run(args);
    assert!(!output.status.success(), "{args:?} was accepted");
    let message = stderr(&output);
    assert_eq!(message.lines().count(), 1, "{args:?}: {message}");
    assert!(message.starts_with("error: "), "{message}");
    for word in words {
        assert!(
            message.contains(word),
            "{args:?}: no `{word}` in: {message}"
        );
    }
    assert_eq!(stdout(&output), "");
}

/// Every file below a folder with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

/// A short finished run.
fn finished() -> (tempfile::TempDir, PathBuf) {
    let out = tempfile::tempdir().unwrap();
    let output = run(&["--smoke", "--out", text(out.path())]);
    assert!(output.status.success(), "{}", stderr(&output));
    let folder = only_run(out.path());
    (out, folder)
}

/// The published files of the digits.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/data/assets")
}

fn copy_of_data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}

const IMAGES: &str = "digits-images-idx3-ubyte.gz";

#[test]
fn a_smoke_run_prints_the_accuracy_and_the_report_last() {
    let out = tempfile::tempdir().unwrap();
    let output = run(&["--smoke", "--out", text(out.path())]);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("test accuracy ") && lines[0].ends_with(" %"));
    assert!(Path::new(lines[1]).is_file(), "{printed}");
    let history = std::fs::read_to_string(only_run(out.path()).join("history.csv")).unwrap();
    assert_eq!(history.lines().count(), 5, "a row per step");
}

#[test]
fn callbacks_clipping_and_mixing_of_a_recipe_take_effect() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    assert!(run(&["--smoke", "--out", text(&plain)]).status.success());
    let plain = only_run(&plain);
    let history = |run: &Path| std::fs::read_to_string(run.join("history.csv")).unwrap();
    let recipe = std::fs::read_to_string(plain.join("recipe.toml")).unwrap();
    for (index, line) in [
        "callbacks = [{ type = \"jsonl_logger\" }]",
        "clip = { type = \"global_norm\", max = 1e-3 }",
        "mixing = { mixup_alpha = 1.0 }",
    ]
    .into_iter()
    .enumerate()
    {
        let written = folder.path().join(format!("{index}.toml"));
        let other = recipe.replace("callbacks = []", "");
        std::fs::write(&written, format!("{line}\n{other}")).unwrap();
        let out = folder.path().join(index.to_string());
        let output = run(&["--recipe", text(&written), "--out", text(&out)]);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        let changed = only_run(&out);
        assert_eq!(changed.join("log.jsonl").exists(), index == 0, "{line}");
        assert_eq!(history(&changed) == history(&plain), index == 0, "{line}");
    }
}

#[test]
fn a_range_test_suggests_rates_and_leaves_its_curve() {
    let out = tempfile::tempdir().unwrap();
    let output = run(&["--lr-find", "--out", text(out.path())]);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    let valley = printed.lines().find(|line| line.starts_with("valley"));
    let rate: f64 = valley.unwrap()[6..].trim().parse().unwrap();
    assert!((1e-5..0.1).contains(&rate), "{printed}");
    let folder = only_run(out.path());
    let csv = std::fs::read_to_string(folder.join("lr-find.csv")).unwrap();
    assert!(csv.starts_with("learning_rate,loss\n1e-6,"), "{csv}");
    let chart = folder.join("lr-find.svg");
    assert_eq!(printed.lines().last(), Some(text(&chart)));
    assert!(std::fs::read_to_string(chart).unwrap().contains("valley"));
}

#[test]
fn every_technique_can_be_left_out() {
    let out = tempfile::tempdir().unwrap();
    for technique in ["norm", "init", "schedule", "augment"] {
        let output = run(&["--smoke", "--without", technique, "--out", text(out.path())]);
        assert!(output.status.success(), "{technique}: {}", stderr(&output));
    }
}

#[test]
fn an_unknown_device_or_one_that_is_not_compiled_in_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let out = text(out.path());
    refused(&["--device", "abacus", "--out", out], &["abacus"]);
    if !cfg!(feature = "cuda") {
        refused(&["--device", "cuda:1", "--out", out], &["cuda", "feature"]);
    }
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 0);
}

#[test]
fn missing_corrupt_and_truncated_data_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let out = text(out.path());
    let absent = tempfile::tempdir().unwrap();
    refused(&["--data", text(absent.path()), "--out", out], &[IMAGES]);

    let truncated = copy_of_data();
    let path = truncated.path().join(IMAGES);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(&["--data", text(truncated.path()), "--out", out], &[IMAGES]);

    std::fs::write(&path, b"these are no digits").unwrap();
    refused(&["--data", text(truncated.path()), "--out", out], &[IMAGES]);
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 0);
}

#[test]
fn the_users_own_copy_of_the_data_is_as_good_as_the_embedded_one() {
    let (_a, embedded) = finished();
    let own = copy_of_data();
    let out = tempfile::tempdir().unwrap();
    let output = run(&[
        "--smoke",
        "--data",
        text(own.path()),
        "--out",
        text(out.path()),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        support::result(&only_run(out.path())),
        support::result(&embedded)
    );
}

#[test]
fn a_run_folder_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"in the way").unwrap();
    // A file where a folder should be stops the superuser too.
    refused(
        &["--smoke", "--out", text(&file.join("runs"))],
        &["file/runs", "choose"],
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"in the way");
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refused(&["--resume", text(folder.path())], &["recipe.toml"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn resuming_with_another_recipe_is_refused_and_changes_nothing() {
    let (_out, folder) = finished();
    let before = contents(&folder);
    for (flags, field) in [
        (&["--seed", "9"][..], "`seed`"),
        (&["--epochs", "99"], "`epochs`"),
        (&["--batch-size", "7"], "`batch_size`"),
        (&["--without", "norm"], "`norm.type`"),
        (&["--without", "augment"], "`augment`"),
    ] {
        let mut args = vec!["--resume", text(&folder)];
        args.extend(flags);
        refused(&args, &[field, "drop the difference or start a new run"]);
    }
    assert_eq!(contents(&folder), before);
}

#[test]
fn resuming_the_run_of_another_model_is_refused_and_changes_nothing() {
    let (_out, folder) = finished();
    let path = folder.join("recipe.toml");
    let recipe = std::fs::read_to_string(&path).unwrap();

    std::fs::write(&path, recipe.replace("digit_net", "perceptron")).unwrap();
    let before = contents(&folder);
    refused(
        &["--resume", text(&folder)],
        &["`model.type`", "perceptron"],
    );
    assert_eq!(contents(&folder), before);

    // The same family with another width: only the weights tell.
    std::fs::write(&path, recipe.replace("[4, 4, 8]", "[4, 8, 8]")).unwrap();
    let before = contents(&folder);
    refused(&["--resume", text(&folder)], &["another model"]);
    assert_eq!(contents(&folder), before);
}

#[test]
fn a_damaged_recipe_is_refused() {
    let (_out, folder) = finished();
    std::fs::write(folder.join("recipe.toml"), "seed = ").unwrap();
    refused(
        &["--resume", text(&folder)],
        &["recipe.toml` is damaged", "line 1", "restore the file"],
    );
}

#[test]
fn a_mistake_in_a_recipe_of_ones_own_is_answered_with_its_line_and_what_is_allowed() {
    let (_out, folder) = finished();
    let recipe = std::fs::read_to_string(folder.join("recipe.toml")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let written = out.path().join("mine.toml");
    let runs = out.path().join("runs");
    let line = 1 + recipe
        .lines()
        .position(|line| line.starts_with("epochs ="))
        .unwrap();
    std::fs::write(&written, recipe.replacen("epochs =", "epcohs =", 1)).unwrap();
    let args = ["--recipe", text(&written), "--out", text(&runs)];
    let line = format!("mine.toml`, line {line}: `epcohs`");
    refused(
        &args,
        &[&line, "did you mean `epochs`?", "correct it there"],
    );
    assert!(!runs.exists());
}
