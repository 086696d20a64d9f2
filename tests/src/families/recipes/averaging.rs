//! Averages of weights: torch, timm, Keras and optax.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, TensorData},
};
use firecraft::trainer::{
    Average, AverageRule, Averaged, InMemory, Sgd, StepOutput, Task, Trainer,
};

use crate::{
    compare::{Tolerance, close, close_f32},
    families::{Outcome, failed},
    golden::{self, Case, Field},
};

/// One parameter.
#[derive(Module, Debug)]
struct Weight {
    value: Param<Tensor<1>>,
}

impl Weight {
    fn new(values: &[f32], device: &Device) -> Self {
        Self {
            value: Param::from_data(TensorData::new(values.to_vec(), [values.len()]), device),
        }
    }

    fn moved_to(self, values: &[f32]) -> Self {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Self {
            value: self.value.map(|old| Tensor::from_data(data, &old.device())),
        }
    }

    fn values(&self) -> Result<Vec<f32>, Outcome> {
        self.value.val().try_into_vec_as().map_err(failed)
    }
}

pub(super) fn torch_ema(case: &Case) -> Result<(), Outcome> {
    follow(case, Average::ema(case.get("decay").f64()?))
}

pub(super) fn torch_swa(case: &Case) -> Result<(), Outcome> {
    follow(case, Average::equal())
}

/// The first average is the first weight.
fn follow(case: &Case, rule: Average) -> Result<(), Outcome> {
    rule.check().map_err(failed)?;
    let weights = tensors(case, "weights")?;
    let want = tensors(case, "averaged")?;
    let mut model = Weight::new(&weights[0].f32s(), &Device::flex());
    let mut averaged = Averaged::new(rule, &model);
    for (step, (weight, want)) in weights.iter().zip(&want).enumerate() {
        if step > 0 {
            model = model.moved_to(&weight.f32s());
            averaged.update(&model);
        }
        let got = averaged.model().values()?;
        close_f32(
            &format!("averaged[{step}]"),
            &got,
            &want.data,
            Tolerance::TENSOR,
        )?;
    }
    Ok(())
}

/// timm: the average follows the weights until it starts.
pub(super) fn timm(case: &Case) -> Result<(), Outcome> {
    let args = case.args();
    let known = [
        "decay",
        "min_decay",
        "update_after_step",
        "use_warmup",
        "warmup_gamma",
        "warmup_power",
    ];
    if args.keys().iter().any(|key| !known.contains(key)) {
        return Err(Outcome::Unsupported);
    }
    let decay = args.get("decay").or(0.9999, Field::f64)?;
    let min_decay = args.get("min_decay").or(0.0, Field::f64)?;
    let rule = if args.get("use_warmup").or(false, Field::bool)? {
        AverageRule::WarmedEma {
            decay,
            gamma: args.get("warmup_gamma").or(1.0, Field::f64)?,
            power: args.get("warmup_power").or(2.0 / 3.0, Field::f64)?,
            min_decay,
        }
    } else {
        AverageRule::Ema {
            decay: decay.max(min_decay),
        }
    };
    let start = args.get("update_after_step").or(0, Field::u64)?;
    let average = Average {
        rule,
        ..Average::ema(decay).start(start)
    };
    average.check().map_err(failed)?;

    let weights = tensors(case, "weights")?;
    let want = tensors(case, "averaged")?;
    let mut model = Weight::new(&weights[0].f32s(), &Device::flex());
    let mut averaged: Option<Averaged<Weight>> = None;
    let mut decays = Vec::new();
    for (step, (weight, want)) in (0..).zip(weights.iter().zip(&want)) {
        model = model.moved_to(&weight.f32s());
        decays.push(averaged.as_ref().map_or(0.0, |a| average.decay(a.taken())));
        match &mut averaged {
            Some(averaged) => averaged.update(&model),
            None if average.is_due(step) => averaged = Some(Averaged::new(average, &model)),
            None => {}
        }
        let got = averaged.as_ref().map_or(&model, Averaged::model).values()?;
        close_f32(
            &format!("averaged[{step}]"),
            &got,
            &want.data,
            Tolerance::TENSOR,
        )?;
    }
    if case.has("decay") {
        close("decay", &decays, &case.get("decay").f64s()?, Tolerance::F32)?;
    }
    Ok(())
}

