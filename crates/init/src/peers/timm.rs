//! `timm.layers.weight_init` and timm's vision-transformer presets.

use crate::{
    Bounds, Distribution, FanMode, FanSource, InitError, TruncatedNormal, VarianceScaling,
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
