//! Applying one plan per sample to a batch.

use super::composite;
use crate::kernel::warp_batch;
use crate::{AugmentError, Image, Plan, Sample, Size, Warp};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;

/// Applies plan number `i` to image number `i` of a batch
/// `[batch, channels, height, width]`, on whichever device it is.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_augment::{Matrix, Plan, Size, Warp, layer::apply_batch};
///
/// let size = Size::new(1, 3);
/// let mirror = Plan::from(Warp::exact(Matrix::horizontal_flip(size), size));
/// let images = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0]]]], &Device::flex());
/// let out = apply_batch(images, &[mirror])?;
/// assert_eq!(out.into_data().try_into_vec::<f32>().unwrap(), [3.0, 2.0, 1.0]);
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
///
/// On the device run warps, everything that is linear in the colours (brightness,
/// contrast, saturation, grey, the negative, normalisations, [`ColorMatrix`]),
/// changes of hue, gamma and solarisation, and erasing with a given colour: one
/// pass over the batch for each kind, with numbers of its own for every image,
/// and with gradients to the input. A plan with any other step takes its batch
/// through the host and cuts the gradient.
///
/// [`ColorMatrix`]: crate::ColorMatrix
///
/// # Errors
/// If there isn't one plan per image, a plan changes the size, or a step
/// refuses an image.
pub fn apply_batch(images: Tensor<4>, plans: &[Plan]) -> Result<Tensor<4>, AugmentError> {
    let [batch, _, height, width] = images.dims();
    if plans.len() != batch {
        return Err(AugmentError::Length {
            operation: "apply_batch: plans",
            got: plans.len(),
            expected: batch,
        });
    }
    let size = Size::new(height, width);
    if let Some(plan) = plans.iter().find(|plan| plan.output(size) != size) {
        return Err(AugmentError::BatchSize {
            operation: "apply_batch",
            got: plan.output(size),
            expected: size,
        });
    }
    run(images, plans)
}

/// [`apply_batch`] for plans that are known to fit.
pub(super) fn run(images: Tensor<4>, plans: &[Plan]) -> Result<Tensor<4>, AugmentError> {
    let [_, channels, height, width] = images.dims();
    if channels * height * width == 0 || plans.iter().all(|plan| plan.steps.is_empty()) {
        return Ok(images);
    }
    // The kernels have no backward; gradients go through tensor operations.
    if is_host(&images.device()) && !images.is_tracked() {
        let chains = plans.iter().map(warps).collect::<Option<Vec<_>>>();
        if let Some(out) = chains.and_then(|chains| on_host(&images, &chains)) {
            return Ok(out);
        }
        return step_by_step(images, plans);
    }
    let works = plans.iter().map(|plan| composite::works(plan, channels));
    match works.collect::<Option<Vec<_>>>() {
        Some(works) => Ok(composite::run(images, works)),
        None => step_by_step(images, plans),
    }
}

/// The warps of a plan that has nothing else.
fn warps(plan: &Plan) -> Option<Vec<Warp>> {
    plan.steps
        .iter()
        .map(|step| step.as_warp().cloned())
        .collect()
}

/// Any steps, image by image on the host, wherever the batch is. Gradients
/// don't flow to the input.
fn step_by_step(images: Tensor<4>, plans: &[Plan]) -> Result<Tensor<4>, AugmentError> {
    let unreadable = |error: &dyn std::fmt::Display| AugmentError::Image {
        operation: "apply_batch",
        got: error.to_string(),
        expected: "a batch that can be read as f32".into(),
    };
    let [batch, channels, height, width] = images.dims();
    let size = Size::new(height, width);
    let (device, dtype) = (images.device(), images.dtype());
    let data = images
        .without_autodiff()
        .try_into_data_dtype(DType::F32)
        .map_err(|error| unreadable(&error))?;
    let mut out = data
        .as_slice::<f32>()
        .map_err(|error| unreadable(&error))?
        .to_vec();
    out.par_chunks_mut(size.area() * channels)
        .zip(plans)
        .try_for_each(|(planes, plan)| {
            let mut sample = Sample::new(Image::from_f32_planes(planes, size, channels)?);
            plan.apply(&mut sample)?;
            let changed = sample.image.to_planes();
            if changed.len() != planes.len() {
                return Err(AugmentError::Length {
                    operation: "apply_batch: channels",
                    got: changed.len(),
                    expected: planes.len(),
                });
            }
            planes.copy_from_slice(&changed);
            Ok(())
        })?;
    let out = TensorData::new(out, [batch, channels, height, width]);
    Ok(Tensor::from_data(out, (&device, dtype)))
}

/// Whether reading the data of a tensor costs next to nothing.
#[cfg_attr(feature = "ndarray", allow(deprecated))]
fn is_host(device: &Device) -> bool {
    let device = device.clone().without_autodiff();
    #[cfg(feature = "flex")]
    if device == Device::flex() {
        return true;
    }
    #[cfg(feature = "ndarray")]
    if device == Device::ndarray() {
        return true;
    }
    false
}

/// `None` if the numbers can't be read as `f32`.
fn on_host(images: &Tensor<4>, chains: &[Vec<Warp>]) -> Option<Tensor<4>> {
    let [batch, channels, height, width] = images.dims();
    let dtype = images.dtype();
    let data = images
        .clone()
        .without_autodiff()
        .try_into_data_dtype(DType::F32)
        .ok()?;
    let mut out = vec![0.0_f32; batch * channels * height * width];
    let size = Size::new(height, width);
    warp_batch(data.as_slice().ok()?, &mut out, size, channels, chains).ok()?;
    let out = TensorData::new(out, [batch, channels, height, width]);
    Some(Tensor::from_data(out, (&images.device(), dtype)))
}
