//! Example plugin: the dark corners of a cheap lens.
//!
//! A pixel at the distance `r` from the optical axis, in units of half the
//! diagonal, is multiplied by `(1 + s·r²)⁻²`: the cos⁴ law of lenses with
//! `tan θ = r·√s`. The strength `s` and the place of the axis are drawn per
//! image. Photographs taken with many lenses have it to many degrees; a network
//! that has seen it doesn't take dark corners for a feature.
//!
//! ```toml
//! [[augment]]
//! type = "vignette"
//! strength = [0.2, 1.0]
//! ```

use firecraft_plugin::{
    Error, ImageMut, Key, PixelsMut, Transform,
    abi::{SampleMeta, Targets},
    declare_plugin,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{}, {"strength": [0.5, 0.5], "shift": 0.0}]))]
pub struct Vignette {
    /// The least and the greatest strength, `0 ≤ least ≤ greatest ≤ 10`; at 1 a
    /// corner keeps a quarter of its light.
    #[serde(default = "strength")]
    pub strength: [f64; 2],
    /// How far the axis may be from the middle, in units of half the diagonal, 0
    /// to 1.
    #[serde(default = "shift")]
    pub shift: f64,
}

fn strength() -> [f64; 2] {
    [0.2, 1.0]
}

fn shift() -> f64 {
    0.1
}

/// What is drawn for one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// The strength.
    pub strength: f64,
    /// Where the axis is, in pixels from the corner.
    pub x: f64,
    /// As `x`, from the top.
    pub y: f64,
}

impl Transform for Vignette {
    type Plan = Drawn;
    const NAME: &'static str = "vignette";
    const SUMMARY: &'static str = "the dark corners of a cheap lens";
    const TARGETS: Targets = Targets::ALL;
    const IN_PLACE: bool = true;

    fn validate(&self) -> Result<(), Error> {
        let [least, greatest] = self.strength;
        if !(0.0 <= least && least <= greatest && greatest <= 10.0) {
            return Err(Error::new(format!(
                "`strength` is [{least}, {greatest}], expected an ordered pair in [0, 10]"
            )));
        }
        if !(0.0..=1.0).contains(&self.shift) {
            let shift = self.shift;
            return Err(Error::new(format!("`shift` is {shift}, expected 0 to 1")));
        }
        Ok(())
    }

    fn plan(&self, meta: &SampleMeta, key: Key) -> Result<Drawn, Error> {
        let mut rng = key.rng();
        let half = half_diagonal(meta.width.into(), meta.height.into());
        let [least, greatest] = self.strength;
        let mut place = |side: u32| {
            let shift = self.shift * half;
            f64::from(side) / 2.0 + rng.range(-shift, shift)
        };
        let (x, y) = (place(meta.width), place(meta.height));
        Ok(Drawn {
            strength: rng.range(least, greatest),
            x,
            y,
        })
    }

    fn apply_in_place(&self, plan: &Drawn, image: &mut ImageMut<'_>) -> Result<(), Error> {
        let (width, channels) = (image.width, image.channels);
        let half = half_diagonal(width as f64, image.height as f64);
        // Where the light is 1 / (1 + u² + v²)², with u and v per column and row.
        let scale = plan.strength / (half * half);
        let squared = |at: usize, axis: f64| {
            let distance = at as f64 + 0.5 - axis;
            (distance * distance * scale) as f32
        };
        let columns: Vec<f32> = (0..width).map(|x| squared(x, plan.x)).collect();
        let row = |y: usize| 1.0 + squared(y, plan.y);
        match &mut image.pixels {
            PixelsMut::U8(bytes) => {
                shade(bytes, &columns, channels, row, |byte, light| {
                    // Rounded half up; light is at most 1, so it fits.
                    (f32::from(byte) * light + 0.5) as u8
                });
            }
            PixelsMut::F32(floats) => {
                shade(floats, &columns, channels, row, |value, light| {
                    value * light
                });
            }
        }
        Ok(())
    }
}

