//! `torch.nn.init` and the defaults of `torch.nn`.
//!
//! Fans are torch's: second axis in, first axis out, groups and transposition
//! ignored. Normals are not truncated.

use crate::plan::{InitPlan, Role, Select};
use crate::{
    Activation, Bounds, Constant, Dirac, Distribution, FanMode, FanSource, FanUniform, Identity,
    InitError, MatrixView, Normal, Orthogonal, Sparse, TruncatedNormal, Uniform, VarianceScaling,
};

/// `calculate_gain(nonlinearity, param)`; `param` is the slope of
/// `leaky_relu`, 0.01 if absent. Layer names such as `conv2d` have gain 1.
///
/// ```
/// use firecraft_init::peers::torch::calculate_gain;
/// assert_eq!(calculate_gain("tanh", None)?, 5.0 / 3.0);
/// assert!(calculate_gain("gelu", None).is_err());
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
///
/// # Errors
/// [`InitError::Unknown`] for names that torch refuses.
pub fn calculate_gain(nonlinearity: &str, param: Option<f64>) -> Result<f64, InitError> {
    let activation = match nonlinearity {
        "linear" | "conv1d" | "conv2d" | "conv3d" | "conv_transpose1d" | "conv_transpose2d"
        | "conv_transpose3d" => Activation::Linear,
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        "selu" => Activation::Selu,
        "leaky_relu" => Activation::LeakyRelu {
            slope: param.unwrap_or(0.01),
        },
        name => {
            return Err(InitError::Unknown {
                what: "nonlinearity in torch",
                name: name.to_owned(),
                known: "linear, conv1d … conv_transpose3d, sigmoid, tanh, relu, leaky_relu, selu"
                    .to_owned(),
            });
        }
    };
    activation.torch_gain()
}

/// `uniform_(a, b)`.
#[must_use]
pub const fn uniform(a: f64, b: f64) -> Uniform {
    Uniform::new(a, b)
}

/// `normal_(mean, std)`.
#[must_use]
pub const fn normal(mean: f64, std: f64) -> Normal {
    Normal::new(mean, std)
}

/// `trunc_normal_(mean, std, a, b)`: the bounds are absolute values.
#[must_use]
pub const fn trunc_normal(mean: f64, std: f64, a: f64, b: f64) -> TruncatedNormal {
    TruncatedNormal::new(mean, std).with_bounds(a, b, Bounds::Absolute)
}

/// `constant_(val)`, `zeros_()`, `ones_()`.
#[must_use]
pub const fn constant(value: f64) -> Constant {
    Constant::new(value)
}

/// `eye_()`.
#[must_use]
pub const fn eye() -> Identity {
    Identity::new(1.0)
}

/// `dirac_(groups)`.
#[must_use]
pub fn dirac(groups: usize) -> Dirac {
    Dirac::default().with_groups(groups)
}

/// `sparse_(sparsity, std)`.
#[must_use]
pub const fn sparse(sparsity: f64, std: f64) -> Sparse {
    Sparse::new(sparsity).with_std(std)
}

/// `orthogonal_(gain)`: the first axis against all others, groups ignored.
#[must_use]
pub const fn orthogonal(gain: f64) -> Orthogonal {
    Orthogonal::new(gain).with_view(MatrixView::FirstAxis)
}

/// `xavier_uniform_(gain)`: bound `gain · √(6 / (fan_in + fan_out))`.
#[must_use]
pub fn xavier_uniform(gain: f64) -> VarianceScaling {
    scaling(gain, FanMode::Avg, Distribution::Uniform)
}

/// `xavier_normal_(gain)`: `σ = gain · √(2 / (fan_in + fan_out))`.
#[must_use]
pub fn xavier_normal(gain: f64) -> VarianceScaling {
    scaling(gain, FanMode::Avg, Distribution::Normal)
}

/// `kaiming_uniform_`: bound `√3 · gain / √fan`, with the gain of
/// [`calculate_gain`].
#[must_use]
pub fn kaiming_uniform(gain: f64, mode: FanMode) -> VarianceScaling {
    scaling(gain, mode, Distribution::Uniform)
}

/// `kaiming_normal_`: `σ = gain / √fan`, with the gain of [`calculate_gain`].
#[must_use]
pub fn kaiming_normal(gain: f64, mode: FanMode) -> VarianceScaling {
    scaling(gain, mode, Distribution::Normal)
}

fn scaling(gain: f64, mode: FanMode, distribution: Distribution) -> VarianceScaling {
    VarianceScaling::new(1.0, mode, distribution)
        .with_gain(gain)
        .with_fans(FanSource::Torch)
}

/// What torch's layers start with: weights and biases `U(±1/√fan_in)`,
/// embeddings `N(0, 1)`, recurrent layers `U(±1/√hidden)` throughout,
/// normalisations at the identity. Attention has Xavier uniform on its joint
/// query, key and value matrix `[3E, E]`, and zero biases.
///
/// Transposed convolutions have torch's swapped fans, their biases too.
#[must_use]
pub fn layer_defaults() -> InitPlan {
    let weights = kaiming_uniform(1.0 / 3_f64.sqrt(), FanMode::In);
    let hidden = FanUniform::new(FanMode::Out);
    let joint = VarianceScaling::new(0.5, FanMode::In, Distribution::Uniform);
    let plan = InitPlan::new(weights.clone())
        .default_rule(Select::any(Role::Attention), weights)
        .default_rule(Select::any(Role::Bias), FanUniform::default())
        .default_rule(
            Select::any(Role::Bias).kind("ConvTranspose*"),
            FanUniform::new(FanMode::Out),
        )
        .default_rule(Select::any(Role::RecurrentInput), hidden)
        .default_rule(Select::any(Role::Recurrent), hidden)
        .default_rule(Select::any(Role::ForgetBias), hidden)
        .default_rule(Select::any(Role::RecurrentBias), hidden);
    let part = |name: &str| Select::path(format!("**.{name}.weight")).role(Role::Attention);
    ["query", "key", "value"]
        .into_iter()
        .fold(plan, |plan, name| {
            plan.default_rule(part(name), joint.clone())
        })
        .default_rule(Select::any(Role::AttentionBias), Constant::ZEROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Initializer, Layout, Target};

    #[test]
    fn scalings_are_torch_formulas() {
        let target = Target::new(&[5, 8], Layout::CONV);
        let std = |init: VarianceScaling| init.std(&target).unwrap();
        assert!(
            (std(xavier_uniform(5.0 / 3.0)) - 5.0 / 3.0 * (2.0_f64 / 13.0).sqrt()).abs() < 1e-15
        );
        let gain = calculate_gain("leaky_relu", Some(5_f64.sqrt())).unwrap();
        let bound = 3_f64.sqrt() * std(kaiming_uniform(gain, FanMode::In));
        assert!((bound - 1.0 / 8_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn vectors_are_refused_as_torch_refuses_them() {
        let target = Target::new(&[5], Layout::CONV);
        assert!(xavier_normal(1.0).check(&target).is_err());
        assert!(orthogonal(1.0).check(&target).is_err());
    }
}
