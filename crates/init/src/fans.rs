//! Fans: how many inputs a unit sums over, and how many outputs it feeds.
//!
//! Variance-preserving initialisers divide by a fan. The *semantic* fans count
//! real connections; the peers compute theirs from the raw kernel shape, which
//! swaps the two for transposed convolutions and forgets the groups in
//! `fan_out`. Semantic fans are the default, the peers' are available through
//! [`FanSource`].

use crate::InitError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the axes of a weight mean.
///
/// `k…` stands for any number of spatial axes, none included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layout {
    /// `[out, in / groups, k…]`: convolutions of burn and torch, torch's `Linear`.
    ChannelsFirst {
        /// Number of groups.
        groups: usize,
    },
    /// `[in, out / groups, k…]`: transposed convolutions of burn and torch.
    ChannelsFirstTranspose {
        /// Number of groups.
        groups: usize,
    },
    /// `[k…, in / groups, out]`: burn's `Linear`, kernels of Keras and JAX.
    ChannelsLast {
        /// Number of groups.
        groups: usize,
    },
    /// `[k…, out, in]`: transposed convolutions of Keras.
    ChannelsLastTranspose,
    /// `[rows, features]`: a look-up table.
    Embedding,
    /// Any shape without inputs and outputs: biases, scales, tokens.
    Elementwise,
}

impl Layout {
    /// A convolution of burn or torch without groups: `[out, in, k…]`.
    pub const CONV: Self = Self::ChannelsFirst { groups: 1 };
    /// A transposed convolution of burn or torch without groups: `[in, out, k…]`.
    pub const CONV_TRANSPOSE: Self = Self::ChannelsFirstTranspose { groups: 1 };
    /// burn's linear layer: `[in, out]`.
    pub const LINEAR: Self = Self::ChannelsLast { groups: 1 };

    /// The same layout with another number of groups, where it has groups.
    #[must_use]
    pub const fn with_groups(self, groups: usize) -> Self {
        match self {
            Self::ChannelsFirst { .. } => Self::ChannelsFirst { groups },
            Self::ChannelsFirstTranspose { .. } => Self::ChannelsFirstTranspose { groups },
            Self::ChannelsLast { .. } => Self::ChannelsLast { groups },
            other => other,
        }
    }
}

/// The numbers of incoming and outgoing connections of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fans {
    /// Inputs that one output sums over.
    pub fan_in: f64,
    /// Outputs that one input contributes to.
    pub fan_out: f64,
}

/// Which fan a variance is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FanMode {
    /// Keeps the variance of the activations in the forward pass.
    #[default]
    #[serde(rename = "fan_in")]
    In,
    /// Keeps the variance of the gradients in the backward pass.
    #[serde(rename = "fan_out")]
    Out,
    /// The arithmetic mean of both: Glorot's compromise.
    #[serde(rename = "fan_avg")]
    Avg,
    /// The geometric mean of both.
    #[serde(rename = "fan_geo_avg")]
    GeoAvg,
}

impl fmt::Display for FanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "fan_in",
            Self::Out => "fan_out",
            Self::Avg => "fan_avg",
            Self::GeoAvg => "fan_geo_avg",
        })
    }
}

impl std::str::FromStr for FanMode {
    type Err = InitError;

    fn from_str(name: &str) -> Result<Self, InitError> {
        Ok(match name {
            "fan_in" => Self::In,
            "fan_out" => Self::Out,
            "fan_avg" => Self::Avg,
            "fan_geo_avg" => Self::GeoAvg,
            _ => {
                return Err(InitError::Unknown {
                    what: "fan mode",
                    name: name.to_owned(),
                    known: "fan_in, fan_out, fan_avg, fan_geo_avg".to_owned(),
                });
            }
        })
    }
}

