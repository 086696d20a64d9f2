//! The short-time Fourier transform as the kernel of a convolution.

use crate::initializer::same_length;
use crate::kernel::Kernel;
use crate::{InitError, Initializer, Target};
use firecraft_key::Key;
use firecraft_spec::{Spec, SpecError};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Real or imaginary part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// `cos(−2π t f)`.
    #[default]
    Real,
    /// `sin(−2π t f)`.
    Imag,
}

/// The window over the frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// `1/2 − 1/2 cos`.
    #[default]
    Hann,
    /// `0.54 − 0.46 cos`.
    Hamming,
    /// `0.42 − 0.5 cos + 0.08 cos²ˣ`.
    Blackman,
    /// A triangle that is 0 at both ends.
    Bartlett,
    /// 1 everywhere (SciPy's `boxcar`).
    Rectangular,
}

/// What the window is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Its Euclidean norm.
    #[default]
    Density,
    /// The sum of its absolute values.
    Spectrum,
    /// Nothing.
    None,
}

/// One side of the STFT as the kernel of a one-dimensional convolution with one
/// input channel: frame length taps, `F/2 + 1` output channels, one per
/// frequency `f = bin / F` (Keras' `STFTInitializer`).
///
/// ```
/// use firecraft_init::{Initializer, Layout, Side, Stft, Target, Window};
/// use firecraft_key::Key;
/// // burn's layout [bins, 1, frame]; F = 4.
/// let target = Target::new(&[3, 1, 4], Layout::CONV);
/// let stft = Stft::new(Side::Real).with_window(None);
/// let values = stft.values(&target, Key::from_seed(0))?;
/// assert_eq!(&values[..4], [1.0; 4]); // frequency 0
/// assert_eq!(&values[8..], [1.0, -1.0, 1.0, -1.0]); // the highest one
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stft {
    /// Which part.
    pub side: Side,
    /// The window; `None` for none (and no scaling).
    pub window: Option<Window>,
    /// What the window is divided by.
    pub scaling: Scaling,
    /// Whether the window is one period of a periodic function instead of
    /// symmetric.
    pub periodic: bool,
}

impl Default for Stft {
    fn default() -> Self {
        Self::new(Side::Real)
    }
}

impl Stft {
    /// A symmetric Hann window scaled by its norm.
    #[must_use]
    pub const fn new(side: Side) -> Self {
        Self {
            side,
            window: Some(Window::Hann),
            scaling: Scaling::Density,
            periodic: false,
        }
    }

    /// Replaces the window.
    #[must_use]
    pub const fn with_window(mut self, window: Option<Window>) -> Self {
        self.window = window;
        self
    }

    /// Replaces the scaling.
    #[must_use]
    pub const fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.scaling = scaling;
        self
    }

    /// Makes the window periodic.
    #[must_use]
    pub const fn periodic(mut self) -> Self {
        self.periodic = true;
        self
    }

    fn kernel(target: &Target) -> Result<Kernel, InitError> {
        let kernel = Kernel::new("stft", target)?;
        let sizes = (kernel.groups, kernel.columns, kernel.spatial_rank());
        if sizes != (1, 1, 1) || kernel.rows < 2 || kernel.taps() == 0 {
            let expected = "a 1-D convolution with one input channel and two bins or more";
            return Err(InitError::shape("stft", expected, &target.shape));
        }
        Ok(kernel)
    }
}

impl Initializer for Stft {
    fn name(&self) -> &str {
        "stft"
    }

    fn check(&self, target: &Target) -> Result<(), InitError> {
        Self::kernel(target).map(drop)
    }

    fn to_spec(&self) -> Result<Spec, SpecError> {
        Spec::from_config("stft", self)
    }

    fn fill(&self, target: &Target, out: &mut [f32], _: Key) -> Result<(), InitError> {
        let kernel = Self::kernel(target)?;
        same_length(target, out)?;
        let (bins, frame) = (kernel.rows, kernel.taps());
        let window = match self.window {
            None => vec![1.0; frame],
            Some(window) => scaled(window.values(frame, self.periodic), self.scaling),
        };
        let length = 2 * (bins - 1);
        for bin in 0..bins {
            for (tap, window) in window.iter().enumerate() {
                // Reduced before the division, so that the angle is exact.
                let angle = -2.0 * PI * ((bin * tap) % length) as f64 / length as f64;
                let value = match self.side {
                    Side::Real => libm::cos(angle),
                    Side::Imag => libm::sin(angle),
                };
                out[kernel.offset(0, bin, 0, tap)] = (value * window) as f32;
            }
        }
        Ok(())
    }
}

