//! What ordinary code does wrong, written with the SDK.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use firecraft_plugin::{
    Destination, Error, Key, PixelsMut, Scheduler, Source, Step, Transform,
    abi::{SampleMeta, Shape, Targets},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fault to make, such as `panic in apply`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{"fault": "none"}]))]
pub(crate) struct Careless {
    fault: String,
    /// How many calls of the place that the fault names go well before it.
    #[serde(default)]
    after: u64,
    #[serde(skip)]
    calls: AtomicU64,
}

impl Careless {
    fn is(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn maybe(&self, place: &str) -> Result<(), Error> {
        let here = self.fault.ends_with(&format!(" in {place}"));
        if here && self.calls.fetch_add(1, Ordering::Relaxed) < self.after {
            return Ok(());
        }
        if self.fault == format!("panic in {place}") {
            panic!("no {place} today");
        }
        if self.fault == format!("bomb in {place}") {
            std::panic::panic_any(Bomb);
        }
        if self.fault == format!("hang in {place}") {
            thread::sleep(Duration::from_secs(600));
        }
        if self.fault == format!("error in {place}") {
            return Err(Error::new(format!("no {place} today")));
        }
        if self.fault == format!("silent error in {place}") {
            return Err(Error::new(""));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        self.maybe("create")
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        if self.is("bomb in destroy") {
            std::panic::panic_any(Bomb);
        }
        assert!(!self.is("panic in destroy"), "no end today");
    }
}

/// Panics when it is dropped, as the payload of a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("twice");
    }
}

impl Transform for Careless {
    type Plan = String;
    const NAME: &'static str = "careless";
    const SUMMARY: &'static str = "does one wrong thing";
    const TARGETS: Targets = Targets::ALL;

    fn validate(&self) -> Result<(), Error> {
        self.check()
    }

    fn plan(&self, _: &SampleMeta, key: Key) -> Result<String, Error> {
        self.maybe("plan")?;
        if self.is("another plan each time") {
            // The address of something on the stack differs between threads.
            let place = 0;
            return Ok(format!(
                "{:p}{:?}",
                &raw const place,
                thread::current().id()
            ));
        }
        if self.is("oversize plan") {
            return Ok("x".repeat(2 << 20));
        }
        Ok(format!("{:x}", key.words()[0]))
    }

    fn output(&self, _: &String, input: Shape) -> Shape {
        let mut shape = input;
        match self.fault.as_str() {
            "empty output" => shape.height = 0,
            "huge output" => (shape.height, shape.width) = (u32::MAX, u32::MAX),
            "other channels" => shape.channels += 1,
            _ => {}
        }
        shape
    }

    fn apply(
        &self,
        _: &String,
        source: &Source<'_>,
        destination: &mut Destination<'_>,
    ) -> Result<(), Error> {
        self.maybe("apply")?;
        if self.is("writes nothing") {
            return Ok(());
        }
        destination.image.copy_from(&source.image)?;
        destination.copy_targets(source)?;
        if let PixelsMut::F32(floats) = &mut destination.image.pixels {
            match self.fault.as_str() {
                "nan in the image" => floats[0] = f32::NAN,
                "inf in the image" => floats[0] = f32::INFINITY,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Panics when it is written or read, if it says so.
#[derive(Default)]
pub(crate) struct Memory {
    fault: String,
    steps: u64,
}

impl Serialize for Memory {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.fault.as_str() {
            "panic in save" => panic!("no save today"),
            "bomb in save" => std::panic::panic_any(Bomb),
            "error in save" => Err(serde::ser::Error::custom("no save today")),
            "oversize state" => "x".repeat(17 << 20).serialize(serializer),
            _ => (&self.fault, self.steps).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (fault, steps) = <(String, u64)>::deserialize(deserializer)?;
        assert_ne!(fault, "panic in load", "no load today");
        if fault == "bomb in load" {
            std::panic::panic_any(Bomb);
        }
        if fault == "error in load" {
            return Err(serde::de::Error::custom("no load today"));
        }
        let steps = if fault == "forgets" { 0 } else { steps };
        Ok(Self { fault, steps })
    }
}

impl Scheduler for Careless {
    type State = Memory;
    const NAME: &'static str = "careless_scheduler";
    const SUMMARY: &'static str = "does one wrong thing";

    fn validate(&self) -> Result<(), Error> {
        self.check()
    }

    fn step(&self, memory: &mut Memory, _: &Step, values: &mut [f64]) {
        memory.fault.clone_from(&self.fault);
        memory.steps += 1;
        if let Err(error) = self.maybe("step") {
            panic!("{error}");
        }
        match self.fault.as_str() {
            "nan" => values.fill(f64::NAN),
            "inf" => values.fill(f64::INFINITY),
            "nothing" => {}
            "panic at step 12" if memory.steps == 12 => panic!("no twelfth step"),
            _ => values.fill(1.0 / memory.steps as f64),
        }
    }
}
