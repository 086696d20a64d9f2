//! Maximal-update parametrisation: hyper-parameters that carry over in width.

use crate::plan::{InitPlan, targets};
use crate::{Fans, InitError, Initializer, Role, Target};
use burn::module::Module;
use std::collections::BTreeMap;

/// What a parameter is under a growing width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WidthRole {
    /// No axis grows.
    Fixed,
    /// Only the outputs grow: input layers, embeddings, biases, scales.
    Input,
    /// Both sides grow.
    Hidden,
    /// Only the inputs grow: the readout.
    Output,
}

/// The family of the optimiser: how an update scales with the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Optimizer {
    /// Updates proportional to the gradient.
    Sgd,
    /// Updates independent of the gradient's size.
    Adam,
}

/// Parameters that share a learning-rate multiplier.
#[derive(Debug, Clone, PartialEq)]
pub struct MuPGroup {
    /// What the learning rate is multiplied by.
    pub multiplier: f64,
    /// The parameters, by path, in the order of the model.
    pub paths: Vec<String>,
}

/// The maximal-update parametrisation of Yang & Hu (2021; *Tensor Programs V*,
/// table 3): with it, the best learning rate found at a small width is the
/// best one at a large width.
///
/// It compares a model with the same model at a base width, where everything
/// equals the usual parametrisation. `m_in` and `m_out` are the factors by
/// which the fans have grown, `σ₀` is the deviation that a plan gives the
/// parameter at the base width.
///
/// | parameter | deviation of the values | Adam rate | SGD rate |
/// |---|---|---|---|
/// | input layer, bias, scale | `σ₀` | 1 | `m_out` |
/// | hidden | `σ₀ / √m_in` | `1/m_in` | `m_out / m_in` |
/// | readout | `σ₀ / m_in` | `1/m_in` | `1/m_in` |
///
/// Attention logits have to be divided by `d` instead of `√d` in the model.
/// The rates are for the optimiser's parameter groups, see
/// [`groups`](Self::groups).
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use firecraft_init::presets::{MuP, Optimizer};
/// use firecraft_init::{Activation, InitPlan};
///
/// #[derive(Module, Debug)]
/// struct Mlp {
///     first: Linear,
///     hidden: Linear,
///     head: Linear,
/// }
/// let mlp = |width| {
///     let device = Device::flex();
///     let linear = |i, o| LinearConfig::new(i, o).init(&device);
///     Mlp { first: linear(4, width), hidden: linear(width, width), head: linear(width, 2) }
/// };
/// let model = mlp(256);
/// let mup = MuP::new(&mlp(64), &model)?;
/// assert_eq!(mup.multiplier("hidden.weight", Optimizer::Adam), Some(0.25));
/// assert_eq!(mup.multiplier("first.weight", Optimizer::Adam), Some(1.0));
/// let plan = mup.plan(InitPlan::for_activation(Activation::Relu)?, &model)?;
/// let groups = mup.groups(Optimizer::Adam);
/// assert_eq!(groups[0].paths, ["hidden.weight", "head.weight"]);
/// # let _ = plan;
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MuP {
    parameters: Vec<Scaling>,
}

#[derive(Debug, Clone, PartialEq)]
struct Scaling {
    path: String,
    role: WidthRole,
    inputs: f64,
    outputs: f64,
    /// The parameter at the base width.
    base: Target,
}

