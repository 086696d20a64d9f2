//! Orthogonal and semi-orthogonal weights.

use crate::error::finite;
use crate::initializer::same_length;
use crate::kernel::Kernel;
use crate::qr::orthogonal_factor;
use crate::{InitError, Initializer, Layout, Target, fill};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};

/// How a weight is read as a matrix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatrixView {
    /// One matrix per group, a row for each unit of the axis that the groups
    /// divide, a column for each connection of it.
    #[default]
    Semantic,
    /// One matrix, the first axis against all others: torch.
    FirstAxis,
    /// One matrix, all other axes against the last: Keras, JAX.
    LastAxis,
    /// One matrix, this axis against all others; negative ones count from the
    /// end: JAX' `column_axis`.
    Axis(isize),
}

/// A uniformly random (semi-)orthogonal matrix times `gain`: the layer neither
/// stretches nor shrinks the signal in any direction (Saxe et al. 2014).
///
/// The smaller side is orthonormal: `W Wᵀ = gain² I` if there are fewer rows
/// than columns, else `Wᵀ W = gain² I`. Made by sign-corrected QR of a normal
/// matrix. Matrices of up to 65536 elements are factored in f64, larger
/// ones in f32.
///
/// ```
/// use firecraft_init::{Initializer, Layout, Orthogonal, Target};
/// use firecraft_key::Key;
/// let target = Target::new(&[2, 3], Layout::LINEAR);
/// let w = Orthogonal::new(2.0).values(&target, Key::from_seed(0))?;
/// let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
/// assert!((dot(&w[..3], &w[..3]) - 4.0).abs() < 1e-5);
/// assert!(dot(&w[..3], &w[3..]).abs() < 1e-5);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orthogonal {
    /// All singular values; 1 by default.
    pub gain: f64,
    /// How the weight is read as a matrix.
    pub view: MatrixView,
}

impl Default for Orthogonal {
    fn default() -> Self {
        Self::new(1.0)
    }
}

/// Up to here the factor is computed in f64.
const DOUBLE: usize = 1 << 16;

impl Orthogonal {
    /// Singular values `gain`, one matrix per group.
    #[must_use]
    pub const fn new(gain: f64) -> Self {
        Self {
            gain,
            view: MatrixView::Semantic,
        }
    }

    /// Replaces the way in which the weight is read as a matrix.
    #[must_use]
    pub const fn with_view(mut self, view: MatrixView) -> Self {
        self.view = view;
        self
    }

    /// The weight that a given normal matrix leads to: row-major, `rows` times
    /// `columns`, in place.
    ///
    /// ```
    /// use firecraft_init::Orthogonal;
    /// let mut w = [3.0, 0.0, 4.0, 5.0];
    /// Orthogonal::new(1.0).from_normal(&mut w, 2, 2)?;
    /// let expected = [0.6, -0.8, 0.8, 0.6];
    /// assert!(w.iter().zip(expected).all(|(w, e)| (w - e).abs() < 1e-12));
    /// # Ok::<(), firecraft_init::InitError>(())
    /// ```
    ///
    /// # Errors
    /// A gain that is not finite, or a length other than `rows · columns`.
    pub fn from_normal(&self, w: &mut [f64], rows: usize, columns: usize) -> Result<(), InitError> {
        finite("orthogonal", "gain", self.gain)?;
        same_length_as(w.len(), rows, columns)?;
        orthogonal_factor(w, rows, columns);
        w.iter_mut().for_each(|w| *w *= self.gain);
        Ok(())
    }

    fn kernel(&self, target: &Target) -> Result<Kernel, InitError> {
        finite("orthogonal", "gain", self.gain)?;
        let layout = match self.view {
            MatrixView::Semantic => target.layout,
            MatrixView::FirstAxis => Layout::CONV,
            MatrixView::LastAxis => Layout::LINEAR,
            MatrixView::Axis(axis) => return Kernel::along("orthogonal", &target.shape, axis),
        };
        let target = Target {
            layout,
            ..target.clone()
        };
        Kernel::new("orthogonal", &target)
    }
}

fn same_length_as(got: usize, rows: usize, columns: usize) -> Result<(), InitError> {
    if rows.checked_mul(columns) == Some(got) {
        Ok(())
    } else {
        Err(InitError::Length {
            shape: vec![rows, columns],
            expected: rows.saturating_mul(columns),
            got,
        })
    }
}

/// A matrix with orthonormal smaller side, row-major, times `gain`.
pub(super) fn orthogonal_matrix(rows: usize, columns: usize, gain: f64, key: Key) -> Vec<f32> {
    let mut normal = vec![0.0; rows * columns];
    fill::normal(&mut normal, 0.0, 1.0, key);
    if normal.len() <= DOUBLE {
        let mut w: Vec<f64> = normal.iter().map(|&x| f64::from(x)).collect();
        orthogonal_factor(&mut w, rows, columns);
        w.into_iter().map(|w| (w * gain) as f32).collect()
    } else {
        orthogonal_factor(&mut normal, rows, columns);
        if gain != 1.0 {
            normal.iter_mut().for_each(|w| *w *= gain as f32);
        }
        normal
    }
}

