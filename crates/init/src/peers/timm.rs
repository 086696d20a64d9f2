//! `timm.layers.weight_init` and timm's vision-transformer presets.

use crate::plan::{InitPlan, Role, Select};
use crate::{
    Bounds, Constant, Distribution, FanMode, FanSource, InitError, Normal, TruncatedNormal,
    VarianceScaling,
};

/// `trunc_normal_(mean, std, a, b)`: the bounds are absolute values.
#[must_use]
pub const fn trunc_normal(mean: f64, std: f64, a: f64, b: f64) -> TruncatedNormal {
    super::torch::trunc_normal(mean, std, a, b)
}

/// `trunc_normal_tf_(mean, std, a, b)`: the bounds are in units of `std`,
/// about `mean`.
#[must_use]
pub const fn trunc_normal_tf(mean: f64, std: f64, a: f64, b: f64) -> TruncatedNormal {
    TruncatedNormal::new(mean, std).with_bounds(a, b, Bounds::Std)
}

/// `variance_scaling_(scale, mode, distribution)`, with torch's fans.
///
/// # Errors
/// [`InitError::Unknown`] for another mode or distribution than timm knows.
///
/// ```
/// use firecraft_init::peers::timm;
/// let init = timm::variance_scaling(1.0, "fan_in", "truncated_normal")?;
/// assert_eq!(init, timm::lecun_normal());
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
pub fn variance_scaling(
    scale: f64,
    mode: &str,
    distribution: &str,
) -> Result<VarianceScaling, InitError> {
    let distribution = match distribution {
        "truncated_normal" => Distribution::TruncatedNormal,
        "normal" => Distribution::Normal,
        "uniform" => Distribution::Uniform,
        name => {
            return Err(InitError::Unknown {
                what: "distribution in timm",
                name: name.to_owned(),
                known: "truncated_normal, normal, uniform".to_owned(),
            });
        }
    };
    let mode: FanMode = mode.parse()?;
    if mode == FanMode::GeoAvg {
        return Err(InitError::Unknown {
            what: "mode in timm",
            name: mode.to_string(),
            known: "fan_in, fan_out, fan_avg".to_owned(),
        });
    }
    Ok(VarianceScaling::new(scale, mode, distribution).with_fans(FanSource::Torch))
}

/// `lecun_normal_()`: truncated, with torch's fans.
#[must_use]
pub fn lecun_normal() -> VarianceScaling {
    VarianceScaling::new(1.0, FanMode::In, Distribution::TruncatedNormal)
        .with_fans(FanSource::Torch)
}

/// `init_weight_vit(init_bias, head_bias, classifier_name)`: linear layers and
/// convolutions truncated normal with σ = 0.02, biases of linear layers
/// `init_bias` (0.02 in timm), the classifier zero with bias `head_bias`; all
/// else as torch starts it.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
/// use firecraft_init::peers::timm;
/// let linear = LinearConfig::new(8, 8).init(&Device::flex());
/// let table = timm::init_weight_vit(0.02, 0.0, "head").preview(&linear)?;
/// assert_eq!(table.get("bias").unwrap().mean, Some(0.02));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[must_use]
pub fn init_weight_vit(init_bias: f64, head_bias: f64, classifier_name: &str) -> InitPlan {
    let small = trunc_normal(0.0, 0.02, -2.0, 2.0);
    let linear = |role| Select::any(role).kind("Linear");
    let plan = super::torch::layer_defaults()
        .default_rule(Select::any(Role::Attention), small)
        .default_rule(linear(Role::Weight), small)
        .default_rule(Select::any(Role::Weight).kind("Conv?d"), small)
        .default_rule(linear(Role::Bias), Constant::new(init_bias))
        .default_rule(linear(Role::AttentionBias), Constant::new(init_bias));
    classifier(plan, head_bias, classifier_name)
}

/// `init_weight_jax(head_bias, classifier_name)`: linear layers Xavier uniform
/// with zero biases (`N(0, 1e-6²)` in modules whose path contains `mlp`),
/// two-dimensional convolutions LeCun normal with zero biases, the classifier
/// zero with bias `head_bias`; all else as torch starts it.
#[must_use]
pub fn init_weight_jax(head_bias: f64, classifier_name: &str) -> InitPlan {
    let xavier = super::torch::xavier_uniform(1.0);
    let linear = |role| Select::any(role).kind("Linear");
    let convolution = |role| Select::any(role).kind("Conv2d");
    let plan = super::torch::layer_defaults()
        .default_rule(Select::any(Role::Attention), xavier.clone())
        .default_rule(linear(Role::Weight), xavier)
        .default_rule(linear(Role::Bias), Constant::ZEROS)
        .default_rule(linear(Role::AttentionBias), Constant::ZEROS)
        .default_rule(
            Select::path("**.*mlp*.**").kind("Linear").role(Role::Bias),
            Normal::new(0.0, 1e-6),
        )
        .default_rule(convolution(Role::Weight), lecun_normal())
        .default_rule(convolution(Role::Bias), Constant::ZEROS);
    classifier(plan, head_bias, classifier_name)
}

fn classifier(plan: InitPlan, head_bias: f64, name: &str) -> InitPlan {
    let head = |role| Select::path(format!("{name}*.**")).role(role);
    plan.default_rule(head(Role::Weight), Constant::ZEROS)
        .default_rule(head(Role::Bias), Constant::new(head_bias))
}
