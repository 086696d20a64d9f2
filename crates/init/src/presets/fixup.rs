//! Residual networks and transformers without normalisation.

use super::at_least_one;
use crate::plan::{Glob, InitPlan, Role, Select};
use crate::{Constant, InitError, Normal, Scaled, VarianceScaling};

/// Fixup: deep residual networks that train without normalisation (Zhang,
/// Dauphin & Ma 2019).
///
/// In a network of `branches` residual branches with `layers` weight layers
/// each, the last layer of every branch and the classifier start at 0, the
/// other layers of a branch are He normal times `branches^(−1/(2·layers − 2))`.
/// The scalar biases and the multiplier per branch that Fixup adds are
/// parameters of your own modules: declare them as 0 and 1, the plan keeps
/// what your modules declare directly. The authors train them at a tenth of the
/// learning rate.
///
/// ```
/// use firecraft_init::presets::Fixup;
/// let fixup = Fixup::new(54, 2).inside("**.conv1.weight").last("**.conv2.weight").head("fc.*");
/// assert!((fixup.factor()? - 54_f64.powf(-0.5)).abs() < 1e-15);
/// let plan = fixup.plan()?;
/// # let _ = plan;
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fixup {
    branches: usize,
    layers: usize,
    inside: Vec<Glob>,
    last: Vec<Glob>,
    head: Vec<Glob>,
}

impl Fixup {
    /// For `branches` residual branches of `layers` weight layers each.
    #[must_use]
    pub const fn new(branches: usize, layers: usize) -> Self {
        Self {
            branches,
            layers,
            inside: Vec::new(),
            last: Vec::new(),
            head: Vec::new(),
        }
    }

    /// Weights of branches, other than the last ones.
    #[must_use]
    pub fn inside(mut self, pattern: impl Into<Glob>) -> Self {
        self.inside.push(pattern.into());
        self
    }

    /// Last weights of branches.
    #[must_use]
    pub fn last(mut self, pattern: impl Into<Glob>) -> Self {
        self.last.push(pattern.into());
        self
    }

    /// Parameters of the classifier.
    #[must_use]
    pub fn head(mut self, pattern: impl Into<Glob>) -> Self {
        self.head.push(pattern.into());
        self
    }

    /// `branches^(−1/(2·layers − 2))`; 1 for a single layer, which is zero.
    ///
    /// # Errors
    /// [`InitError::Setting`] for no branches or no layers.
    pub fn factor(&self) -> Result<f64, InitError> {
        let branches = at_least_one("fixup", "branches", self.branches)?;
        let layers = at_least_one("fixup", "layers", self.layers)?;
        Ok(match self.layers {
            1 => 1.0,
            _ => libm::pow(branches, -1.0 / (2.0 * layers - 2.0)),
        })
    }

    /// The plan; each pattern has to match something.
    ///
    /// # Errors
    /// Those of [`factor`](Self::factor).
    pub fn plan(&self) -> Result<InitPlan, InitError> {
        let inside = Scaled::new(VarianceScaling::he_normal(), self.factor()?);
        let mut plan =
            InitPlan::new(VarianceScaling::he_normal()).default_keep(Select::any(Role::Other));
        for glob in &self.inside {
            plan = plan.path(glob.clone(), inside.clone());
        }
        for glob in self.last.iter().chain(&self.head) {
            plan = plan.path(glob.clone(), Constant::ZEROS);
        }
        Ok(plan)
    }
}

/// T-Fixup: transformers that train without warm-up and without layer
/// normalisation (Huang et al. 2020), for `encoder` and `decoder` blocks.
///
/// | parameters | values |
/// |---|---|
/// | value and output projections, feed-forward weights of the encoder | Glorot uniform `· 0.67 · encoder^(−1/4)` |
/// | the same of the decoder | Glorot uniform `· (9 · decoder)^(−1/4)` |
/// | embeddings | deviation `d^(−1/2) · (9 · N)^(−1/4)`, `N` the blocks of their side |
/// | other weights | Glorot uniform |
///
/// The model multiplies its embeddings by `√d`, as the authors' code does.
/// What belongs to the decoder is told by `decoder` in its path; without an
/// encoder everything does.
///
/// ```
/// use burn::{nn::transformer::TransformerEncoderConfig, tensor::Device};
/// use firecraft_init::presets;
/// let model = TransformerEncoderConfig::new(16, 32, 2, 4).init(&Device::flex());
/// let table = presets::t_fixup(4, 0)?.preview(&model)?;
/// let std = |path: &str| table.get(path).unwrap().std.unwrap();
/// let ratio = std("layers.0.mha.value.weight") / std("layers.0.mha.query.weight");
/// assert!((ratio - 0.67 / 4_f64.powf(0.25)).abs() < 1e-12);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
///
/// # Errors
/// [`InitError::Setting`] if there are no blocks at all.
pub fn t_fixup(encoder: usize, decoder: usize) -> Result<InitPlan, InitError> {
    at_least_one("t_fixup", "encoder + decoder", encoder + decoder)?;
    let root = |layers: usize| libm::pow(layers.max(1) as f64, -0.25);
    let nine = libm::pow(9.0, -0.25);
    let in_decoder = nine * root(decoder);
    let (in_encoder, embedding) = match encoder {
        0 => (in_decoder, in_decoder),
        layers => (0.67 * root(layers), nine * root(layers)),
    };
    let glorot = VarianceScaling::glorot_uniform;
    let mut plan = InitPlan::new(glorot())
        .default_rule(Select::any(Role::Attention), glorot())
        .default_rule(
            Select::any(Role::Embedding),
            Scaled::new(RootDim, embedding),
        )
        .default_rule(
            Select::path("**.*decoder*.**").role(Role::Embedding),
            Scaled::new(RootDim, in_decoder),
        );
    for (side, factor) in [("**", in_encoder), ("**.*decoder*.**", in_decoder)] {
        for layer in ["value", "output", "pwff.*"] {
            let select = Select::path(format!("{side}.{layer}.weight"));
            plan = plan.default_rule(select, Scaled::new(glorot(), factor));
        }
    }
    Ok(plan)
}