/// Where the fans of a weight come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FanSource {
    /// Real connections, from the meaning of the axes and the groups.
    #[default]
    Semantic,
    /// As torch counts: second axis in, first axis out, times the spatial
    /// axes, whatever the layer. Fewer than two axes are an error.
    Torch,
    /// As Keras and JAX count: last axis but one in, last axis out, times the
    /// other axes. One axis is both fans; none makes both 1.
    Keras,
    /// Explicit axes (negative ones count from the end), as JAX's `in_axis`,
    /// `out_axis`, `batch_axis` and Keras' `input_axes`, `output_axes`.
    Axes {
        /// Axes that are summed over.
        input: Vec<isize>,
        /// Axes of the outputs.
        output: Vec<isize>,
        /// Axes that only repeat the layer and count in neither fan.
        #[serde(default)]
        batch: Vec<isize>,
    },
}

impl Fans {
    /// The fans that count real connections.
    ///
    /// | layout | `fan_in` | `fan_out` |
    /// |---|---|---|
    /// | `[out, in/g, k…]` | `in/g · Πk` | `out/g · Πk` |
    /// | `[in, out/g, k…]`, transposed | `in/g · Πk` | `out/g · Πk` |
    /// | `[rows, features]`, embedding | `rows` | `features` |
    ///
    /// Strides are not counted: an output of a transposed convolution with
    /// stride `s` sees only about `Πk / sᵈ` taps.
    ///
    /// ```
    /// use firecraft_init::{Fans, Layout};
    /// // A grouped convolution, 8 -> 12 channels, kernel 3x3, 4 groups.
    /// let fans = Fans::semantic(&[12, 2, 3, 3], Layout::ChannelsFirst { groups: 4 })?;
    /// assert_eq!((fans.fan_in, fans.fan_out), (18.0, 27.0));
    /// // A transposed one, 4 -> 7 channels, kernel 2x2.
    /// let fans = Fans::semantic(&[4, 7, 2, 2], Layout::CONV_TRANSPOSE)?;
    /// assert_eq!((fans.fan_in, fans.fan_out), (16.0, 28.0));
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Shape`] for fewer than two axes, for [`Layout::Elementwise`]
    /// and for channels that the groups don't divide.
    pub fn semantic(shape: &[usize], layout: Layout) -> Result<Self, InitError> {
        let rank = shape.len();
        if rank < 2 {
            return Err(InitError::shape("fans", "two axes or more", shape));
        }
        let first = || product(&shape[2..]);
        let last = || product(&shape[..rank - 2]);
        Ok(match layout {
            Layout::ChannelsFirst { groups } => Self {
                fan_in: shape[1] as f64 * first(),
                fan_out: per_group(shape, 0, groups)? * first(),
            },
            Layout::ChannelsFirstTranspose { groups } => Self {
                fan_in: per_group(shape, 0, groups)? * first(),
                fan_out: shape[1] as f64 * first(),
            },
            Layout::ChannelsLast { groups } => Self {
                fan_in: shape[rank - 2] as f64 * last(),
                fan_out: per_group(shape, rank - 1, groups)? * last(),
            },
            Layout::ChannelsLastTranspose => Self {
                fan_in: shape[rank - 1] as f64 * last(),
                fan_out: shape[rank - 2] as f64 * last(),
            },
            Layout::Embedding => Self {
                fan_in: shape[0] as f64,
                fan_out: product(&shape[1..]),
            },
            Layout::Elementwise => {
                return Err(InitError::shape(
                    "fans",
                    "a weight with inputs and outputs",
                    shape,
                ));
            }
        })
    }

    /// The fans that torch computes for a tensor of this shape: `fan_in` is
    /// axis 1 and `fan_out` axis 0, each times the spatial axes.
    ///
    /// ```
    /// use firecraft_init::Fans;
    /// // For a transposed convolution 4 -> 7 they are swapped.
    /// let fans = Fans::torch(&[4, 7, 2, 2])?;
    /// assert_eq!((fans.fan_in, fans.fan_out), (28.0, 16.0));
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Shape`] for fewer than two axes.
    pub fn torch(shape: &[usize]) -> Result<Self, InitError> {
        match shape {
            [out, input, spatial @ ..] => Ok(Self {
                fan_in: *input as f64 * product(spatial),
                fan_out: *out as f64 * product(spatial),
            }),
            _ => Err(InitError::shape("torch's fans", "two axes or more", shape)),
        }
    }

    /// The fans that Keras and JAX compute for a kernel of this shape:
    /// `fan_in` is the last axis but one and `fan_out` the last, each times
    /// the other axes.
    ///
    /// ```
    /// use firecraft_init::Fans;
    /// assert_eq!(Fans::keras(&[3, 3, 2, 12]).fan_out, 108.0);
    /// assert_eq!(Fans::keras(&[5]).fan_in, 5.0);
    /// assert_eq!(Fans::keras(&[]).fan_in, 1.0);
    /// ```
    #[must_use]
    pub fn keras(shape: &[usize]) -> Self {
        let (fan_in, fan_out) = match shape {
            [] => (1.0, 1.0),
            [n] => (*n as f64, *n as f64),
            [receptive @ .., input, out] => (
                *input as f64 * product(receptive),
                *out as f64 * product(receptive),
            ),
        };
        Self { fan_in, fan_out }
    }