/// Keras: the optimiser averages what it has just updated.
pub(super) fn keras(case: &Case) -> Result<(), Outcome> {
    let mut average = Average::ema(case.get("ema_momentum").f64()?);
    if let Some(every) = case.get("ema_overwrite_frequency").optional(Field::u64)? {
        average = average.overwrite_every(every);
    }
    let gradients: Vec<Vec<f32>> = tensors(case, "grads")?
        .iter()
        .map(golden::Tensor::f32s)
        .collect();
    let (weights, averages) = (tensors(case, "vars_after")?, tensors(case, "ema_after")?);
    for steps in 1..=gradients.len() {
        let device = Device::flex().autodiff();
        let model = Weight::new(&case.get("v0").tensor()?.f32s(), &device);
        let gradients = gradients.clone();
        let make = move |_, batch: u64, _: &Device| gradients[batch as usize].clone();
        let fitted = Trainer::new(model, Sgd::keras())
            .task(Dot)
            .learning_rate(case.get("lr").f64()?)
            .average(average)
            .fit_unvalidated(InMemory::new(steps as u64, steps as u64, make))
            .map_err(failed)?;
        let averaged = fitted.averaged.ok_or_else(|| failed("no average"))?;
        let at = steps - 1;
        for (name, got, want) in [
            ("vars_after", fitted.model.values()?, &weights[at]),
            ("ema_after", averaged.values()?, &averages[at]),
        ] {
            close_f32(
                &format!("{name}[{at}]"),
                &got,
                &want.data,
                Tolerance::TENSOR,
            )?;
        }
    }
    Ok(())
}

/// optax: an average from zero, with or without the correction.
pub(super) fn optax(case: &Case) -> Result<(), Outcome> {
    let decay = case.get("decay").f64()?;
    let values = tensors(case, "values")?;
    let want = tensors(case, "out")?;
    let debias = case.get("debias").or(true, Field::bool)?;
    let (rule, first) = if debias {
        let rule = AverageRule::DebiasedEma { decay };
        (rule, values[0].f32s())
    } else {
        // Without it the zeros count as a first value.
        (AverageRule::Ema { decay }, vec![0.0; values[0].data.len()])
    };
    let average = Average {
        rule,
        ..Average::ema(decay)
    };
    let mut model = Weight::new(&first, &Device::flex());
    let mut averaged = Averaged::new(average, &model);
    for (step, (value, want)) in values.iter().zip(&want).enumerate() {
        if step > 0 || !debias {
            model = model.moved_to(&value.f32s());
            averaged.update(&model);
        }
        let got = averaged.model().values()?;
        close_f32(&format!("out[{step}]"), &got, &want.data, Tolerance::TENSOR)?;
    }
    Ok(())
}

/// `Σ w·g`, for the gradient `g` of the batch.
struct Dot;

impl Task<Weight> for Dot {
    type Batch = Vec<f32>;

    fn train_step(&self, model: &Weight, gradient: Vec<f32>) -> StepOutput {
        let weight = model.value.val();
        let gradient = TensorData::new(gradient, weight.dims());
        let gradient = Tensor::<1>::from_data(gradient, &weight.device());
        StepOutput::new((weight * gradient).sum(), 1)
    }

    fn eval_step(&self, model: &Weight, gradient: Vec<f32>) -> StepOutput {
        self.train_step(model, gradient)
    }
}

fn tensors(case: &Case, field: &str) -> Result<Vec<golden::Tensor>, Outcome> {
    let items = case.get(field).items()?;
    if items.is_empty() {
        return Err(failed(format!("`{field}` is empty")));
    }
    Ok(items.iter().map(Field::tensor).collect::<Result<_, _>>()?)
}