/// Deviation `d^(−1/2)` for a table of `d` features.
#[derive(Debug, Clone, Copy)]
struct RootDim;

impl RootDim {
    fn normal(target: &crate::Target) -> Result<Normal, InitError> {
        match target.shape.last() {
            Some(&d) if d > 0 => Ok(Normal::new(0.0, 1.0 / (d as f64).sqrt())),
            _ => Err(InitError::shape(
                "t_fixup",
                "an embedding with features",
                &target.shape,
            )),
        }
    }
}

impl crate::Initializer for RootDim {
    fn name(&self) -> &str {
        "normal"
    }

    fn check(&self, target: &crate::Target) -> Result<(), InitError> {
        Self::normal(target).map(drop)
    }

    fn fill(
        &self,
        target: &crate::Target,
        out: &mut [f32],
        key: firecraft_key::Key,
    ) -> Result<(), InitError> {
        Self::normal(target)?.fill(target, out, key)
    }

    fn moments(&self, target: &crate::Target) -> Option<(f64, f64)> {
        Self::normal(target).ok()?.moments(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::nn::transformer::{TransformerDecoder, TransformerDecoderConfig};
    use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};
    use firecraft_key::Key;

    #[test]
    fn the_decoder_has_a_factor_of_its_own() {
        #[derive(Module, Debug)]
        struct Model {
            table: Embedding,
            decoder: TransformerDecoder,
        }
        let device = Device::flex();
        let model = Model {
            table: EmbeddingConfig::new(10, 16).init(&device),
            decoder: TransformerDecoderConfig::new(16, 32, 2, 3).init(&device),
        };
        let table = t_fixup(0, 3).unwrap().preview(&model).unwrap();
        let std = |path: &str| table.get(path).unwrap().std.unwrap();
        let ratio = std("decoder.layers.2.cross_attn.value.weight")
            / std("decoder.layers.2.cross_attn.key.weight");
        assert!((ratio - 27_f64.powf(-0.25)).abs() < 1e-12, "{ratio}");
        assert!((std("table.weight") - 0.25 * 27_f64.powf(-0.25)).abs() < 1e-12);
    }

    #[test]
    fn embeddings_follow_the_number_of_blocks_of_their_side() {
        #[derive(Module, Debug)]
        struct Model {
            source: Embedding,
            decoder_table: Embedding,
        }
        let table = || EmbeddingConfig::new(10, 16).init(&Device::flex());
        let model = Model {
            source: table(),
            decoder_table: table(),
        };
        let table = t_fixup(6, 2).unwrap().preview(&model).unwrap();
        let std = |path: &str| table.get(path).unwrap().std.unwrap();
        assert!((std("source.weight") - 0.25 * 54_f64.powf(-0.25)).abs() < 1e-12);
        assert!((std("decoder_table.weight") - 0.25 * 18_f64.powf(-0.25)).abs() < 1e-12);
    }

    #[test]
    fn fixup_zeroes_what_ends_a_branch_and_keeps_its_scalars() {
        #[derive(Module, Debug)]
        struct Block {
            shift: Param<Tensor<1>>,
            first: Linear,
            second: Linear,
            multiplier: Param<Tensor<1>>,
        }
        let device = Device::flex();
        let linear = || LinearConfig::new(4, 4).init(&device);
        let block = Block {
            shift: Param::from_tensor(Tensor::zeros([1], &device)),
            first: linear(),
            second: linear(),
            multiplier: Param::from_tensor(Tensor::ones([1], &device)),
        };
        let plan = Fixup::new(16, 2)
            .inside("first.weight")
            .last("second.weight");
        let table = plan.plan().unwrap().preview(&block).unwrap();
        let std = |path: &str| table.get(path).unwrap().std.unwrap();
        assert!((std("first.weight") - 0.25 * 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(std("second.weight"), 0.0);
        assert_eq!(table.get("shift").unwrap().initializer, None);
        let block = plan
            .plan()
            .unwrap()
            .apply(block, Key::from_seed(1))
            .unwrap();
        assert_eq!(block.multiplier.val().into_scalar::<f32>(), 1.0);
        assert!(Fixup::new(0, 2).plan().is_err());
        assert!(t_fixup(0, 0).is_err());
    }
}
