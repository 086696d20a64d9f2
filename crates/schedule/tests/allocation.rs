//! No step allocates. In a test binary of its own: counting replaces the global
//! allocator.

use allocation_counter::measure;
use firecraft_key::Key;
use firecraft_schedule::{
    Combine, Combined, CosineConfig, GreedyConfig, JitterConfig, OneCycleConfig, Pure,
    ReduceOnPlateauConfig, RepeatConfig, ScheduleError, Scheduler, SchedulerExt, Schedulers,
    Sequence, Slot, Slots, StepContext, Unit, register,
};
use firecraft_spec::{Registries, Spec};
use std::hint::black_box;

fn steps_without_allocating(name: &str, mut scheduler: impl Scheduler) {
    let mut out = vec![0.0; scheduler.width()];
    // Entering a part may happen at any step; none of them may allocate.
    let allocated = measure(|| {
        for update in 0..2_000 {
            let mut context = StepContext::at(update).with_epoch(update / 10);
            context.total_updates = Some(2_000);
            context.updates_per_epoch = Some(10);
            if update % 10 == 0 {
                context.metric = Some(1.0);
            }
            scheduler.step(&context, &mut out);
        }
    });
    assert_eq!(allocated.count_total, 0, "{name}");
}

#[test]
fn the_counter_counts() {
    let allocated = measure(|| drop(black_box(Box::new(1))));
    assert_eq!(allocated.count_total, 1);
}

#[test]
fn no_step_allocates() -> Result<(), ScheduleError> {
    let cosine = || Ok::<_, ScheduleError>(Pure::updates(CosineConfig::new(0.1, 1_000.0).init()?));
    let plateau = || ReduceOnPlateauConfig::new(1.0).init();
    steps_without_allocating("warmup", cosine()?.warmup(100.0)?);
    steps_without_allocating("plateau", plateau()?);
    let greedy = GreedyConfig::new(0.1).with_window(7u64).with_patience(1u64);
    steps_without_allocating("greedy", greedy.init()?);
    let parts = vec![cosine()?.boxed(), plateau()?.boxed()];
    steps_without_allocating("product", Combined::new(Combine::Product, parts)?);
    let sequence = Sequence::new(Unit::Epochs)
        .then(plateau()?, 50.0)?
        .then(cosine()?, 50.0)?
        .last(plateau()?)?;
    steps_without_allocating("sequence", sequence);
    let cycle = OneCycleConfig::new(0.1, 2_000.0);
    let slots = Slots::new()
        .with(Slot::default(), Pure::updates(cycle.init()?))
        .with(
            Slot::new(Slot::MOMENTUM),
            Pure::updates(cycle.momentum(0.8, 0.9).init()?),
        );
    steps_without_allocating("slots", slots);
    let jitter = JitterConfig::new().init(cosine()?, Key::from_seed(1))?;
    steps_without_allocating("jitter", jitter);
    steps_without_allocating("groups", cosine()?.per_group([("a", 1.0), ("b", 0.1)])?);
    let boxed = plateau()?.boxed().warmup(100.0)?.boxed();
    let groups = boxed.per_group([("a", 1.0), ("b", 0.1)])?;
    steps_without_allocating("groups of a boxed warm-up of a boxed plateau", groups);
    steps_without_allocating("map", cosine()?.clamp(0.01, 0.05)?.invert(0.0, 0.1)?);
    // A new round restores a state, which closed forms do for nothing.
    steps_without_allocating("repeat", RepeatConfig::new(500.0).init(cosine()?)?);

    let mut registries = Registries::new();
    register(&mut registries)?;
    let spec: Spec = toml::from_str(
        "type = 'timm.CosineLRScheduler'\nbase_lr = 0.1\nt_initial = 50\nwarmup_t = 5\n\
         cycle_limit = 4\ncycle_mul = 1.5",
    )
    .map_err(|error| ScheduleError::from(firecraft_spec::SpecError::invalid(error)))?;
    steps_without_allocating("timm", registries.build::<Schedulers>(&spec)?);
    Ok(())
}