impl Window {
    /// The window over `length` points, symmetric or one period.
    #[must_use]
    pub fn values(self, length: usize, periodic: bool) -> Vec<f64> {
        if length <= 1 {
            return vec![1.0; length];
        }
        let period = if periodic { length } else { length - 1 } as f64;
        let wave = |i: usize, times: f64| libm::cos(2.0 * PI * times * i as f64 / period);
        (0..length)
            .map(|i| match self {
                Self::Hann => 0.5 - 0.5 * wave(i, 1.0),
                Self::Hamming => 0.54 - 0.46 * wave(i, 1.0),
                Self::Blackman => 0.42 - 0.5 * wave(i, 1.0) + 0.08 * wave(i, 2.0),
                Self::Bartlett => 1.0 - (2.0 * i as f64 / period - 1.0).abs(),
                Self::Rectangular => 1.0,
            })
            .collect()
    }
}

fn scaled(mut window: Vec<f64>, scaling: Scaling) -> Vec<f64> {
    let divisor = match scaling {
        Scaling::Density => window.iter().map(|w| w * w).sum::<f64>().sqrt(),
        Scaling::Spectrum => window.iter().map(|w| w.abs()).sum(),
        Scaling::None => 1.0,
    };
    // A window of two points can be zero throughout.
    if divisor > 0.0 {
        window.iter_mut().for_each(|w| *w /= divisor);
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn the_transform_of_a_cosine_peaks_at_its_bin() {
        let (frame, bins) = (64, 33);
        let target = Target::new(&[bins, 1, frame], Layout::CONV);
        let values = |side| Stft::new(side).values(&target, Key::from_seed(0)).unwrap();
        let (real, imag) = (values(Side::Real), values(Side::Imag));
        let power: Vec<f64> = (0..bins)
            .map(|bin| {
                let dot = |kernel: &[f32]| -> f64 {
                    (0..frame)
                        .map(|t| {
                            let x = (2.0 * PI * 9.0 * t as f64 / frame as f64 + 0.3).cos();
                            x * f64::from(kernel[bin * frame + t])
                        })
                        .sum()
                };
                dot(&real).powi(2) + dot(&imag).powi(2)
            })
            .collect();
        let peak = (0..bins)
            .max_by(|&a, &b| power[a].total_cmp(&power[b]))
            .unwrap();
        assert_eq!(peak, 9);
    }

    #[test]
    fn windows_agree_with_their_definitions() {
        let close = |a: Vec<f64>, b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(
            Window::Hann.values(5, false),
            &[0.0, 0.5, 1.0, 0.5, 0.0]
        ));
        assert!(close(Window::Hann.values(4, true), &[0.0, 0.5, 1.0, 0.5]));
        assert!(close(Window::Hamming.values(3, false), &[0.08, 1.0, 0.08]));
        assert!(close(Window::Blackman.values(3, false), &[0.0, 1.0, 0.0]));
        assert!(close(
            Window::Bartlett.values(5, false),
            &[0.0, 0.5, 1.0, 0.5, 0.0]
        ));
        assert_eq!(Window::Hann.values(1, false), [1.0]);
    }

    #[test]
    fn scaling_divides_by_the_norm_or_the_sum() {
        let norm: f64 = scaled(Window::Hann.values(9, false), Scaling::Density)
            .iter()
            .map(|w| w * w)
            .sum();
        let sum: f64 = scaled(Window::Hann.values(9, false), Scaling::Spectrum)
            .iter()
            .sum();
        assert!((norm - 1.0).abs() < 1e-12 && (sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn several_input_channels_are_an_error() {
        for shape in [&[3, 2, 4][..], &[3, 1], &[1, 1, 4], &[3, 1, 4, 4]] {
            assert!(
                Stft::default()
                    .check(&Target::new(shape, Layout::CONV))
                    .is_err(),
                "{shape:?}"
            );
        }
    }
}