fn half_diagonal(width: f64, height: f64) -> f64 {
    (width * width + height * height).sqrt() / 2.0
}

fn shade<T: Copy>(
    values: &mut [T],
    columns: &[f32],
    channels: usize,
    row: impl Fn(usize) -> f32,
    dim: impl Fn(T, f32) -> T,
) {
    for (y, line) in values.chunks_mut(columns.len() * channels).enumerate() {
        let row = row(y);
        for (pixel, column) in line.chunks_mut(channels).zip(columns) {
            let sum = row + column;
            let light = 1.0 / (sum * sum);
            for value in pixel {
                *value = dim(*value, light);
            }
        }
    }
}

/// A white image is darkest where the formula says, by as much as it says.
fn self_test() -> Result<(), Error> {
    let vignette = Vignette {
        strength: [1.0, 1.0],
        shift: 0.0,
    };
    let mut pixels = vec![255; 11 * 11];
    let mut image = ImageMut {
        height: 11,
        width: 11,
        channels: 1,
        pixels: PixelsMut::U8(&mut pixels),
    };
    let plan = Drawn {
        strength: 1.0,
        x: 5.5,
        y: 5.5,
    };
    vignette.apply_in_place(&plan, &mut image)?;
    // The corner's centre is at r² = 50 / 60.5 of the half diagonal.
    let corner = (255.0 / (1.0 + 50.0_f64 / 60.5).powi(2)).round() as u8;
    match (pixels[60], pixels[0]) {
        (255, found) if found == corner => Ok(()),
        found => Err(Error::new(format!(
            "middle and corner are {found:?}, expected (255, {corner})"
        ))),
    }
}

declare_plugin! {
    id: "org.firecraft.vignette",
    transforms: [Vignette],
    schedulers: [],
    self_test: self_test,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vignette() -> Vignette {
        Vignette {
            strength: strength(),
            shift: shift(),
        }
    }

    const META: SampleMeta = SampleMeta {
        size: 16,
        height: 20,
        width: 30,
        channels: 3,
    };

    #[test]
    fn the_formula_holds_in_the_middle_and_in_a_corner() {
        self_test().unwrap();
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        for seed in 0..500 {
            let plan = vignette().plan(&META, Key::from_seed(seed)).unwrap();
            assert!((0.2..1.0).contains(&plan.strength));
            let shift = 0.1 * half_diagonal(30.0, 20.0);
            assert!((plan.x - 15.0).abs() <= shift && (plan.y - 10.0).abs() <= shift);
        }
    }

    #[test]
    fn bytes_and_numbers_agree() {
        let plan = vignette().plan(&META, Key::from_seed(3)).unwrap();
        let mut bytes: Vec<u8> = (0..20 * 30 * 3).map(|i| (i % 251) as u8).collect();
        let mut floats: Vec<f32> = bytes.iter().map(|&b| f32::from(b) / 255.0).collect();
        for pixels in [PixelsMut::U8(&mut bytes), PixelsMut::F32(&mut floats)] {
            let mut image = ImageMut {
                height: 20,
                width: 30,
                channels: 3,
                pixels,
            };
            vignette().apply_in_place(&plan, &mut image).unwrap();
        }
        for (byte, float) in bytes.iter().zip(&floats) {
            assert!((f32::from(*byte) - float * 255.0).abs() <= 0.501);
        }
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let error = |vignette: Vignette| vignette.validate().unwrap_err().to_string();
        let reversed = error(Vignette {
            strength: [1.0, 0.5],
            ..vignette()
        });
        assert_eq!(
            reversed,
            "`strength` is [1, 0.5], expected an ordered pair in [0, 10]"
        );
        let far = error(Vignette {
            shift: f64::NAN,
            ..vignette()
        });
        assert_eq!(far, "`shift` is NaN, expected 0 to 1");
    }
}
