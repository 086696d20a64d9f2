//! Activations and their gains.
//!
//! The gain of an activation `f` is what the standard deviation of the weights
//! before it has to be multiplied by so that a unit-variance signal keeps its
//! second moment: `gain = 1 / √E[f(z)²]`, `z ~ N(0, 1)` (He et al. 2015 for
//! ReLU; the general form is the mean-field condition of Poole et al. 2016).

use crate::InitError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A nonlinearity, by the name the field gives it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Activation {
    /// The identity; also for the layer before a softmax.
    #[default]
    Linear,
    /// `1 / (1 + e⁻ᶻ)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `max(z, 0)`.
    Relu,
    /// `min(max(z, 0), 6)`.
    Relu6,
    /// `z` above 0, `slope · z` below; PReLU at its initial slope.
    LeakyRelu {
        /// Slope below 0.
        slope: f64,
    },
    /// `z` above 0, `alpha · (eᶻ − 1)` below.
    Elu {
        /// Depth of the negative plateau.
        alpha: f64,
    },
    /// Self-normalising ELU (Klambauer et al. 2017).
    Selu,
    /// `z · Φ(z)`.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// `z · sigmoid(z)`, also called swish.
    Silu,
    /// `z · tanh(softplus(z))`.
    Mish,
    /// `ln(1 + eᶻ)`.
    Softplus,
    /// `z / (1 + |z|)`.
    Softsign,
    /// `relu6(z + 3) / 6`.
    HardSigmoid,
    /// `z · relu6(z + 3) / 6`.
    HardSwish,
}

/// λ and α of SELU.
const SELU: (f64, f64) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
/// `E[(eᶻ − 1)²; z < 0] = e²Φ(−2) − 2√e Φ(−1) + 1/2`.
const ELU_BELOW: f64 = 0.144_945_417_492_923_86;

impl Activation {
    /// Every activation, the ones with a parameter at its usual value.
    pub const ALL: [Self; 16] = [
        Self::Linear,
        Self::Sigmoid,
        Self::Tanh,
        Self::Relu,
        Self::Relu6,
        Self::LeakyRelu { slope: 0.01 },
        Self::Elu { alpha: 1.0 },
        Self::Selu,
        Self::Gelu,
        Self::GeluTanh,
        Self::Silu,
        Self::Mish,
        Self::Softplus,
        Self::Softsign,
        Self::HardSigmoid,
        Self::HardSwish,
    ];

