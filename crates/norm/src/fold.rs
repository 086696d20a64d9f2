//! Batch normalisation folded into the layer before it, for inference.
//!
//! In evaluation a batch normalisation is an affine map of every channel, and
//! so is part of the weights of the linear layer before it:
//!
//! ```text
//! scale = gamma / sqrt(running_var + epsilon)
//! weight' = weight * scale (per output channel),  bias' = (bias - running_mean) * scale + beta
//! ```

use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::nn::conv::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
use burn::tensor::{Shape, Tensor};

use crate::precision::{cast, working};
use crate::{BatchNorm, NormError, check};

const LAYER: &str = "fold";

/// A layer that a [`BatchNorm`] after it can be folded into.
pub trait Fold: Module {
    /// The one layer that computes what `self` followed by `norm` does in
    /// evaluation. The result has a bias, also where `self` has none.
    ///
    /// ```
    /// use burn::nn::conv::Conv2dConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use firecraft_norm::{BatchNormConfig, Fold};
    ///
    /// let device = Device::flex();
    /// let conv = Conv2dConfig::new([3, 8], [3, 3]).with_bias(false).init(&device);
    /// let norm = BatchNormConfig::new(8).with_initial_statistics(0.5, 4.0).init(&device);
    /// let x = Tensor::<4>::ones([1, 3, 5, 5], &device);
    /// let two = norm.forward(conv.forward(x.clone()));
    /// let one = conv.try_fold(&norm)?.forward(x);
    /// let difference = (two - one).abs().max().into_scalar::<f32>();
    /// assert!(difference < 1e-5);
    /// # Ok::<(), firecraft_norm::NormError>(())
    /// ```
    ///
    /// # Errors
    /// [`NormError::Features`] if the numbers of channels differ,
    /// [`NormError::Config`] if `norm` has no running statistics.
    fn try_fold(self, norm: &BatchNorm) -> Result<Self, NormError>;
}

/// `scale` and `shift` of every channel, in `f32` at least.
fn affine(norm: &BatchNorm, channels: usize) -> Result<(Tensor<1>, Tensor<1>), NormError> {
    let config = norm.config();
    if config.num_features != channels {
        return Err(NormError::Features {
            layer: LAYER,
            axis: 0,
            shape: vec![channels],
            got: channels,
            expected: config.num_features,
        });
    }
    let Some((mean, variance)) = norm.statistics() else {
        return Err(check::config(
            LAYER,
            "track_running_stats",
            false,
            "true: a layer without running statistics is no fixed map",
        ));
    };
    let (mean, variance) = (mean.value(), variance.value());
    let dtype = working(variance.dtype());
    let (mean, variance) = (cast(mean, dtype), cast(variance, dtype));
    let (gamma, beta) = norm.affine(mean.dtype());
    let inverse = variance.add_scalar(config.epsilon).sqrt().recip();
    let scale = match gamma {
        Some(gamma) => gamma * inverse,
        None => inverse,
    };
    let shift = mean.neg() * scale.clone();
    Ok(match beta {
        Some(beta) => (scale, shift + beta),
        None => (scale, shift),
    })
}

/// The weight with its output axis scaled and the bias that belongs to it. The
/// output channels lie on `axis`, in `groups` blocks of it.
fn folded<const D: usize>(
    weight: &Param<Tensor<D>>,
    bias: &Option<Param<Tensor<1>>>,
    norm: &BatchNorm,
    axis: usize,
    groups: usize,
) -> Result<(Param<Tensor<D>>, Option<Param<Tensor<1>>>), NormError> {
    let value = weight.val();
    let dims = value.dims();
    let channels = dims[axis] * groups;
    let (scale, shift) = affine(norm, channels)?;
    let device = value.device();
    let (scale, shift) = (scale.to_device(&device), shift.to_device(&device));
    let dtype = value.dtype();

    let wide = cast(value, working(dtype));
    // A grouped transposed convolution has its groups on the input axis.
    let split = Shape::new([
        groups,
        dims[0] / groups,
        dims[1],
        dims[2..].iter().product(),
    ]);
    let mut per_output = [1; 4];
    if groups > 1 {
        per_output[0] = groups;
        per_output[2] = dims[axis];
    } else {
        per_output[1 + axis] = channels;
    }
    let wide: Tensor<4> = wide.reshape(split);
    let scaled = wide * scale.clone().reshape(per_output);
    let scaled = cast(scaled.reshape(dims), dtype.into());

    let bias_value = match bias {
        Some(bias) => cast(bias.val(), scale.dtype().into()) * scale + shift,
        None => shift,
    };
    let bias_id = bias.as_ref().map_or_else(ParamId::new, |bias| bias.id);
    let trained = weight.val().is_require_grad();
    let bias_value = cast(bias_value, dtype.into()).detach();
    let bias = Param::initialized(bias_id, bias_value.set_require_grad(trained));
    // `map` keeps the id and how the weight is laid out in records.
    let weight = weight
        .clone()
        .map(|_| scaled.detach().set_require_grad(trained));
    Ok((weight, Some(bias)))
}

