//! A matrix on all values at once: `linear_transformation`.

use super::plain_layer;
use crate::{
    Apply, AugmentError, Image, LayerTransform, Plan, Sample, SampleMeta, Transform, Values,
};
use firecraft_key::Key;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Subtracts a mean from the `D` values of an image, taken channel by channel,
/// and multiplies by a `D x D` matrix from the right: torchvision's
/// `LinearTransformation`. With the matrix of [`LinearTransformation::zca`] it
/// whitens.
///
/// It costs `D²` multiplications per image: for images of a few thousand
/// values.
///
/// ```
/// use firecraft_augment::{Image, LinearTransformation, Plan, Sample, Size, Transform};
/// use firecraft_key::Key;
/// let swap = LinearTransformation::new(vec![0.0, 1.0, 1.0, 0.0], vec![1.0, 0.0]);
/// let mut sample = Sample::new(Image::from_f32(vec![3.0, 5.0], Size::new(1, 2), 1)?);
/// swap.plan(&sample.meta(), Key::from_seed(0))?.apply(&mut sample)?;
/// assert_eq!(sample.image.as_f32(), Some(&[5.0, 2.0][..]));
/// # Ok::<(), firecraft_augment::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct LinearTransformation {
    values: Arc<Written>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// `D * D` numbers, row by row.
    matrix: Vec<f32>,
    /// `D` numbers.
    mean: Vec<f32>,
}

impl From<Written> for LinearTransformation {
    fn from(values: Written) -> Self {
        Self {
            values: Arc::new(values),
        }
    }
}

impl From<LinearTransformation> for Written {
    fn from(transformation: LinearTransformation) -> Self {
        Arc::unwrap_or_clone(transformation.values)
    }
}

impl LinearTransformation {
    /// Subtracts `mean` and multiplies by `matrix`, given row by row.
    #[must_use]
    pub fn new(matrix: Vec<f32>, mean: Vec<f32>) -> Self {
        Written { matrix, mean }.into()
    }

    /// The whitening that stays nearest to the images it is learned from:
    /// `U diag(1 / sqrt(s + epsilon)) U'`, where `U diag(s) U'` is their
    /// covariance. `images` holds image after image of `values` numbers each.
    ///
    /// ```
    /// use firecraft_augment::LinearTransformation;
    /// // Two values that are nearly the same: whitening takes them apart.
    /// let images = [0.0, 0.1, 1.0, 0.9, 2.0, 2.1, 3.0, 2.9];
    /// let zca = LinearTransformation::zca(&images, 2, 1e-6)?;
    /// assert!(zca.matrix()[0] > 1.0 && zca.matrix()[1] < 0.0);
    /// # Ok::<(), firecraft_augment::AugmentError>(())
    /// ```
    ///
    /// # Errors
    /// If there are no whole images, a value is no number, or `epsilon` is not
    /// above 0.
    pub fn zca(images: &[f32], values: usize, epsilon: f64) -> Result<Self, AugmentError> {
        let n = images.len() / values.max(1);
        if n == 0 || n * values != images.len() {
            return Err(AugmentError::Length {
                operation: "linear_transformation: zca",
                got: images.len(),
                expected: values,
            });
        }
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            let expected = "a number above 0";
            return Err(AugmentError::parameter(NAME, "epsilon", epsilon, expected));
        }
        if !images.iter().all(|v| v.is_finite()) {
            let expected = "finite numbers";
            return Err(AugmentError::parameter(
                NAME,
                "images",
                "not a number",
                expected,
            ));
        }
        let at = |image: usize, i: usize| f64::from(images[image * values + i]);
        let mean: Vec<f64> = (0..values)
            .map(|i| (0..n).map(|image| at(image, i)).sum::<f64>() / n as f64)
            .collect();
        let mut covariance = vec![0.0; values * values];
        for image in 0..n {
            for i in 0..values {
                let di = at(image, i) - mean[i];
                for j in 0..values {
                    covariance[i * values + j] += di * (at(image, j) - mean[j]) / n as f64;
                }
            }
        }
        let (spread, axes) = eigen(covariance, values);
        let scale: Vec<f64> = spread
            .iter()
            .map(|s| 1.0 / (s.max(0.0) + epsilon).sqrt())
            .collect();
        let entry = |k: usize| {
            let (i, j) = (k / values, k % values);
            let sum: f64 = (0..values)
                .map(|a| axes[i * values + a] * scale[a] * axes[j * values + a])
                .sum();
            sum as f32
        };
        Ok(Self::new(
            (0..values * values).map(entry).collect(),
            mean.into_iter().map(|v| v as f32).collect(),
        ))
    }

    /// The matrix, row by row.
    #[must_use]
    pub fn matrix(&self) -> &[f32] {
        &self.values.matrix
    }

    fn check(&self) -> Result<(), AugmentError> {
        let Written { matrix, mean } = &*self.values;
        if mean.is_empty() || Some(matrix.len()) != mean.len().checked_mul(mean.len()) {
            let got = format!("{} numbers for {} means", matrix.len(), mean.len());
            let expected = "a square matrix with a row per mean";
            return Err(AugmentError::parameter(NAME, "matrix", got, expected));
        }
        if !matrix.iter().chain(mean).all(|v| v.is_finite()) {
            let expected = "finite numbers";
            return Err(AugmentError::parameter(
                NAME,
                "matrix",
                "not a number",
                expected,
            ));
        }
        Ok(())
    }
}

