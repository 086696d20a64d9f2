//! `keras.initializers` and the defaults of `keras.layers` (Keras 3).
//!
//! Fans are those of the raw kernel `[k…, in, out]`. The `*_normal` schemes cut
//! at two standard deviations and correct the variance.

use crate::plan::{InitPlan, Role, Select};
use crate::{
    Constant, Distribution, FanMode, FanSource, Identity, InitError, MatrixView, Normal,
    Orthogonal, Scaling, Side, Stft, TruncatedNormal, Uniform, VarianceScaling, Window,
};

/// `RandomNormal(mean, stddev)`; Keras' default deviation is 0.05.
#[must_use]
pub const fn random_normal(mean: f64, stddev: f64) -> Normal {
    Normal::new(mean, stddev)
}

/// `RandomUniform(minval, maxval)`; Keras' defaults are ±0.05.
#[must_use]
pub const fn random_uniform(minval: f64, maxval: f64) -> Uniform {
    Uniform::new(minval, maxval)
}

/// `TruncatedNormal(mean, stddev)`: cut at two deviations, not corrected.
#[must_use]
pub const fn truncated_normal(mean: f64, stddev: f64) -> TruncatedNormal {
    TruncatedNormal::new(mean, stddev)
}

/// `Constant(value)`, `Zeros()`, `Ones()`.
#[must_use]
pub const fn constant(value: f64) -> Constant {
    Constant::new(value)
}

/// `Identity(gain)`.
#[must_use]
pub const fn identity(gain: f64) -> Identity {
    Identity::new(gain)
}

/// `Orthogonal(gain)`: all other axes against the last.
#[must_use]
pub const fn orthogonal(gain: f64) -> Orthogonal {
    Orthogonal::new(gain).with_view(MatrixView::LastAxis)
}

/// `STFT(side, window, scaling, periodic)`.
#[must_use]
pub const fn stft(side: Side, window: Option<Window>, scaling: Scaling, periodic: bool) -> Stft {
    let stft = Stft::new(side).with_window(window).with_scaling(scaling);
    if periodic { stft.periodic() } else { stft }
}

/// `VarianceScaling(scale, mode, distribution, input_axes, output_axes)`;
/// `axes` is the pair of the last two, where given.
///
/// ```
/// use firecraft_init::peers::keras;
/// use firecraft_init::{Initializer, Layout, Target};
/// // Heads are outputs: [features, heads, size].
/// let init = keras::variance_scaling(1.0, "fan_out", "uniform", Some((vec![0], vec![1, 2])))?;
/// let target = Target::new(&[64, 4, 16], Layout::LINEAR);
/// assert_eq!(init.moments(&target), Some((0.0, 0.125)));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
///
/// # Errors
/// [`InitError::Unknown`] for another mode or distribution than Keras knows,
/// [`InitError::Setting`] for a scale that is not positive.
pub fn variance_scaling(
    scale: f64,
    mode: &str,
    distribution: &str,
    axes: Option<(Vec<isize>, Vec<isize>)>,
) -> Result<VarianceScaling, InitError> {
    let distribution = match distribution {
        // Keras keeps `normal` as an alias of the truncated one.
        "truncated_normal" | "normal" => Distribution::TruncatedNormal,
        "untruncated_normal" => Distribution::Normal,
        "uniform" => Distribution::Uniform,
        name => {
            return Err(InitError::Unknown {
                what: "distribution in Keras",
                name: name.to_owned(),
                known: "truncated_normal, untruncated_normal, uniform".to_owned(),
            });
        }
    };
    let mode: FanMode = mode.parse()?;
    if mode == FanMode::GeoAvg {
        return Err(InitError::Unknown {
            what: "mode in Keras",
            name: mode.to_string(),
            known: "fan_in, fan_out, fan_avg".to_owned(),
        });
    }
    crate::error::positive("variance_scaling", "scale", scale)?;
    let fans = match axes {
        None => FanSource::Keras,
        Some((input, output)) => FanSource::Axes {
            input,
            output,
            batch: Vec::new(),
        },
    };
    Ok(VarianceScaling::new(scale, mode, distribution).with_fans(fans))
}

/// `GlorotUniform()`.
#[must_use]
pub fn glorot_uniform() -> VarianceScaling {
    scaling(1.0, FanMode::Avg, Distribution::Uniform)
}

/// `GlorotNormal()`.
#[must_use]
pub fn glorot_normal() -> VarianceScaling {
    scaling(1.0, FanMode::Avg, Distribution::TruncatedNormal)
}

/// `HeUniform()`.
#[must_use]
pub fn he_uniform() -> VarianceScaling {
    scaling(2.0, FanMode::In, Distribution::Uniform)
}

/// `HeNormal()`.
#[must_use]
pub fn he_normal() -> VarianceScaling {
    scaling(2.0, FanMode::In, Distribution::TruncatedNormal)
}

/// `LecunUniform()`.
#[must_use]
pub fn lecun_uniform() -> VarianceScaling {
    scaling(1.0, FanMode::In, Distribution::Uniform)
}

/// `LecunNormal()`.
#[must_use]
pub fn lecun_normal() -> VarianceScaling {
    scaling(1.0, FanMode::In, Distribution::TruncatedNormal)
}

fn scaling(scale: f64, mode: FanMode, distribution: Distribution) -> VarianceScaling {
    VarianceScaling::new(scale, mode, distribution).with_fans(FanSource::Keras)
}

/// What Keras' layers start with, **whatever the activation**: Glorot uniform
/// kernels, zero biases, orthogonal recurrent kernels, forget biases of 1,
/// embeddings `U(±0.05)`, normalisations at the identity.
///
/// burn keeps one matrix per recurrent gate where Keras has one for all, so
/// the input kernels of gates get the Glorot limit of their own matrix.
#[must_use]
pub fn layer_defaults() -> InitPlan {
    InitPlan::new(glorot_uniform())
        .default_rule(Select::any(Role::Attention), glorot_uniform())
        .default_rule(Select::any(Role::Recurrent), orthogonal(1.0))
        .default_rule(Select::any(Role::Embedding), random_uniform(-0.05, 0.05))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_keras_does_not_know_are_errors() {
        assert!(variance_scaling(1.0, "fan_geo_avg", "uniform", None).is_err());
        assert!(variance_scaling(1.0, "fan_in", "gaussian", None).is_err());
        assert!(variance_scaling(0.0, "fan_in", "uniform", None).is_err());
        let same = variance_scaling(2.0, "fan_in", "truncated_normal", None).unwrap();
        assert_eq!(same, he_normal());
    }
}
