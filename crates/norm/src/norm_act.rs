//! A normalisation with the activation after it.

use burn::module::Module;
use burn::nn::activation::{Activation, ActivationConfig};
use burn::tensor::{Device, Tensor};
use firecraft_core_tensor::{Mode, kernels};

use crate::{Norm, NormConfig, NormError, error::or_panic, norm_tree};

/// The configuration of a [`NormAct`] layer: any normalisation and any
/// activation.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_norm::{GroupNormConfig, NormActConfig, NormConfig};
///
/// let norm = NormConfig::Group(GroupNormConfig::new(2, 2));
/// let layer = NormActConfig::new(norm).init(4, &Device::flex());
/// let x = Tensor::<3>::from_floats([[[1.0], [3.0], [5.0], [7.0]]], &Device::flex());
/// let y: Vec<f32> = layer.forward(x).try_into_vec_as()?;
/// assert_eq!((y[0], y[2]), (0.0, 0.0)); // the negative ones, cut by ReLU
/// # Ok::<(), burn::tensor::TensorReadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NormActConfig {
    /// The normalisation.
    pub norm: NormConfig,
    /// The activation. Default ReLU.
    pub activation: ActivationConfig,
}

impl NormActConfig {
    /// The normalisation followed by a ReLU: timm's `BatchNormAct2d`,
    /// `GroupNormAct`, `LayerNormAct`, …
    #[must_use]
    pub fn new(norm: NormConfig) -> Self {
        Self {
            norm,
            activation: ActivationConfig::Relu,
        }
    }

    /// Sets `activation`.
    #[must_use]
    pub fn with_activation(self, activation: impl Into<ActivationConfig>) -> Self {
        Self {
            activation: activation.into(),
            ..self
        }
    }

    /// The layer for `num_features` features.
    ///
    /// # Errors
    /// [`NormError::Config`] if a field is out of its range.
    pub fn try_init(&self, num_features: usize, device: &Device) -> Result<NormAct, NormError> {
        Ok(NormAct {
            norm: self.norm.try_init(num_features, device)?,
            activation: self.activation.init(device),
        })
    }

    /// [`try_init`](Self::try_init) in burn's manner.
    ///
    /// # Panics
    /// With the message of the error.
    #[must_use]
    #[track_caller]
    pub fn init(&self, num_features: usize, device: &Device) -> NormAct {
        or_panic(self.try_init(num_features, device))
    }
}

/// A normalisation and its activation as one layer, so that a block can't
/// forget one of them and a model can be given both as one choice. Batch
/// normalisation and ReLU are computed in one pass, as
/// [`BatchNorm::forward_relu`](crate::BatchNorm::forward_relu).
///
/// Normalisations with an activation of their own (EvoNorm, filter response
/// normalisation with its threshold) go with
/// [`ActivationConfig::Identity`](burn::nn::activation::ActivationConfig).
#[derive(Module, Debug)]
pub struct NormAct {
    /// The normalisation.
    pub norm: Norm,
    /// The activation.
    pub activation: Activation,
}

impl NormAct {
    /// Normalises `x`, then applies the activation.
    ///
    /// # Panics
    /// With the message of [`try_forward`](Self::try_forward)'s error.
    #[must_use]
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_forward(x))
    }

    /// [`forward`](Self::forward) with an error instead of a panic.
    ///
    /// # Errors
    /// Those of the normalisation.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>, NormError> {
        normalise_and_activate(&self.norm, &self.activation, x, None)
    }

    /// [`try_forward`](Self::try_forward) in the given mode, see
    /// [`Norm::try_forward_mode`].
    ///
    /// # Errors
    /// Those of the normalisation.
    pub fn try_forward_mode<const D: usize>(
        &self,
        x: Tensor<D>,
        mode: Mode,
    ) -> Result<Tensor<D>, NormError> {
        normalise_and_activate(&self.norm, &self.activation, x, Some(mode))
    }
}

norm_tree!(NormAct { norm });

/// The normalisation, in its own mode if none is given, and then the
/// activation; both in one pass where there is one.
pub(crate) fn normalise_and_activate<const D: usize>(
    norm: &Norm,
    activation: &Activation,
    x: Tensor<D>,
    mode: Option<Mode>,
) -> Result<Tensor<D>, NormError> {
    let y = match (norm, activation, mode) {
        (Norm::Batch(norm), Activation::Relu(_), mode) => {
            let mode = mode.unwrap_or_else(|| norm.mode_for(&x));
            return norm.run(x, mode, kernels::Activation::Relu);
        }
        (_, _, Some(mode)) => norm.try_forward_mode(x, mode)?,
        (_, _, None) => norm.try_forward(x)?,
    };
    Ok(activation.forward(y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use crate::{BatchNormConfig, LayerNormConfig};
    use burn::tensor::activation::{gelu, relu};

    #[test]
    fn it_is_the_norm_and_then_the_activation() {
        let device = Device::flex();
        for norm in [
            NormConfig::Batch(BatchNormConfig::new(1)),
            NormConfig::Layer(LayerNormConfig::new([1])),
        ] {
            let config = NormActConfig::new(norm.clone()).with_activation(ActivationConfig::Gelu);
            let x = random([4, 6], 2);
            let want = gelu(norm.init(6, &device).forward(x.clone()));
            let got = config.init(6, &device).forward(x);
            assert!((got - want).abs().max().into_scalar::<f32>() < 1e-6);
        }
    }

    #[test]
    fn batch_normalisation_and_relu_in_one_pass_are_what_they_are_in_two() {
        let device = Device::flex().autodiff();
        let config = NormActConfig::new(NormConfig::Batch(BatchNormConfig::new(1)));
        let one = config.init(6, &device);
        for mode in [Mode::Train, Mode::Eval] {
            let two = one.clone();
            let x = random([4, 6], 2).autodiff();
            let want = relu(two.norm.try_forward_mode(x.clone(), mode).unwrap());
            let got = one.try_forward_mode(x, mode).unwrap();
            assert!((got - want).abs().max().into_scalar::<f32>() < 1e-6);
        }
        assert_eq!(crate::norm_paths(&one), ["norm"]);
    }

    #[test]
    fn errors_are_those_of_the_norm() {
        let config = NormActConfig::new(NormConfig::Batch(BatchNormConfig::new(1)));
        let layer = config.init(3, &Device::flex());
        assert!(layer.try_forward(random([2, 4], 1)).is_err());
        let wrong = NormConfig::Batch(BatchNormConfig::new(1).with_epsilon(0.0));
        assert!(
            NormActConfig::new(wrong)
                .try_init(3, &Device::flex())
                .is_err()
        );
    }
}
