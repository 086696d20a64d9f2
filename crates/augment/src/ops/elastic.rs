//! Like rubber: `elastic`.

use super::{GaussianBlur, check_border, no_fill, plain_layer};
use crate::geometry::settle;
use crate::kernel::{self, Layout, Pixels, PixelsMut, Scratch};
use crate::plan::Apply;
use crate::sample::each_type;
use crate::{
    AugmentError, Border, Image, Interpolation, LayerTransform, Plan, Sample, SampleMeta, Size,
    Transform,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};

/// Where the displacements of [`Displace`] come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Displacement {
    /// One `[dx, dy]` in pixels per pixel, row by row.
    Given(Vec<[f32; 2]>),
    /// Noise, uniform on `[-1, 1)` and drawn word by word from the key with
    /// these words (`dx` of every pixel, then `dy`), smoothed by a Gaussian
    /// and scaled.
    Drawn {
        /// The words of the key.
        key: [u64; 2],
        /// Pixels per unit of smoothed noise.
        strength: f64,
        /// Standard deviation of the Gaussian in pixels.
        sigma: f64,
    },
}

/// The step that reads every pixel beside itself.
///
/// Key points and the corners of boxes are moved by the inverse map, which is
/// found by iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Displace {
    /// How far beside.
    pub displacement: Displacement,
    /// How values between pixels are made; masks take the nearest.
    pub interpolation: Interpolation,
    /// What lies outside the image.
    pub border: Border,
}

impl Displace {
    fn field(&self, size: Size, scratch: &mut Scratch) -> Result<Vec<[f32; 2]>, AugmentError> {
        match &self.displacement {
            Displacement::Given(field) => Ok(field.clone()),
            Displacement::Drawn {
                key,
                strength,
                sigma,
            } => {
                let key = Key::from_words(*key);
                let area = size.area();
                let blur = GaussianBlur::new((8.0 * sigma) as usize | 1, *sigma as f32);
                let [dx, dy] = [0, area].map(|first| {
                    let mut noise = scratch.take(area);
                    draw(key, first, &mut noise);
                    blur.run(&mut noise, size, 1, scratch);
                    noise
                });
                let scale = *strength as f32;
                let mut field = std::mem::take(&mut scratch.field);
                field.clear();
                field.extend(dx.iter().zip(&dy).map(|(x, y)| [x * scale, y * scale]));
                scratch.give(dx);
                scratch.give(dy);
                Ok(field)
            }
        }
    }

    fn image(
        &self,
        image: &mut Image,
        field: &[[f32; 2]],
        interpolation: Interpolation,
        border: &Border,
    ) -> Result<(), AugmentError> {
        fn run<T: kernel::Element>(
            data: &[T],
            (size, channels): (Size, usize),
            field: &[[f32; 2]],
            style: (Interpolation, &Border),
            scratch: &mut Scratch,
        ) -> Result<Vec<T>, AugmentError> {
            let mut out = scratch.take(data.len());
            kernel::displace_with(
                Pixels::new(data, size, channels, Layout::Hwc)?,
                PixelsMut::new(&mut out, size, channels, Layout::Hwc)?,
                field,
                style,
                scratch,
            )?;
            Ok(out)
        }
        let shape = (image.size(), image.channels());
        let (values, scratch) = image.parts_mut();
        let values = each_type!(values, data => {
            run(data, shape, field, (interpolation, border), scratch)?.into()
        });
        image.replace(values, shape.0, shape.1);
        Ok(())
    }
}

impl Apply for Displace {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        let size = sample.image.size();
        let (_, scratch) = sample.image.parts_mut();
        let field = self.field(size, scratch)?;
        self.image(&mut sample.image, &field, self.interpolation, &self.border)?;
        let labels = if self.border.is_constant() {
            Border::Constant(vec![f32::from(sample.mask_fill)])
        } else {
            self.border.clone()
        };
        for mask in &mut sample.masks {
            self.image(mask, &field, Interpolation::Nearest, &labels)?;
        }
        sample.move_targets(size, |x, y| inverse(&field, size, x, y))?;
        sample.image.parts_mut().1.field = field;
        Ok(())
    }

    fn moves(&self) -> bool {
        true
    }

    fn map_point(&self, _x: f64, _y: f64) -> Option<(f64, f64)> {
        // The field depends on the size of the image.
        None
    }
}