    /// Fans from explicit axes: `fan_in` is the product of the `input` axes
    /// and `fan_out` that of the `output` axes, each times the axes that are
    /// named nowhere (the receptive field). `batch` axes don't count.
    ///
    /// ```
    /// use firecraft_init::Fans;
    /// // Attention weights [features, heads, size], all heads are outputs.
    /// let fans = Fans::from_axes(&[64, 4, 16], &[0], &[1, 2], &[])?;
    /// assert_eq!((fans.fan_in, fans.fan_out), (64.0, 64.0));
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// [`InitError::Shape`] if an axis doesn't exist or is named twice.
    pub fn from_axes(
        shape: &[usize],
        input: &[isize],
        output: &[isize],
        batch: &[isize],
    ) -> Result<Self, InitError> {
        let rank = shape.len() as isize;
        let mut role = vec![0_usize; shape.len()];
        for (kind, axes) in [(1, input), (2, output), (3, batch)] {
            for &axis in axes {
                let at = if axis < 0 { axis + rank } else { axis };
                match usize::try_from(at).ok().and_then(|at| role.get_mut(at)) {
                    Some(free) if *free == 0 => *free = kind,
                    Some(_) => {
                        let expected = format!("each axis once, axis {axis} is named twice");
                        return Err(InitError::shape("fans", expected, shape));
                    }
                    None => {
                        let expected = format!("a shape that has axis {axis}");
                        return Err(InitError::shape("fans", expected, shape));
                    }
                }
            }
        }
        let of = |kind: usize| -> f64 {
            (shape.iter().zip(&role))
                .filter(|(_, role)| **role == kind)
                .map(|(&n, _)| n as f64)
                .product()
        };
        Ok(Self {
            fan_in: of(1) * of(0),
            fan_out: of(2) * of(0),
        })
    }

    /// The fans of `shape` as `source` counts them.
    ///
    /// Under [`FanSource::Torch`] and [`FanSource::Keras`] a weight in another
    /// framework's layout is read as the peer would store the same layer, so
    /// that the numbers are the peer's.
    ///
    /// # Errors
    /// Those of the functions that it calls.
    pub fn from_source(
        source: &FanSource,
        shape: &[usize],
        layout: Layout,
    ) -> Result<Self, InitError> {
        match source {
            FanSource::Semantic => Self::semantic(shape, layout),
            FanSource::Axes {
                input,
                output,
                batch,
            } => Self::from_axes(shape, input, output, batch),
            FanSource::Torch if shape.len() < 2 => Self::torch(shape),
            FanSource::Torch | FanSource::Keras => match layout {
                Layout::ChannelsLast { .. } | Layout::ChannelsLastTranspose => {
                    Ok(Self::keras(shape))
                }
                Layout::ChannelsFirst { .. } | Layout::ChannelsFirstTranspose { .. }
                    if shape.len() >= 2 =>
                {
                    Self::torch(shape)
                }
                Layout::Embedding | Layout::Elementwise if *source == FanSource::Torch => {
                    Self::torch(shape)
                }
                _ => Ok(Self::keras(shape)),
            },
        }
    }

