//! Bounds on the gradient.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::TrainerError;

/// How the gradient is bounded before an update.
///
/// ```
/// use firecraft_trainer::Clip;
///
/// let clip: Clip = toml::from_str("type = \"global_norm\"\nmax = 1.0")?;
/// assert_eq!(clip, Clip::GlobalNorm { max: 1.0 });
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Clip {
    /// Not at all.
    #[default]
    None,
    /// Scales the whole gradient by `min(1, max / (‖g‖₂ + 1e-6))`, where the
    /// norm runs over all parameters together, as `clip_grad_norm_` of torch.
    GlobalNorm {
        /// Greatest norm, above 0.
        max: f64,
    },
    /// [`GlobalNorm`](Self::GlobalNorm) with the norm of another order,
    /// `(Σ |g|ᵖ)^(1/p)`; infinity for the greatest magnitude.
    PNorm {
        /// Greatest norm, above 0.
        max: f64,
        /// p, above 0 or infinite.
        p: f64,
    },
    /// Scales the gradient of each parameter by itself, by
    /// `max / max(‖g‖₂, max)`: Keras' `clipnorm`.
    EachNorm {
        /// Greatest norm, above 0.
        max: f64,
    },
    /// Clamps every element to `[-max, max]`.
    Value {
        /// Greatest magnitude, above 0.
        max: f64,
    },
    /// Adaptive clipping (Brock et al. 2021): scales the gradient of a unit so
    /// that `‖g‖ ≤ factor · max(‖w‖, epsilon)`. A unit is a row of a
    /// convolution weight or a column of burn's `[in, out]` linear weight;
    /// a vector is one unit.
    Adaptive {
        /// λ, above 0; 0.01 in timm.
        factor: f64,
        /// Least weight norm that counts, above 0; 1e-3 in timm.
        epsilon: f64,
    },
}