/// Words of a key from number `first` on, as numbers on `[-1, 1)`.
fn draw(key: Key, first: usize, noise: &mut [f32]) {
    let number = |word: u32| 2.0 * firecraft_key::convert::uniform(word) - 1.0;
    let head = first.next_multiple_of(4).min(first + noise.len()) - first;
    let (head, body) = noise.split_at_mut(head);
    for (i, noise) in head.iter_mut().enumerate() {
        *noise = number(key.word((first + i) as u64));
    }
    let block = (first + head.len()) as u64 / 4;
    for (i, noise) in body.chunks_mut(4).enumerate() {
        for (noise, word) in noise.iter_mut().zip(key.block(block + i as u64)) {
            *noise = number(word);
        }
    }
}

/// The pixel that reads at `(x, y)`: the fixed point of `q = p - d(q)`.
fn inverse(field: &[[f32; 2]], size: Size, x: f64, y: f64) -> (f64, f64) {
    const ROUNDS: usize = 50;
    let at = |x: f64, y: f64| {
        let inside = |v: f64, n: usize| v.clamp(0.0, n as f64 - 1.0);
        let (x, y) = (inside(x, size.width), inside(y, size.height));
        let (left, top) = (x as usize, y as usize);
        let (tx, ty) = (x - left as f64, y - top as f64);
        let (right, low) = (
            (left + 1).min(size.width - 1),
            (top + 1).min(size.height - 1),
        );
        let get = |x: usize, y: usize| field[y * size.width + x].map(f64::from);
        let corners = [
            get(left, top),
            get(right, top),
            get(left, low),
            get(right, low),
        ];
        [0, 1].map(|axis| {
            let [a, b, c, d] = corners.map(|corner| corner[axis]);
            let (upper, lower) = (a + tx * (b - a), c + tx * (d - c));
            upper + ty * (lower - upper)
        })
    };
    if size.area() == 0 {
        return (x, y);
    }
    (0..ROUNDS).fold((x, y), |(qx, qy), _| {
        let [dx, dy] = at(qx, qy);
        (x - dx, y - dy)
    })
}

/// Stretches and squeezes at random, like rubber: torchvision's
/// `ElasticTransform`, Simard et al., *Best practices for convolutional neural
/// networks applied to visual document analysis* (2003).
///
/// ```
/// use firecraft_augment::{Elastic, Image, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let image = Image::from_f32((0..784).map(|i| (i % 28) as f32 / 28.0).collect(), Size::new(28, 28), 1)?;
/// let mut sample = Sample::new(image.clone());
/// Elastic::new(40.0, 4.0).plan(&sample.meta(), Key::from_seed(1))?.apply(&mut sample)?;
/// assert_eq!(sample.image.size(), image.size());
/// assert_ne!(sample.image, image);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Strength: the displacements are `alpha / 2` pixels per unit of smoothed
    /// noise, torchvision's scale on square images. In `[0, 1e4]`.
    pub alpha: f64,
    /// Smoothness: standard deviation in pixels, in `[0.1, 100]`.
    pub sigma: f64,
    /// How values between pixels are made.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What lies outside the image; zeros by default.
    #[serde(default = "no_fill")]
    pub border: Border,
}

impl Elastic {
    /// Displacements of that strength and smoothness; torchvision's defaults
    /// are 50 and 5.
    #[must_use]
    pub fn new(alpha: f64, sigma: f64) -> Self {
        Self {
            alpha,
            sigma,
            interpolation: Interpolation::default(),
            border: no_fill(),
        }
    }

    /// Sets what lies outside the image.
    #[must_use]
    pub fn with_border(mut self, border: Border) -> Self {
        self.border = border;
        self
    }
}

impl Transform for Elastic {
    plain_layer!("elastic");