    /// The fan that `mode` names.
    ///
    /// ```
    /// use firecraft_init::{FanMode, Fans};
    /// let fans = Fans { fan_in: 8.0, fan_out: 2.0 };
    /// assert_eq!(fans.get(FanMode::Avg), 5.0);
    /// assert_eq!(fans.get(FanMode::GeoAvg), 4.0);
    /// ```
    #[must_use]
    pub fn get(self, mode: FanMode) -> f64 {
        match mode {
            FanMode::In => self.fan_in,
            FanMode::Out => self.fan_out,
            FanMode::Avg => (self.fan_in + self.fan_out) / 2.0,
            FanMode::GeoAvg => (self.fan_in * self.fan_out).sqrt(),
        }
    }
}

fn product(axes: &[usize]) -> f64 {
    axes.iter().map(|&n| n as f64).product()
}

fn per_group(shape: &[usize], axis: usize, groups: usize) -> Result<f64, InitError> {
    if groups == 0 || !shape[axis].is_multiple_of(groups) {
        let expected = format!("axis {axis} to be divisible by {groups} groups");
        return Err(InitError::shape("fans", expected, shape));
    }
    Ok((shape[axis] / groups) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn peers_swap_the_fans_of_a_transposed_convolution() {
        let shape = [4, 7, 2, 2];
        let raw = Fans::from_source(&FanSource::Torch, &shape, Layout::CONV_TRANSPOSE).unwrap();
        let real = Fans::semantic(&shape, Layout::CONV_TRANSPOSE).unwrap();
        assert_eq!((raw.fan_in, raw.fan_out), (real.fan_out, real.fan_in));
    }

    #[test]
    fn torch_fans_of_a_burn_linear_are_those_of_the_same_layer_in_torch() {
        let fans = Fans::from_source(&FanSource::Torch, &[8, 5], Layout::LINEAR).unwrap();
        assert_eq!((fans.fan_in, fans.fan_out), (8.0, 5.0));
    }

    #[test]
    fn vectors_have_no_semantic_fans() {
        assert!(Fans::semantic(&[8], Layout::CONV).is_err());
        assert!(Fans::semantic(&[8, 4], Layout::Elementwise).is_err());
        assert!(Fans::torch(&[8]).is_err());
    }

    #[test]
    fn groups_must_divide_the_channels() {
        for groups in [0, 5] {
            let error = Fans::semantic(&[12, 2, 3], Layout::ChannelsFirst { groups }).unwrap_err();
            assert!(error.to_string().contains("divisible"), "{error}");
        }
    }

    #[test]
    fn axes_must_exist_and_be_named_once() {
        assert!(Fans::from_axes(&[2, 3], &[2], &[1], &[]).is_err());
        assert!(Fans::from_axes(&[2, 3], &[-3], &[1], &[]).is_err());
        assert!(Fans::from_axes(&[2, 3], &[1], &[-1], &[]).is_err());
    }

    #[test]
    fn modes_parse_by_the_names_of_the_field() {
        for mode in [FanMode::In, FanMode::Out, FanMode::Avg, FanMode::GeoAvg] {
            assert_eq!(mode.to_string().parse::<FanMode>().unwrap(), mode);
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
        }
        assert!("fan".parse::<FanMode>().is_err());
    }

    proptest! {
        #[test]
        fn connections_are_the_same_seen_from_both_sides(
            input in 1..20_usize, out in 1..20_usize, groups in 1..5_usize, k in 1..5_usize,
        ) {
            // in·fan_out counts the same edges as out·fan_in, per position.
            let (input, out) = (input * groups, out * groups);
            let fans = Fans::semantic(
                &[out, input / groups, k, k],
                Layout::ChannelsFirst { groups },
            ).unwrap();
            prop_assert_eq!(fans.fan_in * out as f64, fans.fan_out * input as f64);
        }

        #[test]
        fn explicit_axes_agree_with_keras(shape in prop::collection::vec(1..9_usize, 2..6)) {
            prop_assert_eq!(
                Fans::from_axes(&shape, &[-2], &[-1], &[]).unwrap(),
                Fans::keras(&shape)
            );
        }
    }
}
