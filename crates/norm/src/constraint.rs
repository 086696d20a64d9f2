//! Constraints that a model's weights are put back to after every update.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::precision::{cast, working};
use crate::weights::{Weight, split, weights};
use crate::{NormError, check};

const LAYER: &str = "Constraint";

/// keras' guard against lengths of 0.
const EPSILON: f64 = 1e-7;

/// A set that weights are moved into after an update; lengths are those of the
/// weights of one output feature (keras' `axis = 0` of a dense kernel, `[0, 1,
/// 2]` of a convolution).
///
/// Unlike a reparametrisation, a constraint does not change what is stored or
/// its gradient: the optimiser steps, then [`apply`](Self::apply) projects.
///
/// ```
/// use burn::{module::Param, nn::LinearConfig, tensor::{Device, Tensor}};
/// use firecraft_norm::Constraint;
///
/// let device = Device::flex();
/// let mut layer = LinearConfig::new(2, 1).init(&device);
/// layer.weight = Param::from_tensor(Tensor::from_floats([[3.0], [4.0]], &device));
/// let layer = Constraint::MaxNorm { max: 1.0 }.apply(layer)?;
/// let weight = layer.weight.val().try_into_vec_as::<f32>().unwrap();
/// assert!((weight[0] - 0.6).abs() < 1e-6 && (weight[1] - 0.8).abs() < 1e-6);
/// # Ok::<(), firecraft_norm::NormError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Constraint {
    /// Shortens weights longer than `max` to it (keras' default is 2): `w *
    /// min(|w|, max) / (1e-7 + |w|)`.
    MaxNorm {
        /// The greatest length, at least 0.
        max: f64,
    },
    /// Brings every weight to length 1: `w / (1e-7 + |w|)`.
    UnitNorm,
    /// Replaces negative weights by 0.
    NonNegative,
    /// Moves lengths by `rate` of the way into `[min, max]` (keras' defaults
    /// are 0, 1 and 1).
    MinMaxNorm {
        /// The least length, at least 0.
        min: f64,
        /// The greatest length, at least `min`.
        max: f64,
        /// The part of the way, in `[0, 1]`.
        rate: f64,
    },
}

impl Constraint {
    /// Applies the constraint to every linear layer and convolution of a model.
    ///
    /// # Errors
    /// Those of [`apply_where`](Self::apply_where).
    pub fn apply<M: Module>(&self, model: M) -> Result<M, NormError> {
        self.apply_where(model, |weight| weight.layer != "Embedding")
    }

    /// Applies the constraint to the weights that are selected; of a
    /// reparametrised weight it moves the stored parameter. Values change in
    /// place of the old ones: identities, optimiser state and what is frozen
    /// stay.
    ///
    /// # Errors
    /// [`NormError::Config`] if a bound is out of its range,
    /// [`NormError::NothingSelected`] if no weight is selected.
    pub fn apply_where<M: Module>(
        &self,
        model: M,
        mut select: impl FnMut(&Weight) -> bool,
    ) -> Result<M, NormError> {
        self.validate()?;
        let selected: BTreeMap<String, Weight> = weights(&model)
            .into_iter()
            .filter(|weight| select(weight))
            .map(|weight| (weight.path.clone(), weight))
            .collect();
        if selected.is_empty() {
            return Err(NormError::NothingSelected { tool: LAYER });
        }
        Ok(model.map(&mut Apply {
            constraint: *self,
            selected,
            path: Vec::new(),
        }))
    }

    /// The constraint on one tensor, lengths per entry of `axis`.
    ///
    /// # Errors
    /// [`NormError::Config`] if a bound is out of its range or `axis` is none
    /// of the tensor.
    pub fn constrain<const D: usize>(
        &self,
        weight: Tensor<D>,
        axis: usize,
    ) -> Result<Tensor<D>, NormError> {
        self.validate()?;
        if axis >= D {
            let allowed = "an axis of the tensor";
            return Err(check::config(LAYER, "axis", axis, allowed));
        }
        Ok(self.project(weight, axis))
    }

    fn validate(&self) -> Result<(), NormError> {
        let length = |field, value: f64| {
            if value.is_finite() && value >= 0.0 {
                return Ok(());
            }
            Err(check::config(LAYER, field, value, "finite and at least 0"))
        };
        match *self {
            Self::MaxNorm { max } => length("max", max),
            Self::UnitNorm | Self::NonNegative => Ok(()),
            Self::MinMaxNorm { min, max, rate } => {
                length("min", min)?;
                length("max", max)?;
                if min > max {
                    return Err(check::config(LAYER, "min", min, "at most `max`"));
                }
                check::fraction(LAYER, "rate", rate)
            }
        }
    }

    fn project<const D: usize>(&self, weight: Tensor<D>, axis: usize) -> Tensor<D> {
        if *self == Self::NonNegative {
            return weight.clamp_min(0.0);
        }
        let dims = weight.dims();
        let dtype = weight.dtype();
        let weight = cast(weight, working(dtype)).reshape(split(&dims, Some(axis)));
        let length = weight.clone().square().sum_dim(2).sum_dim(0).sqrt();
        let wanted = match *self {
            Self::MaxNorm { max } => length.clone().clamp(0.0, max),
            Self::MinMaxNorm { min, max, rate } => {
                length.clone().clamp(min, max) * rate + length.clone() * (1.0 - rate)
            }
            Self::UnitNorm | Self::NonNegative => length.ones_like(),
        };
        let weight = weight * (wanted / length.add_scalar(EPSILON));
        cast(weight.reshape(dims), dtype.into())
    }
}

