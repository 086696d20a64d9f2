//! The model of this example, written for burn-train, in firecraft's `Trainer`:
//! nothing of it is changed, and a run of it can be stopped anywhere.

use burn::tensor::{Device, Tensor};
use burn::train::metric::AccuracyMetric;
use burn_learner::DigitNet;
use firecraft_data::{BatchTensors, Digits, LoaderConfig};
use firecraft_key::Key;
use firecraft_trainer::callbacks::{Checkpoint, Lambda};
use firecraft_trainer::checkpoint::CheckpointStore;
use firecraft_trainer::{
    BatchSource, BurnTask, Context, Control, Event, Fitted, Labelled, LoaderSource, ModelState,
    Outcome, Sgd, Targets, Trainer, TrainerError,
};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// burn's generator is one for the process: two runs at a time would draw from
/// each other's.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const EPOCHS: u64 = 5;
/// 1258 digits in batches of 64.
const UPDATES_PER_EPOCH: u64 = 20;

/// What the model takes, of what the trainer's loader gives.
fn for_burn(batch: Labelled<Tensor<4>>, _: Key) -> Result<BatchTensors, TrainerError> {
    match batch.targets {
        Targets::Classes(labels) => Ok(BatchTensors {
            images: batch.inputs,
            labels,
            weights: batch.weights,
        }),
        _ => Err(TrainerError::Data {
            split: "training",
            problem: "the digits have classes".to_owned(),
        }),
    }
}

type Run = Trainer<DigitNet, BurnTask<DigitNet>>;

fn fit(folder: &Path, weights: u64, change: impl FnOnce(Run) -> Run) -> Fitted<DigitNet> {
    let digits = Digits::split(Key::from_seed(0)).unwrap();
    let train = LoaderConfig::new(64).shuffled().with_seed(1);
    let train = LoaderSource::new(train.init(digits.train).unwrap()).unwrap();
    let valid = LoaderConfig::new(180).init(digits.validation).unwrap();
    let valid = LoaderSource::new(valid).unwrap();

    let device = Device::flex().autodiff();
    device.seed(weights);
    let model = DigitNet::new(&device);
    let task = BurnTask::new(|batch: &BatchTensors| batch.labels.dims()[0])
        .metric("accuracy", AccuracyMetric::new());
    let store = CheckpointStore::open(folder.join("checkpoints")).unwrap();
    let trainer = Trainer::new(model, Sgd::torch().with_momentum(0.9))
        .task(task)
        .learning_rate(0.1)
        .epochs(EPOCHS)
        .seed(3)
        .checkpoints(store.clone())
        .callback(Checkpoint::new(store).every_updates(1).keep_last(2));
    change(trainer)
        .fit(
            train.map_batches(3, "for_burn", for_burn),
            valid.map_batches(3, "for_burn", for_burn),
        )
        .unwrap()
}

fn digest(fitted: &Fitted<DigitNet>) -> String {
    ModelState::of(&fitted.model).digest()
}

#[test]
fn a_model_of_burn_train_learns_in_our_trainer_and_resumes_with_the_same_bits() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let straight = fit(folder.path(), 1, |trainer| trainer);
    assert_eq!(straight.progress.update, EPOCHS * UPDATES_PER_EPOCH);
    let losses: Vec<f64> = straight
        .history
        .rows()
        .iter()
        .map(|row| row.metrics.get("val_loss").unwrap())
        .collect();
    let last = straight.history.last().unwrap();
    assert!(losses[losses.len() - 1] < 0.5 * losses[0], "{losses:?}");
    assert!(last.metrics.get("val_accuracy").unwrap() > 85.0, "{last:?}");

    // After the first update, within an epoch, at the end of one, at the last but
    // one update.
    for cut in [1, 30, 2 * UPDATES_PER_EPOCH, EPOCHS * UPDATES_PER_EPOCH - 1] {
        let folder = tempfile::tempdir().unwrap();
        let stop = Lambda::new(
            "stop",
            move |event: &Event<'_>, context: &Context<'_>| match event {
                Event::UpdateEnd(_) if context.progress.update == cut => Control::Interrupt {
                    reason: "cut".into(),
                },
                _ => Control::Continue,
            },
        );
        let first = fit(folder.path(), 1, |trainer| trainer.callback(stop));
        assert!(
            matches!(first.outcome, Outcome::Interrupted { .. }),
            "cut at {cut}: {:?}",
            first.outcome
        );
        assert_ne!(digest(&first), digest(&straight), "cut at {cut}");
        // Another process has other weights at first.
        let rest = fit(folder.path(), 2, Run::resume);
        assert_eq!(rest.progress.update, straight.progress.update);
        assert_eq!(rest.history, straight.history, "cut at {cut}");
        assert_eq!(digest(&rest), digest(&straight), "cut at {cut}");
    }
}
