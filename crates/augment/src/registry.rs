//! Filling a registry with the transforms of this crate.

use crate::{
    Affine, AugMix, AutoAugment, AutoContrast, BoxBlur, Brightness, CenterCrop, Choice, Clahe,
    ColorJitter, ColorMatrix, Compose, Contrast, Crop, Denormalize, Elastic, Equalize, Erase,
    Gamma, GaussianBlur, GaussianNoise, Grayscale, HorizontalFlip, HsvShift, Hue, Identity, Invert,
    Jpeg, KerasAugMix, KerasRandAugment, Linear, LinearTransformation, MeanBlur, MedianBlur,
    Normalize, Pad, PadIfNeeded, PermuteChannels, Perspective, Posterize, RandAugment,
    RandomAdjustSharpness, RandomAffine, RandomApply, RandomAutoContrast, RandomBrightness,
    RandomChannelPermutation, RandomColorDegeneration, RandomContrast, RandomCrop, RandomEqualize,
    RandomErasing, RandomFlipConfig, RandomGamma, RandomGaussianBlur, RandomGrayscale, RandomHue,
    RandomInvert, RandomIouCrop, RandomPerspective, RandomPhotometricDistort, RandomPosterization,
    RandomPosterize, RandomResize, RandomResizedCrop, RandomRotationConfig, RandomSaturation,
    RandomSharpness, RandomShearConfig, RandomShortestSize, RandomSolarization, RandomSolarize,
    RandomTranslationConfig, RandomZoomConfig, RandomZoomOut, Replay, Rescale, Resize, ResizedCrop,
    Resizing, Rotate, SaltAndPepper, SanitizeBoxes, SanitizePoints, Saturation, ScaleJitter,
    Sharpness, Solarize, SolarizeAdd, ThreeAugment, TimmAutoAugment, TimmRandAugment, ToF32, ToRgb,
    ToU8, Transform, Transforms, Transpose, TrimBorder, TrivialAugment, VerticalFlip, WarpAffine,
};
use firecraft_spec::{Registries, Registry, Spec, SpecError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Adds every transform of this crate.
///
/// ```
/// use firecraft_augment::{Transforms, register};
/// use firecraft_spec::{Registries, Spec};
/// let mut registries = Registries::new();
/// register(&mut registries)?;
/// let spec = Spec::new("random_rotation").with("factor", 0.1);
/// let transform = registries.build::<Transforms>(&spec)?;
/// assert_eq!(transform.name(), "random_rotation");
/// let error = registries.build::<Transforms>(&Spec::new("random_rotation").with("factor", 2.0));
/// assert_eq!(
///     error.unwrap_err().to_string(),
///     "random_rotation: `factor`: (-2, 2) is not allowed; use an ordered pair in [-1, 1]",
/// );
/// # Ok::<(), firecraft_spec::SpecError>(())
/// ```
///
/// # Errors
/// [`SpecError::Duplicate`] if a name is taken.
pub fn register(registries: &mut Registries) -> Result<(), SpecError> {
    let registry = registries.get_mut::<Transforms>();
    registry.register("compose", "several transforms in order", Compose::build)?;
    Compose::describe(registry)?;
    registry.register("one_of", "one of several transforms", Choice::build_one_of)?;
    registry.register(
        "some_of",
        "some of several transforms",
        Choice::build_some_of,
    )?;
    registry.register(
        "random_order",
        "several transforms in a random order",
        Choice::build_random_order,
    )?;
    registry.register(
        "random_apply",
        "a transform, with probability p",
        RandomApply::build,
    )?;
    Choice::describe(registry)?;
    RandomApply::describe(registry)?;
    add::<Affine>(
        registry,
        "affine",
        "turns, shifts, scales and shears as given",
    )?;
    add::<AutoAugment>(registry, "auto_augment", "a policy learned on a data set")?;
    add::<AutoContrast>(
        registry,
        "auto_contrast",
        "stretches each channel to the whole range",
    )?;
    add::<BoxBlur>(registry, "box_blur", "averages over boxes")?;
    add::<Brightness>(registry, "brightness", "multiplies all values")?;
    add::<CenterCrop>(registry, "center_crop", "cuts out the middle")?;
    add::<ColorJitter>(
        registry,
        "color_jitter",
        "brightness, contrast, saturation and hue at random",
    )?;
    add::<Clahe>(
        registry,
        "clahe",
        "equalises each part of the image by itself",
    )?;
    add::<ColorMatrix>(registry, "color_matrix", "multiplies colours by a matrix")?;
    add::<HsvShift>(registry, "hsv_shift", "adds to hue, saturation and value")?;
    add::<MeanBlur>(registry, "mean_blur", "the mean of a square")?;
    add::<MedianBlur>(registry, "median_blur", "the median of a square")?;
    add::<Contrast>(registry, "contrast", "scales the distance to the mean grey")?;
    add::<Crop>(registry, "crop", "cuts out a given rectangle")?;
    add::<Elastic>(registry, "elastic", "stretches and squeezes like rubber")?;
    add::<Equalize>(registry, "equalize", "makes all levels equally frequent")?;
    add::<Erase>(registry, "erase", "paints over a given rectangle")?;
    add::<Gamma>(registry, "gamma", "a power law")?;
    add::<GaussianBlur>(registry, "gaussian_blur", "softens by a bell")?;
    add::<Grayscale>(registry, "grayscale", "replaces colours by their luma")?;
    add::<HorizontalFlip>(
        registry,
        "horizontal_flip",
        "mirrors left and right with probability p",
    )?;
    add::<Hue>(registry, "hue", "turns the colours")?;
    add::<Invert>(registry, "invert", "the negative")?;
    add::<Linear>(registry, "linear", "a straight line per channel")?;
    add::<Normalize>(
        registry,
        "normalize",
        "subtracts a mean and divides by a deviation",
    )?;
    add::<Pad>(registry, "pad", "adds a frame")?;
    add::<PermuteChannels>(registry, "permute_channels", "channels in another order")?;
    add::<Perspective>(registry, "perspective", "moves four points to four others")?;
    add::<Posterize>(registry, "posterize", "keeps the highest bits")?;
    add::<RandAugment>(registry, "rand_augment", "a few operations of one strength")?;
    add::<RandomAffine>(
        registry,
        "random_affine",
        "turns, shifts, scales and shears",
    )?;
    add::<RandomCrop>(registry, "random_crop", "cuts out a rectangle at random")?;
    add::<RandomErasing>(registry, "random_erasing", "paints over a random rectangle")?;
    add::<RandomFlipConfig>(
        registry,
        "random_flip",
        "mirrors left-right, up-down or both",
    )?;
    add::<RandomPerspective>(registry, "random_perspective", "moves the corners inwards")?;
    add::<RandomResizedCrop>(
        registry,
        "random_resized_crop",
        "a random rectangle, resized",
    )?;
    add::<RandomRotationConfig>(registry, "random_rotation", "turns about the centre")?;
    add::<RandomTranslationConfig>(registry, "random_translation", "shifts")?;
    add::<RandomZoomConfig>(registry, "random_zoom", "zooms about the centre")?;
    add::<Resize>(registry, "resize", "changes the size")?;
    add::<ResizedCrop>(
        registry,
        "resized_crop",
        "cuts out a given rectangle and resizes it",
    )?;
    add::<Rotate>(registry, "rotate", "turns by a given angle")?;
    add::<Saturation>(registry, "saturation", "more or less colour")?;
    add::<Sharpness>(registry, "sharpness", "sharper or softer")?;
    add::<Solarize>(registry, "solarize", "inverts the highlights")?;
    add::<SolarizeAdd>(registry, "solarize_add", "brightens the shadows")?;
    add::<Transpose>(
        registry,
        "transpose",
        "swaps rows and columns with probability p",
    )?;
    add::<TrivialAugment>(registry, "trivial_augment", "one operation of any strength")?;
    add::<VerticalFlip>(
        registry,
        "vertical_flip",
        "mirrors up and down with probability p",
    )?;
    add::<AugMix>(registry, "aug_mix", "mixes several chains of operations")?;
    add::<Rescale>(registry, "rescale", "multiplies and adds, without clipping")?;
    add::<Denormalize>(registry, "denormalize", "undoes a normalisation")?;
    add::<ToF32>(registry, "to_f32", "bytes become numbers")?;
    add::<ToU8>(registry, "to_u8", "numbers become bytes")?;
    add::<ToRgb>(registry, "to_rgb", "grey becomes three channels")?;
    add::<Identity>(registry, "identity", "nothing")?;
    add::<Replay>(registry, "replay", "a recorded plan")?;
    add::<Jpeg>(registry, "jpeg", "the marks of compression")?;
    add::<KerasAugMix>(registry, "keras_aug_mix", "mixes chains of Keras' layers")?;
    add::<KerasRandAugment>(
        registry,
        "keras_rand_augment",
        "a few of Keras' layers, of one strength",
    )?;
    add::<LinearTransformation>(
        registry,
        "linear_transformation",
        "a matrix on all values of an image",
    )?;
    add::<GaussianNoise>(registry, "gaussian_noise", "adds normal noise")?;
    add::<SaltAndPepper>(registry, "salt_and_pepper", "makes pixels white or black")?;
    add::<PadIfNeeded>(
        registry,
        "pad_if_needed",
        "a frame around images that are too small",
    )?;
    add::<RandomPhotometricDistort>(
        registry,
        "random_photometric_distort",
        "light and colours as for detectors",
    )?;
    add::<RandomChannelPermutation>(
        registry,
        "random_channel_permutation",
        "channels in a random order",
    )?;
    add::<RandomGaussianBlur>(registry, "random_gaussian_blur", "softens by a random bell")?;
    add::<RandomHue>(registry, "random_hue", "turns the hue either way")?;
    add::<RandomIouCrop>(registry, "random_iou_crop", "a crop that keeps an object")?;
    add::<RandomShearConfig>(registry, "random_shear", "slants")?;
    add::<RandomResize>(
        registry,
        "random_resize",
        "a random length of the shorter side",
    )?;
    add::<RandomShortestSize>(
        registry,
        "random_shortest_size",
        "one of several lengths of the shorter side",
    )?;
    add::<ScaleJitter>(registry, "scale_jitter", "fits a size times a random scale")?;
    add::<RandomSolarization>(
        registry,
        "random_solarization",
        "inverts the highlights at random",
    )?;
    add::<RandomBrightness>(registry, "random_brightness", "adds a random part of white")?;
    add::<RandomColorDegeneration>(
        registry,
        "random_color_degeneration",
        "blends with the luma",
    )?;
    add::<RandomContrast>(
        registry,
        "random_contrast",
        "scales the distance to the mean of each channel",
    )?;
    add::<RandomGamma>(
        registry,
        "random_gamma",
        "a power law with a random exponent",
    )?;
    add::<RandomPosterization>(
        registry,
        "random_posterization",
        "keeps a random number of bits",
    )?;
    add::<RandomSaturation>(
        registry,
        "random_saturation",
        "scales the saturation of HSV",
    )?;
    add::<RandomSharpness>(registry, "random_sharpness", "sharper or softer at random")?;
    add::<RandomZoomOut>(registry, "random_zoom_out", "a larger canvas")?;
    add::<Resizing>(registry, "resizing", "one size for all images")?;
    add::<SanitizeBoxes>(registry, "sanitize_boxes", "clips and drops boxes")?;
    add::<SanitizePoints>(
        registry,
        "sanitize_points",
        "drops or moves key points outside",
    )?;
    add::<RandomAdjustSharpness>(
        registry,
        "random_adjust_sharpness",
        "sharpness with probability p",
    )?;
    add::<RandomAutoContrast>(
        registry,
        "random_auto_contrast",
        "the whole range of values with probability p",
    )?;
    add::<RandomEqualize>(registry, "random_equalize", "equalises with probability p")?;
    add::<RandomGrayscale>(registry, "random_grayscale", "grey with probability p")?;
    add::<RandomInvert>(registry, "random_invert", "the negative with probability p")?;
    add::<RandomPosterize>(
        registry,
        "random_posterize",
        "fewer bits with probability p",
    )?;
    add::<RandomSolarize>(
        registry,
        "random_solarize",
        "inverts the highlights with probability p",
    )?;
    add::<ThreeAugment>(
        registry,
        "three_augment",
        "grey, solarised or blurred, then jitter",
    )?;
    add::<TimmAutoAugment>(registry, "timm_auto_augment", "a policy of timm")?;
    add::<TimmRandAugment>(
        registry,
        "timm_rand_augment",
        "a few operations, as timm does them",
    )?;
    add::<TrimBorder>(registry, "trim_border", "cuts off the edge")?;
    add::<WarpAffine>(registry, "warp_affine", "reads along a given matrix")?;
    Ok(())
}

/// Adds a transform that is its own configuration.
fn add<T: Transform + DeserializeOwned + Serialize>(
    registry: &mut Registry<Transforms>,
    name: &str,
    summary: &str,
) -> Result<(), SpecError> {
    registry.register(name, summary, |spec: &Spec, _: &Registry<Transforms>| {
        let transform: T = spec.parse()?;
        transform.validate().map_err(SpecError::from)?;
        Ok(Box::new(transform) as Box<dyn Transform>)
    })?;
    registry.describe::<T>(name)
}

impl From<crate::AugmentError> for SpecError {
    fn from(error: crate::AugmentError) -> Self {
        match error {
            crate::AugmentError::Parameter {
                field,
                got,
                expected,
                ..
            } => Self::field(field, format_args!("{got} is not allowed; use {expected}")),
            other => Self::invalid(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::plan;
    use crate::{FillMode, Interpolation};

    fn registries() -> Registries {
        let mut registries = Registries::new();
        register(&mut registries).unwrap();
        registries
    }

    #[test]
    fn specs_come_back_through_json_and_plan_the_same() {
        let chain = Compose::new()
            .with(RandomFlipConfig::new())
            .with(
                RandomRotationConfig::new((0.0, 0.1))
                    .with_fill_mode(FillMode::Constant)
                    .with_fill_value(0.5),
            )
            .with(RandomTranslationConfig::new(0.1, 0.2))
            .with(RandomZoomConfig::new(0.3).with_interpolation(Interpolation::Nearest))
            .with(Choice::weighted(
                Compose::new()
                    .with(crate::Invert::new())
                    .with(crate::Equalize::new()),
                vec![1.0, 2.0],
            ))
            .with(Choice::some_of(
                1,
                1,
                Compose::new().with(crate::Hue::new(0.1)),
            ))
            .with(Choice::random_order(
                Compose::new().with(crate::ColorJitter::default()),
            ))
            .with(RandomApply::new(0.25, crate::RandomErasing::new()));
        let json = serde_json::to_string(&chain.spec().unwrap()).unwrap();
        let spec: Spec = serde_json::from_str(&json).unwrap();
        let again = registries().build::<Transforms>(&spec).unwrap();
        assert_eq!(again.spec().unwrap(), spec);
        let meta = crate::ops::testing::meta(crate::ops::testing::SIZE);
        let key = firecraft_key::Key::from_seed(7);
        assert_eq!(again.plan(&meta, key).unwrap(), plan(&chain, 7));
    }

    #[test]
    fn errors_name_the_place() {
        let inner = Spec::new("random_zoom").with("height_factor", -3.0);
        let inner = inner.with("height_factor", vec![-3.0, 0.0]);
        let spec = Spec::new("compose").with("transforms", vec![Spec::new("random_flip"), inner]);
        assert_eq!(
            registries()
                .build::<Transforms>(&spec)
                .unwrap_err()
                .to_string(),
            "random_zoom: `transforms[1].height_factor`: (-3, 0) is not allowed; \
             use an ordered pair in [-0.99, 100]"
        );
        let spec = Spec::new("random_flip").with("mod", "both");
        let error = registries().build::<Transforms>(&spec).unwrap_err();
        assert!(error.to_string().contains("did you mean `mode`"), "{error}");
    }
}