impl Clip {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Setting`] for a value outside its range.
    pub fn check(self) -> Result<(), TrainerError> {
        let positive = |field, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(TrainerError::Setting {
                    field,
                    value: value.to_string(),
                    allowed: "(0, ∞)",
                })
            }
        };
        match self {
            Self::None => Ok(()),
            Self::GlobalNorm { max } | Self::Value { max } | Self::EachNorm { max } => {
                positive("clip.max", max)
            }
            Self::PNorm { max, p } => {
                positive("clip.max", max)?;
                if p == f64::INFINITY {
                    return Ok(());
                }
                positive("clip.p", p)
            }
            Self::Adaptive { factor, epsilon } => {
                positive("clip.factor", factor)?;
                positive("clip.epsilon", epsilon)
            }
        }
    }

    /// Applies the bound; gives the global norm before it if it was measured.
    pub(crate) fn apply<M: Module>(
        self,
        model: &M,
        gradients: GradientsParams,
    ) -> (GradientsParams, Option<f64>) {
        match self {
            Self::None => (gradients, None),
            Self::GlobalNorm { max } => bound(model, gradients, max, 2.0),
            Self::PNorm { max, p } => bound(model, gradients, max, p),
            Self::EachNorm { max } => (rewrite(model, gradients, &Rule::Norm(max)), None),
            Self::Value { max } => (rewrite(model, gradients, &Rule::Clamp(max as f32)), None),
            Self::Adaptive { factor, epsilon } => (
                rewrite(model, gradients, &Rule::Adaptive(factor, epsilon)),
                None,
            ),
        }
    }
}

fn bound<M: Module>(
    model: &M,
    gradients: GradientsParams,
    max: f64,
    p: f64,
) -> (GradientsParams, Option<f64>) {
    let norm = global_norm(model, &gradients, p);
    let scale = max / (norm + 1e-6);
    // A norm that is no number makes all gradients so, as in torch.
    if scale >= 1.0 {
        (gradients, Some(norm))
    } else {
        (scale_all(model, gradients, scale), Some(norm))
    }
}

/// `‖g‖ₚ` over the gradients of all parameters together.
pub(crate) fn global_norm<M: Module>(model: &M, gradients: &GradientsParams, p: f64) -> f64 {
    struct Sum<'a> {
        gradients: &'a GradientsParams,
        p: f64,
        parts: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Sum<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.parts.push(match self.p {
                    2.0 => gradient.powi_scalar(2).sum(),
                    1.0 => gradient.abs().sum(),
                    f64::INFINITY => gradient.abs().max(),
                    p => gradient.abs().powf_scalar(p).sum(),
                });
            }
        }
    }
    let mut sum = Sum {
        gradients,
        p,
        parts: Vec::new(),
    };
    model.visit(&mut sum);
    if sum.parts.is_empty() {
        return 0.0;
    }
    let parts = Tensor::cat(sum.parts, 0).into_data();
    if p == f64::INFINITY {
        return parts
            .iter::<f64>()
            .fold(0.0, |a, b| if b.is_nan() || b > a { b } else { a });
    }
    let total: f64 = parts.iter::<f64>().sum();
    if p == 2.0 {
        total.sqrt()
    } else {
        total.powf(1.0 / p)
    }
}

/// Multiplies every gradient by `scale`.
pub(crate) fn scale_all<M: Module>(
    model: &M,
    gradients: GradientsParams,
    scale: f64,
) -> GradientsParams {
    rewrite(model, gradients, &Rule::Scale(scale))
}

enum Rule {
    Scale(f64),
    Norm(f64),
    Clamp(f32),
    Adaptive(f64, f64),
}

impl Rule {
    fn apply<const D: usize>(&self, weight: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        match *self {
            Self::Scale(scale) => gradient * scale,
            Self::Norm(max) => {
                let norm = gradient.clone().powi_scalar(2).sum().sqrt();
                let scale = norm.clamp_min(max).recip() * max;
                gradient * scale.reshape([1; D])
            }
            Self::Clamp(max) => gradient.clamp(-max, max),
            Self::Adaptive(factor, epsilon) => {
                let limit = unit_norm(weight).clamp_min(epsilon) * factor;
                let norm = unit_norm(gradient.clone()).clamp_min(1e-6);
                gradient * (limit / norm).clamp_max(1.0)
            }
        }
    }
}

/// Norm of each unit, with the reduced dimensions kept as 1.
fn unit_norm<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let reduced: Vec<usize> = match D {
        0 => return tensor.abs(),
        1 | 2 => vec![0],
        _ => (1..D).collect(),
    };
    reduced
        .into_iter()
        .fold(tensor.powi_scalar(2), |tensor, dim| tensor.sum_dim(dim))
        .sqrt()
}

fn rewrite<M: Module>(model: &M, gradients: GradientsParams, rule: &Rule) -> GradientsParams {
    struct Rewrite<'a> {
        rule: &'a Rule,
        old: GradientsParams,
        new: GradientsParams,
    }
    impl ModuleVisitor for Rewrite<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.old.remove::<D>(param.id) {
                let weight = param.base().without_autodiff();
                self.new
                    .register(param.id, self.rule.apply(weight, gradient));
            }
        }
    }
    let mut rewrite = Rewrite {
        rule,
        old: gradients,
        new: GradientsParams::new(),
    };
    model.visit(&mut rewrite);
    rewrite.new
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn model() -> Linear {
        LinearConfig::new(2, 2).init(&Device::flex().autodiff())
    }

    fn gradients(model: &Linear) -> GradientsParams {
        let device = Device::flex();
        let mut gradients = GradientsParams::new();
        let weight = Tensor::<2>::from_data([[3.0f32, 0.0], [0.0, 0.0]], &device);
        gradients.register(model.weight.id, weight);
        let bias = model.bias.as_ref().unwrap();
        gradients.register(bias.id, Tensor::<1>::from_data([0.0f32, -4.0], &device));
        gradients
    }

    fn values(model: &Linear, gradients: &GradientsParams) -> Vec<f32> {
        let weight = gradients.get::<2>(model.weight.id).unwrap().into_data();
        let bias = gradients.get::<1>(model.bias.as_ref().unwrap().id);
        let mut values = weight.try_to_vec::<f32>().unwrap();
        values.extend(bias.unwrap().into_data().try_to_vec::<f32>().unwrap());
        values
    }

    #[test]
    fn the_global_norm_runs_over_all_parameters() {
        let model = model();
        for (p, expected) in [
            (2.0, 5.0),
            (1.0, 7.0),
            (3.0, 91f64.cbrt()),
            (f64::INFINITY, 4.0),
        ] {
            let found = global_norm(&model, &gradients(&model), p);
            assert!((found - expected).abs() < 1e-5, "{p}: {found} {expected}");
        }
        assert_eq!(global_norm(&model, &GradientsParams::new(), 2.0), 0.0);
    }

    #[test]
    fn clipping_by_norm_keeps_the_direction() {
        let model = model();
        let clip = Clip::GlobalNorm { max: 0.5 };
        let (clipped, norm) = clip.apply(&model, gradients(&model));
        assert!((norm.unwrap() - 5.0).abs() < 1e-6);
        let found = values(&model, &clipped);
        assert!((found[0] - 0.3).abs() < 1e-6 && (found[5] + 0.4).abs() < 1e-6);
        let clip = Clip::GlobalNorm { max: 6.0 };
        let (kept, _) = clip.apply(&model, gradients(&model));
        assert_eq!(values(&model, &kept), values(&model, &gradients(&model)));
    }

    #[test]
    fn clipping_each_parameter_leaves_the_small_ones_alone() {
        let model = model();
        let (clipped, _) = Clip::EachNorm { max: 3.5 }.apply(&model, gradients(&model));
        assert_eq!(values(&model, &clipped), [3.0, 0.0, 0.0, 0.0, 0.0, -3.5]);
    }

    #[test]
    fn clipping_by_value_bounds_every_element() {
        let model = model();
        let (clipped, _) = Clip::Value { max: 1.0 }.apply(&model, gradients(&model));
        assert_eq!(values(&model, &clipped), [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]);
    }

    #[test]
    fn bounds_must_be_positive() {
        assert!(Clip::GlobalNorm { max: 0.0 }.check().is_err());
        assert!(Clip::Value { max: f64::NAN }.check().is_err());
        assert!(Clip::None.check().is_ok());
    }
}