impl MuP {
    /// Compares `model` with the same model at the base width.
    ///
    /// # Errors
    /// [`InitError::Shape`] at the path where the two are not the same model.
    pub fn new<M: Module>(base: &M, model: &M) -> Result<Self, InitError> {
        let (base, model) = (targets(base), targets(model));
        if base.len() != model.len() {
            let expected = format!("the {} parameters of the base model", base.len());
            return Err(InitError::shape("mup", expected, &[model.len()]));
        }
        let parameters = (base.into_iter().zip(model))
            .filter(|(_, (_, role, _))| *role != Role::Statistic)
            .map(|((base_path, _, base), (path, role, target))| {
                let same = base_path == path && base.shape.len() == target.shape.len();
                if same {
                    Ok(Scaling::new(path, role, base, &target))
                } else {
                    let expected = format!("`{base_path}` of shape {:?}", base.shape);
                    Err(InitError::shape("mup", expected, &target.shape).at(&path))
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { parameters })
    }

    /// What a parameter is under a growing width.
    #[must_use]
    pub fn role(&self, path: &str) -> Option<WidthRole> {
        self.get(path).map(|parameter| parameter.role)
    }

    /// What the learning rate of a parameter is multiplied by.
    #[must_use]
    pub fn multiplier(&self, path: &str, optimizer: Optimizer) -> Option<f64> {
        self.get(path).map(|p| p.multiplier(optimizer))
    }

    /// The parameters by multiplier, for the groups of an optimiser; the
    /// smallest multiplier first.
    ///
    /// The optimisers of `firecraft-trainer` take a `GroupRule` per path, with
    /// `select: Select::Path { glob: path }` and the multiplier as
    /// `learning_rate_scale`; burn's `ModuleOptimizer` takes the ids of the
    /// parameters.
    #[must_use]
    pub fn groups(&self, optimizer: Optimizer) -> Vec<MuPGroup> {
        // Multipliers are positive, so their bits sort as they do.
        let mut groups: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for parameter in &self.parameters {
            let multiplier = parameter.multiplier(optimizer);
            groups
                .entry(multiplier.to_bits())
                .or_default()
                .push(parameter.path.clone());
        }
        (groups.into_iter())
            .map(|(bits, paths)| MuPGroup {
                multiplier: f64::from_bits(bits),
                paths,
            })
            .collect()
    }

    /// `plan` with the deviations of the table above.
    ///
    /// Where an initialiser can't tell its deviation beforehand it is taken to
    /// be proportional to `1/√fan_in`.
    ///
    /// # Errors
    /// Those of [`InitPlan::preview`].
    pub fn plan<M: Module>(&self, plan: InitPlan, model: &M) -> Result<InitPlan, InitError> {
        plan.scaled(model, |path, initializer, target| {
            (self.get(path)).map_or(1.0, |scaling| scaling.factor(initializer, target))
        })
    }

    fn get(&self, path: &str) -> Option<&Scaling> {
        self.parameters
            .iter()
            .find(|parameter| parameter.path == path)
    }
}

impl Scaling {
    fn new(path: String, role: Role, base: Target, target: &Target) -> Self {
        let fans = |target: &Target| Fans::semantic(&target.shape, target.layout).ok();
        let growth = elements(&target.shape) / elements(&base.shape);
        let (inputs, outputs) = match (fans(&base), fans(target)) {
            (Some(from), Some(to)) if role != Role::Embedding => {
                (to.fan_in / from.fan_in, to.fan_out / from.fan_out)
            }
            _ => (1.0, growth),
        };
        let (role, outputs) = match (inputs != 1.0, outputs != 1.0) {
            (false, false) if growth == 1.0 => (WidthRole::Fixed, 1.0),
            // Depthwise: the groups grow, and a group is an input layer.
            (false, false) => (WidthRole::Input, growth),
            (false, true) => (WidthRole::Input, outputs),
            (true, true) => (WidthRole::Hidden, outputs),
            (true, false) => (WidthRole::Output, outputs),
        };
        Self {
            path,
            role,
            inputs,
            outputs,
            base,
        }
    }

    fn multiplier(&self, optimizer: Optimizer) -> f64 {
        match (optimizer, self.role) {
            (_, WidthRole::Fixed) | (Optimizer::Adam, WidthRole::Input) => 1.0,
            (Optimizer::Sgd, WidthRole::Input) => self.outputs,
            (Optimizer::Sgd, WidthRole::Hidden) => self.outputs / self.inputs,
            (_, WidthRole::Hidden | WidthRole::Output) => 1.0 / self.inputs,
        }
    }

    /// What brings the deviation of the values to that of the table.
    fn factor(&self, initializer: &dyn Initializer, target: &Target) -> f64 {
        let base = Target {
            layout: target.layout,
            ..self.base.clone()
        };
        let std = |target: &Target| initializer.moments(target).map(|(_, std)| std);
        let drift = match (std(target), std(&base)) {
            (Some(now), Some(then)) if now > 0.0 => now / then,
            (Some(_), Some(_)) => return 1.0,
            _ => 1.0 / self.inputs.sqrt(),
        };
        let wanted = match self.role {
            WidthRole::Fixed | WidthRole::Input => 1.0,
            WidthRole::Hidden => 1.0 / self.inputs.sqrt(),
            WidthRole::Output => 1.0 / self.inputs,
        };
        let factor = wanted / drift;
        // Roots round: what is one factor up to that is none.
        if (factor - 1.0).abs() < 1e-12 {
            1.0
        } else {
            factor
        }
    }
}

fn elements(shape: &[usize]) -> f64 {
    shape.iter().product::<usize>().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;
    use firecraft_key::Key;

    #[derive(Module, Debug)]
    struct Model {
        table: Embedding,
        norm: LayerNorm,
        first: Linear,
        hidden: Linear,
        head: Linear,
    }

    fn model(width: usize) -> Model {
        let device = Device::flex();
        let linear = |i, o| LinearConfig::new(i, o).init(&device);
        Model {
            table: EmbeddingConfig::new(10, width).init(&device),
            norm: LayerNormConfig::new(width).init(&device),
            first: linear(4, width),
            hidden: linear(width, width),
            head: linear(width, 3),
        }
    }

    #[test]
    fn parameters_are_told_apart_by_the_axes_that_grow() {
        let mup = MuP::new(&model(16), &model(128)).unwrap();
        for (path, role, adam, sgd) in [
            ("table.weight", WidthRole::Input, 1.0, 8.0),
            ("norm.gamma", WidthRole::Input, 1.0, 8.0),
            ("first.weight", WidthRole::Input, 1.0, 8.0),
            ("hidden.weight", WidthRole::Hidden, 0.125, 1.0),
            ("hidden.bias", WidthRole::Input, 1.0, 8.0),
            ("head.weight", WidthRole::Output, 0.125, 0.125),
            ("head.bias", WidthRole::Fixed, 1.0, 1.0),
        ] {
            assert_eq!(mup.role(path), Some(role), "{path}");
            assert_eq!(mup.multiplier(path, Optimizer::Adam), Some(adam), "{path}");
            assert_eq!(mup.multiplier(path, Optimizer::Sgd), Some(sgd), "{path}");
        }
    }

    #[test]
    fn deviations_grow_from_those_of_the_base_whatever_the_plan() {
        let (base, wide) = (model(16), model(64));
        let mup = MuP::new(&base, &wide).unwrap();
        let he = InitPlan::for_activation(Activation::Relu).unwrap();
        let glorot = InitPlan::for_activation(Activation::Tanh).unwrap();
        let torch = crate::peers::torch::layer_defaults();
        let gpt2 = crate::presets::gpt2(2).unwrap();
        for plan in [he, glorot, torch, gpt2] {
            let before = plan.preview(&base).unwrap();
            let after = mup.plan(plan, &wide).unwrap().preview(&wide).unwrap();
            for (path, ratio) in [
                ("table.weight", 1.0),
                ("first.weight", 1.0),
                ("first.bias", 1.0),
                ("hidden.weight", 0.5),
                ("head.weight", 0.25),
                ("head.bias", 1.0),
            ] {
                let std = |table: &crate::InitTable| table.get(path).unwrap().std.unwrap();
                let (got, expected) = (std(&after), ratio * std(&before));
                assert!(
                    (got - expected).abs() <= 1e-12 * expected,
                    "{path}\n{after}"
                );
            }
        }
    }

    #[test]
    fn readouts_of_unknown_deviation_are_scaled_too() {
        #[derive(Debug)]
        struct Opaque;
        impl Initializer for Opaque {
            fn name(&self) -> &str {
                "opaque"
            }
            fn fill(&self, _: &Target, out: &mut [f32], _: Key) -> Result<(), InitError> {
                out.fill(1.0);
                Ok(())
            }
        }
        let (base, wide) = (model(16), model(64));
        let mup = MuP::new(&base, &wide).unwrap();
        let plan = InitPlan::new(Opaque);
        let wide = mup
            .plan(plan, &wide)
            .unwrap()
            .apply(wide, Key::from_seed(1))
            .unwrap();
        assert_eq!(wide.head.weight.val().max().into_scalar::<f32>(), 0.5);
        assert_eq!(wide.hidden.weight.val().max().into_scalar::<f32>(), 1.0);
    }

    #[test]
    fn depthwise_convolutions_are_input_layers() {
        let conv = |channels: usize| {
            Conv2dConfig::new([channels, channels], [3, 3])
                .with_groups(channels)
                .init(&Device::flex())
        };
        let mup = MuP::new(&conv(4), &conv(12)).unwrap();
        assert_eq!(mup.role("weight"), Some(WidthRole::Input));
        assert_eq!(mup.multiplier("weight", Optimizer::Sgd), Some(3.0));
    }

    #[test]
    fn another_model_is_an_error_at_its_path() {
        let small = LinearConfig::new(4, 4).init(&Device::flex());
        let other = LinearConfig::new(4, 4)
            .with_bias(false)
            .init(&Device::flex());
        assert!(MuP::new(&small, &other).is_err());
    }
}
