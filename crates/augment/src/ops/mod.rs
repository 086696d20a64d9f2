//! The transforms. One file each: configuration, plan, documentation, tests.

mod affine;
mod aug_mix;
mod auto_augment;
mod auto_contrast;
mod box_blur;
mod brightness;
mod center_crop;
mod choice;
mod clahe;
mod color_jitter;
mod color_matrix;
mod compose;
mod contrast;
mod convert;
mod crop;
mod elastic;
mod equalize;
mod erase;
mod fixed_plan;
mod gamma;
mod gaussian_blur;
mod grayscale;
mod horizontal_flip;
mod hsv_shift;
mod hue;
mod invert;
mod jpeg;
mod keras_aug_mix;
mod keras_op;
mod keras_rand_augment;
mod lambda;
mod linear;
mod linear_transformation;
mod mean_blur;
mod median_blur;
mod noise;
mod normalize;
mod pad;
mod pad_if_needed;
mod permute_channels;
mod perspective;
mod photometric_distort;
mod pointwise;
mod policy_op;
mod policy_space;
mod posterize;
mod rand_augment;
mod random_affine;
mod random_apply;
mod random_channel_permutation;
mod random_crop;
mod random_erasing;
mod random_factor;
mod random_flip;
mod random_gaussian_blur;
mod random_hue;
mod random_iou_crop;
mod random_perspective;
mod random_resized_crop;
mod random_rotation;
mod random_shear;
mod random_size;
mod random_solarization;
mod random_tone;
mod random_translation;
mod random_zoom;
mod random_zoom_out;
mod resize;
mod resized_crop;
mod resizing;
mod rotate;
mod sanitize;
mod saturation;
mod scheduled;
mod sharpness;
mod solarize;
mod solarize_add;
mod sometimes;
mod three_augment;
mod timm_auto_augment;
mod timm_op;
mod timm_rand_augment;
mod transpose;
mod trim_border;
mod trivial_augment;
mod vertical_flip;
mod warp_affine;

pub use affine::Affine;
pub use aug_mix::{AugMix, Blend};
pub use auto_augment::{AutoAugment, AutoAugmentPolicy, SubPolicy};
pub use auto_contrast::{AutoContrast, AutoContrastMethod};
pub use box_blur::BoxBlur;
pub use brightness::Brightness;
pub use center_crop::{CenterCrop, OddRest};
pub use choice::Choice;
pub use clahe::{Clahe, ClaheMethod};
pub use color_jitter::ColorJitter;
pub use color_matrix::ColorMatrix;
pub use compose::Compose;
pub use contrast::{Contrast, GreyMean};
pub use convert::{Denormalize, Rescale, ToF32, ToRgb, ToU8};
pub use crop::Crop;
pub use elastic::{Displace, Displacement, Elastic};
pub use equalize::{Equalize, EqualizeMethod};
pub use erase::{Erase, EraseNoise};
pub use fixed_plan::{Identity, Replay};
pub use gamma::Gamma;
pub use gaussian_blur::GaussianBlur;
pub use grayscale::{Grayscale, GreyMethod};
pub use horizontal_flip::HorizontalFlip;
pub use hsv_shift::HsvShift;
pub use hue::Hue;
pub use invert::Invert;
pub use jpeg::{Compress, Jpeg};
pub use keras_aug_mix::KerasAugMix;
pub use keras_rand_augment::KerasRandAugment;
pub use lambda::{Call, Lambda};
pub use linear::Linear;
pub use linear_transformation::LinearTransformation;
pub use mean_blur::MeanBlur;
pub use median_blur::MedianBlur;
pub use noise::{GaussianNoise, Noise, NoiseKind, SaltAndPepper};
pub use normalize::Normalize;
pub use pad::Pad;
pub use pad_if_needed::{PadIfNeeded, PadPlace};
pub use permute_channels::PermuteChannels;
pub use perspective::Perspective;
pub use photometric_distort::RandomPhotometricDistort;
pub use policy_op::{PolicyOp, PolicyStyle};
pub use policy_space::PolicySpace;
pub use posterize::{Posterize, PosterizeNumbers};
pub use rand_augment::RandAugment;
pub use random_affine::RandomAffine;
pub use random_apply::RandomApply;
pub use random_channel_permutation::RandomChannelPermutation;
pub use random_crop::RandomCrop;
pub use random_erasing::{EraseMode, RandomErasing};
pub use random_flip::{FlipMode, RandomFlipConfig};
pub use random_gaussian_blur::RandomGaussianBlur;
pub use random_hue::RandomHue;
pub use random_iou_crop::{RandomIouCrop, SelectBoxes};
pub use random_perspective::RandomPerspective;
pub use random_resized_crop::RandomResizedCrop;
pub use random_rotation::RandomRotationConfig;
pub use random_shear::RandomShearConfig;
pub use random_size::{RandomResize, RandomShortestSize, ScaleJitter};
pub use random_solarization::RandomSolarization;
pub use random_tone::{
    RandomBrightness, RandomColorDegeneration, RandomContrast, RandomGamma, RandomPosterization,
    RandomSaturation, RandomSharpness,
};
pub use random_translation::RandomTranslationConfig;
pub use random_zoom::RandomZoomConfig;
pub use random_zoom_out::RandomZoomOut;
pub use resize::{Resize, ResizeRegion, ResizeTo};
pub use resized_crop::ResizedCrop;
pub use resizing::{AspectRatio, Resizing};
pub use rotate::Rotate;
pub use sanitize::{SanitizeBoxes, SanitizePoints};
pub use saturation::{Saturation, SaturationOf};
pub use scheduled::{Scheduled, Strength};
pub use sharpness::{Sharpness, SharpnessEdge};
pub use solarize::Solarize;
pub use solarize_add::SolarizeAdd;
pub use sometimes::{
    RandomAdjustSharpness, RandomAutoContrast, RandomEqualize, RandomGrayscale, RandomInvert,
    RandomPosterize, RandomSolarize,
};
pub use three_augment::ThreeAugment;
pub use timm_auto_augment::{TimmAutoAugment, TimmPolicy};
pub use timm_op::TimmOp;
pub use timm_rand_augment::TimmRandAugment;
pub use transpose::Transpose;
pub use trim_border::TrimBorder;
pub use trivial_augment::TrivialAugment;
pub use vertical_flip::VerticalFlip;
pub use warp_affine::WarpAffine;

