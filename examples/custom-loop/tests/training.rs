//! The loop learns, is repeatable, and does what its schedule says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use custom_loop::{Setup, compare, data, find_lr, run};
use firecraft_schedule::{Horizon, LrFinderConfig, Schedulers, Suggestion, register, step_value};
use firecraft_spec::{Registries, Spec};

fn short() -> Setup {
    Setup {
        epochs: 4,
        ..Setup::default()
    }
}

#[test]
fn the_digits_are_learnt_and_the_same_seed_gives_the_same_run() {
    let splits = data().unwrap();
    let reports = run(&short(), &splits).unwrap();
    assert!(reports[3].accuracy > 0.9, "{reports:?}");
    assert!(
        reports[3].train_loss < 0.5 * reports[0].train_loss,
        "{reports:?}"
    );
    assert_eq!(run(&short(), &splits).unwrap(), reports);
}

#[test]
fn the_learning_rate_is_that_of_the_schedule() {
    let mut setup = short();
    setup.schedule = Spec::new("reduce_on_plateau")
        .with("value", 0.1)
        .with("patience", 1)
        // No loss falls by that much: every evaluation but the first is a plateau.
        .with("min_delta", 100.0);
    let reports = run(&setup, &data().unwrap()).unwrap();
    let lrs: Vec<f64> = reports.iter().map(|report| report.lr).collect();
    assert_eq!(lrs, [0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1 * 0.1]);

    setup.schedule = Setup::default().schedule;
    let reports = run(&setup, &data().unwrap()).unwrap();
    let mut registries = Registries::new();
    register(&mut registries).unwrap();
    let mut schedule = registries.build::<Schedulers>(&setup.schedule).unwrap();
    let horizon = Horizon::epochs(4, 20);
    let lrs: Vec<f64> = (0..80)
        .map(|u| step_value(&mut schedule, &horizon.at(u)))
        .collect();
    for (epoch, report) in reports.iter().enumerate() {
        assert_eq!(report.lr, lrs[epoch * 20 + 19]);
    }
}

#[test]
fn a_schedule_that_does_not_fit_is_refused_before_training() {
    let mut setup = short();
    setup.schedule = Spec::new("warmup")
        .with("length", 4)
        .with("unit", "epochs")
        .with("inner", Spec::new("constant").with("value", 0.1));
    let error = run(&setup, &data().unwrap()).unwrap_err().to_string();
    assert_eq!(
        error,
        "warmup: `length` must be shorter than the run of 80 updates, got 80"
    );
}

#[test]
fn every_schedule_that_is_compared_fits_the_run() {
    let comparison = compare(1, &[0.05], 1, |_| {}).unwrap();
    assert_eq!(comparison.rows.len(), 9);
    assert!(comparison.rows.iter().all(|row| row.losses[0].is_finite()));
}

#[test]
fn the_range_test_suggests_a_rate_that_trains() {
    let config = LrFinderConfig::new().with_start(1e-5).with_smoothing(0.9);
    let finder = find_lr(&config, 1, &data().unwrap()).unwrap();
    let found = finder.suggest(Suggestion::Valley).unwrap().lr;
    assert!((1e-4..1.0).contains(&found), "{found}");
}
