//! The transforms. One file each: configuration, plan, documentation, tests.

mod affine;
mod auto_augment;
mod auto_contrast;
mod box_blur;
mod brightness;
mod center_crop;
mod choice;
mod color_jitter;
mod compose;
mod contrast;
mod crop;
mod elastic;
mod equalize;
mod erase;
mod gamma;
mod gaussian_blur;
mod grayscale;
mod horizontal_flip;
mod hue;
mod invert;
mod linear;
mod normalize;
mod pad;
mod permute_channels;
mod perspective;
mod pointwise;
mod policy_op;
mod policy_space;
mod posterize;
mod rand_augment;
mod random_affine;
mod random_apply;
mod random_crop;
mod random_erasing;
mod random_flip;
mod random_perspective;
mod random_resized_crop;
mod random_rotation;
mod random_translation;
mod random_zoom;
mod resize;
mod resized_crop;
mod rotate;
mod saturation;
mod sharpness;
mod solarize;
mod solarize_add;
mod transpose;
mod trivial_augment;
mod vertical_flip;
mod warp_affine;

pub use affine::Affine;
pub use auto_augment::{AutoAugment, AutoAugmentPolicy, SubPolicy};
pub use auto_contrast::AutoContrast;
pub use box_blur::BoxBlur;
pub use brightness::Brightness;
pub use center_crop::{CenterCrop, OddRest};
pub use choice::Choice;
pub use color_jitter::ColorJitter;
pub use compose::Compose;
pub use contrast::{Contrast, GreyMean};
pub use crop::Crop;
pub use elastic::{Displace, Displacement, Elastic};
pub use equalize::{Equalize, EqualizeMethod};
pub use erase::Erase;
pub use gamma::Gamma;
pub use gaussian_blur::GaussianBlur;
pub use grayscale::Grayscale;
pub use horizontal_flip::HorizontalFlip;
pub use hue::Hue;
pub use invert::Invert;
pub use linear::Linear;
pub use normalize::Normalize;
pub use pad::Pad;
pub use permute_channels::PermuteChannels;
pub use perspective::Perspective;
pub use policy_op::{PolicyOp, PolicyStyle};
pub use policy_space::PolicySpace;
pub use posterize::{Posterize, PosterizeNumbers};
pub use rand_augment::RandAugment;
pub use random_affine::RandomAffine;
pub use random_apply::RandomApply;
pub use random_crop::RandomCrop;
pub use random_erasing::RandomErasing;
pub use random_flip::{FlipMode, RandomFlipConfig};
pub use random_perspective::RandomPerspective;
pub use random_resized_crop::RandomResizedCrop;
pub use random_rotation::RandomRotationConfig;
pub use random_translation::RandomTranslationConfig;
pub use random_zoom::RandomZoomConfig;
pub use resize::{Resize, ResizeRegion, ResizeTo};
pub use resized_crop::ResizedCrop;
pub use rotate::Rotate;
pub use saturation::{Saturation, SaturationOf};
pub use sharpness::{Sharpness, SharpnessEdge};
pub use solarize::Solarize;
pub use solarize_add::SolarizeAdd;
pub use transpose::Transpose;
pub use trivial_augment::TrivialAugment;
pub use vertical_flip::VerticalFlip;
pub use warp_affine::WarpAffine;

use crate::{AugmentError, Border, Size};
use firecraft_key::Rng;
use serde::{Deserialize, Serialize};

/// What Keras' geometric layers show outside the image; [`Border`] has the
/// same under unambiguous names, and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillMode {
    /// One value, `fill_value`: `kkkk|abcd|kkkk`.
    Constant,
    /// The nearest pixel: `aaaa|abcd|dddd`.
    Nearest,
    /// The mirror image, edge included: `dcba|abcd|dcba`.
    #[default]
    Reflect,
    /// The other side: `abcd|abcd|abcd`.
    Wrap,
}

impl FillMode {
    /// The border of that mode; only [`FillMode::Constant`] uses the value.
    #[must_use]
    pub fn border(self, fill_value: f32) -> Border {
        match self {
            Self::Constant => Border::Constant(vec![fill_value]),
            Self::Nearest => Border::Replicate,
            Self::Reflect => Border::Symmetric,
            Self::Wrap => Border::Wrap,
        }
    }
}

/// The border of zeros: the default of the peers' transforms outside Keras.
pub(crate) fn no_fill() -> Border {
    Border::Constant(Vec::new())
}

pub(crate) const fn yes() -> bool {
    true
}

/// The default probability of the peers.
pub(crate) const fn half() -> f64 {
    0.5
}

pub(crate) fn check_probability(operation: &'static str, p: f64) -> Result<(), AugmentError> {
    if (0.0..=1.0).contains(&p) {
        Ok(())
    } else {
        Err(AugmentError::parameter(
            operation,
            "p",
            p,
            "a probability in [0, 1]",
        ))
    }
}

/// Refuses images without pixels, and those no memory holds.
pub(crate) fn check_size(
    operation: &'static str,
    field: &'static str,
    size: Size,
) -> Result<(), AugmentError> {
    const LIMIT: usize = 1 << 28;
    if size.height > 0 && size.width > 0 && size.height.saturating_mul(size.width) <= LIMIT {
        Ok(())
    } else {
        let expected = "between 1 and 2^28 pixels";
        Err(AugmentError::parameter(operation, field, size, expected))
    }
}

