//! `jax.nn.initializers`.
//!
//! Fans come from explicit axes, by default the last but one in and the last
//! out. The `*_normal` schemes cut at two standard deviations and correct the
//! variance.

use crate::{
    Bounds, Constant, DeltaOrthogonal, Distribution, FanMode, FanSource, InitError, MatrixView,
    Normal, Orthogonal, TruncatedNormal, Uniform, VarianceScaling,
};

/// `in_axis`, `out_axis` and `batch_axis` of JAX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes {
    /// Axes that are summed over.
    pub input: Vec<isize>,
    /// Axes of the outputs.
    pub output: Vec<isize>,
    /// Axes that only repeat the layer.
    pub batch: Vec<isize>,
}

impl Default for Axes {
    fn default() -> Self {
        Self {
            input: vec![-2],
            output: vec![-1],
            batch: Vec::new(),
        }
    }
}

/// `constant(value)`, `zeros`, `ones`.
#[must_use]
pub const fn constant(value: f64) -> Constant {
    Constant::new(value)
}

/// `uniform(scale)`: `U(0, scale)`; JAX' default scale is 0.01.
#[must_use]
pub const fn uniform(scale: f64) -> Uniform {
    Uniform::new(0.0, scale)
}

/// `normal(stddev)`; JAX' default is 0.01.
#[must_use]
pub const fn normal(stddev: f64) -> Normal {
    Normal::new(0.0, stddev)
}

/// `truncated_normal(stddev, lower, upper)`: bounds in units of `stddev`.
#[must_use]
pub const fn truncated_normal(stddev: f64, lower: f64, upper: f64) -> TruncatedNormal {
    TruncatedNormal::new(0.0, stddev).with_bounds(lower, upper, Bounds::Std)
}

/// `orthogonal(scale, column_axis)`: that axis, by default the last, against
/// all others.
#[must_use]
pub const fn orthogonal(scale: f64, column_axis: isize) -> Orthogonal {
    Orthogonal::new(scale).with_view(MatrixView::Axis(column_axis))
}

/// `delta_orthogonal(scale)`; its `column_axis` makes no difference to the
/// square matrix that is drawn.
#[must_use]
pub const fn delta_orthogonal(scale: f64) -> DeltaOrthogonal {
    DeltaOrthogonal::new(scale)
}

/// `variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis)`.
///
/// ```
/// use firecraft_init::peers::jax::{self, Axes};
/// use firecraft_init::{Initializer, Layout, Target};
/// let init = jax::variance_scaling(1.0, "fan_geo_avg", "normal", Axes::default())?;
/// let target = Target::new(&[8, 2], Layout::LINEAR);
/// assert_eq!(init.moments(&target), Some((0.0, 0.5)));
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
///
/// # Errors
/// [`InitError::Unknown`] for another mode or distribution than JAX knows.
pub fn variance_scaling(
    scale: f64,
    mode: &str,
    distribution: &str,
    axes: Axes,
) -> Result<VarianceScaling, InitError> {
    let distribution = match distribution {
        "truncated_normal" => Distribution::TruncatedNormal,
        "normal" => Distribution::Normal,
        "uniform" => Distribution::Uniform,
        name => {
            return Err(InitError::Unknown {
                what: "distribution in JAX",
                name: name.to_owned(),
                known: "truncated_normal, normal, uniform".to_owned(),
            });
        }
    };
    Ok(scaling(scale, mode.parse()?, distribution, axes))
}

/// `glorot_uniform` or `xavier_uniform`.
#[must_use]
pub fn glorot_uniform(axes: Axes) -> VarianceScaling {
    scaling(1.0, FanMode::Avg, Distribution::Uniform, axes)
}

/// `glorot_normal` or `xavier_normal`.
#[must_use]
pub fn glorot_normal(axes: Axes) -> VarianceScaling {
    scaling(1.0, FanMode::Avg, Distribution::TruncatedNormal, axes)
}

/// `he_uniform` or `kaiming_uniform`.
#[must_use]
pub fn he_uniform(axes: Axes) -> VarianceScaling {
    scaling(2.0, FanMode::In, Distribution::Uniform, axes)
}

/// `he_normal` or `kaiming_normal`.
#[must_use]
pub fn he_normal(axes: Axes) -> VarianceScaling {
    scaling(2.0, FanMode::In, Distribution::TruncatedNormal, axes)
}

/// `lecun_uniform`.
#[must_use]
pub fn lecun_uniform(axes: Axes) -> VarianceScaling {
    scaling(1.0, FanMode::In, Distribution::Uniform, axes)
}

/// `lecun_normal`.
#[must_use]
pub fn lecun_normal(axes: Axes) -> VarianceScaling {
    scaling(1.0, FanMode::In, Distribution::TruncatedNormal, axes)
}

fn scaling(scale: f64, mode: FanMode, distribution: Distribution, axes: Axes) -> VarianceScaling {
    VarianceScaling::new(scale, mode, distribution).with_fans(FanSource::Axes {
        input: axes.input,
        output: axes.output,
        batch: axes.batch,
    })
}