    /// The name used in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Softplus => "softplus",
            Self::Softsign => "softsign",
            Self::HardSigmoid => "hard_sigmoid",
            Self::HardSwish => "hard_swish",
        }
    }

    /// The activation of that name, its parameter at the usual value. `swish`
    /// is SiLU; `identity`, `none` and `softmax` are linear.
    ///
    /// # Errors
    /// [`InitError::Unknown`] lists the names.
    pub fn from_name(name: &str) -> Result<Self, InitError> {
        let alias = match name {
            "swish" => "silu",
            "identity" | "none" | "softmax" => "linear",
            name => name,
        };
        (Self::ALL.into_iter().find(|a| a.name() == alias)).ok_or_else(|| InitError::Unknown {
            what: "activation",
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }

    /// `gain = 1 / √E[f(z)²]` for `z ~ N(0, 1)`.
    ///
    /// Closed forms where they exist, else constants by quadrature (checked by
    /// a test to 1e-12).
    ///
    /// ```
    /// use firecraft_init::Activation;
    /// assert_eq!(Activation::Relu.gain()?, 2_f64.sqrt());
    /// assert_eq!(Activation::Selu.gain()?, 1.0);
    /// assert!((Activation::Gelu.gain()? - 1.533530441195535).abs() < 1e-12);
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Setting`] if `slope` or `alpha` is not finite.
    pub fn gain(self) -> Result<f64, InitError> {
        Ok(match self {
            Self::Linear | Self::Selu => 1.0,
            Self::Sigmoid => 1.846_228_545_338_605_4,
            Self::Tanh => 1.592_537_419_722_831_4,
            Self::Relu => std::f64::consts::SQRT_2,
            Self::Relu6 => 1.414_213_565_095_073_7,
            Self::LeakyRelu { slope } => {
                let slope = crate::error::finite("leaky_relu", "slope", slope)?;
                (2.0 / (1.0 + slope * slope)).sqrt()
            }
            Self::Elu { alpha } => {
                let alpha = crate::error::finite("elu", "alpha", alpha)?;
                1.0 / (0.5 + alpha * alpha * ELU_BELOW).sqrt()
            }
            Self::Gelu => 1.533_530_441_195_533_8,
            Self::GeluTanh => 1.533_580_521_666_147,
            Self::Silu => 1.676_532_470_331_091,
            Self::Mish => 1.486_847_581_273_208,
            Self::Softplus => 1.041_866_835_535_301_7,
            Self::Softsign => 2.337_533_363_108_539_7,
            Self::HardSigmoid => 1.897_840_424_729_559,
            Self::HardSwish => 1.736_657_212_766_541_6,
        })
    }

    /// The gain as torch's `calculate_gain` gives it: 5/3 for tanh, 3/4 for
    /// SELU, 1 for sigmoid; nothing beyond those, linear, ReLU and leaky ReLU.
    ///
    /// ```
    /// use firecraft_init::Activation;
    /// assert_eq!(Activation::Tanh.torch_gain()?, 5.0 / 3.0);
    /// assert!(Activation::Gelu.torch_gain().is_err());
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Unknown`] for an activation torch has no gain for.
    pub fn torch_gain(self) -> Result<f64, InitError> {
        Ok(match self {
            Self::Linear | Self::Sigmoid => 1.0,
            Self::Tanh => 5.0 / 3.0,
            Self::Relu | Self::LeakyRelu { .. } => self.gain()?,
            Self::Selu => 0.75,
            other => {
                return Err(InitError::Unknown {
                    what: "nonlinearity in torch",
                    name: other.name().to_owned(),
                    known: "linear, sigmoid, tanh, relu, leaky_relu, selu".to_owned(),
                });
            }
        })
    }

    /// `f(z)`, in double precision.
    ///
    /// ```
    /// use firecraft_init::Activation;
    /// assert_eq!(Activation::LeakyRelu { slope: 0.1 }.apply(-2.0), -0.2);
    /// ```
    #[must_use]
    pub fn apply(self, z: f64) -> f64 {
        let sigmoid = |z: f64| 1.0 / (1.0 + libm::exp(-z));
        let softplus = |z: f64| z.max(0.0) + libm::log1p(libm::exp(-z.abs()));
        let hard_sigmoid = |z: f64| (z / 6.0 + 0.5).clamp(0.0, 1.0);
        let elu = |z: f64, alpha: f64| if z > 0.0 { z } else { alpha * libm::expm1(z) };
        match self {
            Self::Linear => z,
            Self::Sigmoid => sigmoid(z),
            Self::Tanh => libm::tanh(z),
            Self::Relu => z.max(0.0),
            Self::Relu6 => z.clamp(0.0, 6.0),
            Self::LeakyRelu { slope } => {
                if z > 0.0 {
                    z
                } else {
                    slope * z
                }
            }
            Self::Elu { alpha } => elu(z, alpha),
            Self::Selu => SELU.0 * elu(z, SELU.1),
            Self::Gelu => 0.5 * z * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (z + 0.044_715 * z * z * z);
                0.5 * z * (1.0 + libm::tanh(inner))
            }
            Self::Silu => z * sigmoid(z),
            Self::Mish => z * libm::tanh(softplus(z)),
            Self::Softplus => softplus(z),
            Self::Softsign => z / (1.0 + z.abs()),
            Self::HardSigmoid => hard_sigmoid(z),
            Self::HardSwish => z * hard_sigmoid(z),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The gain of any function, `1 / √E[f(z)²]`, by quadrature.
///
/// Composite Gauss–Legendre over `[-12, 12]`, split at 0 and at ±`kinks`
/// where `f` is not smooth.
///
/// ```
/// use firecraft_init::gain_of;
/// let snake = |z: f64| z + libm::sin(z) * libm::sin(z);
/// assert!((gain_of(snake, &[])? - 0.8746).abs() < 1e-4);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
///
/// # Errors
/// [`InitError::Setting`] if the second moment is 0 or not finite.
pub fn gain_of(f: impl Fn(f64) -> f64, kinks: &[f64]) -> Result<f64, InitError> {
    let mut ends: Vec<f64> = (-48..=48).map(|i| f64::from(i) / 4.0).collect();
    ends.extend(kinks.iter().flat_map(|&k| [k, -k]));
    ends.retain(|end| (-12.0..=12.0).contains(end));
    ends.sort_by(f64::total_cmp);
    let moment: f64 = ends
        .windows(2)
        .map(|ends| {
            let (half, middle) = ((ends[1] - ends[0]) / 2.0, (ends[1] + ends[0]) / 2.0);
            let sum: f64 = NODES
                .iter()
                .flat_map(|&(x, w)| [(-x, w), (x, w)])
                .map(|(x, w)| {
                    let z = middle + half * x;
                    let y = f(z);
                    w * y * y * libm::exp(-z * z / 2.0)
                })
                .sum();
            sum * half
        })
        .sum::<f64>()
        / (2.0 * std::f64::consts::PI).sqrt();
    if moment.is_finite() && moment > 0.0 {
        Ok(1.0 / moment.sqrt())
    } else {
        Err(InitError::setting(
            "gain",
            "E[f(z)²]",
            moment,
            "a finite number > 0",
        ))
    }
}

/// Positive nodes and weights of the Gauss–Legendre rule with 8 points.
const NODES: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_2, 0.101_228_536_290_376_26),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_agree_with_quadrature() {
        for activation in Activation::ALL
            .into_iter()
            .chain([Activation::Elu { alpha: 0.3 }])
        {
            let kinks = [3.0, 6.0];
            let expected = gain_of(|z| activation.apply(z), &kinks).unwrap();
            let gain = activation.gain().unwrap();
            assert!(
                (gain - expected).abs() < 1e-12,
                "{activation}: {gain} {expected}"
            );
        }
    }

    #[test]
    fn names_and_json_round_trip() {
        for activation in Activation::ALL {
            assert_eq!(
                Activation::from_name(activation.name()).unwrap(),
                activation
            );
            let json = serde_json::to_string(&activation).unwrap();
            assert_eq!(
                serde_json::from_str::<Activation>(&json).unwrap(),
                activation
            );
        }
        assert_eq!(
            serde_json::to_string(&Activation::Relu).unwrap(),
            "\"relu\""
        );
        let error = Activation::from_name("reul").unwrap_err().to_string();
        assert!(error.contains("relu6"), "{error}");
    }

    #[test]
    fn a_parameter_that_is_not_finite_is_named() {
        let error = Activation::LeakyRelu { slope: f64::NAN }
            .gain()
            .unwrap_err();
        assert!(error.to_string().contains("slope"), "{error}");
        assert!(gain_of(|_| 0.0, &[]).is_err());
    }
}
