//! Reading the values of a forward pass, layer by layer.

use super::report::Moments;
use crate::{InitError, Initializer, Layout, Normal, Target};
use burn::tensor::{Gradients, Tensor, TensorData};
use firecraft_key::Key;

/// A module that shows what flows through it.
///
/// The forward pass hands every value of interest to
/// [`Probe::see`] and goes on with what it gets back. Name a value after the
/// path of the layer whose weight made it: [`Lsuv`](crate::Lsuv) scales
/// `{name}.weight`.
pub trait Probed<I> {
    /// A forward pass that shows its layers to `probe`, in order.
    fn forward_probed(&self, input: I, probe: &mut Probe);
}

/// Sees the layers of one forward pass.
#[derive(Default)]
pub struct Probe {
    mode: Mode,
    seen: Vec<Seen>,
    pull_back: Option<PullBack>,
    error: Option<InitError>,
}

/// What a probe records.
#[derive(Default, Clone, Copy, PartialEq)]
enum Mode {
    Nothing,
    #[default]
    Values,
    Gradients,
}

type PullBack = Box<dyn FnOnce(Key) -> Result<Gradients, InitError>>;
type Fetch = Box<dyn FnOnce(&mut Gradients) -> Option<Result<Moments, InitError>>>;

/// One layer, before the gradients are known.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) values: Values,
    fetch: Option<Fetch>,
    pub(super) gradient: Option<Moments>,
}

/// Statistics of the values of one layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    pub(super) moments: Moments,
    pub(super) zeros: f64,
    pub(super) dead: f64,
    pub(super) saturated: f64,
}

impl Probe {
    /// A probe that records nothing and hands values through at no cost, so
    /// that a model needs to write its forward pass only once.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use firecraft_init::Probe;
    /// fn forward(x: Tensor<1>, probe: &mut Probe) -> Tensor<1> {
    ///     probe.see("double", x * 2.0)
    /// }
    /// let x = Tensor::<1>::ones([3], &Device::flex());
    /// assert_eq!(forward(x, &mut Probe::off()).sum().into_scalar::<f32>(), 6.0);
    /// ```
    #[must_use]
    pub fn off() -> Self {
        Self {
            mode: Mode::Nothing,
            ..Self::default()
        }
    }

    /// A probe for values alone.
    pub(crate) fn values_only() -> Self {
        Self::default()
    }

    /// A probe that also asks for gradients, where the device has them.
    pub(super) fn with_gradients() -> Self {
        Self {
            mode: Mode::Gradients,
            ..Self::default()
        }
    }

    /// Records a value of shape `[batch, …]` under the name of its layer and
    /// returns it for the rest of the forward pass.
    #[must_use = "the gradients are those of what is returned"]
    pub fn see<const D: usize>(&mut self, name: &str, value: Tensor<D>) -> Tensor<D> {
        if self.mode == Mode::Nothing {
            return value;
        }
        let values = match read(value.clone().detach()) {
            Ok((shape, values)) => Values::of(shape[0], &values),
            Err(error) => {
                self.error.get_or_insert(error.at(name));
                return value;
            }
        };
        let tracked = self.mode == Mode::Gradients && value.is_autodiff();
        let (value, fetch): (_, Option<Fetch>) = if tracked {
            // The gradient of a zero that is added is that of the sum.
            let zero = Tensor::<D>::zeros(value.shape(), &value.device()).require_grad();
            let value = value + zero.clone();
            let fetch = move |gradients: &mut Gradients| {
                let gradient = zero.grad_remove(gradients)?;
                Some(read(gradient).map(|(_, values)| Moments::of(&values)))
            };
            (value, Some(Box::new(fetch)))
        } else {
            (value, None)
        };
        if tracked {
            let last = value.clone();
            self.pull_back = Some(Box::new(move |key| pull_back(&last, key)));
        }
        self.seen.push(Seen {
            name: name.to_owned(),
            values,
            fetch,
            gradient: None,
        });
        value
    }

    /// Names and deviations of the layers seen.
    pub(crate) fn deviations(self) -> Result<Vec<(String, f64)>, InitError> {
        let seen = self.finish()?;
        Ok((seen.into_iter())
            .map(|seen| (seen.name, seen.values.moments.std))
            .collect())
    }

    pub(super) fn finish(self) -> Result<Vec<Seen>, InitError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.seen.is_empty() {
            let message = "the forward pass showed no layer: call `probe.see` in it";
            return Err(InitError::Tensor(message.to_owned()));
        }
        let mut seen = self.seen;
        if let Some(pull_back) = self.pull_back {
            let mut gradients = pull_back(Key::from_seed(0).named("diagnose"))?;
            for seen in &mut seen {
                seen.gradient = match seen.fetch.take().and_then(|fetch| fetch(&mut gradients)) {
                    None => None,
                    Some(moments) => Some(moments.map_err(|error| error.at(&seen.name))?),
                };
            }
        }
        Ok(seen)
    }
}

/// Gradients of `Σ value · cotangent` for a normal cotangent.
fn pull_back<const D: usize>(value: &Tensor<D>, key: Key) -> Result<Gradients, InitError> {
    let shape = value.shape().to_vec();
    let target = Target::new(&shape, Layout::Elementwise);
    let cotangent = TensorData::new(Normal::default().values(&target, key)?, shape);
    let cotangent = Tensor::<D>::from_data(cotangent, (&value.device(), value.dtype()));
    Ok((value.clone() * cotangent).sum().backward())
}

fn read<const D: usize>(value: Tensor<D>) -> Result<(Vec<usize>, Vec<f64>), InitError> {
    let unreadable = |error: &dyn std::fmt::Display| InitError::Tensor(error.to_string());
    let shape = value.shape().to_vec();
    let data = value.try_into_data().map_err(|error| unreadable(&error))?;
    Ok((shape, data.iter::<f64>().collect()))
}

/// A value this close to ±1 is at the end of tanh.
const SATURATED: f64 = 0.97;

impl Values {
    /// Statistics of a row-major batch.
    fn of(batch: usize, values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let share = |count: usize, of: f64| count as f64 / of;
        let units = values.len() / batch.max(1);
        let mut alive = vec![false; units];
        for sample in values.chunks(units.max(1)) {
            for (alive, x) in alive.iter_mut().zip(sample) {
                *alive |= *x != 0.0;
            }
        }
        let bounded = values.iter().all(|x| x.abs() <= 1.0);
        let at_the_ends = values.iter().filter(|x| x.abs() > SATURATED).count();
        Self {
            moments: Moments::of(values),
            zeros: share(values.iter().filter(|x| **x == 0.0).count(), n),
            dead: share(
                alive.iter().filter(|alive| !**alive).count(),
                units.max(1) as f64,
            ),
            saturated: if bounded { share(at_the_ends, n) } else { 0.0 },
        }
    }
}
