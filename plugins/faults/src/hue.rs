//! The built-in `hue`, done by a plugin: what remains of the difference is the
//! price of the boundary. What the two compute with is one text, the built-in
//! kernels' files, compiled twice; the program `cost` of the host checks that
//! both give the same bits.

use firecraft_plugin::{
    Error, ImageMut, Key, PixelsMut, Transform,
    abi::{SampleMeta, Targets},
};
use schemars::JsonSchema;
use serde::Deserialize;

#[path = "../../../crates/augment/src/kernel/hue.rs"]
mod kernel;
#[allow(dead_code, reason = "more than a hue needs")]
#[path = "../../../crates/augment/src/kernel/bytes/shuffle.rs"]
mod shuffle;
#[allow(dead_code, reason = "more than a hue needs")]
#[path = "../../../crates/augment/src/kernel/simd.rs"]
pub(crate) mod simd;

/// Turns the hue.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{"shift": 0.25}]))]
pub(crate) struct Hue {
    /// Full turns of the colour circle.
    shift: f32,
}

impl Transform for Hue {
    type Plan = f32;
    const NAME: &'static str = "plugin_hue";
    const SUMMARY: &'static str = "other colours";
    const TARGETS: Targets = Targets::ALL;
    const IN_PLACE: bool = true;

    fn plan(&self, _: &SampleMeta, _: Key) -> Result<f32, Error> {
        Ok(self.shift)
    }

    fn apply_in_place(&self, shift: &f32, image: &mut ImageMut<'_>) -> Result<(), Error> {
        if image.channels != 3 {
            return Ok(());
        }
        let sixths = (f64::from(*shift) * 6.0).rem_euclid(6.0) as f32;
        match &mut image.pixels {
            PixelsMut::U8(bytes) => turn(bytes, sixths),
            PixelsMut::F32(floats) => turn(floats, sixths),
        }
        Ok(())
    }
}

/// Pixels that are worked on at a time, channel by channel.
const BLOCK: usize = 256;

/// A value of an image.
trait Value: Copy + Default {
    /// What a channel is multiplied by, and what is added to it, before it
    /// becomes a value again.
    const LINE: [f32; 2];
    fn number(self) -> f32;
    fn from_number(number: f32) -> Self;
    fn apart(pixels: &[[Self; 3]], planes: [&mut [Self]; 3]);
    fn together(planes: [&[Self]; 3], pixels: &mut [[Self; 3]]);
}

impl Value for u8 {
    /// 255.999 times, cut off, as a rounding.
    const LINE: [f32; 2] = [(256.0 - 1e-3) / 255.0, 1e-3 - 0.5];
    #[inline(always)]
    fn number(self) -> f32 {
        f32::from(self)
    }
    #[inline(always)]
    fn from_number(number: f32) -> Self {
        // Adding it leaves a small number, rounded, in the low bits.
        const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23
        let number = if number > 0.0 { number } else { 0.0 };
        let number = if number < 255.0 { number } else { 255.0 };
        (number + SHIFT).to_bits() as u8
    }
    fn apart(pixels: &[[Self; 3]], planes: [&mut [Self]; 3]) {
        shuffle::deinterleave_rgb(pixels, planes);
    }
    fn together(planes: [&[Self]; 3], pixels: &mut [[Self; 3]]) {
        shuffle::interleave_rgb(planes, pixels);
    }
}

impl Value for f32 {
    const LINE: [Self; 2] = [1.0, 0.0];
    #[inline(always)]
    fn number(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_number(number: f32) -> Self {
        number
    }
    fn apart(pixels: &[[Self; 3]], [red, green, blue]: [&mut [Self]; 3]) {
        for (((pixel, r), g), b) in pixels.iter().zip(red).zip(green).zip(blue) {
            [*r, *g, *b] = *pixel;
        }
    }
    fn together([red, green, blue]: [&[Self]; 3], pixels: &mut [[Self; 3]]) {
        for (((pixel, r), g), b) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
            *pixel = [*r, *g, *b];
        }
    }
}

fn turn<T: Value>(values: &mut [T], sixths: f32) {
    let mut planes = [[T::default(); BLOCK]; 3];
    for pixels in values.as_chunks_mut::<3>().0.chunks_mut(BLOCK) {
        T::apart(pixels, planes.each_mut().map(<[T; BLOCK]>::as_mut_slice));
        let colours = &mut planes;
        // By value: what lies behind a reference could be what is written.
        simd::vectorised(
            #[inline(always)]
            move || change(colours, sixths),
        );
        T::together(planes.each_ref().map(<[T; BLOCK]>::as_slice), pixels);
    }
}

#[inline(always)]
fn change<T: Value>([reds, greens, blues]: &mut [[T; BLOCK]; 3], sixths: f32) {
    for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
        let colour = [red.number(), green.number(), blue.number()];
        let [r, g, b] = kernel::turn_hue(colour, sixths, T::LINE).map(T::from_number);
        (*red, *green, *blue) = (r, g, b);
    }
}
