//! A scheduler of a plugin as a scheduler of firecraft.

use std::sync::Arc;

use firecraft_plugin::abi::{SchedulerTable, StepContext as AbiContext, StepFlags};
use firecraft_schedule::{ScheduleError, Scheduler, State, StepContext};

use crate::{
    ClassInfo, PluginError, class::Functions, instance::Instance, output::Fenced, sink::Collector,
};

/// The largest state that is taken from a plugin, in bytes.
const STATE_LIMIT: usize = 16 << 20;

/// A scheduler that a plugin implements.
///
/// [`Scheduler::step`] can't fail, so after a failing step the values are NaN,
/// which no trainer takes for a learning rate, and
/// [`failure`](PluginScheduler::failure) says why. A plugin that fills in a
/// value that is not finite fails, too.
#[derive(Debug)]
pub struct PluginScheduler {
    instance: Instance,
    table: SchedulerTable,
    failure: Option<PluginError>,
    checked: bool,
}

impl PluginScheduler {
    /// Makes one from parameters, a JSON object.
    ///
    /// # Errors
    /// If the class is no scheduler, or refuses the parameters.
    pub(crate) fn new(
        class: Arc<ClassInfo>,
        params: &str,
        checked: bool,
    ) -> Result<Self, PluginError> {
        let Functions::Scheduler(table) = class.functions else {
            return Err(class.wrong("it is not a scheduler"));
        };
        Ok(Self {
            instance: Instance::new(class, params)?,
            table,
            failure: None,
            checked,
        })
    }

    /// Why the values are NaN, after a failing step.
    pub fn failure(&self) -> Option<&PluginError> {
        self.failure.as_ref()
    }

    pub(crate) fn table(&self) -> &SchedulerTable {
        &self.table
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    fn try_step(&self, context: &StepContext, out: &mut [f64]) -> Result<(), PluginError> {
        let Some(step) = self.table.step else {
            return Ok(());
        };
        let context = to_abi(context);
        // What the plugin leaves out must not look like a value.
        out.fill(f64::NAN);
        let mut fenced = self.checked.then(|| Fenced::new(f64::NAN, out.len(), true));
        let (values, count) = match &mut fenced {
            Some(fenced) => (fenced.start(), fenced.len()),
            None => (out.as_mut_ptr(), out.len()),
        };
        self.instance.call("step", |instance, error| {
            // SAFETY: context, values and sink live as long as the call, and
            // `&mut self` of the caller keeps other calls away.
            unsafe { step(instance, &context, values, count, error.as_ptr()) }
        })?;
        if let Some(fenced) = fenced {
            let class = self.instance.class();
            let written = fenced.finish();
            out.copy_from_slice(
                &written.ok_or_else(|| {
                    class.wrong(format!("`step` wrote beside its {count} values"))
                })?,
            );
        }
        match out.iter().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(value) => Err(self
                .instance
                .class()
                .wrong(format!("`step` gave {value} at update {}", context.update))),
        }
    }

    fn try_state(&self) -> Result<State, PluginError> {
        let class = self.instance.class();
        let state = State::new(class.name(), class.state_version());
        let Some(save) = self.table.save else {
            return Ok(state);
        };
        let mut bytes = Collector::new(STATE_LIMIT);
        self.instance.call("save", |instance, error| {
            let sink = bytes.lend();
            // SAFETY: the sinks live as long as the call; no other call runs on
            // an instance that is not THREAD_SHARED.
            unsafe { save(instance, sink.as_ptr(), error.as_ptr()) }
        })?;
        let bytes = bytes
            .bytes()
            .ok_or_else(|| class.wrong(format!("its state is larger than {STATE_LIMIT} bytes")))?;
        Ok(state.with(HEX, to_hex(&bytes)))
    }
}

/// The field of a saved state: its bytes as hexadecimal digits.
const HEX: &str = "hex";
/// What is saved when the plugin could not: restoring it fails with the reason.
const FAILURE: &str = "failure";

impl Scheduler for PluginScheduler {
    fn step(&mut self, context: &StepContext, out: &mut [f64]) {
        if self.failure.is_none() {
            self.failure = self.try_step(context, out).err();
        }
        if self.failure.is_some() {
            out.fill(f64::NAN);
        }
    }

    fn state(&self) -> State {
        let failed = |error: &PluginError| {
            let class = self.instance.class();
            State::new(class.name(), class.state_version()).with(FAILURE, error.to_string())
        };
        match &self.failure {
            Some(failure) => failed(failure),
            None => self.try_state().unwrap_or_else(|error| failed(&error)),
        }
    }

    fn restore(&mut self, state: &State) -> Result<(), ScheduleError> {
        // The plugin decides which versions it reads.
        let reader = state.open(self.instance.class().name(), state.version)?;
        if let Some(failure) = reader.get::<Option<String>>(FAILURE)? {
            return Err(reader.damaged(format!("it could not be saved: {failure}")));
        }
        let Some(load) = self.table.load else {
            return Ok(());
        };
        let bytes = reader.get::<Option<String>>(HEX)?;
        let bytes = bytes
            .and_then(|hex| from_hex(&hex))
            .ok_or_else(|| reader.damaged("expected hexadecimal digits in `hex`"))?;
        self.instance
            .call("load", |instance, error| {
                // SAFETY: the bytes and the sink live as long as the call, and
                // `&mut self` keeps other calls away.
                unsafe {
                    load(
                        instance,
                        state.version,
                        bytes.as_ptr(),
                        bytes.len(),
                        error.as_ptr(),
                    )
                }
            })
            .map_err(|error| reader.damaged(error.to_string()))?;
        self.failure = None;
        Ok(())
    }
}

pub(crate) fn to_abi(context: &StepContext) -> AbiContext {
    let mut flags = StepFlags(0);
    let mut set = |there: bool, flag: StepFlags| flags.0 |= if there { flag.0 } else { 0 };
    set(context.total_updates.is_some(), StepFlags::TOTAL_UPDATES);
    set(
        context.updates_per_epoch.is_some(),
        StepFlags::UPDATES_PER_EPOCH,
    );
    set(context.metric.is_some(), StepFlags::METRIC);
    AbiContext {
        size: size_of::<AbiContext>() as u32,
        flags,
        update: context.update,
        epoch: context.epoch,
        total_updates: context.total_updates.unwrap_or(0),
        updates_per_epoch: context.updates_per_epoch.unwrap_or(0),
        metric: context.metric.unwrap_or(f64::NAN),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_as_digits() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        for broken in ["0", "0g", "+1", "äb"] {
            assert_eq!(from_hex(broken), None, "{broken}");
        }
    }
}
