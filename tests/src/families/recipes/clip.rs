//! Clipping, seen through one update.
//!
//! The loss `Σ w·g` has the gradient `g`, so plain gradient descent with rate 1
//! moves the parameters by the clipped gradient.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, TensorData},
};
use firecraft::trainer::{
    Callback, Clip, Context, Control, Event, InMemory, NonFinite, Sgd, StepOutput, Task, Trainer,
    TrainerError,
};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    compare::{Tolerance, close, close_f32},
    families::{Outcome, failed},
    golden::{self, Case, Field},
};

pub(super) fn torch_norm(case: &Case) -> Result<(), Outcome> {
    let max = case.get("max_norm").f64()?;
    let clip = match case.get("norm_type").or(2.0, Field::f64)? {
        2.0 => Clip::GlobalNorm { max },
        p => Clip::PNorm { max, p },
    };
    compare(case, clip, "out")
}

pub(super) fn torch_value(case: &Case) -> Result<(), Outcome> {
    compare(
        case,
        Clip::Value {
            max: case.get("clip_value").f64()?,
        },
        "out",
    )
}

pub(super) fn timm_adaptive(case: &Case) -> Result<(), Outcome> {
    let clip = Clip::Adaptive {
        factor: case.get("clip_factor").f64()?,
        epsilon: case.get("eps").f64()?,
    };
    compare(case, clip, "out")
}

pub(super) fn keras(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let clip = match args.keys().as_slice() {
        ["clipvalue"] => Clip::Value {
            max: args.get("clipvalue").f64()?,
        },
        ["global_clipnorm"] => Clip::GlobalNorm {
            max: args.get("global_clipnorm").f64()?,
        },
        ["clipnorm"] => Clip::EachNorm {
            max: args.get("clipnorm").f64()?,
        },
        _ => return Err(Outcome::Unsupported),
    };
    compare(case, clip, "clipped")
}

/// Parameters of ranks 1 to 4; the order of a case is kept by its index.
#[derive(Module, Debug)]
struct Weights {
    vectors: Vec<Param<Tensor<1>>>,
    matrices: Vec<Param<Tensor<2>>>,
    cubes: Vec<Param<Tensor<3>>>,
    kernels: Vec<Param<Tensor<4>>>,
}

#[derive(Clone, Copy)]
struct Place {
    rank: usize,
    index: usize,
}

impl Weights {
    fn new(tensors: &[golden::Tensor], device: &Device) -> Result<(Self, Vec<Place>), Outcome> {
        let mut weights = Self {
            vectors: vec![],
            matrices: vec![],
            cubes: vec![],
            kernels: vec![],
        };
        let mut places = Vec::new();
        for tensor in tensors {
            let data = TensorData::new(tensor.f32s(), tensor.shape.clone());
            let rank = tensor.shape.len();
            let index = match rank {
                1 => push(&mut weights.vectors, data, device),
                2 => push(&mut weights.matrices, data, device),
                3 => push(&mut weights.cubes, data, device),
                4 => push(&mut weights.kernels, data, device),
                _ => return Err(failed(format!("a parameter of rank {rank}"))),
            };
            places.push(Place { rank, index });
        }
        Ok((weights, places))
    }

    fn values(&self, place: Place) -> Result<Vec<f32>, Outcome> {
        match place.rank {
            1 => self.vectors[place.index].val().try_into_vec_as(),
            2 => self.matrices[place.index].val().try_into_vec_as(),
            3 => self.cubes[place.index].val().try_into_vec_as(),
            _ => self.kernels[place.index].val().try_into_vec_as(),
        }
        .map_err(failed)
    }
}

fn push<const D: usize>(
    list: &mut Vec<Param<Tensor<D>>>,
    data: TensorData,
    device: &Device,
) -> usize {
    list.push(Param::from_data(data, device));
    list.len() - 1
}

/// `Σ w·g`, for the gradients `g` of the batch.
struct Dot;

impl Task<Weights> for Dot {
    type Batch = Weights;

