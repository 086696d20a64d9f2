//! Maximal-update parametrisation: hyper-parameters that carry over in width.

use crate::plan::{InitPlan, InitTable};
use crate::{InitError, Role};
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
/// which the fans have grown.
///
/// | parameter | deviation of the values | Adam rate | SGD rate |
/// |---|---|---|---|
/// | input layer, bias, scale | as the plan says | 1 | `m_out` |
/// | hidden | as the plan says (`∝ 1/√fan_in`) | `1/m_in` | 1 |
/// | readout | plan's `/ √m_in` (`∝ 1/fan_in`) | `1/m_in` | `1/m_in` |
///
/// Attention logits have to be divided by `d` instead of `√d` in the model.
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
}

impl MuP {
    /// Compares `model` with the same model at the base width.
    ///
    /// # Errors
    /// [`InitError::Shape`] at the path where the two are not the same model.
    pub fn new<M: Module>(base: &M, model: &M) -> Result<Self, InitError> {
        let plan = InitPlan::empty().keep_unmatched();
        let (base, model) = (plan.preview(base)?, plan.preview(model)?);
        if base.rows.len() != model.rows.len() {
            let expected = format!("the {} parameters of the base model", base.rows.len());
            return Err(InitError::shape("mup", expected, &[model.rows.len()]));
        }
        let parameters = (base.rows.iter().zip(&model.rows))
            .filter(|(_, row)| row.role != Role::Statistic)
            .map(|(base, row)| {
                if base.path != row.path || base.shape.len() != row.shape.len() {
                    let expected = format!("`{}` of shape {:?}", base.path, base.shape);
                    return Err(InitError::shape("mup", expected, &row.shape).at(&row.path));
                }
                let (inputs, outputs) = match (base.fans, row.fans) {
                    (Some(base_fans), Some(fans)) if row.role != Role::Embedding => (
                        fans.fan_in / base_fans.fan_in,
                        fans.fan_out / base_fans.fan_out,
                    ),
                    // A vector is an input layer: only its outputs grow.
                    _ => (1.0, elements(&row.shape) / elements(&base.shape)),
                };
                let role = match (inputs != 1.0, outputs != 1.0) {
                    (false, false) => WidthRole::Fixed,
                    (false, true) => WidthRole::Input,
                    (true, true) => WidthRole::Hidden,
                    (true, false) => WidthRole::Output,
                };
                Ok(Scaling {
                    path: row.path.clone(),
                    role,
                    inputs,
                    outputs,
                })
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

    /// `plan` with the readouts of `model` scaled down by `√m_in`.
    ///
    /// # Errors
    /// Those of [`InitPlan::preview`].
    pub fn plan<M: Module>(&self, plan: InitPlan, model: &M) -> Result<InitPlan, InitError> {
        let table: InitTable = plan.preview(model)?;
        let mut scaled = plan.clone();
        for parameter in self
            .parameters
            .iter()
            .filter(|p| p.role == WidthRole::Output)
        {
            if table
                .get(&parameter.path)
                .is_some_and(|row| row.initializer.is_some())
            {
                scaled = scaled.scaled(&parameter.path, model, 1.0 / parameter.inputs.sqrt())?;
            }
        }
        Ok(scaled)
    }

    fn get(&self, path: &str) -> Option<&Scaling> {
        self.parameters
            .iter()
            .find(|parameter| parameter.path == path)
    }
}

impl Scaling {
    fn multiplier(&self, optimizer: Optimizer) -> f64 {
        match (optimizer, self.role) {
            (_, WidthRole::Fixed)
            | (Optimizer::Adam, WidthRole::Input)
            | (Optimizer::Sgd, WidthRole::Hidden) => 1.0,
            (Optimizer::Sgd, WidthRole::Input) => self.outputs,
            (_, WidthRole::Hidden | WidthRole::Output) => 1.0 / self.inputs,
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
    use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};
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
    fn logits_shrink_with_the_width_instead_of_staying_at_one() {
        let deviation = |width: usize| {
            let model = model(width);
            let mup = MuP::new(&self::model(16), &model).unwrap();
            let plan = InitPlan::for_activation(Activation::Linear).unwrap();
            let plan = mup.plan(plan, &model).unwrap();
            let model = plan.apply(model, Key::from_seed(1)).unwrap();
            let x = Tensor::<2>::ones([1, width], &Device::flex());
            let weight = model.head.weight.val();
            let std = weight
                .clone()
                .powf_scalar(2.0)
                .mean()
                .sqrt()
                .into_scalar::<f32>();
            assert_eq!(x.matmul(weight).dims(), [1, 3]);
            std * (width as f32).sqrt()
        };
        // LeCun-like weights would give the same number at both widths.
        let ratio = deviation(1024) / deviation(64);
        assert!((ratio - 0.25).abs() < 0.05, "{ratio}");
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
