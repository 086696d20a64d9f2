//! The command as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn firecraft(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_firecraft"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_parameters_of_a_type_are_printed_as_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    let out = firecraft(&["schema", "random_rotation"], folder.path());
    assert!(out.status.success(), "{}", text(&out.stderr));
    let schema: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["type", "factor"]));
    assert_eq!(schema["properties"]["fill_value"]["default"], 0.0);
    let out = firecraft(&["schema", "cosine", "--kind", "schedule"], folder.path());
    assert!(text(&out.stdout).contains("\"unit\""));
    let wrong = firecraft(&["schema", "random_rotatoin"], folder.path());
    assert!(!wrong.status.success());
    assert!(text(&wrong.stderr).contains("did you mean `random_rotation`"));
}

#[test]
fn a_schedule_is_previewed_and_drawn_from_its_spec() {
    let folder = tempfile::tempdir().unwrap();
    let spec = "type = 'warmup'\nlength = 2\ninner = { type = 'cosine', start = 0.1, length = 8 }";
    std::fs::write(folder.path().join("lr.toml"), spec).unwrap();
    let arguments = [
        "plot",
        "lr.toml",
        "--epochs",
        "5",
        "--updates-per-epoch",
        "2",
    ];
    let csv = firecraft(&[&arguments[..], &["--csv"]].concat(), folder.path());
    assert!(csv.status.success(), "{}", text(&csv.stderr));
    assert_eq!(text(&csv.stdout).lines().nth(2), Some("1,0,0.05"));
    let drawn = firecraft(
        &[&arguments[..], &["--svg", "lr.svg"]].concat(),
        folder.path(),
    );
    assert!(drawn.status.success(), "{}", text(&drawn.stderr));
    let svg = std::fs::read_to_string(folder.path().join("lr.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("warm-up"), "{svg}");
}

#[test]
fn a_learning_rate_is_suggested_from_a_recorded_curve() {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = String::from("learning_rate,loss\n");
    for i in 0..60 {
        let lr = 1e-5 * 1.25_f64.powi(i);
        csv += &format!("{lr:e},{}\n", 2.0 / (1.0 + 100.0 * lr) + 5.0 * lr * lr);
    }
    std::fs::write(folder.path().join("curve.csv"), csv).unwrap();
    let arguments = ["lr-find", "curve.csv", "--svg", "curve.svg"];
    let output = firecraft(&arguments, folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = text(&output.stdout);
    // From there on the loss is above four times the least one.
    assert!(found.starts_with("49 losses"), "{found}");
    let rate = |name: &str| -> f64 {
        let line = found.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().parse().unwrap()
    };
    // The loss falls fastest over log lr at 0.01 and is least near 0.13.
    assert!((0.005..0.02).contains(&rate("steep")), "{found}");
    assert!((0.01..0.016).contains(&rate("minimum")), "{found}");
    assert!(rate("valley") < rate("minimum"), "{found}");
    assert!(rate("slide") > 0.0, "{found}");
    let svg = std::fs::read_to_string(folder.path().join("curve.svg")).unwrap();
    assert!(svg.contains("valley") && svg.contains("steep"), "{svg}");

    std::fs::write(folder.path().join("torn.csv"), "lr,loss\n1e-3\n").unwrap();
    for (arguments, expected) in [
        (["lr-find", "no.csv"].as_slice(), "cannot read no.csv"),
        (&["lr-find", "torn.csv"], "`line 2`"),
        (
            &["lr-find", "curve.csv", "--smoothing", "1"],
            "`smoothing` must be in [0, 1), got 1",
        ),
    ] {
        let output = firecraft(arguments, folder.path());
        let message = text(&output.stderr);
        assert!(!output.status.success());
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn what_is_wrong_is_one_line_and_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), "type = 'cosin'").unwrap();
    std::fs::write(folder.path().join("torn.toml"), "type = ").unwrap();
    for (file, expected) in [
        ("bad.toml", "did you mean `cosine`"),
        ("torn.toml", "is not a spec"),
        ("none.toml", "cannot read none.toml"),
    ] {
        let output = firecraft(&["plot", file], folder.path());
        let message = text(&output.stderr);
        assert!(!output.status.success());
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn every_kind_of_type_and_the_cpu_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let types = text(&firecraft(&["types"], folder.path()).stdout);
    for name in ["he_normal", "cosine", "random_flip", "batch_norm"] {
        assert!(types.contains(name), "{types}");
    }
    let one = text(&firecraft(&["types", "norm"], folder.path()).stdout);
    assert!(!one.contains("cosine"), "{one}");
    let devices = text(&firecraft(&["devices"], folder.path()).stdout);
    assert!(devices.lines().any(|line| line == "flex"), "{devices}");
}

#[test]
fn transforms_are_previewed_together_and_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = "seed = 3\naugment = [\n  { type = 'random_flip' },\n  { type = 'invert' },\n]";
    std::fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
    let arguments = ["preview", "recipe.toml", "--tile", "32", "--variants", "2"];
    let size = |more: &[&str]| {
        let output = firecraft(&[&arguments[..], more].concat(), folder.path());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let png = std::fs::read(folder.path().join("preview.png")).unwrap();
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        (side(16), side(20))
    };
    assert_eq!(size(&[]), (104, 36));
    assert_eq!(size(&["--each"]), (104, 70));
    std::fs::write(folder.path().join("one.toml"), "type = 'random_flop'").unwrap();
    for (arguments, expected) in [
        (
            ["preview", "one.toml"].as_slice(),
            "did you mean `random_flip`",
        ),
        (
            &["preview", "recipe.toml", "--image", "no.png"],
            "cannot read no.png",
        ),
        (
            &["preview", "recipe.toml", "--image", "one.toml"],
            "neither JPEG nor PNG",
        ),
    ] {
        let output = firecraft(arguments, folder.path());
        let message = text(&output.stderr);
        assert!(
            !output.status.success() && message.contains(expected),
            "{message}"
        );
    }
}
