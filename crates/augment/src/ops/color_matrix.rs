//! One linear map of the colours: `color_matrix`.

use super::fixed_step;
use crate::change::{Change, LinearChange};
use crate::color::is_colour;
use crate::kernel::{Colours, Element, Tone, inlined, map_colours, sum_channels, sum_colours};
use crate::{Apply, AugmentError, Sample, Values};
use serde::{Deserialize, Serialize};

/// A matrix of colours.
pub(crate) type Rows = [[f32; 3]; 3];

/// `rows · (x, 1) + mean · m`, clipped once, where `x` is a colour and `m` the
/// mean colour of the image: `r' = m00 r + m01 g + m02 b + m03` and so on, with
/// the offset in units of white. Bytes are rounded. Images of one channel stay
/// as they are, and so does the fourth of four channels.
///
/// It is what a chain of brightness, contrast, saturation and their like is
/// fused into (see [`Plan::fused_for`](crate::Plan::fused_for)): the mean of an
/// image after a linear change is that change of the mean before, so even
/// contrast is linear.
///
/// ```
/// use firecraft_augment::{ColorMatrix, Image, Plan, Sample, Size};
/// let mut sample = Sample::new(Image::from_u8(vec![100, 50, 10], Size::new(1, 1), 3)?);
/// Plan::from(ColorMatrix::sepia()).apply(&mut sample)?;
/// assert_eq!(sample.image.as_u8(), Some(&[80, 71, 55][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorMatrix {
    /// Rows of weights of red, green and blue, and the offset.
    pub rows: [[f32; 4]; 3],
    /// Rows of weights of the mean colour of the image; nothing by default.
    #[serde(default)]
    pub mean: [[f32; 3]; 3],
}

impl ColorMatrix {
    /// The matrix with these rows.
    #[must_use]
    pub const fn new(rows: [[f32; 4]; 3]) -> Self {
        Self {
            rows,
            mean: [[0.0; 3]; 3],
        }
    }

    /// The brown of old photographs: albumentations' `ToSepia`.
    #[must_use]
    pub const fn sepia() -> Self {
        Self::new([
            [0.393, 0.769, 0.189, 0.0],
            [0.349, 0.686, 0.168, 0.0],
            [0.272, 0.534, 0.131, 0.0],
        ])
    }

    /// Sets the weights of the mean colour.
    #[must_use]
    pub const fn with_mean(mut self, mean: [[f32; 3]; 3]) -> Self {
        self.mean = mean;
        self
    }

    /// `scale · x + shift`, each channel by itself.
    pub(crate) const fn line([r, g, b]: [f32; 3], [x, y, z]: [f32; 3]) -> Self {
        Self::new([[r, 0.0, 0.0, x], [0.0, g, 0.0, y], [0.0, 0.0, b, z]])
    }

    /// The weights of the colours, and the offsets.
    pub(crate) fn parts(&self) -> (Rows, [f32; 3]) {
        (
            self.rows.map(|[r, g, b, _]| [r, g, b]),
            self.rows.map(|[_, _, _, offset]| offset),
        )
    }

    /// This, then `next`, without clipping between the two.
    pub(crate) fn then(&self, next: &Self) -> Self {
        let ((color, shift), (next_color, next_shift)) = (self.parts(), next.parts());
        // The mean of the result is this times the mean, plus the shift.
        let of_mean = add(&color, &self.mean);
        let shift = times(&add(&next_color, &next.mean), shift);
        let color = product(&next_color, &color);
        Self {
            rows: std::array::from_fn(|i| {
                let [r, g, b] = color[i];
                [r, g, b, shift[i] + next_shift[i]]
            }),
            mean: add(
                &product(&next_color, &self.mean),
                &product(&next.mean, &of_mean),
            ),
        }
    }

    /// Whether the mean of the image plays a part.
    pub(crate) fn uses_mean(&self) -> bool {
        self.mean.iter().flatten().any(|&v| v != 0.0)
    }

    fn check(&self) -> Result<(), AugmentError> {
        let wrong = |field, got| {
            let expected = "finite numbers";
            Err(AugmentError::parameter(
                "color_matrix",
                field,
                got,
                expected,
            ))
        };
        if !self.rows.iter().flatten().all(|v| v.is_finite()) {
            return wrong("rows", format!("{:?}", self.rows));
        }
        if !self.mean.iter().flatten().all(|v| v.is_finite()) {
            return wrong("mean", format!("{:?}", self.mean));
        }
        Ok(())
    }

    /// The change of colours whose white is `T::MAX`, given their mean in that
    /// unit.
    #[inline(always)]
    fn on<T: Element>(&self, mean: [f32; 3]) -> impl Fn([f32; 3]) -> [f32; 3] + Copy {
        let of_mean = times(&self.mean, mean);
        let (color, shift) = self.parts();
        let rest: [f32; 3] = std::array::from_fn(|i| of_mean[i] + shift[i] * T::MAX);
        let [red, green, blue] = color;
        inlined(
            #[inline(always)]
            move |x: [f32; 3]| {
                [
                    row::<T>(red, x, rest[0]),
                    row::<T>(green, x, rest[1]),
                    row::<T>(blue, x, rest[2]),
                ]
            },
        )
    }

    fn run<T: Element>(&self, data: &mut [T], channels: usize, mean: [f32; 3]) {
        map_colours(data, channels, self.on::<T>(mean), T::from_f32);
    }
}

impl Tone for ColorMatrix {
    fn needs_mean(&self) -> bool {
        self.uses_mean()
    }

    fn change(&self, colours: &mut Colours, mean: [f32; 3]) {
        colours.map(self.on::<u8>(mean));
    }
}