/// Refuses factors that are negative or no number.
pub(crate) fn check_strength(
    operation: &'static str,
    field: &'static str,
    value: f32,
) -> Result<(), AugmentError> {
    if value >= 0.0 && value.is_finite() {
        Ok(())
    } else {
        let expected = "a finite number from 0 on";
        Err(AugmentError::parameter(operation, field, value, expected))
    }
}

/// A step of a plan as a transform that always does just that. Needs a method
/// `check`.
macro_rules! fixed_step {
    ($step:ty, $name:literal) => {
        impl $crate::Transform for $step {
            $crate::ops::plain_transform!($name);

            fn validate(&self) -> Result<(), $crate::AugmentError> {
                self.check()
            }

            fn plan(
                &self,
                _meta: &$crate::SampleMeta,
                _key: firecraft_key::Key,
            ) -> Result<$crate::Plan, $crate::AugmentError> {
                self.check()?;
                Ok(self.clone().into())
            }
        }
    };
}
pub(crate) use fixed_step;

/// A value whose logarithm is uniform on the range. Takes two words.
///
/// Logarithm and power are fixed sequences of operations, so that plans have
/// the same bits everywhere.
pub(crate) fn log_uniform((low, high): (f64, f64), rng: &mut Rng) -> f64 {
    let log = |value: f64| f64::from(firecraft_key::convert::ln(value as f32));
    exp(rng.range(log(low), log(high))).clamp(low, high)
}

/// `e^x` by halving the argument and a Taylor series: a fixed sequence of
/// operations, unlike the standard library's.
fn exp(x: f64) -> f64 {
    const HALVINGS: i32 = 8;
    let small = x / f64::from(1 << HALVINGS);
    let mut power = 1.0;
    for n in (1..=9).rev() {
        power = 1.0 + small / f64::from(n) * power;
    }
    (0..HALVINGS).fold(power, |power, _| power * power)
}

/// The methods of [`Transform`](crate::Transform) that are the same for every
/// transform that is its own configuration.
macro_rules! plain_transform {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn spec(&self) -> Result<firecraft_spec::Spec, firecraft_spec::SpecError> {
            firecraft_spec::Spec::from_config($name, self)
        }
    };
}
pub(crate) use plain_transform;

/// The methods of [`Transform`](crate::Transform) that are the same for every
/// transform that can be a layer.
macro_rules! layer_transform {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn plan(
            &self,
            meta: &$crate::SampleMeta,
            key: firecraft_key::Key,
        ) -> Result<$crate::Plan, $crate::AugmentError> {
            $crate::Transform::validate(self)?;
            Ok($crate::LayerTransform::draw(self, meta, key))
        }

        fn spec(&self) -> Result<firecraft_spec::Spec, firecraft_spec::SpecError> {
            firecraft_spec::Spec::from_config($name, self)
        }

        fn as_layer(&self) -> Option<&dyn $crate::LayerTransform> {
            Some(self)
        }
    };
}
pub(crate) use layer_transform;

/// `init` and the builders that every geometric layer has.
macro_rules! geometric_builders {
    () => {
        /// Sets what lies outside the image.
        #[must_use]
        pub const fn with_fill_mode(mut self, fill_mode: $crate::FillMode) -> Self {
            self.fill_mode = fill_mode;
            self
        }

        /// Sets the value outside the image, for [`FillMode::Constant`](crate::FillMode).
        #[must_use]
        pub const fn with_fill_value(mut self, fill_value: f32) -> Self {
            self.fill_value = fill_value;
            self
        }

        /// Sets how values between pixels are made.
        #[must_use]
        pub const fn with_interpolation(mut self, interpolation: $crate::Interpolation) -> Self {
            self.interpolation = interpolation;
            self
        }
    };
}
pub(crate) use geometric_builders;

#[cfg(test)]
pub(crate) mod testing {
    //! Shared by the tests of the operations.

    use crate::{Image, Plan, Sample, SampleMeta, Size, Transform};
    use firecraft_key::Key;

    #[test]
    fn exp_is_exp() {
        for i in -700..700 {
            let x = f64::from(i) / 100.0;
            assert!((super::exp(x) / x.exp() - 1.0).abs() < 1e-12, "{x}");
        }
    }

    pub(crate) const SIZE: Size = Size::new(6, 9);

    pub(crate) fn meta(size: Size) -> SampleMeta {
        SampleMeta { size, channels: 1 }
    }

    pub(crate) fn plan(transform: &impl Transform, seed: u64) -> Plan {
        transform.plan(&meta(SIZE), Key::from_seed(seed)).unwrap()
    }

    /// Applies a plan to one image of one channel.
    pub(crate) fn apply(plan: &Plan, image: &[f32], size: Size) -> Vec<f32> {
        let mut sample = Sample::new(Image::from_f32(image.to_vec(), size, 1).unwrap());
        plan.apply(&mut sample).unwrap();
        sample.image.to_planes()
    }
}
