//! Types that do nothing wrong: what a call costs is measured with them.

use firecraft_plugin::{
    Error, ImageMut, Key, PixelsMut, Scheduler, Step, Transform,
    abi::{SampleMeta, Targets},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Does nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Noop {}

impl Transform for Noop {
    type Plan = ();
    const NAME: &'static str = "noop";
    const SUMMARY: &'static str = "does nothing";
    const TARGETS: Targets = Targets::ALL;
    const IN_PLACE: bool = true;

    fn plan(&self, _: &SampleMeta, _: Key) -> Result<(), Error> {
        Ok(())
    }

    fn apply_in_place(&self, _: &(), _: &mut ImageMut<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// The built-in `invert`, as it is done there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invert {}

impl Transform for Invert {
    type Plan = ();
    const NAME: &'static str = "plugin_invert";
    const SUMMARY: &'static str = "the negative";
    const TARGETS: Targets = Targets::ALL;
    const IN_PLACE: bool = true;

    fn plan(&self, _: &SampleMeta, _: Key) -> Result<(), Error> {
        Ok(())
    }

    fn apply_in_place(&self, (): &(), image: &mut ImageMut<'_>) -> Result<(), Error> {
        match &mut image.pixels {
            PixelsMut::U8(bytes) => negate(bytes),
            PixelsMut::F32(floats) => {
                for value in floats.iter_mut() {
                    *value = 1.0 - *value;
                }
            }
        }
        Ok(())
    }
}

/// Compiled for the CPU at hand, as the built-in one is.
fn negate(bytes: &mut [u8]) {
    crate::hue::simd::vectorised(
        #[inline(always)]
        || {
            for byte in bytes {
                *byte = !*byte;
            }
        },
    );
}

/// One value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{"value": 0.1}]))]
pub(crate) struct Constant {
    value: f64,
}

impl Scheduler for Constant {
    type State = ();
    const NAME: &'static str = "plugin_constant";
    const SUMMARY: &'static str = "one value";

    fn step(&self, (): &mut (), _: &Step, values: &mut [f64]) {
        values.fill(self.value);
    }
}
