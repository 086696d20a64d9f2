//! The cost of one step. For scale: torch's `OneCycleLR.step` takes 2.8 to
//! 5.3 microseconds.

// Nobody documents a benchmark's entry point.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use firecraft_schedule::{
    BoxScheduler, CosineConfig, OneCycleConfig, Pure, ReduceOnPlateauConfig, ScheduleError,
    Scheduler, SchedulerExt, StepContext,
};
use std::hint::black_box;

fn bench(criterion: &mut Criterion, name: &str, mut scheduler: impl Scheduler, metric: bool) {
    let mut update = 0;
    let mut out = vec![0.0; scheduler.width()];
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut context = StepContext::at(update % 10_000);
            if metric {
                context.metric = Some(1.0 / (update % 97) as f64);
            }
            update += 1;
            scheduler.step(black_box(&context), &mut out);
            black_box(out[0])
        });
    });
}

fn steps(criterion: &mut Criterion) -> Result<(), ScheduleError> {
    let cosine = || CosineConfig::new(0.1, 9_000.0).init().map(Pure::updates);
    bench(criterion, "cosine", cosine()?, false);
    bench(
        criterion,
        "warmup+cosine",
        cosine()?.warmup(1_000.0)?,
        false,
    );
    let boxed: BoxScheduler = cosine()?.boxed().warmup(1_000.0)?.boxed();
    bench(criterion, "warmup+cosine, boxed twice", boxed, false);
    let cycle = OneCycleConfig::new(0.1, 10_000.0).init()?;
    bench(criterion, "one-cycle", Pure::updates(cycle), false);
    let plateau = || ReduceOnPlateauConfig::new(0.1).with_factor(0.999).init();
    bench(criterion, "plateau, no metric", plateau()?, false);
    bench(criterion, "plateau, metric at every step", plateau()?, true);
    let composed = cosine()?.warmup(1_000.0)?.times(plateau()?)?;
    bench(criterion, "warmup+cosine times plateau", composed, true);
    Ok(())
}

fn all(criterion: &mut Criterion) {
    if let Err(error) = steps(criterion) {
        panic!("{error}");
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
