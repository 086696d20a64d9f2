//! Penalties on the weights that are added to the loss.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::TrainerError;
use crate::optimizer::Select;

/// A penalty on the selected parameters, added to every training loss: Keras'
/// `kernel_regularizer`.
///
/// Unlike the weight decay of an optimiser its gradient goes through clipping
/// and the moments of Adam. Evaluation leaves it out.
///
/// ```
/// use firecraft_trainer::{Penalty, PenaltyRule, Select};
///
/// let l2 = Penalty::l2(1e-4); // all matrices and kernels
/// let sparse = Penalty {
///     rule: PenaltyRule::Absolute { factor: 1e-3 },
///     select: Select::Path { glob: "head.weight".into() },
/// };
/// # let _ = (l2, sparse);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Penalty {
    /// What is added for each parameter.
    pub rule: PenaltyRule,
    /// Which parameters; of those it selects, the ones of rank 2 and more.
    pub select: Select,
}

/// The penalty of one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum PenaltyRule {
    /// `factor · Σ |w|`, L1.
    Absolute {
        /// At least 0.
        factor: f64,
    },
    /// `factor · Σ w²`, L2.
    Squared {
        /// At least 0.
        factor: f64,
    },
    /// The mean magnitude of the cosines between the units of a matrix, times
    /// a factor; parameters that are no matrix have none.
    Orthogonal {
        /// At least 0.
        factor: f64,
        /// Whether the units are the rows; else the columns, which are the
        /// units of burn's `[in, out]` linear weight.
        rows: bool,
    },
}

impl Penalty {
    /// `factor · Σ |w|` over all matrices and kernels.
    pub const fn l1(factor: f64) -> Self {
        Self::of(PenaltyRule::Absolute { factor })
    }

    /// `factor · Σ w²` over all matrices and kernels.
    pub const fn l2(factor: f64) -> Self {
        Self::of(PenaltyRule::Squared { factor })
    }

    /// Pushes the units of all matrices apart.
    pub const fn orthogonal(factor: f64) -> Self {
        Self::of(PenaltyRule::Orthogonal {
            factor,
            rows: false,
        })
    }

    const fn of(rule: PenaltyRule) -> Self {
        Self {
            rule,
            select: Select::All,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a value outside its range.
    pub fn check(&self) -> Result<(), TrainerError> {
        let (PenaltyRule::Absolute { factor }
        | PenaltyRule::Squared { factor }
        | PenaltyRule::Orthogonal { factor, .. }) = self.rule;
        if factor >= 0.0 && factor.is_finite() {
            return Ok(());
        }
        Err(TrainerError::Setting {
            field: "penalty.factor",
            value: factor.to_string(),
            allowed: "[0, ∞)",
        })
    }

    /// The penalty of a model, `[1]`, on its autodiff tape; `None` when nothing
    /// is selected.
    pub fn forward<M: Module>(&self, model: &M) -> Option<Tensor<1>> {
        let mut sum = Sum {
            penalty: self,
            path: Vec::new(),
            total: None,
        };
        model.visit(&mut sum);
        sum.total
    }
}

impl PenaltyRule {
    /// The penalty of one tensor, `[1]`.
    pub fn of<const D: usize>(self, weight: Tensor<D>) -> Option<Tensor<1>> {
        match self {
            Self::Absolute { factor } => Some(weight.abs().sum() * factor),
            Self::Squared { factor } => Some(weight.powi_scalar(2).sum() * factor),
            Self::Orthogonal { factor, rows } => {
                if D != 2 {
                    return None;
                }
                let dims = weight.dims();
                let matrix = weight.reshape([dims[0], dims[1]]);
                let units = if rows { matrix } else { matrix.transpose() };
                let [count, _] = units.dims();
                let length = units.clone().powi_scalar(2).sum_dim(1).sqrt();
                let units = units / length.clamp_min(1e-12);
                let cosines = units.clone().matmul(units.transpose()).abs();
                let diagonal = Tensor::<2>::eye(count, &cosines.device());
                let pairs = (count * count.saturating_sub(1)) as f64 / 2.0;
                let sum = (cosines * (diagonal * -1.0 + 1.0)).sum();
                Some(sum * (0.5 * factor / pairs.max(1.0)))
            }
        }
    }
}

struct Sum<'a> {
    penalty: &'a Penalty,
    path: Vec<String>,
    total: Option<Tensor<1>>,
}

impl ModuleVisitor for Sum<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Penalty { rule, select } = self.penalty;
        if D < 2 || !param.is_require_grad() || !select.matches(&self.path.join("."), D) {
            return;
        }
        let part = rule.of(param.val());
        self.total = match (self.total.take(), part) {
            (Some(total), Some(part)) => Some(total + part),
            (total, part) => total.or(part),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    fn penalty(rule: PenaltyRule, weight: [[f32; 2]; 2]) -> f32 {
        let weight = Tensor::<2>::from_data(weight, &Device::flex());
        rule.of(weight).unwrap().into_scalar::<f32>()
    }

    #[test]
    fn penalties_follow_their_formulas() {
        let weight = [[3.0, 0.0], [-4.0, 1.0]];
        assert_eq!(penalty(PenaltyRule::Absolute { factor: 0.5 }, weight), 4.0);
        assert_eq!(penalty(PenaltyRule::Squared { factor: 0.5 }, weight), 13.0);
        // Columns (3, -4) / 5 and (0, 1): the cosine is -0.8.
        let columns = PenaltyRule::Orthogonal {
            factor: 1.0,
            rows: false,
        };
        assert!((penalty(columns, weight) - 0.8).abs() < 1e-6);
    }

    #[test]
    fn vectors_and_frozen_parameters_are_spared() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 2).init(&device);
        let weight = layer.weight.val().abs().sum().into_scalar::<f32>();
        let found = Penalty::l1(1.0).forward(&layer).unwrap();
        assert!((found.into_scalar::<f32>() - weight).abs() < 1e-5);
        assert!(Penalty::l1(1.0).forward(&layer.freeze()).is_none());
        assert!(Penalty::l2(-1.0).check().is_err());
    }
}
