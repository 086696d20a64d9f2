//! Normalisation of every channel by statistics over all other axes.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::{Activation, Kernels};

/// What a training step of batch normalisation computes.
#[derive(Debug, Clone)]
pub struct BatchNormTrain {
    /// The normalised input, after the activation if there is one, `[N, C, S]`.
    pub output: Tensor<3>,
    /// The mean of every channel, `[C]`, outside the graph.
    pub mean: Tensor<1>,
    /// The biased variance of every channel, `[C]`, outside the graph.
    pub variance: Tensor<1>,
}

/// Normalises every channel of `x` by its own mean and biased variance:
/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`.
///
/// `x` is `[N, C, S]` with `N * S >= 1`; `gamma` and `beta` are `[C]`, absent
/// ones act as 1 and 0. All are `f32` or `f64`. Differentiable in `x`, `gamma`
/// and `beta`.
///
/// # Accuracy
/// The statistics are those of `x` shifted by a first estimate of the mean, so
/// a mean that is large against the spread costs no digits: the differences
/// to the estimate are exact, and their own mean and variance are small
/// numbers.
#[must_use]
pub fn batch_norm_train(
    x: Tensor<3>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
    kernels: Kernels,
) -> BatchNormTrain {
    batch_norm_act_train(x, gamma, beta, epsilon, Activation::Identity, kernels)
}

/// [`batch_norm_train`] with an activation after it:
/// `y = activation((x - mean) / sqrt(variance + epsilon) * gamma + beta)`.
///
/// Where there is a kernel the activation costs no pass over memory, forward
/// or backward.
#[must_use]
pub fn batch_norm_act_train(
    x: Tensor<3>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
    activation: Activation,
    kernels: Kernels,
) -> BatchNormTrain {
    #[cfg(feature = "flex")]
    if kernels.uses_flex(&x) {
        return train_on_flex(x, gamma, beta, epsilon, activation);
    }
    let _ = kernels;
    let plain = train_composite(x, gamma, beta, epsilon);
    match activation {
        Activation::Identity => plain,
        Activation::Relu => BatchNormTrain {
            output: relu(plain.output),
            ..plain
        },
    }
}

#[cfg(feature = "flex")]
fn train_on_flex(
    x: Tensor<3>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
    activation: Activation,
) -> BatchNormTrain {
    use super::backend::NormBackend;
    use burn::backend::Dispatch;

    let channels = x.dims()[1];
    let device = x.device().without_autodiff();
    let gamma = gamma.unwrap_or_else(|| Tensor::ones([channels], &device));
    let beta = beta.unwrap_or_else(|| Tensor::zeros([channels], &device));
    let (output, mean, rest, variance) = <Dispatch as NormBackend>::batch_norm_step(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
        activation == Activation::Relu,
    );
    let plain = |t| Tensor::<1>::from_dispatch(t).without_autodiff();
    BatchNormTrain {
        output: Tensor::from_dispatch(output),
        mean: plain(mean) + plain(rest),
        variance: plain(variance),
    }
}

/// Normalises every channel of `x` by the given statistics:
/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`.
///
/// Shapes and types as in [`batch_norm_train`]; `mean` and `variance` are
/// `[C]`. Differentiable in all tensors.
#[must_use]
pub fn batch_norm_eval(
    x: Tensor<3>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    epsilon: f64,
) -> Tensor<3> {
    let inverse = variance.add_scalar(epsilon).sqrt().recip();
    let scale = match gamma {
        Some(gamma) => gamma * inverse,
        None => inverse,
    };
    let y = (x - per_channel(mean)) * per_channel(scale);
    match beta {
        Some(beta) => y + per_channel(beta),
        None => y,
    }
}

fn train_composite(
    x: Tensor<3>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
) -> BatchNormTrain {
    // The normalised values do not depend on the shift, so no gradient flows
    // through it.
    let shift = channel_mean(x.clone().without_autodiff());
    let shifted = x - shift.clone();
    let rest = channel_mean(shifted.clone());
    let centred = shifted - rest.clone();
    let variance = channel_mean(centred.clone().square());
    let channels = variance.dims()[1];
    let inverse = variance.clone().add_scalar(epsilon).sqrt().recip();
    let scale = match gamma {
        Some(gamma) => per_channel(gamma) * inverse,
        None => inverse,
    };
    let output = centred * scale;
    BatchNormTrain {
        output: match beta {
            Some(beta) => output + per_channel(beta),
            None => output,
        },
        mean: (shift + rest.without_autodiff()).reshape([channels]),
        variance: variance.without_autodiff().reshape([channels]),
    }
}

fn channel_mean(x: Tensor<3>) -> Tensor<3> {
    x.mean_dim(2).mean_dim(0)
}

fn per_channel(x: Tensor<1>) -> Tensor<3> {
    let channels = x.dims()[0];
    x.reshape([1, channels, 1])
}
