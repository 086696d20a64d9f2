//! Normalisation of every sample by statistics over groups of its features.

use burn::tensor::Tensor;

use super::Kernels;

/// What a group is divided by, and whether its mean is subtracted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moments {
    /// Subtract the mean, divide by the root of the biased variance.
    MeanAndVariance,
    /// Divide by the root of the mean square.
    MeanSquare,
}

/// What [`group_norm`] computes.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    /// The normalised input, `[N, P, Q, S]`.
    pub output: Tensor<4>,
    /// The mean of every group, `[N, P]`, outside the graph; 0 where it isn't
    /// subtracted.
    pub mean: Tensor<2>,
    /// The biased variance or mean square of every group, `[N, P]`, outside
    /// the graph.
    pub variance: Tensor<2>,
}

/// Normalises every group of `x` by its own moments:
/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`.
///
/// `x` is `[N, P, Q, S]`: `N` samples of `P` groups of `Q` features at `S`
/// positions, statistics over `Q` and `S`. `gamma` and `beta` are `[P * Q]`,
/// absent ones act as 1 and 0. All are `f32` or `f64`. Differentiable in `x`,
/// `gamma` and `beta`.
///
/// | layer | `[N, P, Q, S]` |
/// |---|---|
/// | layer and RMS normalisation of the last axes | `[rows, 1, features, 1]` |
/// | group normalisation | `[N, groups, C / groups, positions]` |
/// | instance normalisation | `[N, C, 1, positions]` |
///
/// Accuracy as in [`batch_norm_train`](super::batch_norm_train): a mean that is
/// large against the spread costs no digits.
#[must_use]
pub fn group_norm(
    x: Tensor<4>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    moments: Moments,
    epsilon: f64,
    kernels: Kernels,
) -> GroupNorm {
    #[cfg(feature = "flex")]
    if kernels.uses_flex(&x) {
        return on_flex(x, gamma, beta, moments, epsilon);
    }
    let _ = kernels;
    composite(x, gamma, beta, moments, epsilon)
}

#[cfg(feature = "flex")]
fn on_flex(
    x: Tensor<4>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    moments: Moments,
    epsilon: f64,
) -> GroupNorm {
    use super::backend::NormBackend;
    use burn::backend::Dispatch;

    let [_, groups, features, _] = x.dims();
    let device = x.device().without_autodiff();
    let gamma = gamma.unwrap_or_else(|| Tensor::ones([groups * features], &device));
    let beta = beta.unwrap_or_else(|| Tensor::zeros([groups * features], &device));
    let (output, mean, rest, variance) = <Dispatch as NormBackend>::group_norm_step(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        moments == Moments::MeanAndVariance,
        epsilon,
    );
    let plain = |t| Tensor::<2>::from_dispatch(t).without_autodiff();
    GroupNorm {
        output: Tensor::from_dispatch(output),
        mean: plain(mean) + plain(rest),
        variance: plain(variance),
    }
}

fn composite(
    x: Tensor<4>,
    gamma: Option<Tensor<1>>,
    beta: Option<Tensor<1>>,
    moments: Moments,
    epsilon: f64,
) -> GroupNorm {
    let [samples, groups, features, _] = x.dims();
    let (centred, mean) = match moments {
        Moments::MeanAndVariance => {
            // The normalised values do not depend on the shift, so no gradient
            // flows through it.
            let shift = group_mean(x.clone().without_autodiff());
            let shifted = x - shift.clone();
            let rest = group_mean(shifted.clone());
            let mean = shift + rest.clone().without_autodiff();
            (shifted - rest, mean)
        }
        Moments::MeanSquare => {
            let device = x.device().without_autodiff();
            let mean = Tensor::zeros([samples, groups, 1, 1], (&device, x.dtype()));
            (x, mean)
        }
    };
    let variance = group_mean(centred.clone().square());
    let inverse = variance.clone().add_scalar(epsilon).sqrt().recip();
    let per_feature = |t: Tensor<1>| t.reshape([1, groups, features, 1]);
    let mut output = centred * inverse;
    if let Some(gamma) = gamma {
        output = output * per_feature(gamma);
    }
    if let Some(beta) = beta {
        output = output + per_feature(beta);
    }
    GroupNorm {
        output,
        mean: mean.reshape([samples, groups]),
        variance: variance.without_autodiff().reshape([samples, groups]),
    }
}

fn group_mean(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(3).mean_dim(2)
}
