//! The checks of schedulers.

use firecraft_plugin::abi::StepContext as AbiContext;
use firecraft_schedule::{Scheduler, State, StepContext};
use firecraft_spec::Spec;

use super::{Check, Done, Outcome, guarded::Guarded};
use crate::{Plugin, PluginScheduler, scheduler::to_abi, sink::Collector};

pub(super) const CHECKS: [Check; 5] = [
    // First, as for transforms.
    ("memory is written as laid out", bounds),
    ("values are finite and the same every time", same_values),
    ("a restored state goes on alike", round_trip),
    ("damaged states are refused or survived", damaged),
    ("instances come and go", instances),
];

const STEPS: u64 = 400;

fn build(plugin: &Plugin, spec: &Spec) -> Result<PluginScheduler, String> {
    plugin
        .scheduler(spec)
        .map_err(|error| format!("{error}; give parameters that work in the schema's `examples`"))
}

/// A run of ten epochs with a metric that falls, stalls and jumps.
fn context(update: u64) -> StepContext {
    let mut context = StepContext::at(update);
    context.epoch = update / 40;
    context.total_updates = Some(STEPS);
    context.updates_per_epoch = Some(40);
    if update.is_multiple_of(40) && update > 0 {
        let epoch = (update / 40) as f64;
        let metric = if update == 240 {
            3.0
        } else {
            1.0 / epoch.min(4.0)
        };
        return context.with_metric(metric);
    }
    context
}

fn step(scheduler: &mut PluginScheduler, update: u64) -> Result<u64, String> {
    let mut values = [0.0; 3];
    scheduler.step(&context(update), &mut values);
    if let Some(failure) = scheduler.failure() {
        return Err(failure.to_string());
    }
    if values
        .iter()
        .any(|value| value.to_bits() != values[0].to_bits())
    {
        return Err("three groups get different values from a single-valued scheduler".to_owned());
    }
    Ok(values[0].to_bits())
}

fn all(scheduler: &mut PluginScheduler, updates: std::ops::Range<u64>) -> Result<Vec<u64>, String> {
    updates.map(|update| step(scheduler, update)).collect()
}

/// Steps, saves and loads on arrays that end at closed pages.
fn bounds(plugin: &Plugin, spec: &Spec) -> Outcome {
    for count in [1, 3, 17] {
        let scheduler = build(plugin, spec)?;
        for update in 0..60 {
            step_raw(&scheduler, update, count)?;
        }
        load_raw(&build(plugin, spec)?, save_raw(&scheduler)?)?;
    }
    Ok(Done::Passed)
}

fn step_raw(scheduler: &PluginScheduler, update: u64, count: usize) -> Result<(), String> {
    let Some(step) = scheduler.table().step else {
        return Err("its function `step` is NULL".to_owned());
    };
    let room = |bytes| Guarded::new(bytes).map_err(|error| error.to_string());
    let (lent, mut values) = (
        room(size_of::<AbiContext>())?,
        room(count * size_of::<f64>())?,
    );
    // No number, so that a value that is left out shows.
    values.bytes_mut().fill(0xFF);
    let place = lent.as_ptr().cast::<AbiContext>();
    // SAFETY: room for a context, which ends at a page and so is aligned.
    unsafe { place.write(to_abi(&context(update))) };
    let start = values.as_ptr().cast();
    scheduler
        .instance()
        .call("step", |instance, error| {
            // SAFETY: a context and as many values as it says, for the call.
            unsafe { step(instance, place, start, count, error.as_ptr()) }
        })
        .map_err(|error| error.to_string())?;
    if !lent.is_whole() || !values.is_whole() {
        return Err("`step` wrote before the start of an array".to_owned());
    }
    let (written, _) = values.bytes().as_chunks();
    let finite = |value: &[u8; 8]| f64::from_ne_bytes(*value).is_finite();
    match written.iter().position(|value| !finite(value)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "`step` leaves value {at} of {count} without a finite number at update {update}"
        )),
    }
}