struct Apply {
    constraint: Constraint,
    selected: BTreeMap<String, Weight>,
    path: Vec<String>,
}

impl ModuleMapper for Apply {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(weight) = self.selected.get(&self.path.join(".")) else {
            return param;
        };
        param.map(|old| {
            let (tracked, trained) = (old.is_autodiff(), old.is_require_grad());
            let new = self
                .constraint
                .project(old.without_autodiff(), weight.output_axis);
            if tracked {
                new.autodiff().set_require_grad(trained)
            } else {
                new
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::nn::LinearConfig;
    use burn::nn::conv::Conv2dConfig;
    use burn::tensor::Device;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    /// Lengths 5, 0.5 and 0 in three columns.
    fn weight() -> Tensor<2> {
        Tensor::from_floats([[3.0, 0.3, 0.0], [-4.0, 0.4, 0.0]], &Device::flex())
    }

    fn close(got: Tensor<2>, want: [f32; 6]) {
        for (got, want) in values(got).iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }

    #[test]
    fn every_constraint_does_what_keras_does() {
        let run = |constraint: Constraint| constraint.constrain(weight(), 1).unwrap();
        close(
            run(Constraint::MaxNorm { max: 2.0 }),
            [1.2, 0.3, 0.0, -1.6, 0.4, 0.0],
        );
        close(run(Constraint::UnitNorm), [0.6, 0.6, 0.0, -0.8, 0.8, 0.0]);
        close(run(Constraint::NonNegative), [3.0, 0.3, 0.0, 0.0, 0.4, 0.0]);
        // Half of the way: lengths 5 -> 3, 0.5 -> 0.75.
        let half = Constraint::MinMaxNorm {
            min: 1.0,
            max: 1.0,
            rate: 0.5,
        };
        close(run(half), [1.8, 0.45, 0.0, -2.4, 0.6, 0.0]);
    }

    #[test]
    fn a_model_keeps_identities_and_trains_on() {
        let device = Device::flex().autodiff();
        let conv = Conv2dConfig::new([2, 3], [3, 3]).init(&device);
        let (id, bias) = (conv.weight.id, conv.bias.clone().unwrap().val());
        let conv = Constraint::UnitNorm.apply(conv).unwrap();
        assert_eq!(conv.weight.id, id);
        assert_eq!(values(conv.bias.clone().unwrap().val()), values(bias));
        let lengths = conv.weight.val().square().reshape([3, 18]).sum_dim(1);
        for length in values(lengths) {
            assert!((length - 1.0).abs() < 1e-5);
        }
        let gradients = conv.weight.val().sum().backward();
        assert!(conv.weight.val().grad(&gradients).is_some());
        let frozen = Constraint::UnitNorm.apply(conv.freeze()).unwrap();
        assert!(!frozen.weight.val().is_require_grad());
    }

    #[test]
    fn only_selected_weights_move() {
        let device = Device::flex();
        let mut layers = vec![LinearConfig::new(2, 3).init(&device); 2];
        for layer in &mut layers {
            layer.weight = Param::from_tensor(random([2, 3], 1));
        }
        let moved = Constraint::UnitNorm
            .apply_where(layers.clone(), |weight| weight.path.starts_with("1."))
            .unwrap();
        let of = |layer: &burn::nn::Linear| values(layer.weight.val());
        assert_eq!(of(&moved[0]), of(&layers[0]));
        assert_ne!(of(&moved[1]), of(&layers[1]));
    }

    #[test]
    fn wrong_bounds_axes_and_selections_are_errors() {
        let layer = || LinearConfig::new(2, 3).init(&Device::flex());
        for wrong in [
            Constraint::MaxNorm { max: -1.0 },
            Constraint::MinMaxNorm {
                min: 2.0,
                max: 1.0,
                rate: 1.0,
            },
            Constraint::MinMaxNorm {
                min: 0.0,
                max: 1.0,
                rate: 1.5,
            },
        ] {
            assert!(wrong.apply(layer()).is_err());
        }
        assert!(Constraint::UnitNorm.constrain(weight(), 2).is_err());
        let none = Constraint::UnitNorm.apply_where(layer(), |_| false);
        assert!(matches!(none, Err(NormError::NothingSelected { .. })));
    }

    #[test]
    fn constraints_survive_serde() {
        let constraint = Constraint::MaxNorm { max: 2.0 };
        let json = serde_json::to_string(&constraint).unwrap();
        assert_eq!(json, r#"{"type":"max_norm","max":2.0}"#);
        assert_eq!(
            serde_json::from_str::<Constraint>(&json).unwrap(),
            constraint
        );
        assert!(serde_json::from_str::<Constraint>(r#"{"type":"max_norm","axis":1}"#).is_err());
    }
}