impl Initializer for Orthogonal {
    fn name(&self) -> &str {
        "orthogonal"
    }

    fn validate(&self) -> Result<(), InitError> {
        finite("orthogonal", "gain", self.gain).map(drop)
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        self.kernel(target).map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("orthogonal", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], key: Key) -> Result<(), InitError> {
        let kernel = self.kernel(target)?;
        same_length(target, out)?;
        let columns = kernel.columns * kernel.taps();
        for group in 0..kernel.groups {
            let key = if kernel.groups == 1 {
                key
            } else {
                key.fold(group as u64)
            };
            let w = orthogonal_matrix(kernel.rows, columns, self.gain, key);
            kernel.write(group, &w, out);
        }
        Ok(())
    }

    fn moments(&self, target: &Target) -> Option<(f64, f64)> {
        let kernel = self.kernel(target).ok()?;
        let long = kernel.rows.max(kernel.columns * kernel.taps());
        Some((0.0, self.gain.abs() / (long as f64).sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initializers::testing::drawn;

    fn gram(w: &[f32], row: usize, other: usize, columns: usize) -> f32 {
        (0..columns)
            .map(|i| w[row * columns + i] * w[other * columns + i])
            .sum()
    }

    #[test]
    fn every_group_has_its_own_orthonormal_rows() {
        // Depthwise: torch's flattening would scale these by 1 / sqrt(16).
        let target = Target::new(&[16, 1, 3, 3], Layout::ChannelsFirst { groups: 16 });
        let w = Orthogonal::default()
            .values(&target, Key::from_seed(1))
            .unwrap();
        for row in 0..16 {
            assert!((gram(&w, row, row, 9) - 1.0).abs() < 1e-6);
        }
        assert!(gram(&w, 0, 1, 9).abs() > 1e-3, "groups are independent");
        let torch = Orthogonal::default().with_view(MatrixView::FirstAxis);
        let w = torch.values(&target, Key::from_seed(1)).unwrap();
        assert!((gram(&w, 0, 0, 9) - 1.0).abs() > 0.1);
    }

    #[test]
    fn the_last_axis_holds_the_units_in_the_layout_of_keras() {
        let target = Target::new(&[3, 3, 2, 5], Layout::LINEAR);
        let w = Orthogonal::new(1.5)
            .values(&target, Key::from_seed(1))
            .unwrap();
        for a in 0..5 {
            for b in 0..5 {
                let sum: f32 = (0..18).map(|i| w[i * 5 + a] * w[i * 5 + b]).sum();
                let expected = if a == b { 2.25 } else { 0.0 };
                assert!((sum - expected).abs() < 1e-5, "{a} {b} {sum}");
            }
        }
    }

    #[test]
    fn any_axis_can_hold_the_units() {
        let target = Target::new(&[3, 4, 5], Layout::LINEAR);
        for axis in [1, -2] {
            let init = Orthogonal::new(1.0).with_view(MatrixView::Axis(axis));
            let w = init.values(&target, Key::from_seed(1)).unwrap();
            for a in 0..4 {
                for b in 0..4 {
                    let at = |unit: usize, i: usize| w[i / 5 * 20 + unit * 5 + i % 5];
                    let sum: f32 = (0..15).map(|i| at(a, i) * at(b, i)).sum();
                    let expected = if a == b { 1.0 } else { 0.0 };
                    assert!((sum - expected).abs() < 1e-5, "{axis}: {a} {b} {sum}");
                }
            }
        }
        let init = Orthogonal::new(1.0).with_view(MatrixView::Axis(3));
        assert!(init.check(&target).is_err());
    }

    #[test]
    fn elements_have_the_deviation_that_the_table_shows() {
        for shape in [[200, 300], [300, 300]] {
            let target = Target::new(&shape, Layout::LINEAR);
            let (mean, std) = drawn(&Orthogonal::new(2.0), &target);
            let expected = Orthogonal::new(2.0).moments(&target).unwrap().1;
            assert!(
                mean.abs() < 0.01 && (std / expected - 1.0).abs() < 1e-3,
                "{std} {expected}"
            );
        }
    }

    #[test]
    fn vectors_and_lengths_that_disagree_are_errors() {
        assert!(
            Orthogonal::default()
                .check(&Target::new(&[3], Layout::CONV))
                .is_err()
        );
        assert!(
            Orthogonal::default()
                .from_normal(&mut [1.0; 3], 2, 2)
                .is_err()
        );
        assert!(
            Orthogonal::new(f64::NAN)
                .check(&Target::new(&[3, 3], Layout::CONV))
                .is_err()
        );
    }
}
