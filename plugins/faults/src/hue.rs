//! The built-in `hue`, done by a plugin: the same arithmetic, laid out and
//! compiled alike, so that what remains is the price of the boundary. The
//! program `cost` of the host checks that both give the same bits.

use firecraft_plugin::{
    Error, ImageMut, Key, PixelsMut, Transform,
    abi::{SampleMeta, Targets},
};
use schemars::JsonSchema;
use serde::Deserialize;

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
            PixelsMut::U8(bytes) => {
                let scale = (256.0 - 1e-3) / 255.0;
                turn(bytes, sixths, f32::from, |value| cut_off(value * scale));
            }
            PixelsMut::F32(floats) => turn(floats, sixths, |value| value, |value| value),
        }
        Ok(())
    }
}

/// Pixels that are worked on at a time, channel by channel.
const BLOCK: usize = 64;

type Planes<T> = [[T; BLOCK]; 3];

fn turn<T: Copy + Default>(
    values: &mut [T],
    sixths: f32,
    from: impl Fn(T) -> f32,
    to: impl Fn(f32) -> T,
) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let (pixels, _) = values.as_chunks_mut::<3>();
            let (blocks, rest) = pixels.as_chunks_mut::<BLOCK>();
            let mut planes = [[T::default(); BLOCK]; 3];
            for block in blocks {
                load(block, &mut planes);
                change(&mut planes, sixths, &from, &to);
                store(&planes, block);
            }
            if !rest.is_empty() {
                load(rest, &mut planes);
                change(&mut planes, sixths, &from, &to);
                store(&planes, rest);
            }
        },
    );
}

#[inline(always)]
fn change<T: Copy>(
    planes: &mut Planes<T>,
    sixths: f32,
    from: impl Fn(T) -> f32,
    to: impl Fn(f32) -> T,
) {
    let [reds, greens, blues] = planes;
    for ((red, green), blue) in reds.iter_mut().zip(greens).zip(blues) {
        let [r, g, b] = turn_hue([from(*red), from(*green), from(*blue)], sixths);
        (*red, *green, *blue) = (to(r), to(g), to(b));
    }
}

#[inline(always)]
fn load<T: Copy>(pixels: &[[T; 3]], planes: &mut Planes<T>) {
    let [reds, greens, blues] = planes;
    for (((pixel, red), green), blue) in pixels.iter().zip(reds).zip(greens).zip(blues) {
        (*red, *green, *blue) = (pixel[0], pixel[1], pixel[2]);
    }
}

#[inline(always)]
fn store<T: Copy>(planes: &Planes<T>, pixels: &mut [[T; 3]]) {
    let [reds, greens, blues] = planes;
    for (((pixel, red), green), blue) in pixels.iter_mut().zip(reds).zip(greens).zip(blues) {
        (pixel[0], pixel[1], pixel[2]) = (*red, *green, *blue);
    }
}

/// Turns the hue of a colour by `sixths` of a turn, in `0..6`.
#[inline(always)]
fn turn_hue([r, g, b]: [f32; 3], sixths: f32) -> [f32; 3] {
    let value = larger(larger(r, g), b);
    let range = value - smaller(smaller(r, g), b);
    let inverse = 1.0 / range;
    let hue = if value == r {
        (g - b) * inverse
    } else if value == g {
        (b - r) * inverse + 2.0
    } else {
        (r - g) * inverse + 4.0
    };
    let hue = hue + sixths;
    let channel = |offset: f32| {
        let at = hue + offset;
        let at = if at >= 6.0 { at - 6.0 } else { at };
        let at = if at >= 6.0 { at - 6.0 } else { at };
        value - range * larger(smaller(smaller(at, 4.0 - at), 1.0), 0.0)
    };
    let turned = [channel(5.0), channel(3.0), channel(1.0)];
    let grey = range == 0.0;
    [
        if grey { r } else { turned[0] },
        if grey { g } else { turned[1] },
        if grey { b } else { turned[2] },
    ]
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The whole number below, of what is in `0..=255` or becomes so.
#[inline(always)]
fn cut_off(value: f32) -> u8 {
    // Adding it leaves a small number, rounded, in the low bits.
    const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23
    let value = smaller(larger(value, 0.0), 255.0);
    let rounded = value + SHIFT;
    let above = u32::from(rounded - SHIFT > value);
    rounded.to_bits().wrapping_sub(above) as u8
}
