//! Which schedule, measured: the same network and budget, one schedule at a
//! time. The table of `docs/schedule.md` comes from here.

use crate::{Error, Setup, data, run};
use firecraft_spec::Spec;
use std::fmt;

/// One schedule at one peak.
#[derive(Clone, Debug)]
pub struct Row {
    /// The schedule.
    pub name: &'static str,
    /// The highest learning rate.
    pub peak: f64,
    /// Validation loss after the last epoch, one per seed.
    pub losses: Vec<f64>,
    /// Validation accuracy after the last epoch, one per seed.
    pub accuracies: Vec<f64>,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Epochs of each run.
    pub epochs: u64,
    /// The rows, peak by peak.
    pub rows: Vec<Row>,
}

/// Updates of an epoch: 1258 digits in batches of 64.
const UPDATES_PER_EPOCH: u64 = 20;

/// The schedules that are compared, for a peak and a length in epochs. All have
/// the same warm-up, but for those that have their own or do without.
fn schedules(peak: f64, epochs: u64) -> Vec<(&'static str, Spec)> {
    let over_run = |name: &str| Spec::new(name).with("unit", "fraction");
    let started = |name: &str| over_run(name).with("start", peak).with("length", 1.0);
    let warm = |inner: Spec| over_run("warmup").with("length", 0.1).with("inner", inner);
    let constant = || Spec::new("constant").with("value", peak);
    let plateau = Spec::new("reduce_on_plateau")
        .with("value", peak)
        .with("factor", 0.3)
        .with("patience", 2);
    let updates = (epochs * UPDATES_PER_EPOCH) as i64;
    vec![
        ("constant", constant()),
        ("constant, warm-up", warm(constant())),
        (
            "steps at 1/2 and 3/4",
            warm(
                over_run("multi_step")
                    .with("start", peak)
                    .with("milestones", vec![0.5, 0.75]),
            ),
        ),
        ("reduce on plateau", warm(plateau)),
        ("linear", warm(started("linear").with("end", 0.0))),
        ("cosine", warm(started("cosine"))),
        ("rex", warm(started("rex"))),
        (
            "warm-up, stable, decay",
            over_run("warmup_stable_decay")
                .with("peak", peak)
                .with("warmup", 0.1)
                .with("stable", 0.6)
                .with("decay", 0.3)
                .with("decay_curve", "1-sqrt"),
        ),
        (
            "one-cycle",
            Spec::new("one_cycle")
                .with("peak", peak)
                .with("length", updates),
        ),
    ]
}

/// Trains with every schedule, at each peak, once per seed.
///
/// # Errors
/// As [`run`].
pub fn compare(
    epochs: u64,
    peaks: &[f64],
    seeds: u64,
    mut finished: impl FnMut(&Row),
) -> Result<Comparison, Error> {
    let splits = data()?;
    let mut rows = Vec::new();
    for &peak in peaks {
        for (name, schedule) in schedules(peak, epochs) {
            let mut row = Row {
                name,
                peak,
                losses: Vec::new(),
                accuracies: Vec::new(),
            };
            for seed in 0..seeds {
                let setup = Setup {
                    epochs,
                    seed,
                    schedule: schedule.clone(),
                    ..Setup::default()
                };
                let reports = run(&setup, &splits)?;
                let last = reports.last().ok_or("no epoch was trained")?;
                row.losses.push(last.loss);
                row.accuracies.push(last.accuracy);
            }
            finished(&row);
            rows.push(row);
        }
    }
    Ok(Comparison { epochs, rows })
}

/// Mean and standard deviation of a sample.
fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (loss, loss_spread) = spread(&self.losses);
        let (accuracy, accuracy_spread) = spread(&self.accuracies);
        write!(
            f,
            "| {} | {} | {loss:.4} ± {loss_spread:.4} | {:.2} ± {:.2} % |",
            self.name,
            self.peak,
            100.0 * accuracy,
            100.0 * accuracy_spread
        )
    }
}