#[inline(always)]
fn row<T: Element>([a, b, c]: [f32; 3], [x, y, z]: [f32; 3], rest: f32) -> f32 {
    T::clipped(a * x + b * y + (c * z + rest))
}

fn times(rows: &Rows, [x, y, z]: [f32; 3]) -> [f32; 3] {
    rows.map(|[a, b, c]| a * x + b * y + c * z)
}

fn product(left: &Rows, right: &Rows) -> Rows {
    let column = |j: usize| times(left, [right[0][j], right[1][j], right[2][j]]);
    let [a, b, c] = [column(0), column(1), column(2)];
    std::array::from_fn(|i| [a[i], b[i], c[i]])
}

fn add(a: &Rows, b: &Rows) -> Rows {
    std::array::from_fn(|i| std::array::from_fn(|j| a[i][j] + b[i][j]))
}

impl Apply for ColorMatrix {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        if !is_colour("color_matrix", &sample.image)? {
            return Ok(());
        }
        let (area, channels) = (sample.image.size().area(), sample.image.channels());
        let mean = |sums: [f64; 3]| sums.map(|sum| (sum / area.max(1) as f64) as f32);
        match sample.image.values_mut() {
            Values::U8(data) => {
                let mut sums = [0; 4];
                if self.uses_mean() {
                    sum_channels(data, &mut sums[..channels]);
                }
                let [r, g, b, _] = sums;
                self.run(data, channels, mean([r, g, b].map(|sum| sum as f64)));
            }
            Values::F32(data) => {
                let sum = |c: usize| {
                    sum_colours(
                        data,
                        channels,
                        #[inline(always)]
                        |colour| colour[c],
                    )
                };
                let sums = if self.uses_mean() {
                    [sum(0), sum(1), sum(2)]
                } else {
                    [0.0; 3]
                };
                self.run(data, channels, mean(sums));
            }
        }
        Ok(())
    }

    fn color_matrix(&self, _channels: usize) -> Option<ColorMatrix> {
        Some(self.clone())
    }

    fn on_numbers(&self, channels: usize) -> Option<Change> {
        // What is no number is refused by `apply`.
        self.check().ok()?;
        LinearChange::of_colours(self, channels, true)
    }

    fn tone(&self) -> Option<&dyn Tone> {
        // What is no number is refused by `apply`.
        self.check().is_ok().then_some(self as &dyn Tone)
    }
}

fixed_step!(ColorMatrix, "color_matrix");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Brightness, Contrast, Grayscale, Image, Invert, Linear, PermuteChannels, Plan, Saturation,
        Size, Step,
    };
    use proptest::prelude::*;

    const SIZE: Size = Size::new(9, 11);

    /// Colours around the middle, far from black and white.
    fn image() -> Image {
        let values = (0..SIZE.area() * 3).map(|i| 0.4 + (i * 37 % 101) as f32 / 505.0);
        Image::from_f32(values.collect(), SIZE, 3).unwrap()
    }

    fn applied(steps: Vec<Step>, image: &Image) -> Vec<f32> {
        let mut sample = Sample::new(image.clone());
        Plan { steps }.apply(&mut sample).unwrap();
        sample.image.to_planes()
    }

    proptest! {
        #[test]
        fn a_chain_of_linear_steps_is_one_matrix(
            order in Just((0..7).collect::<Vec<usize>>()).prop_shuffle(), n in 1_usize..5,
            a in 0.8..1.1_f32, b in 0.5..1.2_f32,
        ) {
            let step = |i: usize| -> Step {
                match i {
                    0 => Brightness::new(a).into(),
                    1 => Contrast::new(b).into(),
                    2 => Saturation::new(b).into(),
                    3 => Invert::new().into(),
                    4 => Linear::new([a, 1.0, a], [0.0, 0.02, 0.01]).into(),
                    5 => PermuteChannels::new([2, 0, 1]).into(),
                    _ => Grayscale::new().into(),
                }
            };
            let steps: Vec<Step> = order[..n].iter().map(|&i| step(i)).collect();
            let one = steps
                .iter()
                .map(|step| step.as_apply().color_matrix(3).unwrap())
                .reduce(|all, next| all.then(&next))
                .unwrap();
            let image = image();
            let bytes: Vec<u8> = image.as_f32().unwrap().iter().map(|v| u8::from_f32(v * 255.0)).collect();
            let bytes = Image::from_u8(bytes, SIZE, 3).unwrap();
            let levels = (n + 1) as f32;
            for (a, b) in applied(steps.clone(), &image).iter().zip(applied(vec![one.clone().into()], &image)) {
                prop_assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
            // Every step by itself rounds or cuts off once.
            for (a, b) in applied(steps, &bytes).iter().zip(applied(vec![one.into()], &bytes)) {
                prop_assert!((a - b).abs() <= levels, "{a} {b}");
            }
        }
    }

    #[test]
    fn grey_images_and_opacity_stay() {
        let negative = ColorMatrix::line([-1.0; 3], [1.0; 3]);
        let grey = Image::from_u8(vec![7, 9], Size::new(1, 2), 1).unwrap();
        assert_eq!(applied(vec![negative.clone().into()], &grey), [7.0, 9.0]);
        let opaque = Image::from_u8(vec![1, 2, 3, 4], Size::new(1, 1), 4).unwrap();
        assert_eq!(
            applied(vec![negative.into()], &opaque),
            [254.0, 253.0, 252.0, 4.0]
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let wrong = ColorMatrix::line([f32::NAN, 1.0, 1.0], [0.0; 3]);
        assert!(wrong.check().is_err());
    }
}
