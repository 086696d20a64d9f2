//! What flows through a network: moments of activations and gradients per
//! layer, with a verdict.

#[cfg(feature = "plot")]
mod chart;
mod probe;
mod report;
mod verdict;

pub use probe::{Probe, Probed};
pub use report::{LayerSignal, Moments, SignalReport};
pub use verdict::{Thresholds, Verdict};

use crate::InitError;

/// Runs `model` on one batch and reports what its probe saw.
///
/// On an autodiff device the report has gradients too: a normal random
/// cotangent of unit variance is pulled back from the last layer seen, so they
/// show the Jacobian alone, whatever the loss.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::activation::relu;
/// use burn::tensor::{Device, Tensor};
/// use firecraft_init::{InitPlan, Normal, Probe, Probed, Verdict, diagnose};
/// use firecraft_key::Key;
///
/// #[derive(Module, Debug)]
/// struct Mlp {
///     layers: Vec<Linear>,
/// }
/// impl Probed<Tensor<2>> for Mlp {
///     fn forward_probed(&self, mut x: Tensor<2>, probe: &mut Probe) {
///         for (i, layer) in self.layers.iter().enumerate() {
///             x = relu(probe.see(&format!("layers.{i}"), layer.forward(x)));
///         }
///     }
/// }
///
/// # fn main() -> Result<(), firecraft_init::InitError> {
/// let device = Device::flex().autodiff();
/// let mlp = Mlp { layers: vec![LinearConfig::new(16, 16).init(&device); 20] };
/// let mlp = InitPlan::new(Normal::new(0.0, 0.01)).apply(mlp, Key::from_seed(1))?;
/// let report = diagnose(&mlp, Tensor::ones([8, 16], &device))?;
/// assert_eq!(report.verdict, Verdict::Vanishing);
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`InitError::Tensor`] if no layer was seen or a value can't be read.
pub fn diagnose<I, M: Probed<I> + ?Sized>(model: &M, input: I) -> Result<SignalReport, InitError> {
    diagnose_with(|probe| model.forward_probed(input, probe))
}

/// [`diagnose`] for a forward pass written as a closure.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firecraft_init::{Verdict, diagnose_with};
/// let x = Tensor::<2>::from_floats([[1.0, -1.0], [2.0, -2.0]], &Device::flex());
/// let report = diagnose_with(|probe| {
///     let x = probe.see("scale", x * 1e4);
///     probe.see("relu", burn::tensor::activation::relu(x));
/// })?;
/// assert_eq!(report.layers[0].verdict, Verdict::Exploding);
/// assert_eq!(report.layers[1].zeros, 0.5);
/// # Ok::<(), firecraft_init::InitError>(())
/// ```
///
/// # Errors
/// Those of [`diagnose`].
pub fn diagnose_with(forward: impl FnOnce(&mut Probe)) -> Result<SignalReport, InitError> {
    let mut probe = Probe::with_gradients();
    forward(&mut probe);
    Ok(SignalReport::new(probe.finish()?))
}

#[cfg(test)]
mod tests;
