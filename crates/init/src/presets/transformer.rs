//! Transformers.

use super::at_least_one;
use crate::peers::{timm, torch};
use crate::plan::{InitPlan, Role, Select};
use crate::{Constant, Distribution, FanMode, InitError, Normal, VarianceScaling};

/// Vision transformer as timm starts it: linear layers normal with σ = 0.02
/// (cut at ±2, which is a hundred σ) and zero biases, embeddings, positions and
/// other parameters of your own modules likewise, the tokens `cls_token` and
/// `reg_token` `N(0, 1e-6²)`, the patch convolution as torch starts it.
///
/// For a head that starts at zero add `.path("head.weight", Constant::ZEROS)`.
/// [`peers::timm::init_weight_vit`](crate::peers::timm::init_weight_vit) is
/// timm's newer function of that name.
///
/// ```
/// use burn::{nn::LinearConfig, tensor::Device};
/// use firecraft_init::presets;
/// let linear = LinearConfig::new(8, 8).init(&Device::flex());
/// let table = presets::vit().preview(&linear)?;
/// assert_eq!(table.get("weight").unwrap().initializer.as_deref(), Some("truncated_normal"));
/// assert!((table.get("weight").unwrap().std.unwrap() - 0.02).abs() < 1e-12);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[must_use]
pub fn vit() -> InitPlan {
    let small = timm::trunc_normal(0.0, 0.02, -2.0, 2.0);
    let token = Normal::new(0.0, 1e-6);
    let linear = |role| Select::any(role).kind("Linear");
    torch::layer_defaults()
        .default_rule(linear(Role::Weight), small)
        .default_rule(linear(Role::Bias), Constant::ZEROS)
        .default_rule(Select::any(Role::Attention), small)
        .default_rule(Select::any(Role::Embedding), small)
        .default_rule(Select::any(Role::Other), small)
        .default_rule(Select::path("**.cls_token"), token)
        .default_rule(Select::path("**.reg_token*"), token)
}

/// Vision transformer as the JAX original starts it: linear layers Glorot
/// uniform, biases of feed-forward layers `N(0, 1e-6²)`, the patch convolution
/// LeCun normal (truncated), the layer called `head` zero, tokens zero,
/// positions `N(0, 0.02²)`.
#[must_use]
pub fn vit_jax() -> InitPlan {
    let lecun = VarianceScaling::new(1.0, FanMode::In, Distribution::TruncatedNormal);
    let tiny = Normal::new(0.0, 1e-6);
    InitPlan::new(VarianceScaling::glorot_uniform())
        .default_rule(Select::default().kind("Conv*").role(Role::Weight), lecun)
        .default_rule(Select::any(Role::Embedding), Normal::new(0.0, 0.02))
        .default_rule(Select::any(Role::Other), Normal::new(0.0, 0.02))
        .default_rule(Select::path("**.cls_token"), Constant::ZEROS)
        .default_rule(Select::path("**.pwff.**").role(Role::Bias), tiny)
        .default_rule(Select::path("**.mlp.**").role(Role::Bias), tiny)
        .default_rule(head(Role::Weight), Constant::ZEROS)
}

fn head(role: Role) -> Select {
    Select::path("**.head.**").role(role)
}

/// GPT-2: every weight and embedding `N(0, 0.02²)`, biases 0, and the layers
/// that write into the residual stream divided by `√(2 · layers)`, so that its
/// variance doesn't grow with depth (Radford et al. 2019), as in Hugging Face's
/// and Karpathy's models. The authors' released code starts the positions at
/// `N(0, 0.01²)` and leaves the scaling to its readers.
///
/// Those layers are recognised as burn names them (`*.mha.output`,
/// `*.pwff.linear_outer`) and as GPT-2 does (`*.c_proj`).
///
/// ```
/// use burn::{nn::transformer::TransformerEncoderConfig, tensor::Device};
/// use firecraft_init::presets;
/// let model = TransformerEncoderConfig::new(16, 32, 2, 8).init(&Device::flex());
/// let table = presets::gpt2(8)?.preview(&model)?;
/// let std = |path: &str| table.get(path).unwrap().std.unwrap();
/// assert_eq!(std("layers.0.mha.query.weight"), 0.02);
/// assert_eq!(std("layers.0.pwff.linear_outer.weight"), 0.005);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
///
/// # Errors
/// [`InitError::Setting`] for no layers.
pub fn gpt2(layers: usize) -> Result<InitPlan, InitError> {
    let layers = at_least_one("gpt2", "layers", layers)?;
    let weight = Normal::new(0.0, 0.02);
    let residual = Normal::new(0.0, 0.02 / (2.0 * layers).sqrt());
    let plan = InitPlan::new(weight)
        .default_rule(Select::any(Role::Attention), weight)
        .default_rule(Select::any(Role::Embedding), weight)
        .default_rule(Select::any(Role::Other), weight);
    Ok(["mha.output", "pwff.linear_outer", "c_proj"]
        .into_iter()
        .fold(plan, |plan, layer| {
            plan.default_rule(Select::path(format!("**.{layer}.weight")), residual)
        }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};

    #[derive(Module, Debug)]
    struct Vit {
        cls_token: Param<Tensor<3>>,
        blocks: TransformerEncoder,
        head: Linear,
    }

    fn model() -> Vit {
        let device = Device::flex();
        Vit {
            cls_token: Param::from_tensor(Tensor::ones([1, 1, 8], &device)),
            blocks: TransformerEncoderConfig::new(8, 16, 2, 2).init(&device),
            head: LinearConfig::new(8, 4).init(&device),
        }
    }

    #[test]
    fn vision_transformers_start_as_their_authors_start_them() {
        let std = |plan: InitPlan, path: &str| {
            let table = plan.preview(&model()).unwrap();
            table.get(path).unwrap().std.unwrap()
        };
        for (path, timm, jax) in [
            ("cls_token", 1e-6, 0.0),
            ("blocks.layers.1.mha.query.weight", 0.02, 0.125_f64.sqrt()),
            ("blocks.layers.1.mha.query.bias", 0.0, 0.0),
            ("blocks.layers.0.pwff.linear_inner.bias", 0.0, 1e-6),
            ("head.weight", 0.02, 0.0),
        ] {
            assert!((std(vit(), path) - timm).abs() < 1e-12, "{path}");
            assert!((std(vit_jax(), path) - jax).abs() < 1e-12, "{path}");
        }
    }

    #[test]
    fn no_layers_are_an_error() {
        assert!(gpt2(0).is_err());
    }
}