fn save_raw(scheduler: &PluginScheduler) -> Result<Option<Vec<u8>>, String> {
    let Some(save) = scheduler.table().save else {
        return Ok(None);
    };
    let mut state = Collector::new(16 << 20);
    scheduler
        .instance()
        .call("save", |instance, error| {
            let sink = state.lend();
            // SAFETY: sinks that live as long as the call.
            unsafe { save(instance, sink.as_ptr(), error.as_ptr()) }
        })
        .map_err(|error| error.to_string())?;
    Ok(state.bytes())
}

fn load_raw(scheduler: &PluginScheduler, state: Option<Vec<u8>>) -> Result<(), String> {
    let (Some(state), Some(load)) = (state, scheduler.table().load) else {
        return Ok(());
    };
    let version = scheduler.instance().class().state_version();
    let lent = Guarded::of(&state).map_err(|error| error.to_string())?;
    scheduler
        .instance()
        .call("load", |instance, error| {
            // SAFETY: readable bytes and a sink, for the call.
            unsafe {
                load(
                    instance,
                    version,
                    lent.as_ptr(),
                    state.len(),
                    error.as_ptr(),
                )
            }
        })
        .map_err(|error| error.to_string())?;
    if lent.is_whole() && lent.bytes() == state {
        Ok(())
    } else {
        Err("`load` wrote to the state that it reads".to_owned())
    }
}

fn same_values(plugin: &Plugin, spec: &Spec) -> Outcome {
    let first = all(&mut build(plugin, spec)?, 0..STEPS)?;
    let second = all(&mut build(plugin, spec)?, 0..STEPS)?;
    if first == second {
        Ok(Done::Passed)
    } else {
        Err("two instances of the same parameters give different values".to_owned())
    }
}

fn state(scheduler: &PluginScheduler) -> Result<State, String> {
    let state = scheduler.state();
    match state.failure() {
        Some(reason) => Err(reason.to_owned()),
        None => Ok(state),
    }
}

fn round_trip(plugin: &Plugin, spec: &Spec) -> Outcome {
    for stop in [0, 1, 39, 40, 41, 100, 241, 399] {
        let mut straight = build(plugin, spec)?;
        all(&mut straight, 0..stop)?;
        let saved = state(&straight)?;
        if state(&straight)? != saved {
            return Err("saving twice gives two states".to_owned());
        }
        let mut restored = build(plugin, spec)?;
        // Restoring replaces whatever was there before.
        all(&mut restored, 0..7)?;
        restored
            .restore(&saved)
            .map_err(|error| error.to_string())?;
        if all(&mut straight, stop..STEPS)? != all(&mut restored, stop..STEPS)? {
            return Err(format!(
                "after a restart at update {stop} it gives other values"
            ));
        }
    }
    Ok(Done::Passed)
}

/// A state that is no state may be refused; what must not happen is a crash.
fn damaged(plugin: &Plugin, spec: &Spec) -> Outcome {
    let mut scheduler = build(plugin, spec)?;
    all(&mut scheduler, 0..50)?;
    let saved = state(&scheduler)?;
    let Some(hex) = saved.values.as_table().and_then(|t| t.get("hex")?.as_str()) else {
        return Ok(Done::Skipped("it has no state".to_owned()));
    };
    let cut = hex.get(..hex.len() / 4 * 2).unwrap_or_default();
    for damaged in ["", "00", "ff", cut, &format!("{hex}ff"), &"5b".repeat(999)] {
        let mut other = build(plugin, spec)?;
        let state = State::new(&saved.type_name, saved.version).with("hex", damaged);
        let refused = other.restore(&state).is_err();
        if !refused {
            step(&mut other, 50)?;
        }
    }
    let later = State::new(&saved.type_name, saved.version + 1000).with("hex", hex);
    match build(plugin, spec)?.restore(&later) {
        Err(_) => Ok(Done::Passed),
        Ok(()) => Err("a state of a later version is taken for one of this".to_owned()),
    }
}

fn instances(plugin: &Plugin, spec: &Spec) -> Outcome {
    for _ in 0..1000 {
        drop(build(plugin, spec)?);
    }
    Ok(Done::Passed)
}