    fn train_step(&self, model: &Weights, gradients: Weights) -> StepOutput {
        let device = model.devices().into_iter().next().unwrap_or_default();
        let mut loss = Tensor::<1>::zeros([1], &device);
        for (w, g) in model.vectors.iter().zip(&gradients.vectors) {
            loss = loss + (w.val() * g.val().detach()).sum();
        }
        for (w, g) in model.matrices.iter().zip(&gradients.matrices) {
            loss = loss + (w.val() * g.val().detach()).sum();
        }
        for (w, g) in model.cubes.iter().zip(&gradients.cubes) {
            loss = loss + (w.val() * g.val().detach()).sum();
        }
        for (w, g) in model.kernels.iter().zip(&gradients.kernels) {
            loss = loss + (w.val() * g.val().detach()).sum();
        }
        StepOutput::new(loss, 1)
    }

    fn eval_step(&self, model: &Weights, gradients: Weights) -> StepOutput {
        self.train_step(model, gradients)
    }
}

/// Remembers the norm of the last gradient.
struct Norm(Arc<Mutex<Option<f64>>>);

impl Callback for Norm {
    fn key(&self) -> String {
        "gradient_norm".to_owned()
    }

    fn on(&mut self, event: &Event<'_>, _: &Context<'_>) -> Result<Control, TrainerError> {
        if let Event::UpdateEnd(update) = event {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = update.gradient_norm;
        }
        Ok(Control::Continue)
    }
}

fn compare(case: &Case, clip: Clip, out: &str) -> Result<(), Outcome> {
    let tensors = |field: &str| -> Result<Vec<golden::Tensor>, Outcome> {
        Ok(case
            .get(field)
            .items()?
            .iter()
            .map(Field::tensor)
            .collect::<Result<_, _>>()?)
    };
    let tensors = |field: &str| -> Result<Vec<golden::Tensor>, Outcome> {
        let turn = matches!(clip, Clip::Adaptive { .. });
        Ok(tensors(field)?
            .into_iter()
            .map(|t| if turn { turned(t) } else { t })
            .collect())
    };
    let gradients = tensors("grads")?;
    // Where the parameters do not matter they are zero.
    let start = if case.has("params") {
        tensors("params")?
    } else {
        let zero = |g: &golden::Tensor| golden::Tensor {
            data: vec![0.0; g.data.len()],
            ..g.clone()
        };
        gradients.iter().map(zero).collect()
    };

    let device = Device::flex().autodiff();
    let (model, places) = Weights::new(&start, &device)?;
    let (batch, _) = Weights::new(&gradients, &device)?;
    let norm = Arc::new(Mutex::new(None));
    let fitted = Trainer::new(model, Sgd::torch())
        .task(Dot)
        .learning_rate(1.0)
        .clip(clip)
        .on_non_finite(NonFinite::Allow)
        .callback(Norm(Arc::clone(&norm)))
        .fit_unvalidated(InMemory::new(1, 1, move |_, _, _: &Device| batch.clone()))
        .map_err(failed)?;

    if let Some(want) = case.get("total_norm").optional(Field::f64)? {
        let got = norm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .unwrap_or(f64::NAN);
        close("total_norm", &[got], &[want], Tolerance::TENSOR)?;
    }
    for (i, (want, place)) in tensors(out)?.iter().zip(places).enumerate() {
        let moved: Vec<f32> = start[i]
            .f32s()
            .iter()
            .zip(fitted.model.values(place)?)
            .map(|(before, after)| before - after)
            .collect();
        close_f32(
            &format!("{out}[{i}]"),
            &moved,
            &want.data,
            Tolerance::TENSOR,
        )?;
    }
    Ok(())
}

/// A matrix as burn lays out a linear weight, `[in, out]` in place of
/// `[out, in]`: what a unit is depends on it.
fn turned(tensor: golden::Tensor) -> golden::Tensor {
    let &[rows, columns] = tensor.shape.as_slice() else {
        return tensor;
    };
    let at = |i: usize| tensor.data[(i % rows) * columns + i / rows];
    golden::Tensor {
        shape: vec![columns, rows],
        data: (0..rows * columns).map(at).collect(),
        ..tensor.clone()
    }
}