const NAME: &str = "linear_transformation";

/// Eigenvalues and eigenvectors (as columns) of a symmetric matrix, by Jacobi's
/// rotations.
fn eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    const SWEEPS: usize = 60;
    let mut v: Vec<f64> = (0..n * n).map(|k| f64::from(k / n == k % n)).collect();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n * n)
            .filter(|k| k / n != k % n)
            .map(|k| a[k] * a[k])
            .sum();
        if off < 1e-22 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                let turn = |m: &mut [f64], i: usize, j: usize| {
                    let (x, y) = (m[i], m[j]);
                    m[i] = c * x - s * y;
                    m[j] = s * x + c * y;
                };
                for k in 0..n {
                    turn(&mut a, k * n + p, k * n + q);
                }
                for k in 0..n {
                    turn(&mut a, p * n + k, q * n + k);
                    turn(&mut v, k * n + p, k * n + q);
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), v)
}

impl Apply for LinearTransformation {
    fn apply(&self, sample: &mut Sample) -> Result<(), AugmentError> {
        self.check()?;
        let image = &mut sample.image;
        let Written { matrix, mean } = &*self.values;
        let planes = image.to_planes();
        if planes.len() != mean.len() || !matches!(image.values(), Values::F32(_)) {
            return Err(AugmentError::Image {
                operation: NAME,
                got: format!("an image of {} values", planes.len()),
                expected: format!("{} numbers", mean.len()),
            });
        }
        let mut out = vec![0.0; planes.len()];
        let rows = matrix.chunks_exact(mean.len());
        for ((value, middle), row) in planes.iter().zip(mean).zip(rows) {
            let centred = value - middle;
            out.iter_mut().zip(row).for_each(|(o, w)| *o += centred * w);
        }
        *image = Image::from_f32_planes(&out, image.size(), image.channels())?;
        Ok(())
    }
}

impl Transform for LinearTransformation {
    plain_layer!("linear_transformation");

    fn validate(&self) -> Result<(), AugmentError> {
        self.check()
    }

    fn plan(&self, _meta: &SampleMeta, _key: Key) -> Result<Plan, AugmentError> {
        self.check()?;
        Ok(self.clone().into())
    }
}

impl LayerTransform for LinearTransformation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    #[test]
    fn whitened_images_have_the_identity_as_covariance() {
        let (n, d) = (200, 6);
        let noise = |i: usize| firecraft_key::convert::normal(Key::from_seed(3).word(i as u64));
        let images: Vec<f32> = (0..n * d)
            .map(|i| noise(i) * (1 + i % d) as f32 + noise(i / d + 9000) + 2.0)
            .collect();
        let zca = LinearTransformation::zca(&images, d, 1e-9).unwrap();
        let white: Vec<Vec<f32>> = images
            .chunks(d)
            .map(|image| {
                let image = Image::from_f32(image.to_vec(), Size::new(2, 3), 1).unwrap();
                let mut sample = Sample::new(image);
                Plan::from(zca.clone()).apply(&mut sample).unwrap();
                sample.image.to_planes()
            })
            .collect();
        for i in 0..d {
            for j in 0..d {
                let sum: f32 = white.iter().map(|v| v[i] * v[j]).sum();
                let expected = f32::from(i == j);
                assert!((sum / n as f32 - expected).abs() < 1e-3, "{i} {j} {sum}");
            }
        }
    }

    #[test]
    fn sizes_have_to_fit() {
        assert!(
            LinearTransformation::new(vec![1.0; 3], vec![0.0; 2])
                .check()
                .is_err()
        );
        assert!(LinearTransformation::zca(&[1.0; 5], 2, 0.1).is_err());
        assert!(LinearTransformation::zca(&[1.0; 4], 2, 0.0).is_err());
        let mut sample = Sample::new(Image::from_f32(vec![0.0; 3], Size::new(1, 3), 1).unwrap());
        let one = LinearTransformation::new(vec![1.0], vec![0.0]);
        assert!(Plan::from(one).apply(&mut sample).is_err());
    }
}
