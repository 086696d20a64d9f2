//! burn's `Learner` does to our schedule what a hand-written loop would.

use burn_learner::{EpochReport, Setup, train, updates_per_epoch};
use firecraft_data::{Digits, LoaderConfig};
use firecraft_schedule::{Horizon, ReduceOnPlateauConfig, Scheduler as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// burn's generator is one for the process: two runs at a time would draw from
/// each other's.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 1258 digits in batches of 64.
const UPDATES_PER_EPOCH: u64 = 20;

/// A plateau that is called often, in a short run.
fn setup() -> Setup {
    let mut setup = Setup {
        epochs: 8,
        ..Setup::default()
    };
    setup.plateau = setup.plateau.with_patience(1u64).with_min_delta(0.05);
    setup
}

fn run(setup: &Setup) -> (tempfile::TempDir, Vec<EpochReport>) {
    let folder = tempfile::tempdir().unwrap();
    let reports = train(setup, folder.path(), None).unwrap();
    (folder, reports)
}

/// The learning rates of a run are those of its schedule, which is stepped by
/// hand here: once per update, with the validation loss after each epoch.
fn follows(setup: &Setup, updates_per_epoch: u64, reports: &[EpochReport]) {
    assert_eq!(reports.len(), setup.epochs);
    let mut schedule = setup.schedule().unwrap();
    let horizon = Horizon::epochs(setup.epochs as u64, updates_per_epoch);
    let mut metric = None;
    for (epoch, report) in (0..).zip(reports) {
        let mut lr = [0.0; 2];
        for update in epoch * updates_per_epoch..(epoch + 1) * updates_per_epoch {
            let mut context = horizon.at(update);
            context.metric = metric.take();
            schedule.step(&context, &mut lr);
        }
        metric = Some(report.loss);
        assert_eq!([report.body_lr, report.head_lr], lr, "epoch {epoch}");
    }
}

#[test]
fn the_learning_rate_warms_up_and_follows_the_validation_loss() {
    let _alone = alone();
    let setup = setup();
    let (_folder, reports) = run(&setup);
    follows(&setup, UPDATES_PER_EPOCH, &reports);
    let body: Vec<f64> = reports.iter().map(|report| report.body_lr).collect();
    assert!(
        body[0] < body[1] && body[1] < body[2],
        "no warm-up: {body:?}"
    );
    assert!(body[7] < 0.5 * body[2], "no reduction: {body:?}");
    assert!(reports[7].accuracy > 90.0, "{reports:?}");
}

#[test]
fn a_run_resumed_from_burns_checkpoint_has_the_same_learning_rates() {
    let _alone = alone();
    let setup = setup();
    let (_folder, whole) = run(&setup);
    let (folder, first) = run(&Setup {
        epochs: 4,
        ..setup.clone()
    });
    let rest = train(&setup, folder.path(), Some(4)).unwrap();
    let numbers: Vec<usize> = rest.iter().map(|report| report.number).collect();
    assert_eq!(numbers, [5, 6, 7, 8]);
    assert_eq!([first, rest].concat(), whole);
}

/// 1258 digits in two shares of 629, cut from batches of 64. The first worker has
/// nine whole batches and 53 digits of the tenth, ten in all; the second one the
/// other 11 digits, nine whole batches and the last 42, eleven in all. burn makes
/// one update of one batch from each worker, the last one from the second alone.
const UPDATES_OF_TWO_WORKERS: u64 = 11;

/// burn adds the workers' gradients: half the learning rate is their mean.
fn two_workers() -> Setup {
    let mut setup = setup();
    setup.workers = 2;
    setup.plateau = ReduceOnPlateauConfig::new(0.15)
        .with_factor(0.3)
        .with_patience(1u64)
        .with_min_delta(0.05);
    setup
}

#[test]
fn two_workers_share_out_an_epoch_and_step_the_schedule_once_per_common_update() {
    let _alone = alone();
    let setup = two_workers();
    let (_folder, reports) = run(&setup);
    follows(&setup, UPDATES_OF_TWO_WORKERS, &reports);
    // Warm-up ends after two epochs: 22 updates, of which 11 and 22 are done.
    let body: Vec<f64> = reports.iter().map(|report| report.body_lr).collect();
    assert!((body[0] - 0.15 * 10.0 / 22.0).abs() < 1e-12, "{body:?}");
    assert!((body[1] - 0.15 * 21.0 / 22.0).abs() < 1e-12, "{body:?}");
    assert!(body[7] < 0.5 * body[2], "no reduction: {body:?}");
    assert!(reports[7].accuracy > 90.0, "{reports:?}");
}

#[test]
fn a_resumed_run_of_two_workers_has_the_same_learning_rates() {
    let _alone = alone();
    let setup = two_workers();
    let (_folder, whole) = run(&setup);
    let (folder, first) = run(&Setup {
        epochs: 4,
        ..setup.clone()
    });
    let rest = train(&setup, folder.path(), Some(4)).unwrap();
    assert_eq!([first, rest].concat(), whole);
}

#[test]
fn the_updates_of_an_epoch_are_the_batches_of_the_largest_share() {
    let digits = Digits::split(firecraft_key::Key::from_seed(0)).unwrap();
    let loader = LoaderConfig::new(64).init(digits.train).unwrap();
    assert_eq!(loader.samples(), 1258);
    for (workers, updates) in [(0, 20), (1, 20), (2, UPDATES_OF_TWO_WORKERS), (3, 8)] {
        assert_eq!(updates_per_epoch(&loader, workers).unwrap(), updates);
    }
}

#[test]
#[should_panic(expected = "the schedule follows `Recall` of the valid split")]
fn a_metric_that_the_training_lacks_is_not_passed_over_in_silence() {
    let _alone = alone();
    let mut setup = setup();
    setup.metric = "Recall".to_owned();
    run(&setup);
}