    fn validate(&self) -> Result<(), AugmentError> {
        check_border(self.name(), &self.border)?;
        if !(0.0..=1e4).contains(&self.alpha) {
            let expected = "a number in [0, 10000]";
            return Err(AugmentError::parameter(
                self.name(),
                "alpha",
                self.alpha,
                expected,
            ));
        }
        if !(0.1..=100.0).contains(&self.sigma) {
            let expected = "a number in [0.1, 100]";
            return Err(AugmentError::parameter(
                self.name(),
                "sigma",
                self.sigma,
                expected,
            ));
        }
        Ok(())
    }

    fn plan(&self, _meta: &SampleMeta, key: Key) -> Result<Plan, AugmentError> {
        self.validate()?;
        Ok(Plan::from(Displace {
            displacement: Displacement::Drawn {
                key: key.words(),
                strength: settle(self.alpha / 2.0),
                sigma: settle(self.sigma),
            },
            interpolation: self.interpolation,
            border: self.border.clone(),
        }))
    }
}

impl LayerTransform for Elastic {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Points;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(32, 32);

    proptest! {
        #[test]
        fn a_marker_lands_where_its_key_point_says(seed: u64, x in 8.0..24.0_f32, y in 8.0..24.0_f32) {
            let spot = |i: usize| {
                let (dx, dy) = ((i % 32) as f32 - x, (i / 32) as f32 - y);
                (-(dx * dx + dy * dy) / 3.0).exp()
            };
            let image = Image::from_f32((0..SIZE.area()).map(spot).collect(), SIZE, 1).unwrap();
            let mut sample = Sample::new(image);
            sample.points = Some(Points::new(vec![[x, y]]));
            let plan = Elastic::new(60.0, 6.0).plan(&sample.meta(), Key::from_seed(seed)).unwrap();
            plan.apply(&mut sample).unwrap();
            let out = sample.image.as_f32().unwrap();
            let mass: f32 = out.iter().sum();
            let moment = |axis: fn(usize) -> usize| {
                out.iter().enumerate().map(|(i, v)| axis(i) as f32 * v).sum::<f32>() / mass
            };
            let [px, py] = sample.points.unwrap().rows[0];
            // The spot is stretched, too, so its centre is near, not at, the point.
            prop_assert!((moment(|i| i % 32) - px).abs() < 0.5);
            prop_assert!((moment(|i| i / 32) - py).abs() < 0.5);
        }
    }

    #[test]
    fn no_displacement_is_the_identity() {
        let image = Image::from_u8((0..12).collect(), Size::new(3, 4), 1).unwrap();
        let mut sample = Sample::new(image.clone());
        let still = Displace {
            displacement: Displacement::Given(vec![[0.0; 2]; 12]),
            interpolation: Interpolation::Bilinear,
            border: no_fill(),
        };
        Plan::from(still).apply(&mut sample).unwrap();
        assert_eq!(sample.image, image);
    }

    #[test]
    fn a_field_of_another_size_is_refused() {
        let mut sample = Sample::new(Image::from_u8(vec![0; 4], Size::new(2, 2), 1).unwrap());
        let wrong = Displace {
            displacement: Displacement::Given(vec![[0.0; 2]; 3]),
            interpolation: Interpolation::Bilinear,
            border: no_fill(),
        };
        assert!(Plan::from(wrong).apply(&mut sample).is_err());
        assert!(Elastic::new(-1.0, 5.0).validate().is_err());
        assert!(Elastic::new(1.0, 0.0).validate().is_err());
    }

    #[test]
    fn noise_is_the_words_of_the_key() {
        let key = Key::from_seed(3);
        for (first, n) in [(0, 9), (5, 2), (5, 11), (8, 4), (3, 1)] {
            let mut noise = vec![0.0; n];
            draw(key, first, &mut noise);
            for (i, &noise) in noise.iter().enumerate() {
                let word = key.word((first + i) as u64);
                assert_eq!(noise, 2.0 * firecraft_key::convert::uniform(word) - 1.0);
            }
        }
    }
}
