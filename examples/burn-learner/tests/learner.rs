//! burn's `Learner` does to our schedule what a hand-written loop would.

use burn_learner::{EpochReport, Setup, train};
use firecraft_schedule::{Horizon, Scheduler as _};
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

#[test]
fn the_learning_rate_warms_up_and_follows_the_validation_loss() {
    let _alone = alone();
    let setup = setup();
    let (_folder, reports) = run(&setup);
    assert_eq!(reports.len(), 8);
    let mut schedule = setup.schedule().unwrap();
    let horizon = Horizon::epochs(8, UPDATES_PER_EPOCH);
    let mut metric = None;
    for (epoch, report) in (0..).zip(&reports) {
        let mut lr = [0.0; 2];
        for update in epoch * UPDATES_PER_EPOCH..(epoch + 1) * UPDATES_PER_EPOCH {
            let mut context = horizon.at(update);
            context.metric = metric.take();
            schedule.step(&context, &mut lr);
        }
        metric = Some(report.loss);
        assert_eq!([report.body_lr, report.head_lr], lr, "epoch {epoch}");
    }
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

#[test]
#[should_panic(expected = "the schedule follows `Recall` of the valid split")]
fn a_metric_that_the_training_lacks_is_not_passed_over_in_silence() {
    let _alone = alone();
    let mut setup = setup();
    setup.metric = "Recall".to_owned();
    run(&setup);
}