macro_rules! fold {
    ($($Layer:ident: $axis:expr, $groups:expr;)*) => {
        $(
            impl Fold for $Layer {
                fn try_fold(mut self, norm: &BatchNorm) -> Result<Self, NormError> {
                    let groups: fn(&Self) -> usize = $groups;
                    let groups = groups(&self);
                    let (weight, bias) = folded(&self.weight, &self.bias, norm, $axis, groups)?;
                    self.weight = weight;
                    self.bias = bias;
                    Ok(self)
                }
            }
        )*
    };
}

// Convolutions have weights [out, in / groups, ...], transposed ones
// [in, out / groups, ...], burn's linear layer [in, out].
fold! {
    Conv1d: 0, |_| 1;
    Conv2d: 0, |_| 1;
    Conv3d: 0, |_| 1;
    ConvTranspose1d: 1, |layer| layer.groups;
    ConvTranspose2d: 1, |layer| layer.groups;
    ConvTranspose3d: 1, |layer| layer.groups;
    Linear: 1, |_| 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchNormConfig, Mode};
    use burn::nn::LinearConfig;
    use burn::nn::conv::{
        Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
        ConvTranspose3dConfig,
    };
    use burn::tensor::{Device, TensorData};
    use firecraft_core_tensor::Key;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        let mut rng = Key::from_seed(3).rng();
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// A layer with statistics, factor and offset that differ per channel.
    fn norm(channels: usize) -> BatchNorm {
        let device = Device::flex();
        let mut norm = BatchNormConfig::new(channels).init(&device);
        let _ = norm.forward_mode(random([20, channels]) * 2.0 + 1.0, Mode::Train);
        norm.gamma = Some(Param::from_tensor(random([channels])));
        norm.beta = Some(Param::from_tensor(random([channels]) + 0.5));
        norm
    }

    fn same<const D: usize>(two: Tensor<D>, one: Tensor<D>) {
        let difference = (two - one).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-5, "{difference}");
    }

    macro_rules! agrees {
        ($name:ident, $config:expr, $channels:expr, $x:expr) => {
            #[test]
            fn $name() {
                let layer = $config.init(&Device::flex());
                let norm = norm($channels);
                let two = norm.forward(layer.forward($x));
                same(two, layer.try_fold(&norm).unwrap().forward($x));
            }
        };
    }

    agrees!(
        conv1d,
        Conv1dConfig::new(4, 6, 3).with_groups(2),
        6,
        random([2, 4, 7])
    );
    agrees!(
        conv2d,
        Conv2dConfig::new([3, 5], [3, 2]).with_bias(false),
        5,
        random([2, 3, 6, 6])
    );
    agrees!(
        conv3d,
        Conv3dConfig::new([2, 3], [2, 2, 2]),
        3,
        random([1, 2, 3, 3, 3])
    );
    agrees!(
        transposed1d,
        ConvTranspose1dConfig::new([4, 6], 3),
        6,
        random([2, 4, 5])
    );
    agrees!(
        transposed2d_in_groups,
        ConvTranspose2dConfig::new([4, 6], [2, 3]).with_groups(2),
        6,
        random([2, 4, 5, 5])
    );
    agrees!(
        transposed3d,
        ConvTranspose3dConfig::new([2, 3], [2, 2, 2]),
        3,
        random([1, 2, 3, 3, 3])
    );
    agrees!(linear, LinearConfig::new(4, 3), 3, random([5, 4]));

    #[test]
    fn a_reparametrised_weight_folds_with_its_computed_value() {
        let layer = LinearConfig::new(4, 3).init(&Device::flex());
        let layer = crate::SpectralNormConfig::new().apply(layer).unwrap();
        let (norm, x) = (norm(3), random([5, 4]));
        let two = norm.forward(layer.forward(x.clone()));
        let folded = layer.try_fold(&norm).unwrap();
        let left = folded.weight.reparameterization::<crate::SpectralNorm>();
        assert!(left.is_none());
        same(two, folded.forward(x));
    }

    #[test]
    fn identities_stay_and_errors_name_what_is_wrong() {
        let device = Device::flex();
        let layer = LinearConfig::new(4, 3).init(&device);
        let id = layer.weight.id;
        assert_eq!(layer.clone().try_fold(&norm(3)).unwrap().weight.id, id);
        assert!(layer.clone().try_fold(&norm(4)).is_err());
        let stateless = BatchNormConfig::new(3)
            .with_track_running_stats(false)
            .init(&device);
        let error = layer.try_fold(&stateless).unwrap_err().to_string();
        assert!(error.contains("track_running_stats"), "{error}");
        let training = LinearConfig::new(4, 3).init(&device.autodiff()).train();
        let folded = training.try_fold(&norm(3)).unwrap();
        assert!(folded.weight.val().is_require_grad());
    }
}