use crate::kernel::Element;
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
    if size.height > 0 && size.width > 0 {
        return check_area(operation, field, size);
    }
    let expected = "between 1 and 2^28 pixels";
    Err(AugmentError::parameter(operation, field, size, expected))
}

/// Refuses images that no memory holds.
pub(crate) fn check_area(
    operation: &'static str,
    field: &'static str,
    size: Size,
) -> Result<(), AugmentError> {
    const LIMIT: usize = 1 << 28;
    if size.height.saturating_mul(size.width) <= LIMIT {
        return Ok(());
    }
    let expected = "at most 2^28 pixels";
    Err(AugmentError::parameter(operation, field, size, expected))
}

/// Refuses constants outside the image that are no numbers.
pub(crate) fn check_border(operation: &'static str, border: &Border) -> Result<(), AugmentError> {
    match border {
        Border::Constant(values) | Border::ConstantTwice(values) | Border::ConstantHard(values) => {
            check_values(operation, "border", values)
        }
        _ => Ok(()),
    }
}

/// Refuses values that are no finite numbers.
pub(crate) fn check_values(
    operation: &'static str,
    field: &'static str,
    values: &[f32],
) -> Result<(), AugmentError> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => {
            let expected = "finite numbers";
            Err(AugmentError::parameter(operation, field, value, expected))
        }
        None => Ok(()),
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

/// Numbers in `0..=1` by way of bytes, rounded half to even.
pub(crate) fn through_bytes(data: &mut [f32], run: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes: Vec<u8> = data.iter().map(|v| u8::from_f32(v * 255.0)).collect();
    run(&mut bytes);
    for (value, byte) in data.iter_mut().zip(bytes) {
        *value = f32::from(byte) / 255.0;
    }
}

/// A step of a plan as a transform that always does just that. Needs a method
/// `check`.
macro_rules! fixed_step {
    ($step:ty, $name:literal) => {
        $crate::ops::fixed_step!($step, $name, plain_layer);

        impl $crate::LayerTransform for $step {}
    };
    // For steps that may change the number of channels or the values' type.
    ($step:ty, $name:literal, $methods:ident) => {
        impl $crate::Transform for $step {
            $crate::ops::$methods!($name);

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
pub(crate) fn exp(x: f64) -> f64 {
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

/// [`plain_transform`] for those that keep size and channels and so can be
/// layers; they also need `impl LayerTransform`.
macro_rules! plain_layer {
    ($name:literal) => {
        $crate::ops::plain_transform!($name);

        fn as_layer(&self) -> Option<&dyn $crate::LayerTransform> {
            Some(self)
        }
    };
}
pub(crate) use plain_layer;

/// The methods of [`Transform`](crate::Transform) that are the same for every
/// transform that draws as a layer does.
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
    fn what_is_no_number_is_refused_outside_of_images_and_in_holes() {
        let border = crate::Border::Constant(vec![0.0, f32::NAN]);
        let transforms: Vec<Box<dyn Transform>> = vec![
            Box::new(crate::Affine::new().with_border(border.clone())),
            Box::new(crate::Crop::new(0, 0, SIZE).with_border(border.clone())),
            Box::new(crate::Elastic::new(1.0, 1.0).with_border(border.clone())),
            Box::new(crate::GaussianBlur::new(3, 1.0).with_border(border.clone())),
            Box::new(crate::RandomAffine::new(5.0).with_border(border.clone())),
            Box::new(crate::RandomCrop::new(SIZE).with_border(border.clone())),
            Box::new(crate::RandomPerspective::new(0.1).with_border(border.clone())),
            Box::new(crate::Rotate::new(5.0).with_border(border)),
            Box::new(crate::RandomErasing::new().with_value(vec![f32::NAN])),
            Box::new(crate::RandomRotationConfig::new(0.1).with_fill_value(f32::NAN)),
        ];
        for transform in transforms {
            let error = transform.validate().unwrap_err().to_string();
            assert!(
                error.contains("NaN") && error.contains(transform.name()),
                "{error}"
            );
        }
    }

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
